// Goal: an upstream that is slow, silent, failing or limiting costs clients bounded time and is
// described truly (R87, R92, R93, R149, R150). Method: stub registries with faults; waits pass by a
// clock that the test moves.
import t from 'tap'
import type { UpstreamFailure } from '../../../src/registry/ports/upstream.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import {
  failureOf,
  LATEST,
  NAME,
  openUpstream,
  readAll,
  type Teardown,
} from '../../kit/open-upstream.ts'
import { failure, tooManyRequests } from '../../kit/stubs/stub-faults.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'outage', layers: [10] })
const BLOB = patternBlob('outage', 1024 * 1024)

async function startFilled(t: Teardown) {
  const stub = await startStub(t)
  stub.addImage(NAME, 'latest', IMAGE)
  stub.addBlob(NAME, BLOB)
  return stub
}

/**
 * Between two tries; shorter than the limit of all tries together, which is not to pass while one
 * is under way.
 */
const LONGEST_PAUSE_MS = 4_000

/** Lets every wait for another try pass until `promise` settles. */
async function hurry<T>(
  promise: Promise<T>,
  clock: ReturnType<typeof openUpstream>['clock'],
): Promise<T> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  for (;;) {
    const waits = clock.untilSleeping(LONGEST_PAUSE_MS).then(() => false)
    if (await Promise.race([settled, waits])) return promise
    await clock.advance(LONGEST_PAUSE_MS)
  }
}

/** As those ask who have another answer to give. */
const IN_HASTE = { retries: 'if responded' } as const

t.test(
  'R149: 408, 425, 429, 500, 502, 503 and 504 and broken connections are tried again',
  async t => {
    for (const status of [408, 425, 429, 500, 502, 503, 504]) {
      const stub = await startFilled(t)
      stub.fault({ kind: 'manifest' }, failure(status), { times: 1 })
      const { upstream, clock } = openUpstream(t, stub.url)
      t.ok(await hurry(upstream.getManifest(NAME, LATEST), clock), `${status}`)
      t.equal(stub.count({ kind: 'manifest' }), 2, `${status}`)
    }
    const stub = await startFilled(t)
    stub.fault({ kind: 'manifest' }, { dropConnection: true }, { times: 2 })
    const { upstream, clock } = openUpstream(t, stub.url)
    t.ok(await hurry(upstream.getManifest(NAME, LATEST), clock))
    t.equal(stub.count({ kind: 'manifest' }), 3)
  },
)

t.test(
  'R92, R149: each status becomes its failure; what is an answer is asked for once',
  async t => {
    const cases: readonly (readonly [number, UpstreamFailure])[] = [
      [400, 'invalid'],
      [401, 'denied'],
      [403, 'denied'],
      [404, 'not-found'],
      [405, 'unsupported'],
      [406, 'unsupported'],
      [410, 'not-found'],
      [300, 'invalid'],
      [304, 'invalid'],
      [204, 'invalid'],
    ]
    for (const [status, expected] of cases) {
      const stub = await startFilled(t)
      stub.fault({ kind: 'manifest' }, failure(status))
      const error = await failureOf(openUpstream(t, stub.url).upstream.getManifest(NAME, LATEST))
      t.match(error, { failure: expected, status }, `${status}`)
      t.equal(stub.count({ kind: 'manifest' }), 1, `${status}`)
    }
  },
)

t.test('a 404 says whether the repository or only the object is missing', async t => {
  const stub = await startFilled(t)
  const { upstream } = openUpstream(t, stub.url)
  stub.fault({ reference: 'latest' }, failure(404, 'NAME_UNKNOWN'))
  t.match(await failureOf(upstream.getManifest(NAME, LATEST)), { repositoryUnknown: true })
  stub.clearFaults()
  stub.fault({ reference: 'latest' }, failure(404, 'MANIFEST_UNKNOWN'))
  t.match(await failureOf(upstream.getManifest(NAME, LATEST)), { repositoryUnknown: false })
})

t.test('R149: Retry-After is waited for, in seconds and as a date', async t => {
  for (const value of ['7', 'Thu, 01 Jan 2026 00:00:07 GMT']) {
    const stub = await startFilled(t)
    stub.fault({ kind: 'manifest' }, tooManyRequests('errors', value), { times: 1 })
    const { upstream, clock } = openUpstream(t, stub.url)
    const done = upstream.getManifest(NAME, LATEST)
    await clock.untilSleeping(7_000)
    await clock.advance(6_900)
    t.equal(stub.count({ kind: 'manifest' }), 1, value)
    await clock.advance(100)
    await done
    t.equal(stub.count({ kind: 'manifest' }), 2, value)
  }
})

t.test(
  'R154: a long rate limit is passed on at once, and respected without asking again',
  async t => {
    for (const form of ['errors', 'message', 'text'] as const) {
      const stub = await startFilled(t)
      stub.fault({ kind: 'manifest' }, tooManyRequests(form, 3600))
      const { upstream, clock, events } = openUpstream(t, stub.url)
      for (let at = 0; at < 3; at += 1) {
        const error = await failureOf(upstream.getManifest(NAME, LATEST))
        t.match(error, { failure: 'rate-limited', retryAfterMs: 3_600_000 }, form)
      }
      t.equal(stub.count({ kind: 'manifest' }), 1, form)
      t.ok(await upstream.headBlob(NAME, BLOB.digest), 'blobs still come')
      stub.clearFaults()
      await clock.advance(3_600_000)
      t.ok(await upstream.getManifest(NAME, LATEST), form)
      t.ok(events.some(event => event.kind === 'upstream breaker'))
    }
  },
)

t.test('R149: the whole chain has a time limit, also when no attempt ends by itself', async t => {
  const stub = await startFilled(t)
  stub.fault({ kind: 'manifest' }, { stallHeaders: true })
  const { upstream, clock } = openUpstream(t, stub.url)
  const failed = failureOf(upstream.getManifest(NAME, LATEST))
  await stub.untilCount({ kind: 'manifest' }, 1)
  await clock.advance(24_000)
  t.match(await failed, { failure: 'unavailable' })
})

t.test(
  'R150: headers that do not come within their limit are a failure of that attempt',
  async t => {
    const stub = await startFilled(t)
    stub.fault({ kind: 'manifest' }, { stallHeaders: true }, { times: 1 })
    const options = { timeLimits: { headersMs: 1_000 } }
    const { upstream, clock } = openUpstream(t, stub.url, options)
    t.ok(await hurry(upstream.getManifest(NAME, LATEST), clock))
    t.equal(stub.count({ kind: 'manifest' }), 2)
  },
)

t.test(
  'R93: an upstream that is down is not asked any more, and asked again by one request',
  async t => {
    const stub = await startFilled(t)
    stub.fault({}, failure(503))
    const { upstream, clock, events } = openUpstream(t, stub.url)
    await failureOf(hurry(upstream.getManifest(NAME, LATEST), clock))
    await failureOf(hurry(upstream.getManifest(NAME, LATEST), clock))
    const asked = stub.count({ kind: 'manifest' })
    t.equal(asked, 5, 'four tries, and the fifth opens it')
    t.match(upstream.health(), { breaker: 'open', lastFailure: /503/ })
    t.ok((upstream.health().retryAtMs ?? 0) > clock.nowMs())

    const errors = await Promise.all(
      Array.from({ length: 50 }, () => failureOf(upstream.getManifest(NAME, LATEST))),
    )
    t.ok(errors.every(error => error.failure === 'unavailable' && error.retryAfterMs !== undefined))
    t.equal(stub.count({ kind: 'manifest' }), asked, 'nobody was asked')

    stub.clearFaults()
    await clock.advance(30_000)
    const probes = await Promise.allSettled(
      Array.from({ length: 10 }, () => upstream.getManifest(NAME, LATEST)),
    )
    t.equal(probes.filter(({ status }) => status === 'fulfilled').length, 1)
    t.equal(stub.count({ kind: 'manifest' }), asked + 1)
    t.match(upstream.health(), { breaker: 'closed', retryAtMs: undefined })
    const states = events.flatMap(event => (event.kind === 'upstream breaker' ? [event.state] : []))
    t.same(states, ['open', 'half-open', 'closed'])
  },
)

t.test(
  'R93: refusals and misses do not open it, and neither does a client that leaves',
  async t => {
    const stub = await startFilled(t)
    stub.fault({ reference: 'latest' }, failure(404))
    const { upstream } = openUpstream(t, stub.url)
    for (let at = 0; at < 30; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
    stub.clearFaults()
    stub.fault({ kind: 'manifest' }, { stallHeaders: true })
    for (let at = 0; at < 10; at += 1) {
      const leaving = new AbortController()
      const asked = upstream.headManifest(NAME, LATEST, { signal: leaving.signal })
      await stub.untilCount({ method: 'HEAD' }, at + 1)
      leaving.abort(new Error('left'))
      await t.rejects(asked, { message: 'left' })
    }
    t.equal(upstream.health().breaker, 'closed')
  },
)

t.test('every attempt is reported once, and the bytes of bodies are', async t => {
  const stub = await startFilled(t)
  stub.fault({ kind: 'manifest' }, failure(503), { times: 1 })
  const { upstream, clock, events } = openUpstream(t, stub.url)
  await hurry(upstream.headManifest(NAME, LATEST), clock)
  await readAll((await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })).body)
  const requests = events.flatMap(event =>
    event.kind === 'upstream request' ? [[event.call, event.outcome]] : [],
  )
  t.same(requests, [
    ['manifest', 503],
    ['manifest', 200],
    ['blob', 200],
  ])
  const bytes = events.flatMap(event => (event.kind === 'upstream bytes' ? [event.bytes] : []))
  t.equal(
    bytes.reduce((sum, each) => sum + each, 0),
    BLOB.sizeBytes,
  )
  t.ok(bytes.length <= 2, 'in batches')
})

t.test('a registry that nobody serves is an outage with a hint', async t => {
  const { upstream } = openUpstream(t, 'http://127.0.0.1:1', { timeLimits: { chainMs: 500 } })
  const error = await failureOf(upstream.getManifest(NAME, LATEST))
  t.match(error, { failure: 'unavailable', message: /127\.0\.0\.1:1/, hint: /url/ })
})

t.test('R262: in haste nobody who is not there is asked twice', async t => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']) {
    let asked = 0
    const lookup = async () => {
      asked += 1
      throw Object.assign(new Error('canary'), { code })
    }
    const { upstream } = openUpstream(t, 'http://registry.example', { lookup })
    const error = await failureOf(upstream.headManifest(NAME, LATEST, IN_HASTE))
    t.match(error, { failure: 'unavailable', message: /^registry\.example: / }, code)
    t.equal(asked, 1, code)
  }
})

t.test('R262: in haste a connection that was given up is replaced all the same', async t => {
  const stub = await startFilled(t)
  const reset = stub.fault({ kind: 'manifest' }, { dropConnection: true }, { times: 1 })
  const { upstream } = openUpstream(t, stub.url)
  t.ok(await upstream.headManifest(NAME, LATEST, IN_HASTE))
  t.equal(reset.hits, 1)
  stub.fault({ kind: 'manifest' }, { dropConnection: true })
  await failureOf(upstream.headManifest(NAME, LATEST, IN_HASTE))
  t.equal(stub.count({ kind: 'manifest' }), 4)
})
t.test(
  'R93: who has an upstream asked anew is answered by it, and not by what was found before',
  async t => {
    for (const fault of [{ dropConnection: true }, tooManyRequests('errors', 3600)] as const) {
      const stub = await startFilled(t)
      stub.fault({}, fault)
      const { upstream, clock } = openUpstream(t, stub.url)
      for (let n = 0; n < 5; n += 1)
        await hurry(upstream.getManifest(NAME, LATEST), clock).catch(() => {})
      stub.clearFaults()
      const asked = stub.count({ kind: 'manifest' })
      await t.rejects(upstream.getManifest(NAME, LATEST), {
        message: /is asked again in at most \d+ s/,
      })
      t.equal(stub.count({ kind: 'manifest' }), asked)
      upstream.letNextThrough()
      t.ok(await upstream.getManifest(NAME, LATEST))
      t.equal(stub.count({ kind: 'manifest' }), asked + 1)
    }
  },
)

t.test(
  'R305: a registry that is back is used within half a minute, however long it was away',
  async t => {
    const stub = await startFilled(t)
    const { port } = new URL(stub.url)
    const { upstream, clock, events } = openUpstream(t, stub.url)
    await stub.stop()
    const ask = () => failureOf(upstream.headManifest(NAME, LATEST, IN_HASTE))
    const pauseMs = () => (upstream.health().retryAtMs ?? clock.nowMs()) - clock.nowMs()
    // Each failed question by a client doubles the pause, until it is five minutes.
    for (let failures = 0; failures < 12; failures += 1) {
      await clock.advance(pauseMs())
      t.match(await ask(), { failure: 'unavailable' })
    }
    t.equal(pauseMs(), 300_000, 'nobody is let through for minutes')
    if (!t.equal(clock.sleepers, 1, 'and somebody is to ask before')) return

    const back = await startStub(t, { port: Number(port) })
    back.addImage(NAME, 'latest', IMAGE)
    const changes = () =>
      events.flatMap(event => (event.kind === 'upstream breaker' ? [event.state] : []))
    await clock.advance(30_000)
    while (changes().at(-1) !== 'closed') await new Promise(setImmediate)
    t.equal(back.count({}), 1, 'by one question')
    t.ok(await upstream.headManifest(NAME, LATEST))
  },
)
