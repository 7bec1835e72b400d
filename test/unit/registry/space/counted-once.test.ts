// Goal: what is on the disk counts once at any moment: as what grows until there is a row, and by
// its row from then on. Else images leave for bytes that nobody wrote, or the limit is passed.
// Method: the engine over in-memory twins, held just before and just after a row is written; and
// the ledger over numbers, with looks in which a blob ends.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { BLOCK_BYTES } from '../../../../src/registry/ports/blob-store.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { diskOf, ledgerOver } from '../../../kit/ledger.ts'

const MiB = 1024 * 1024
const bytes = Buffer.alloc(3 * BLOCK_BYTES, 'whole blocks')
const digest = digestOf(bytes)

/** Rows are written once they may be, and whoever wrote them is told once he may be. */
function heldRows() {
  const [came, mayWrite, written, mayTell] = [gate(), gate(), gate(), gate()]
  const catalog = (same: Catalog) =>
    around(same, {
      recordBlob: recordBlob => async blob => {
        came.resolve()
        await mayWrite.promise
        await recordBlob(blob)
        written.resolve()
        await mayTell.promise
      },
    })
  return { catalog, came, mayWrite, written, mayTell }
}

const gate = (): PromiseWithResolvers<void> => Promise.withResolvers()

for (const way of ['pulled', 'pushed'] as const)
  t.test(`R330: what is ${way} counts once before, while and after its row is there`, async t => {
    const { catalog, came, mayWrite, written, mayTell } = heldRows()
    const { registry } = createEngine({
      catalog,
      upstream: { getBlob: async () => blobAnswer([bytes]) },
    })
    const pull = async () => {
      const app = repositoryOf('library/app')
      await readAll(await registry.pullBlob(app, digest))
      await registry.settled(digest)
    }
    const ending = way === 'pulled' ? pull() : pushWhole(registry, localOf('app'), bytes)
    await came.promise
    t.equal(await registry.takenBytes(), bytes.length, 'its file has its name')
    mayWrite.resolve()
    await written.promise
    t.equal(await registry.takenBytes(), bytes.length, 'its row is there')
    mayTell.resolve()
    await ending
    t.equal(await registry.takenBytes(), bytes.length, 'it is over')
  })

t.test(
  'R330: what an earlier fill has left counts once, also while it is gone on with',
  async t => {
    const [asked, mayAnswer, mayEnd] = [gate(), gate(), gate()]
    const half = bytes.length / 3
    const { registry, store } = createEngine({
      upstream: {
        getBlob: async () => {
          asked.resolve()
          await mayAnswer.promise
          const cut = async () => {
            await mayEnd.promise
            throw new UpstreamError('not-found', 'it is gone')
          }
          // It has begun, and brought nothing yet.
          const pieces = [bytes.subarray(half, half), bytes.subarray(half)]
          return blobAnswer(pieces, { offset: half, totalBytes: bytes.length }, cut)
        },
      },
    })
    const part = await store.openFill(digest)
    await part.append(bytes.subarray(0, half))
    await part.park()
    t.equal(await registry.takenBytes(), half, 'as a part')
    const pulled = registry.pullBlob(repositoryOf('library/app'), digest)
    await asked.promise
    t.equal(await registry.takenBytes(), half, 'while the upstream is asked')
    mayAnswer.resolve()
    const answer = await pulled
    t.equal(await registry.takenBytes(), half, 'while it comes')
    await answer.close()
    const stopped = registry.stop()
    mayEnd.resolve()
    await stopped
    t.ok(store.partsBytes >= half)
    t.equal(await registry.takenBytes(), store.partsBytes, 'as a part again')
  },
)

const LIMIT = 100 * MiB

/** A blob of 4 MiB that is whole, beside so much that is here; all of it may leave. */
function createWorld(besideBytes: number) {
  const left: number[] = []
  let usedBytes = besideBytes
  const rows = new Set<Digest>()
  let looked = (): void => {}
  const disk = diskOf(() => ({ freeBytes: 1_000 * MiB, totalBytes: 2_000 * MiB }))
  const ledger = ledgerOver(disk, {
    limits: () => limitsOf(LIMIT),
    usedBytes: async () => {
      const seen = usedBytes
      looked()
      return seen
    },
    isRecorded: async each => rows.has(each),
    eviction: {
      underWay: undefined,
      makeRoom: async bytesToFree => {
        left.push(bytesToFree)
        usedBytes -= bytesToFree
        return bytesToFree
      },
      evictableBytes: async () => usedBytes,
      makeFiles: async () => 0,
      couldMake: async () => true,
      refused: () => {},
    },
  })
  const giveBack = ledger.count({
    from: 'client',
    published: () => digest,
    missingBytes: () => 0,
    wholeBytes: () => 4 * MiB,
    roomBytes: () => 0,
  })
  return {
    /** What had to leave for a piece of a push. */
    leftFor: async (wantedBytes: number) => {
      await ledger.make({ from: 'client', bytes: wantedBytes }, () => {})
      return left
    },
    record: () => {
      rows.add(digest)
      usedBytes += 4 * MiB
    },
    giveBack,
    /** In the next look, when rows were counted. */
    whenCounted: (step: () => void) => {
      looked = () => {
        looked = () => {}
        step()
      }
    },
  }
}

t.test('R330: nothing leaves for a blob whose row and claim are there at once', async t => {
  const world = createWorld(LIMIT - 10 * MiB)
  t.same(await world.leftFor(6 * MiB), [], 'there is room beside it')
  world.record()
  t.same(await world.leftFor(6 * MiB), [], 'its row is there')
  world.giveBack()
  t.same(await world.leftFor(6 * MiB), [], 'it is over')
  t.same(await world.leftFor(7 * MiB), [MiB], 'and it counts')
})

t.test('R330: a blob that ends during a look counts in it', async t => {
  const ended = createWorld(LIMIT - 10 * MiB)
  ended.record()
  ended.whenCounted(ended.giveBack)
  t.same(await ended.leftFor(7 * MiB), [MiB], 'by its row')
  const recorded = createWorld(LIMIT - 10 * MiB)
  recorded.whenCounted(recorded.record)
  t.same(await recorded.leftFor(7 * MiB), [MiB], 'by its claim')
})
