// Goal: what is pulled stays by the conditions that go by pulls, by whatever name it is pulled, and
// however lately. Method: the engine over in-memory twins; days pass with a pull in each.
import t from 'tap'
import { parseTag } from '../../../../src/oci/reference.ts'
import type { KeepLine, RetentionPolicy } from '../../../../src/registry/retain/rules.ts'
import type { JobResult } from '../../../../src/registry/job.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
const app = localOf('team/app')

const lineOf = (line: Partial<KeepLine>): KeepLine => ({
  ...ANY_TAG,
  ...line,
})

function policyOf(line: Partial<KeepLine>): RetentionPolicy {
  const keepTags = [lineOf(line), lineOf({ patterns: ['other'] })]
  return { repositories: ['localhost/**'], deleteUntagged: true, deleteReferrers: false, keepTags }
}

function retain(
  { registry }: Engine,
  line: Partial<KeepLine>,
  pause = async () => {},
): Promise<JobResult> {
  const rules = { delayMs: DAY_MS, policies: [policyOf(line)] }
  return registry.retain(() => rules, quietRun({ pause }))
}

const child = makeImage({ seed: 'child', layers: [9] })
const other = makeImage({ seed: 'other', layers: [9] })
const index = makeIndex([child, other])
const outer = makeIndex([index])
const idle = makeImage({ seed: 'idle', layers: [9] })
const WAYS = [
  { what: 'its digest', reference: digested(index.manifest.digest) },
  { what: 'the digest of one of its children', reference: digested(child.manifest.digest) },
  { what: 'another tag', reference: tagged('other') },
]
const CONDITIONS: readonly (readonly [string, Partial<KeepLine>])[] = [
  ['pulledwithin', { pulledWithinMs: 30 * DAY_MS }],
  ['mostrecentlypulledcount', { patterns: ['v*'], mostRecentlyPulledCount: 1 }],
]

for (const { what, reference } of WAYS)
  for (const [name, line] of CONDITIONS)
    t.test(`R420: by ${name} a tag stays that is pulled by ${what}`, async t => {
      const engine = createEngine()
      const { registry, clock, catalog } = engine
      await pushImage(registry, app, index, 'v1')
      await pushImage(registry, app, index, 'other')
      await pushImage(registry, app, idle, 'v2')
      for (let day = 0; day < 45; day += 1) {
        await clock.advance(DAY_MS)
        await registry.pullManifest(app, reference)
        await clock.advance(60_000)
        if (day < 31) continue
        await retain(engine, line)
        t.ok(await catalog.findTag(app, parseTag('v1')), `on day ${day}`)
      }
      t.equal(await catalog.findTag(app, parseTag('v2')), undefined, 'nobody pulled that one')
    })

t.test('R420: a tag stays while a manifest of an index in its index is pulled', async t => {
  const engine = createEngine()
  const { registry, clock, catalog } = engine
  await pushImage(registry, app, outer, 'v1')
  await clock.advance(40 * DAY_MS)
  await registry.pullManifest(app, digested(other.manifest.digest))
  await clock.advance(60_000)
  t.equal((await retain(engine, { pulledWithinMs: 30 * DAY_MS })).count, 0)
  t.ok(await catalog.findTag(app, parseTag('v1')))
})

t.test('R421: what is pulled in the moment before a run stays', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  await pushImage(registry, app, child, 'v1')
  await clock.advance(31 * DAY_MS)
  await registry.pullManifest(app, tagged('v1'))
  t.equal((await retain(engine, { pulledWithinMs: 30 * DAY_MS })).count, 0)
  const [layer] = child.layers
  await t.resolves(registry.headBlob(app, layer?.digest ?? child.config.digest), 'and its layers')
})

t.test('R421: what is pulled in the moment before its step stays', async t => {
  const engine = createEngine()
  const { registry, clock, catalog } = engine
  // More than go in one step.
  const names = Array.from({ length: 120 }, (_, at) => `v${at}`)
  for (const name of names)
    await pushImage(registry, app, makeImage({ seed: name, layers: [9] }), name)
  await clock.advance(31 * DAY_MS)
  const pulled = new Set<string>()
  await retain(engine, { pulledWithinMs: 30 * DAY_MS }, async () => {
    const left = (await catalog.listTags(app, { limit: 999 })).filter(({ tag }) => !pulled.has(tag))
    if (pulled.size > 0 || left.length === names.length) return
    for (const { tag } of left.slice(0, 9)) {
      await registry.pullManifest(app, tagged(tag))
      pulled.add(tag)
    }
  })
  const left = (await catalog.listTags(app, { limit: 999 })).map(({ tag }) => tag)
  t.equal(pulled.size, 9)
  t.same(left.toSorted(), [...pulled].toSorted())
})
