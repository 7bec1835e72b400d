// Goal: what failed downloads left counts with what the disk holds of it, however little came, and
// there is a bound to its number. Method: parts laid by hand as files, as an upstream that answers
// in single bytes leaves them, then the store over them and a look at the files.
import { lstat, readdir } from 'node:fs/promises'
import t from 'tap'
import { removeParts } from '../../../src/registry/space/remove-parts.ts'
import { digestBy, storeDirectory, type StoreDirectory } from '../../kit/disk/store-directory.ts'

/** Of `st_blocks`, whatever the file system's own are. */
const STAT_BLOCK_BYTES = 512

async function layParts(directory: StoreDirectory, count: number, text = 'x') {
  const fields = { version: 1, sizeBytes: 9_000, validator: null, bootId: 'this boot' }
  const sidecar = JSON.stringify({ ...fields, syncedBytes: 0 })
  const digests = Array.from({ length: count }, (_, at) => digestBy('sha256', `${text} ${at}`))
  for (const digest of digests) {
    await directory.lay(directory.partPath(digest), text)
    await directory.lay(directory.partPath(digest, '.json'), sidecar)
  }
  return digests
}

async function onDisk(directory: StoreDirectory) {
  const names = await readdir(directory.path('fills'))
  const stats = await Promise.all(names.map(name => lstat(directory.path('fills', name))))
  return {
    files: names.length,
    bytes: stats.reduce((sum, { blocks }) => sum + blocks * STAT_BLOCK_BYTES, 0),
  }
}

t.test('R455: parts of one byte count as the disk holds them, and give that back', async t => {
  const directory = storeDirectory(t)
  await directory.open()
  await layParts(directory, 300)
  const store = await directory.open()
  const { bytes } = await onDisk(directory)
  t.equal(store.partsBytes, bytes)
  await store.measureOthers()
  const beside = store.otherBytes
  const parts = { store, isShared: () => true }
  const wanted = { bytes: 80_000, from: 'client', isEnough: async () => true } as const
  t.ok(await removeParts(parts, wanted))
  const left = await onDisk(directory)
  t.ok(bytes - left.bytes >= wanted.bytes, 'so much is free')
  t.equal(left.files, 2 * (300 - 10), 'and no more went than that takes')
  t.equal(store.partsBytes, left.bytes)
  await store.measureOthers()
  t.ok(Math.abs(store.otherBytes - beside) < wanted.bytes, 'nothing counts twice')
})

t.test('R456: beyond their bound the shortest parts go, and those that go on stay', async t => {
  const partsMax = 100
  const directory = storeDirectory(t, t.testdir(), { partsMax })
  await directory.open()
  const [first, ...long] = await layParts(directory, 5, 'long '.repeat(1_000))
  if (first === undefined) throw new Error('five parts')
  await layParts(directory, partsMax + 10)
  const store = await directory.open()
  const opened = await store.openFill(first)
  t.equal(opened.contiguousBytes, 5_000, 'it goes on where it was')
  for (let times = 0; times < 20; times += 1) {
    const fill = await store.openFill(digestBy('sha256', `another ${times}`))
    await fill.append(Buffer.from('y'))
    await fill.park()
  }
  t.equal((await onDisk(directory)).files, 2 * (partsMax + 1), 'beside what is open')
  for (const digest of long) t.ok(store.mayResume(digest))
  await opened.discard()
})
