// Rests of the thread that writes, between steps of what nobody waits for: on two cores it is the
// third that is busy, beside the thread that answers clients and whatever else they need. In one go
// it would take slices of several milliseconds from those; a step is short against what a client
// waits for anyway, and during the rest each of them gets on. A rest is in the middle of a
// transaction, and ends when somebody waits for this thread.

/** Of the processor at a stretch: less than a hot answer takes while eight clients ask. */
const STEP_MS = 0.3
/** As long: the thread then takes half of a core at most, which lets 2,000 files a second leave. */
const REST_MS = 0.3

/** Writes that somebody waits for: counted by the thread that asks, seen by the one that writes. */
export class HurriedWrites {
  /** For the other thread. */
  readonly memory: SharedArrayBuffer
  readonly #count: Int32Array

  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory
    this.#count = new Int32Array(memory)
  }

  /** Whoever rests goes on. */
  begin(): void {
    Atomics.add(this.#count, 0, 1)
    Atomics.notify(this.#count, 0)
  }

  end(): void {
    Atomics.sub(this.#count, 0, 1)
  }

  get count(): number {
    return Atomics.load(this.#count, 0)
  }

  /** Blocks the thread for so long, but only while there is none. */
  restUntilAny(ms: number): void {
    Atomics.wait(this.#count, 0, 0, ms)
  }
}

export interface Rests {
  /** Steps follow; the thread has just had nothing to do. */
  begin(): void
  /** To be called between two steps: rests when it is time. */
  between(): void
}

/** For whoever writes alone. */
export const NO_RESTS: Rests = { begin() {}, between() {} }

export function createRests(
  hurried: Pick<HurriedWrites, 'restUntilAny'>,
  nowMs: () => number = () => performance.now(),
): Rests {
  let sinceMs = nowMs()
  const begin = () => {
    sinceMs = nowMs()
  }
  return {
    begin,
    between() {
      if (nowMs() - sinceMs < STEP_MS) return
      hurried.restUntilAny(REST_MS)
      begin()
    },
  }
}
