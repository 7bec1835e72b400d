// Goal: a fill that fails at its beginning gives back what it took for itself: its line to the upstream, its room on the disk.
// Method: the engine over in-memory twins, with a store that fails in the moment that matters.
import t from 'tap'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { type BlobStore, StoreError } from '../../../src/registry/ports/blob-store.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../kit/engine.ts'

const app = repositoryOf('library/app')
const FIRST = Buffer.from('the first blob')
const SECOND = Buffer.from('the second blob')

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/** More turns than anything in memory takes. */
async function manyTurns(): Promise<'still waiting'> {
  for (let turns = 0; turns < 200; turns += 1) await turn()
  return 'still waiting'
}

t.test('a fill whose file cannot be read gives its line back', async t => {
  const unreadable = (store: BlobStore) => {
    const openFill = store.openFill.bind(store)
    return Object.assign(store, {
      openFill: async (digest: Digest, grown?: () => void) => {
        const file = await openFill(digest, grown)
        if (digest !== digestOf(FIRST)) return file
        return Object.assign(file, {
          openRead: async () => {
            throw new StoreError('io', 'too many open files')
          },
        })
      },
    })
  }
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
