// How many ranges are worth fetching from one upstream at once: found out by trying. More
// connections stay as long as they raise the throughput of all of them together; what was found is
// remembered, so that the next blob begins with it (docs/adr/0020).
import type { Clock } from '../ports/clock.ts'

/**
 * Long enough that some dozens of pieces come in it, short enough that a blob of some seconds is
 * worth the trying.
 */
const TICK_MS = 150
/**
 * Twice as many connections must give this much more throughput, or they are not worth having;
 * other steps in proportion.
 */
const GAIN = 0.2
/**
 * A tick tells something about so many connections when they were read for this share of it: at the
 * ends of blobs they have nothing to do.
 */
const USED_SHARE = 0.7
/**
 * Ticks in which more connections may begin to pay: new ones are slow at first, and slower on a
 * long way.
 */
const TRIAL_TICKS = 4
/**
 * A trial goes on with the next blob when that comes so soon: a client that hashes one before it
 * asks for the next.
 */
const TRIAL_KEPT_MS = 1_000
/**
 * After a trial in vain, and twice as long after each that follows: the first may have been chance.
 */
const HOLD_MS = 1_000
const HOLD_MAX_MS = 16_000
/** After a failure: what an upstream cannot bear it does not bear a moment later either. */
const CALM_MS = 10_000
/** A connection that gives this much is not what holds the download up: a gigabit link is full. */
const ENOUGH_BYTES_PER_MS = 100_000
/** An upstream that answered a range with something else is not asked for ranges again so soon. */
const NO_RANGES_MS = 10 * 60_000
/** How much a new measurement counts against the remembered one. */
const WEIGHT = 0.3

interface Trial {
  readonly limit: number
  readonly bytesPerMs: number
  ticks: number
}

export class ConcurrencyController {
  readonly #clock: Clock
  readonly #max: number
  /** Those that could use more, woken at each tick and when something changes. */
  readonly #users = new Set<() => void>()
  #ticking: AbortController | undefined
  #stoppedMs = 0
  #limit = 1
  #inUse = 0
  #tickBytes = 0
  #tickStartedMs: number | undefined
  /** Connections times milliseconds that they were read in this tick, up to this moment. */
  #connectionMs = 0
  #countedMs = 0
  #trial: Trial | undefined
  #holdMs = HOLD_MS
  #holdUntilMs = 0
  #noRangesUntilMs = 0
  #connectionBytesPerMs: number | undefined
  #latencyMs: number | undefined

  /** `max`: connections at once, at least 1. */
  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  /** Ranges whose bodies may be read at once, over all fills. */
  get limit(): number {
    return this.#limit
  }

  /** Bytes per millisecond of one connection; undefined before the first range. */
  get connectionBytesPerMs(): number | undefined {
    return this.#connectionBytesPerMs
  }

  /** How long a range takes from the request to the response's head; undefined before the first. */
  get latencyMs(): number | undefined {
    return this.#latencyMs
  }

  get mayUseRanges(): boolean {
    return this.#clock.monotonicMs() >= this.#noRangesUntilMs
  }

  /**
   * `wake` is called whenever it is worth looking again. Returns what ends that, to be called once.
   */
  join(wake: () => void): () => void {
    this.#users.add(wake)
    if (this.#users.size === 1) this.#start()
    return () => {
      this.#users.delete(wake)
      if (this.#users.size === 0) this.#stop()
    }
  }

  /** A connection begins to read its body. A fill's only one may always; false: not now. */
  tryAcquire(isOnly: boolean): boolean {
    if (!isOnly && this.#inUse >= this.#limit) return false
    this.#count(1)
    return true
  }

  release(): void {
    this.#count(-1)
    this.wakeAll()
  }

  received(bytes: number): void {
    if (this.#tickStartedMs === undefined) this.#beginTick(this.#clock.monotonicMs())
    this.#tickBytes += bytes
  }

  noteLatency(afterMs: number): void {
    this.#latencyMs = smoothed(this.#latencyMs, afterMs)
  }

  /** One connection brought so much in this time. */
  noteThroughput(bytes: number, inMs: number): void {
    if (inMs > 0) this.#connectionBytesPerMs = smoothed(this.#connectionBytesPerMs, bytes / inMs)
  }

  /** A range failed in a way that fewer connections may mend. */
  failed(): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2))
    this.#trial = undefined
    this.#holdUntilMs = this.#clock.monotonicMs() + CALM_MS
  }

  /** The upstream does not keep to ranges. */
  noteRangesRefused(): void {
    this.#noRangesUntilMs = this.#clock.monotonicMs() + NO_RANGES_MS
  }

  /** It is worth looking again for everybody. */
  wakeAll(): void {
    for (const wake of this.#users) wake()
  }

  #start(): void {
    const ticking = new AbortController()
    this.#ticking = ticking
    this.#tickStartedMs = undefined
    this.#tickBytes = 0
    // What a trial is compared with was of another time. Blobs that come one after another are
    // there too soon for a trial each.
    if (this.#clock.monotonicMs() - this.#stoppedMs > TRIAL_KEPT_MS) {
      if (this.#trial !== undefined) this.#limit = this.#trial.limit
      this.#trial = undefined
    }
    const run = async (): Promise<void> => {
      for (;;) {
        await this.#clock.sleep(TICK_MS, ticking.signal)
        this.#tick()
      }
    }
    // The sleep rejects when stopped, and only then.
    run().catch(() => {})
  }

  #stop(): void {
    this.#ticking?.abort()
    this.#ticking = undefined
    this.#stoppedMs = this.#clock.monotonicMs()
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs()
    const elapsedMs = nowMs - (this.#tickStartedMs ?? nowMs)
    const bytesPerMs = elapsedMs > 0 ? this.#tickBytes / elapsedMs : 0
    this.#count(0)
    const tells = elapsedMs > 0 && this.#connectionMs >= USED_SHARE * this.#limit * elapsedMs
    if (elapsedMs > 0) this.#beginTick(nowMs)
    this.#tickBytes = 0
    if (tells) this.#learn(bytesPerMs, nowMs)
    this.wakeAll()
  }

  #beginTick(nowMs: number): void {
    this.#tickStartedMs = this.#countedMs = nowMs
    this.#connectionMs = 0
  }

  /** So many more connections are read from now on. */
  #count(more: number): void {
    const nowMs = this.#clock.monotonicMs()
    this.#connectionMs += this.#inUse * (nowMs - this.#countedMs)
    this.#countedMs = nowMs
    this.#inUse += more
  }

  #learn(bytesPerMs: number, nowMs: number): void {
    const trial = this.#trial
    if (trial === undefined) {
      if (nowMs >= this.#holdUntilMs) this.#tryMore(bytesPerMs)
      return
    }
    trial.ticks += 1
    // The first tick is that of connections that are being made.
    if (trial.ticks === 1) return
    const wantedGain = GAIN * (this.#limit / trial.limit - 1)
    if (bytesPerMs >= trial.bytesPerMs * (1 + wantedGain)) {
      this.#trial = undefined
      this.#holdMs = HOLD_MS
      this.#tryMore(bytesPerMs)
    } else if (trial.ticks > TRIAL_TICKS) {
      this.#limit = trial.limit
      this.#trial = undefined
      this.#holdUntilMs = nowMs + this.#holdMs
      this.#holdMs = Math.min(HOLD_MAX_MS, this.#holdMs * 2)
    }
  }

  #tryMore(bytesPerMs: number): void {
    // Each fill has a connection of its own, whatever was found out: that many are tried already.
    const inUse = Math.max(this.#limit, this.#inUse)
    const ofOneBytesPerMs = Math.max(bytesPerMs / inUse, this.#connectionBytesPerMs ?? 0)
    if (inUse >= this.#max || ofOneBytesPerMs >= ENOUGH_BYTES_PER_MS) return
    this.#trial = { limit: inUse, bytesPerMs, ticks: 0 }
    this.#limit = Math.min(this.#max, inUse * 2)
  }
}

function smoothed(before: number | undefined, now: number): number {
  return before === undefined ? now : before + (now - before) * WEIGHT
}
