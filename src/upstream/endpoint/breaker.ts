// The breaker of one endpoint (R93): after enough failures nobody waits for it any more, and one
// request at a time finds out whether it is back; beside them `/v2/` is asked now and then (R305).
// Rate limits (R154) open it for the time the upstream names, for manifests and blobs apart, since
// a registry that limits pulls goes on giving the blobs of those that were counted already. Where
// somebody was reached, one thing may be broken or hang and the rest be well: then `/v2/` is asked
// before everything is cut off (docs/adr/0028-one-broken-blob.md).
import type { Clock } from '../../registry/ports/clock.ts'
import type { EngineEvent } from '../../registry/ports/events.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Lane } from '../connect/dispatcher.ts'
import { FailureWindow } from './failure-window.ts'

const OPEN_MS = 30_000
const OPEN_MAX_MS = 5 * 60_000
/**
 * Between two questions that nobody has asked for. The same wherever edges lost a registry
 * together, but for WATCH_SPREAD.
 */
const WATCH_MS = 30_000
/** Of that time, how much chance adds or takes: they do not come back together. */
const WATCH_SPREAD = 0.1
/** So long after the last who wanted something; what waits to be delivered is tried more often. */
const WATCH_WANTED_MS = 15 * 60_000
/** When a 429 names no time. Docker Hub does not, and counts by hours. */
const LIMITED_DEFAULT_MS = 60_000
/** Timers may ring a little early. */
const TIMER_SLACK_MS = 5

const BREAKER_OPEN = { code: 'BREAKER_OPEN' }

/** Was nothing sent at all? Then there is nothing to try again. */
export function isBreakerError(error: UpstreamError): boolean {
  return error.cause === BREAKER_OPEN
}

export type BreakerState = 'closed' | 'half-open' | 'open'

/**
 * What a request that was let through found. `none`: nothing that speaks about the endpoint, for
 * example the caller left.
 */
export type Finding =
  | { readonly kind: 'good' }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'failed'
      readonly error: UpstreamError
      /** Somebody is there, and what was asked for may be all that is broken. */
      readonly wasReached: boolean
    }

type BreakerChange = Omit<Extract<EngineEvent, { kind: 'upstream breaker' }>, 'kind' | 'registry'>

export interface BreakerOptions {
  readonly clock: Clock
  readonly host: string
  readonly onChange: (change: BreakerChange) => void
  /**
   * Does the endpoint answer as such, whatever it says of single contents? Bounded in time; never
   * rejects.
   */
  readonly isThere: () => Promise<boolean>
  /**
   * Whether it is back is asked without a request, too, until `signal` aborts. Default: it is not.
   */
  readonly watch?: Watch | undefined
}

export interface Watch {
  /** In [0, 1). */
  readonly random: () => number
  readonly signal: AbortSignal
}

export class Breaker {
  readonly #options: BreakerOptions
  readonly #failures: FailureWindow
  readonly #limited = new Map<Lane, { readonly untilMs: number }>()
  #state: BreakerState = 'closed'
  #openMs = OPEN_MS
  #openUntilMs = 0
  #lastFailure: string | undefined
  #lastFinding: 'good' | 'failed' | undefined
  #pinging: Promise<void> | undefined
  #wantedMs = 0
  #isWatched = false

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#failures = new FailureWindow(options.clock)
  }

  /**
   * Lets a request through; what it found MUST be reported by calling what is given back, once.
   * Resolves, and never rejects, when it is known whether that opens the breaker: a question of a
   * few seconds now and then.
   * @throws UpstreamError unavailable or rate-limited, with retryAfterMs, when it is open
   */
  enter(lane: Lane): (finding: Finding) => Promise<void> {
    const { clock } = this.#options
    this.#wantedMs = clock.monotonicMs()
    const limitMs = this.#limitedMs(lane)
    if (limitMs > 0) throw this.#closedFor('rate-limited', limitMs)
    if (this.#state === 'half-open') throw this.#closedFor('unavailable', 1_000)
    const openForMs = this.#state === 'open' ? this.#openUntilMs - clock.monotonicMs() : 0
    if (openForMs > 0) throw this.#closedFor('unavailable', openForMs)
    const probing = this.#state === 'open'
    if (probing) this.#change('half-open', 'one request asks whether it is back')
    let isReported = false
    return async finding => {
      if (isReported) return
      isReported = true
      await this.#learn(lane, probing, finding)
    }
  }

  /**
   * A body broke after its head was good, or on its way up after it was let through. Default lane
   * `blob`.
   */
  bodyFailed(error: UpstreamError, lane: Lane = 'blob'): void {
    void this.#learn(lane, false, { kind: 'failed', error, wasReached: true })
  }

  /**
   * Whatever was found, and whatever limit was named: the next request is let through and finds
   * out.
   */
  letNextThrough(): void {
    this.#openUntilMs = this.#options.clock.monotonicMs()
    this.#limited.clear()
  }

  get state(): BreakerState {
    if (this.#state !== 'closed') return this.#state
    return this.retryInMs === undefined ? 'closed' : 'open'
  }

  /** Until a request would be let through, in any lane; undefined when it is not open. */
  get retryInMs(): number | undefined {
    const ms = Math.min(this.#waitMs('api'), this.#waitMs('blob'))
    return ms > 0 ? ms : undefined
  }

  get lastFailure(): string | undefined {
    return this.#lastFailure
  }

  /** What the last request found that found anything. */
  get lastFinding(): 'good' | 'failed' | undefined {
    return this.#lastFinding
  }

  async #learn(lane: Lane, probing: boolean, finding: Finding): Promise<void> {
    if (finding.kind === 'none') {
      // The probe found nothing out; the next request is one.
      if (probing && this.#state === 'half-open') this.#change('open', 'the probe was given up')
      return
    }
    this.#lastFinding = finding.kind
    if (finding.kind === 'failed') {
      this.#lastFailure = finding.error.message
      if (finding.error.failure === 'rate-limited') {
        // It answers, whatever it answers.
        if (probing) this.#close()
        return this.#limit(lane, finding.error)
      }
      this.#failures.add(true)
      if (!probing && !(this.#state === 'closed' && this.#failures.tooMany)) return
      return finding.wasReached ? this.#openUnlessThere(finding.error) : this.#open(finding.error)
    }
    this.#failures.add(false)
    const wasLimited = this.#limited.delete(lane)
    if (probing) this.#close()
    else if (wasLimited && this.#state === 'closed') {
      const reason = 'the rate limit has passed'
      this.#options.onChange({ state: this.#state, reason, hint: undefined })
    }
  }

  #open(error: UpstreamError): void {
    const { clock, watch } = this.#options
    this.#openUntilMs = clock.monotonicMs() + this.#openMs
    this.#openMs = Math.min(this.#openMs * 2, OPEN_MAX_MS)
    this.#failures.clear()
    this.#change('open', error.message, error.hint)
    if (watch !== undefined && !this.#isWatched) void this.#keepPinging(watch)
  }

  /** One question for all who fail meanwhile. */
  #openUnlessThere(error: UpstreamError): Promise<void> {
    this.#pinging ??= this.#options.isThere().then(there => {
      this.#pinging = undefined
      if (!there) return this.#open(error)
      this.#failures.clear()
      if (this.#state === 'half-open') this.#close()
    })
    return this.#pinging
  }

  #close(): void {
    this.#openMs = OPEN_MS
    this.#openUntilMs = 0
    this.#change('closed', 'it answers again')
  }

  #change(to: BreakerState, reason: string, hint?: string): void {
    if (this.#state === to) return
    this.#state = to
    this.#options.onChange({ state: to, reason, hint })
  }

  /**
   * A pause grows with what clients find, so that few of them wait for nothing; this finds out what
   * none of them would for minutes.
   */
  async #keepPinging({ random, signal }: Watch): Promise<void> {
    const { clock, isThere } = this.#options
    this.#isWatched = true
    // The question is the API's: while that is limited, nobody asks by itself.
    const mayPing = () => this.#state === 'open' && this.#limitedMs('api') === 0
    try {
      while (this.#state !== 'closed' && clock.monotonicMs() - this.#wantedMs < WATCH_WANTED_MS) {
        await clock.sleep(WATCH_MS * (1 + WATCH_SPREAD * (2 * random() - 1)), signal)
        // What a client is finding out is left to it.
        if (!mayPing() || !(await isThere()) || this.#state !== 'open') continue
        this.#lastFinding = 'good'
        this.#close()
      }
    } catch {
      // It is closed for good.
    } finally {
      this.#isWatched = false
    }
  }

  /**
   * A first 429 that names no time is worth the retry that follows it; a second one is believed.
   */
  #limit(lane: Lane, error: UpstreamError): void {
    const before = this.#limited.get(lane)
    const isHint = error.retryAfterMs === undefined && before === undefined
    const forMs = isHint ? 0 : (error.retryAfterMs ?? LIMITED_DEFAULT_MS)
    this.#limited.set(lane, { untilMs: this.#options.clock.monotonicMs() + forMs })
    if (forMs > 0)
      this.#options.onChange({ state: 'open', reason: error.message, hint: error.hint })
  }

  #limitedMs(lane: Lane): number {
    const leftMs = (this.#limited.get(lane)?.untilMs ?? 0) - this.#options.clock.monotonicMs()
    return leftMs > TIMER_SLACK_MS ? leftMs : 0
  }

  #waitMs(lane: Lane): number {
    return Math.max(this.#openUntilMs - this.#options.clock.monotonicMs(), this.#limitedMs(lane), 0)
  }

  #closedFor(failure: 'unavailable' | 'rate-limited', forMs: number): UpstreamError {
    const { host } = this.#options
    const why = this.#lastFailure === undefined ? '' : `; last: ${this.#lastFailure}`
    return new UpstreamError(
      failure,
      `${host} is asked again in at most ${Math.ceil(forMs / 1000)} s${why}`,
      {
        retryAfterMs: forMs,
        hint: 'nothing needs to be done for that; see the failure that is named',
        cause: BREAKER_OPEN,
      },
    )
  }
}
