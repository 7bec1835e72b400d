// Goal: a disk with bad places costs what lies on them, and nothing else: the edge starts, fetches
// anew what can be fetched, and takes a push of what was pushed. Method: the store, and the whole
// edge in process, on an ext4 of which single files are spoiled while nobody has it open, so that
// the kernel itself fails to look at them or to read them.
import t, { type Test } from 'tap'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { patternBlob } from '../kit/content.ts'
import { BLOBS, startPair } from '../kit/edge-over-stub.ts'
import { NO_UPSTREAM, pushBlob } from '../kit/edge-push.ts'
import { startTestEdge } from '../kit/edge.ts'
import { mountSmallDisk, type SmallDisk } from '../kit/small-disk.ts'
import { blobPath, digestBy, storeDirectory } from '../kit/store-directory.ts'

/** Room for a catalog with its log, and a few blobs. */
const DISK_MIB = 96
const APP = '/v2/localhost/app/blobs'

async function mount(t: Test): Promise<SmallDisk> {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  return disk
}

t.test('R749: a listing passes over a file that cannot be looked at, and tells of it', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  const store = await directory.open()
  const digests = []
  for (let count = 0; count < 20; count += 1) {
    const bytes = Buffer.from(`blob ${count}`)
    digests.push(digestBy('sha256', bytes))
    await store.put(digestBy('sha256', bytes), bytes, 'cached')
  }
  const [bad, ...good] = digests
  if (bad === undefined) throw new Error('there are twenty')
  await disk.spoil([directory.blobPath(bad)], 'file')
  const listed = []
  for await (const { digest } of (await directory.open()).list()) listed.push(digest)
  t.same(listed.sort(), good.sort())
  const told = { kind: 'storage failed', failure: 'io', reason: bad, hint: /dmesg/ }
  t.match(directory.events, [told])
})

t.test('R746: what a file cannot say that lies in the way of a start is passed over', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  await directory.open()
  const inTheWay = ['tmp/left', 'fills/left', 'uploads/left', 'quarantine/left', 'facts/left']
  for (const name of inTheWay) writeFileSync(join(directory.root, name), 'left')
  await disk.spoil(
    inTheWay.map(name => join(directory.root, name)),
    'file',
  )
  await directory.open()
  for (const name of inTheWay.slice(0, 3))
    t.ok(
      directory.events.some(event => 'reason' in event && event.reason?.includes(name)),
      name,
    )
})

t.test('R746: an edge starts though the disk cannot look at one of its files', async t => {
  const disk = await mount(t)
  const first = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  const [lost, left] = [patternBlob('lost', 5_000), patternBlob('left', 5_000)]
  for (const blob of [lost, left]) await pushBlob(first, 'localhost/app', blob.bytes())
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, lost.digest)], 'file')
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  t.ok((await edge.get(`${APP}/${left.digest}`)).body.equals(left.bytes()))
  t.equal((await edge.get(`${APP}/${lost.digest}`)).status, 404)
  t.equal((await edge.send('HEAD', `${APP}/${lost.digest}`)).status, 404)
  const told = edge.lines().filter(({ msg }) => msg === 'storage failed')
  t.match(told, [{ reason: lost.digest, failure: 'io' }, { reason: lost.digest }])
  t.not((await pushBlob(edge, 'localhost/app', lost.bytes())).status, 201, 'it cannot be replaced')
})

t.test('R746: what was cached there is given from its upstream, and nothing is kept', async t => {
  const disk = await mount(t)
  const { edge: first, stub } = await startPair(t, { edge: { directory: disk.path } })
  const blob = patternBlob('cached', 50_000)
  stub.addBlob('library/app', blob)
  await first.get(`${BLOBS}/${blob.digest}`)
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, blob.digest)], 'file')
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, directory: disk.path })
  for (let count = 0; count < 3; count += 1) {
    const answer = await edge.get(`${BLOBS}/${blob.digest}`)
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(blob.bytes()))
  }
})
