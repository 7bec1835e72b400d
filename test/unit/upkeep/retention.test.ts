// Goal: retention runs by itself where there are policies, as they are now, and nowhere else.
// Method: what the job says of its schedule, and what its runs are given.
import { once } from 'node:events'
import t from 'tap'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { createRetention, type RetentionSettings } from '../../../src/upkeep/retention.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { quietRun } from '../../kit/quiet-run.ts'
import { jobsOf, startJobs } from '../../kit/start-jobs.ts'

const HOUR_MS = 3_600_000
const policy = {
  repositories: ['**'],
  deleteUntagged: true,
  deleteReferrers: false,
  keepTags: [],
}
const SETTINGS: RetentionSettings = {
  delayMs: 1,
  intervalMs: HOUR_MS,
  dryRun: false,
  policies: [policy],
}

t.test('it runs by itself as soon as there is a policy, and by those of now', async t => {
  let settings: RetentionSettings = { ...SETTINGS, dryRun: true, policies: [] }
  const given: unknown[] = []
  const job = createRetention({
    clock: createManualClock(),
    settings: () => settings,
    retain: async rules => {
      given.push(rules())
      return { gone: [], count: 0, freedBytes: 0 }
    },
  })
  t.equal(job.schedule(), undefined)
  settings = { ...settings, policies: [policy] }
  t.match(job.schedule(), { everyMs: HOUR_MS, firstAfterMs: HOUR_MS / 12, dryRun: true })
  settings = { ...settings, dryRun: false, intervalMs: 60_000 }
  t.match(job.schedule(), { everyMs: 60_000, firstAfterMs: 60_000, dryRun: false })
  await job.workOf({}).run(quietRun())
  t.same(given, [settings])
})

t.test('R622: who runs it without a policy is told so', async t => {
  const job = createRetention({
    clock: createManualClock(),
    settings: () => ({ ...SETTINGS, policies: [] }),
    retain: async () => ({ gone: [], count: 0, freedBytes: 0 }),
  })
  for (const dryRun of [true, false]) {
    const { note } = await job.workOf({}).run(quietRun({ dryRun }))
    t.match(note, /there is no policy/)
  }
})

t.test('R470: what a reload lets go goes no sooner than a dry run can tell of it', async t => {
  const clock = createManualClock()
  let settings: RetentionSettings = { ...SETTINGS, policies: [] }
  const runs: number[] = []
  const job = createRetention({
    clock,
    settings: () => settings,
    retain: async () => {
      runs.push(clock.monotonicMs())
      return { gone: [], count: 0, freedBytes: 0 }
    },
  })
  const jobs = startJobs(t, [job], { clock })
  const startMs = clock.monotonicMs()
  const reload = (next: Partial<RetentionSettings>) => {
    settings = { ...settings, ...next }
    jobs.rescheduled()
  }
  await clock.advance(HOUR_MS / 2)
  reload({ policies: [policy] })
  await clock.advance(HOUR_MS / 12 - 1)
  t.same(runs, [], 'the first policy of a server that has been up for long')
  await clock.advance(1)
  t.same(runs, [startMs + (HOUR_MS * 7) / 12])
  await clock.advance(HOUR_MS - 1_000)
  reload({ policies: [{ ...policy, deleteUntagged: false }] })
  await clock.advance(1_000)
  t.equal(runs.length, 1, 'a change just before the next run')
  reload({})
  await clock.advance(HOUR_MS / 12 - 1_000)
  t.equal(runs.length, 2, 'a reload that changes nothing puts nothing off')
})

const CHANGES: readonly (readonly [string, Partial<RetentionSettings>])[] = [
  ['another policy', { policies: [{ ...policy, deleteReferrers: true }] }],
  ['a dry run', { dryRun: true }],
]

for (const [what, change] of CHANGES)
  t.test(`R590: a run that waits for another takes nothing by a reload to ${what}`, async t => {
    const clock = createManualClock()
    let settings = SETTINGS
    const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const given: { readonly dryRun: boolean; readonly policies: readonly unknown[] }[] = []
    const job = createRetention({
      clock,
      settings: () => settings,
      retain: async (rules, { dryRun }) => {
        if (given.push({ dryRun, policies: rules().policies }) === 1) {
          begun.resolve()
          await goOn.promise
        }
        return { gone: [], count: 0, freedBytes: 0 }
      },
    })
    const jobs = startJobs(t, [job], { clock })
    const { signal } = new AbortController()
    const follow = async (dryRun: boolean) => {
      const events: unknown[] = []
      for await (const event of jobs.run('retain', { dryRun, signal })) events.push(event)
      return events
    }
    const first = follow(true)
    await begun.promise
    await clock.advance(HOUR_MS / 12)
    settings = { ...settings, ...change }
    jobs.rescheduled()
    const asked = follow(false)
    goOn.resolve()
    await Promise.all([first, asked])
    const expected = [
      { dryRun: true, policies: [policy] },
      { dryRun: false, policies: [] },
      { dryRun: false, policies: settings.policies },
    ]
    t.same(given, expected, 'the dry run, the one that was due, and what was asked for since')
  })

t.test('R623: a round that a reload cuts off is made up for when its wait is over', async t => {
  const clock = createManualClock()
  let settings = SETTINGS
  const given: number[] = []
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const job = createRetention({
    clock,
    settings: () => settings,
    retain: async rules => {
      begun.resolve()
      await goOn.promise
      given.push(rules().policies.length)
      return { gone: [], count: 0, freedBytes: 0 }
    },
  })
  const jobs = startJobs(t, [job], { clock })
  await clock.advance(HOUR_MS / 12)
  await begun.promise
  settings = { ...settings, policies: [policy, policy] }
  jobs.rescheduled()
  goOn.resolve()
  await clock.advance(HOUR_MS / 12 - 1)
  t.same(given, [0])
  await clock.advance(1)
  t.same(given, [0, 2], 'and not an hour later')
  await clock.advance(HOUR_MS - 1)
  t.equal(given.length, 2)
  await clock.advance(1)
  t.equal(given.length, 3)
})

t.test(
  'R627: what makes up for a round that was cut off, and fails, is tried again at a pace',
  async t => {
    const clock = createManualClock()
    let settings = SETTINGS
    const runs: number[] = []
    const job = createRetention({
      clock,
      settings: () => settings,
      retain: async rules => {
        runs.push(clock.monotonicMs())
        // Without a pause between them there would be no end to it.
        if (runs.length === 2 || runs.length === 3) throw new StoreError('full', 'the disk is full')
        if (runs.length === 1) settings = { ...settings, delayMs: 2 }
        rules()
        return { gone: [], count: 0, freedBytes: 0 }
      },
    })
    startJobs(t, [job], { clock })
    const firstMs = clock.monotonicMs() + HOUR_MS / 12
    await clock.advance(HOUR_MS / 12)
    await clock.advance(HOUR_MS / 12)
    t.same(
      runs,
      [firstMs, firstMs + HOUR_MS / 12],
      'the one that was cut off, and the one that fails',
    )
    for (const [waitMs, count] of [
      [HOUR_MS / 12, 2],
      [HOUR_MS / 12, 3],
      [HOUR_MS, 4],
    ] as const) {
      await clock.advance(waitMs - 1)
      t.equal(runs.length, count)
      await clock.advance(1)
      t.equal(runs.length, count + 1)
    }
  },
)

for (const how of ['fails', 'is cancelled', 'ends well'])
  t.test(`R682: a run that is asked for before that, and ${how}`, async t => {
    const clock = createManualClock()
    let settings: RetentionSettings = {
      delayMs: 1,
      intervalMs: 24 * HOUR_MS,
      dryRun: false,
      policies: [policy],
    }
    let runs = 0
    const job = createRetention({
      clock,
      settings: () => settings,
      retain: async (rules, { signal }) => {
        runs += 1
        if (runs === 1) settings = { ...settings, delayMs: 2 }
        rules()
        if (runs === 2 && how === 'fails') throw new StoreError('full', 'the disk is full')
        if (runs === 2 && how === 'is cancelled') await once(signal, 'abort')
        return { gone: [], count: 0, freedBytes: 0 }
      },
    })
    const jobs = startJobs(t, [job], { clock })
    await clock.advance(HOUR_MS / 12)
    await clock.advance(60_000)
    const follow = async () => {
      const { signal } = new AbortController()
      for await (const _ of jobs.run('retain', { dryRun: false, signal }));
    }
    const asked = follow().catch(() => {})
    await clock.untilSleeping(HOUR_MS)
    if (how === 'is cancelled') jobs.cancel('retain')
    await asked
    t.equal(runs, 2)
    await clock.advance(HOUR_MS / 12 - 60_000 - 1)
    t.equal(runs, 2)
    await clock.advance(1)
    t.equal(runs, how === 'ends well' ? 2 : 3, 'the round is made up for, if it was not')
    await clock.advance(23 * HOUR_MS)
    t.equal(runs, how === 'ends well' ? 2 : 3)
  })

for (const [what, { asked, now, told }] of Object.entries({
  'and its round makes up for it': { asked: false, now: {}, told: /in 5 min$/ },
  'by one who only looks': { asked: true, now: {}, told: /retain --dry-run" tells what goes now$/ },
  'where rounds only tell': {
    asked: false,
    now: { dryRun: true },
    told: /dryrun: run "entrepot retain" again for the rest$/,
  },
  'and no policy is left': { asked: false, now: { policies: [] }, told: /no policy lets/ },
}))
  t.test(`R689: who runs it when a reload cuts it off is told of the rest, ${what}`, async t => {
    const clock = createManualClock()
    let settings: RetentionSettings = {
      delayMs: 1,
      intervalMs: 24 * HOUR_MS,
      dryRun: false,
      policies: [policy],
    }
    const runs: boolean[] = []
    const job = createRetention({
      clock,
      settings: () => settings,
      retain: async (rules, { dryRun }) => {
        runs.push(dryRun)
        if (runs.length === 1) settings = { ...settings, ...now, delayMs: 2 }
        rules()
        return { gone: [], count: 0, freedBytes: 0 }
      },
    })
    const jobs = jobsOf([job], { clock })
    const { signal } = new AbortController()
    let note: string | undefined
    for await (const event of jobs.run('retain', { dryRun: asked, signal }))
      if (event.kind === 'done') note = event.note
    t.match(note, /^a reload has changed storage.retention/)
    t.match(note, told)
    jobs.start()
    t.teardown(() => jobs.stop())
    await clock.advance(HOUR_MS / 12)
    t.same(runs.slice(1), what === 'and no policy is left' ? [] : [settings.dryRun])
  })
