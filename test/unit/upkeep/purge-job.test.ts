// Goal: a purge takes what it was asked for and nothing that was pushed unless that was said, and
// who asks for something else while one waits has a run of its own. Method: the job in the runner
// of jobs, over a registry that says what it was told to take.
import t from 'tap'
import type { Selector } from '../../../src/registry/pins/selectors.ts'
import type { PurgeOptions } from '../../../src/registry/purge/purge.ts'
import { createPurgeJob } from '../../../src/upkeep/purge-job.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { startJobs } from '../../kit/start-jobs.ts'

const TEAM: Selector = { kind: 'repositories', repositories: 'localhost/team/**' }
const OTHERS: Selector = { kind: 'repositories', repositories: 'localhost/others/**' }

/** The first purge goes on until `letGo`. */
function createWorld(t: { teardown(fn: () => unknown): unknown }) {
  const told: object[] = []
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const job = createPurgeJob(async (selector: Selector, { kept, dryRun }: PurgeOptions) => {
    told.push({ selector, kept, dryRun })
    if (told.length === 1) await held
    return { gone: [], count: 0, freedBytes: 0, held: [] } as never
  })
  const jobs = startJobs(t, [job], { clock: createManualClock() })
  const purge = async (args: object, dryRun = false) => {
    const { signal } = new AbortController()
    for await (const _ of jobs.run('purge', { dryRun, signal, args: { ...args } }));
  }
  return { told, letGo, purge }
}

t.test('R352: what was pushed is taken where that is said, and in no other way', async t => {
  const { told, letGo, purge } = createWorld(t)
  letGo()
  for (const kept of [undefined, false, true, 'true', 1]) await purge({ selector: TEAM, kept })
  await purge({ selector: TEAM }, true)
  const expected = [false, false, true, false, false].map(kept => ({
    selector: TEAM,
    kept,
    dryRun: false,
  }))
  t.same(told, [...expected, { selector: TEAM, kept: false, dryRun: true }])
})

t.test('R352: who asks for the same shares a run that waits, and nobody else does', async t => {
  const { told, letGo, purge } = createWorld(t)
  const all = [
    purge({ selector: TEAM }),
    purge({ selector: TEAM, kept: true }),
    purge({ selector: OTHERS }),
    purge({ selector: OTHERS }),
  ]
  letGo()
  await Promise.all(all)
  t.same(told, [
    { selector: TEAM, kept: false, dryRun: false },
    { selector: TEAM, kept: true, dryRun: false },
    { selector: OTHERS, kept: false, dryRun: false },
  ])
})

t.test('R352: a purge of nothing is refused, and told what it takes', async t => {
  const { told, purge } = createWorld(t)
  for (const selector of [undefined, {}, 'localhost/**', { kind: 'tags', repositories: '**' }])
    await t.rejects(purge({ selector }), {
      code: 'NAME_INVALID',
      message: /"entrepot purge PATTERN"/,
    })
  t.same(told, [])
})
