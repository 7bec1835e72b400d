// Goal: what is here is read by itself within the period, evenly and no faster than allowed, and
// makes way for an operator who asks. Method: the job among jobs on a manual clock; what reads is a
// double that counts pieces, and reads as long as it may.
import t, { type Test } from 'tap'
import type { JobRun } from '../../../src/registry/job.ts'
import type { ScrubExtent, ScrubResult } from '../../../src/registry/scrub/scrub.ts'
import { ScrubJob, type ScrubSettings } from '../../../src/upkeep/scrub-job.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { startJobs } from '../../kit/start-jobs.ts'

const MiB = 1024 * 1024
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const TiB = 1024 * 1024 * MiB

const NOTHING = {
  gone: [],
  count: 0,
  freedBytes: 0,
  readBlobs: 0,
  readBytes: 0,
  healed: { mended: 0, refetched: 0, forgotten: 0, broken: 0 },
}

interface World extends Partial<ScrubSettings> {
  readonly contentBytes?: number
}

/** What is read are blobs of a piece each, without end. */
function createWorld(test: Test, { contentBytes = TiB, ...changed }: World = {}) {
  const clock = createManualClock()
  const extents: ScrubExtent[] = []
  let pieces = 0
  const scrub = async (run: JobRun, extent: ScrubExtent): Promise<ScrubResult> => {
    extents.push(extent)
    try {
      while (!run.signal.aborted && !extent.isOver()) {
        pieces += 1
        await extent.between(MiB)
        // Who reads all reads one piece.
        if (extent.beforeMs === clock.nowMs()) break
      }
    } catch (error) {
      if (!run.signal.aborted) throw error
    }
    return NOTHING
  }
  const totals = async () => ({
    repositories: 0,
    tags: 0,
    manifests: 0,
    blobs: 0,
    contentBytes,
    contentBlocks: 0,
    keptBlocks: 0,
    leavingBlocks: 0,
  })
  const settings = { periodMs: 7 * DAY_MS, rateBytes: 64 * MiB, ...changed }
  const job = new ScrubJob({ clock, catalog: { totals }, settings: () => settings, scrub })
  const jobs = startJobs(test, [job], { clock })
  return { clock, jobs, extents, pieces: () => pieces }
}

t.test('R864: all is read within the last quarter of the period, and evenly', async t => {
  const { clock, extents, pieces } = createWorld(t)
  await clock.advance(5 * MINUTE_MS)
  const beganMs = clock.nowMs()
  await clock.advance(HOUR_MS)
  const perHour = (TiB / MiB) * (HOUR_MS / (0.25 * 7 * DAY_MS))
  t.ok(Math.abs(pieces() - perHour) < 100, `${pieces()} of ${perHour} pieces in an hour`)
  t.equal(extents[0]?.beforeMs, beganMs - 0.75 * 7 * DAY_MS)
  t.ok(extents.length > 5, 'in several runs, whose ends are noted')
})

t.test('R864: no faster than storage.scrub.rate', async t => {
  const { clock, pieces } = createWorld(t, { rateBytes: 2 * MiB })
  await clock.advance(15 * MINUTE_MS)
  t.ok(Math.abs(pieces() - 2 * 600) <= 4, `${pieces()} pieces in ten minutes`)
})

t.test('R864: with a period of 0 or for ever only when an operator asks', async t => {
  for (const periodMs of [0, Number.POSITIVE_INFINITY]) {
    const { clock, pieces } = createWorld(t, { periodMs })
    await clock.advance(DAY_MS)
    t.equal(pieces(), 0)
  }
})

t.test('R865: who asks does not wait for the run that reads by itself', async t => {
  const { clock, jobs, extents } = createWorld(t)
  await clock.advance(6 * MINUTE_MS)
  t.equal(extents.length, 1)
  const told = []
  const { signal } = new AbortController()
  for await (const event of jobs.run('scrub', { dryRun: false, signal })) told.push(event)
  t.match(told.at(-1), { kind: 'done', outcome: 'done' })
  t.equal(extents[1]?.beforeMs, clock.nowMs(), 'all of it')
  await clock.advance(10 * MINUTE_MS)
  t.equal(extents.length, 3, 'it goes on by itself')
})

t.test(
  'R874: what is broken is looked at first by each process, and then again in an hour',
  async t => {
    const { clock, extents } = createWorld(t)
    await clock.advance(5 * MINUTE_MS)
    t.match(extents[0]?.broken, { beforeMs: clock.nowMs(), max: 100 })
    await clock.advance(15 * MINUTE_MS)
    const { beforeMs = 0 } = extents[1]?.broken ?? {}
    t.ok(Math.abs(beforeMs - (clock.nowMs() - 5 * MINUTE_MS - HOUR_MS)) < MINUTE_MS)
  },
)
