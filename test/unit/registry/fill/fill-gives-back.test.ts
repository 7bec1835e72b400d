// Goal: a fill that fails at its beginning gives back what it took for itself: its line to the
// upstream, its room on the disk. Method: the engine over in-memory twins, with a store that fails
// in the moment that matters.
import t from 'tap'
import { around } from '../../../kit/around.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { BlobsInUse } from '../../../../src/registry/reading/blobs-in-use.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import { Fills } from '../../../../src/registry/fill/fills.ts'
import type { BlobStore, Space } from '../../../../src/registry/ports/blob-store.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { SpaceLedger } from '../../../../src/registry/space/ledger.ts'
import { createMemoryStore } from '../../../kit/memory/store.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../../kit/engine.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { settle } from '../../../kit/settle.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'

const app = repositoryOf('library/app')
const FIRST = Buffer.from('the first blob')
const SECOND = Buffer.from('the second blob')

async function manyTurns(): Promise<'still waiting'> {
  await settle()
  return 'still waiting'
}

t.test('a fill whose file cannot be read gives its line back', async t => {
  const unreadable = (store: BlobStore) =>
    around(store, {
      openFill: openFill => async (digest, grown) => {
        const file = await openFill(digest, grown)
        if (digest !== digestOf(FIRST)) return file
        return Object.assign(file, {
          openRead: async () => {
            throw new StoreError('io', 'too many open files')
          },
        })
      },
    })
  for (const answers of ['before', 'after'] as const) {
    const goOn = Promise.withResolvers<void>()
    if (answers === 'before') goOn.resolve()
    const { registry } = createEngine({
      connections: 1,
      store: unreadable,
      upstream: {
        getBlob: async (_name, digest) => {
          if (digest === digestOf(SECOND)) return blobAnswer([SECOND])
          await goOn.promise
          return blobAnswer([FIRST])
        },
      },
    })
    await rejection(registry.pullBlob(app, digestOf(FIRST)))
    goOn.resolve()
    const second = registry.pullBlob(app, digestOf(SECOND)).then(readAll)
    t.same(await Promise.race([second, manyTurns()]), SECOND, `the upstream answers ${answers} it`)
  }
})

t.test('a fill that fails before the disk was looked at gives its room back', async t => {
  const clock = createManualClock()
  const lookedAt = Promise.withResolvers<Space>()
  let looks = 0
  const store = Object.assign(createMemoryStore(), {
    space: () => {
      looks += 1
      return lookedAt.promise
    },
    openFill: async () => {
      throw new StoreError('io', 'too many open files')
    },
  })
  const space = new SpaceLedger({
    store,
    clock,
    limits: () => limitsOf(),
    usedBytes: async () => 0,
    isRecorded: async () => false,
    bytesEach: async () => 4096,
    isShared: () => true,
  })
  const { namespace, namespaces } = createEngine()
  const note = () => {}
  const fills = new Fills({
    content: new StoredContent({ store, catalog: createMemoryCatalog() }),
    store,
    inUse: new BlobsInUse(),
    clock,
    note,
    space,
    namespaces,
  })
  const { fill } = fills.start({
    repository: app,
    digest: digestOf(FIRST),
    namespace,
    declaredBytes: 200_000_000,
  })
  await fill.over
  t.equal(looks, 1, 'the disk is asked by then')
  lookedAt.resolve({ freeBytes: 1e9, totalBytes: 1e9 })
  await manyTurns()
  t.equal(await space.spareBytes(), 0.9e9)
})
