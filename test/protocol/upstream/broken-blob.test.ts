// Goal: a blob that its registry or its storage cannot give costs that blob, and never the rest of
// the registry (R259). Method: an upstream before a stub registry that fails for one blob, for
// everything but /v2/, or for everything; waits pass by the test's clock.
import t from 'tap'
import { parseName } from '../../../src/oci/reference.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import {
  failureOf,
  LATEST,
  NAME,
  type OpenOptions,
  openUpstream,
  readAll,
  type Teardown,
} from '../../kit/open-upstream.ts'
import { type Fault, failure } from '../../kit/stubs/stub-faults.ts'
import type { RequestMatch } from '../../kit/stubs/stub-requests.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'broken', layers: [10] })
const GOOD = patternBlob('good', 100_000)
const BROKEN = patternBlob('broken', 100_000)
/** Twice what opens a breaker. */
const TIMES = 10

async function open(t: Teardown, options: StubOptions = {}, changes: OpenOptions = {}) {
  const stub = await startStub(t, options)
  stub.addImage(NAME, 'latest', IMAGE)
  for (const blob of [GOOD, BROKEN]) stub.addBlob(NAME, blob)
  // No second tries: each failure is one.
  const limits = { timeLimits: { chainMs: 900 }, realms: [new URL(stub.storageUrl).host] }
  const { upstream, events, clock } = openUpstream(t, stub.url, { ...limits, ...changes })
  const read = async (digest: typeof GOOD.digest) =>
    readAll((await upstream.getBlob(NAME, digest, { offset: 0 })).body)
  return { stub, upstream, events, clock, read }
}

const REDIRECTING = { behaviour: { blobs: 'redirect' } } as const
const CASES: Readonly<Record<string, readonly [StubOptions, RequestMatch, Fault]>> = {
  'its registry fails': [{}, { kind: 'blob' }, failure(500)],
  'its registry closes the connection': [{}, { kind: 'blob' }, { dropConnection: true }],
  'its registry cuts off': [{}, { kind: 'blob' }, { truncateAt: 50_000 }],
  'something else answers for it': [{}, { kind: 'blob' }, { status: 404, body: 'not here' }],
  'its storage refuses': [REDIRECTING, { host: 'storage' }, { status: 403, body: '<Error/>' }],
  'its storage fails': [REDIRECTING, { host: 'storage' }, failure(503)],
  'its storage is down': [REDIRECTING, { host: 'storage' }, { dropConnection: true }],
  'its storage cuts off': [REDIRECTING, { host: 'storage' }, { truncateAt: 50_000 }],
}

for (const [name, [options, match, fault]] of Object.entries(CASES)) {
  t.test(`R259: a blob of which ${name} leaves its registry open`, async t => {
    const { stub, upstream, events, read } = await open(t, options)
    const { digest } = BROKEN
    const at = match.host === 'storage' ? match : { ...match, digest }
    const broken = stub.fault(at, fault)
    await Promise.all(Array.from({ length: TIMES }, () => t.rejects(read(digest))))
    for (let at = 0; at < TIMES; at += 1) await t.rejects(read(digest))
    t.equal(upstream.health().breaker, 'closed')
    t.ok(await upstream.getManifest(NAME, LATEST))
    t.notOk(events.some(({ kind }) => kind === 'upstream breaker'))
    if (match.host === 'storage') broken.remove()
    t.equal((await read(GOOD.digest)).length, GOOD.sizeBytes)
    t.ok(stub.count({ kind: 'ping' }) <= stub.count({ kind: 'blob' }) / 5, 'asked now and then')
  })
}

t.test('R259: names whose answer never comes leave their registry open', async t => {
  const { stub, upstream, clock, events } = await open(t, {}, { connections: 2 })
  const slow = parseName('slow/name')
  await upstream.getManifest(NAME, LATEST)
  stub.fault({ repository: slow }, { stallHeaders: true })
  const ask = () =>
    Array.from({ length: TIMES }, () => failureOf(upstream.getManifest(slow, LATEST)))
  const first = ask()
  await stub.untilCount({ repository: slow }, 2)
  await clock.advance(450)
  // These take the connections as soon as they are free.
  const second = ask()
  await clock.advance(450)
  for (const error of await Promise.all(first)) t.match(error, { failure: 'unavailable' })
  t.equal(upstream.health().breaker, 'closed')
  await clock.advance(450)
  await Promise.all(second)
  t.ok(await upstream.getManifest(NAME, LATEST))
  t.notOk(events.some(({ kind }) => kind === 'upstream breaker'))
})

t.test('R259: an answer whose head takes longer than it may leaves its registry open', async t => {
  const { stub, upstream } = await open(t, {}, { timeLimits: { chainMs: 900, headersMs: 1 } })
  stub.fault({ digest: BROKEN.digest }, { stallHeaders: true })
  const heads = Array.from({ length: TIMES }, () =>
    failureOf(upstream.headBlob(NAME, BROKEN.digest)),
  )
  for (const error of await Promise.all(heads)) t.match(error.message, /no answer within/)
  t.equal(upstream.health().breaker, 'closed')
})

t.test('R259, R93: a registry that is not reached is cut off at once', async t => {
  const { stub, upstream } = await open(t)
  await stub.stop()
  for (let at = 0; at < TIMES; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
  const { breaker, lastFailure } = upstream.health()
  t.equal(breaker, 'open')
  t.match(lastFailure, /refused/)
})

t.test('R259, R93: an upstream is cut off when /v2/ does not answer either', async t => {
  const pings: readonly Fault[] = [
    failure(503),
    { dropConnection: true },
    { status: 404, body: 'default backend - 404' },
  ]
  for (const ping of pings) {
    const { stub, upstream } = await open(t)
    stub.fault({ kind: 'manifest' }, failure(500))
    stub.fault({ kind: 'ping' }, ping)
    for (let at = 0; at < TIMES; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
    t.equal(stub.count({ kind: 'manifest' }), 5, JSON.stringify(ping))
    t.equal(stub.count({ kind: 'ping' }), 1)
    t.equal(upstream.health().breaker, 'open')
  }
})

t.test('R259, R93: /v2/ is asked as everything is, so without tokens nobody is there', async t => {
  const { stub, upstream } = await open(t, { auth: { scheme: 'bearer' } })
  stub.fault({ kind: 'token' }, failure(503))
  for (let at = 0; at < TIMES; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
  t.equal(upstream.health().breaker, 'open')
})

t.test('R259: a /v2/ that stays silent is waited for five seconds', async t => {
  const { stub, upstream, clock } = await open(t)
  stub.fault({ kind: 'manifest' }, failure(500))
  stub.fault({ kind: 'ping' }, { stallHeaders: true })
  for (let at = 0; at < 4; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
  const fifth = failureOf(upstream.getManifest(NAME, LATEST))
  await clock.untilSleeping(5_000)
  await stub.untilCount({ kind: 'ping' }, 1)
  await clock.advance(5_000)
  await fifth
  t.equal(upstream.health().breaker, 'open')
})

t.test('R259: the request that asks whether it is back may be for the broken blob', async t => {
  const { stub, upstream, clock, read } = await open(t)
  const down = stub.fault({}, failure(503))
  for (let at = 0; at < TIMES; at += 1) await failureOf(upstream.getManifest(NAME, LATEST))
  t.equal(upstream.health().breaker, 'open')
  down.remove()
  stub.fault({ digest: BROKEN.digest }, failure(500))
  await clock.advance(30_000)
  await t.rejects(read(BROKEN.digest))
  t.equal(upstream.health().breaker, 'closed')
})
