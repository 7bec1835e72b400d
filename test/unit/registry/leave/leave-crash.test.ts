// Goal: wherever a collection, a retention or a purge is cut off, the next process
// finishes it: no file is left that nobody counts, and no row without its file. Method: the ports
// break at call k, for every k that there is, in each way of breaking; then another engine begins.
import t from 'tap'
import type { RunningRegistry } from '../../../../src/registry/running-registry.ts'
import { BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { digested, pushImage } from '../../../kit/clients/push-image.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const repository = localOf('team/app')
const [older, newer] = ['older', 'newer'].map(seed => makeImage({ seed, layers: [10] })) as [
  ReturnType<typeof makeImage>,
  ReturnType<typeof makeImage>,
]
const DAY_MS = 25 * 60 * 60_000
const run = { ...quietRun(), kept: true }
const keepTags = [{ ...ANY_TAG, mostRecentlyPushedCount: 1 }]
const policy = { repositories: ['**'], deleteUntagged: true, deleteReferrers: true, keepTags }

const WORKS: readonly { name: string; work: (registry: RunningRegistry) => Promise<unknown> }[] = [
  { name: 'a collection', work: registry => registry.collect(run) },
  {
    name: 'a retention',
    work: registry => registry.retain(() => ({ delayMs: 0, policies: [policy] }), run),
  },
  {
    name: 'a purge',
    work: registry =>
      registry.purge({ kind: 'manifest', repositories: '**', digest: older.manifest.digest }, run),
  },
]

for (const { name, work } of WORKS)
  for (const how of BREAKS)
    t.test(`${name}, ${how} at each of its calls, is finished by the next process`, async t => {
      let at = 0
      for (; ; at += 1) {
        const breaking = createBreaking()
        const engine = createEngine(breaking)
        const { registry, clock, disk, catalog } = engine
        await pushImage(registry, repository, older, 'v1')
        await clock.advance(1_000)
        await pushImage(registry, repository, newer, 'v2')
        if (name === 'a collection')
          await registry.deleteManifest(repository, digested(older.manifest.digest).reference)
        await catalog.stampLoose(clock.nowMs())
        await clock.advance(DAY_MS)
        breaking.arm(at, how)
        await work(registry).catch(() => {})
        breaking.disarm()
        if (!breaking.isBroken) break
        const next = createEngine({ after: engine }).registry
        await next.leaving.finish()
        await next.adoptFiles({ isAllFound: true, signal: run.signal })
        const rows = await catalog.listContent({ limit: 100 })
        const digests = rows.map(row => row.digest).sort()
        t.same([...disk.blobs.keys()].sort(), digests, `files are rows, broken at ${at}`)
        t.same(await catalog.listLeaving({ limit: 100 }), [])
        await t.resolves(next.pullManifest(repository, digested(newer.manifest.digest)))
      }
      t.ok(at > 0, `${at} calls`)
    })
