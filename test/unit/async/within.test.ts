// Goal: a wait ends with what is waited for or with its time, and leaves no timer behind. Method:
// promises settled by hand, and a manual clock whose sleepers are counted.
import t from 'tap'
import { LATE, within, withTimeLimit } from '../../../src/async/within.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

t.test('what comes in time is given, or thrown, and no timer is left', async t => {
  const clock = createManualClock()
  const wanted = Promise.withResolvers<number>()
  const waiting = within(clock, 1_000, wanted.promise)
  t.equal(clock.sleepers, 1)
  wanted.resolve(5)
  t.equal(await waiting, 5)
  t.equal(clock.sleepers, 0)
  await t.rejects(within(clock, 1_000, Promise.reject(new Error('broken'))), { message: 'broken' })
  t.equal(clock.sleepers, 0)
})

t.test('what does not come in time is late, and its later failure is of no account', async t => {
  const clock = createManualClock()
  const wanted = Promise.withResolvers<number>()
  const waiting = within(clock, 1_000, wanted.promise)
  await clock.advance(1_000)
  t.equal(await waiting, LATE)
  t.equal(clock.sleepers, 0)
  // Unhandled, it would fail this test.
  wanted.reject(new Error('much later'))
  await new Promise(resolve => setImmediate(resolve))
})

t.test('work that takes too long is told so, and no timer is left behind any', async t => {
  const clock = createManualClock()
  const limit = { ms: 1_000, late: () => new Error('too slow') }
  t.equal(await withTimeLimit(clock, limit, async () => 5), 5)
  t.equal(clock.sleepers, 0)
  await t.rejects(
    withTimeLimit(clock, limit, () => Promise.reject(new Error('broken'))),
    { message: 'broken' },
  )
  t.equal(clock.sleepers, 0)
  const ended = withTimeLimit(
    clock,
    limit,
    signal =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      }),
  )
  const rejected = t.rejects(ended, { message: 'too slow' })
  await clock.advance(1_000)
  await rejected
  t.equal(clock.sleepers, 0)
})
