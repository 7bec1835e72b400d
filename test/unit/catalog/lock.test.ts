// Goal: something foreign where the files of the catalog belong is named, with what to do, and left alone. Method: it is put there
// before the catalog is opened.
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { StoreError } from '../../../src/registry/ports/blob-store.ts'
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
