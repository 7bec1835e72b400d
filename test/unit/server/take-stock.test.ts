// Goal: where a disk fails while a catalog is built from facts, or while they are compared, what is
// held for it goes once that is done again, in the same process; and a file gets its row then.
// Method: an engine in memory whose facts or rows cannot be written for a while, and the taking of
// stock over it.
import t from 'tap'
import { type FactStore } from '../../../src/registry/ports/facts.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { StockTaking } from '../../../src/server/take-stock.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { UNKNOWN } from '../../../src/registry/ports/blob-store-content.ts'
import { around } from '../../kit/around.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../kit/engine.ts'
import { factsOf } from '../../kit/judges/facts-of.ts'
import { makeImage } from '../../kit/image.ts'
import { createMemoryCatalog } from '../../kit/memory/catalog.ts'
import { createMemoryFacts } from '../../kit/memory/facts.ts'
import { digested, pushImage } from '../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../kit/worlds/rebuilt.ts'

const repository = localOf('team/app')
const [kept, deleted] = ['kept', 'deleted'].map(seed => makeImage({ seed, layers: [10] })) as [
  ReturnType<typeof makeImage>,
  ReturnType<typeof makeImage>,
]
const policies = everywhere({ push: 'store' })
const FIRST_PAUSE_MS = 60_000

/** That many writes fail, and are counted as the disk counts them. */
function failing(under: FactStore, times: number): FactStore {
  let failures = 0
  return new Proxy(under, {
    get: (target, name) => {
      if (name === 'failures') return target.failures + failures
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'write' || failures === times)
        return typeof value === 'function' ? value.bind(target) : value
      return async () => {
        failures += 1
        throw new StoreError('io', 'the disk is broken')
      }
    },
  })
}

t.test('R709: a delete that could not be told anew holds nothing once it can be', async t => {
  const first = createEngine({ policies })
  for (const image of [kept, deleted]) await pushImage(first.registry, repository, image)
  await first.registry.deleteManifest(repository, digested(deleted.manifest.digest).reference)
  const { disk, clock } = first
  const catalog = createMemoryCatalog()
  const facts = failing(createMemoryFacts(disk, { catalog: catalog.identity }), 2)
  t.match((await rebuilt({ ...first, facts }, policies, catalog)).report, { lost: 0, deletes: 1 })
  const { digest } = kept.manifest
  t.equal(await catalog.isUnclear(digest), true)

  const engine = createEngine({ policies, after: { disk, clock, catalog }, facts: () => facts })
  const told: string[] = []
  const log = (_fields: unknown, message: string) => void told.push(message)
  const logger = { debug: log, warn: log, error: log } as never
  const stock = new StockTaking({ isCompared: false, isAdopted: false, facts, logger, clock })
  stock.begin(engine.registry)
  await clock.untilSleepingFor(FIRST_PAUSE_MS)
  t.match(told, ['facts and catalog could not be compared', 'files without rows were adopted'])
  t.equal(stock.isAllFound, false)
  t.equal(await catalog.isUnclear(digest), true)

  await clock.advance(FIRST_PAUSE_MS)
  t.equal(stock.isAllFound, true)
  t.equal(await catalog.isUnclear(digest), false)
  t.match(await factsOf(facts, 'deleted'), [{ isEarlier: undefined }], 'it is told anew')
  await stock.stop()
})

t.test('R817: a file without a row that stays is counted within the minute', async t => {
  const bytes = Buffer.alloc(5_000, 7)
  const digest = digestOf(bytes)
  let isUnknown = false
  const catalog = createMemoryCatalog()
  const { recordBlob } = catalog
  const first = createEngine()
  const { disk, clock } = first
  const facts = createMemoryFacts(disk, { catalog: catalog.identity })
  const logger = { debug: () => {}, warn: () => {}, error: () => {} } as never
  const stock = new StockTaking({ isCompared: true, isAdopted: true, facts, logger, clock })
  const engine = createEngine({
    after: { disk, clock, catalog },
    facts: () => facts,
    left: () => stock.missesFiles(),
    store: store =>
      around(store, {
        look:
          look =>
          async (...of) =>
            isUnknown ? UNKNOWN : look(...of),
      }),
    upstream: {
      getBlob: async () => {
        isUnknown = true
        return blobAnswer([bytes])
      },
    },
  })
  stock.begin(engine.registry)
  Object.assign(catalog, { recordBlob: () => Promise.reject(new StoreError('io', 'the catalog')) })
  const app = repositoryOf('library/app')
  await readAll(await engine.registry.pullBlob(app, digest))
  await engine.registry.settled(digest)
  t.ok(disk.blobs.has(digest), 'nobody could say whether it was here before')
  t.equal(await catalog.findContent(digest), undefined)
  t.equal(stock.isTaken, false)
  isUnknown = false
  Object.assign(catalog, { recordBlob })
  await clock.advance(FIRST_PAUSE_MS)
  t.match(await catalog.findContent(digest), { sizeBytes: 5_000, contentClass: 'cached' })
  t.equal(stock.isTaken, true)
  await stock.stop()
})
