// Goal: uploads lie on disk as docs/storage-format.md says, a start leaves those that can go on and
// nothing else, and nothing is followed out of the data directory. Method: the store over a
// directory, its files looked at and laid by hand.
import { lstat, mkdir, symlink, utimes } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { layoutUnder, uploadEntry, uploadPath } from '../../../src/store/filesystem/layout.ts'
import {
  formatUploadSidecar,
  parseUploadSidecar,
} from '../../../src/store/filesystem/growing/upload-sidecar.ts'
import { uploadIdFrom } from '../../../src/store/upload-id.ts'
import { seeding } from '../../kit/arbitraries.ts'
import {
  digestBy,
  type StoreDirectory,
  sharedStoreDirectory,
  storeDirectory,
} from '../../kit/disk/store-directory.ts'

const BYTES = Buffer.from('the bytes of a blob')
const DIGEST = digestBy('sha256', BYTES)
const ID = 'Zk3-8_q0ZV2dC1mXy7RtQA'
const emptyDirectory = sharedStoreDirectory(t)

function sidecar(overrides: Record<string, unknown> = {}): string {
  const fields = { version: 1, note: 'its note', algorithm: 'sha256' }
  return JSON.stringify({ ...fields, bootId: 'this boot', syncedBytes: 0, ...overrides })
}

async function layUpload(
  directory: StoreDirectory,
  bytes: string | Uint8Array,
  beside: string,
): Promise<void> {
  await directory.lay(directory.path('uploads', ID), bytes)
  await directory.lay(directory.path('uploads', `${ID}.json`), beside)
}

t.test('an upload has a file and a sidecar for its owner alone, and leaves a blob', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const upload = await store.createUpload(ID, 'its note', 'sha512')
  const names = [`uploads/${ID}`, `uploads/${ID}.json`]
  t.same(await directory.files(), names)
  for (const name of names) t.equal(await directory.mode(directory.path(name)), 0o600)
  t.same(JSON.parse(await directory.read(directory.path(`uploads/${ID}.json`))), {
    version: 1,
    note: 'its note',
    algorithm: 'sha512',
    bootId: 'this boot',
    syncedBytes: 0,
  })
  await upload.append(BYTES)
  await upload.park()
  const { syncedBytes } = JSON.parse(await directory.read(directory.path(`uploads/${ID}.json`)))
  t.equal(syncedBytes, BYTES.length)
  const again = await store.openUpload(ID)
  await again?.verify(DIGEST)
  await again?.commit('kept')
  t.equal((await directory.files()).length, 1)
  t.equal(await directory.mode(directory.blobPath(DIGEST)), 0o440)
})

t.test('R86: at a start what cannot go on is removed', async t => {
  const useless: Record<string, (directory: StoreDirectory) => Promise<void>> = {
    'a file without sidecar': directory => directory.lay(directory.path('uploads', ID), 'the b'),
    'a sidecar without file': directory =>
      directory.lay(directory.path('uploads', `${ID}.json`), sidecar()),
    'an empty sidecar': directory => layUpload(directory, 'the b', ''),
    'half a sidecar': directory => layUpload(directory, 'the b', sidecar().slice(0, 30)),
    'a sidecar of a later version': directory =>
      layUpload(directory, 'the b', sidecar({ version: 2 })),
    'a huge sidecar': directory => layUpload(directory, 'the b', ' '.repeat(10_000) + sidecar()),
    'a name that is no id': directory => directory.lay(directory.path('uploads', 'a b'), 'x'),
    'a link': async directory => {
      await symlink('/etc/passwd', directory.path('uploads', ID))
      await directory.lay(directory.path('uploads', `${ID}.json`), sidecar())
    },
  }
  const directory = await emptyDirectory()
  for (const [name, lay] of Object.entries(useless)) {
    await lay(directory)
    const store = await directory.open()
    t.same(await directory.files(), [], name)
    t.same(await store.listUploads(), [], name)
    t.equal(await store.openUpload(ID), undefined, name)
  }
  t.ok(await lstat('/etc/passwd'))
})

t.test('R99: at a start what can go on is left, however old and however empty', async t => {
  const directory = await emptyDirectory()
  await layUpload(directory, '', sidecar({ bootId: 'another boot' }))
  directory.clock.jump(365 * 24 * 3_600_000)
  await mkdir(directory.path('uploads', 'not-ours'), { recursive: true })
  const store = await directory.open()
  t.match(await store.listUploads(), [{ id: ID, note: 'its note', sizeBytes: 0 }])
  const upload = await store.openUpload(ID)
  t.equal(upload?.sizeBytes, 0)
  await upload?.discard()
})

t.test('R99: after another boot only what was synced is believed', async t => {
  const directory = await emptyDirectory()
  const cut = Buffer.concat([BYTES.subarray(0, 9), Buffer.alloc(30)])
  await layUpload(directory, cut, sidecar({ bootId: 'another boot', syncedBytes: 9 }))
  const store = await directory.open()
  t.match(await store.listUploads(), [{ sizeBytes: 9 }])
  const upload = await store.openUpload(ID)
  t.equal(upload?.sizeBytes, 9)
  t.equal((await lstat(directory.path('uploads', ID))).size, 9)
  await upload?.append(BYTES.subarray(9))
  await upload?.verify(DIGEST)
  await upload?.commit('kept')
  t.equal(await directory.read(directory.blobPath(DIGEST)), BYTES.toString())
})

t.test('R110: listUploads says when each last grew', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await layUpload(directory, 'the b', sidecar())
  await utimes(directory.path('uploads', ID), 1_700_000_000, 1_700_000_000)
  t.same(await store.listUploads(), [
    { id: ID, note: 'its note', sizeBytes: 5, changedAtMs: 1_700_000_000_000 },
  ])
})

t.test('a long upload is synced on the way, so that a power cut costs little of it', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const upload = await store.createUpload(ID, 'its note', 'sha256')
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  for (let count = 0; count < 70; count += 1) await upload.append(megabyte)
  await upload.park()
  const { syncedBytes } = JSON.parse(await directory.read(directory.path(`uploads/${ID}.json`)))
  t.equal(syncedBytes, 70 * 1024 * 1024)
  await (await directory.open()).removeUpload(ID)
  t.same(await directory.files(), [])
})

t.test('R191: links in place of an upload and its sidecar are not followed', async t => {
  const outside = t.testdir({ secret: 'secret', beside: sidecar() })
  const directory = storeDirectory(t, `${outside}/data`)
  const store = await directory.open()
  await symlink(`${outside}/secret`, directory.path('uploads', ID))
  await t.rejects(store.createUpload(ID, '', 'sha256'), { name: 'StoreError', failure: 'busy' })
  await directory.lay(directory.path('uploads', `${ID}.json`), sidecar())
  t.same(await store.listUploads(), [])
  t.equal(await store.openUpload(ID), undefined)
  await symlink(`${outside}/beside`, directory.path('uploads', 'other.json'))
  await directory.lay(directory.path('uploads', 'other'), 'x')
  t.equal(await store.openUpload('other'), undefined)
  await store.removeUpload(ID)
  t.equal(await directory.read(`${outside}/secret`), 'secret')
  t.equal(await directory.read(`${outside}/beside`), sidecar())
})

t.test('R191: names in uploads/ are ids, there and back', async t => {
  const layout = layoutUnder('/data')
  const id = uploadIdFrom(ID)
  if (id === undefined) throw new Error('it is one')
  t.equal(uploadPath(layout, id), `/data/uploads/${ID}`)
  t.same(uploadEntry(ID), { kind: 'file', id })
  t.same(uploadEntry(`${ID}.json`), { kind: 'sidecar', id })
  for (const other of ['', '.json', '..', `${ID}.json.json`, `${ID}.txt`, 'x'.repeat(129), 'a/b']) {
    t.equal(uploadEntry(other), undefined, other)
  }
})

t.test('R86: parseUploadSidecar is the inverse of formatUploadSidecar', async t => {
  const sidecars = fc.record(
    {
      note: fc.string({ unit: 'binary', maxLength: 1024 }),
      algorithm: fc.constantFrom('sha256' as const, 'sha512' as const),
      bootId: fc.string(),
      syncedBytes: fc.maxSafeNat(),
    },
    { noNullPrototype: true },
  )
  const holds = fc.property(sidecars, each =>
    isDeepStrictEqual(parseUploadSidecar(formatUploadSidecar(each)), each),
  )
  t.doesNotThrow(() => fc.assert(holds, { ...seeding(), numRuns: 300 }))
  const wrong = [
    { version: 2 },
    { note: 1 },
    { note: undefined },
    { algorithm: 'md5' },
    { algorithm: undefined },
    { bootId: null },
    { syncedBytes: -1 },
    { syncedBytes: 1.5 },
    { syncedBytes: null },
  ]
  for (const fields of wrong) t.equal(parseUploadSidecar(sidecar(fields)), undefined)
  const good = sidecar()
  for (let length = 0; length < good.length; length += 1) {
    t.equal(parseUploadSidecar(good.slice(0, length)), undefined)
  }
  for (const other of ['null', '[]', '1', '"x"']) t.equal(parseUploadSidecar(other), undefined)
})
