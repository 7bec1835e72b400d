// Goal: a Range header selects the bytes that its text says, whatever it is made of. Method: a
// naive model marks bytes one by one in small blobs; arbitrary text must never throw; Content-Range
// goes there and back.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { formatContentRange, parseContentRange, parseRange } from '../../src/oci/range.ts'
import { assertProperty } from '../kit/arbitraries.ts'

const SIZE_MAX = 40

/** The offsets that one member asks for, in order; found by looking at each byte. */
function model(member: string, sizeBytes: number): number[] {
  const [first = '', last = ''] = member.split('-')
  return Array.from({ length: sizeBytes }, (_, offset) => offset).filter(offset => {
    if (first === '') return offset >= sizeBytes - Number(last)
    return offset >= Number(first) && (last === '' || offset <= Number(last))
  })
}

const position = fc.integer({ min: 0, max: SIZE_MAX + 5 })
const member = fc.oneof(
  fc.tuple(position, position).map(([first, last]) => `${first}-${last}`),
  position.map(first => `${first}-`),
  position.map(length => `-${length}`),
)

t.test('R48, R54: a range header selects what a byte-by-byte model selects', async t => {
  const members = fc.array(member, { minLength: 1, maxLength: 6 })
  assertProperty(
    t,
    fc.property(members, fc.integer({ min: 0, max: SIZE_MAX }), (texts, sizeBytes) => {
      const range = parseRange(`bytes=${texts.join(',')}`, sizeBytes)
      const wanted = texts.map(text => model(text, sizeBytes)).filter(offsets => offsets.length > 0)
      if (wanted.length === 0) return assert.equal(range.kind, 'unsatisfiable')
      if (wanted.flat().length > sizeBytes) return assert.equal(range.kind, 'whole')
      assert.ok(range.kind === 'ranges')
      const selected = range.ranges.map(({ first, last }) => {
        return Array.from({ length: last - first + 1 }, (_, index) => first + index)
      })
      assert.deepEqual(selected, wanted)
    }),
    { numRuns: 3_000 },
  )
})

const pieces = fc.constantFrom(
  'bytes',
  '=',
  '-',
  ',',
  '0',
  '5',
  '99',
  '9'.repeat(30),
  ' ',
  'x',
  '\t',
)
const wild = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(pieces, { maxLength: 10 }).map(parts => parts.join('')),
  fc.array(pieces, { maxLength: 10 }).map(parts => `bytes=${parts.join('')}`),
)

t.test('R242: arbitrary Range headers never throw, and ranges lie inside the blob', async t => {
  assertProperty(
    t,
    fc.property(wild, fc.nat(), (header, sizeBytes) => {
      const range = parseRange(header, sizeBytes)
      if (range.kind !== 'ranges') return
      for (const { first, last } of range.ranges) {
        assert.ok(first >= 0 && first <= last && last < sizeBytes)
      }
    }),
    { numRuns: 3_000 },
  )
})

t.test(
  'R242: Content-Range is written and read alike, and arbitrary text never throws',
  async t => {
    const sizes = fc.tuple(fc.nat(), fc.nat(), fc.nat())
    assertProperty(
      t,
      fc.property(sizes, wild, ([first, length, rest], text) => {
        const last = first + length
        const sizeBytes = last + 1 + rest
        const written = formatContentRange({ first, last }, sizeBytes)
        assert.deepEqual(parseContentRange(written), { first, last, sizeBytes })
        parseContentRange(text)
        parseContentRange(text.replace('=', ' '))
      }),
    )
  },
)
