// Goal: a manifest that says a wrong size of a good blob costs nobody that blob, and makes no HEAD
// lie (R253). Method: the whole edge in process over a counting stub, which has a good image and a
// manifest that tells otherwise of the same layer.
import t, { type Test } from 'tap'
import { BLOBS, MANIFESTS, type Pair, startPair } from '../../kit/worlds/edge-over-stub.ts'
import type { Content } from '../../kit/content.ts'
import { type Document, document, makeImage } from '../../kit/image.ts'

const image = makeImage({ seed: 'sizes', layers: [300_000] })
const layer = image.layers[0] as Content
const LAYER = `${BLOBS}/${layer.digest}`

/** The same image, but for the size that it gives its layer. */
function lying(size: number): Document {
  const members = JSON.parse(image.manifest.bytes.toString()) as { layers: object[] }
  const layers = members.layers.map(each => ({ ...each, size }))
  return document(image.manifest.mediaType, { ...members, layers })
}

async function start(t: Test, config: Record<string, unknown> = {}): Promise<Pair> {
  const images = { v1: image }
  const pair = await startPair(t, { images, entry: { prefetch: false }, edge: { config } })
  pair.stub.addDocument('library/app', 'short', lying(1_000))
  pair.stub.addDocument('library/app', 'long', lying(9_000_000))
  return pair
}

/** HEAD, GET, and HEAD again. */
async function isRight(t: Test, { edge }: Pair): Promise<void> {
  const length = { 'content-length': `${layer.sizeBytes}` }
  t.match(await edge.send('HEAD', LAYER), { status: 200, headers: length })
  await isWhole(t, { edge })
}

async function isWhole(t: Test, { edge }: Pick<Pair, 'edge'>): Promise<void> {
  const answer = await edge.get(LAYER)
  t.match(answer, { status: 200, complete: true })
  t.ok(answer.body.equals(layer.bytes()))
  await edge.untilLogged('fill ended')
  const length = { 'content-length': `${layer.sizeBytes}` }
  t.match(await edge.send('HEAD', LAYER), { status: 200, headers: length })
}

for (const tag of ['short', 'long']) {
  t.test(`R253: a good image's layer comes although another manifest is ${tag} of it`, async t => {
    const pair = await start(t)
    for (const each of [tag, 'v1'])
      t.equal((await pair.edge.get(`${MANIFESTS}/${each}`)).status, 200)
    await isRight(t, pair)
  })

  t.test(`R253: also where only the manifest that is ${tag} of it is here`, async t => {
    const pair = await start(t)
    t.equal((await pair.edge.get(`${MANIFESTS}/${tag}`)).status, 200)
    await isWhole(t, pair)
  })

  t.test(`R253: also where the registry's GET tells no length: ${tag}`, async t => {
    const pair = await start(t)
    pair.stub.fault({ kind: 'blob', method: 'GET' }, { chunked: true })
    t.equal((await pair.edge.get(`${MANIFESTS}/${tag}`)).status, 200)
    await isWhole(t, pair)
  })
}

t.test('R253: what a push says of sizes, no pull believes', async t => {
  const pair = await start(t, { repositories: [{ match: 'docker.io/**', push: 'queue' }] })
  const { bytes, mediaType } = lying(1_000)
  await pair.edge.get(`${BLOBS}/${image.config.digest}`)
  const headers = { 'content-type': mediaType }
  const path = `${MANIFESTS}/pushed`
  t.equal((await pair.edge.send('PUT', path, { headers, body: bytes })).status, 201)
  const reader = { host: 'edge.example' }
  const length = { 'content-length': `${layer.sizeBytes}` }
  t.match(await pair.edge.send('HEAD', LAYER, { headers: reader }), {
    status: 200,
    headers: length,
  })
  await isWhole(t, pair)
})
