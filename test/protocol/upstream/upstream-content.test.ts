// Goal: manifests and blobs come through the client as they are, bounded, and their heads without
// their bytes (R13, R38, R42, R62, R147, R190). Method: stub registries of each habit.
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { compileNames } from '../../../src/registry/routing/route.ts'
import { MANIFEST_LIMIT_BYTES } from '../../../src/oci/manifest.ts'
import { bytesContent, patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import {
  failureOf,
  LATEST,
  NAME,
  openUpstream,
  readAll,
  type Teardown,
} from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST, startScript } from '../../kit/stubs/scripted-server.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'content', layers: [10] })
const BLOB = patternBlob('content', 300_000)
const EMPTY = bytesContent(Buffer.alloc(0))

async function open(t: Teardown, options: StubOptions = {}) {
  const stub = await startStub(t, options)
  stub.addImage(NAME, 'latest', IMAGE)
  stub.addBlob(NAME, BLOB)
  stub.addBlob(NAME, EMPTY)
  const { upstream } = openUpstream(t, stub.url, { realms: [new URL(stub.storageUrl).host] })
  return { stub, upstream }
}

t.test('R38: every manifest type is accepted, whatever a client asked for', async t => {
  const { stub, upstream } = await open(t, { behaviour: { strictAccept: true } })
  await upstream.headManifest(NAME, LATEST)
  await upstream.getManifest(NAME, LATEST)
  for (const { headers } of stub.requests) {
    for (const type of [
      'oci.image.index.v1',
      'oci.image.manifest.v1',
      'manifest.list.v2',
      'manifest.v2',
    ]) {
      t.match(headers.accept, type)
    }
    t.match(headers.accept, /, \*\/\*$/)
  }
})

t.test('a manifest comes with its bytes, type, digest and warnings', async t => {
  const { stub, upstream } = await open(t)
  const warning = ['299 - "old"', '199 - "other"', '299 - "new"']
  stub.fault({ kind: 'manifest' }, { headers: { warning } })
  const { bytes, mediaType, digest } = IMAGE.manifest
  const warnings = ['old', 'new']
  t.same(await upstream.headManifest(NAME, LATEST), {
    digest,
    mediaType,
    sizeBytes: bytes.length,
    warnings,
  })
  const manifest = await upstream.getManifest(NAME, LATEST)
  t.ok(bytes.equals(manifest.bytes))
  t.match(manifest, { mediaType, declaredDigest: digest, warnings })
})

t.test('R44: what a HEAD leaves out or garbles is undefined, not invented', async t => {
  const { stub, upstream } = await open(t)
  stub.fault(
    { kind: 'manifest' },
    { digestHeader: 'sha256:nonsense', mediaType: null, chunked: true },
  )
  t.same(await upstream.headManifest(NAME, LATEST), {
    digest: undefined,
    mediaType: undefined,
    sizeBytes: undefined,
    warnings: [],
  })
})

t.test('R190: a manifest without a type, or with one that is none, is invalid', async t => {
  const { stub, upstream } = await open(t)
  for (const mediaType of [null, 'nonsense', 'a/b\u00e9']) {
    const fault = stub.fault({ kind: 'manifest' }, { mediaType })
    t.equal(
      (await failureOf(upstream.getManifest(NAME, LATEST))).failure,
      'invalid',
      String(mediaType),
    )
    fault.remove()
  }
})

t.test(
  'R42: a manifest of 4 MiB passes; a byte more is refused, whether announced or not',
  async t => {
    const { stub, upstream } = await open(t)
    const body = Buffer.alloc(MANIFEST_LIMIT_BYTES, 0x20)
    stub.fault({ kind: 'manifest' }, { body }, { times: 1 })
    t.equal((await upstream.getManifest(NAME, LATEST)).bytes.length, MANIFEST_LIMIT_BYTES)
    stub.fault({ kind: 'manifest' }, { body, extraBytes: 1 }, { times: 1 })
    t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, 'invalid')
    stub.fault({ kind: 'manifest' }, { endless: true }, { times: 1 })
    t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, 'invalid')
    const sent = stub.requests.at(-1)?.bytesSent ?? 0
    t.ok(sent < 3 * MANIFEST_LIMIT_BYTES, 'an endless body is cut, not read')
  },
)

t.test('R147: a manifest that comes in gzip is unpacked, within the same bound', async t => {
  const { upstream } = await open(t, { behaviour: { gzipManifests: 'always' } })
  t.ok(IMAGE.manifest.bytes.equals((await upstream.getManifest(NAME, LATEST)).bytes))
  const bomb = gzipSync(Buffer.alloc(MANIFEST_LIMIT_BYTES + 1))
  for (const [encoding, body] of [
    ['gzip', bomb],
    ['gzip', 'no gzip'],
    ['br', 'x'],
  ] as const) {
    const headers = { ...GOOD_MANIFEST.headers, 'content-encoding': encoding }
    const server = await startScript(t, () => ({ headers, body }))
    const error = await failureOf(openUpstream(t, server.url).upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'invalid')
  }
})

t.test('R147: a blob in an encoding is invalid, whole or in part', async t => {
  const { stub, upstream } = await open(t)
  for (const offset of [0, 10]) {
    stub.fault({ kind: 'blob' }, { headers: { 'content-encoding': 'gzip' } }, { times: 1 })
    const error = await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset }))
    t.equal(error.failure, 'invalid')
  }
})

t.test('R62: the size of a blob costs no bytes of it', async t => {
  const { stub, upstream } = await open(t)
  t.same(await upstream.headBlob(NAME, BLOB.digest), { sizeBytes: BLOB.sizeBytes })
  t.same(await upstream.headBlob(NAME, EMPTY.digest), { sizeBytes: 0 })
  t.equal(stub.count({ method: 'GET' }), 0)
})

t.test(
  'R62: where HEAD is refused the size comes from a GET of one byte, and HEAD is not tried again',
  async t => {
    for (const headBlobStatus of [400, 401, 403, 405, 501]) {
      const { stub, upstream } = await open(t, { behaviour: { headBlobStatus } })
      t.same(await upstream.headBlob(NAME, BLOB.digest), { sizeBytes: BLOB.sizeBytes })
      t.same(await upstream.headBlob(NAME, EMPTY.digest), { sizeBytes: 0 })
      t.equal(stub.count({ method: 'HEAD' }), 1, `${headBlobStatus}`)
      t.equal(stub.bytesSent(BLOB.digest), 1)
    }
  },
)

t.test('R62: where ranges are ignored as well, the GET is ended after its head', async t => {
  const { stub, upstream } = await open(t, { behaviour: { headBlobStatus: 405, ranges: false } })
  const big = patternBlob('big', 64 * 1024 * 1024)
  stub.addBlob(NAME, big)
  t.same(await upstream.headBlob(NAME, big.digest), { sizeBytes: big.sizeBytes })
  t.ok(stub.bytesSent(big.digest) < big.sizeBytes / 4)
})

t.test('R62: signed storage that refuses HEAD is asked by GET', async t => {
  const { stub, upstream } = await open(t, { profile: 'ghcr.io' })
  t.same(await upstream.headBlob(NAME, BLOB.digest), { sizeBytes: BLOB.sizeBytes })
  t.same(
    stub.select({ host: 'storage' }).map(({ method, status }) => [method, status]),
    [
      ['HEAD', 403],
      ['GET', 206],
    ],
  )
})

t.test('R62, R258: a blob that is not there is not-found once a GET has said so', async t => {
  const { stub, upstream } = await open(t)
  const { digest } = bytesContent(Buffer.from('unknown'))
  t.equal((await failureOf(upstream.headBlob(NAME, digest))).failure, 'not-found')
  t.same(
    stub.requests.map(({ method }) => method),
    ['HEAD', 'GET'],
  )
})

t.test('R88: where HEAD of a manifest is refused, that is said, so that a GET follows', async t => {
  for (const headManifestStatus of [400, 403, 405, 501]) {
    const { upstream } = await open(t, { behaviour: { headManifestStatus } })
    t.equal((await failureOf(upstream.headManifest(NAME, LATEST))).failure, 'unsupported')
    t.ok(await upstream.getManifest(NAME, LATEST))
  }
})

t.test('a blob says how long it is when its registry does, and what it is called', async t => {
  const { stub, upstream } = await open(t)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  t.match(blob, { offset: 0, totalBytes: BLOB.sizeBytes, validator: `"${BLOB.digest}"` })
  t.ok((await readAll(blob.body)).equals(BLOB.bytes()))
  t.equal(stub.requests[0]?.headers.range, undefined)
  stub.fault({ kind: 'blob' }, { chunked: true })
  t.match(
    await upstream
      .getBlob(NAME, BLOB.digest, { offset: 0 })
      .then(each => readAll(each.body).then(() => each)),
    {
      totalBytes: undefined,
    },
  )
})

t.test('names that the operator keeps out are asked of nobody', async t => {
  const stub = await startStub(t)
  const { upstream } = openUpstream(t, stub.url, {
    allows: compileNames({ include: ['team/**'], exclude: [] }),
  })
  const calls = [
    upstream.headManifest(NAME, LATEST),
    upstream.getManifest(NAME, LATEST),
    upstream.headBlob(NAME, BLOB.digest),
    upstream.getBlob(NAME, BLOB.digest, { offset: 0 }),
    upstream.listTags(NAME),
    upstream.listReferrers(NAME, BLOB.digest),
  ]
  for (const call of calls)
    t.match(await failureOf(call), { failure: 'not-found', repositoryUnknown: true })
  t.equal(stub.count(), 0)
})

t.test('R261: a HEAD that is answered in an encoding tells no size', async t => {
  const { stub, upstream } = await open(t)
  stub.fault({ method: 'HEAD' }, { headers: { 'content-encoding': 'gzip', 'content-length': '7' } })
  t.match(await upstream.headManifest(NAME, LATEST), {
    digest: IMAGE.manifest.digest,
    sizeBytes: undefined,
  })
  const blob = IMAGE.layers[0] ?? IMAGE.config
  t.match(await upstream.headBlob(NAME, blob.digest), { sizeBytes: blob.sizeBytes })
  t.equal(stub.count({ kind: 'blob' }), 2, 'its first byte tells')
  const encoded = { headers: { 'content-encoding': 'gzip', 'content-range': null }, status: 200 }
  stub.fault({ method: 'GET' }, { ...encoded, body: 'abc' })
  t.match(await upstream.headBlob(NAME, blob.digest), { sizeBytes: undefined })
})
