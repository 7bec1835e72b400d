// Goal: abandoned uploads are looked for soon after the start and at every interval, as the
// configuration of that moment says, and a disk that fails ends nothing. Method: the job over a
// purge that writes down what it was asked, with a clock that moves by hand.
import t from 'tap'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { createUploadPurge, type UploadPurging } from '../../../src/upkeep/purge-uploads.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { startJobs } from '../../kit/start-jobs.ts'

const HOUR_MS = 3_600_000
const SETTINGS = { enabled: true, ageMs: 7 * HOUR_MS, intervalMs: 24 * HOUR_MS, dryRun: false }

function createJob(
  t: { teardown(fn: () => unknown): unknown },
  changes: Partial<UploadPurging> = {},
) {
  const clock = createManualClock()
  const events: EngineEvent[] = []
  const asked: { olderThanMs: number; dryRun: boolean }[] = []
  const disk = { fails: false }
  let settings = { ...SETTINGS, ...changes }
  const uploads = createUploadPurge({
    settings: () => settings,
    purge: async options => {
      asked.push(options)
      if (disk.fails) throw new StoreError('io', 'EIO', { hint: 'look at the disk' })
      return { sessions: 1, bytes: 7 }
    },
  })
  const jobs = startJobs(t, [uploads], { clock, note: event => events.push(event) })
  const replace = (next: UploadPurging) => {
    settings = next
    jobs.rescheduled()
  }
  const job = { replace }
  return { job, clock, events, asked, disk }
}

t.test('the first round is soon after the start, the next ones an interval apart', async t => {
  const { clock, asked } = createJob(t)
  await clock.advance(59_000)
  t.equal(asked.length, 0)
  await clock.advance(1_000)
  t.same(asked, [{ olderThanMs: 7 * HOUR_MS, dryRun: false }])
  await clock.advance(24 * HOUR_MS - 1)
  t.equal(asked.length, 1)
  await clock.advance(1)
  t.equal(asked.length, 2)
  await clock.advance(72 * HOUR_MS)
  t.equal(asked.length, 5)
})

t.test('a dry run says so to who removes', async t => {
  const { clock, asked } = createJob(t, { dryRun: true })
  await clock.advance(60_000)
  t.match(asked, [{ dryRun: true }])
})

t.test('switched off it does nothing, until a reload switches it on', async t => {
  const { job, clock, asked } = createJob(t, { enabled: false })
  await clock.advance(100 * HOUR_MS)
  t.equal(asked.length, 0)
  job.replace({ ...SETTINGS, ageMs: HOUR_MS })
  await clock.advance(0)
  t.match(asked, [{ olderThanMs: HOUR_MS }])
  job.replace({ ...SETTINGS, enabled: false })
  await clock.advance(100 * HOUR_MS)
  t.equal(asked.length, 1)
})

t.test('a reload with a shorter interval brings the next round forward', async t => {
  const { job, clock, asked } = createJob(t)
  await clock.advance(60_000)
  await clock.advance(2 * HOUR_MS)
  job.replace({ ...SETTINGS, intervalMs: HOUR_MS })
  await clock.advance(0)
  t.equal(asked.length, 2)
  await clock.advance(HOUR_MS)
  t.equal(asked.length, 3)
})

t.test('a disk that fails is told, and tried again at the next round', async t => {
  const { clock, asked, events, disk } = createJob(t)
  disk.fails = true
  await clock.advance(60_000)
  t.match(events, [{ kind: 'storage failed', failure: 'io', hint: 'look at the disk' }])
  disk.fails = false
  await clock.advance(24 * HOUR_MS)
  t.equal(asked.length, 2)
  t.equal(events.length, 1)
})

t.test('a stop ends the waiting, and waits for a round that runs', async t => {
  const clock = createManualClock()
  const running = Promise.withResolvers<void>()
  let ended = false
  const uploads = createUploadPurge({
    settings: () => SETTINGS,
    purge: async () => {
      await running.promise
      ended = true
      return { sessions: 0, bytes: 0 }
    },
  })
  const job = startJobs(t, [uploads], { clock })
  await clock.advance(60_000)
  const stopped = job.stop()
  running.resolve()
  await stopped
  t.equal(ended, true)
  t.equal(clock.sleepers, 0)
})
