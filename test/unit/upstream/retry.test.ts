// Goal: what may pass is tried again, a bounded number of times in bounded time, and nothing else
// is. Method: scripted failures under virtual time; the sum of waits is read from the clock.
import t from 'tap'
import { UpstreamError, type UpstreamFailure } from '../../../src/registry/ports/upstream.ts'
import { startDeadline } from '../../../src/upstream/connect/deadline.ts'
import { retryAfterMs } from '../../../src/upstream/connect/response-headers.ts'
import { withRetries } from '../../../src/upstream/endpoint/retry.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

interface Scripted {
  readonly errors: readonly Error[]
  readonly limitMs?: number
  readonly random?: number
}

/**
 * Runs with all waits passing at once; gives the result, the number of tries, and the time they
 * took.
 */
async function run({ errors, limitMs = 24_000, random = 0.5 }: Scripted) {
  const clock = createManualClock()
  const deadline = startDeadline(clock, limitMs)
  let tries = 0
  const attempt = async (): Promise<string> => {
    const error = errors[tries]
    tries += 1
    if (error !== undefined) throw error
    return 'done'
  }
  let settled = false
  const outcome = withRetries(attempt, { clock, deadline, random: () => random })
    .catch((error: unknown) => error)
    .finally(() => {
      settled = true
    })
  const startMs = clock.monotonicMs()
  for (let at = 0; at < 100 && !settled; at += 1) await clock.advance(250)
  const result = await outcome
  deadline.end()
  return { result, tries, tookMs: clock.monotonicMs() - startMs }
}

const failed = (failure: UpstreamFailure, retryAfter?: number, code?: string) =>
  new UpstreamError(failure, failure, {
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
    ...(code === undefined ? {} : { cause: { code } }),
  })
const fourTimes = (error: Error) => Array.from({ length: 4 }, () => error)

t.test('R149: an outage is tried again three times, after about 1, 2 and 4 seconds', async t => {
  const { result, tries, tookMs } = await run({ errors: fourTimes(failed('unavailable')) })
  t.match(result, { failure: 'unavailable' })
  t.equal(tries, 4)
  t.ok(tookMs >= 7_000 && tookMs < 8_000, String(tookMs))
  const early = await run({ errors: fourTimes(failed('unavailable')), random: 0 })
  t.ok(early.tookMs >= 3_500 && early.tookMs < 4_500, String(early.tookMs))
})

t.test('R149: the first success ends it', async t => {
  const { result, tries } = await run({ errors: [failed('unavailable')] })
  t.equal(result, 'done')
  t.equal(tries, 2)
})

t.test(
  'R149: 401, 403, 404, wrong answers and refusals of our own are never tried again',
  async t => {
    for (const failure of ['denied', 'not-found', 'invalid', 'refused', 'unsupported'] as const) {
      t.equal((await run({ errors: fourTimes(failed(failure)) })).tries, 1, failure)
    }
    const code = 'DEPTH_ZERO_SELF_SIGNED_CERT'
    const certificate = failed('unavailable', undefined, code)
    t.equal((await run({ errors: fourTimes(certificate) })).tries, 1, 'a bad certificate stays bad')
  },
)

t.test(
  'R149: Retry-After is waited for when it is short, and ends the tries when it is long',
  async t => {
    const short = await run({ errors: [failed('rate-limited', 6_000)] })
    t.equal(short.result, 'done')
    t.ok(short.tookMs >= 6_000, String(short.tookMs))
    const long = await run({ errors: fourTimes(failed('rate-limited', 11_000)) })
    t.equal(long.tries, 1)
  },
)

t.test('R149: no try is begun that the time limit would cut at once', async t => {
  const { tries, tookMs } = await run({ errors: fourTimes(failed('unavailable')), limitMs: 3_500 })
  t.equal(tries, 2)
  t.ok(tookMs < 3_500, String(tookMs))
})

t.test('a connection that the peer had closed is replaced at once, and once only', async t => {
  const stale = failed('unavailable', undefined, 'UND_ERR_SOCKET')
  const once = await run({ errors: [stale] })
  t.equal(once.result, 'done')
  t.ok(once.tookMs <= 250, String(once.tookMs))
  t.equal((await run({ errors: Array.from({ length: 9 }, () => stale) })).tries, 5)
})

t.test(
  'R149: Retry-After comes in seconds or as a date, and is believed for an hour at most',
  async t => {
    const nowMs = Date.UTC(2026, 0, 1)
    t.equal(retryAfterMs('7', nowMs), 7_000)
    t.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:09 GMT', nowMs), 9_000)
    t.equal(retryAfterMs('Wed, 31 Dec 2025 23:00:00 GMT', nowMs), 0)
    t.equal(retryAfterMs('999999', nowMs), 3_600_000)
    t.equal(retryAfterMs('soon', nowMs), undefined)
    t.equal(retryAfterMs(undefined, nowMs), undefined)
  },
)
