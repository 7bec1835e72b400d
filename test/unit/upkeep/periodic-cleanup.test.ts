// Goal: what is due now and then is done while the process runs. Method: the loop over parts that
// count, on a manual clock.
import t from 'tap'
import { PeriodicCleanup, ROUND_EVERY_MS } from '../../../src/upkeep/periodic-cleanup.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

// issue 17, 26
t.test(
  'R276, R296: parts are swept and pending blobs expired every hour, also after one that failed',
  async t => {
    const clock = createManualClock()
    const ages: number[] = []
    const noted: unknown[] = []
    const removeParts = async (olderThanMs: number) => {
      ages.push(olderThanMs)
      if (ages.length === 1) throw new Error('the disk')
    }
    let ends = 0
    const expirePendingBlobs = async () => {
      ends += 1
    }
    const note = (event: unknown) => noted.push(event)
    const sweep = new PeriodicCleanup({
      clock,
      note,
      store: { removeParts, clearQuarantine: expirePendingBlobs },
      expirePendingBlobs,
    })
    sweep.start()
    for (let count = 0; count < 3; count += 1) await clock.advance(ROUND_EVERY_MS)
    const week = 7 * 24 * 60 * 60 * 1000
    t.same(ages, [week, week, week])
    t.equal(ends, 2 * 3)
    t.equal(noted.length, 1)
    await sweep.stop()
    await clock.advance(ROUND_EVERY_MS * 2)
    t.equal(ages.length, 3)
  },
)

// issue 17, 7
t.test('R296: a stop waits for no more than what is under way', async t => {
  const clock = createManualClock()
  let swept = 0
  const clearQuarantine = async () => {
    swept += 1
  }
  const untilStopped = (signal: AbortSignal) =>
    new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  const noted: unknown[] = []
  const round = new PeriodicCleanup({
    clock,
    note: event => noted.push(event),
    store: { removeParts: async () => {}, clearQuarantine },
    expirePendingBlobs: untilStopped,
  })
  round.start()
  await clock.advance(ROUND_EVERY_MS)
  t.equal(swept, 1)
  await round.stop()
  t.same(noted, [])
})
