// Goal: manifests by tag and digest come verified, from one question upstream, under the names they
// belong to (R33–R44, R96). Method: stub registries that count, the whole edge in process, a raw
// client.
import { chmod, open } from 'node:fs/promises'
import t from 'tap'
import { get as rawGet } from '../../kit/clients/raw-client.ts'
import { startTestEdge, type TestEdgeOptions } from '../../kit/edge.ts'
import { type Document, type Image, makeImage, makeIndex, MEDIA_TYPES } from '../../kit/image.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { startStub, type StubRegistry } from '../../kit/stubs/stub-registry.ts'
import { judge } from '../../kit/judges/oracle.ts'

interface Test {
  teardown(fn: () => unknown): unknown
}

async function stubWith(
  t: Test,
  images: Readonly<Record<string, Image>> = {},
): Promise<StubRegistry> {
  const stub = await startStub(t)
  for (const [tag, image] of Object.entries(images)) stub.addImage('library/app', tag, image)
  return stub
}

const edgeOver = (
  t: Test,
  stub: StubRegistry,
  entry: Record<string, unknown> = {},
  options: Partial<TestEdgeOptions> = {},
) => startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url, ...entry } }, ...options })

/** A manifest exactly as written. */
function written(mediaType: string, text: string): Document {
  const bytes = Buffer.from(text)
  return { mediaType, bytes, digest: digestOf(bytes) }
}

const image = makeImage({ seed: 'm', layers: [1_000] })
const TAG = '/v2/library/app/manifests/v1'
const byDigest = (digest: string) => `/v2/library/app/manifests/${digest}`

t.test(
  'R35: a manifest is given byte for byte as it came, whitespace and unknown members included',
  async t => {
    const text = `{\n  "schemaVersion": 2,\t"mediaType": "${MEDIA_TYPES.oci.index}",\n  "manifests": [ ], "x-unknown": 1.50\n}\n`
    const stub = await stubWith(t)
    stub.addDocument('library/app', 'v1', written(MEDIA_TYPES.oci.index, text))
    const edge = await edgeOver(t, stub)
    t.equal((await edge.get(TAG)).body.toString(), text)
    t.equal((await edge.get(TAG)).body.toString(), text, 'from disk as well')
  },
)

t.test(
  'R35: what the upstream does not have is 404 MANIFEST_UNKNOWN or NAME_UNKNOWN, with a JSON body',
  async t => {
    const stub = await stubWith(t, { v1: image })
    const edge = await edgeOver(t, stub)
    const missing = await edge.get('/v2/library/app/manifests/gone')
    t.match(missing, { status: 404 })
    t.match(JSON.parse(missing.body.toString()), { errors: [{ code: 'MANIFEST_UNKNOWN' }] })
  },
)

t.test(
  'R36: a manifest that does not hash to its digest is 502, and nothing of it is kept',
  async t => {
    const stub = await stubWith(t, { v1: image })
    const edge = await edgeOver(t, stub)
    for (const path of [TAG, byDigest(image.manifest.digest)]) {
      stub.fault({ kind: 'manifest', method: 'GET' }, { flipAt: 30 }, { times: 1 })
      const lied = await edge.settle(edge.get(path))
      t.match(lied, { status: 502, complete: true }, path)
      t.notOk(lied.body.includes(image.config.digest), 'not a byte of it is shown')
    }
    t.equal((await judge(edge.dataDirectory)).right.length, 0)
    t.equal((await edge.get(TAG)).status, 200, 'and the right one is served when it comes')
  },
)

t.test('R36: a tag whose digest header contradicts its body is 502', async t => {
  const stub = await stubWith(t, { v1: image })
  const edge = await edgeOver(t, stub)
  stub.fault({ kind: 'manifest' }, { digestHeader: `sha256:${'0'.repeat(64)}` }, { times: 1 })
  t.equal((await edge.settle(edge.get(TAG))).status, 502)
})

t.test('R37: every known type makes the round trip with its own Content-Type', async t => {
  const docker = makeImage({ seed: 'd', layers: [10], mediaTypes: 'docker' })
  const images = {
    oci: image,
    docker,
    index: makeIndex([image]),
    list: makeIndex([docker], 'docker'),
  }
  const stub = await stubWith(t, images)
  const edge = await edgeOver(t, stub)
  for (const [tag, each] of Object.entries(images)) {
    const answer = await edge.get(`/v2/library/app/manifests/${tag}`)
    t.match(answer.headers, {
      'content-type': each.manifest.mediaType,
      'docker-content-digest': each.manifest.digest,
    })
  }
})

t.test('R38: the upstream is asked for every type, whatever the client accepts', async t => {
  const stub = await stubWith(t, { v1: makeIndex([image]) })
  const edge = await edgeOver(t, stub)
  await edge.get(byDigest(makeIndex([image]).manifest.digest), {
    accept: MEDIA_TYPES.docker.manifest,
  })
  const [asked] = stub.select({ kind: 'manifest' })
  for (const type of [
    MEDIA_TYPES.oci.index,
    MEDIA_TYPES.oci.manifest,
    MEDIA_TYPES.docker.index,
    MEDIA_TYPES.docker.manifest,
  ]) {
    t.ok(asked?.headers.accept?.includes(type), type)
  }
})

t.test(
  'R39: by digest the document is given whatever is accepted; by tag an OCI one must be listed',
  async t => {
    const stub = await stubWith(t, { v1: image })
    const edge = await edgeOver(t, stub)
    const accept = MEDIA_TYPES.docker.manifest
    t.equal((await edge.get(byDigest(image.manifest.digest), { accept })).status, 200)
    const refused = await edge.get(TAG, { accept })
    t.equal(refused.status, 404)
    t.match(refused.body.toString(), new RegExp(MEDIA_TYPES.oci.manifest.replace('+', '\\\\?.')))
    for (const wide of ['*/*', 'application/*', `${MEDIA_TYPES.oci.manifest};q=0.5`]) {
      t.equal((await edge.get(TAG, { accept: wide })).status, 200, wide)
    }
  },
)

t.test('R39: a client without lists gets the linux/amd64 manifest of a Docker list', async t => {
  const make = (architecture: string) =>
    makeImage({
      seed: architecture,
      layers: [5],
      mediaTypes: 'docker',
      platform: { os: 'linux', architecture },
    })
  const amd64 = make('amd64')
  const stub = await stubWith(t, { v1: makeIndex([make('arm64'), amd64], 'docker') })
  const edge = await edgeOver(t, stub)
  const answer = await edge.get(TAG, { accept: MEDIA_TYPES.docker.manifest })
  t.match(answer, { status: 200, headers: { 'docker-content-digest': amd64.manifest.digest } })
  const head = await rawGet(
    `${edge.url}${TAG}`,
    { accept: MEDIA_TYPES.docker.manifest },
    { method: 'HEAD' },
  )
  t.equal(head.headers['docker-content-digest'], amd64.manifest.digest)
})

t.test('R41: schema 1 is 404 with a message, and never kept', async t => {
  const stub = await stubWith(t)
  const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  stub.addDocument('library/app', 'v1', written(type, '{"schemaVersion":1}'))
  const edge = await edgeOver(t, stub)
  const answer = await edge.get(TAG)
  t.equal(answer.status, 404)
  t.match(answer.body.toString(), /schema 1/i)
  t.equal((await judge(edge.dataDirectory)).right.length, 0)
})

t.test('R42: a manifest of 4 MiB is served, and an endless one is cut off', async t => {
  const padding = 'x'.repeat(4 * 1024 * 1024 - 200)
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.index,
    manifests: [],
    padding,
  })
  const stub = await stubWith(t)
  stub.addDocument('library/app', 'big', written(MEDIA_TYPES.oci.index, text))
  stub.addImage('library/app', 'v1', image)
  const edge = await edgeOver(t, stub)
  t.equal((await edge.get('/v2/library/app/manifests/big')).bodyBytes, text.length)
  stub.fault({ kind: 'manifest' }, { endless: true, chunked: true }, { times: 1 })
  t.equal((await edge.settle(edge.get(TAG))).status, 502)
  const sent = stub.select({ kind: 'manifest', reference: 'v1' })[0]?.bytesSent ?? 0
  t.ok(sent < 64 * 1024 * 1024, `the upstream could send ${sent} bytes`)
})

t.test('R43: a manifest digest asked for among the blobs, cold, is a clean 404', async t => {
  const stub = await stubWith(t, { v1: image })
  const edge = await edgeOver(t, stub)
  const answer = await edge.get(`/v2/library/app/blobs/${image.manifest.digest}`)
  t.equal(answer.status, 404)
  t.match(JSON.parse(answer.body.toString()), { errors: [{ code: 'BLOB_UNKNOWN' }] })
})

t.test('R44: HEAD on a cold tag is one HEAD upstream and no GET', async t => {
  const stub = await stubWith(t, { v1: image })
  const edge = await edgeOver(t, stub)
  const head = await rawGet(`${edge.url}${TAG}`, {}, { method: 'HEAD' })
  t.match(head.headers, {
    'docker-content-digest': image.manifest.digest,
    'content-length': String(image.manifest.bytes.length),
    'content-type': image.manifest.mediaType,
  })
  t.match([stub.count({ method: 'HEAD' }), stub.count({ method: 'GET', kind: 'manifest' })], [1, 0])
})

t.test(
  'R44: where the upstream has no digest on HEAD, or no HEAD, one GET answers and fills the cache',
  async t => {
    for (const fault of [{ digestHeader: null }, { status: 405 }] as const) {
      const stub = await stubWith(t, { v1: image })
      stub.fault({ kind: 'manifest', method: 'HEAD' }, fault)
      const edge = await edgeOver(t, stub, { ttl: '5m' })
      const head = await rawGet(`${edge.url}${TAG}`, {}, { method: 'HEAD' })
      t.equal(head.headers['docker-content-digest'], image.manifest.digest)
      t.equal((await edge.get(TAG)).status, 200)
      t.equal(stub.count({ method: 'GET', kind: 'manifest' }), 1)
    }
  },
)

t.test(
  'a tag learned by HEAD and a manifest fetched by digest serve the tag when the upstream is gone',
  async t => {
    const small = makeImage({ seed: 's', layers: [] })
    const stub = await stubWith(t, { v1: small })
    const edge = await edgeOver(t, stub)
    await rawGet(`${edge.url}${TAG}`, {}, { method: 'HEAD' })
    await edge.get(byDigest(small.manifest.digest))
    await stub.stop()
    t.equal((await edge.get(TAG)).status, 200)
  },
)

t.test('R33: the same repository name in two upstreams never mixes', async t => {
  const other = makeImage({ seed: 'other', layers: [10] })
  const [hub, quay] = [await stubWith(t, { v1: image }), await stubWith(t, { v1: other })]
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: hub.url }, 'quay.io': { url: quay.url } },
  })
  const digestOf = async (path: string) => (await edge.get(path)).headers['docker-content-digest']
  t.equal(await digestOf('/v2/docker.io/library/app/manifests/v1'), image.manifest.digest)
  t.equal(await digestOf('/v2/quay.io/library/app/manifests/v1'), other.manifest.digest)
  t.equal(
    (await edge.get(`/v2/quay.io/library/app/manifests/${image.manifest.digest}`)).status,
    404,
  )
})

t.test(
  'R96: a manifest known through one repository is delivered to another all the same',
  async t => {
    const stub = await stubWith(t, { v1: image })
    stub.addImage('library/copy', 'v1', image)
    const edge = await edgeOver(t, stub)
    await edge.get(byDigest(image.manifest.digest))
    const path = `/v2/library/copy/manifests/${image.manifest.digest}`
    t.equal((await edge.get(path)).status, 200)
    const asked = stub.select({ repository: 'library/copy' }).map(request => request.method)
    t.same(asked, ['GET'])
  },
)

t.test('20 clients on one cold tag cost one GET', async t => {
  const stub = await stubWith(t, { v1: image })
  const edge = await edgeOver(t, stub)
  const answers = await Promise.all(Array.from({ length: 20 }, () => edge.get(TAG)))
  t.ok(answers.every(answer => answer.status === 200 && answer.complete))
  t.equal(stub.count({ kind: 'manifest' }), 1)
})

t.test(
  'R184: a manifest that rotted on disk is fetched again, and the rotten bytes are never served',
  async t => {
    const stub = await stubWith(t, { v1: image })
    const edge = await edgeOver(t, stub)
    await edge.get(TAG)
    const hex = image.manifest.digest.slice('sha256:'.length)
    const file = `${edge.dataDirectory}/blobs/sha256/${hex.slice(0, 2)}/${hex}`
    await chmod(file, 0o600)
    const handle = await open(file, 'r+')
    await handle.write(Buffer.from('X'), 0, 1, 10)
    await handle.close()
    const answer = await edge.get(byDigest(image.manifest.digest))
    t.same(answer.body, image.manifest.bytes)
    t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 2)
  },
)

t.test('R185: a document that is image and index at once is 502 and not kept', async t => {
  const stub = await stubWith(t)
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.manifest,
    manifests: [],
    layers: [],
  })
  stub.addDocument('library/app', 'v1', written(MEDIA_TYPES.oci.manifest, text))
  const edge = await edgeOver(t, stub)
  t.equal((await edge.settle(edge.get(TAG))).status, 502)
  t.equal((await judge(edge.dataDirectory)).right.length, 0)
})
