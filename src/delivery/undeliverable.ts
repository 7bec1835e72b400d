// Why an entry cannot be delivered as things are, found out here and not told by an upstream: it is
// parked.

export class Undeliverable extends Error {
  /** What the operator can do. */
  readonly hint: string

  constructor(reason: string, hint: string) {
    super(reason)
    this.name = 'Undeliverable'
    this.hint = hint
  }
}
