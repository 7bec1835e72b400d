// Goal: a download that runs out of room in the middle breaks no client: what is written waits for
// room, in bounded time, and where none comes whoever reads goes on at the upstream. Method: fills
// over in-memory twins, with room for two pieces and content that leaves as the test says.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { BlobsInUse } from '../../../../src/registry/reading/blobs-in-use.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import { BufferPool } from '../../../../src/registry/fill/buffer-pool.ts'
import { Fills } from '../../../../src/registry/fill/fills.ts'
import { follow } from '../../../../src/registry/fill/follow.ts'
import type { EngineEvent } from '../../../../src/registry/ports/events.ts'
import type { RoomByEviction } from '../../../../src/registry/space/eviction.ts'
import {
  blobAnswer,
  createEngine,
  NAMESPACE,
  repositoryOf,
  upstreamOf,
} from '../../../kit/engine.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { createMemoryStore } from '../../../kit/memory/store.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'
import { ledgerOver } from '../../../kit/ledger.ts'

const MiB = 1024 * 1024
const PIECES = 24
const bytes = Buffer.alloc(6 * MiB, 'more than fits')

function createWorld(makeRoom: RoomByEviction['makeRoom']) {
  const clock = createManualClock()
  const store = createMemoryStore()
  const events: EngineEvent[] = []
  const { namespace: some, namespaces } = createEngine()
  let [asked, closed] = [0, 0]
  const upstream = upstreamOf({
    getBlob: async (_name, _digest, { offset }) => {
      asked += 1
      const rest = bytes.subarray(offset)
      const pieces = Array.from({ length: PIECES }, (_, at) =>
        rest.subarray((at * rest.length) / PIECES, ((at + 1) * rest.length) / PIECES),
      )
      async function* body() {
        try {
          // Fresh ones: the reader gives their memory back.
          for (const piece of pieces) yield Uint8Array.from(piece)
        } finally {
          closed += 1
        }
      }
      return blobAnswer([], { offset, totalBytes: bytes.length, body: body() })
    },
  })
  const fills = new Fills({
    content: new StoredContent({ store, catalog: createMemoryCatalog() }),
    store,
    inUse: new BlobsInUse(),
    clock,
    note: event => events.push(event),
    space: ledgerOver(store, {
      clock,
      limits: () => limitsOf(2.5 * MiB),
      eviction: {
        underWay: undefined,
        makeRoom,
        makeFiles: async () => 0,
        evictableBytes: async () => 100 * MiB,
        couldMake: async () => true,
        refused: () => {},
      },
    }),
    namespaces,
  })
  const { fill } = fills.start({
    repository: repositoryOf('library/app'),
    digest: digestOf(bytes),
    namespace: { ...NAMESPACE, ...some, upstream },
    declaredBytes: bytes.length,
  })
  const read = async (untilBytes = bytes.length) => {
    await fill.progress.whenSized
    const buffers = new BufferPool()
    const { signal } = new AbortController()
    const handle = fill.hold()
    const range = { first: 0, last: bytes.length - 1 }
    const chunks: Uint8Array[] = []
    let readBytes = 0
    for await (const chunk of follow(range, { fill, handle, buffers, clock, signal })) {
      chunks.push(new Uint8Array(chunk))
      readBytes += chunk.length
      if (readBytes >= untilBytes) break
    }
    await handle?.release()
    return Buffer.concat(chunks)
  }
  const outcomes = () =>
    events.flatMap(event => (event.kind === 'fill ended' ? [event.outcome] : []))
  return { clock, fill, read, outcomes, asked: () => asked, closed: () => closed }
}

t.test('R386: where no more room comes, who reads goes on at the upstream', async t => {
  const { fill, read, outcomes, asked } = createWorld(async () => 0)
  t.ok((await read()).equals(bytes))
  await fill.over
  t.same(outcomes(), ['uncached'])
  t.equal(asked(), 1, 'the rest is what the response has left')
})

t.test('R386: one reader has the rest of the response, and others ask for theirs', async t => {
  const { fill, read, asked, closed } = createWorld(async () => 0)
  const all = await Promise.all([read(), read(), read()])
  t.ok(all.every(each => each.equals(bytes)))
  await fill.over
  t.equal(asked(), 3)
  t.equal(closed(), 3, 'no response is left open')
})

t.test('R386: what nobody goes on with is let go of', async t => {
  const { clock, fill, asked, closed } = createWorld(async () => 0)
  await fill.over
  t.equal(closed(), 0)
  await clock.advance(5_000)
  t.same([asked(), closed()], [1, 1])
})

t.test('R386: who stops reading on ends the response', async t => {
  const { fill, read, asked, closed } = createWorld(async () => 0)
  await read(3 * MiB)
  t.same([asked(), closed()], [1, 1])
  await fill.over
})

t.test('R386: what is written waits for room, in bounded time', async t => {
  const asked = Promise.withResolvers<void>()
  const { clock, fill, read, outcomes } = createWorld(() => {
    asked.resolve()
    return new Promise(() => {})
  })
  const reading = read()
  // It was asked in bounded time before whether there could be room.
  await asked.promise
  await clock.untilSleeping(3_000)
  t.same(outcomes(), [])
  await clock.advance(3_000)
  t.ok((await reading).equals(bytes))
  await fill.over
  t.same(outcomes(), ['uncached'])
})
