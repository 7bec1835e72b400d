// Goal: a fill that fails gives back what it took for itself: at its beginning its line to the
// upstream and its room on the disk, at its end its file. Method: the engine over in-memory twins
// and the real store, that fail in the moment that matters.
import { readdirSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { around } from '../../../kit/around.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { BlobsInUse } from '../../../../src/registry/reading/blobs-in-use.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import { Fills } from '../../../../src/registry/fill/fills.ts'
import type { BlobStore, Space } from '../../../../src/registry/ports/blob-store.ts'
import type { EngineEvent } from '../../../../src/registry/ports/events.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { createMemoryStore } from '../../../kit/memory/store.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../../kit/engine.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { settle } from '../../../kit/settle.ts'
import { storeDirectory } from '../../../kit/disk/store-directory.ts'
import { ledgerOver } from '../../../kit/ledger.ts'

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
  const space = ledgerOver(store, { clock })
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

t.test('R815: what could not be published leaves no file open, and its digest free', async t => {
  const directory = storeDirectory(t)
  const store = await directory.open()
  const { clock } = directory
  const content = new StoredContent({ store, catalog: createMemoryCatalog() })
  const publish = content.publish.bind(content)
  // Before the file is committed, and once alone.
  content.publish = async () => {
    content.publish = publish
    throw new StoreError('io', 'the catalog failed')
  }
  const { namespace, namespaces } = createEngine({
    upstream: { getBlob: async () => blobAnswer([FIRST]) },
  })
  const failed: string[] = []
  const space = ledgerOver(store, { clock })
  const note = (event: EngineEvent) => {
    if (event.kind === 'storage failed') failed.push(event.reason ?? '')
  }
  const deps = { content, store, inUse: new BlobsInUse(), clock, note, space, namespaces }
  const fills = new Fills(deps)
  const task = { repository: app, digest: digestOf(FIRST), namespace, declaredBytes: FIRST.length }
  const fillOnce = () => fills.start(task).fill.over
  await fillOnce()
  t.same(openUnder(directory.root), [])
  t.equal(await store.find(digestOf(FIRST)), undefined)
  await fillOnce()
  t.match(await store.find(digestOf(FIRST)), { sizeBytes: FIRST.length })
  t.same(openUnder(directory.root), [])
  t.same(failed, ['the catalog failed'])
})

/** Files that this process has open there. */
function openUnder(root: string): string[] {
  const files = readdirSync('/proc/self/fd').map(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // The listing's own.
      return ''
    }
  })
  return files.filter(file => file.startsWith(root))
}
