// Goal: the storage is looked at again and again, soon when somebody wants room, and a look that
// fails is told and not the last. Method: the keeper over a clock that the test moves.
import t from 'tap'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { LOOK_EVERY_MS, RoomKeeper } from '../../../src/upkeep/keep-room.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

function createKeeper(look: () => Promise<void> = async () => {}) {
  const clock = createManualClock()
  const events: EngineEvent[] = []
  let looks = 0
  const keepRoom = async () => {
    looks += 1
    await look()
  }
  const keeper = new RoomKeeper({ clock, note: event => events.push(event), keepRoom })
  return { clock, events, keeper, looks: () => looks }
}

t.test('it looks at once, and after its time', async t => {
  const { clock, keeper, looks } = createKeeper()
  keeper.start()
  await clock.advance(0)
  t.equal(looks(), 1)
  await clock.advance(LOOK_EVERY_MS - 1)
  t.equal(looks(), 1)
  await clock.advance(LOOK_EVERY_MS)
  t.equal(looks(), 2)
  await keeper.stop()
  await clock.advance(10 * LOOK_EVERY_MS)
  t.equal(looks(), 2)
})

t.test('it looks soon when somebody wants room, and once for a crowd', async t => {
  const { clock, keeper, looks } = createKeeper()
  keeper.start()
  await clock.advance(0)
  for (let wanted = 0; wanted < 100; wanted += 1) keeper.look()
  await clock.advance(300)
  t.equal(looks(), 2)
  await clock.advance(LOOK_EVERY_MS / 2)
  t.equal(looks(), 2)
  keeper.look()
  await clock.advance(300)
  t.equal(looks(), 3)
  await keeper.stop()
})

t.test('a look that fails is told, and not the last', async t => {
  const { clock, events, keeper, looks } = createKeeper(() =>
    Promise.reject(new StoreError('io', 'the disk is gone')),
  )
  keeper.start()
  await clock.advance(LOOK_EVERY_MS + 1_000)
  t.equal(looks(), 2)
  t.match(events, [{ kind: 'storage failed', reason: 'the disk is gone' }, {}])
  await keeper.stop()
})

t.test('who wants room again and again costs a few looks a second', async t => {
  const { clock, keeper, looks } = createKeeper()
  keeper.start()
  await clock.advance(0)
  for (let wanted = 0; wanted < 100; wanted += 1) {
    keeper.look()
    await clock.advance(10)
  }
  t.ok(looks() <= 1 + 1_000 / 250, `${looks()} looks`)
  await keeper.stop()
})
