// What one process remembers of the keys of the outbox beside what is durable: requests that may
// still arrive, what waits for an upstream to answer again, and since when something is refused.
// Losing it costs time, never order: docs/adr/0012-outbox.md.
import type { Clock } from '../registry/ports/clock.ts'
import type { Delivery } from '../registry/ports/outbox.ts'

interface KeyState {
  /** The newest request that may still arrive, and the entry that it is of. Monotonic. */
  doubt: { readonly id: number; readonly untilMs: number } | undefined
  /** Nothing is tried before. Monotonic. */
  heldUntilMs: number
  /** The destination that did not answer. */
  silentDestination: string | undefined
  /** It is tried now, whatever its time. */
  isHurried: boolean
  /** The last attempt began then. Monotonic; undefined when none did in this process. */
  triedMs: number | undefined
  /** Since when this entry is refused. Monotonic. */
  refused: { readonly id: number; readonly sinceMs: number } | undefined
}

export class KeyMemory {
  readonly #clock: Clock
  readonly #settlingMs: number
  readonly #startedMs: number
  readonly #keys = new Map<string, KeyState>()
  /** When each destination was last configured anew. Monotonic. */
  readonly #anewMs = new Map<string, number>()

  /** Made when the process starts to carry: requests of earlier processes were all sent before. */
  constructor(clock: Clock, settlingMs: number) {
    this.#clock = clock
    this.#settlingMs = settlingMs
    this.#startedMs = clock.monotonicMs()
  }

  /** A request for this entry ended without a word of the other side. */
  addDoubt({ key, id }: Delivery): void {
    this.#open(key).doubt = { id, untilMs: this.#clock.monotonicMs() + this.#settlingMs }
  }

  /** Until no request of this entry can arrive any more; 0 when there is none. */
  doubtLeftMs({ key, id, inDoubt }: Delivery): number {
    const doubt = this.#keys.get(key)?.doubt
    const inheritedMs = inDoubt ? this.#startedMs + this.#settlingMs : 0
    const untilMs = doubt?.id === id ? Math.max(doubt.untilMs, inheritedMs) : inheritedMs
    return this.#leftMs(untilMs)
  }

  /**
   * Until this entry may be tried: nothing of another one may be under way, even if that is out of
   * the outbox by now.
   */
  barredMs({ key, id }: Delivery): number {
    const state = this.#keys.get(key)
    if (state === undefined) return 0
    const { doubt, heldUntilMs } = state
    const doubtMs = doubt === undefined || doubt.id === id ? 0 : this.#leftMs(doubt.untilMs)
    return Math.max(doubtMs, this.#leftMs(heldUntilMs))
  }

  /**
   * Until no request of this key that ended without an answer in this process can arrive any more.
   */
  unsettledMs(key: string): number {
    return this.#leftMs(this.#keys.get(key)?.doubt?.untilMs ?? 0)
  }

  /** Nothing of this key is tried for `ms`. */
  hold(key: string, ms: number): void {
    this.#open(key).heldUntilMs = this.#clock.monotonicMs() + ms
  }

  /** Nobody answered there. */
  setSilent(key: string, destination: string): void {
    this.#open(key).silentDestination = destination
  }

  /** Somebody answers there: what found it silent is tried now. */
  hurry(destination: string): void {
    for (const state of this.#keys.values()) {
      if (state.silentDestination !== destination) continue
      state.silentDestination = undefined
      state.isHurried = true
    }
  }

  /**
   * The destination was configured anew: whatever was wrong there may be mended, so all that was
   * tried before is tried now.
   */
  anew(destination: string): void {
    this.#anewMs.set(destination, this.#clock.monotonicMs())
  }

  isHurried(key: string, destination: string): boolean {
    const state = this.#keys.get(key)
    const anewMs = this.#anewMs.get(destination)
    if (anewMs !== undefined && (state?.triedMs ?? this.#startedMs) <= anewMs) return true
    return state?.isHurried ?? false
  }

  /** An attempt begins, so it need not be hurried any more. */
  begin(key: string): void {
    const state = this.#open(key)
    // After the moment in which it was hurried, also where a clock stands still.
    state.triedMs = this.#clock.monotonicMs() + 1
    state.isHurried = false
    state.silentDestination = undefined
  }

  /** For how long this entry has been refused without a break, in milliseconds. */
  refusedForMs({ key, id }: Delivery): number {
    const state = this.#open(key)
    const nowMs = this.#clock.monotonicMs()
    if (state.refused?.id !== id) state.refused = { id, sinceMs: nowMs }
    return nowMs - state.refused.sinceMs
  }

  notRefused(key: string): void {
    const state = this.#keys.get(key)
    if (state !== undefined) state.refused = undefined
  }

  /** Forgets keys of which nothing waits any more. */
  prune(isWaiting: (key: string) => boolean): void {
    for (const [key, { doubt, heldUntilMs }] of this.#keys) {
      const untilMs = Math.max(doubt?.untilMs ?? 0, heldUntilMs)
      if (!isWaiting(key) && this.#leftMs(untilMs) === 0) this.#keys.delete(key)
    }
  }

  #leftMs(untilMs: number): number {
    return Math.max(0, untilMs - this.#clock.monotonicMs())
  }

  #open(key: string): KeyState {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const made: KeyState = {
      doubt: undefined,
      heldUntilMs: 0,
      silentDestination: undefined,
      isHurried: false,
      triedMs: undefined,
      refused: undefined,
    }
    this.#keys.set(key, made)
    return made
  }
}
