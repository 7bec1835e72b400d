// Goal: what was deleted leaves when whoever deleted it could count on it, also when the grace is
// changed meanwhile, and a pass comes for it by itself. Method: the engine over in-memory twins and
// the jobs that run its collection, on a manual clock.
import t, { type Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { Collection } from '../../../src/upkeep/collection.ts'
import { Jobs } from '../../../src/upkeep/jobs.ts'
import { LastRuns } from '../../../src/upkeep/last-runs.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { createEngine, type Engine, type LeftBehind, localOf } from '../../kit/engine.ts'
import { pushWhole } from '../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../kit/quiet-run.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const app = localOf('team/app')

function createWorld(t: Test, graceMs: number, after?: LeftBehind) {
  const grace = { ms: graceMs }
  const engine: Engine = createEngine({
    graceMs: () => grace.ms,
    ...(after === undefined ? {} : { after }),
  })
  const { registry, clock, catalog } = engine
  const gc: Collection = new Collection({
    clock,
    intervalMs: () => 1_000 * DAY_MS,
    collect: run => registry.collect(run),
    graceLeftMs: () => registry.graceLeftMs(),
    rescheduled: () => jobs.rescheduled(),
  })
  const jobs = new Jobs([gc], { clock, note: () => {}, lastRuns: new LastRuns(catalog) })
  jobs.start()
  void gc.loosened()
  t.teardown(() => jobs.stop())
  const isHere = (digest: Digest) => engine.disk.blobs.has(digest)
  return {
    engine,
    gc,
    clock,
    change: (ms: number) => {
      grace.ms = ms
      gc.graceChanged()
    },
    /** A blob that was pushed and is deleted now. */
    deleted: async (text: string) => {
      const digest = await pushWhole(registry, app, Buffer.from(text))
      await registry.deleteBlob(app, digest)
      await gc.loosened()
      return digest
    },
    isHere,
    /** Is it here until then, and not much longer? */
    goesAfter: async (t: Test, digest: Digest, ms: number) => {
      await clock.advance(ms - MINUTE_MS)
      t.ok(isHere(digest), 'it is still here')
      await clock.advance(2 * MINUTE_MS)
      t.notOk(isHere(digest), 'a pass has come for it')
    },
  }
}

t.test('R311: a grace that is shortened is for what is deleted from then on', async t => {
  const world = createWorld(t, DAY_MS)
  const before = await world.deleted('before')
  await world.clock.advance(1)
  world.change(HOUR_MS)
  await world.clock.advance(1)
  const since = await world.deleted('since')
  await world.goesAfter(t, since, HOUR_MS)
  await world.goesAfter(t, before, DAY_MS - HOUR_MS - MINUTE_MS)
})

t.test('R311: so it is when it was shortened between two processes', async t => {
  const first = createWorld(t, DAY_MS)
  const before = await first.deleted('before')
  await first.clock.advance(1)
  const second = createWorld(t, HOUR_MS, first.engine)
  await second.clock.advance(1)
  const since = await second.deleted('since')
  await second.goesAfter(t, since, HOUR_MS)
  await second.goesAfter(t, before, DAY_MS - HOUR_MS - MINUTE_MS)
})

t.test('R311: a grace that is lengthened holds what is here, for as long as it holds', async t => {
  const world = createWorld(t, HOUR_MS)
  const digest = await world.deleted('before')
  await world.clock.advance(1)
  world.change(DAY_MS)
  await world.clock.advance(2 * HOUR_MS)
  t.ok(world.isHere(digest), 'whoever lengthens it may have deleted by mistake')
  world.change(HOUR_MS)
  await world.clock.advance(2 * MINUTE_MS)
  t.notOk(world.isHere(digest))
})

t.test('R311: however often it is changed, nothing goes too soon, nor stays for good', async t => {
  const world = createWorld(t, DAY_MS)
  const promised: { digest: Digest; untilMs: number }[] = []
  for (let at = 0; at < 40; at += 1) {
    const graceMs = HOUR_MS * (1 + ((at * 7) % 23))
    world.change(graceMs)
    const digest = await world.deleted(`${at}`)
    promised.push({ digest, untilMs: world.clock.nowMs() + graceMs })
    await world.clock.advance(10 * MINUTE_MS)
    for (const each of promised)
      if (world.clock.nowMs() < each.untilMs) t.ok(world.isHere(each.digest))
  }
  world.change(HOUR_MS)
  for (let hour = 0; hour < 48; hour += 1) await world.clock.advance(HOUR_MS)
  t.notOk(promised.some(({ digest }) => world.isHere(digest)))
})

t.test('R471: a run that finds nothing tells of what waits, and for how long', async t => {
  const world = createWorld(t, HOUR_MS)
  const noteOf = async (dryRun: boolean) => (await world.gc.run(quietRun({ dryRun }))).note
  t.equal(await noteOf(true), undefined)
  await world.deleted('by mistake or not')
  await world.clock.advance(12.5 * MINUTE_MS)
  t.match(await noteOf(true), /storage\.gc\.delay .* within 48 min/)
  t.match(await noteOf(false), /within 48 min/)
})

t.test('R622: what a pass says itself stands before what waits', async t => {
  const gc = new Collection({
    clock: createManualClock(),
    intervalMs: () => DAY_MS,
    collect: async () => ({ gone: [], count: 0, freedBytes: 0, note: 'one could not be taken' }),
    graceLeftMs: async () => 12 * MINUTE_MS,
    rescheduled: () => {},
  })
  for (const dryRun of [true, false]) {
    const { note } = await gc.run(quietRun({ dryRun }))
    t.match(note, /^one could not be taken; what was deleted stays .* within 12 min$/)
  }
})

t.test('a pass that fails is tried again at the pace of the configuration', async t => {
  const clock = createManualClock()
  let passes = 0
  const gc: Collection = new Collection({
    clock,
    intervalMs: () => HOUR_MS,
    collect: async () => {
      passes += 1
      // Passes without a pause would let nothing else run.
      if (passes > 3) await new Promise(() => {})
      throw new Error('the disk')
    },
    graceLeftMs: async () => 2 * MINUTE_MS,
    rescheduled: () => jobs.rescheduled(),
  })
  const engine = createEngine({})
  const jobs = new Jobs([gc], { clock, note: () => {}, lastRuns: new LastRuns(engine.catalog) })
  jobs.start()
  t.teardown(() => jobs.stop())
  await gc.loosened()
  for (let minute = 0; minute < 50; minute += 1) await clock.advance(MINUTE_MS)
  t.equal(passes, 1)
})

t.test(
  'R311: what is deleted one by one is collected once a minute, not each by itself',
  async t => {
    const world = createWorld(t, HOUR_MS)
    await world.clock.advance(MINUTE_MS)
    const first = await world.deleted('first')
    await world.clock.advance(10_000)
    const second = await world.deleted('second')
    await world.clock.advance(HOUR_MS - MINUTE_MS)
    const isHere = () => world.isHere(first)
    for (let time = 0; time < 180 && isHere(); time += 1) await world.clock.advance(1_000)
    t.notOk(isHere(), 'its grace is over')
    await world.clock.advance(30_000)
    t.ok(world.isHere(second), 'a pass was a moment ago')
    const { note } = await world.gc.run(quietRun({ dryRun: true }))
    t.equal(note, undefined, 'what a dry run names among what would go waits for nothing')
    await world.clock.advance(MINUTE_MS)
    t.notOk(world.isHere(second))
  },
)

for (const [everyMs, firstMs] of [
  [DAY_MS, MINUTE_MS],
  [10_000, 10_000],
] as const)
  t.test(
    `R311: with an interval of ${everyMs} ms the first pass comes after ${firstMs}`,
    async t => {
      const clock = createManualClock()
      let passes = 0
      const gc: Collection = new Collection({
        clock,
        intervalMs: () => everyMs,
        collect: async () => {
          passes += 1
          return { gone: [], count: 0, freedBytes: 0 }
        },
        graceLeftMs: async () => undefined,
        rescheduled: () => jobs.rescheduled(),
      })
      const engine = createEngine({})
      const jobs = new Jobs([gc], { clock, note: () => {}, lastRuns: new LastRuns(engine.catalog) })
      jobs.start()
      t.teardown(() => jobs.stop())
      await clock.advance(firstMs - 1_000)
      t.equal(passes, 0)
      await clock.advance(2_000)
      t.equal(passes, 1)
    },
  )
