// Goal: a disk without room or without inodes fails a writer with the right hint, harms nothing
// that is stored, and is of use again as soon as there is room (R07 and R08 of the programme).
// Method: the store on a tmpfs of a few megabytes, filled up and relieved.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { StoreError } from '../../src/registry/ports/store-error.ts'
import type { Fact } from '../../src/registry/ports/facts.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { digestBy, storeDirectory } from '../kit/disk/store-directory.ts'
import { listFacts } from '../kit/judges/facts-of.ts'

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
      // Where there is no room for a sidecar, the part ends without one; both endings leave a clean
      // directory.
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

t.test(
  'R07: an upload that finds no room keeps what it has, and goes on with room again',
  async t => {
    const upload = await store.createUpload('an-upload', 'its note', 'sha256')
    await upload.append(LARGE.subarray(0, MIB))
    await upload.flush()
    await disk.fill()
    const writing = upload.append(LARGE.subarray(MIB)).then(() => upload.flush())
    t.match(await failureOf(writing), { failure: 'full', hint: HINT })
    t.match(await failureOf(upload.append(SMALL)), { failure: 'full' }, 'nothing more is taken')
    await upload.park()
    t.same(await store.readVerified(SMALL_DIGEST), SMALL)
    const again = await store.openUpload('an-upload')
    if (again === undefined) throw new Error('the upload is gone')
    t.ok(again.sizeBytes >= MIB && again.sizeBytes < LARGE.length, `${again.sizeBytes} bytes`)
    await disk.relieve()
    await again.append(LARGE.subarray(again.sizeBytes))
    await again.verify(LARGE_DIGEST)
    await again.commit('kept')
    t.same(await store.readVerified(LARGE_DIGEST), LARGE)
    await store.remove(LARGE_DIGEST)
    t.equal((await directory.files()).length, 1)
  },
)

t.test('R07: a commit that finds no room leaves neither blob nor upload', async t => {
  const upload = await store.createUpload('an-upload', 'its note', 'sha256')
  await disk.fill()
  // Small enough to wait in memory until the commit.
  await upload.append(LARGE.subarray(0, 64 * 1024))
  await upload.verify(digestBy('sha256', LARGE.subarray(0, 64 * 1024)))
  t.match(await failureOf(upload.commit('kept')), { failure: 'full', hint: HINT })
  t.equal(await store.openUpload('an-upload'), undefined)
  await disk.relieve()
  t.equal((await directory.files()).length, 1)
})

t.test('R07: an upload that cannot even begin leaves nothing', async t => {
  await disk.fill()
  t.match(await failureOf(store.createUpload('an-upload', 'its note', 'sha256')), {
    failure: 'full',
    hint: HINT,
  })
  await disk.relieve()
  t.equal((await directory.files()).length, 1)
  const upload = await store.createUpload('an-upload', 'its note', 'sha256')
  await upload.discard()
})

t.test('R07: a fact that finds no room leaves the one before it, and is written later', async t => {
  const facts = await directory.openFacts()
  const delivery = (payload: string): Fact => {
    return { kind: 'delivery', id: 1, carrier: 'queue', key: 'a/b', payload, createdAtMs: 1 }
  }
  const listed = () => listFacts(facts)
  await facts.write([delivery('before')])
  await disk.fill()
  const later = delivery('x'.repeat(60_000))
  t.match(await failureOf(facts.write([later])), { failure: 'full', hint: HINT })
  t.same(await listed(), [delivery('before')])
  t.equal((await directory.files()).length, 2, 'the temporary file is gone')
  await disk.relieve()
  await facts.write([later])
  t.same(await listed(), [later])
  await disk.fill()
  await facts.remove([later])
  t.same(await listed(), [])
  await disk.relieve()
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
