// Goal: what the disk cannot read is found by a scrub, fetched again, or named and healed by a
// push. Method: the command against the whole edge in process, on an ext4 of which single files are
// spoiled while nobody has it open, so that the kernel itself fails to read them.
import t, { type Test } from 'tap'
import type { ScrubResult } from '../../src/registry/scrub/scrub.ts'
import { runCli } from '../kit/cli.ts'
import { patternBlob } from '../kit/content.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { blobPath } from '../kit/disk/store-directory.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { makeImage } from '../kit/image.ts'
import { BLOBS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'

const DISK_MIB = 96
const SIZE = 30_000
/** Longer than what a read has failed at counts as not here by itself. */
const LONG_MS = 120_000

async function mount(t: Test) {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  return disk
}

async function scrub(edge: TestEdge) {
  await edge.clock.advance(1)
  const { exitCode, stdout } = await runCli(['scrub', '--json', '--socket', edge.socket])
  return { exitCode, ...(JSON.parse(stdout) as ScrubResult) }
}

t.test('R868: what was pushed there is named, and is not here until it is pushed', async t => {
  const disk = await mount(t)
  const options = { upstreams: NO_UPSTREAM, directory: disk.path }
  const first = await startTestEdge(t, options)
  const image = makeImage({ seed: 'unreadable', layers: [SIZE, SIZE] })
  const [layer] = image.layers
  if (layer === undefined) throw new Error('it has two layers')
  const { mediaType, bytes } = image.manifest
  const push = (edge: TestEdge) =>
    edge.send('PUT', '/v2/localhost/app/manifests/v1', {
      headers: { 'content-type': mediaType },
      body: bytes,
    })
  for (const blob of [image.config, ...image.layers])
    await pushBlob(first, 'localhost/app', blob.bytes())
  t.equal((await push(first)).status, 201)
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, layer.digest)], 'bytes')
  const edge = await startTestEdge(t, options)
  const found = await scrub(edge)
  t.match(found, { exitCode: 1, healed: { broken: 1 }, gone: [{ what: layer.digest }] })
  t.match(found.gone[0]?.reason, /cannot read it; it breaks localhost\/app:v1/)
  await edge.clock.advance(LONG_MS)
  const path = `/v2/localhost/app/blobs/${layer.digest}`
  t.equal((await edge.send('HEAD', path)).status, 404, 'who pushes is told to send it')
  t.equal((await pushBlob(edge, 'localhost/app', layer.bytes())).status, 201)
  t.equal((await edge.send('HEAD', path)).status, 200)
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
  t.ok((await edge.get(path)).body.equals(layer.bytes()))
})

t.test('R868: what was cached there is fetched again', async t => {
  const disk = await mount(t)
  const { edge: first, stub } = await startPair(t, { edge: { directory: disk.path } })
  const blob = patternBlob('cached', SIZE)
  stub.addBlob('library/app', blob)
  await first.get(`${BLOBS}/${blob.digest}`)
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, blob.digest)], 'bytes')
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, directory: disk.path })
  await edge.untilLogged('recovery finished')
  t.match(await scrub(edge), { exitCode: 0, healed: { refetched: 1, broken: 0 } })
  const answer = await edge.get(`${BLOBS}/${blob.digest}`)
  t.match(answer, { status: 200, headers: { 'x-entrepot-source': 'hit' } })
  t.ok(answer.body.equals(blob.bytes()))
})
