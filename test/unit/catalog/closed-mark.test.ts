// Goal: a start reads all of the catalog unless the file is what a process left that ended in
// order. Method: pages that a check would find are zeroed as a disk does it, without a trace in the
// file's times, so that a start that does not find them has not read them.
import { cpSync, existsSync, mkdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { closeInOrder } from '../../../src/catalog/sqlite/file/closed-mark.ts'
import { openForWriting } from '../../../src/catalog/sqlite/file/database.ts'
import { alpine, digestNamed, layerEdge, manifestNamed } from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'
import { rot } from '../../kit/disk/rot.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Of the clock that catalogs of tests go by. */
const START_MS = Date.UTC(2026, 0, 1)

const MANIFEST = {
  repository: alpine,
  manifest: manifestNamed(
    'm',
    Array.from({ length: 2000 }, (_, n) => layerEdge(`${n}`)),
  ),
  atMs: 1,
} as const

/** A catalog with some thousand rows, closed in order. */
async function leaveCatalog(t: Test) {
  const directory = join(t.testdir({ first: {} }), 'first')
  const { catalog } = await openCatalog(t, directory)
  await catalog.recordManifest(MANIFEST)
  await catalog.close({ inOrder: true })
  return { directory, file: join(directory, 'catalog.db') }
}

t.test('a start does not read all of a catalog that was closed in order', async t => {
  const { directory, file } = await leaveCatalog(t)
  rot(file)
  const { catalog, events } = await openCatalog(t, directory)
  t.equal(catalog.damaged, false)
  t.strictSame(events, [])
})

t.test('damage that is met after such a start is looked for at the next one', async t => {
  await t.test('by a read', async t => {
    const { directory, file } = await leaveCatalog(t)
    rot(file)
    const { catalog } = await openCatalog(t, directory)
    const read = catalog.findManifest(alpine, digestNamed('m'))
    await t.rejects(read, { name: 'StoreError', failure: 'corrupt', hint: /restart/ })
    await catalog.close({ inOrder: true })
    t.equal((await openCatalog(t, directory)).catalog.damaged, true)
  })
  await t.test('by a write', async t => {
    const { directory, file } = await leaveCatalog(t)
    rot(file)
    const { catalog } = await openCatalog(t, directory)
    await t.rejects(catalog.recordManifest(MANIFEST), { name: 'StoreError', failure: 'corrupt' })
    await catalog.close({ inOrder: true })
    t.equal((await openCatalog(t, directory)).catalog.damaged, true)
  })
})

t.test('a catalog is read when somebody has written to it since', async t => {
  await t.test('into its log, as another version that was killed', async t => {
    const { directory, file } = await leaveCatalog(t)
    const beside = new Sqlite(file)
    t.teardown(() => beside.close())
    beside.exec('CREATE TABLE later (x)')
    const killed = copyOf(t, directory, { preserveTimestamps: true })
    rot(join(killed, 'catalog.db'))
    t.equal((await openCatalog(t, killed)).catalog.damaged, true)
  })
  await t.test('without its times', async t => {
    const { directory } = await leaveCatalog(t)
    const copy = copyOf(t, directory, { preserveTimestamps: false })
    rot(join(copy, 'catalog.db'))
    t.equal((await openCatalog(t, copy)).catalog.damaged, true)
  })
  for (const laterSeconds of [0.5, 1])
    await t.test(`${laterSeconds} s later`, async t => {
      const { directory, file } = await leaveCatalog(t)
      const { atimeMs, mtimeMs } = statSync(file)
      utimesSync(file, atimeMs / 1000, mtimeMs / 1000 + laterSeconds)
      rot(file)
      t.equal((await openCatalog(t, directory)).catalog.damaged, true)
    })
})

t.test(
  'a copy of the file alone is read, though it was made before the log was moved into it',
  async t => {
    const { directory, file } = await leaveCatalog(t)
    await openCatalog(t, directory)
    const copy = join(t.testdirName, 'copy')
    mkdirSync(copy)
    cpSync(file, join(copy, 'catalog.db'), { preserveTimestamps: true })
    rot(join(copy, 'catalog.db'))
    t.equal((await openCatalog(t, copy)).catalog.damaged, true)
  },
)

t.test('a catalog that was closed, but not in order, is read', async t => {
  const { directory, file } = await leaveCatalog(t)
  await (await openCatalog(t, directory)).catalog.close()
  rot(file)
  t.equal((await openCatalog(t, directory)).catalog.damaged, true)
})

t.test('a catalog is read once a month, however often it is closed in order', async t => {
  const { file } = await leaveCatalog(t)
  rot(file)
  const first = openForWriting(file, START_MS + 29 * DAY_MS)
  t.equal(first.evidence, undefined)
  closeInOrder(first.database, file, START_MS + 29 * DAY_MS)
  const next = openForWriting(file, START_MS + 31 * DAY_MS)
  next.database.close()
  t.type(next.evidence, 'string')
})

t.test('the mark of a close in order holds for one start', async t => {
  const { directory, file } = await leaveCatalog(t)
  const { atimeMs, mtimeMs } = statSync(file)
  t.equal(mtimeMs % 1000, 0, 'a whole second')
  await openCatalog(t, directory)
  // What was written since, the taking of the mark with it, is moved into the file, as a process
  // that runs on does it.
  const beside = new Sqlite(file)
  beside.pragma('wal_checkpoint(TRUNCATE)')
  beside.close()
  utimesSync(file, atimeMs / 1000, mtimeMs / 1000)
  const killed = copyOf(t, directory, { preserveTimestamps: true })
  rot(join(killed, 'catalog.db'))
  t.equal((await openCatalog(t, killed)).catalog.damaged, true)
})

/** The catalog as a process that is killed now leaves it. */
function copyOf(t: Test, directory: string, options: { preserveTimestamps: boolean }): string {
  const copy = join(t.testdirName, 'copy')
  mkdirSync(copy)
  for (const name of ['catalog.db', 'catalog.db-wal'])
    if (existsSync(join(directory, name))) cpSync(join(directory, name), join(copy, name), options)
  return copy
}
