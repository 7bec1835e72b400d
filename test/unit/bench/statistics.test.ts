// Goal: medians, spreads and delays of the bench are what the words say. Method: small lists with
// results known by hand, and random lists held against a plain definition.
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../../kit/arbitraries.ts'
import {
  compareRanks,
  formatNumber,
  formatSpread,
  growthExponent,
  median,
  percentile,
  slope,
  worstDelay,
} from '../../../bench/statistics.ts'

t.test('the median is the middle value, or the mean of the two in the middle', async t => {
  t.equal(median([5, 1, 3]), 3)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(median([7]), 7)
  t.ok(Number.isNaN(median([])))
})

t.test('the median leaves as many values below it as above it, and its list as it was', async t => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), values => {
      const before = [...values]
      const middle = median(values)
      const below = values.filter(value => value < middle).length
      const above = values.filter(value => value > middle).length
      t.same(values, before)
      return below <= values.length / 2 && above <= values.length / 2
    }),
    seeding(),
  )
})

t.test('numbers are grouped and rounded; zero has no sign, and no number is a dash', async t => {
  t.equal(formatNumber(12_345.67), '12,346')
  t.equal(formatNumber(0.1251, 2), '0.13')
  t.equal(formatNumber(-0.001, 1), '0.0')
  t.equal(formatNumber(-1.5, 1), '-1.5')
  t.equal(formatNumber(Number.NaN), '–')
  t.equal(formatNumber(Number.POSITIVE_INFINITY), '–')
})

t.test('a spread shows median, least and most, or one number when all look the same', async t => {
  t.equal(formatSpread([3, 1, 2]), '2 (1–3)')
  t.equal(formatSpread([1.01, 1.02], 1), '1.0')
  t.equal(formatSpread([]), '–')
})

t.test('the worst delay compares the k-th client with the k-th, whatever their order', async t => {
  t.equal(worstDelay([30, 10, 20], [9, 19, 21]), 9)
  t.equal(worstDelay([5, 6], [8, 7]), -2)
  t.throws(() => worstDelay([1], [1, 2]), RangeError)
})

t.test('the exponent of a power is found again, whatever its factor', async t => {
  const exponent = fc.double({ min: -1, max: 3, noNaN: true })
  const factor = fc.double({ min: 0.001, max: 1000, noNaN: true })
  fc.assert(
    fc.property(exponent, factor, (k, a) => {
      const points = [1, 10, 1000].map(size => ({ size, value: a * size ** k }))
      return Math.abs(growthExponent(points) - k) < 1e-6
    }),
    seeding(),
  )
  t.pass('for powers from -1 to 3')
})

t.test('fewer than three sizes show no growth', async t => {
  const point = (size: number) => ({ size, value: size })
  t.ok(Number.isNaN(growthExponent([point(1), point(10), point(10)])))
  t.ok(Number.isNaN(growthExponent([])))
})

t.test('a slope is that of the line with the least squares', async t => {
  const line = [0, 1, 2, 3].map(size => ({ size, value: 5 + 2 * size }))
  t.equal(slope(line), 2)
  t.equal(slope([0, 1, 2].map(size => ({ size, value: size === 1 ? 3 : 0 }))), 0)
  t.ok(Number.isNaN(slope([{ size: 1, value: 1 }])))
})

t.test('a percentile is a value that was seen', async t => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  t.equal(percentile(values, 0.99), 99)
  t.equal(percentile(values, 1), 100)
  t.equal(percentile([7], 0.5), 7)
  t.ok(Number.isNaN(percentile([], 0.5)))
})

t.test('ranks say how often one of a list is above one of another', async t => {
  t.same(compareRanks([3, 4], [1, 2]).above, 1)
  t.same(compareRanks([1, 2], [3, 4]).above, 0)
  t.same(compareRanks([1, 2, 3], [1, 2, 3]), { above: 0.5, deviations: 0 })
  // Of nine pairs, five and two halves; U = 6, of a mean of 4.5 and a variance of 5.25.
  const { above, deviations } = compareRanks([2, 4, 9], [2, 3, 4])
  t.same([above, deviations], [6 / 9, 1.5 / Math.sqrt(5.25)])
  t.ok(Number.isNaN(compareRanks([], [1]).above))
})

t.test('ranks are as counting every pair says', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1 }),
      (one, other) => {
        const wins = one.flatMap(a => other.map(b => (a > b ? 1 : a === b ? 0.5 : 0)))
        const share = wins.reduce<number>((sum, win) => sum + win, 0) / wins.length
        return Math.abs(compareRanks(one, other).above - share) < 1e-9
      },
    ),
    seeding(),
  )
})
