// Goal: the catalog is as large as what is here, not as all that ever was, and gives its pages back
// (R320). Method: ten times as many images as may stay are recorded, and leave as they would when
// there is no room; the file is compared with one in which the last ones were recorded alone.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { MIGRATIONS } from '../../../src/catalog/sqlite/schema/schema.ts'
import { parseRepositoryKey, parseTag } from '../../../src/oci/reference.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import {
  blobOf,
  digestNamed,
  layerEdge,
  manifestNamed,
  pullOf,
} from '../../contract/catalog-samples.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'

/** That there is room for. */
const IMAGES = 80
const LAYERS = 6
const TIMES = 10

const repositoryOf = (image: number) => parseRepositoryKey(`docker.io/team/app-${image % 400}`)
const layersOf = (image: number) =>
  Array.from({ length: LAYERS }, (_, at) => (at === 0 ? `base ${image % 7}` : `${image}/${at}`))

async function pull(catalog: Catalog, image: number): Promise<void> {
  const repository = repositoryOf(image)
  const [tag, atMs] = [parseTag(`v${image}`), 1000 + image]
  const manifest = manifestNamed(
    `image ${image}`,
    layersOf(image).map(each => layerEdge(each)),
  )
  await Promise.all([
    catalog.recordList(repository, 'tags', { body: `["v${image}"]`.repeat(50), checkedAtMs: atMs }),
    catalog.recordManifest(pullOf(manifest, { repository, tag, atMs })),
    ...layersOf(image).map(name => catalog.recordBlob(blobOf(name, { repository, atMs }))),
  ])
}

async function leave(catalog: Catalog, images: readonly number[]): Promise<void> {
  const evicted = images.map(image => {
    const digest = digestNamed(`image ${image}`)
    const how = { reason: 'evicted', atMs: 1000 + image } as const
    return catalog.evictImage({ repository: repositoryOf(image), digest, ...how })
  })
  await Promise.all(evicted)
  const gone = await catalog.listLeaving({ limit: 9999 })
  await catalog.finishLeaving(gone.map(each => each.digest))
}

async function tidy(catalog: Catalog): Promise<void> {
  const beforeMs = 1000 + IMAGES * (TIMES - 1)
  do await catalog.tidy({ beforeMs, rows: 200 })
  while ((await catalog.tidied()).upTo !== 0)
}

async function sizeOf(t: Test, name: string, fill: (catalog: Catalog) => Promise<void>) {
  const directory = join(t.testdirName, name)
  const { catalog } = await openCatalog(t, directory)
  await fill(catalog)
  const totals = await catalog.totals()
  await catalog.close()
  t.strictSame(queryBeside(directory, 'PRAGMA integrity_check'), ['ok'])
  return { totals, bytes: statSync(join(directory, 'catalog.db')).size }
}

t.test('R320: ten times what there is room for leaves the catalog as large as once', async t => {
  t.testdir({})
  const grown = await sizeOf(t, 'grown', async catalog => {
    for (let first = 0; first < IMAGES * TIMES; first += IMAGES) {
      const images = Array.from({ length: IMAGES }, (_, at) => first + at)
      await Promise.all(images.map(image => pull(catalog, image)))
      if (first > 0)
        await leave(
          catalog,
          images.map(image => image - IMAGES),
        )
    }
    // A few rounds: each gives a little back.
    for (let round = 0; round < 5; round++) await tidy(catalog)
  })
  const fresh = await sizeOf(t, 'fresh', async catalog => {
    for (let image = IMAGES * (TIMES - 1); image < IMAGES * TIMES; image++)
      await pull(catalog, image)
  })
  t.strictSame(grown.totals, fresh.totals)
  t.ok(
    grown.bytes <= 1.5 * fresh.bytes,
    `${grown.bytes} bytes, and ${fresh.bytes} of what was recorded alone`,
  )
})

t.test('what is asked for, pushed, or taken from what is here is not forgotten', async t => {
  const { catalog } = await openCatalog(t, t.testdir({}))
  const repository = repositoryOf(1)
  const absent = digestNamed('absent')
  const tags = ['old', 'checked', 'pulled'].map(parseTag)
  for (const [at, tag] of tags.entries())
    await catalog.recordTag(repository, tag, absent, { checkedAtMs: at === 1 ? 90 : 10 })
  const use = { repository, digest: absent, count: 1, atMs: 80 }
  await catalog.noteUses([{ ...use, tag: parseTag('pulled') }])
  const image = manifestNamed('image', [layerEdge('not pulled')])
  await catalog.recordManifest(pullOf(image, { repository }))
  await catalog.recordMember(repository, digestNamed('only told of'), 1)
  for (let round = 0; round < 2; round++) await catalog.tidy({ beforeMs: 50, rows: 99 })
  const left = await catalog.listTags(repository, { limit: 9 })
  t.strictSame(left.map(({ tag }) => tag).sort(), ['checked', 'pulled'])
  t.ok(await catalog.findMember(repository, digestNamed('not pulled')), 'an image here lists it')
  t.equal(await catalog.findMember(repository, digestNamed('only told of')), undefined)
  t.equal(await catalog.isRecorded(digestNamed('only told of')), false)
})

t.test('what is old is forgotten also while something else cannot leave', async t => {
  const { catalog } = await openCatalog(t, t.testdir({}))
  const [repository, absent, leaving] = [repositoryOf(1), digestNamed('absent'), digestNamed('own')]
  await catalog.recordTag(repository, parseTag('old'), absent, { checkedAtMs: 10 })
  await catalog.recordBlob(blobOf('own', { repository }))
  await catalog.letGo({ digests: [leaving], reason: 'collected', atMs: 20 })
  for (let round = 0; round < 2; round++) await catalog.tidy({ beforeMs: 50, rows: 99 })
  t.strictSame(await catalog.listTags(repository, { limit: 9 }), [])
  t.ok(await catalog.findLeaving(leaving), 'its file is still to be removed')
})

t.test('a small file of an earlier version gives its pages back from then on', async t => {
  const directory = t.testdir({})
  const database = new Sqlite(join(directory, 'catalog.db'))
  for (const { version, sql } of MIGRATIONS) if (version <= 2000) database.exec(sql)
  database.pragma('user_version = 2000')
  database.close()
  t.strictSame(queryBeside(directory, 'PRAGMA auto_vacuum'), [0])
  const { catalog } = await openCatalog(t, directory)
  t.strictSame(queryBeside(directory, 'PRAGMA auto_vacuum'), [2])
  await catalog.recordManifest(pullOf(manifestNamed('image')))
  t.ok(await catalog.findContent(digestNamed('image')))
})
