// Goal: what an upstream says against a push is told as what it is, tried again only where that can
// help, and nothing of its words leads anywhere (R92, R117, R123, R149). Method: stub registries
// that refuse with each status and code; requests are counted.
import t from 'tap'
import { parseReference } from '../../../src/oci/reference.ts'
import type { Upstream } from '../../../src/registry/ports/upstream.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, NAME, openUpstream, textsOf } from '../../kit/open-upstream.ts'
import { piecesOf, settled, sourceOf } from '../../kit/clients/push-source.ts'
import { failure, tooManyRequests } from '../../kit/stubs/stub-faults.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const BLOB = patternBlob('refused', 100_000)
const IMAGE = makeImage({ seed: 'push failures', layers: [10] })

const pushBlob = (upstream: Upstream) => upstream.pushBlob(NAME, sourceOf(BLOB))
const putManifest = (upstream: Upstream) =>
  upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest)

t.test('R117: each refusal is what it is, and asked for once', async t => {
  const cases = [
    [402, 'UNKNOWN', 'denied'],
    [403, 'DENIED', 'denied'],
    [405, 'UNSUPPORTED', 'unsupported'],
    [411, 'UNKNOWN', 'unsupported'],
    [501, 'UNSUPPORTED', 'unsupported'],
    [400, 'MANIFEST_INVALID', 'rejected'],
    [400, 'MANIFEST_BLOB_UNKNOWN', 'rejected'],
    [404, 'MANIFEST_BLOB_UNKNOWN', 'rejected'],
    [404, 'BLOB_UNKNOWN', 'rejected'],
    [400, 'DIGEST_INVALID', 'rejected'],
    [409, 'TAG_INVALID', 'rejected'],
    [412, 'UNKNOWN', 'rejected'],
    [413, 'SIZE_INVALID', 'rejected'],
    [415, 'UNSUPPORTED', 'rejected'],
    [422, 'UNKNOWN', 'rejected'],
  ] as const
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  for (const [status, code, expected] of cases) {
    for (const push of [pushBlob, putManifest]) {
      if (status === 404 && push === pushBlob) continue
      const fault = stub.fault({ method: 'PUT' }, failure(status, code, 'as the stub says'))
      const error = await failureOf(push(upstream))
      const wanted = { failure: expected, status, code, sanitizedMessage: 'as the stub says' }
      t.match(error, wanted, `${status} ${code}`)
      t.equal(fault.hits, 1)
      fault.remove()
    }
  }
  t.equal(upstream.health().breaker, 'closed', 'it answers')
})

t.test('R117: a 401 that no token can mend is a refusal', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  const fault = stub.fault({ method: 'PUT' }, failure(401, 'UNAUTHORIZED'))
  for (const push of [pushBlob, putManifest]) {
    t.match(await failureOf(push(upstream)), { failure: 'denied', status: 401 })
  }
  t.equal(fault.hits, 2)
})

t.test('R117: a repository that is not there is told apart from what is', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  stub.fault({ method: 'POST' }, failure(404, 'NAME_UNKNOWN'))
  stub.fault({ kind: 'manifest' }, failure(404, 'NAME_UNKNOWN'))
  for (const push of [pushBlob, putManifest]) {
    const error = await failureOf(push(upstream))
    t.match(error, { failure: 'not-found', repositoryUnknown: true, code: 'NAME_UNKNOWN' })
  }
  stub.clearFaults()
  stub.fault({ kind: 'upload', method: 'PUT' }, failure(404, 'NAME_UNKNOWN'))
  t.match(await failureOf(pushBlob(upstream)), { failure: 'not-found', repositoryUnknown: true })
  stub.clearFaults()
  stub.clear()
  stub.fault({ method: 'POST' }, failure(404, 'NOT_FOUND'))
  t.match(await failureOf(pushBlob(upstream)), { failure: 'not-found', repositoryUnknown: false })
  t.equal(stub.count(), 1, 'no upload was lost: none had begun')
})

t.test('R117: a manifest whose blobs did not come is rejected with the reason', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  const error = await failureOf(putManifest(upstream))
  t.match(error, { failure: 'rejected', status: 400, code: 'MANIFEST_BLOB_UNKNOWN' })
  t.equal(stub.count(), 1)
})

t.test('R117: a wrong digest is rejected, and no second time asked', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  const wrong = patternBlob('another', 10).digest
  t.match(await failureOf(begun.finish(wrong)), { failure: 'rejected', code: 'DIGEST_INVALID' })
  t.equal(stub.count({ method: 'PUT' }), 1)
})

t.test('R149: outages and short rate limits are tried again, from the start', async t => {
  for (const fault of [
    failure(500),
    failure(503),
    failure(408),
    tooManyRequests('errors'),
    tooManyRequests('errors', 3),
    { dropConnection: true } as const,
  ]) {
    for (const method of ['POST', 'PUT']) {
      const stub = await startStub(t)
      const { upstream, clock } = openUpstream(t, stub.url)
      stub.fault({ method }, fault, { times: 1 })
      await settled(clock, pushBlob(upstream))
      t.ok(stub.blob(NAME, BLOB.digest), `${JSON.stringify(fault)} for ${method}`)
      t.equal(stub.count({ method: 'POST' }), 2)
    }
    const stub = await startStub(t)
    stub.addImage(NAME, undefined, IMAGE)
    const { upstream, clock } = openUpstream(t, stub.url)
    stub.fault({ method: 'PUT' }, fault, { times: 1 })
    await settled(clock, putManifest(upstream))
    t.same(stub.manifest(NAME, 'v1'), IMAGE.manifest)
  }
})

t.test('R116: a manifest that is to be sent once is sent once, whatever becomes of it', async t => {
  const faults = [
    failure(503),
    tooManyRequests('errors', 1),
    { dropConnection: true },
    { takeCutAt: 0 },
    { stallHeaders: true },
  ] as const
  for (const fault of faults) {
    const stub = await startStub(t)
    const { upstream, clock } = openUpstream(t, stub.url)
    await upstream.headBlob(NAME, BLOB.digest).catch(() => {})
    const handle = stub.fault({ kind: 'manifest' }, fault)
    const { manifest } = IMAGE
    const put = upstream.putManifest(NAME, parseReference('v1'), { ...manifest, once: true })
    t.match((await settled(clock, failureOf(put))).failure, /unavailable|rate-limited/)
    await clock.advance(60_000)
    t.equal(handle.hits, 1, JSON.stringify(fault))
  }
})

t.test('R149: an outage that stays is given up within the time of a chain', async t => {
  const stub = await startStub(t)
  stub.fault({ method: 'PUT' }, failure(503))
  const { upstream, clock } = openUpstream(t, stub.url)
  for (const push of [pushBlob, putManifest]) {
    stub.clear()
    const startMs = clock.monotonicMs()
    t.match(await settled(clock, failureOf(push(upstream))), { failure: 'unavailable' })
    t.equal(stub.count({ method: 'PUT' }), 4)
    t.ok(clock.monotonicMs() - startMs <= 24_000)
    await clock.advance(60_000)
  }
})

t.test('R154: a long rate limit of pushes is not waited for, and stops no pull', async t => {
  for (const method of ['POST', 'PUT']) {
    const stub = await startStub(t)
    stub.addImage(NAME, 'latest', IMAGE)
    const limit = stub.fault({ kind: 'upload', method }, tooManyRequests('errors', 600))
    const { upstream } = openUpstream(t, stub.url)
    for (const isSent of [true, false]) {
      stub.clear()
      const error = await failureOf(pushBlob(upstream))
      t.equal(error.failure, 'rate-limited')
      t.ok((error.retryAfterMs ?? 0) > 590_000)
      t.equal(stub.count() > 0, isSent)
    }
    t.equal(limit.hits, 1)
    await upstream.headManifest(NAME, parseReference('latest'))
    await upstream.headBlob(NAME, IMAGE.config.digest)
  }
})

t.test('R93: after enough outages nothing is sent, whatever lost uploads there were', async t => {
  const stub = await startStub(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  const lost = stub.fault({ method: 'PUT' }, { expireUpload: true })
  for (let push = 0; push < 3; push += 1) {
    const error = await settled(clock, failureOf(pushBlob(upstream)))
    t.match(error, { failure: 'unavailable', status: 404 })
  }
  t.equal(lost.hits, 12)
  t.equal(upstream.health().breaker, 'closed')
  for (const match of [{ method: 'POST' }, { kind: 'ping' }] as const)
    stub.fault(match, failure(503))
  await settled(clock, failureOf(pushBlob(upstream)))
  await settled(clock, failureOf(pushBlob(upstream)))
  t.equal(upstream.health().breaker, 'open')
  stub.clear()
  t.equal((await failureOf(putManifest(upstream))).failure, 'unavailable')
  t.equal(stub.count(), 0)
})

t.test('R123: of what the upstream says nothing remains that leads anywhere', async t => {
  const stub = await startStub(t)
  const { upstream, events } = openUpstream(t, stub.url)
  const secrets = [
    'see https://storage.example/canary?X-Amz-Signature=canary for more',
    'token=canary-secret was wrong',
    `Bearer ${'canary'.repeat(8)}`,
    'connection to canary.internal:5000 failed',
  ]
  for (const secret of secrets) {
    const fault = stub.fault({ method: 'PUT' }, failure(400, 'TAG_INVALID', `quota: ${secret}`))
    const error = await failureOf(putManifest(upstream))
    t.match(error.sanitizedMessage, /^quota/)
    t.notMatch(textsOf(error), /canary/, secret)
    fault.remove()
  }
  const bodies = [
    '<html>canary</html>',
    '"canary"',
    '{"errors":"canary"}',
    '{"errors":[null,1]}',
    '',
  ]
  for (const body of bodies) {
    const fault = stub.fault({ method: 'PUT' }, { status: 413, body })
    const error = await failureOf(putManifest(upstream))
    t.match(error, {
      failure: 'rejected',
      status: 413,
      code: undefined,
      sanitizedMessage: undefined,
    })
    t.notMatch(textsOf(error), /canary/)
    fault.remove()
  }
  stub.fault({ method: 'PUT' }, { status: 400, body: '{"message":"the tag is immutable"}' })
  t.equal((await failureOf(putManifest(upstream))).sanitizedMessage, 'the tag is immutable')
  t.notMatch(JSON.stringify(events), /canary/)
})
