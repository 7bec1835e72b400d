// Goal: retention runs by itself where there are policies, as they are now, and nowhere else.
// Method: what the job says of its schedule, and what its runs are given.
import t from 'tap'
import { createRetention, type RetentionSettings } from '../../../src/upkeep/retention.ts'

const HOUR_MS = 3_600_000
const policy = {
  repositories: ['**'],
  deleteUntagged: true,
  deleteReferrers: false,
  keepTags: [],
}

t.test('it runs by itself as soon as there is a policy, and by those of now', async t => {
  let settings: RetentionSettings = {
    delayMs: 1,
    intervalMs: HOUR_MS,
    dryRun: true,
    policies: [],
  }
  const given: unknown[] = []
  const job = createRetention({
    settings: () => settings,
    retain: async rules => {
      given.push(rules())
      return { gone: [], count: 0, freedBytes: 0 }
    },
  })
  t.equal(job.schedule(), undefined)
  settings = { ...settings, policies: [policy] }
  t.same(job.schedule(), { everyMs: HOUR_MS, firstAfterMs: HOUR_MS / 12, dryRun: true })
  settings = { ...settings, dryRun: false, intervalMs: 60_000 }
  t.same(job.schedule(), { everyMs: 60_000, firstAfterMs: 60_000, dryRun: false })
  const { signal } = new AbortController()
  await job.run({ signal, dryRun: false, progress: () => {}, pause: async () => {} })
  t.same(given, [settings])
})
