// Goal: places that threads take are the coordinator's, and none is lost: not with an answer that crosses a client's leaving, nor with
// a thread. Method: both ends over a MessageChannel, before the real waiting room.
import { setImmediate as turn } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { createStreams } from '../../../src/http/streams.ts'
import { lendPlaces } from '../../../src/threads/lend-places.ts'
import type { Port } from '../../../src/threads/messages.ts'
import { Peer } from '../../../src/threads/peer.ts'
import { borrowPlaces } from '../../../src/threads/borrowed-places.ts'
import type { CoordinatorSide, HttpThreadSide, PlacesSide } from '../../../src/threads/sides.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

function createWorld(t: { teardown(fn: () => unknown): unknown }, limit: number) {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  const counts = { active: 0, waiting: 0 }
  const streams = createStreams({
    limit,
    clock: createManualClock(),
    note: {
      counts: (active, waiting) => Object.assign(counts, { active, waiting }),
      waited: () => {},
      refused: () => {},
      stillWaiting: () => {},
    },
  })
  const lent = lendPlaces(streams)
  const coordinator = new Peer<HttpThreadSide, PlacesSide>(port1 as Port, lent)
  const thread = new Peer<CoordinatorSide, HttpThreadSide>(port2 as Port, {
    services: {} as never,
    notes: { othersWait: () => {}, ticketKeys: () => {} },
  })
  const die = () => {
    coordinator.end()
    lent.end()
  }
  return { places: borrowPlaces(() => thread), streams, counts, die }
}

const never = () => new AbortController().signal

async function rest(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await turn()
}

t.test('a place is taken over there, and free again when it is given back', async t => {
  const { places, counts } = createWorld(t, 1)
  const first = await places.take('10.0.0.1', never())
  const second = places.take('10.0.0.2', never())
  await rest()
  t.same(counts, { active: 1, waiting: 1 })
  first.release()
  first.release()
  ;(await second).release()
  await rest()
  t.same(counts, { active: 0, waiting: 0 })
})

t.test('who leaves loses no place, wherever its answer is at that moment', async t => {
  const { places, counts } = createWorld(t, 2)
  for (let turns = 0; turns < 12; turns += 1) {
    const leaving = new AbortController()
    const taking = places.take('10.0.0.1', leaving.signal)
    for (let at = 0; at < turns; at += 1) await turn()
    leaving.abort(new Error('left'))
    await taking.then(
      place => place.release(),
      () => {},
    )
    await rest()
    t.same(counts, { active: 0, waiting: 0 }, `left after ${turns} turns`)
  }
})

t.test('the places of a thread that is gone are free, and so is its turn to wait', async t => {
  const { places, streams, counts, die } = createWorld(t, 1)
  await places.take('10.0.0.1', never())
  places.take('10.0.0.1', never()).catch(() => {})
  await rest()
  const other = streams.take('10.0.0.9', never())
  t.same(counts, { active: 1, waiting: 2 })
  die()
  ;(await other).release()
  t.same(counts, { active: 0, waiting: 0 })
})
