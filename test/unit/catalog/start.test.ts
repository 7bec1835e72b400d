// Goal: a catalog opens from whatever was left behind, or says what to do. Method: files are
// damaged byte by byte as disks do, a second process asks for the same directory, and versions are
// written into the file.
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { MIGRATIONS, migrate } from '../../../src/catalog/sqlite/schema/schema.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import {
  alpine,
  digestNamed,
  latest,
  layerEdge,
  manifestNamed,
  pullOf,
} from '../../contract/catalog-samples.ts'
import { openCatalog } from '../../kit/open-catalog.ts'
import { isMemberOf } from '../../kit/judges/membership.ts'

const PAGE_BYTES = 4096

/** A closed catalog with some thousand rows. */
async function leaveCatalog(t: Test): Promise<string> {
  const directory = t.testdir({})
  const { catalog } = await openCatalog(t, directory)
  const edges = Array.from({ length: 2000 }, (_, n) => layerEdge(`${n}`))
  const manifest = manifestNamed('m', edges)
  await catalog.recordManifest(pullOf(manifest, { tag: latest }))
  await catalog.close()
  return directory
}

function overwrite(file: string, position: number, bytes: Uint8Array): void {
  const handle = openSync(file, 'r+')
  writeSync(handle, bytes, 0, bytes.length, position)
  closeSync(handle)
}

t.test('a second process is told which directory is taken and what to do', async t => {
  const directory = t.testdir({})
  await openCatalog(t, directory)
  const program = fileURLToPath(new URL('../../kit/disk/acknowledging-writer.ts', import.meta.url))
  const second = spawnSync(process.execPath, [program, directory], { encoding: 'utf8' })
  t.equal(second.stdout, '')
  t.match(second.stderr, directory)
  t.match(second.stderr, 'is in use by another process')
  await t.rejects(openCatalog(t, directory), { name: 'StoreError', failure: 'busy' })
})

t.test(
  'that facts were compared holds until the next start, however that process ends',
  async t => {
    const directory = t.testdir({})
    const { catalog } = await openCatalog(t, directory)
    t.equal(catalog.compared, false, 'a new one')
    await catalog.markCompared()
    await catalog.close()
    const next = (await openCatalog(t, directory)).catalog
    t.equal(next.compared, true)
    await next.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 1 })
    await next.close()
    const after = (await openCatalog(t, directory)).catalog
    t.equal(after.compared, false, 'the one before said nothing at its end')
    const refused = { checkedAtMs: 'soon' as never }
    await t.rejects(after.recordTag(alpine, latest, digestNamed('y'), refused))
    await after.markCompared()
    await after.close()
    const last = (await openCatalog(t, directory)).catalog
    t.equal(last.compared, false, 'nor does one in which a write failed')
  },
)

t.test('a damaged catalog is kept as evidence, and a new one begins', async t => {
  const damages: Record<string, (file: string) => void> = {
    'a zeroed page': file => overwrite(file, 5 * PAGE_BYTES, Buffer.alloc(PAGE_BYTES)),
    'a zeroed first page': file => overwrite(file, 0, Buffer.alloc(PAGE_BYTES)),
    'no database at all': file =>
      writeFileSync(file, 'this is not a database, but longer than a header '.repeat(99)),
    'a file cut in half': file => truncateSync(file, 20 * PAGE_BYTES),
  }
  for (const [name, damage] of Object.entries(damages))
    await t.test(name, async t => {
      const directory = await leaveCatalog(t)
      damage(join(directory, 'catalog.db'))
      const { catalog, events } = await openCatalog(t, directory)
      t.equal(catalog.damaged, true)
      t.match(catalog.damagedPredecessor, join(directory, 'catalog.db.damaged-20260101T000000Z'))
      t.match(events, [{ kind: 'storage failed', failure: 'corrupt', hint: String }])
      t.ok(readdirSync(directory).includes('catalog.db.damaged-20260101T000000Z'))
      await catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 1 })
      t.ok(await catalog.findTag(alpine, latest), 'the new one works')

      await catalog.close()
      const again = await openCatalog(t, directory)
      t.equal(again.catalog.damaged, true, 'a crash before recovery does not hide the damage')
      t.same(again.events, [], 'which was told of')
      await again.catalog.markRebuilt(true)
      await again.catalog.markRecovered()
      await again.catalog.close()
      t.equal((await openCatalog(t, directory)).catalog.damaged, false)
    })
})

t.test('a move of a damaged catalog that a crash cut off is told of by the next start', async t => {
  const fresh = t.testdir({})
  await (await openCatalog(t, fresh)).catalog.close()
  const evidence = 'catalog.db.damaged-20251231T235959Z'
  const crashes: Record<string, (at: (name: string) => string) => void> = {
    'before its log was moved': at => {
      renameSync(at('catalog.db'), at(evidence))
      writeFileSync(at('catalog.db-wal'), 'its log')
    },
    'before a new one began': at => {
      renameSync(at('catalog.db'), at(evidence))
      writeFileSync(at(`${evidence}-wal`), 'its log')
    },
    'before the new one knew': at => {
      renameSync(at('catalog.db'), at(evidence))
      writeFileSync(at(`${evidence}-wal`), 'its log')
      copyFileSync(join(fresh, 'catalog.db'), at('catalog.db'))
    },
  }
  for (const [name, crash] of Object.entries(crashes))
    await t.test(name, async t => {
      const directory = await leaveCatalog(t)
      const at = (name: string) => join(directory, name)
      crash(at)
      const { catalog, events } = await openCatalog(t, directory)
      t.equal(catalog.damagedPredecessor, at(evidence))
      t.match(events, [{ kind: 'storage failed', failure: 'corrupt' }])
      t.equal(readFileSync(at(`${evidence}-wal`), 'utf8'), 'its log')
      t.equal(await catalog.findTag(alpine, latest), undefined, 'the new one is empty')
      await catalog.markRebuilt(true)
      await catalog.markRecovered()
      await catalog.close()
      const next = await openCatalog(t, directory)
      t.equal(next.catalog.damaged, false)
      t.same(next.events, [])
    })
})

t.test('a write-ahead log whose end is torn costs its last commits only', async t => {
  const directory = await leaveCatalog(t)
  // What a power cut leaves of a log: a header that was never finished.
  writeFileSync(join(directory, 'catalog.db-wal'), Buffer.alloc(1000, 0x5a))
  const { catalog } = await openCatalog(t, directory)
  t.equal(catalog.damaged, false)
  t.ok(await catalog.findTag(alpine, latest))
})

t.test('a directory that cannot be used is refused with a hint', async t => {
  const directory = t.testdir({ file: 'not a directory' })
  const error: unknown = await openCatalog(t, join(directory, 'file')).catch(error => error)
  t.match(error, { name: 'StoreError', failure: 'io' })
  t.ok(error instanceof StoreError && error.hint !== undefined)
})

t.test(
  'a newer minor version is opened as it is, a newer major refused with the way out',
  async t => {
    const newest = MIGRATIONS.at(-1)?.version ?? 0
    const directory = await leaveCatalog(t)
    const setVersion = (version: number) => {
      const database = new Sqlite(join(directory, 'catalog.db'))
      database.pragma(`user_version = ${version}`)
      database.exec('CREATE TABLE IF NOT EXISTS later (x)')
      database.close()
    }
    setVersion(2999)
    const { catalog } = await openCatalog(t, directory)
    t.ok(await catalog.findManifest(alpine, digestNamed('m')))
    await catalog.close()
    const database = new Sqlite(join(directory, 'catalog.db'))
    t.equal(database.pragma('user_version', { simple: true }), 2999, 'its version stays')
    database.close()

    setVersion(3000)
    await t.rejects(openCatalog(t, directory), {
      name: 'StoreError',
      hint: /newer version.*docs\/operations\.md.*"Upgrade"/,
    })
    for (const none of [7, 999, -1]) {
      setVersion(none)
      await t.rejects(openCatalog(t, directory), { name: 'StoreError', hint: /move the file/ })
    }
    setVersion(newest)
    t.equal(
      (await openCatalog(t, directory)).catalog.damaged,
      false,
      'nothing was harmed meanwhile',
    )
  },
)

t.test('every earlier version is brought up to date, all steps or none', async t => {
  const steps = [...MIGRATIONS, { version: 2999, sql: 'CREATE TABLE extra (x)' }]
  for (let from = 0; from <= steps.length; from++) {
    const database = new Sqlite(':memory:')
    if (from > 0) migrate(database, steps.slice(0, from))
    t.equal(migrate(database, steps), 2999)
    t.equal(migrate(database, steps), 2999, 'and again without effect')
    database.exec('INSERT INTO extra VALUES (1); INSERT INTO meta VALUES (1, 2)')
  }
  const broken = [...MIGRATIONS, { version: 2999, sql: 'CREATE TABLE extra (x); nonsense' }]
  const database = new Sqlite(':memory:')
  t.throws(() => migrate(database, broken), { code: 'SQLITE_ERROR' })
  t.equal(database.pragma('user_version', { simple: true }), 0)
  t.strictSame(database.prepare('SELECT * FROM sqlite_schema').all(), [])
})

interface Made {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  readonly sql: string | null
}

t.test('a new file, made at once, is what all steps make of one', t => {
  const [atOnce, byStep] = [MIGRATIONS, [...MIGRATIONS]].map(steps => {
    const database = new Sqlite(':memory:')
    const version = migrate(database, steps)
    const made = database.prepare<[], Made>('SELECT type, name, tbl_name, sql FROM sqlite_schema')
    const parts = made.all().map(({ sql, ...part }) => ({
      ...part,
      sql: sql?.replaceAll(/\s+/g, ' '),
    }))
    const totals = database.prepare('SELECT * FROM totals').all()
    const known = database.prepare('SELECT key, length(value) FROM meta').all()
    database.close()
    return { version, parts, totals, known }
  })
  t.ok((atOnce?.parts.length ?? 0) > 80)
  t.same(atOnce, byStep)
  t.end()
})

t.test(
  'R823: a catalog of the newest version with other tables is refused, not served',
  async t => {
    const changes = {
      'a column less, as a build from before the release wrote it': `DROP INDEX content_loose;
      DROP INDEX content_loose_since; DROP INDEX content_unclear;
      ALTER TABLE content DROP COLUMN unclear`,
      'an index less': 'DROP INDEX edge_by_child',
      'a trigger less': 'DROP TRIGGER tag_deleted',
      'a trigger of somebody else': `CREATE TRIGGER more AFTER INSERT ON tag
      BEGIN DELETE FROM meta; END`,
    }
    for (const [name, sql] of Object.entries(changes))
      await t.test(name, async t => {
        const directory = await leaveCatalog(t)
        const file = join(directory, 'catalog.db')
        const database = new Sqlite(file)
        database.exec(sql)
        database.close()
        await t.rejects(openCatalog(t, directory), {
          name: 'StoreError',
          failure: 'io',
          message: /format of this version.*other tables/,
          hint: /move catalog\.db away.*facts\//,
        })
        for (const part of readdirSync(directory).filter(part => part.startsWith('catalog.db')))
          renameSync(join(directory, part), join(directory, `old-${part}`))
        const { catalog } = await openCatalog(t, directory)
        await catalog.recordManifest(pullOf(manifestNamed('m', [layerEdge('l')]), { tag: latest }))
        t.ok(await catalog.findManifest(alpine, digestNamed('m')), 'as the hint says')
        await catalog.close()
      })
    const directory = await leaveCatalog(t)
    const database = new Sqlite(join(directory, 'catalog.db'))
    database.exec('CREATE TABLE copied (x); CREATE INDEX mine ON tag (pulls); ANALYZE')
    database.close()
    const { catalog } = await openCatalog(t, directory)
    t.ok(
      await catalog.findManifest(alpine, digestNamed('m')),
      'what a tool has added harms nothing',
    )
  },
)

t.test('a start that brings the catalog to another format says so before and after', async t => {
  const top = t.testdir({ old: {}, new: {} })
  const directory = join(top, 'old')
  const database = new Sqlite(join(directory, 'catalog.db'))
  const [before, newest] = MIGRATIONS.slice(-2).map(({ version }) => version)
  migrate(database, MIGRATIONS.slice(0, -1))
  database.close()
  const { size: bytes } = statSync(join(directory, 'catalog.db'))
  const { catalog, events } = await openCatalog(t, directory)
  const versions = { from: before, to: newest }
  t.strictSame(events, [
    { kind: 'catalog is being brought up to date', ...versions, bytes },
    { kind: 'catalog brought up to date', ...versions },
  ])
  await catalog.close()
  t.strictSame((await openCatalog(t, directory)).events, [], 'nothing of a format that stays')
  t.strictSame((await openCatalog(t, join(top, 'new'))).events, [], 'nor of a new catalog')
})

t.test('a membership that a later version let expire is none', async t => {
  const directory = await leaveCatalog(t)
  const database = new Sqlite(join(directory, 'catalog.db'))
  database.exec('UPDATE repository_content SET expires = 1767225600000')
  database.close()
  const { catalog, clock } = await openCatalog(t, directory)
  t.equal(await isMemberOf(catalog, alpine, digestNamed('m')), false)
  clock.jump(-1)
  t.equal(await isMemberOf(catalog, alpine, digestNamed('m')), true)
})
