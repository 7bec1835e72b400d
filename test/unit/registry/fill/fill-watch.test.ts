// Goal: a fill of a registry that does not share holds a digest and room only while somebody reads
// it and it brings something (R276), and is not ended for what may happen to any download: a stall,
// a break, a comparison, a line that many share. Method: the engine over in-memory twins, a manual
// clock, and an upstream that sends a piece when the test says so.
import t, { type Test } from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import {
  LEAST_BYTES,
  LOOK_EVERY_MS,
  SLOW_LOOKS_MAX,
} from '../../../../src/registry/fill/fill-watch.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, upstreamOf } from '../../../kit/engine.ts'
import { partsLeft } from '../../../kit/disk/parts-left.ts'
import { settle } from '../../../kit/settle.ts'

const repository = parseRepositoryKey('anybody.example/app')
/** More than is compared, or trickles, in all the time that a slow fill has. */
const BYTES = (SLOW_LOOKS_MAX + 4) * LEAST_BYTES
const contentOf = (seed: number) => Buffer.alloc(BYTES, Buffer.from(`blob ${seed} of a site `))
const bytes = contentOf(0)
const digest = digestOf(bytes)
/** One each half of the time between two looks. */
const ENOUGH_BYTES = LEAST_BYTES / 2
const HALF_MS = LOOK_EVERY_MS / 2

const CUT = Symbol('cut')
type Piece = Uint8Array | typeof CUT
/**
 * What the upstream says to the question of this number, counted from 1: pieces, each but the first
 * when the test says so.
 */
type Say = (whole: Buffer, asked: { readonly offset: number; readonly number: number }) => Piece[]

const piecesOf = (whole: Uint8Array, pieceBytes: number): Piece[] =>
  Array.from({ length: Math.ceil(whole.length / pieceBytes) }, (_, n) =>
    whole.subarray(n * pieceBytes, (n + 1) * pieceBytes),
  )

/** The first answer comes in pieces, and what is asked later at once. */
const inPieces =
  (pieceBytes: number): Say =>
  (whole, { offset, number }) =>
    number === 1 ? piecesOf(whole, pieceBytes) : [whole.subarray(offset)]

function createWorld(
  say: Say,
  { shares = false, contents = [bytes], wholeFrom = Number.POSITIVE_INFINITY } = {},
) {
  const asked: number[] = []
  const byDigest = new Map(contents.map(each => [digestOf(each), each]))
  let next = Promise.withResolvers<void>()
  const stopped = Promise.withResolvers<void>()
  const unavailable = () => new UpstreamError('unavailable', 'the connection was reset')
  const upstream = upstreamOf({
    registry: repository.registry,
    headBlob: async () => ({ sizeBytes: BYTES }),
    getBlob: async (_name, wanted, { offset }, { signal } = {}) => {
      asked.push(offset)
      signal?.addEventListener('abort', () => stopped.resolve())
      const number = asked.length
      const pieces = say(byDigest.get(wanted) as Buffer, { offset, number })
      const wait = () =>
        new Promise<void>((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
          void next.promise.then(resolve)
        })
      if (pieces[0] === CUT) {
        await wait()
        throw unavailable()
      }
      const sent = pieces.filter(piece => piece !== CUT)
      let left = sent.length - 1
      const isCut = pieces.includes(CUT)
      const head = { offset: number >= wholeFrom ? 0 : offset, totalBytes: BYTES }
      const answer = blobAnswer(sent, head, async () => {
        await wait()
        left -= 1
      })
      async function* cut() {
        yield* answer.body
        if (left === 0) throw unavailable()
      }
      return isCut ? { ...answer, body: cut() } : answer
    },
  })
  const engine = createEngine({ beside: [{ upstream, shares, fillsAtOnce: contents.length }] })
  const pass = async (times: number, brings = true) => {
    for (let time = 0; time < times; time += 1) {
      if (brings) {
        next.resolve()
        next = Promise.withResolvers()
      }
      await settle()
      await engine.clock.advance(HALF_MS)
      await settle()
    }
  }
  const ends = () => engine.events.flatMap(each => (each.kind === 'fill ended' ? each.outcome : []))
  return { ...engine, asked, pass, ends, stopped: stopped.promise }
}

/** Each look is two passes; what little comes buys another look. */
const PATIENCE = 2 * (SLOW_LOOKS_MAX + 1)

t.test('R276: a fill that nobody reads any more ends, and leaves its part', async t => {
  const world = createWorld(inPieces(ENOUGH_BYTES))
  const answer = await world.registry.pullBlob(repository, digest)
  await world.pass(3)
  t.same(world.ends(), [], 'as long as somebody reads')
  await answer.close()
  await world.pass(2)
  t.same(world.ends(), ['abandoned'])
  t.same(await partsLeft(world.store), [digest])
  t.same(await readAll(await world.registry.pullBlob(repository, digest)), bytes)
  t.ok((world.asked[1] ?? 0) > 0, 'which is gone on with')
})

t.test('R276: who comes while an unread fill ends has the blob all the same', async t => {
  const world = createWorld(inPieces(ENOUGH_BYTES))
  const answer = await world.registry.pullBlob(repository, digest)
  await answer.close()
  await world.pass(1)
  const read = async () =>
    bytes.equals(await readAll(await world.registry.pullBlob(repository, digest)))
  const others: Promise<boolean>[] = []
  const looked = world.clock.advance(HALF_MS)
  await world.stopped
  while (world.ends().length === 0) {
    others.push(read())
    await Promise.resolve()
  }
  await looked
  t.ok(others.length > 0)
  for (const isRight of await Promise.all(others)) t.ok(isRight)
})

t.test('R276: a fill that brings next to nothing ends; its reader has it all the same', async t => {
  const world = createWorld(inPieces(LEAST_BYTES / 64))
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await world.pass(PATIENCE)
  t.same(world.ends(), ['uncached'])
  t.ok((await read).equals(bytes))
  t.equal(world.asked.length, 2, 'by a request of its own')
  const [end] = world.events.filter(({ kind }) => kind === 'fill ended')
  t.match(end, { reason: String, hint: String })
})

t.test('R276: a fill that brings a little after each break ends as well', async t => {
  const world = createWorld((whole, { offset, number }) => {
    if (number > PATIENCE) return [whole.subarray(offset)]
    return [whole.subarray(offset, offset + 1), whole.subarray(offset + 1, offset + 2), CUT]
  })
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await world.pass(PATIENCE)
  t.same(world.ends(), ['uncached'])
  await world.pass(PATIENCE)
  t.ok((await read).equals(bytes))
})

t.test('R276: a fill that brings enough only now and then ends as well', async t => {
  const world = createWorld(inPieces(LEAST_BYTES))
  const read = readAll(await world.registry.pullBlob(repository, digest))
  for (let look = 1; look <= 2 * SLOW_LOOKS_MAX; look += 1) {
    await world.pass(1, look % (SLOW_LOOKS_MAX - 1) === 0)
    await world.pass(1, false)
  }
  t.same(world.ends(), ['uncached'])
  await world.pass(PATIENCE)
  t.ok((await read).equals(bytes))
})

/** Reads the blob of a world that goes on with pieces until it is whole. */
async function isWhole(t: Test, world: ReturnType<typeof createWorld>, read: Promise<Buffer>) {
  await world.pass(2 * (SLOW_LOOKS_MAX + 8))
  t.ok((await read).equals(bytes))
  await world.registry.settled(digest)
  t.same(world.ends(), ['stored'])
}

t.test('a fill that is read and brings enough comes to its end', async t => {
  const world = createWorld(inPieces(ENOUGH_BYTES))
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await isWhole(t, world, read)
  t.equal(world.asked.length, 1)
})

t.test('R276: a minute in which nothing comes ends no fill', async t => {
  const world = createWorld(inPieces(ENOUGH_BYTES))
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await world.pass(2)
  await world.pass(6, false)
  await isWhole(t, world, read)
  t.equal(world.asked.length, 1)
})

t.test('R276: a fill that brings its part in bursts comes to its end', async t => {
  const looks = SLOW_LOOKS_MAX / 2
  const world = createWorld(inPieces(looks * LEAST_BYTES))
  const read = readAll(await world.registry.pullBlob(repository, digest))
  for (let burst = 1; burst <= 2; burst += 1) {
    t.same(world.ends(), [])
    await world.pass(2 * looks - 1, false)
    await world.pass(1)
  }
  await isWhole(t, world, read)
  t.equal(world.asked.length, 1)
})

t.test('R276: what is compared with an answer from the start on counts as brought', async t => {
  const hereBytes = (SLOW_LOOKS_MAX + 2) * LEAST_BYTES
  const say: Say = (whole, { number }) =>
    number === 1 ? [whole.subarray(0, hereBytes), CUT] : piecesOf(whole, ENOUGH_BYTES)
  const world = createWorld(say, { wholeFrom: 2 })
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await isWhole(t, world, read)
  t.same(world.asked, [0, hereBytes])
})

t.test('R276: attempts that fail and pause end no fill while they may still succeed', async t => {
  const say: Say = (whole, { offset, number }) => {
    if (number === 1) return [whole.subarray(0, LEAST_BYTES), CUT]
    return number <= 5 ? [CUT] : [whole.subarray(offset)]
  }
  const world = createWorld(say)
  const read = readAll(await world.registry.pullBlob(repository, digest))
  await isWhole(t, world, read)
  t.equal(world.asked.length, 6)
})

t.test('R276: many fills on one thin line share it, and none ends for that', async t => {
  const contents = Array.from({ length: 8 }, (_, seed) => contentOf(seed))
  const say: Say = whole => piecesOf(whole, ENOUGH_BYTES / contents.length)
  const world = createWorld(say, { contents })
  const digests = contents.map(each => digestOf(each))
  const answers = await Promise.all(digests.map(each => world.registry.pullBlob(repository, each)))
  await world.pass(PATIENCE + 2)
  t.same(world.ends(), [])
  t.equal(world.asked.length, contents.length)
  await Promise.all(answers.map(answer => answer.close()))
  await world.registry.stop()
})

t.test('a fill of a registry that shares goes on without a reader, however slowly', async t => {
  const world = createWorld(inPieces(LEAST_BYTES / 64), { shares: true })
  const answer = await world.registry.pullBlob(repository, digest)
  await answer.close()
  await world.pass(PATIENCE + 2)
  t.same(world.ends(), [])
  await world.registry.stop()
})
