// Goal: a grace that is changed again and again leaves a short note, and nothing that was deleted
// goes sooner by that. Method: graces over an in-memory catalog with a manual clock. At random, the
// same is in test/property/graces.test.ts.
import t from 'tap'
import { Graces } from '../../../../src/registry/time/grace.ts'
import { TimeKeeper } from '../../../../src/registry/time/time-keeper.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

t.test('of a grace that is changed very often the oldest are taken for the longest', async t => {
  const catalog = createMemoryCatalog()
  const clock = createManualClock()
  const time = new TimeKeeper({ catalog, clock })
  let graceMs = 10 * DAY_MS
  const graces = new Graces({ catalog, clock, time, graceMs: () => graceMs })
  await graces.forPass()
  const looseAtMs = clock.nowMs()
  for (let change = 0; change < 100; change += 1) {
    await clock.advance(MINUTE_MS)
    graceMs = change % 2 === 0 ? DAY_MS : 2 * DAY_MS
    await graces.leftMs()
  }
  const notes = await catalog.listJobNotes()
  const held: unknown = JSON.parse(notes.find(({ name }) => name === 'graces')?.body ?? '')
  t.equal(Array.isArray(held) && held.length, 16)
  for (const [days, isOver] of [
    [9, false],
    [10, true],
  ] as const) {
    await clock.advance(looseAtMs + days * DAY_MS + MINUTE_MS - clock.nowMs())
    t.equal((await graces.asOfNow()).isOver(looseAtMs), isOver, `${days} days`)
  }
})
