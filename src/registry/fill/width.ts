// How many ranges are worth fetching from one upstream at once: found out by trying. More lines
// stay as long as they raise what all of them bring together; what was found is remembered, so that
// the next blob begins with it (docs/adr/0020).
import type { Clock } from '../ports/clock.ts'

/**
 * Long enough that some dozens of pieces come in it, short enough that a blob of some seconds is
 * worth the trying.
 */
const TICK_MS = 150
/**
 * Twice as many lines must bring this much more, or they are not worth having; other steps in
 * proportion.
 */
const GAIN = 0.2
/**
 * A tick tells something about so many lines when they were read for this share of it: at the ends
 * of blobs they have nothing to do.
 */
const USED_SHARE = 0.7
/**
 * Ticks in which more lines may begin to pay: new connections are slow at first, and slower on a
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
/** A line that brings this much is not what holds the download up: a gigabit link is full. */
const ENOUGH_BYTES_PER_MS = 100_000
/** An upstream that answered a range with something else is not asked for ranges again so soon. */
const WHOLE_MS = 10 * 60_000
/** How much a new measurement counts against the remembered one. */
const WEIGHT = 0.3

interface Trial {
  readonly lines: number
  readonly bytesPerMs: number
  ticks: number
}

export class Width {
  readonly #clock: Clock
  readonly #most: number
  /** Those that could use more, woken at each tick and when something changes. */
  readonly #users = new Set<() => void>()
  #ticking: AbortController | undefined
  #stoppedMs = 0
  #lines = 1
  #flowing = 0
  #tickBytes = 0
  #tickStartedMs: number | undefined
  /** Lines times milliseconds that they were read in this tick, up to this moment. */
  #lineMs = 0
  #countedMs = 0
  #trial: Trial | undefined
  #holdMs = HOLD_MS
  #holdUntilMs = 0
  #wholeUntilMs = 0
  #lineBytesPerMs: number | undefined
  #answerMs: number | undefined

  /** `most`: lines at once, at least 1. */
  constructor(clock: Clock, most: number) {
    this.#clock = clock
    this.#most = most
  }

  /** Ranges whose bodies may be read at once, over all fills. */
  get lines(): number {
    return this.#lines
  }

  /** Bytes per millisecond of one line; undefined before the first range. */
  get lineBytesPerMs(): number | undefined {
    return this.#lineBytesPerMs
  }

  /** How long a range takes from the question to the answer's head; undefined before the first. */
  get answerMs(): number | undefined {
    return this.#answerMs
  }

  get mayRange(): boolean {
    return this.#clock.monotonicMs() >= this.#wholeUntilMs
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

  /** A line begins to read its body. A fill's only one may always; false: not now. */
  flow(isOnly: boolean): boolean {
    if (!isOnly && this.#flowing >= this.#lines) return false
    this.#count(1)
    return true
  }

  ebb(): void {
    this.#count(-1)
    this.look()
  }

  received(bytes: number): void {
    if (this.#tickStartedMs === undefined) this.#beginTick(this.#clock.monotonicMs())
    this.#tickBytes += bytes
  }

  answered(afterMs: number): void {
    this.#answerMs = smoothed(this.#answerMs, afterMs)
  }

  /** One line brought so much in this time. */
  brought(bytes: number, inMs: number): void {
    if (inMs > 0) this.#lineBytesPerMs = smoothed(this.#lineBytesPerMs, bytes / inMs)
  }

  /** A range failed in a way that fewer lines may mend. */
  failed(): void {
    this.#lines = Math.max(1, Math.floor(this.#lines / 2))
    this.#trial = undefined
    this.#holdUntilMs = this.#clock.monotonicMs() + CALM_MS
  }

  /** The upstream does not keep to ranges. */
  refused(): void {
    this.#wholeUntilMs = this.#clock.monotonicMs() + WHOLE_MS
  }

  /** It is worth looking again for everybody. */
  look(): void {
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
      if (this.#trial !== undefined) this.#lines = this.#trial.lines
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
    const tells = elapsedMs > 0 && this.#lineMs >= USED_SHARE * this.#lines * elapsedMs
    if (elapsedMs > 0) this.#beginTick(nowMs)
    this.#tickBytes = 0
    if (tells) this.#learn(bytesPerMs, nowMs)
    this.look()
  }

  #beginTick(nowMs: number): void {
    this.#tickStartedMs = this.#countedMs = nowMs
    this.#lineMs = 0
  }

  /** So many more lines are read from now on. */
  #count(more: number): void {
    const nowMs = this.#clock.monotonicMs()
    this.#lineMs += this.#flowing * (nowMs - this.#countedMs)
    this.#countedMs = nowMs
    this.#flowing += more
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
    const wantedGain = GAIN * (this.#lines / trial.lines - 1)
    if (bytesPerMs >= trial.bytesPerMs * (1 + wantedGain)) {
      this.#trial = undefined
      this.#holdMs = HOLD_MS
      this.#tryMore(bytesPerMs)
    } else if (trial.ticks > TRIAL_TICKS) {
      this.#lines = trial.lines
      this.#trial = undefined
      this.#holdUntilMs = nowMs + this.#holdMs
      this.#holdMs = Math.min(HOLD_MAX_MS, this.#holdMs * 2)
    }
  }

  #tryMore(bytesPerMs: number): void {
    // Each fill has a line of its own, whatever was found out: that many are tried already.
    const lines = Math.max(this.#lines, this.#flowing)
    const ofOneBytesPerMs = Math.max(bytesPerMs / lines, this.#lineBytesPerMs ?? 0)
    if (lines >= this.#most || ofOneBytesPerMs >= ENOUGH_BYTES_PER_MS) return
    this.#trial = { lines, bytesPerMs, ticks: 0 }
    this.#lines = Math.min(this.#most, lines * 2)
  }
}

function smoothed(before: number | undefined, now: number): number {
  return before === undefined ? now : before + (now - before) * WEIGHT
}
