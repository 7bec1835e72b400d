// Goal: buffers go round without ever being in two hands, and take bounded memory. Method: lend and give back, by hand and at random;
// memory is told apart by its ArrayBuffer.
import fc from 'fast-check'
import t from 'tap'
import { Readers } from '../../../src/registry/readers.ts'

const KIBIBYTE = 1024
const LARGEST_BYTES = 512 * KIBIBYTE
const BUDGET_BYTES = 8 * 1024 * KIBIBYTE
/** Of buffers that wait. */
const FREE_MAX_BYTES = 16 * 1024 * KIBIBYTE

t.test('what was given back is lent again', async t => {
  const readers = new Readers()
  const chunk = readers.lend(LARGEST_BYTES)
  readers.giveBack(chunk.subarray(0, 10))
  t.equal(readers.lend(LARGEST_BYTES).buffer, chunk.buffer)
})

t.test('what was given back twice is lent once', async t => {
  const readers = new Readers()
  const chunk = readers.lend(LARGEST_BYTES)
  readers.giveBack(chunk)
  readers.giveBack(chunk)
  const again = [readers.lend(LARGEST_BYTES).buffer, readers.lend(LARGEST_BYTES).buffer]
  t.equal(new Set(again).size, 2)
})

t.test('what was never lent is not taken', async t => {
  const readers = new Readers()
  const foreign = Buffer.alloc(LARGEST_BYTES)
  readers.giveBack(foreign)
  t.not(readers.lend(LARGEST_BYTES).buffer, foreign.buffer)
})

t.test('a small piece does not hold a large buffer', async t => {
  t.equal(new Readers().lend(100).buffer.byteLength, 100)
})

t.test('chunks of all readers stay within their budget, down to the smallest chunk', async t => {
  const readers = new Readers()
  const seen = new Map<number, number>()
  for (let active = 1; active <= 200; active += 1) {
    readers.enter()
    seen.set(active, readers.chunkBytes)
  }
  t.equal(seen.get(1), LARGEST_BYTES)
  t.ok(
    [...seen].every(([active, bytes]) => bytes === 64 * KIBIBYTE || active * bytes <= BUDGET_BYTES),
  )
  t.equal(seen.get(200), 64 * KIBIBYTE)
})

t.test('whatever happens, no memory is in two hands, and what waits is bounded', async t => {
  const lend = fc.record({ lend: fc.integer({ min: 1, max: LARGEST_BYTES }) })
  const back = fc.record({ back: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(fc.oneof(lend, back), { maxLength: 100 }), steps => {
      const readers = new Readers()
      const out: Buffer[] = []
      for (const step of steps) {
        if ('lend' in step) {
          const chunk = readers.lend(step.lend)
          if (chunk.length !== step.lend) return false
          out.push(chunk)
        } else {
          const [chunk] = out.splice(step.back, 1)
          if (chunk !== undefined) readers.giveBack(chunk)
        }
        if (new Set(out.map(({ buffer }) => buffer)).size !== out.length) return false
      }
      return true
    }),
    { numRuns: 50 },
  )
  const readers = new Readers()
  const many = Array.from({ length: 40 }, () => readers.lend(LARGEST_BYTES))
  for (const chunk of many) readers.giveBack(chunk)
  const before = new Set(many.map(({ buffer }) => buffer))
  const again = many.filter(() => before.has(readers.lend(LARGEST_BYTES).buffer))
  t.ok(again.length > 0 && again.length * LARGEST_BYTES <= FREE_MAX_BYTES)
})
