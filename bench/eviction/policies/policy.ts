// An order in which images leave a full cache: told what comes, is used and leaves, asked who is
// next. What it may know of an image is what an edge knows of it.

export interface Policy {
  /** It is here from now on and was used; so many bytes were fetched for it. */
  came(image: number, atMs: number, broughtBytes: number): void
  used(image: number, atMs: number): void
  /** Its tag has gone on: it leaves before all others, unless it is used again. */
  cool?(image: number): void
  /** It was evicted, whoever chose it. */
  left(image: number): void
  /**
   * The next to leave of those that may; undefined when none may. Asked again, it may say another:
   * what was named has not left before `left`.
   */
  next(mayLeave: (image: number) => boolean): number | undefined
  /** All that it has to remember at this time, also of images that are gone. */
  stateBytes(): number
}

/** The cache, as the order sees it. */
export interface View {
  readonly limitBytes: number
  /** What would be free if it left now: what no other image here lists. */
  freedBytes(image: number): number
  /** How long it takes to bring that back. */
  refetchSeconds(image: number): number
}

export interface PolicyKind {
  readonly name: string
  /**
   * Its state is a few numbers in the row of an image; else it is queues or a sketch in memory, and
   * after a restart everything here has come once, in the order of its last use.
   */
  readonly inRows: boolean
  open(view: View): Policy
}
