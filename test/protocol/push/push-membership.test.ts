// Goal: naming a digest in a push is no right to its bytes, whatever way it is named, and stays
// none when the catalog is lost (R179). Method: the whole edge in process over its real store and
// catalog; one repository's layer, asked for through others.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Document, document, MEDIA_TYPES } from '../../kit/image.ts'

const OWNER = 'localhost/team/owner'
const OTHER = 'localhost/team/other'
const SPARSE = 'localhost/sparse/other'
const secret = Buffer.from('a layer of somebody else')
const config = Buffer.from('{}')
const RULES = { repositories: [{ match: 'localhost/sparse/**', push: 'store', sparse: true }] }

const owned = imageOf({})

function imageOf(members: object): Document {
  const mediaType = MEDIA_TYPES.oci.manifest
  const layer = { mediaType: 'application/octet-stream', ...described(secret), ...members }
  const configured = { mediaType: 'application/json', ...described(config) }
  const parts = { config: configured, layers: [layer] }
  return document(mediaType, { schemaVersion: 2, mediaType, ...parts })
}

function indexOf({ mediaType, bytes }: Document): Document {
  const index = MEDIA_TYPES.oci.index
  const manifests = [{ mediaType, ...described(bytes) }]
  return document(index, { schemaVersion: 2, mediaType: index, manifests })
}

function described(bytes: Buffer) {
  return { digest: digestOf(bytes), size: bytes.length }
}

async function put(edge: TestEdge, repository: string, { digest, mediaType, bytes }: Document) {
  const path = `/v2/${repository}/manifests/${digest}`
  const headers = { 'content-type': mediaType }
  return (await edge.send('PUT', path, { headers, body: bytes })).status
}

/** What GET says of the layer, and of the manifest that names it in its owner's repository. */
async function seenIn(edge: TestEdge, repository: string) {
  const layer = await edge.get(`/v2/${repository}/blobs/${digestOf(secret)}`)
  const manifest = await edge.get(`/v2/${repository}/manifests/${owned.digest}`)
  return { layer: layer.status, manifest: manifest.status }
}

async function startOwned(edge: TestEdge): Promise<void> {
  await pushBlob(edge, OWNER, secret)
  for (const repository of [OWNER, OTHER, SPARSE]) await pushBlob(edge, repository, config)
  if ((await put(edge, OWNER, owned)) !== 201) throw new Error('the owner could not push')
}

const ways = {
  'as a layer with foreign URLs': [OTHER, imageOf({ urls: ['https://elsewhere.example/'] })],
  'as a layer that is not distributed': [
    OTHER,
    imageOf({ mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' }),
  ],
  'where manifests are taken without their layers': [SPARSE, imageOf({ annotations: {} })],
  'through an index where those are taken without their manifests': [SPARSE, indexOf(owned)],
} as const

for (const [way, [repository, pushed]] of Object.entries(ways)) {
  t.test(`R179: a push that names another repository's layer ${way} gains nothing`, async t => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const options = { upstreams: NO_UPSTREAM, config: RULES, directory }
    const edge = await startTestEdge(t, options)
    await startOwned(edge)
    t.equal(await put(edge, repository, pushed), 201)
    const nothing = { layer: 404, manifest: 404 }
    t.strictSame(await seenIn(edge, repository), nothing)
    t.strictSame(await seenIn(edge, OWNER), { layer: 200, manifest: 200 })
    await edge.stop()

    for (const file of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'])
      await rm(join(edge.dataDirectory, file), { force: true })
    const again = await startTestEdge(t, options)
    t.strictSame(await seenIn(again, repository), nothing, 'with a catalog built from facts')
    t.strictSame(await seenIn(again, OWNER), { layer: 200, manifest: 200 })
    await pushBlob(again, repository, secret)
    t.equal((await seenIn(again, repository)).layer, 200, 'who sends it has it')
  })
}

t.test('R118, R179: a deleted layer does not come back by an index over its manifest', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  await startOwned(edge)
  await pushBlob(edge, OTHER, secret)
  t.equal(await put(edge, OTHER, owned), 201)
  await edge.send('DELETE', `/v2/${OTHER}/blobs/${digestOf(secret)}`)
  t.equal(await put(edge, OTHER, indexOf(owned)), 201)
  t.strictSame(await seenIn(edge, OTHER), { layer: 404, manifest: 200 })
})

t.test("R179: a manifest's bytes sent as a blob bring no layer with them", async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  await startOwned(edge)
  t.equal((await pushBlob(edge, OTHER, owned.bytes)).status, 201)
  t.equal((await seenIn(edge, OTHER)).layer, 404)
})

t.test(
  'R179: a layer that is sent after the manifest that names it survives the catalog',
  async t => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const options = { upstreams: NO_UPSTREAM, config: RULES, directory }
    const edge = await startTestEdge(t, options)
    await pushBlob(edge, SPARSE, config)
    t.equal(await put(edge, SPARSE, owned), 201)
    t.equal((await pushBlob(edge, SPARSE, secret)).status, 201)
    await edge.stop()
    for (const file of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'])
      await rm(join(edge.dataDirectory, file), { force: true })
    const again = await startTestEdge(t, options)
    t.strictSame(await seenIn(again, SPARSE), { layer: 200, manifest: 200 })
  },
)
