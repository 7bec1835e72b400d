// Goal: the waiting room for blob bodies is bounded, fair and never forgets a place. Method: places
// are taken and given back by hand on a clock that stands still; then at random, held against the
// rules at every step.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import type { Exchange } from '../../../src/http/exchange.ts'
import type { Place } from '../../../src/http/places/free-places.ts'
import { placesFor } from '../../../src/http/places/limit.ts'
import { createTakePlace, createTakePlaceNow } from '../../../src/http/places/place.ts'
import {
  type Places,
  PLACE_WAIT_MAX_MS,
  type PlaceRefusal,
  WAITING_MAX,
  WAITING_TICK_MS,
  WaitingRoom,
} from '../../../src/http/places/waiting-room.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { createRandom, seedOf } from '../../kit/seeded.ts'

const NEVER = new AbortController().signal
const MINUTE_MS = 60_000
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

function room(limit: number) {
  const clock = createManualClock()
  const seen = {
    active: 0,
    waiting: 0,
    waitedMs: [] as number[],
    refused: [] as PlaceRefusal[],
    stillWaiting: [] as number[],
  }
  const places = new WaitingRoom({
    limit,
    clock,
    note: {
      counts: (active, waiting) => Object.assign(seen, { active, waiting }),
      waited: ms => seen.waitedMs.push(ms),
      refused: reason => seen.refused.push(reason),
      stillWaiting: waiting => seen.stillWaiting.push(waiting),
    },
  })
  const othersHold = (held: Readonly<Record<string, number>>) =>
    places.othersHold('another thread', new Map(Object.entries(held)))
  /** Names in the order in which they got their place. */
  const order: string[] = []
  const held: { readonly client: string; readonly place: Place }[] = []
  /** Resolves with undefined, or with what it was refused with. */
  const take = (client: string, name = client, signal = NEVER): Promise<unknown> =>
    places.take(client, signal).then(
      place => {
        order.push(name)
        held.push({ client, place })
        return undefined
      },
      (error: unknown) => error,
    )
  return {
    places,
    clock,
    seen,
    order,
    held,
    take,
    othersHold,
    takeMany: (client: string, count: number) =>
      Promise.all(Array.from({ length: count }, () => take(client))),
    /** The place that was taken first, or the first of `client`, is given back. */
    async release(client?: string) {
      const at = held.findIndex(each => client === undefined || each.client === client)
      for (const { place } of held.splice(at, 1)) place.release()
      await turn()
    },
    count: (client: string) => held.filter(each => each.client === client).length,
  }
}

t.test('places: who comes while places are free waits for nobody', async t => {
  const { takeMany, seen, clock } = room(3)
  t.same(await takeMany('a', 3), [undefined, undefined, undefined])
  t.match(seen, { active: 3, waiting: 0 })
  t.same([seen.waitedMs, clock.sleepers], [[], 0], 'and nothing is looked at from time to time')
})

t.test('places: a place goes to the next client, and within a client in order', async t => {
  const { take, release, order, seen } = room(1)
  await take('a', 'a0')
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) void take(name[0] ?? '', name)
  t.equal(seen.waiting, 6)
  for (let n = 0; n < 6; n += 1) await release()
  t.same(order, ['a0', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  t.match(seen, { active: 1, waiting: 0 })
})

t.test('places: one who asks for hundreds does not keep the others waiting', async t => {
  const { take, takeMany, release, order } = room(4)
  await takeMany('greedy', 4)
  for (let n = 0; n < 500; n += 1) void take('greedy')
  for (const client of ['b', 'c', 'd']) void take(client)
  for (let n = 0; n < 4; n += 1) await release('greedy')
  t.same(new Set(order.slice(4)), new Set(['greedy', 'b', 'c', 'd']))
})

t.test('places: while others wait, a client with its share is passed over', async t => {
  const { take, takeMany, release, count } = room(200)
  await takeMany('greedy', 200)
  for (let n = 0; n < 100; n += 1) void take('greedy')
  for (let n = 0; n < 160; n += 1) void take('small')
  for (let n = 0; n < 50; n += 1) await release('greedy')
  t.same([count('greedy'), count('small')], [150, 50], 'until the others have a quarter')
  for (let n = 0; n < 100; n += 1) await release('greedy')
  t.same([count('greedy'), count('small')], [100, 100], 'then in turn: no place stays empty')
})

t.test('places: a share is 32 places at least, and nobody has one alone', async t => {
  const { take, takeMany, release, count } = room(40)
  await takeMany('a', 40)
  for (let n = 0; n < 40; n += 1) void take('a')
  for (let n = 0; n < 40; n += 1) await release()
  t.equal(count('a'), 40, 'alone it has them all')
  void take('a')
  for (let n = 0; n < 40; n += 1) void take('b')
  for (let n = 0; n < 33; n += 1) await release('a')
  t.same([count('a'), count('b')], [8, 32])
})

t.test('places: what other threads hold counts while it is waited, and no longer', async t => {
  const { take, release, order, othersHold } = room(1)
  await take('x')
  for (const client of ['a', 'b']) void take(client)
  othersHold({ a: 32 })
  await release()
  t.same(order, ['x', 'b'], 'a has its share elsewhere')
  await release()
  t.same(order, ['x', 'b', 'a'])
  for (const client of ['a', 'c']) void take(client)
  await release()
  t.same(order.at(-1), 'a', 'nobody has told since that it still has it')
})

t.test('places: who waited twenty seconds is told to come back, and when', async t => {
  const { take, clock, seen } = room(1)
  await take('a')
  const refused = take('b')
  await clock.advance(PLACE_WAIT_MAX_MS / 2)
  const later = take('b')
  await clock.advance(PLACE_WAIT_MAX_MS / 2)
  const error = await refused
  t.ok(error instanceof RegistryError)
  t.match(error, { code: 'UNAVAILABLE', status: 503, cause: { hint: /http\.streams/ } })
  t.match(seen, { active: 1, waiting: 1, refused: ['late'] })
  await clock.advance(PLACE_WAIT_MAX_MS / 2)
  t.ok((await later) instanceof RegistryError)
  t.equal(clock.sleepers, 0, 'when nobody waits, nothing is looked at')
  void take('b')
  await clock.advance(WAITING_TICK_MS)
  t.equal(seen.stillWaiting.at(-1), 1, 'and it is again when somebody does')
})

t.test('places: the room has a bound, and those beyond it are not asked back at once', async t => {
  const { takeMany, take, seen } = room(1)
  await take('a')
  void takeMany('b', WAITING_MAX)
  await turn()
  const errors = (await takeMany('b', 12)) as RegistryError[]
  t.match(seen, { waiting: WAITING_MAX, refused: Array.from({ length: 12 }, () => 'full') })
  const seconds = errors.map(({ retryAfterSeconds }) => retryAfterSeconds ?? 0)
  t.ok(new Set(seconds).size > 3, 'the times differ')
  t.ok(seconds.every(each => each >= 1 && each <= 60))
})

t.test('R276: a client that fills the waiting room keeps nobody else out of it', async t => {
  const { takeMany, take, seen, release, order } = room(1)
  await take('a')
  const crowd = takeMany('b', WAITING_MAX)
  void take('c')
  void take('c', 'c again')
  await turn()
  t.same(seen.refused, ['full', 'full'])
  t.equal(seen.waiting, WAITING_MAX)
  for (let count = 0; count < 4; count += 1) await release()
  t.same(order, ['a', 'b', 'c', 'b', 'c again'], 'in turn')
  for (let count = 0; count < WAITING_MAX; count += 1) await release()
  const refused = (await crowd).flatMap((error, at) => (error === undefined ? [] : [at]))
  t.same(refused, [WAITING_MAX - 2, WAITING_MAX - 1], 'who came last')
})

t.test('places: who leaves while waiting leaves nothing behind', async t => {
  const { take, release, order, seen } = room(1)
  await take('a')
  const leaving = new AbortController()
  const left = take('b', 'b', leaving.signal)
  void take('c')
  const reason = new Error('gone')
  leaving.abort(reason)
  t.equal(await left, reason)
  t.equal(await take('b', 'b', leaving.signal), reason, 'nor one who had left before')
  t.match(seen, { active: 1, waiting: 1, refused: [] })
  await release()
  t.same(order, ['a', 'c'])
})

t.test('places: a place comes back once, however often it is given', async t => {
  const { take, held, order, seen } = room(1)
  await take('a')
  void take('b')
  void take('c')
  for (let n = 0; n < 3; n += 1) held[0]?.place.release()
  await turn()
  t.same(order, ['a', 'b'])
  t.match(seen, { active: 1, waiting: 1 })
})

t.test('places: whatever comes and goes, no place is lost and none is given twice', async t => {
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const limit = 50
  const { take, release, held, seen, clock } = room(limit)
  const leaving: AbortController[] = []
  for (let step = 0; step < 5_000; step += 1) {
    const what = random.below(10)
    if (what < 5) {
      const controller = new AbortController()
      if (random.oneIn(4)) leaving.push(controller)
      void take(`client ${random.below(6)}`, '', controller.signal)
    } else if (what < 9) await release()
    else if (leaving.length > 0) leaving.pop()?.abort(new Error('left'))
    else await clock.advance(random.below(2_000))
    await turn()
    if (held.length !== seen.active || seen.active > limit)
      t.fail(`step ${step}: ${held.length} hold a place, ${seen.active} are counted`)
    if (seen.waiting > 0 && seen.active < limit)
      t.fail(`step ${step}: ${seen.waiting} wait for places that are free`)
  }
  for (const { place } of held.splice(0)) place.release()
  await clock.advance(MINUTE_MS)
  while (held.length > 0) await release()
  t.match(seen, { active: 0, waiting: 0 })
})

t.test('places: their number comes from the memory', async t => {
  const GIB = 2 ** 30
  const table = [0.1, 1, 2, 4, 8, 64].map(gib => placesFor(gib * GIB))
  t.same(table, [64, 256, 512, 1_024, 2_048, 2_048])
})

t.test('R563: a place is that of who asks, and not of a proxy', async t => {
  const { places } = room(4)
  const clients: string[] = []
  const watched: Places = {
    take: (client, signal) => {
      clients.push(client)
      return places.take(client, signal)
    },
    takeNow: client => {
      clients.push(client)
      return places.takeNow(client)
    },
  }
  const response = () => new ServerResponse(new IncomingMessage(new Socket()))
  const caller = { address: '192.0.2.7' } as Exchange['caller']
  t.equal(createTakePlaceNow(watched)(response(), caller.address), 'taken')
  const exchange = { response: response(), caller } as Exchange
  t.equal(await createTakePlace(watched)(exchange), 'taken')
  t.same(clients, ['192.0.2.7', '192.0.2.7'])
})

t.test('a response that is over takes no place, which it would never give back', async t => {
  const { places, seen } = room(1)
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  response.destroy()
  t.equal(createTakePlaceNow(places)(response, undefined), 'none')
  t.equal(await createTakePlace(places)({ response, caller: {} } as Exchange), 'gone')
  t.equal(seen.active, 0)
  t.ok(places.takeNow('10.0.0.1'), 'it is free')
})
