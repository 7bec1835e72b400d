// Goal: a Range header asks for exactly what clients mean by it. Method: a table per rule; blobs of
// 1,000 bytes where nothing else is said, as in the conformance suite's style. The property test
// compares with a byte-by-byte model.
import t from 'tap'
import {
  formatContentRange,
  formatUnsatisfiedRange,
  parseContentRange,
  parseRange,
  RANGES_MAX,
} from '../../../src/oci/range.ts'

const SIZE = 1_000
const asked = (header: string, sizeBytes = SIZE) => {
  const range = parseRange(header, sizeBytes)
  return range.kind === 'ranges'
    ? range.ranges.map(({ first, last }) => `${first}-${last}`).join(' ')
    : range.kind
}

t.test('R47: no Range asks for the whole blob', async t => {
  t.equal(parseRange(undefined, SIZE).kind, 'whole')
})

t.test('R48: the three forms of a single range, clamped to the end', async t => {
  t.equal(asked('bytes=500-599'), '500-599')
  t.equal(asked('bytes=500-1499'), '500-999')
  t.equal(asked(`bytes=500-${SIZE}`), '500-999')
  t.equal(asked('bytes=500-'), '500-999')
  t.equal(asked('bytes=-500'), '500-999')
  t.equal(asked('bytes=-5000'), '0-999')
  t.equal(asked('bytes=0-99999999999999999999999999'), '0-999')
  t.equal(asked('Bytes = 0-0'), '0-0')
})

t.test('R49: an open range from the first byte is a range', async t => {
  t.equal(asked('bytes=0-'), '0-999')
})

t.test('R51: an open range reaches the end of the blob', async t => {
  t.equal(asked('bytes=7-', 2 ** 40), `7-${2 ** 40 - 1}`)
})

t.test('R53: what lies behind the end, and a range turned round, can not be satisfied', async t => {
  for (const header of ['bytes=1000-', 'bytes=5000-10000', 'bytes=500-0', 'bytes=-0']) {
    t.equal(asked(header), 'unsatisfiable', header)
  }
  t.equal(asked('bytes=1000-,2000-2001'), 'unsatisfiable')
  t.equal(formatUnsatisfiedRange(SIZE), 'bytes */1000')
})

t.test('R53: a malformed header is as good as none', async t => {
  const malformed = [
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=1-2-3',
    'bytes=0x1-2',
    'bytes=+1-2',
    'bytes=1.5-2',
    'items=0-1',
    'bytes=0-1,x',
    'bytes 0-1',
  ]
  for (const header of malformed) t.equal(asked(header), 'whole', header)
})

t.test('R54: several ranges stay as many, in their order, overlapping or not', async t => {
  t.equal(asked('bytes=900-909, 0-9,5-14 ,-1'), '900-909 0-9 5-14 999-999')
  t.equal(asked('bytes=0-0,0-0'), '0-0 0-0')
  t.equal(asked('bytes=0-0,,2-2,'), '0-0 2-2')
})

t.test('R54: a member that can not be satisfied is left out while another can', async t => {
  t.equal(asked('bytes=0-0,1000-'), '0-0')
})

t.test('R56: 1,024 ranges of nine digits, as a partial pull asks, are all answered', async t => {
  const ranges = Array.from({ length: 1_024 }, (_, index) => {
    return `${100_000_000 + index * 1_000}-${100_000_099 + index * 1_000}`
  })
  t.equal(asked(`bytes=${ranges.join(',')}`, 10 ** 9), ranges.join(' '))
})

t.test('R57: too many ranges are told apart, so that the client asks for fewer', async t => {
  const many = (count: number) => `bytes=${Array.from({ length: count }, () => '0-0').join(',')}`
  t.equal(parseRange(many(RANGES_MAX), 10 ** 6).kind, 'ranges')
  t.equal(asked(many(RANGES_MAX + 1), 10 ** 6), 'too-many')
})

t.test(
  'R59: ranges that together are longer than the blob are answered with all of it',
  async t => {
    t.equal(asked('bytes=0-,0-'), 'whole')
    t.equal(asked('bytes=0-499,500-999'), '0-499 500-999')
    t.equal(asked('bytes=0-500,500-999'), 'whole')
  },
)

t.test('R63: nothing of an empty blob can be asked for', async t => {
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1', 'bytes=0-0,1-1']) {
    t.equal(asked(header, 0), 'unsatisfiable', header)
  }
})

t.test('R87: Content-Range of an upstream', async t => {
  t.same(parseContentRange('bytes 10-19/100'), { first: 10, last: 19, sizeBytes: 100 })
  t.same(parseContentRange('bytes 10-19/*'), { first: 10, last: 19, sizeBytes: undefined })
  t.equal(formatContentRange({ first: 10, last: 19 }, 100), 'bytes 10-19/100')
  const wrong = [
    '',
    'bytes */100',
    'bytes 19-10/100',
    'bytes 0-100/100',
    'bytes=0-1/2',
    '0-1/2',
    'bytes 0-99999999999999999/*',
  ]
  for (const text of wrong) t.equal(parseContentRange(text), undefined, text)
})
