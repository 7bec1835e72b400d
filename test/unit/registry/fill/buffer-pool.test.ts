// Goal: buffers go round without ever being in two hands, and take bounded memory. Method: lend and
// give back, by hand and at random; memory is told apart by its ArrayBuffer and its place in it.
import fc from 'fast-check'
import t from 'tap'
import { BufferPool } from '../../../../src/registry/fill/buffer-pool.ts'
import { seeding } from '../../../kit/arbitraries.ts'

const KIBIBYTE = 1024
const LARGEST_BYTES = 1024 * KIBIBYTE
const SMALLEST_BYTES = 32 * KIBIBYTE
/** All chunks that are out at one time, as long as there are kept buffers for all. */
const BUDGET_BYTES = 22 * 1024 * KIBIBYTE
/** In one turn of the event loop, without the thread pool. */
const TURN_MAX_BYTES = 8 * 1024 * KIBIBYTE

/** Beyond so many readers memory is not kept. */
const READERS_KEPT = 384

const slabs = new Map<ArrayBufferLike, number>()

/** Names the place of a chunk in memory. */
function placeOf(chunk: Buffer): string {
  const slab = slabs.get(chunk.buffer) ?? slabs.size
  slabs.set(chunk.buffer, slab)
  return `${slab}:${chunk.byteOffset}`
}

t.test('what was given back is lent again', async t => {
  const buffers = new BufferPool()
  const chunk = buffers.lend(LARGEST_BYTES)
  buffers.giveBack(chunk)
  t.equal(placeOf(buffers.lend(LARGEST_BYTES)), placeOf(chunk))
})

t.test('what was given back twice is lent once', async t => {
  const buffers = new BufferPool()
  const chunk = buffers.lend(LARGEST_BYTES)
  buffers.giveBack(chunk)
  buffers.giveBack(chunk)
  t.not(placeOf(buffers.lend(LARGEST_BYTES)), placeOf(buffers.lend(LARGEST_BYTES)))
})

t.test('what was never lent is not taken', async t => {
  const buffers = new BufferPool()
  const foreign = Buffer.alloc(LARGEST_BYTES)
  buffers.giveBack(foreign)
  t.not(buffers.lend(LARGEST_BYTES).buffer, foreign.buffer)
})

t.test('a small piece does not hold a large buffer', async t => {
  const buffers = new BufferPool()
  const [first, second] = [buffers.lend(100), buffers.lend(100)]
  t.equal(first.buffer, second.buffer)
  t.equal(Math.abs(second.byteOffset - first.byteOffset), SMALLEST_BYTES)
})

t.test('chunks shrink while readers stand still, and all of them stay within a budget', async t => {
  const buffers = new BufferPool()
  const chunks = Array.from({ length: READERS_KEPT }, () => buffers.lend(buffers.chunkBytes))
  const sizes = chunks.map(({ length }) => length)
  t.equal(sizes[0], LARGEST_BYTES)
  t.equal(sizes[READERS_KEPT - 1], SMALLEST_BYTES)
  t.same(
    sizes.toSorted((a, b) => b - a),
    sizes,
  )
  const sum = sizes.reduce((all, bytes) => all + bytes)
  t.ok(sum <= BUDGET_BYTES, `${sum} bytes`)
  for (const chunk of chunks) buffers.giveBack(chunk)
  t.equal(buffers.chunkBytes, LARGEST_BYTES, 'and grow when they go on')
})

t.test(
  'however many read on, their reads are large as long as few wait for their clients',
  async t => {
    const buffers = new BufferPool()
    for (let round = 0; round < READERS_KEPT; round += 1) {
      const chunk = buffers.lend(buffers.chunkBytes)
      t.equal(chunk.length, LARGEST_BYTES)
      buffers.giveBack(chunk)
    }
  },
)

t.test(
  'what the system has in memory is read at once, a bounded part of it in one turn',
  async t => {
    const asked: number[] = []
    const buffers = new BufferPool((_descriptor, buffer) => {
      asked.push(buffer.length)
      return buffer.length
    })
    const chunk = buffers.lend(LARGEST_BYTES)
    const readAll = () => {
      let turnBytes = 0
      for (let more = 1; more > 0; turnBytes += more) more = buffers.readCached(7, chunk, turnBytes)
      return turnBytes
    }
    t.equal(readAll(), TURN_MAX_BYTES)
    t.equal(readAll(), 0, 'and no more')
    await new Promise(setImmediate)
    t.equal(readAll(), TURN_MAX_BYTES, 'but in the next turn')
    t.ok(asked.every(bytes => bytes === LARGEST_BYTES))
  },
)

t.test('without a file, or a way to look, nothing is read at once', async t => {
  const never = () => t.fail('it was asked')
  const chunk = Buffer.alloc(10)
  t.equal(new BufferPool(() => Number(never())).readCached(undefined, chunk, 0), 0)
  t.equal(new BufferPool().readCached(7, chunk, 0), 0)
})

t.test('whatever happens, no memory is in two hands', async t => {
  const lend = fc.record({ lend: fc.integer({ min: 1, max: LARGEST_BYTES }) })
  const back = fc.record({ back: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(fc.oneof(lend, back), { maxLength: 100 }), steps => {
      const buffers = new BufferPool()
      const out: Buffer[] = []
      for (const step of steps) {
        if ('lend' in step) {
          const chunk = buffers.lend(step.lend)
          if (chunk.length !== step.lend) return false
          out.push(chunk)
        } else {
          const [chunk] = out.splice(step.back, 1)
          if (chunk !== undefined) buffers.giveBack(chunk)
        }
        if (new Set(out.map(placeOf)).size !== out.length) return false
      }
      return true
    }),
    { ...seeding(), numRuns: 50 },
  )
  t.pass('no counterexample was found')
})

t.test('what is kept is of one piece of memory, in which no two overlap', async t => {
  const buffers = new BufferPool()
  const sizes = [1024, 512, 256, 64, 32].map(size => size * KIBIBYTE)
  const kept = sizes.flatMap(bytes => Array.from({ length: 2 }, () => buffers.lend(bytes)))
  t.equal(new Set(kept.map(({ buffer }) => buffer)).size, 1)
  const inOrder = kept.toSorted((a, b) => a.byteOffset - b.byteOffset)
  const overlaps = inOrder.filter(({ byteOffset }, at) => {
    const before = inOrder[at - 1]
    return before !== undefined && before.byteOffset + before.length > byteOffset
  })
  t.same(overlaps, [])
})

t.test(
  'what is kept is bounded: a crowd beyond it gets memory of its own, which is not kept',
  async t => {
    const buffers = new BufferPool()
    const crowd = Array.from({ length: 700 }, () => buffers.lend(SMALLEST_BYTES))
    for (const chunk of crowd) buffers.giveBack(chunk)
    const kept = new Set(crowd.map(placeOf))
    const again = Array.from({ length: 700 }, () => buffers.lend(SMALLEST_BYTES))
    t.equal(again.filter(chunk => kept.has(placeOf(chunk))).length, READERS_KEPT)
  },
)
