// Which state of what access goes by holds now: a number in memory that all threads see, and the
// one that this thread goes by. It is raised before any other thread is told of the new state, so a
// thread that has not heard, or hangs, decides nothing by the old one: it sees the number first.
//
// What takes rights away is over for all when each thread has taken the new state over or is no
// more; one that is started later is started with it.

/** Signed, as Atomics have them; a reload each second takes 68 years. */
const BYTES = Int32Array.BYTES_PER_ELEMENT
const FIRST = 0

export class Revision {
  /** For the revision of another thread. */
  readonly memory: SharedArrayBuffer
  readonly #newest: Int32Array
  #held: number
  #waiting: (() => void)[] = []

  /**
   * `memory`: of the thread that raises it; new one otherwise. `held`: of what this thread begins
   * with.
   */
  constructor(memory = new SharedArrayBuffer(BYTES), held = FIRST) {
    this.memory = memory
    this.#newest = new Int32Array(memory)
    this.#held = held
  }

  get newest(): number {
    return Atomics.load(this.#newest, 0)
  }

  /** What this thread goes by. */
  get held(): number {
    return this.#held
  }

  /** Does this thread go by the newest? While not, nothing MUST be decided here. */
  get isHeld(): boolean {
    return this.#held === this.newest
  }

  /**
   * For the one thread that makes new states. To be called in the same turn in which this thread
   * takes the new one over.
   * @returns what the others hold once they have taken it over
   */
  raise(): number {
    const next = Atomics.add(this.#newest, 0, 1) + 1
    this.hold(next)
    return next
  }

  /** This thread goes by it from now on. */
  hold(revision: number): void {
    this.#held = revision
    if (!this.isHeld) return
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Resolves once this thread goes by the newest: it is on its way when that is raised. */
  async untilHeld(): Promise<void> {
    while (!this.isHeld) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }
}
