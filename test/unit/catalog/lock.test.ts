// Goal: something foreign where the files of the catalog belong is named, with what to do, and left
// alone. Method: it is put there before the catalog is opened.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

async function refusalOf(test: Parameters<typeof openCatalog>[0], directory: string) {
  const error: unknown = await openCatalog(test, directory).catch((error: unknown) => error)
  if (error instanceof StoreError) return error
  throw new Error('it was opened')
}

t.test('junk in lock.db is refused by the name of the file, and may be removed', async t => {
  const directory = t.testdir({})
  const file = join(directory, 'lock.db')
  const junk = 'this is no database, but longer than the header of one. '.repeat(20)
  writeFileSync(file, junk)
  const { failure, message, hint } = await refusalOf(t, directory)
  t.equal(failure, 'io')
  t.ok(message.includes(file), message)
  t.equal(hint, `remove ${file}; nothing is kept in it`)
  t.equal(readFileSync(file, 'utf8'), junk)
  rmSync(file)
  t.equal((await openCatalog(t, directory)).catalog.damaged, false)
})

t.test('a directory at lock.db or catalog.db is refused by its name, and a hint', async t => {
  for (const name of ['lock.db', 'catalog.db']) {
    const directory = t.testdir({})
    const path = join(directory, name)
    mkdirSync(path)
    const { failure, message, hint } = await refusalOf(t, directory)
    t.equal(failure, 'io')
    t.equal(message, `${path} is not a file`)
    t.match(hint, path)
    rmdirSync(path)
    const { catalog } = await openCatalog(t, directory)
    t.equal(catalog.damaged, false, 'the lock was given back')
    await catalog.close()
  }
})

t.test('R277: whatever the umask, nobody else reads the catalog, its log or the lock', async t => {
  const directory = t.testdir({})
  const modes = () =>
    Object.fromEntries(
      readdirSync(directory).map(name => [name, statSync(join(directory, name)).mode & 0o777]),
    )
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const first = await openCatalog(t, directory)
  const closed = Object.fromEntries(
    ['catalog.db', 'catalog.db-shm', 'catalog.db-wal', 'lock.db'].map(name => [name, 0o600]),
  )
  t.same(modes(), closed)
  await first.catalog.close()
  // As an earlier version left it.
  for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o644)
  await openCatalog(t, directory)
  t.same(modes(), closed)
})
