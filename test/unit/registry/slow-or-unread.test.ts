// Goal: a fill of a registry that does not share holds a digest and room only while somebody reads it and it brings something (R276).
// Method: the engine over in-memory twins, a manual clock, and an upstream that sends a piece when the test says so.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { LEAST_BYTES, LOOK_EVERY_MS } from '../../../src/registry/fill/slow-or-unread.ts'
import { blobAnswer, createEngine, readAll, upstreamOf } from '../../kit/engine.ts'

const repository = parseRepositoryKey('anybody.example/app')
const bytes = Buffer.from(Array.from({ length: 4 * LEAST_BYTES }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)
/** One each half of the time between two looks. */
const ENOUGH_BYTES = LEAST_BYTES / 2
const HALF_MS = LOOK_EVERY_MS / 2

function createWorld(pieceBytes: number, { shares = false } = {}) {
  const asked: number[] = []
  let next = Promise.withResolvers<void>()
  /** Only the first answer comes in pieces. */
  const pieces = (offset: number) => {
    if (asked.length > 1) return [bytes.subarray(offset)]
    const count = Math.ceil(bytes.length / pieceBytes)
    return Array.from({ length: count }, (_, n) => {
      return bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes)
    })
  }
  const upstream = upstreamOf({
    registry: repository.registry,
    headBlob: async () => ({ sizeBytes: bytes.length }),
    getBlob: async (_name, _digest, { offset }, signal) => {
      asked.push(offset)
      const wait = () =>
        new Promise<void>((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
          void next.promise.then(resolve)
        })
      return blobAnswer(pieces(offset), { offset, totalBytes: bytes.length }, wait)
    },
  })
  const engine = createEngine({ beside: [{ upstream, shares }] })
  const pass = async (times: number) => {
    for (let time = 0; time < times; time += 1) {
      next.resolve()
      next = Promise.withResolvers()
      await settle()
      await engine.clock.advance(HALF_MS)
      await settle()
    }
  }
  const ends = () => engine.events.flatMap(each => (each.kind === 'fill ended' ? each.outcome : []))
  return { ...engine, asked, pass, ends }
}

/** More turns than anything in memory takes. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
}

t.test('R276: a fill that nobody reads any more ends, and leaves its part', async t => {
  const world = createWorld(ENOUGH_BYTES)
  const answer = await world.registry.pullBlob(repository, digest)
  await world.pass(3)
  t.same(world.ends(), [], 'as long as somebody reads')
  await answer.close()
  await world.pass(2)
  t.same(world.ends(), ['abandoned'])
  t.same(await world.store.listParts(), [digest])
  t.same(await readAll(await world.registry.pullBlob(repository, digest)), bytes)
  t.ok((world.asked[1] ?? 0) > 0, 'which is gone on with')
})

t.test('R276: a fill that brings next to nothing ends; its reader has it all the same', async t => {
  const world = createWorld(LEAST_BYTES / 64)
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await world.pass(2)
  t.same(world.ends(), ['uncached'])
  t.same(await read, bytes)
  t.equal(world.asked.length, 2, 'by a request of its own')
})

t.test('a fill that is read and brings enough comes to its end', async t => {
  const world = createWorld(ENOUGH_BYTES)
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await world.pass(8)
  t.same(await read, bytes)
  await world.registry.settled(digest)
  t.same(world.ends(), ['stored'])
})

t.test('a fill of a registry that shares goes on without a reader, however slowly', async t => {
  const world = createWorld(LEAST_BYTES / 64, { shares: true })
  const answer = await world.registry.pullBlob(repository, digest)
  await answer.close()
  await world.pass(4)
  t.same(world.ends(), [])
  await world.registry.stop()
})
