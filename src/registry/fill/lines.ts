// The requests for blobs that may run at one upstream at once, shared by all its fills. Each fill
// has one for itself as long as it downloads; what is left goes to those that can use more than
// one, and comes back as soon as a fill without any waits.

/**
 * Left free by those that have one already, where there are this many at least: the first request
 * of a small blob does not wait.
 */
const KEPT_FREE = 1
const KEPT_FREE_FROM = 4

/** One fill's share. */
export interface Claim {
  /** The smallest goes first. */
  readonly sizeBytes: number
  /** Nobody waits for it: everybody else goes first. */
  readonly isUnasked: () => boolean
  /** Has it anything left to ask for by more lines? */
  readonly wantsMore: () => boolean
  /** Called when more may be had, after it was refused. */
  readonly wake: () => void
}

interface Waiting {
  readonly claim: Claim
  readonly enter: () => void
}

export class Lines {
  readonly #most: number
  #free: number
  /** How many each has. */
  readonly #held = new Map<Claim, number>()
  readonly #queue: Waiting[] = []
  readonly #refused = new Set<Claim>()

  /** `most` is at least 1. */
  constructor(most: number) {
    this.#most = most
    this.#free = most
  }

  /** By all fills together. */
  get taken(): number {
    return this.#most - this.#free
  }

  /** How many have one. */
  get fills(): number {
    return this.#held.size
  }

  /**
   * Waits for the first line of a fill. MUST be given back by `leave`.
   * @throws the signal's reason
   */
  async enter(claim: Claim, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free === 0) await this.#turnOf(claim, signal)
    else this.#free -= 1
    this.#held.set(claim, 1)
  }

  /**
   * One more for a fill that has some; false when there is none to spare, and `wake` is called
   * later.
   */
  more(claim: Claim): boolean {
    const keptFree = this.#most >= KEPT_FREE_FROM ? KEPT_FREE : 0
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
  give(claim: Claim): void {
    this.#held.set(claim, (this.#held.get(claim) ?? 1) - 1)
    this.#release(1)
  }

  /** All of a fill's lines come back. No effect when it has none. */
  leave(claim: Claim): void {
    this.#refused.delete(claim)
    const held = this.#held.get(claim) ?? 0
    this.#held.delete(claim)
    this.#release(held)
  }

  /** Has this one its fair part already, while another that may have more was refused? */
  #mustYield(claim: Claim, held: number): boolean {
    const others = [...this.#held.keys()].filter(other => other !== claim)
    // Who has asked for all of its blob needs no more: what it leaves would lie idle until then.
    if (claim.isUnasked() && others.some(other => !other.isUnasked() && other.wantsMore()))
      return true
    const wanting = others.filter(other => this.#refused.has(other) && !other.isUnasked())
    return wanting.length > 0 && held >= Math.max(1, Math.floor(this.#most / (wanting.length + 1)))
  }

  #release(count: number): void {
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
    const chosen = others.reduce((best, other) => (goesBefore(other, best) ? other : best), first)
    this.#queue.splice(this.#queue.indexOf(chosen), 1)
    return chosen
  }

  #turnOf(claim: Claim, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        reject(signal.reason)
      }
      const enter = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const waiting = { claim, enter }
      this.#queue.push(waiting)
      signal.addEventListener('abort', leave, { once: true })
    })
  }
}

function goesBefore({ claim }: Waiting, { claim: other }: Waiting): boolean {
  if (claim.isUnasked() !== other.isUnasked()) return other.isUnasked()
  return claim.sizeBytes < other.sizeBytes
}
