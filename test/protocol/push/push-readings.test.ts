// Goal: what a manifest is in one repository is not for another repository to say (R251): neither
// its media type nor its referrers. Method: the whole edge in process; the same bytes are pushed to
// two repositories with different Content-Types.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Document, document, makeImage, MEDIA_TYPES } from '../../kit/image.ts'

const VICTIM = 'localhost/team/victim'
const OTHER = 'localhost/team/other'
const { manifest: OCI } = MEDIA_TYPES.oci
const { manifest: DOCKER } = MEDIA_TYPES.docker
const config = Buffer.from('{}')
const subject = { mediaType: OCI, digest: digestOf(Buffer.from('subject')), size: 7 }

/** Bytes that do not say what they are: an image whose only word for it is its Content-Type. */
const silent = document(OCI, {
  schemaVersion: 2,
  config: { mediaType: 'application/json', digest: digestOf(config), size: config.length },
  layers: [],
  subject,
})

async function put(edge: TestEdge, repository: string, { digest, bytes }: Document, type: string) {
  await pushBlob(edge, repository, config)
  const path = `/v2/${repository}/manifests/${digest}`
  return edge.send('PUT', path, { headers: { 'content-type': type }, body: bytes })
}

/** As which manifest a client is given it, and what refers to its subject. */
async function seenIn(edge: TestEdge, repository: string) {
  const path = `/v2/${repository}/manifests/${silent.digest}`
  const [got, head] = [await edge.get(path), await edge.send('HEAD', path)]
  const list = await edge.get(`/v2/${repository}/referrers/${subject.digest}`)
  const { manifests } = JSON.parse(list.body.toString()) as { manifests: { mediaType: string }[] }
  return [got, head]
    .map(({ headers }) => headers['content-type'])
    .concat(manifests.map(({ mediaType }) => `referrer ${mediaType}`))
}

t.test('R251: a push elsewhere of the same bytes as another type changes nothing', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  t.equal((await put(edge, VICTIM, silent, OCI)).status, 201)
  const before = await seenIn(edge, VICTIM)
  t.strictSame(before, [OCI, OCI, `referrer ${OCI}`])
  t.equal((await put(edge, OTHER, silent, DOCKER)).status, 201)
  t.strictSame(await seenIn(edge, OTHER), [DOCKER, DOCKER, `referrer ${DOCKER}`])
  t.strictSame(await seenIn(edge, VICTIM), before)
  await put(edge, OTHER, silent, 'application/vnd.example.mine+json')
  t.strictSame(await seenIn(edge, VICTIM), before, 'nor as what nobody understands')
})

t.test(
  'R185, R251: what lists content and does not say what it is, is no unknown type',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const answer = await put(edge, OTHER, silent, 'application/vnd.example.mine+json')
    t.equal(answer.status, 400)
    t.match(answer.body.toString(), 'MANIFEST_INVALID')
  },
)

t.test('R251: each repository has its own again when the catalog was lost', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const options = { upstreams: NO_UPSTREAM, directory }
  const edge = await startTestEdge(t, options)
  await put(edge, VICTIM, silent, OCI)
  await put(edge, OTHER, silent, DOCKER)
  await edge.stop()
  for (const file of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'])
    await rm(join(edge.dataDirectory, file), { force: true })
  const again = await startTestEdge(t, options)
  t.strictSame(await seenIn(again, VICTIM), [OCI, OCI, `referrer ${OCI}`])
  t.strictSame(await seenIn(again, OTHER), [DOCKER, DOCKER, `referrer ${DOCKER}`])
})

t.test('R251: what an upstream gave stays so, whatever is pushed beside it', async t => {
  const image = makeImage({ seed: 'readings', layers: [100] })
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  stub.addDocument('library/app', 'silent', silent)
  const path = `${MANIFESTS}/${silent.digest}`
  t.equal((await edge.get(path)).headers['content-type'], OCI)
  t.equal((await put(edge, OTHER, silent, DOCKER)).status, 201)
  const again = await edge.get(path)
  t.match(again, { status: 200, headers: { 'content-type': OCI, 'x-entrepot-source': 'hit' } })
  t.equal((await edge.get(`${BLOBS}/${image.config.digest}`)).status, 200)
})
