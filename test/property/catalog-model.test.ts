// Goal: the SQLite catalog gives the same answers as the plain one in memory. Method: random
// operations go to both, in bursts that are awaited together, with a restart now and then; each
// results in the same, and afterwards everything that can be asked is asked of both.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { createEpochs } from '../../src/registry/epochs.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { LOCALHOST, repositoryKey } from '../../src/oci/reference.ts'
import type { ColdImage, Footprint, Image } from '../../src/registry/ports/catalog-images.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { seeding } from '../kit/arbitraries.ts'
import { DRIFTS } from '../kit/judges/catalog-drift.ts'
import { bursts, digests, ids, keys, repositories, tags } from '../kit/judges/catalog-steps.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { queryBeside } from '../kit/open-catalog.ts'

const RUNS = 30

/** Every answer that the port can give about what these tests use. */
async function askEverything(catalog: Catalog): Promise<readonly unknown[]> {
  const after = digests[4] as Digest
  const general = [
    catalog.totals(),
    catalog.listRepositories({ limit: 99 }),
    catalog.listRepositories({ after: 'docker.io/library/a', limit: 1 }),
    catalog.listContent({ limit: 99 }),
    catalog.listContent({ after, limit: 2 }),
    Promise.all(digests.map(digest => catalog.isRecorded(digest))),
    catalog.listPendingBlobs({ beforeMs: 99, limit: 99 }),
    catalog.listPendingBlobs({ beforeMs: 20, limit: 3 }),
    ...digests.flatMap(d => [
      catalog.findContent(d),
      catalog.listDeliverers(d),
      catalog.listHolders(d, { registry: LOCALHOST, limit: 9 }),
      catalog.listRepositoriesOf(d, 9).then(keys => [...keys].sort()),
    ]),
    catalog.listLoose({ limit: 99 }).then(byDigest),
    catalog.listLooseSince({ beforeMs: 30, limit: 99 }).then(byDigest),
    catalog.listColdest({ limit: 99 }).then(({ images }) => inOneOrder(images)),
    catalog.listFollowers({ beforeMs: 30, limit: 99 }).then(byImage),
    catalog.firstFollowsAt(10),
    ...repositories.flatMap(repository =>
      digests.map(digest => catalog.footprint([{ repository, digest }]).then(inOrder)),
    ),
    catalog.footprint(everyImage).then(inOrder),
    catalog.footprint([...digests, ...everyImage]).then(inOrder),
    catalog.footprint(everyImage, { spared: new Set(digests.slice(0, 3)) }).then(inOrder),
    catalog.listRepositoryBytes({ limit: 99 }),
    catalog.listRepositoryBytes({ after: 'docker.io/library/z', limit: 1 }),
    catalog.listLeaving({ limit: 99 }),
    catalog.listLeaving({ after, limit: 1 }),
    Promise.all(digests.map(digest => catalog.findLeaving(digest))),
    catalog.whichLeave(digests).then(found => [...found].sort()),
    catalog.listRepositoriesLeft(20, 99).then(found => [...found].sort()),
    catalog.listPins(),
    catalog.listJobNotes(),
    catalog.returnedImages(),
    catalog.rebuilt,
    catalog.outboxTotals(),
    catalog.listDue({ carrier: 'queue', limit: 2 }),
    catalog.listDue({ carrier: 'queue', limit: 9 }),
    catalog.listDeliveries({ limit: 99 }),
    catalog.listDeliveries({ after: 2, limit: 2 }),
    ...ids.map(id => catalog.findDelivery(id)),
  ]
  const local = repositories.flatMap(r => [
    catalog.listTags(r, { limit: 99 }),
    catalog.listTags(r, { after: 'V1', limit: 1 }),
    catalog.listLocalTags(r, { limit: 99 }),
    catalog.listLocalTags(r, { after: 'V1', limit: 1 }),
    catalog.listMembers(r, { limit: 99 }).then(byDigest),
    catalog.listDeliveriesOf(repositoryKey(r)),
    catalog.listTagUsage(r, { limit: 99 }),
    catalog.listTagUsage(r, { after: 'V1', limit: 1 }),
    ...tags.map(name => catalog.findTag(r, name)),
    ...tags.map(name => catalog.tagUsageOf(r, name)),
    ...keys.map(key => catalog.findList(r, key)),
    ...digests.flatMap(d => [
      catalog.findMember(r, d),
      catalog.leasedUntil(r, d),
      catalog.usageOf(r, d),
      catalog.listTagsOf({ repository: r, digest: d }, 99),
      catalog.followsSince(r, d),
      catalog.holdsOf(r, d),
      catalog.isKeptForOthers(r, d),
      catalog.wasTaken(r, d),
      catalog.sizeOf(r, d),
      catalog.findManifest(r, d),
      catalog.listReferrers(r, d),
      catalog.listTagsTo(r, d, { limit: 99 }),
      catalog.listTagsTo(r, d, { after: 'V1', limit: 1 }),
    ]),
  ])
  return Promise.all([...general, ...local])
}

const everyImage = repositories.flatMap(repository =>
  digests.map(digest => ({ repository, digest })),
)

function inOrder({ byImage, ...footprint }: Footprint) {
  const sorted = byImage.map(each => ({ ...each, digests: each.digests.toSorted() }))
  return { ...footprint, byImage: sorted }
}

/** Of equals the order is nobody's. */
function byDigest<Row extends { readonly digest: Digest }>(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

function byImage<Row extends Image>(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

function keyOf({ repository, digest }: Image): string {
  return `${repositoryKey(repository)} ${digest}`
}

/** Which of some indexes that are as warm keeps an image so is nobody's either. */
function inOneOrder(images: readonly ColdImage[]): ColdImage[] {
  const isSorted = images.every(
    ({ warmthMs }, at) => warmthMs >= (images[at - 1]?.warmthMs ?? warmthMs),
  )
  assert.ok(isSorted)
  return byImage(images.map(each => ({ ...each, by: undefined })))
}

t.test('SQLite and memory answer alike after random operations', async t => {
  const root = t.testdir({})
  let runs = 0
  await fc.assert(
    fc.asyncProperty(bursts, async bursts => {
      const directory = `${root}/${runs++}`
      const open = () =>
        openSqliteCatalog({
          directory,
          clock: createManualClock(),
          note() {},
          epochs: createEpochs(),
        })
      const model = createMemoryCatalog()
      let catalog = await open()
      let number = 0
      try {
        for (const burst of bursts) {
          const pending: Promise<readonly [unknown, unknown]>[] = []
          for (const step of burst) {
            if (step.call === undefined) {
              await catalog.close()
              catalog = await open()
            } else pending.push(Promise.all([step.call(catalog), step.call(model)]))
          }
          for (const [result, expected] of await Promise.all(pending))
            assert.deepEqual(result, expected)
          const next = catalog.sequence()
          assert.ok(next > number, `${next} came after ${number}`)
          number = next
        }
        const expected = await askEverything(model)
        for (const [at, answer] of (await askEverything(catalog)).entries())
          assert.deepEqual(answer, expected[at])
        assert.deepEqual(queryBeside(directory, 'PRAGMA integrity_check'), ['ok'])
        assert.deepEqual(queryBeside(directory, 'PRAGMA foreign_key_check'), [])
        for (const drift of DRIFTS) assert.deepEqual(queryBeside(directory, drift), [], drift)
      } finally {
        await catalog.close()
      }
    }),
    { ...seeding(), numRuns: RUNS, endOnFailure: true },
  )
  t.equal(runs, RUNS)
})
