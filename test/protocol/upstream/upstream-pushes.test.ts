// Goal: what is pushed reaches every kind of registry whole and with as few requests as it takes
// (R103, R109, R116, R117, R151). Method: stub registries on loopback; requests are counted.
import t from 'tap'
import { compileNames } from '../../../src/registry/routing/route.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseName, parseReference, type Reference } from '../../../src/oci/reference.ts'
import type { Upstream } from '../../../src/registry/ports/upstream.ts'
import { bytesContent, type Content, patternBlob } from '../../kit/content.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { NAME, openUpstream, failureOf } from '../../kit/open-upstream.ts'
import { piecesOf, settled, sourceOf } from '../../kit/clients/push-source.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const BLOB = patternBlob('pushed', 300_000)
const EMPTY = bytesContent(Buffer.alloc(0))
const OTHER = parseName('library/other')
const IMAGE = makeImage({ seed: 'pushes', layers: [10] })

function put(upstream: Upstream, { manifest }: Image, reference: Reference) {
  return upstream.putManifest(NAME, reference, manifest)
}

async function stream(upstream: Upstream, content: Content): Promise<void> {
  const begun = await upstream.streamBlob(NAME, piecesOf(content, 10_000))
  await begun.finish(content.digest)
}

t.test('R117: a blob goes whole, with POST and one PUT that says its length', async t => {
  const stub = await startStub(t)
  const { upstream, events } = openUpstream(t, stub.url)
  for (const content of [BLOB, EMPTY]) {
    stub.clear()
    await upstream.pushBlob(NAME, sourceOf(content))
    t.same(stub.blob(NAME, content.digest)?.bytes(), content.bytes())
    t.same(
      stub.requests.map(({ method, status }) => [method, status]),
      [
        ['POST', 202],
        ['PUT', 201],
      ],
    )
    const [, sent] = stub.requests
    t.equal(sent?.headers['content-length'], String(content.sizeBytes))
    t.equal(sent?.headers['transfer-encoding'], undefined)
    t.match(sent?.query, `digest=${encodeURIComponent(content.digest)}`)
  }
  t.match(events[0], { kind: 'upstream request', call: 'push', outcome: 202 })
})

t.test('R103, R117: a blob goes while it comes, with one PATCH in chunked coding', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  for (const content of [BLOB, EMPTY]) {
    stub.clear()
    await stream(upstream, content)
    t.same(stub.blob(NAME, content.digest)?.bytes(), content.bytes())
    t.same(
      stub.requests.map(({ method }) => method),
      ['POST', 'PATCH', 'PUT'],
    )
    t.equal(stub.requests[1]?.headers['content-range'], undefined)
  }
  t.equal(stub.select({ method: 'PATCH' })[0]?.headers['content-length'], '0', 'of the empty one')
})

t.test('R107, R117: a blob that is not finished leaves no upload open', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  t.equal(stub.openUploads(), 1)
  await begun.cancel()
  t.equal(stub.openUploads(), 0)
  stub.fault({ method: 'DELETE' }, { dropConnection: true })
  await (await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))).cancel()
})

t.test('R117: a manifest goes with its bytes and media type, to a tag or a digest', async t => {
  const stub = await startStub(t, { push: { checksReferences: false } })
  const { upstream } = openUpstream(t, stub.url)
  for (const reference of ['v1', IMAGE.manifest.digest]) {
    stub.clear()
    await put(upstream, IMAGE, parseReference(reference))
    t.same(stub.manifest(NAME, reference), IMAGE.manifest)
    t.equal(stub.count(), 1)
    t.equal(stub.requests[0]?.headers['content-length'], String(IMAGE.manifest.bytes.length))
  }
})

t.test('R116: an upstream that took another manifest is not believed', async t => {
  const stub = await startStub(t, { push: { checksReferences: false } })
  const { upstream } = openUpstream(t, stub.url)
  const put = () => upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest)
  const { bytes } = IMAGE.manifest
  const accepted = [null, 'nonsense', digestOf(bytes), digestOf(bytes, 'sha512')]
  for (const digestHeader of accepted) {
    const fault = stub.fault({ kind: 'manifest' }, { digestHeader })
    await put()
    fault.remove()
  }
  for (const digestHeader of [BLOB.digest, digestOf(Buffer.from('other'), 'sha512')]) {
    const fault = stub.fault({ kind: 'manifest' }, { digestHeader })
    t.equal((await failureOf(put())).failure, 'invalid')
    t.equal(fault.hits, 1, 'and it is not asked again')
    fault.remove()
  }
  stub.fault({ kind: 'upload', method: 'PUT' }, { digestHeader: digestOf(Buffer.from('other')) })
  t.equal((await failureOf(upstream.pushBlob(NAME, sourceOf(BLOB)))).failure, 'invalid')
})

t.test('R117: 200, 201, 202 and 204 are all a yes', async t => {
  for (const status of [200, 201, 202, 204]) {
    const stub = await startStub(t, {
      push: {
        patchStatus: status,
        blobStatus: status,
        manifestStatus: status,
        checksReferences: false,
      },
    })
    const { upstream } = openUpstream(t, stub.url)
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    await stream(upstream, EMPTY)
    await put(upstream, IMAGE, parseReference('v1'))
    t.ok(stub.blob(NAME, EMPTY.digest), String(status))
  }
})

t.test('R157: ECR answers 201 to a PATCH and wants the repository to be there', async t => {
  const stub = await startStub(t, { profile: 'ecr', auth: { password: 'right' } })
  const credentials = { kind: 'basic', username: 'AWS', password: () => 'right' } as const
  const { upstream } = openUpstream(t, stub.url, { credentials })
  const error = await failureOf(stream(upstream, BLOB))
  t.match(error, { failure: 'not-found', repositoryUnknown: true })
  stub.addImage(NAME, 'v1', IMAGE)
  await stream(upstream, BLOB)
  t.ok(stub.blob(NAME, BLOB.digest))
})

t.test('R109, R117: a blob is mounted, and where it cannot be, nothing stays open', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, OTHER), false)
  t.same(
    stub.requests.map(({ method }) => method),
    ['POST', 'DELETE'],
  )
  t.equal(stub.openUploads(), 0)
  stub.addBlob(OTHER, BLOB)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, OTHER), true)
  t.ok(stub.blob(NAME, BLOB.digest))
  for (const mounts of ['session', 400, 403, 404, 405] as const) {
    const other = await startStub(t, { push: { mounts } })
    other.addBlob(OTHER, BLOB)
    const { upstream } = openUpstream(t, other.url)
    t.equal(await upstream.mountBlob(NAME, BLOB.digest, OTHER), false, String(mounts))
    t.equal(other.openUploads(), 0)
  }
})

t.test('R109: an outage is no answer about a mount', async t => {
  const stub = await startStub(t, { push: { mounts: 503 } })
  const { upstream, clock } = openUpstream(t, stub.url)
  const mounting = failureOf(upstream.mountBlob(NAME, BLOB.digest, OTHER))
  t.match(await settled(clock, mounting), { failure: 'unavailable', status: 503 })
  t.equal(stub.count(), 4)
})

t.test('R151: a mirror is never written to', async t => {
  const mirror = await startStub(t)
  const stub = await startStub(t, { push: { checksReferences: false } })
  const { upstream } = openUpstream(t, stub.url, { mirrors: [new URL(mirror.url)] })
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  await stream(upstream, EMPTY)
  await upstream.mountBlob(OTHER, BLOB.digest, NAME)
  await put(upstream, IMAGE, parseReference('v1'))
  t.equal(mirror.count(), 0)
  t.equal(stub.count({ status: 201 }), 4)
})

t.test(
  'R151: without its mirrors an upstream is asked and written to at the registry alone',
  async t => {
    const mirror = await startStub(t)
    const stub = await startStub(t)
    mirror.addImage(NAME, 'latest', IMAGE)
    const { upstream } = openUpstream(t, stub.url, { mirrors: [new URL(mirror.url)] })
    const reference = parseReference('latest')
    await upstream.headManifest(NAME, reference)
    t.equal(mirror.count(), 1)
    const alone = { endpoints: 'registry' } as const
    t.equal((await failureOf(upstream.headManifest(NAME, reference, alone))).failure, 'not-found')
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    t.equal((await upstream.headBlob(NAME, BLOB.digest, alone)).sizeBytes, BLOB.sizeBytes)
    t.equal(mirror.count(), 1)
    t.equal(upstream.health().breaker, 'closed')
    t.equal(upstream.hasMirrors, true)
    const { upstream: unmirrored } = openUpstream(t, stub.url)
    t.equal(unmirrored.hasMirrors, false)
    t.equal((await unmirrored.headBlob(NAME, BLOB.digest, alone)).sizeBytes, BLOB.sizeBytes)
  },
)

t.test('R117: include and exclude hold for what is pushed, too', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url, {
    allows: compileNames({ include: ['library/other'], exclude: [] }),
  })
  for (const push of [
    () => upstream.pushBlob(NAME, sourceOf(BLOB)),
    () => upstream.streamBlob(NAME, piecesOf(BLOB, 10_000)),
    () => upstream.mountBlob(NAME, BLOB.digest, OTHER),
    () => put(upstream, IMAGE, parseReference('v1')),
  ]) {
    t.equal((await failureOf(push())).failure, 'not-found')
  }
  t.equal(await upstream.mountBlob(OTHER, BLOB.digest, NAME), false)
  t.equal(stub.count(), 0)
})
