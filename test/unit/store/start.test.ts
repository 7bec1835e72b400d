// Goal: whatever a killed process or a power cut left in the data directory, the next start is
// clean and loses nothing that could be resumed. Method: crash states laid by hand as files, then a
// start, then a look at the files.
import {
  lstat,
  mkdir,
  readdir,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import t, { type Test } from 'tap'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import {
  digestBy,
  type StoreDirectory,
  storeDirectory,
  sharedStoreDirectory,
} from '../../kit/disk/store-directory.ts'
import { partsLeft } from '../../kit/disk/parts-left.ts'

const BYTES = 'the bytes of a blob, long enough to be cut in pieces'
const DIGEST = digestBy('sha256', BYTES)
const emptyDirectory = sharedStoreDirectory(t)

function sidecar(overrides: Record<string, unknown> = {}): string {
  const fields = { version: 1, sizeBytes: BYTES.length, validator: '"v1"' }
  return JSON.stringify({ ...fields, bootId: 'this boot', syncedBytes: 0, ...overrides })
}

async function layPart(directory: StoreDirectory, part: string, beside: string): Promise<void> {
  await directory.lay(directory.partPath(DIGEST), part)
  await directory.lay(directory.partPath(DIGEST, '.json'), beside)
}

t.test('the first start makes every directory, for its owner alone', async t => {
  const directory = storeDirectory(t, `${t.testdir()}/data/entrepot`)
  await directory.open()
  const prefixes = [
    ['blobs', 'sha256', '00'],
    ['blobs', 'sha512'],
  ]
  for (const names of [
    ['fills'],
    ['uploads'],
    ['facts'],
    ['tmp'],
    ['quarantine'],
    ...prefixes,
    [],
  ]) {
    t.equal(await directory.mode(directory.path(...names)), 0o700, names.join('/'))
  }
  t.same(await directory.files(), [])
})

t.test('directories for sha512 come with its first blob, and are all there then', async t => {
  const directory = storeDirectory(t, `${t.testdir()}/data`)
  const store = await directory.open()
  t.same(await readdir(directory.path('blobs', 'sha512')), [])
  const digest = digestBy('sha512', BYTES)
  const [, ...puts] = await Promise.all([
    store.put(DIGEST, Buffer.from(BYTES), 'kept'),
    store.put(digest, Buffer.from(BYTES), 'kept'),
    store.put(digestBy('sha512', 'other'), Buffer.from('other'), 'cached'),
  ])
  t.equal(puts.length, 2)
  t.equal((await readdir(directory.path('blobs', 'sha512'))).length, 256)
  t.equal(await directory.mode(directory.path('blobs', 'sha512', 'ff')), 0o700)
  t.same(await store.readVerified(digest), Buffer.from(BYTES))
  const listed = []
  for await (const blob of store.list()) listed.push(blob.digest)
  t.equal(listed.length, 3)
})

t.test('a start that was cut off among them makes the rest when they are needed', async t => {
  const directory = storeDirectory(t, `${t.testdir()}/data`)
  const digest = digestBy('sha512', BYTES)
  await mkdir(directory.path('blobs', 'sha512', digest.slice(7, 9)), {
    recursive: true,
    mode: 0o700,
  })
  const store = await directory.open()
  await store.put(digest, Buffer.from(BYTES), 'kept')
  t.equal((await readdir(directory.path('blobs', 'sha512'))).length, 256)
  await rm(directory.path('blobs', 'sha512', '00'), { recursive: true })
  await symlink('/tmp', directory.path('blobs', 'sha512', '00'))
  await t.rejects(directory.open(), StoreError, 'no directory may be a link')
})

t.test('R86: temporary files of an earlier process are removed, whatever they are', async t => {
  const directory = await emptyDirectory()
  await directory.lay(directory.path('tmp', '9f1c'), 'half a manifest')
  await symlink('/etc/passwd', directory.path('tmp', 'link'))
  await directory.open()
  t.same(await directory.files(), [])
  t.ok(await lstat('/etc/passwd'))
})

t.test('R86: parts and sidecars of no use are removed', async t => {
  const useless: Record<string, (directory: StoreDirectory) => Promise<void>> = {
    'a part without sidecar': directory => directory.lay(directory.partPath(DIGEST), 'the b'),
    'a sidecar without part': directory =>
      directory.lay(directory.partPath(DIGEST, '.json'), sidecar()),
    'an empty part': directory => layPart(directory, '', sidecar()),
    'an empty sidecar': directory => layPart(directory, 'the b', ''),
    'half a sidecar': directory => layPart(directory, 'the b', sidecar().slice(0, 30)),
    'a sidecar of a later version': directory =>
      layPart(directory, 'the b', sidecar({ version: 2 })),
    'a huge sidecar': directory => layPart(directory, 'the b', `${' '.repeat(10_000)}${sidecar()}`),
    'a part that is longer than its blob': directory => layPart(directory, `${BYTES}!`, sidecar()),
    'a part of another boot that was never synced': directory =>
      layPart(directory, 'the b', sidecar({ bootId: 'another boot' })),
    'a name that is not a digest': directory =>
      directory.lay(directory.path('fills', 'sha256-abc'), 'x'),
  }
  const directory = await emptyDirectory()
  for (const [name, lay] of Object.entries(useless)) {
    await lay(directory)
    const store = await directory.open()
    t.same(await directory.files(), [], name)
    t.same(await partsLeft(store), [], name)
    const fill = await store.openFill(DIGEST)
    t.equal(fill.contiguousBytes, 0, name)
    await fill.discard()
  }
})

t.test('a part that nobody resumed for more than a week is removed', async t => {
  const directory = await emptyDirectory()
  await layPart(directory, 'the b', sidecar())
  directory.clock.jump(6 * 24 * 3_600_000)
  t.same(await partsLeft(await directory.open()), [DIGEST])
  directory.clock.jump(2 * 24 * 3_600_000)
  t.same(await partsLeft(await directory.open()), [])
  t.same(await directory.files(), [])
})

t.test('R825: a part that was dated by a clock in 1970 is as old as the start', async t => {
  const directory = await emptyDirectory()
  await layPart(directory, 'the b', sidecar())
  await utimes(directory.partPath(DIGEST), 90, 90)
  const store = await directory.open()
  t.match(await store.describeParts(), [{ changedAtMs: directory.clock.nowMs() }])
  t.same(await partsLeft(store), [DIGEST], 'nor does a look for old ones take it')
  directory.clock.jump(6 * 24 * 3_600_000)
  t.same(await partsLeft(await directory.open()), [DIGEST])
  directory.clock.jump(2 * 24 * 3_600_000)
  t.same(await partsLeft(await directory.open()), [], 'it grew old since, over starts')
})

t.test('R86: after a killed process in the same boot the whole part counts', async t => {
  const directory = await emptyDirectory()
  await layPart(directory, BYTES.slice(0, 20), sidecar({ syncedBytes: 8 }))
  await finish(t, directory, 20)
})

t.test('R86: after another boot only the synced beginning of the part counts', async t => {
  const directory = await emptyDirectory()
  const beside = sidecar({ bootId: 'another boot', syncedBytes: 8 })
  await layPart(directory, `${BYTES.slice(0, 8)}\0\0\0\0\0\0`, beside)
  await finish(t, directory, 8)
})

t.test('R86: a synced length beyond the end of the part is not believed', async t => {
  const directory = await emptyDirectory()
  await layPart(directory, BYTES.slice(0, 8), sidecar({ bootId: 'x', syncedBytes: 30 }))
  await finish(t, directory, 8)
})

t.test('R86: a part of the whole length is there whole', async t => {
  const directory = await emptyDirectory()
  await layPart(directory, BYTES, sidecar())
  await finish(t, directory, BYTES.length)
})

t.test('directories that vanished are made again, and what is left is served', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await store.put(DIGEST, Buffer.from(BYTES), 'kept')
  await rm(directory.path('tmp'), { recursive: true })
  await rm(directory.path('fills'), { recursive: true })
  const other = BYTES.endsWith('pieces') && DIGEST.includes(':00') ? '01' : '00'
  await rm(directory.path('blobs', 'sha256', other), { recursive: true })
  const next = await directory.open()
  t.ok(await next.find(DIGEST))
  t.ok((await lstat(directory.path('blobs', 'sha256', other))).isDirectory())
  const fill = await next.openFill(DIGEST)
  await fill.discard()
})

t.test(
  'R191: a link or a file in place of a directory stops the start, with a way out',
  async t => {
    const outside = t.testdir({ elsewhere: {}, file: '' })
    const directory = storeDirectory(t, `${outside}/data`)
    await directory.open()
    const tops = ['tmp', 'fills', 'uploads', 'facts', 'quarantine', 'blobs']
    const places = [...tops.map(top => [top]), ['blobs', 'sha256', '7f']]
    for (const names of places) {
      const path = directory.path(...names)
      await rename(path, `${outside}/aside`)
      for (const target of ['elsewhere', 'file']) {
        await symlink(`${outside}/${target}`, path)
        await refuses(t, directory, `a link to ${target} at ${path}`)
        await unlink(path)
      }
      await writeFile(path, '')
      await refuses(t, directory, `a file at ${path}`)
      await unlink(path)
      await rename(`${outside}/aside`, path)
    }
    await directory.open()
    t.same(await readdir(`${outside}/elsewhere`), [], 'nothing was made where the link led')
  },
)

async function refuses(t: Test, directory: StoreDirectory, what: string): Promise<void> {
  const error = await directory.open().catch((failure: unknown) => failure)
  t.ok(error instanceof StoreError && error.failure === 'io', what)
  t.match(error, { hint: /move it away/ }, what)
}

t.test('the root directory itself may be a link: that is for the operator to say', async t => {
  const outside = t.testdir({ elsewhere: {} })
  await symlink(`${outside}/elsewhere`, `${outside}/data`)
  const store = await storeDirectory(t, `${outside}/data`).open()
  await store.put(DIGEST, Buffer.from(BYTES), 'cached')
  t.ok(await lstat(storeDirectory(t, `${outside}/elsewhere`).blobPath(DIGEST)))
})

t.test('a root that cannot be a directory is an io failure with a hint', async t => {
  const root = `${t.testdir({ file: '' })}/file/data`
  await t.rejects(storeDirectory(t, root).open(), { name: 'StoreError', failure: 'io' })
})

async function finish(t: Test, directory: StoreDirectory, resumedBytes: number): Promise<void> {
  const store = await directory.open()
  t.same(await partsLeft(store), [DIGEST])
  const fill = await store.openFill(DIGEST)
  t.equal(fill.contiguousBytes, resumedBytes)
  t.same(fill.expected, { sizeBytes: BYTES.length, validator: '"v1"' })
  t.equal((await lstat(directory.partPath(DIGEST))).size, resumedBytes)
  await fill.append(Buffer.from(BYTES.slice(resumedBytes)))
  fill.verify(BYTES.length)
  await fill.commit('cached')
  t.equal(await directory.read(directory.blobPath(DIGEST)), BYTES)
  t.equal((await directory.files()).length, 1)
}
