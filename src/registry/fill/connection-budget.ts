// The connections for blobs that may be in use at one upstream at once, shared by all its fills.
// Each fill has one for itself as long as it downloads; what is left goes to those that can use
// more than one, and comes back as soon as a fill without any waits.
import { waitInLine } from '../../async/wait-in-line.ts'

/**
 * Left free by those that have one already, where there are this many at least: the first request
 * of a small blob does not wait.
 */
const KEPT_FREE = 1
const KEPT_FREE_FROM = 4

/** One fill's share of the budget. */
export interface ConnectionClaim {
  /** The smallest goes first. */
  readonly sizeBytes: number
  /** No client waits for it: everybody else goes first. */
  readonly isSpeculative: () => boolean
  /** Has it anything left to ask for by more connections? */
  readonly wantsMore: () => boolean
  /** Called when more may be had, after it was refused. */
  readonly wake: () => void
}

interface Waiting {
  readonly claim: ConnectionClaim
  readonly enter: () => void
}

export class ConnectionBudget {
  readonly #max: number
  #free: number
  /** How many each has. */
  readonly #held = new Map<ConnectionClaim, number>()
  readonly #queue: Waiting[] = []
  readonly #refused = new Set<ConnectionClaim>()

  /** `max` is at least 1. */
  constructor(max: number) {
    this.#max = max
    this.#free = max
  }

  /** By all fills together. */
  get inUse(): number {
    return this.#max - this.#free
  }

  /** How many have one. */
  get fills(): number {
    return this.#held.size
  }

  /**
   * Waits for the first connection of a fill. MUST be given back by `releaseAll`.
   * @throws the signal's reason
   */
  async acquire(claim: ConnectionClaim, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free === 0) await this.#turnOf(claim, signal)
    else this.#free -= 1
    this.#held.set(claim, 1)
  }

  /**
   * One more for a fill that has some; false when there is none to spare, and `wake` is called
   * later.
   */
  tryAcquireMore(claim: ConnectionClaim): boolean {
    const keptFree = this.#max >= KEPT_FREE_FROM ? KEPT_FREE : 0
    const held = this.#held.get(claim) ?? 0
    if (this.#free <= keptFree || this.#queue.length > 0 || this.#mustYield(claim, held)) {
      this.#refused.add(claim)
      return false
    }
    this.#refused.delete(claim)
    this.#free -= 1
    this.#held.set(claim, held + 1)
    return true
  }

  /** One comes back, not the last of the fill. */
  release(claim: ConnectionClaim): void {
    this.#held.set(claim, (this.#held.get(claim) ?? 1) - 1)
    this.#giveOut(1)
  }

  /** All of a fill's connections come back. No effect when it has none. */
  releaseAll(claim: ConnectionClaim): void {
    this.#refused.delete(claim)
    const held = this.#held.get(claim) ?? 0
    this.#held.delete(claim)
    this.#giveOut(held)
  }

  /** Has this one its fair part already, while another that may have more was refused? */
  #mustYield(claim: ConnectionClaim, held: number): boolean {
    const others = [...this.#held.keys()].filter(other => other !== claim)
    // Who has asked for all of its blob needs no more: what it leaves would lie idle until then.
    if (claim.isSpeculative() && others.some(other => !other.isSpeculative() && other.wantsMore()))
      return true
    const wanting = others.filter(other => this.#refused.has(other) && !other.isSpeculative())
    return wanting.length > 0 && held >= Math.max(1, Math.floor(this.#max / (wanting.length + 1)))
  }

  #giveOut(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const next = this.#next()
      if (next === undefined) this.#free += 1
      else next.enter()
    }
    if (this.#free > 0) for (const claim of this.#refused) claim.wake()
  }

  #next(): Waiting | undefined {
    const [first, ...others] = this.#queue
    if (first === undefined) return undefined
    const chosen = others.reduce((best, other) => (comesBefore(other, best) ? other : best), first)
    this.#queue.splice(this.#queue.indexOf(chosen), 1)
    return chosen
  }

  #turnOf(claim: ConnectionClaim, signal: AbortSignal): Promise<void> {
    return waitInLine(this.#queue, signal, enter => ({ claim, enter }))
  }
}

function comesBefore({ claim }: Waiting, { claim: other }: Waiting): boolean {
  if (claim.isSpeculative() !== other.isSpeculative()) return other.isSpeculative()
  return claim.sizeBytes < other.sizeBytes
}
