// Goal: whoever lists content of others in very many manifests of his own slows down nobody who
// asks what needs it. Method: the statements of the catalog itself, on a file that it wrote, over a
// view of the edges that counts each one that is looked at.
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import t, { type Test } from 'tap'
import { LEAVE_CODES } from '../../../src/catalog/sqlite/encoding.ts'
import { idsIn } from '../../../src/catalog/sqlite/ids.ts'
import { statementsOf } from '../../kit/judges/catalog-statements.ts'
import {
  blobOf,
  digestNamed,
  layerEdge,
  manifestNamed,
  pullOf,
  secret,
} from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

/** Of a registry that does not share, each of which lists the same. */
const STRANGE = 1_000
/** More than have needs of what is looked at, in all. */
const FEW = 20

async function listedByMany(t: Test) {
  const directory = t.testdir()
  const { catalog } = await openCatalog(t, directory)
  await catalog.recordManifest(pullOf(manifestNamed('child')))
  await catalog.recordManifest(pullOf(manifestNamed('image', [layerEdge('layer')])))
  await Promise.all(['layer', 'loose'].map(name => catalog.recordBlob(blobOf(name))))
  const edges = [
    layerEdge('layer'),
    layerEdge('loose'),
    layerEdge('child', { kind: 'manifest' }),
    // What needs nothing, whoever lists it.
    layerEdge('loose', { kind: 'subject' }),
  ]
  await Promise.all(
    Array.from({ length: STRANGE }, (_, at) =>
      catalog.recordManifest(
        pullOf(manifestNamed(`strange ${at}`, edges), { repository: secret, apart: true }),
      ),
    ),
  )
  const database = new Sqlite(join(directory, 'catalog.db'))
  t.teardown(() => database.close())
  return database
}

/** Edges that are looked at by what `run` runs. */
function countLooks(database: Database) {
  let looks = 0
  database.function('looked', { deterministic: false }, () => {
    looks += 1
    return 1
  })
  database.exec('CREATE TEMP VIEW edge AS SELECT * FROM main.edge WHERE looked()')
  return (sql: string, ...values: unknown[]) => {
    looks = 0
    database.prepare(sql).run(...values)
    return looks
  }
}

t.test('what needs content is told without all that list it and do not need it', async t => {
  const database = await listedByMany(t)
  const statements = statementsOf(database)
  const looksOf = countLooks(database)
  const id = (name: string) => idsIn(database).knownContent(digestNamed(name))
  const [atMs, isEvicted] = [9, 1]
  const few = (looks: number) => t.ok(looks < FEW, `${looks} looks`)

  const intends = statements.filter(sql => sql.includes('INSERT INTO leaving'))
  t.equal(intends.length, 2)
  for (const sql of intends)
    for (const name of ['layer', 'loose', 'child'])
      few(looksOf(sql, LEAVE_CODES.evicted, atMs, id(name), isEvicted))
  const recounts = statements.filter(sql => sql.includes('refs = n.times'))
  t.equal(recounts.length, 1)
  for (const sql of recounts) few(looksOf(sql, 0, Number(id('strange 0')) - 1))
})
