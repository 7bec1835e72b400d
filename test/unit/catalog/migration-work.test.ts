// Goal: what an upgrade does grows with what is in the catalog, and no faster, however many
// repositories list the same layer. Method: in place of the edges stands a view that counts how
// often one of them is looked at. The tables are those of version 1002.
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { migrate, MIGRATIONS } from '../../../src/catalog/sqlite/schema/schema.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { digestNamed, layerEdge, manifestNamed } from '../../contract/catalog-samples.ts'
import { asVersion1002 } from '../../kit/version-1002.ts'

const REPOSITORIES = 40
/**
 * One look for each thing that the upgrade has to know of an edge: elsewhere or here, of which
 * layer, listed by whom.
 */
const LOOKS_AT_EACH = 4

/**
 * So many repositories with an image each. All list the same Windows base, every other one by a
 * second image that brings it.
 */
function leaveWindowsImages(t: Test): string {
  const directory = t.testdir({})
  asVersion1002(directory, old => {
    const base = 'base'
    const names = Array.from({ length: REPOSITORIES }, (_, at) => `made.up.example/app${at}`)
    for (const [at, key] of names.entries()) {
      const repository = parseRepositoryKey(key)
      const foreign = [layerEdge(base, { distributable: false })]
      old.recordManifest(repository, manifestNamed(`foreign ${at}`, foreign))
      if (at % 2 === 0)
        old.recordManifest(repository, manifestNamed(`own ${at}`, [layerEdge(base)]))
      if (at === 0) old.recordBlob(repository, digestNamed(base), 'cached')
    }
  })
  return directory
}

t.test('an upgrade looks at each edge a few times, not once for each other one', async t => {
  const database = new Sqlite(join(leaveWindowsImages(t), 'catalog.db'))
  t.teardown(() => database.close())
  let looks = 0
  database.function('looked', (value: number) => {
    looks += 1
    return value
  })
  const edges = database.prepare('SELECT count(*) FROM edge').pluck().get() as number
  database.exec(`CREATE TEMP VIEW edge AS
    SELECT parent, position, child, kind, size, media_type, platform, looked(distributable) AS distributable FROM main.edge`)
  // The step after these makes triggers, which a view cannot have.
  migrate(
    database,
    MIGRATIONS.filter(({ version }) => version <= 2000),
  )
  t.ok(looks >= edges, 'the view stands in their place')
  t.ok(looks <= LOOKS_AT_EACH * edges, `${looks} looks at ${edges} edges`)
})
