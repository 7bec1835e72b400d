// Goal: what is due now and then is done while the process runs. Method: the job over parts that
// count, run by the runner of jobs on a manual clock.
import t from 'tap'
import { CLEANUP_EVERY_MS, createCleanup } from '../../../src/upkeep/cleanup.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { startJobs } from '../../kit/start-jobs.ts'

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
    const store = { removeParts, clearQuarantine: expirePendingBlobs }
    const cleanup = createCleanup({
      note,
      store,
      expirePendingBlobs,
      tidyCatalog: expirePendingBlobs,
      forgetDeletes: async () => {},
      noteTime: async () => {},
      recount: async () => {},
    })
    const jobs = startJobs(t, [cleanup], { clock, note })
    for (let count = 0; count < 3; count += 1) await clock.advance(CLEANUP_EVERY_MS)
    const week = 7 * 24 * 60 * 60 * 1000
    t.same(ages, [week, week, week])
    t.equal(ends, 3 * 3)
    t.equal(noted.length, 1)
    await jobs.stop()
    await clock.advance(CLEANUP_EVERY_MS * 2)
    t.equal(ages.length, 3)
  },
)

t.test('R754: a process that ends before its first hour has cleaned up', async t => {
  let cleared = 0
  const nothing = async () => {}
  for (let start = 1; start <= 3; start += 1) {
    const clock = createManualClock()
    const clearQuarantine = async () => {
      cleared += 1
    }
    const cleanup = createCleanup({
      note: () => {},
      store: { removeParts: nothing, clearQuarantine },
      expirePendingBlobs: nothing,
      tidyCatalog: nothing,
      forgetDeletes: nothing,
      noteTime: nothing,
      recount: nothing,
    })
    const jobs = startJobs(t, [cleanup], { clock })
    await clock.advance(CLEANUP_EVERY_MS / 2)
    await jobs.stop()
    t.equal(cleared, start)
  }
})

t.test('R296: a stop waits for no more than what is under way', async t => {
  const clock = createManualClock()
  let swept = 0
  const clearQuarantine = async () => {
    swept += 1
  }
  const untilStopped = (signal: AbortSignal) =>
    new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  const noted: unknown[] = []
  const note = (event: unknown) => noted.push(event)
  const store = { removeParts: async () => {}, clearQuarantine }
  const cleanup = createCleanup({
    note,
    store,
    expirePendingBlobs: untilStopped,
    tidyCatalog: async () => {},
    forgetDeletes: async () => {},
    noteTime: async () => {},
    recount: async () => {},
  })
  const jobs = startJobs(t, [cleanup], { clock, note })
  await clock.advance(CLEANUP_EVERY_MS)
  t.equal(swept, 1)
  await jobs.stop()
  t.same(noted, [])
})
