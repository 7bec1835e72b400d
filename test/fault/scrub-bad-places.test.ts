// Goal: what the disk cannot read is found by a scrub, fetched again, or named and healed by a
// push. Method: the command against the whole edge in process, on an ext4 of which single files are
// spoiled while nobody has it open, so that the kernel itself fails to read them.
import { chmodSync, chownSync, existsSync, readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { ScrubResult } from '../../src/registry/scrub/scrub.ts'
import { runCli } from '../kit/cli.ts'
import { patternBlob } from '../kit/content.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { blobPath } from '../kit/disk/store-directory.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { makeImage } from '../kit/image.ts'
import { untilStill } from '../kit/threads/under-way.ts'
import { BLOBS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'

const DISK_MIB = 96
const SIZE = 30_000
/** No other process of this machine is of that user. */
const STRANGER = 54_321
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

/** As if this process had begun as `STRANGER`, to whom only these directories belong. */
function asStranger(t: Test, edge: TestEdge, files: readonly string[]): void {
  const root = dirname(edge.dataDirectory)
  // Where tests write may be their user's alone, and everybody has to come through.
  chmodSync(tmpdir(), statSync(tmpdir()).mode | 0o011)
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' })
  for (const name of ['', ...all]) chownSync(join(root, name), STRANGER, STRANGER)
  for (const file of files) chownSync(file, 0, 0)
  process.seteuid?.(STRANGER)
  t.teardown(() => process.seteuid?.(0))
}

t.test('R871: files of somebody else are no bad files: few go, and the scrub ends', async t => {
  const { edge, stub } = await startPair(t)
  const blobs = Array.from({ length: 60 }, (_, at) => patternBlob(`strange ${at}`, 500))
  for (const blob of blobs) {
    stub.addBlob('library/app', blob)
    await edge.get(`${BLOBS}/${blob.digest}`)
  }
  const files = blobs.map(({ digest }) => blobPath(edge.dataDirectory, digest))
  await untilStill(() => files.every(existsSync))
  for (const file of files) chmodSync(file, 0o400)
  await edge.clock.advance(1)
  asStranger(t, edge, files)
  const { exitCode, stderr } = await runCli(['scrub', '--socket', edge.socket])
  t.equal(exitCode, 1)
  t.match(stderr, /16 files in a row cannot be read/)
  process.seteuid?.(0)
  t.equal((await filesIn(edge, 'quarantine')).length, 8)
  t.ok(stub.count({ kind: 'blob' }) <= 60 + 16, 'nor is all of it fetched again')
  for (const file of files) chownSync(file, STRANGER, STRANGER)
  t.match(await scrub(edge), { exitCode: 0, healed: { broken: 0 } })
  for (const blob of blobs)
    t.ok((await edge.get(`${BLOBS}/${blob.digest}`)).body.equals(blob.bytes()), blob.digest)
})
