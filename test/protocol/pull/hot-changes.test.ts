// Goal: whatever changes an answer, the very next request sees it, however often the old one was
// given from memory before. Method: the whole edge in process over a counting stub; each answer is
// asked for until it comes from memory, then one thing changes.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { createBarrier } from '../../kit/stubs/stub-faults.ts'

const [first, second] = [
  makeImage({ seed: 'first', layers: [1_000] }),
  makeImage({ seed: 'second', layers: [2_000] }),
]
const LOCAL = 'localhost/team/app'

/** Until it is given from memory; returns the status of the last one. */
async function heat(edge: TestEdge, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) for (let count = 0; count < 4; count += 1) await edge.get(path)
}

async function push(edge: TestEdge, repository: string, image: Image, reference: string) {
  for (const blob of [image.config, ...image.layers]) await pushBlob(edge, repository, blob.bytes())
  return putManifest(edge, repository, image, reference)
}

/** As a client does that finds the blobs there. */
async function putManifest(edge: TestEdge, repository: string, image: Image, reference: string) {
  const { bytes: body, mediaType } = image.manifest
  const headers = { 'content-type': mediaType }
  return edge.send('PUT', `/v2/${repository}/manifests/${reference}`, { body, headers })
}

function layer({ layers: [first] }: Image): string {
  return first?.digest ?? ''
}

/** By hand, so that no catalog hears of it. */
async function removeFile(edge: TestEdge, digest: string): Promise<void> {
  const hex = digest.slice('sha256:'.length)
  const entries = await readdir(edge.dataDirectory, { recursive: true, withFileTypes: true })
  const files = entries.filter(({ name, parentPath }) => join(parentPath, name).includes(hex))
  for (const { name, parentPath } of files) await rm(join(parentPath, name), { recursive: true })
}

async function digestAt(edge: TestEdge, path: string): Promise<string | undefined> {
  return (await edge.get(path)).headers['docker-content-digest']
}

t.test('a push of a tag is seen by the next pull', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const tag = `/v2/${LOCAL}/manifests/v1`
  for (const image of [first, second, first]) {
    t.equal((await push(edge, LOCAL, image, 'v1')).status, 201)
    t.equal(await digestAt(edge, tag), image.manifest.digest)
    await heat(edge, tag)
  }
})

t.test('a delete of a tag, a manifest, a blob is seen by the next pull', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const base = `/v2/${LOCAL}`
  const layer = `${base}/blobs/${first.layers[0]?.digest}`
  const [tag, other] = [`${base}/manifests/v1`, `${base}/manifests/v2`]
  const byDigest = `${base}/manifests/${first.manifest.digest}`
  await push(edge, LOCAL, first, 'v1')
  await putManifest(edge, LOCAL, first, 'v2')
  await heat(edge, tag, other, byDigest, layer)
  const status = async (path: string) => (await edge.get(path)).status

  t.equal((await edge.send('DELETE', tag)).status, 202)
  t.same([await status(tag), await status(other), await status(byDigest)], [404, 200, 200])
  await heat(edge, other, byDigest, layer)
  t.equal((await edge.send('DELETE', byDigest)).status, 202)
  t.same([await status(other), await status(byDigest), await status(layer)], [404, 404, 404])
  await push(edge, LOCAL, first, 'v1')
  await heat(edge, layer)
  t.equal((await edge.send('DELETE', layer)).status, 202)
  t.equal(await status(layer), 404)
})

t.test('a tag that moved or went upstream is seen as soon as the upstream was asked', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: first }, entry: { ttl: '1m' } })
  const tag = `${MANIFESTS}/v1`
  await heat(edge, tag)
  stub.addImage('library/app', 'v1', second)
  await heat(edge, tag)
  t.equal(await digestAt(edge, tag), first.manifest.digest, 'it is fresh')
  await edge.clock.advance(121_000)
  t.equal(await digestAt(edge, tag), second.manifest.digest)
  await heat(edge, tag)
  stub.deleteTag('library/app', 'v1')
  await edge.clock.advance(121_000)
  t.equal((await edge.get(tag)).status, 404)
})

t.test('P4: a tag under load costs one question in each of its freshness periods', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: first }, entry: { ttl: '1m' } })
  const tag = `${MANIFESTS}/v1`
  const many = () => Promise.all(Array.from({ length: 40 }, () => edge.get(tag)))
  await heat(edge, tag)
  for (let period = 1; period <= 4; period += 1) {
    await edge.clock.advance(60_000)
    for (const { status } of await many()) t.equal(status, 200)
    // In its grace the old answer is given until somebody has asked after the upstream had
    // answered.
    while ((await edge.get(tag)).headers['age'] !== '0') {
      await many()
      await edge.clock.advance(50)
    }
    await many()
    t.equal(stub.count({ method: 'HEAD' }), period)
  }
})

t.test("a push that was delivered is the upstream's from then on", async t => {
  const repository = 'docker.io/library/app'
  const config = { repositories: [{ match: 'docker.io/**', push: 'queue' }] }
  const { edge, stub } = await startPair(t, { entry: { ttl: '1m' }, edge: { config } })
  const tag = `/v2/${repository}/manifests/v1`
  const hold = createBarrier(0)
  stub.fault({ kind: 'manifest', method: 'PUT' }, { hold }, { times: 1 })
  t.equal((await push(edge, repository, first, 'v1')).status, 201)
  await heat(edge, tag)
  const sourceOf = async () => (await edge.get(tag)).headers['x-entrepot-source']
  t.equal(await sourceOf(), 'local')
  hold.release()
  await edge.settle(edge.untilLogged('push delivered'))
  t.equal(await sourceOf(), 'hit')
})

t.test('content that is gone is missed where it was listed, and nothing else is', async t => {
  const entry = { ttl: '1m', prefetch: false }
  const { edge, stub } = await startPair(t, { images: { v1: first }, entry })
  stub.addImage('library/other', 'v1', second)
  const layerOf = (name: string, image: Image) => `/v2/library/${name}/blobs/${layer(image)}`
  const [lost, others] = [layerOf('app', first), layerOf('other', second)]
  const tags = ['app', 'other'].map(name => `/v2/library/${name}/manifests/v1`)
  await heat(edge, ...tags, lost, others)
  // Memory keeps what is whole on disk, which is a moment after the client has it.
  await edge.untilLogged('fill ended', 2)
  await heat(edge, lost, others)
  const sourceOf = async (path: string) => (await edge.get(path)).headers['x-entrepot-source']
  for (const image of [first, second]) await removeFile(edge, layer(image))
  stub.deleteBlob('library/app', layer(first))
  stub.deleteBlob('library/other', layer(second))
  t.equal((await edge.get(lost)).status, 200, 'its bytes are right as long as nobody looks')
  t.equal((await edge.get(lost, { range: 'bytes=0-9' })).status, 404)
  t.equal((await edge.get(lost)).status, 404)
  t.equal(await sourceOf(others), 'hit', 'still from memory: its file is gone, too')
  for (const tag of tags) t.equal(await sourceOf(tag), 'hit')
})

t.test('a reload is seen by the next request', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: first }, entry: { ttl: '1m' } })
  const tag = `${MANIFESTS}/v1`
  const layer = `/v2/docker.io/library/app/blobs/${first.layers[0]?.digest}`
  await heat(edge, tag, layer)
  edge.reload({ 'docker.io': { url: stub.url, ttl: 0 } })
  stub.addImage('library/app', 'v1', second)
  t.equal(await digestAt(edge, tag), second.manifest.digest, 'no tag is fresh any more')
  await heat(edge, tag, layer)
  edge.reload({ 'quay.io': { url: stub.url } }, { default: 'quay.io' })
  t.equal((await edge.get(layer)).status, 404, 'this upstream is none any more')
})
