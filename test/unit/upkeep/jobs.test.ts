// Goal: a job has one run at a time, which whoever asks can follow, hold and end, and which a stop
// waits for. Method: jobs that a test carries on by hand, on a manual clock.
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import {
  type AskedJob,
  type JobArgs,
  type JobEvent,
  type JobRun,
  Tally,
} from '../../../src/registry/job.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { Jobs, type Schedule } from '../../../src/upkeep/jobs.ts'
import { LastRuns, openLastRuns } from '../../../src/upkeep/last-runs.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { createMemoryCatalog } from '../../kit/memory/catalog.ts'
import { startJobs } from '../../kit/start-jobs.ts'

const HOUR_MS = 3_600_000
const NEVER = new AbortController().signal

/** Under the name `purge`, about what `about` says; what it has begun, and the end of the first. */
function createAsked(t: { teardown(fn: () => unknown): unknown }) {
  const begun: unknown[] = []
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const job: AskedJob = {
    name: 'purge',
    workOf: ({ about }) => {
      if (typeof about !== 'string') throw new RegistryError('NAME_INVALID', 'about what?')
      const run = async (how: JobRun) => {
        begun.push(about)
        if (begun.length === 1) await ended
        return new Tally(how).result()
      }
      return { about: about.toLowerCase(), run }
    },
  }
  const jobs = startJobs(t, [job], { clock: createManualClock() })
  return { jobs, begun, end }
}

/** A job under the name `cleanup`, each run of which takes one thing for each call of `step`. */
function createWorld(
  t: { teardown(fn: () => unknown): unknown },
  schedule?: Schedule,
  lastRuns = new LastRuns(createMemoryCatalog()),
) {
  const clock = createManualClock()
  const runs: (JobRun & { step: () => void; end: () => void; fail: (error: Error) => void })[] = []
  const noted: unknown[] = []
  const job = {
    name: 'cleanup',
    schedule: () => schedule,
    run: async (run: JobRun) => {
      const tally = new Tally(run)
      const ended = Promise.withResolvers<void>()
      const step = () => tally.add({ what: `thing ${runs.length}`, reason: 'old', bytes: 10 })
      runs.push({ ...run, step, end: ended.resolve, fail: ended.reject })
      run.signal.addEventListener('abort', () => ended.resolve(), { once: true })
      await ended.promise
      return tally.result()
    },
  } as const
  const jobs = new Jobs([job], { clock, note: event => noted.push(event), lastRuns })
  jobs.start()
  t.teardown(() => jobs.stop())
  const follow = (dryRun = false, signal = NEVER) => {
    const events: JobEvent[] = []
    const over = (async () => {
      for await (const event of jobs.run('cleanup', { dryRun, signal })) events.push(event)
      return events
    })()
    over.catch(() => {})
    return { events, over }
  }
  const state = () => jobs.list().jobs[0]
  return { clock, jobs, runs, noted, follow, state }
}

t.test(
  'R350: a run is told of while it goes on, and what went, why and how much at its end',
  async t => {
    const { clock, runs, follow, state } = createWorld(t)
    const { events, over } = follow()
    await clock.advance(0)
    t.match(state(), { running: { count: 0, dryRun: false } })
    runs[0]?.step()
    await clock.advance(0)
    t.same(events, [{ kind: 'progress', count: 1, freedBytes: 10 }])
    runs[0]?.step()
    runs[0]?.step()
    await clock.advance(1_000)
    runs[0]?.end()
    const gone = { what: 'thing 1', reason: 'old', bytes: 10 }
    t.same((await over).slice(-2), [
      { kind: 'gone', gone: [gone, gone, gone] },
      { kind: 'done', outcome: 'done', dryRun: false, count: 3, freedBytes: 30 },
    ])
    t.match(state(), { running: undefined, last: { outcome: 'done', count: 3, tookMs: 1_000 } })
  },
)

t.test('R350: of very much that went is told in pieces, each thing once', async t => {
  const { clock, runs, follow } = createWorld(t)
  const { over } = follow()
  await clock.advance(0)
  const count = 1_234
  for (let n = 0; n < count; n += 1) runs[0]?.step()
  runs[0]?.end()
  const pieces = (await over).flatMap(event => (event.kind === 'gone' ? [event.gone] : []))
  t.ok(pieces.every(({ length }) => length <= 500))
  t.equal(pieces.flat().length, count)
  t.match((await over).at(-1), { kind: 'done', count })
})

t.test(
  'R350: who asks during a run gets the next one, and shares it with who asks as well',
  async t => {
    const { clock, runs, follow } = createWorld(t)
    const first = follow()
    await clock.advance(0)
    const second = follow()
    const third = follow()
    await clock.advance(0)
    t.equal(runs.length, 1, 'one at a time')
    runs[0]?.end()
    await first.over
    await clock.advance(0)
    t.equal(runs.length, 2)
    runs[1]?.step()
    runs[1]?.end()
    t.match((await second.over).at(-1), { count: 1 })
    t.match((await third.over).at(-1), { count: 1 })
    await clock.advance(0)
    t.equal(runs.length, 2)
  },
)

t.test("R350: a dry run is nobody else's run, and is not kept as the last one", async t => {
  const { clock, runs, follow, state } = createWorld(t)
  const dry = follow(true)
  const real = follow()
  await clock.advance(0)
  runs[0]?.end()
  await dry.over
  t.equal(state()?.last, undefined)
  await clock.advance(0)
  t.same(
    runs.map(({ dryRun }) => dryRun),
    [true, false],
  )
  runs[1]?.end()
  t.match((await real.over).at(-1), { dryRun: false })
})

t.test(
  'R350: a run ends when all who asked for it have gone, and one that was due goes on',
  async t => {
    const { clock, runs, follow } = createWorld(t, { everyMs: HOUR_MS })
    const one = new AbortController()
    const other = new AbortController()
    const first = follow(false, one.signal)
    const second = follow(false, other.signal)
    await clock.advance(0)
    one.abort(new Error('gone'))
    await t.rejects(first.over, { message: 'gone' })
    t.equal(runs[0]?.signal.aborted, false)
    other.abort(new Error('gone'))
    await t.rejects(second.over)
    t.equal(runs[0]?.signal.aborted, true)
    const waiting = new AbortController()
    await clock.advance(HOUR_MS)
    t.equal(runs.length, 2, 'it is due')
    const late = follow(false, waiting.signal)
    await clock.advance(0)
    waiting.abort(new Error('gone'))
    await t.rejects(late.over)
    t.equal(runs[1]?.signal.aborted, false)
    // Nobody wants that one any more: who asks now is given a run of its own.
    const next = follow()
    runs[1]?.end()
    await clock.advance(0)
    t.equal(runs.length, 3)
    runs[2]?.end()
    t.match((await next.over).at(-1), { outcome: 'done' })
  },
)

t.test(
  'R350: a paused job begins nothing and stands still, and what was due begins once it goes on',
  async t => {
    const { clock, jobs, runs, follow, state } = createWorld(t, { everyMs: HOUR_MS })
    await clock.advance(HOUR_MS)
    jobs.pause('cleanup')
    let went = false
    const going = runs[0]?.pause().then(() => (went = true))
    await clock.advance(HOUR_MS)
    t.equal(went, false)
    await t.rejects(follow().over, { code: 'UNAVAILABLE', message: /cleanup is paused/ })
    runs[0]?.end()
    await clock.advance(HOUR_MS)
    t.equal(runs.length, 1)
    t.match(state(), { isPaused: true })
    jobs.resume('cleanup')
    await clock.advance(0)
    t.equal(runs.length, 2)
    await going
  },
)

t.test(
  'R350: a cancelled run resolves with what it did, paused or not; the next one begins when due',
  async t => {
    const { clock, jobs, runs, follow, state } = createWorld(t, { everyMs: HOUR_MS })
    const { over } = follow()
    await clock.advance(0)
    runs[0]?.step()
    jobs.pause('cleanup')
    const held = runs[0]?.pause()
    jobs.cancel('cleanup')
    await held
    t.match((await over).at(-1), { kind: 'done', outcome: 'cancelled', count: 1 })
    t.match(state(), { last: { outcome: 'cancelled' } })
    jobs.resume('cleanup')
    await clock.advance(HOUR_MS)
    t.equal(runs.length, 2)
  },
)

t.test('R350: a run that fails tells who asked, and of one that was due the log', async t => {
  const { clock, runs, noted, follow, state } = createWorld(t, { everyMs: HOUR_MS })
  const { over } = follow()
  await clock.advance(0)
  runs[0]?.fail(new Error('the disk'))
  await t.rejects(over, { message: 'the disk' })
  t.match(state(), { last: { outcome: 'failed', reason: 'the disk' } })
  await clock.advance(HOUR_MS)
  runs[1]?.fail(new Error('the disk'))
  await clock.advance(0)
  t.match(noted, [{ kind: 'storage failed', reason: 'Error: the disk' }])
  await clock.advance(HOUR_MS)
  t.equal(runs.length, 3, 'it is tried again')
})

t.test(
  'R350: how the last run ended is known after a restart, and of dry runs nothing',
  async t => {
    const catalog = createMemoryCatalog()
    const open = async () => createWorld(t, undefined, await openLastRuns(catalog))
    const before = await open()
    t.equal(before.state()?.last, undefined)
    for (const dryRun of [false, true]) {
      const { over } = before.follow(dryRun)
      await before.clock.advance(0)
      before.runs.at(-1)?.step()
      before.runs.at(-1)?.end()
      await over
    }
    const last = before.state()?.last
    t.match(last, { outcome: 'done', count: 1, freedBytes: 10 })
    const after = await open()
    t.same(after.state()?.last, last)
    const { over } = after.follow()
    await after.clock.advance(0)
    after.runs[0]?.fail(new Error('x'.repeat(2_000)))
    await t.rejects(over)
    t.match((await open()).state(), { last: { outcome: 'failed', reason: /^x{1000}$/ } })
  },
)

t.test('R350: what another version wrote of its jobs is left alone', async t => {
  const catalog = createMemoryCatalog()
  for (const body of ['', '[]', '{"outcome":"done"}', '{"outcome":"lost","beganAtMs":1}']) {
    await catalog.noteJob({ name: 'cleanup', body })
    await catalog.noteJob({ name: 'scrub', body })
    t.equal((await openLastRuns(catalog)).find('cleanup'), undefined)
  }
})

t.test('R350: a run whose end cannot be written down has ended all the same', async t => {
  const failing = { noteJob: () => Promise.reject(new StoreError('full', 'no room')) }
  const { clock, runs, noted, follow, state } = createWorld(t, undefined, new LastRuns(failing))
  const { over } = follow()
  await clock.advance(0)
  runs[0]?.end()
  t.match((await over).at(-1), { kind: 'done', outcome: 'done' })
  t.match(state(), { last: { outcome: 'done' } })
  t.match(noted, [{ kind: 'storage failed', failure: 'full' }])
})

t.test('R350: a stop ends what runs, waits for it, and nothing begins after it', async t => {
  const { clock, jobs, runs, follow } = createWorld(t, { everyMs: HOUR_MS })
  const { over } = follow()
  const dry = follow(true)
  await clock.advance(0)
  await jobs.stop()
  t.match((await over).at(-1), { outcome: 'cancelled' })
  t.match((await dry.over).at(-1), { outcome: 'cancelled' })
  await t.rejects(follow().over, { code: 'UNAVAILABLE', message: /stopping/ })
  await clock.advance(3 * HOUR_MS)
  t.equal(runs.length, 1)
})

t.test('R350: what is no job is told with the names of those that are', t => {
  const { jobs } = createWorld(t)
  t.throws(() => jobs.pause('polish'), { code: 'NAME_INVALID', message: /"polish", but cleanup/ })
  t.end()
})

t.test('R350: who asks for the same shares a run that waits, and nobody else does', async t => {
  const { jobs, begun, end } = createAsked(t)
  const follow = async (args: JobArgs, dryRun = false) => {
    let last: JobEvent | undefined
    for await (const event of jobs.run('purge', { dryRun, signal: NEVER, args })) last = event
    return last
  }
  const asked = ['first', 'one', 'ONE', 'other'].map(about => follow({ about }))
  const dry = follow({ about: 'one' }, true)
  end()
  for (const each of asked) t.match(await each, { kind: 'done', outcome: 'done', dryRun: false })
  t.match(await dry, { kind: 'done', dryRun: true })
  t.strictSame(begun, ['first', 'one', 'other', 'one'])
})

t.test('R350: what a job is not told as it wants to be is refused, and nothing runs', async t => {
  const { jobs, begun } = createAsked(t)
  const { jobs: plain, runs } = createWorld(t)
  const first = (asked: Jobs, name: string, args: JobArgs) =>
    asked.run(name, { dryRun: false, signal: NEVER, args }).next()
  await t.rejects(first(jobs, 'purge', {}), { code: 'NAME_INVALID', message: 'about what?' })
  await t.rejects(first(plain, 'cleanup', { about: 'one' }), { message: /takes no arguments/ })
  t.strictSame([begun, runs], [[], []])
})
