// Goal: the SQLite catalog gives the same answers as the plain one in memory. Method: random
// operations go to both, in bursts that are awaited together, with a restart now and then;
// afterwards everything that can be asked is asked of both.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { createEpochs } from '../../src/registry/epochs.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { LOCALHOST, repositoryKey } from '../../src/oci/reference.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { seeding } from '../kit/arbitraries.ts'
import { bursts, digests, ids, keys, repositories, tags } from '../kit/catalog-steps.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { queryBeside } from '../kit/open-catalog.ts'

const RUNS = 20

/** Every answer that the port can give about what these tests use. */
async function askEverything(catalog: Catalog): Promise<unknown> {
  const after = digests[4] as Digest
  const general = [
    catalog.totals(),
    catalog.listRepositories({ limit: 99 }),
    catalog.listRepositories({ after: 'docker.io/library/a', limit: 1 }),
    catalog.listContent({ limit: 99 }),
    catalog.listContent({ after, limit: 2 }),
    Promise.all(digests.map(digest => catalog.isRecorded(digest))),
    catalog.listPendingBlobs({ beforeMs: 99, afterMs: 99, limit: 99 }),
    catalog.listPendingBlobs({ beforeMs: 20, afterMs: 30, limit: 3 }),
    ...digests.flatMap(d => [
      catalog.findContent(d),
      catalog.listDeliverers(d),
      catalog.listHolders(d, { registry: LOCALHOST, limit: 9 }),
      catalog.listRepositoriesOf(d, 9).then(keys => [...keys].sort()),
    ]),
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
    catalog.listDeliveriesOf(repositoryKey(r)),
    ...tags.map(name => catalog.findTag(r, name)),
    ...keys.map(key => catalog.findList(r, key)),
    ...digests.flatMap(d => [
      catalog.findMember(r, d),
      catalog.wasTaken(r, d),
      catalog.sizeOf(r, d),
      catalog.findManifest(r, d),
      catalog.listReferrers(r, d),
    ]),
  ])
  return Promise.all([...general, ...local])
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
          const pending: Promise<void>[] = []
          for (const step of burst) {
            if (step.call === undefined) {
              await catalog.close()
              catalog = await open()
            } else pending.push(step.call(model), step.call(catalog))
          }
          await Promise.all(pending)
          const next = catalog.sequence()
          assert.ok(next > number, `${next} came after ${number}`)
          number = next
        }
        assert.deepEqual(await askEverything(catalog), await askEverything(model))
        assert.deepEqual(queryBeside(directory, 'PRAGMA integrity_check'), ['ok'])
        assert.deepEqual(queryBeside(directory, 'PRAGMA foreign_key_check'), [])
      } finally {
        await catalog.close()
      }
    }),
    { ...seeding(), numRuns: RUNS },
  )
  t.equal(runs, RUNS)
})
