// Goal: how long ago something was is told in time in which the edge ran, whatever became of the
// process, the catalog and the clock meanwhile; and never as longer than it was. Method: keepers
// over an in-memory catalog and a manual clock, one after the other, and at random by a seed.
import t from 'tap'
import { TimeKeeper } from '../../../../src/registry/time/time-keeper.ts'
import { createManualClock, type ManualClock } from '../../../kit/manual-clock.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 0, 1)

/** What one process does: it notes the time once an hour. */
async function running(keeper: TimeKeeper, clock: ManualClock, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) {
    await clock.advance(HOUR_MS)
    await keeper.write()
  }
}

async function agoOf(keeper: TimeKeeper, clock: ManualClock, atMs: number) {
  const timeRun = await keeper.asOfNow()
  const nowMs = clock.nowMs()
  return { pushed: timeRun.agoMs(atMs, nowMs), pulled: timeRun.usedAgoMs(atMs, nowMs) }
}

t.test('R423: what was before counting began was used then at the earliest', async t => {
  const clock = createManualClock(START_MS)
  const keeper = new TimeKeeper({ catalog: createMemoryCatalog(), clock })
  await clock.advance(3 * DAY_MS)
  const ago = await agoOf(keeper, clock, START_MS - 40 * DAY_MS)
  t.same(ago, { pushed: 43 * DAY_MS, pulled: 3 * DAY_MS })
})

t.test('R423: time in which no process ran does not count', async t => {
  const catalog = createMemoryCatalog()
  const clock = createManualClock(START_MS)
  await running(new TimeKeeper({ catalog, clock }), clock, 10 * 24)
  await clock.advance(35 * DAY_MS)
  const next = new TimeKeeper({ catalog, clock })
  await running(next, clock, 24)
  const ago = await agoOf(next, clock, START_MS)
  t.same(ago, { pushed: 11 * DAY_MS, pulled: 11 * DAY_MS })
  // In the time away: what the last process did after its last note.
  t.same((await agoOf(next, clock, START_MS + 11 * DAY_MS)).pushed, DAY_MS)
})

t.test('R423: a note that cannot be read is none', async t => {
  const bodies = ['', 'x', '{}', 'null', '{"sinceMs":1,"seenMs":2,"gaps":[{"fromMs":"a"}]}']
  for (const body of bodies) {
    const catalog = createMemoryCatalog()
    await catalog.noteJob({ name: 'time run', body })
    const clock = createManualClock(START_MS)
    const keeper = new TimeKeeper({ catalog, clock })
    t.equal((await keeper.asOfNow()).sinceMs, START_MS, body)
  }
})

t.test('R424: a clock that is ahead for an hour, and one that is set for good', async t => {
  const catalog = createMemoryCatalog()
  const clock = createManualClock(START_MS)
  const keeper = new TimeKeeper({ catalog, clock })
  await running(keeper, clock, 24)
  clock.jump(365 * DAY_MS)
  t.equal((await agoOf(keeper, clock, START_MS)).pushed, DAY_MS, 'while it is ahead')
  await running(keeper, clock, 1)
  clock.jump(-365 * DAY_MS)
  await keeper.write()
  t.equal((await agoOf(keeper, clock, START_MS)).pushed, DAY_MS)
  clock.jump(365 * DAY_MS)
  await running(keeper, clock, 24)
  t.equal((await agoOf(keeper, clock, START_MS)).pushed, 2 * DAY_MS, 'a day after it was set')
})

t.test('R424: a start with a clock that is ahead', async t => {
  const catalog = createMemoryCatalog()
  const clock = createManualClock(START_MS)
  await running(new TimeKeeper({ catalog, clock }), clock, 24)
  clock.jump(365 * DAY_MS)
  const next = new TimeKeeper({ catalog, clock })
  t.equal((await agoOf(next, clock, START_MS)).pushed, DAY_MS)
})

t.test('R424: a start with a clock that is behind begins to trust it anew', async t => {
  const catalog = createMemoryCatalog()
  const clock = createManualClock(START_MS)
  await running(new TimeKeeper({ catalog, clock }), clock, 24)
  const next = new TimeKeeper({ catalog, clock })
  t.ok((await next.asOfNow()).isSteadyFor(DAY_MS), 'with the clock as it was')
  clock.jump(-1_000)
  const behind = new TimeKeeper({ catalog, clock })
  t.notOk((await behind.asOfNow()).isSteadyFor(1))
  await running(behind, clock, 1)
  t.ok((await behind.asOfNow()).isSteadyFor(HOUR_MS))
})

const first = seedOf(process.env)
for (let seed = first; seed < first + 20; seed += 1)
  t.test(`nothing is told as older than the time it ran, seed ${seed}`, async t => {
    const random = createRandom(seed)
    const catalog = createMemoryCatalog()
    const clock = createManualClock(START_MS)
    let keeper = new TimeKeeper({ catalog, clock })
    await keeper.write()
    let ranMs = 0
    // When, by the clock of then, and after how much time that ran.
    const pushes: { atMs: number; ranMs: number }[] = []
    for (let step = 0; step < 300; step += 1) {
      const ms = random.between(1, 3 * 60) * 60_000
      const deed = random.pick(['run', 'run', 'push', 'push', 'away', 'end', 'ahead'])
      if (deed === 'run') {
        await clock.advance(ms)
        ranMs += ms
        await keeper.write()
      }
      if (deed === 'push') pushes.push({ atMs: clock.nowMs(), ranMs })
      if (deed === 'ahead') clock.jump(ms)
      if (deed === 'away') {
        await clock.advance(ms)
        keeper = new TimeKeeper({ catalog, clock })
      }
      if (deed === 'end') keeper = new TimeKeeper({ catalog, clock })
      const timeRun = await keeper.asOfNow()
      const wrong = pushes.filter(
        push => timeRun.agoMs(push.atMs, clock.nowMs()) > ranMs - push.ranMs,
      )
      if (wrong.length > 0) t.fail(`${JSON.stringify(wrong[0])} at step ${step}`)
    }
    const [oldest] = pushes
    const timeRun = await keeper.asOfNow()
    const agoMs = timeRun.agoMs(oldest?.atMs ?? 0, clock.nowMs())
    t.ok(agoMs > (ranMs - (oldest?.ranMs ?? 0)) / 4, 'and not all as new')
    const [note] = await catalog.listJobNotes()
    t.ok((note?.body.length ?? 0) < 8_000, 'and the note stays small')
  })
