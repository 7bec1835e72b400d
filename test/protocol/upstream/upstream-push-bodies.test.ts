// Goal: a body goes up as fast as the registry takes it and no faster, ends when either side has
// enough, and has no limit but that it moves (R103, R117, R150). Method: stub registries that take
// nothing, refuse early or never answer; bodies that count; virtual time.
import t from 'tap'
import { setImmediate } from 'node:timers/promises'
import { parseReference } from '../../../src/oci/reference.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, NAME, openUpstream, readAll, type Teardown } from '../../kit/open-upstream.ts'
import { piecesOf, settled, sourceOf } from '../../kit/clients/push-source.ts'
import { failure } from '../../kit/stubs/stub-faults.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const MIB = 1024 * 1024
const BLOB = patternBlob('body', 300_000)
const LARGE = patternBlob('large body', 64 * MIB)
const IMAGE = makeImage({ seed: 'push bodies', layers: [10] })
/** What the kernel's buffers of both ends and node's can hold between them. */
const BUFFERED_BYTES_MAX = 24 * MIB
const PATCH = { kind: 'upload', method: 'PATCH' } as const
const PUT = { kind: 'upload', method: 'PUT' } as const

/** Takes manifests, whatever they list. */
function startUnchecked(t: Teardown) {
  return startStub(t, { push: { checksReferences: false } })
}

/** Pieces of a MiB without end, unless `limit` of them are asked for: then nothing more comes. */
function endless(limit = Infinity) {
  const state = { pulled: 0, isGivenBack: false }
  const piece = Buffer.alloc(MIB, 1)
  const never = new Promise<never>(() => {})
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        if (state.pulled === limit) return never
        state.pulled += 1
        return Promise.resolve({ done: false, value: piece })
      },
      return: () => {
        state.isGivenBack = true
        return Promise.resolve({ done: true, value: undefined })
      },
    }),
  }
  return { state, body }
}

t.test('R117: of a body that the upstream does not take little is pulled', async t => {
  const stub = await startUnchecked(t)
  const fault = stub.fault(PATCH, { takeStallAt: 100_000 })
  const { upstream, clock } = openUpstream(t, stub.url)
  const { body, state } = endless()
  const error = await settled(clock, failureOf(upstream.streamBlob(NAME, body)))
  t.match(error, { failure: 'unavailable', message: /took no byte/ })
  t.ok(state.pulled * MIB <= BUFFERED_BYTES_MAX, `${state.pulled} MiB`)
  t.ok(state.isGivenBack)
  t.equal(fault.hits, 1, 'and it is not sent a second time')
  t.ok(clock.monotonicMs() < 120_000)
})

t.test('R150: a client that pushes slowly is no stall, however long it takes', async t => {
  const stub = await startUnchecked(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  const more = Promise.withResolvers<void>()
  async function* slowly() {
    yield BLOB.read(0, 100_000)
    await more.promise
    yield BLOB.read(100_000, 200_000)
  }
  const streaming = upstream.streamBlob(NAME, slowly())
  await stub.untilCount(PATCH, 1)
  await clock.advance(60 * 60 * 1000)
  more.resolve()
  await (await streaming).finish(BLOB.digest)
  t.same(stub.blob(NAME, BLOB.digest)?.bytes(), BLOB.bytes())
})

t.test('R117: an early refusal ends the body and is the verdict', async t => {
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'quota exceeded' }] })
  const refusals = {
    'and reads no more': { ...failure(403), body, answerAt: 100_000 },
    'before the first byte': { ...failure(403), body, answerAt: 0 },
    'in a body that comes slowly': {
      ...failure(403),
      body,
      answerAt: 100_000,
      bytesPerSecond: 400,
    },
    'and closes': { ...failure(403), body, answerAt: 100_000, headers: { connection: 'close' } },
  }
  for (const [how, fault] of Object.entries(refusals)) {
    const stub = await startUnchecked(t)
    stub.fault({ method: 'PATCH' }, fault)
    stub.fault({ method: 'PUT' }, fault)
    const { upstream } = openUpstream(t, stub.url)
    const verdict = {
      failure: 'denied',
      status: 403,
      code: 'DENIED',
      sanitizedMessage: 'quota exceeded',
    }
    for (const limit of [Infinity, 2]) {
      const { body: pieces, state } = endless(limit)
      t.match(await failureOf(upstream.streamBlob(NAME, pieces)), verdict, how)
      await setImmediate()
      t.ok(state.isGivenBack, 'also when the client sends nothing more')
    }
    t.match(await failureOf(upstream.pushBlob(NAME, sourceOf(LARGE))), verdict, how)
    const { manifest } = IMAGE
    const put = upstream.putManifest(NAME, parseReference('v1'), {
      ...manifest,
      bytes: Buffer.alloc(4 * MIB, 32),
    })
    t.match(await failureOf(put), verdict, how)
    t.equal(stub.count({ kind: 'manifest' }), 1)
    t.equal(stub.count(PUT), 1)
  }
})

t.test('R117: a yes that comes before all was sent is a yes to a whole blob only', async t => {
  const stub = await startUnchecked(t)
  const early = { status: 201, answerAt: 100_000 }
  stub.fault(PATCH, early)
  stub.fault(PUT, early)
  const { upstream } = openUpstream(t, stub.url)
  const { body } = endless()
  t.equal((await failureOf(upstream.streamBlob(NAME, body))).failure, 'invalid')
  await upstream.pushBlob(NAME, sourceOf(LARGE))
})

t.test('R150: the answer to a body has a limit of its own, not that of small answers', async t => {
  const stub = await startUnchecked(t)
  // The library looks at its limits once a second, and a busy machine takes its time for small
  // answers.
  stub.fault({ method: 'PATCH' }, { latencyMs: 2_600 })
  stub.fault({ kind: 'manifest' }, { latencyMs: 2_600 })
  const { upstream } = openUpstream(t, stub.url, { timeLimits: { headersMs: 1_000 } })
  const [begun] = await Promise.all([
    upstream.streamBlob(NAME, piecesOf(BLOB, 10_000)),
    upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest),
  ])
  await begun.finish(BLOB.digest)
  t.equal(stub.count(), 4)
})

t.test('R150: a manifest may take its time as well, as long as it moves', async t => {
  const stub = await startUnchecked(t)
  stub.fault({ kind: 'manifest' }, { takeStallAt: 100_000 })
  const { upstream, clock } = openUpstream(t, stub.url)
  const bytes = Buffer.alloc(2 * BUFFERED_BYTES_MAX, 32)
  const put = upstream.putManifest(NAME, parseReference('v1'), { ...IMAGE.manifest, bytes })
  await stub.untilCount({}, 1)
  await clock.advance(50_000)
  t.equal(upstream.health().lastFailure, undefined)
  t.match(await settled(clock, failureOf(put)), { message: /took no byte/ })
})

t.test('R117: a connection that is cut in the middle', async t => {
  const stub = await startUnchecked(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  const patch = stub.fault(PATCH, { takeCutAt: 100_000 })
  const { body, state } = endless()
  const streaming = upstream.streamBlob(NAME, body)
  t.equal((await failureOf(streaming)).failure, 'unavailable')
  t.equal(patch.hits, 1, 'what streams is not sent a second time')
  t.ok(state.isGivenBack)

  stub.clear()
  stub.fault(PUT, { takeCutAt: 100_000 }, { times: 2 })
  await settled(clock, upstream.pushBlob(NAME, sourceOf(BLOB)))
  t.same(stub.blob(NAME, BLOB.digest)?.bytes(), BLOB.bytes())
  t.same(
    stub.requests.map(({ method }) => method).filter(method => method !== 'DELETE'),
    ['POST', 'PUT', 'POST', 'PUT', 'POST', 'PUT'],
    'what lies on the disk begins again with an upload',
  )
})

t.test('R117: an upload that the upstream forgot is begun again', async t => {
  const stub = await startUnchecked(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  stub.fault(PUT, { expireUpload: true }, { times: 1 })
  await settled(clock, upstream.pushBlob(NAME, sourceOf(BLOB)))
  t.ok(stub.blob(NAME, BLOB.digest))
  t.equal(stub.count({ method: 'POST' }), 2)

  stub.fault(PATCH, { expireUpload: true }, { times: 1 })
  const lost = { failure: 'unavailable', status: 404 }
  t.match(await failureOf(upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))), lost)
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  const fault = stub.fault(PUT, { expireUpload: true })
  t.match(await failureOf(begun.finish(BLOB.digest)), lost)
  t.equal(fault.hits, 1)
  t.equal(upstream.health().breaker, 'closed')
})

t.test('R117: a push that took effect without an answer is done', async t => {
  const stub = await startUnchecked(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  stub.fault({ method: 'PUT' }, { dropConnection: true }, { times: 1 })
  await settled(clock, upstream.pushBlob(NAME, sourceOf(BLOB)))
  stub.clearFaults()
  stub.fault({ method: 'PUT' }, { dropConnection: true }, { times: 2 })
  await settled(clock, upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest))
  t.same(stub.manifest(NAME, 'v1'), IMAGE.manifest)
})

t.test('R149: whoever has all and does not answer is not waited for without end', async t => {
  const stub = await startUnchecked(t)
  stub.fault({ method: 'PUT' }, { stallHeaders: true })
  const { upstream, clock } = openUpstream(t, stub.url)
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  const limits = [
    [() => upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest), 24_000],
    [() => begun.finish(BLOB.digest), 120_000],
  ] as const
  for (const [push, limitMs] of limits) {
    const startMs = clock.monotonicMs()
    t.equal((await settled(clock, failureOf(push()))).failure, 'unavailable')
    const waitedMs = clock.monotonicMs() - startMs
    t.ok(Math.abs(waitedMs - limitMs) <= 1_000, `${waitedMs} ms`)
  }
})

t.test('R117: what the body throws is thrown, and the upload is given back', async t => {
  const stub = await startUnchecked(t)
  const { upstream, events } = openUpstream(t, stub.url)
  const left = new Error('the client left')
  async function* leaving() {
    yield BLOB.read(0, 100_000)
    await stub.untilCount(PATCH, 1)
    throw left
  }
  await t.rejects(upstream.streamBlob(NAME, leaving()), left)
  await stub.untilCount({ kind: 'upload', method: 'DELETE' }, 1)
  t.equal(stub.blob(NAME, BLOB.digest), undefined)

  const source = { ...sourceOf(BLOB), read: leaving }
  await t.rejects(upstream.pushBlob(NAME, source), left)
  const short = { ...sourceOf(BLOB), sizeBytes: BLOB.sizeBytes + 1 }
  await t.rejects(upstream.pushBlob(NAME, short), /300001 bytes has 300000/)
  const long = { ...sourceOf(BLOB), sizeBytes: BLOB.sizeBytes - 1 }
  await t.rejects(upstream.pushBlob(NAME, long), /299999 bytes has 300000/)
  t.equal(stub.count({ method: 'POST' }), 4, 'none is tried again')
  t.notMatch(events, [{ kind: 'upstream request', outcome: 'unavailable' }])
})

t.test('R117: whoever gives up ends the body at once', async t => {
  const stub = await startUnchecked(t)
  const { upstream } = openUpstream(t, stub.url)
  const reason = new Error('left')
  const leaving = new AbortController()
  const { body, state } = endless(2)
  const streaming = upstream.streamBlob(NAME, body, leaving.signal)
  await stub.untilCount(PATCH, 1)
  leaving.abort(reason)
  await t.rejects(streaming, reason)
  t.ok(state.isGivenBack)
  await t.rejects(upstream.pushBlob(NAME, sourceOf(BLOB), leaving.signal), reason)
  t.equal(stub.count(PUT), 0)
})

t.test('R153: pushes that stand still keep nobody from pulling', async t => {
  const stub = await startUnchecked(t)
  stub.addBlob(NAME, BLOB)
  const { upstream } = openUpstream(t, stub.url, { connections: 1 })
  const leaving = new AbortController()
  const streams = [1, 2, 3].map(() => upstream.streamBlob(NAME, endless(1).body, leaving.signal))
  await stub.untilCount(PATCH, 3)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  t.equal((await readAll(blob.body)).length, BLOB.sizeBytes)
  await upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest)
  leaving.abort(new Error('left'))
  await Promise.allSettled(streams)
})
