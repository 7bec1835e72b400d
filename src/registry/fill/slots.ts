// A bounded number of places for work on one upstream, and a bounded queue before them: the
// smallest goes first, so that configs and small blobs never wait behind a gigabyte, and who has
// waited long has a turn of its own. Places that nobody needs are lent to work that nobody waits
// for, and called back as soon as somebody does. Some upstreams' places are among a number that
// they have together.
import { waitInLine } from '../../async/wait-in-line.ts'
import type { Clock } from '../ports/clock.ts'
import { QueueError } from '../refusals/queue-error.ts'

/** Beyond this a site asks for more than its link can bring; the client is told to come back. */
const MAX_QUEUED = 2_000
/**
 * From this age on size does not count against an entry: a config or a small blob is through in
 * less, so what has waited longer was passed by others, and under small blobs without end it would
 * be passed for ever.
 */
const PATIENCE_MS = 5_000

interface Waiting {
  readonly sizeBytes: number
  readonly sinceMs: number
  readonly enter: () => void
}

/** A place that is lent. */
export interface Loan {
  /**
   * Somebody waits for the work now, or it has ended: it is not called back any more. No effect the
   * second time.
   */
  keep(): void
}

export class Slots {
  readonly #atOnce: number
  readonly #clock: Clock
  readonly #within: Slots | undefined
  #taken = 0
  /** In the order of their coming. */
  readonly #queue: Waiting[] = []
  /** In the order of their beginning. */
  readonly #loans = new Set<{ readonly giveBack: () => void; readonly group: string | undefined }>()
  #isTurnOfAge = true

  /** `within`: whoever has a place here has one there, too. */
  constructor(atOnce: number, clock: Clock, within?: Slots) {
    this.#atOnce = atOnce
    this.#clock = clock
    this.#within = within
  }

  /** Would the next one have to wait? */
  get areTaken(): boolean {
    return this.#areOwnTaken || this.#within?.areTaken === true
  }

  get #areOwnTaken(): boolean {
    return this.#taken >= this.#atOnce
  }

  /**
   * Waits for a place, as long as it takes: every place comes back, as whoever has one is bounded
   * in time. `sizeBytes` orders the queue; equal sizes keep their order. Calls back the youngest
   * place that is lent, but none of the same `group`: whoever pulls an image needs what is fetched
   * ahead of it as well, and to begin that again would cost more than its place brings.
   * @throws QueueError when too many wait; the signal's reason
   */
  async take(sizeBytes: number, signal: AbortSignal, group?: string): Promise<void> {
    await this.#takeOwn(sizeBytes, signal, group)
    try {
      await this.#within?.take(sizeBytes, signal, group)
    } catch (error) {
      this.#giveOwn()
      throw error
    }
  }

  async #takeOwn(sizeBytes: number, signal: AbortSignal, group?: string): Promise<void> {
    signal.throwIfAborted()
    if (!this.#areOwnTaken) {
      this.#taken += 1
      return
    }
    if (this.#queue.length >= MAX_QUEUED) throw new QueueError()
    const sinceMs = this.#clock.monotonicMs()
    const turn = waitInLine(this.#queue, signal, enter => ({ sizeBytes, sinceMs, enter }))
    this.#callBack(group)
    await turn
  }

  /**
   * A place that nobody needs now; undefined when there is none. `giveBack` is called when somebody
   * waits for it: the work MUST then end soon, and give the place back by `give` as ever. Without
   * it the place is not called back.
   */
  borrow(giveBack: (() => void) | undefined, group?: string): Loan | undefined {
    if (this.areTaken) return undefined
    const further = this.#within?.borrow(giveBack, group)
    this.#taken += 1
    if (giveBack === undefined) return { keep: () => {} }
    const loan = { giveBack, group }
    this.#loans.add(loan)
    return {
      keep: () => {
        this.#loans.delete(loan)
        further?.keep()
      },
    }
  }

  /** MUST be called once per take that returned, and per loan. */
  give(): void {
    this.#within?.give()
    this.#giveOwn()
  }

  #giveOwn(): void {
    const next = this.#next()
    if (next === undefined) this.#taken -= 1
    else next.enter()
  }

  #callBack(group: string | undefined): void {
    const youngest = [...this.#loans].findLast(
      loan => loan.group === undefined || loan.group !== group,
    )
    if (youngest === undefined) return
    this.#loans.delete(youngest)
    youngest.giveBack()
  }

  /**
   * Every second place goes to the oldest, if that has waited beyond all patience; the others to
   * the smallest. Not every place, or a queue that has grown old would let no config pass.
   */
  #next(): Waiting | undefined {
    const [oldest] = this.#queue
    if (oldest === undefined) return undefined
    const isOld = this.#clock.monotonicMs() - oldest.sinceMs >= PATIENCE_MS
    const goesByAge = isOld && this.#isTurnOfAge
    this.#isTurnOfAge = !goesByAge
    const chosen = goesByAge
      ? oldest
      : this.#queue.reduce((least, other) => (other.sizeBytes < least.sizeBytes ? other : least))
    this.#queue.splice(this.#queue.indexOf(chosen), 1)
    return chosen
  }
}
