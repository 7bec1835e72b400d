// Goal: places that threads take, by themselves or of the waiting room, are counted together, and
// none is lost: not with an answer that crosses a client's leaving, nor with a thread. Method: both
// ends over a MessageChannel, before the real waiting room.
import { setImmediate as turn } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { FreePlaces } from '../../../src/http/places/free-places.ts'
import { WaitingRoom } from '../../../src/http/places/waiting-room.ts'
import type { Port } from '../../../src/threads/messages.ts'
import { OtherThread } from '../../../src/threads/other-thread.ts'
import { borrowPlaces, lendPlaces } from '../../../src/threads/places.ts'
import {
  createCountsMemory,
  forgetCounts,
  sharedCounts,
} from '../../../src/threads/shared-counts.ts'
import type { CoordinatorThread, HttpThreadSide, PlacesSide } from '../../../src/threads/sides.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { settle } from '../../kit/settle.ts'

function createWorld(t: { teardown(fn: () => unknown): unknown }, limit: number) {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  const counts = { active: 0, waiting: 0 }
  const memory = createCountsMemory(2)
  const room = new WaitingRoom({
    limit,
    counts: sharedCounts(memory, 0),
    clock: createManualClock(),
    note: {
      counts: (active, waiting) => Object.assign(counts, { active, waiting }),
      waited: () => {},
      refused: () => {},
      stillWaiting: () => {},
    },
  })
  const lent = lendPlaces(room)
  const httpThread = new OtherThread<HttpThreadSide, PlacesSide>(port1 as Port, lent)
  const coordinator: CoordinatorThread = new OtherThread(port2 as Port, {
    methods: {} as never,
    notes: { othersWait: () => {}, ticketKeys: () => {}, closeOpen: () => {} },
  })
  const die = () => {
    httpThread.end()
    forgetCounts(memory, 1)
    lent.end()
  }
  const free = new FreePlaces({
    limit,
    counts: sharedCounts(memory, 1),
    released: () => places.freed(),
  })
  const places = borrowPlaces(() => coordinator, free)
  return { places, room, counts, die }
}

const never = () => new AbortController().signal

t.test('a free place is taken without asking, and counts for all', async t => {
  const { places, room, counts } = createWorld(t, 2)
  const first = places.takeNow('10.0.0.1')
  const second = room.takeNow('10.0.0.2')
  t.equal(places.takeNow('10.0.0.1'), undefined)
  t.equal(room.takeNow('10.0.0.2'), undefined)
  t.same(counts, { active: 2, waiting: 0 })
  first?.release()
  first?.release()
  room.recount()
  t.same(counts, { active: 1, waiting: 0 })
  const third = places.takeNow('10.0.0.1')
  t.ok(third)
  t.equal(places.takeNow('10.0.0.1'), undefined)
  second?.release()
  third?.release()
  await settle()
  room.recount()
  t.same(counts, { active: 0, waiting: 0 })
})

t.test('who comes while others wait goes behind them, on every thread', async t => {
  const { places, room, counts } = createWorld(t, 1)
  const first = places.takeNow('10.0.0.1')
  const waits = room.take('10.0.0.2', never())
  const behind = places.take('10.0.0.1', never())
  await settle()
  t.same(counts, { active: 1, waiting: 2 })
  first?.release()
  // The word of it is under way, and the place is not for who asks now.
  t.equal(places.takeNow('10.0.0.1'), undefined)
  ;(await waits).release()
  ;(await behind).release()
  await settle()
  t.same(counts, { active: 0, waiting: 0 })
})

t.test('what a thread took by itself counts among the share of its client', async t => {
  const { places, room } = createWorld(t, 64)
  const many = Array.from({ length: 64 }, () => places.takeNow('10.0.0.1'))
  const order: string[] = []
  const wait = async (client: string) => {
    const place = await room.take(client, never())
    order.push(client)
    place.release()
  }
  const both = [wait('10.0.0.1'), wait('10.0.0.2')]
  places.tellHeld()
  await settle()
  for (const each of many.slice(0, 30)) each?.release()
  await Promise.all(both)
  t.same(order, ['10.0.0.2', '10.0.0.1'])
})

t.test('a place is taken over there, and free again when it is given back', async t => {
  const { places, counts } = createWorld(t, 1)
  const first = await places.take('10.0.0.1', never())
  const second = places.take('10.0.0.2', never())
  await settle()
  t.same(counts, { active: 1, waiting: 1 })
  first.release()
  first.release()
  ;(await second).release()
  await settle()
  t.same(counts, { active: 0, waiting: 0 })
})

t.test('who leaves loses no place, wherever its answer is at that moment', async t => {
  const { places, room, counts } = createWorld(t, 1)
  for (let turns = 0; turns < 24; turns += 1) {
    const leaving = new AbortController()
    const own = room.takeNow('10.0.0.9')
    const taking = places.take('10.0.0.1', leaving.signal)
    for (let at = 0; at < turns; at += 1) {
      if (at === 6) own?.release()
      await turn()
    }
    own?.release()
    leaving.abort(new Error('left'))
    await taking.then(
      place => place.release(),
      () => {},
    )
    await settle()
    t.same(counts, { active: 0, waiting: 0 }, `left after ${turns} turns`)
  }
})

t.test('the places of a thread that is gone are free, and so is its turn to wait', async t => {
  const { places, room, counts, die } = createWorld(t, 1)
  await places.take('10.0.0.1', never())
  places.take('10.0.0.1', never()).catch(() => {})
  await settle()
  const other = room.take('10.0.0.9', never())
  t.same(counts, { active: 1, waiting: 2 })
  die()
  ;(await other).release()
  t.same(counts, { active: 0, waiting: 0 })
})
