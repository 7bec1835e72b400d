// The catalog's port to what an operator pinned: kept as it was given, under a name, and
// understood by registry/pins/pins.ts alone.

export interface RecordedPin {
  readonly name: string
  /** Text that says what is pinned. */
  readonly body: string
  /** Wall clock, of the first time. */
  readonly atMs: number
}

export interface PinReads {
  /** All of them, the oldest first; of equals by name. */
  listPins(): Promise<readonly RecordedPin[]>
}

export interface PinWrites {
  /**
   * Idempotent: what has the name already is left as it is.
   * @throws StoreError io for a name or a text of more than 1 KiB
   */
  pin(pin: RecordedPin): Promise<void>
  /** No effect when there is none of this name. */
  unpin(name: string): Promise<void>
}
