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

/** Fewer may be chance; more keep clients waiting for nothing. */
const FAILURES_IN_A_ROW = 5
/**
 * For upstreams that fail often but not always: more than half of at least so many within the
 * window.
 */
const WINDOW_MS = 30_000
const WINDOW_MIN = 20
const WINDOW_FAILED_SHARE = 0.5
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
/** Bounds the window's memory under load; what is older says little. */
const WINDOW_MAX = 1_000

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

export interface Breaker {
  /**
   * Lets a request through; what it found MUST be reported by calling what is given back, once.
   * Resolves, and never rejects, when it is known whether that opens the breaker: a question of a
   * few seconds now and then.
   * @throws UpstreamError unavailable or rate-limited, with retryAfterMs, when it is open
   */
  enter(lane: Lane): (finding: Finding) => Promise<void>
  /**
   * Whatever was found, and whatever limit was named: the next request is let through and finds
   * out.
   */
  letNextThrough(): void
  /**
   * A body broke after its head was good, or on its way up after it was let through. Default lane
   * `blob`.
   */
  bodyFailed(error: UpstreamError, lane?: Lane): void
  readonly state: BreakerState
  /** Until a request would be let through, in any lane; undefined when it is not open. */
  readonly retryInMs: number | undefined
  readonly lastFailure: string | undefined
  /** What the last request found that found anything. */
  readonly lastFinding: 'good' | 'failed' | undefined
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

export function createBreaker({ clock, host, onChange, isThere, watch }: BreakerOptions): Breaker {
  let state: BreakerState = 'closed'
  let openMs = OPEN_MS
  let openUntilMs = 0
  let inARow = 0
  let lastFailure: string | undefined
  let lastFinding: Breaker['lastFinding']
  let recent: { readonly atMs: number; readonly failed: boolean }[] = []
  let pinging: Promise<void> | undefined
  let wantedMs = 0
  let isWatched = false
  const limited = new Map<Lane, { readonly untilMs: number }>()

  function change(to: BreakerState, reason: string, hint?: string): void {
    if (state === to) return
    state = to
    onChange({ state, reason, hint })
  }

  function open(error: UpstreamError): void {
    openUntilMs = clock.monotonicMs() + openMs
    openMs = Math.min(openMs * 2, OPEN_MAX_MS)
    inARow = 0
    recent = []
    change('open', error.message, error.hint)
    if (watch !== undefined && !isWatched) void keepPinging(watch)
  }

  /**
   * A pause grows with what clients find, so that few of them wait for nothing; this finds out what
   * none of them would for minutes.
   */
  async function keepPinging({ random, signal }: Watch): Promise<void> {
    isWatched = true
    // The question is the API's: while that is limited, nobody asks by itself.
    const mayPing = () => state === 'open' && limitedMs('api') === 0
    try {
      while (state !== 'closed' && clock.monotonicMs() - wantedMs < WATCH_WANTED_MS) {
        await clock.sleep(WATCH_MS * (1 + WATCH_SPREAD * (2 * random() - 1)), signal)
        // What a client is finding out is left to it.
        if (!mayPing() || !(await isThere()) || state !== 'open') continue
        lastFinding = 'good'
        close()
      }
    } catch {
      // It is closed for good.
    } finally {
      isWatched = false
    }
  }

  /** One question for all who fail meanwhile. */
  function openUnlessThere(error: UpstreamError): Promise<void> {
    pinging ??= isThere().then(there => {
      pinging = undefined
      if (!there) return open(error)
      inARow = 0
      recent = []
      if (state === 'half-open') close()
    })
    return pinging
  }

  /**
   * A first 429 that names no time is worth the retry that follows it; a second one is believed.
   */
  function limit(lane: Lane, error: UpstreamError): void {
    const before = limited.get(lane)
    const isHint = error.retryAfterMs === undefined && before === undefined
    const forMs = isHint ? 0 : (error.retryAfterMs ?? LIMITED_DEFAULT_MS)
    limited.set(lane, { untilMs: clock.monotonicMs() + forMs })
    if (forMs > 0) onChange({ state: 'open', reason: error.message, hint: error.hint })
  }

  function limitedMs(lane: Lane): number {
    const leftMs = (limited.get(lane)?.untilMs ?? 0) - clock.monotonicMs()
    return leftMs > TIMER_SLACK_MS ? leftMs : 0
  }

  function count(failed: boolean): void {
    const nowMs = clock.monotonicMs()
    inARow = failed ? inARow + 1 : 0
    recent = recent.filter(({ atMs }) => nowMs - atMs < WINDOW_MS).slice(-WINDOW_MAX)
    recent.push({ atMs: nowMs, failed })
  }

  function tooMany(): boolean {
    if (inARow >= FAILURES_IN_A_ROW) return true
    const failed = recent.filter(finding => finding.failed).length
    return recent.length >= WINDOW_MIN && failed > recent.length * WINDOW_FAILED_SHARE
  }

  async function learn(lane: Lane, probing: boolean, finding: Finding): Promise<void> {
    if (finding.kind === 'none') {
      // The probe found nothing out; the next request is one.
      if (probing && state === 'half-open') change('open', 'the probe was given up')
      return
    }
    lastFinding = finding.kind
    if (finding.kind === 'failed') {
      lastFailure = finding.error.message
      if (finding.error.failure === 'rate-limited') {
        // It answers, whatever it answers.
        if (probing) close()
        return limit(lane, finding.error)
      }
      count(true)
      if (!probing && !(state === 'closed' && tooMany())) return
      return finding.wasReached ? openUnlessThere(finding.error) : open(finding.error)
    }
    count(false)
    const wasLimited = limited.delete(lane)
    if (probing) close()
    else if (wasLimited && state === 'closed') {
      onChange({ state, reason: 'the rate limit has passed', hint: undefined })
    }
  }

  function close(): void {
    openMs = OPEN_MS
    change('closed', 'it answers again')
  }

  function waitMs(lane: Lane): number {
    return Math.max(openUntilMs - clock.monotonicMs(), limitedMs(lane), 0)
  }

  return {
    enter: lane => {
      wantedMs = clock.monotonicMs()
      const limitMs = limitedMs(lane)
      if (limitMs > 0) throw closedFor(host, 'rate-limited', limitMs, lastFailure)
      if (state === 'half-open') throw closedFor(host, 'unavailable', 1_000, lastFailure)
      const openForMs = state === 'open' ? openUntilMs - clock.monotonicMs() : 0
      if (openForMs > 0) throw closedFor(host, 'unavailable', openForMs, lastFailure)
      const probing = state === 'open'
      if (probing) change('half-open', 'one request asks whether it is back')
      let isReported = false
      return async finding => {
        if (isReported) return
        isReported = true
        await learn(lane, probing, finding)
      }
    },
    bodyFailed: (error, lane = 'blob') => {
      void learn(lane, false, { kind: 'failed', error, wasReached: true })
    },
    get state() {
      if (state !== 'closed') return state
      return Math.min(waitMs('api'), waitMs('blob')) > 0 ? 'open' : 'closed'
    },
    get retryInMs() {
      const ms = Math.min(waitMs('api'), waitMs('blob'))
      return ms > 0 ? ms : undefined
    },
    letNextThrough: () => {
      openUntilMs = clock.monotonicMs()
      limited.clear()
    },
    get lastFailure() {
      return lastFailure
    },
    get lastFinding() {
      return lastFinding
    },
  }
}

function closedFor(
  host: string,
  failure: 'unavailable' | 'rate-limited',
  forMs: number,
  lastFailure: string | undefined,
): UpstreamError {
  const why = lastFailure === undefined ? '' : `; last: ${lastFailure}`
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
