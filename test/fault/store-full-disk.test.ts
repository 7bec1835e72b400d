// Goal: a disk without room or without inodes fails a writer with the right hint, harms nothing that is stored, and is of use again as
// soon as there is room (R07 and R08 of the programme). Method: the store on a tmpfs of a few megabytes, filled up and relieved.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { StoreError } from '../../src/registry/ports/blob-store.ts'
import { mountSmallDisk } from '../kit/small-disk.ts'
import { digestBy, storeDirectory } from '../kit/store-directory.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
const SMALL = Buffer.from('stored before the disk was full')
const SMALL_DIGEST = digestBy('sha256', SMALL)
const LARGE = Buffer.alloc(3 * MIB, 'as large as the disk may take ')
const LARGE_DIGEST = digestBy('sha256', LARGE)
const HINT = /free space .* or lower storage\.maxsize/

const disk = await mountSmallDisk(6)
t.teardown(() => disk.unmount())
const directory = storeDirectory(t, `${disk.path}/data`)
const store = await directory.open()
await store.put(SMALL_DIGEST, SMALL, 'kept')

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  if (error instanceof StoreError) return error
  throw new Error('it was to fail', { cause: error })
}

t.test('R07: a fill that finds no room says so, and leaves what is stored alone', async t => {
  for (const grown of [undefined, () => {}]) {
    for (const end of ['discard', 'park'] as const) {
      await disk.relieve()
      const fill = await store.openFill(LARGE_DIGEST, grown)
      await fill.append(LARGE.subarray(0, MIB))
      await fill.flush()
      const reader = await fill.openRead()
      await disk.fill()
      const writing = fill.append(LARGE.subarray(MIB)).then(() => fill.flush())
      t.match(await failureOf(writing), { failure: 'full', hint: HINT })
      t.ok(fill.contiguousBytes >= MIB)
      const start = Buffer.alloc(MIB)
      t.equal(await reader.read(start, 0), MIB)
      t.ok(start.equals(LARGE.subarray(0, MIB)), 'what readers had stays readable')
      t.same(await store.readVerified(SMALL_DIGEST), SMALL)
      await reader.close()
      // Where there is no room for a sidecar, the part ends without one; both endings leave a clean directory.
      await fill[end]().catch((error: unknown) => t.match(error, { failure: 'full' }))
      await disk.relieve()
      await (await store.openFill(LARGE_DIGEST)).discard()
      t.equal((await directory.files()).length, 1, end)
    }
  }
})

t.test('R07: small content that finds no room leaves no temporary file', async t => {
  await disk.fill()
  const bytes = Buffer.alloc(MIB, 'x')
  const putting = store.put(digestBy('sha256', bytes), bytes, 'kept')
  t.match(await failureOf(putting), { failure: 'full', hint: HINT })
  await disk.relieve()
  t.equal((await directory.files()).length, 1)
})

t.test('R07: with room again the same store works, without a restart', async t => {
  const fill = await store.openFill(LARGE_DIGEST, () => {})
  await fill.append(LARGE)
  fill.verify(LARGE.length)
  await fill.commit('kept')
  t.same(await store.readVerified(LARGE_DIGEST), LARGE)
  await store.remove(LARGE_DIGEST)
})

t.test('R07: a store on a full disk still starts and serves', async t => {
  await disk.fill()
  const again = await directory.open('another boot')
  t.same(await again.readVerified(SMALL_DIGEST), SMALL)
  const { freeBytes } = await again.space()
  t.ok(freeBytes < 64 * 1024, `${freeBytes} bytes free`)
  await disk.relieve()
})

t.test('a directory on another file system stops the start, with a way out', async t => {
  const outer = storeDirectory(t, `${disk.path}/outer`)
  await outer.open()
  const inner = await mountSmallDisk(1)
  t.teardown(() => inner.unmount())
  await run('mount', ['--bind', inner.path, outer.path('fills')])
  t.teardown(() => run('umount', ['-l', outer.path('fills')]))
  const error = await failureOf(outer.open())
  t.match(error, { failure: 'io', message: /on another file system/, hint: /mount the larger/ })
})
