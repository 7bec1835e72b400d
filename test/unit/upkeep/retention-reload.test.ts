// Goal: a run of retention takes nothing by policies that the operator has changed since it began.
// Method: the job over the engine with in-memory twins; the settings change between two steps.
import t from 'tap'
import type { RetentionPolicy } from '../../../src/registry/retain/rules.ts'
import { createRetention, type RetentionSettings } from '../../../src/upkeep/retention.ts'
import { createEngine, localOf } from '../../kit/engine.ts'
import { makeImage } from '../../kit/image.ts'
import { pushImage } from '../../kit/clients/push-image.ts'
import { ANY_TAG } from '../../kit/keep-line.ts'
import { quietRun } from '../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
/** Both are judged; this one first. */
const [app, later] = [localOf('app'), localOf('later')]
/** More than go in one step. */
const TAGS = 120

const keeping = (pattern: string): RetentionPolicy => ({
  repositories: ['**'],
  deleteUntagged: true,
  deleteReferrers: false,
  keepTags: [{ ...ANY_TAG, patterns: [pattern] }],
})

const began: RetentionSettings = {
  delayMs: DAY_MS,
  intervalMs: DAY_MS,
  dryRun: false,
  policies: [keeping('main')],
}

/** How many tags were left when the settings were changed, and of each repository at the end. */
async function reloaded(next: (before: RetentionSettings) => RetentionSettings) {
  const engine = createEngine()
  const { registry, catalog, clock } = engine
  for (let at = 0; at < TAGS; at += 1)
    await pushImage(registry, app, makeImage({ seed: `${at}`, layers: [9] }), `release-${at}`)
  await pushImage(registry, later, makeImage({ seed: 'later', layers: [9] }), 'release-1')
  await clock.advance(40 * DAY_MS)
  const tags = async (repository = app) =>
    (await catalog.listTags(repository, { limit: 999 })).length
  let settings = began
  let atReload: number | undefined
  const job = createRetention({
    clock,
    settings: () => settings,
    retain: (rules, run) => registry.retain(rules, run),
  })
  const pause = async () => {
    const now = await tags()
    if (atReload !== undefined || now === TAGS) return
    atReload = now
    settings = next(settings)
  }
  await job.workOf({}).run(quietRun({ pause }))
  return { atReload, atEnd: await tags(), ofLater: await tags(later) }
}

const CHANGES: readonly (readonly [string, (before: RetentionSettings) => RetentionSettings])[] = [
  ['no policies', before => ({ ...before, policies: [] })],
  ['another policy', before => ({ ...before, policies: [keeping('release-*')] })],
  ['a longer delay', before => ({ ...before, delayMs: 90 * DAY_MS, policies: [keeping('*')] })],
  ['a dry run', before => ({ ...before, dryRun: true })],
]

for (const [what, next] of CHANGES)
  t.test(`R422: after a reload to ${what} nothing more goes by what it began with`, async t => {
    const { atReload = 0, atEnd, ofLater } = await reloaded(next)
    t.ok(atReload > 0 && atReload < TAGS, `${atReload} were left at the reload`)
    t.equal(atEnd, atReload)
    t.equal(ofLater, 1)
  })

t.test('R422: a reload that changes nothing lets the run go on', async t => {
  const { atEnd, ofLater } = await reloaded(() => structuredClone(began))
  t.same([atEnd, ofLater], [0, 0])
})
