// Goal: warmth says of images what the decision says (docs/adr/0030-eviction.md): uses weigh half
// after a day, one an hour counts, and no clock makes an image stay for ever. Method: the formula
// alone, on histories of uses that are made up, or random.
import fc from 'fast-check'
import t from 'tap'
import { type Warmth, usedAgain } from '../../../src/catalog/warmth.ts'
import { seeding } from '../../kit/arbitraries.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 0, 1)
/** As the decision gives it: a use each hour for ever. */
const AHEAD_MAX_MS = 5.2 * DAY_MS
/** It is kept in whole milliseconds: each use rounds once. */
const ROUNDED_MS = 1

const first = (atMs: number): Warmth => ({ usedAtMs: atMs, countedAtMs: atMs, warmthMs: atMs })
const after = (times: readonly number[]): Warmth => {
  const [start = START_MS, ...later] = times
  return later.reduce(usedAgain, first(start))
}
/** Uses at least `leastMs` apart, in order. */
const historyOf = (leastMs: number, mostMs: number) =>
  fc
    .array(fc.integer({ min: leastMs, max: mostMs }), { minLength: 1, maxLength: 60 })
    .map(gaps => gaps.reduce((times, gap) => [...times, (times.at(-1) ?? 0) + gap], [START_MS]))
const property = <T>(values: fc.Arbitrary<T>, check: (value: T) => boolean) =>
  fc.assert(fc.property(values, check), seeding())

t.test('two uses at once read as a day later, and one of a day ago weighs half', async t => {
  const uncounted = { ...first(START_MS), countedAtMs: 0 }
  t.equal(usedAgain(uncounted, START_MS).warmthMs, START_MS + DAY_MS)
  const tomorrowMs = START_MS + DAY_MS
  const wanted = Math.round(tomorrowMs + DAY_MS * Math.log2(1 + 1 / 2))
  t.equal(after([START_MS, tomorrowMs]).warmthMs, wanted)
})

t.test('a roll-out to a hundred machines within an hour is one use', async t => {
  const times = Array.from({ length: 100 }, (_, node) => START_MS + node * 30_000)
  t.equal(after(times).warmthMs, times.at(-1))
  t.equal(after(times).countedAtMs, START_MS)
})

t.test('one that is used each half hour counts once an hour', async t => {
  let used = first(START_MS)
  const counted = new Set([used.countedAtMs])
  for (let half = 1; half <= 48; half += 1) {
    used = usedAgain(used, START_MS + half * (HOUR_MS / 2))
    counted.add(used.countedAtMs)
  }
  t.same(
    [...counted],
    Array.from({ length: 25 }, (_, hour) => START_MS + hour * HOUR_MS),
  )
})

t.test('warmth is the time at which one use would weigh as much as all that counted', async () => {
  property(historyOf(HOUR_MS, 10 * DAY_MS), times => {
    const { warmthMs } = after(times)
    const weight = times.reduce((sum, atMs) => sum + 2 ** ((atMs - warmthMs) / DAY_MS), 0)
    const offMs = Math.abs(DAY_MS * Math.log2(weight))
    return offMs <= ROUNDED_MS * times.length
  })
})

t.test('a use makes no image colder, and is never lost on it', async () => {
  property(historyOf(0, 3 * DAY_MS), times => {
    let used = first(START_MS)
    return times.every(atMs => {
      const next = usedAgain(used, atMs)
      const isWarmer = next.warmthMs >= used.warmthMs && next.warmthMs >= atMs
      used = next
      return isWarmer && next.usedAtMs === atMs
    })
  })
})

t.test('warmth is never later than 5.2 days after the last use', async () => {
  property(historyOf(0, 2 * HOUR_MS), times => {
    const { warmthMs, usedAtMs } = after(times)
    return warmthMs <= usedAtMs + AHEAD_MAX_MS
  })
  const hourly = Array.from({ length: 10_000 }, (_, hour) => START_MS + hour * HOUR_MS)
  const { warmthMs, usedAtMs } = after(hourly)
  t.ok(warmthMs <= usedAtMs + AHEAD_MAX_MS)
  t.ok(warmthMs > usedAtMs + 5 * DAY_MS, 'as warm as an image can be')
})

t.test('one day in a wrong year is forgotten with the next use', async t => {
  const wrongMs = START_MS + 3_650 * DAY_MS
  const nowMs = START_MS + DAY_MS
  t.same(usedAgain(after([START_MS, wrongMs]), nowMs), first(nowMs))
})

t.test('a use that is told late moves nothing back', async () => {
  property(fc.tuple(historyOf(0, DAY_MS), fc.nat({ max: 60_000 })), ([times, lateMs]) => {
    const used = after(times)
    const { usedAtMs, warmthMs } = usedAgain(used, used.usedAtMs - lateMs)
    return usedAtMs === used.usedAtMs && warmthMs >= used.warmthMs
  })
})
