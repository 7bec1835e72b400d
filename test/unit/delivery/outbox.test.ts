// Goal: what is queued is tried when it is due, in order within a key and beside each other over
// keys, and what cannot be delivered holds up no more than it must. Method: the runner over a
// catalog in memory, a carrier that the test writes, and a clock moved by hand.
import t from 'tap'
import type { DeliveryOutcome } from '../../../src/delivery/carrier.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { around } from '../../kit/around.ts'
import { createBench, DELIVERED, FAILED, held, PARKED } from '../../kit/worlds/outbox-bench.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

t.test('nothing happens while nothing is queued, and a nudge is enough to begin', async t => {
  const bench = createBench()
  const outbox = bench.start()
  await bench.clock.advance(24 * HOUR_MS)
  t.equal(bench.clock.sleepers, 0)
  await bench.queue(1)
  await bench.settle()
  t.same(bench.tried, [])
  outbox.nudge()
  await bench.settle()
  t.same(bench.outcomes(), ['1 delivered'])
  t.same(await bench.catalog.listDeliveries({ limit: 9 }), [])
  t.equal(bench.clock.sleepers, 0)
})

t.test('what an earlier process left is carried when this one starts', async t => {
  const bench = createBench()
  await bench.queue(1)
  await bench.queue(2)
  bench.start()
  await bench.settle()
  t.same(bench.outcomes(), ['1 delivered', '2 delivered'])
})

t.test('R116: entries of one key go one at a time, in the order of their ids', async t => {
  const first = held()
  const bench = createBench({ carry: first.carry })
  for (const id of [3, 1, 2]) await bench.queue(id)
  bench.start()
  await bench.settle()
  t.same(bench.tried, [1])
  bench.carry = async () => DELIVERED
  first.end(DELIVERED)
  await bench.settle()
  t.same(bench.tried, [1, 2, 3])
})

t.test('keys go beside each other: four of one destination, sixteen in all', async t => {
  const all = held()
  const destinationOf = ({ key }: { key: string }) => ({
    name: key.split('/')[0] ?? '',
    closed: undefined,
  })
  const bench = createBench({ carry: all.carry, destinationOf })
  const destinations = ['a', 'b', 'c', 'd', 'e']
  let id = 0
  for (const destination of destinations)
    for (let n = 0; n < 6; n += 1) await bench.queue(++id, `${destination}.example/${n}`)
  bench.start()
  await bench.settle()
  const byDestination = destinations.map(destination => {
    const first = destinations.indexOf(destination) * 6 + 1
    return bench.tried.filter(each => each >= first && each < first + 6).length
  })
  t.same(byDestination, [4, 3, 3, 3, 3], 'the destinations share the places')
  all.end(DELIVERED)
  await bench.settle()
  t.equal(bench.outcomes().length, 30)
})

t.test('R268: a destination with much that is due hides no other', async t => {
  const all = held()
  const destinationOf = ({ key }: { key: string }) => {
    return { name: key.split('/')[0] ?? '', closed: undefined }
  }
  const bench = createBench({ carry: all.carry, destinationOf })
  for (let id = 1; id <= 300; id += 1) await bench.queue(id, `busy.example/${id}`)
  await bench.clock.advance(1)
  await bench.queue(301, 'other.example/app')
  bench.start()
  await bench.settle()
  t.same(
    bench.tried.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 301],
  )
  all.end(DELIVERED)
  await bench.settle()
  t.equal(bench.outcomes().length, 301)
})

t.test(
  'R268: where all places are taken, the next is for the destination that has the fewest',
  async t => {
    const ends: (() => void)[] = []
    const destinationOf = ({ key }: { key: string }) => {
      return { name: key.split('/')[0] ?? '', closed: undefined }
    }
    const carry = () =>
      new Promise<typeof DELIVERED>(resolve => ends.push(() => resolve(DELIVERED)))
    const bench = createBench({ carry, destinationOf })
    let id = 0
    for (const destination of ['a', 'b', 'c', 'd'])
      for (let n = 0; n < 9; n += 1) await bench.queue(++id, `${destination}.example/${n}`)
    const outbox = bench.start()
    await bench.clock.advance(1)
    await bench.queue(99, 'late.example/app')
    outbox.nudge()
    await bench.settle()
    t.notOk(bench.tried.includes(99), 'sixteen are under way')
    ends[0]?.()
    await bench.settle()
    t.equal(bench.tried.at(-1), 99)
  },
)

t.test('a failure waits twice as long each time, from a second to five minutes', async t => {
  const bench = createBench({ carry: async () => FAILED, random: () => 0.999_999 })
  await bench.queue(1)
  bench.start()
  const waitsMs: number[] = []
  for (let n = 0; n < 12; n += 1) {
    await bench.settle()
    const [entry] = await bench.catalog.listDeliveries({ limit: 1 })
    const waitMs = (entry?.nextAtMs ?? 0) - bench.clock.nowMs()
    t.equal(entry?.attempts, n + 1)
    t.equal(entry?.reason, 'it failed')
    waitsMs.push(Math.round(waitMs / SECOND_MS))
    await bench.clock.advance(waitMs - 1)
    t.equal(bench.tried.length, n + 1, 'not before its time')
    await bench.clock.advance(1)
  }
  t.same(waitsMs, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
})

t.test('what failed together does not come back together', async t => {
  let n = 0
  const bench = createBench({ carry: async () => FAILED, random: () => (n++ % 4) / 4 })
  for (let id = 1; id <= 4; id += 1) await bench.queue(id, `key ${id}`)
  bench.start()
  await bench.settle()
  const entries = await bench.catalog.listDeliveries({ limit: 9 })
  const waitsMs = entries.map(({ nextAtMs }) => nextAtMs - bench.clock.nowMs())
  t.same(waitsMs, [500, 625, 750, 875])
})

t.test('R116: the time that the other side asks for is waited for, up to an hour', async t => {
  for (const [retryAfterMs, atLeastMs] of [
    [90 * SECOND_MS, 90 * SECOND_MS],
    [5 * HOUR_MS, HOUR_MS],
  ] as const) {
    const bench = createBench({ carry: async () => ({ ...FAILED, retryAfterMs }) })
    await bench.queue(1)
    bench.start()
    await bench.clock.advance(atLeastMs - 1)
    t.equal(bench.tried.length, 1)
    await bench.clock.advance(1)
    t.equal(bench.tried.length, 2)
  }
})

t.test(
  'R116: a parked entry steps aside for the later ones, and is not tried again by itself',
  async t => {
    const bench = createBench({ carry: async ({ id }) => (id === 1 ? PARKED : DELIVERED) })
    await bench.queue(1)
    await bench.queue(2)
    bench.start()
    await bench.clock.advance(24 * HOUR_MS)
    t.same(bench.outcomes(), ['1 parked', '2 delivered'])
    const [left] = await bench.catalog.listDeliveries({ limit: 9 })
    t.match(left, { id: 1, state: 'parked', attempts: 1, reason: 'never', inDoubt: false })
  },
)

t.test('what is refused is parked after six hours without a break', async t => {
  const refused: DeliveryOutcome = { ...FAILED, patienceMs: 6 * HOUR_MS }
  const bench = createBench({ carry: async () => refused })
  await bench.queue(1)
  bench.start()
  await bench.clock.advance(5 * HOUR_MS)
  bench.carry = async () => FAILED
  await bench.clock.advance(5 * MINUTE_MS)
  bench.carry = async () => refused
  await bench.clock.advance(5 * HOUR_MS)
  t.notOk(bench.outcomes().includes('1 parked'), 'another failure in between begins it anew')
  await bench.clock.advance(2 * HOUR_MS)
  t.equal(bench.outcomes().at(-1), '1 parked')
})

t.test('where nothing may be tried, entries wait without attempts, and say why', async t => {
  let closed: string | undefined = 'offline'
  const bench = createBench({ destinationOf: () => ({ name: 'destination', closed }) })
  await bench.queue(1)
  const outbox = bench.start()
  await bench.clock.advance(HOUR_MS)
  const [entry] = await bench.catalog.listDeliveries({ limit: 1 })
  t.match(entry, { attempts: 0, reason: 'offline' })
  t.same(bench.tried, [])
  closed = undefined
  outbox.nudge('destination')
  await bench.settle()
  t.same(bench.outcomes(), ['1 delivered'])
})

t.test('as soon as one is delivered, those that found nobody there are tried as well', async t => {
  const silent: DeliveryOutcome = { ...FAILED, isUnreachable: true }
  const bench = createBench({
    carry: async () => silent,
    destinationOf: () => ({ name: 'destination', closed: undefined }),
  })
  for (let id = 1; id <= 3; id += 1) await bench.queue(id, `key ${id}`)
  const outbox = bench.start()
  await bench.clock.advance(HOUR_MS)
  bench.carry = async () => DELIVERED
  await bench.queue(4, 'key 4')
  outbox.nudge()
  await bench.settle()
  t.same(
    bench.outcomes().slice(-4).sort(),
    ['1', '2', '3', '4'].map(id => `${id} delivered`),
  )
})

t.test(
  'R116: what was refused is tried once at once when its destination is configured anew',
  async t => {
    const bench = createBench({ destinationOf: () => ({ name: 'destination', closed: undefined }) })
    bench.carry = async () => ({ ...FAILED, patienceMs: 1_000_000, retryAfterMs: 600_000 })
    await bench.queue(1)
    const outbox = bench.start()
    await bench.clock.advance(10)
    t.same(bench.tried, [1])
    outbox.anew('another')
    await bench.settle()
    t.same(bench.tried, [1])
    outbox.anew('destination')
    await bench.settle()
    await bench.clock.advance(1_000)
    t.same(bench.tried, [1, 1])
  },
)

t.test(
  'a nudge for a destination tries at once what found nobody there, and nothing else',
  async t => {
    const bench = createBench({
      carry: async ({ id }) => ({ ...FAILED, isUnreachable: id === 1 }),
      destinationOf: ({ id }) => ({ name: id === 3 ? 'other' : 'destination', closed: undefined }),
    })
    for (let id = 1; id <= 3; id += 1) await bench.queue(id, `key ${id}`)
    const outbox = bench.start()
    await bench.settle()
    bench.tried.length = 0
    outbox.nudge('destination')
    await bench.settle()
    t.same(bench.tried, [1])
  },
)

t.test('what was seen before the end of its last attempt is not tried again for that', async t => {
  const attempt = held()
  const slow = Promise.withResolvers<void>()
  let looks = 0
  const bench = createBench({
    carry: attempt.carry,
    catalog: catalog =>
      around(catalog, {
        listDue: listDue => async page => {
          const found = await listDue(page)
          if (++looks === 2) await slow.promise
          return found
        },
      }),
  })
  await bench.queue(1)
  const outbox = bench.start()
  await bench.settle()
  outbox.nudge()
  await bench.settle()
  attempt.end(FAILED)
  await bench.settle()
  t.equal(looks, 2, 'it was seen as due, and has failed since')
  slow.resolve()
  await bench.settle()
  t.same(bench.tried, [1])
  await bench.clock.advance(SECOND_MS)
  t.same(bench.tried, [1, 1], 'but when it is due')
})

t.test('a clock that is set back delays nobody', async t => {
  const bench = createBench({ carry: async () => FAILED })
  await bench.queue(1)
  bench.clock.jump(-10 * HOUR_MS)
  const outbox = bench.start()
  await bench.settle()
  t.equal(bench.tried.length, 1, 'what is new does not wait')
  bench.clock.jump(-10 * HOUR_MS)
  outbox.nudge()
  await bench.settle()
  t.equal(bench.tried.length, 2, 'nobody waits longer than the longest wait')
})

t.test(
  'an end that cannot be recorded is told, and the entry is tried again after a pause',
  async t => {
    let fails = true
    const bench = createBench({
      catalog: catalog =>
        around(catalog, {
          removeDelivery: removeDelivery => async id => {
            if (fails) throw new StoreError('full', 'no space')
            return removeDelivery(id)
          },
        }),
    })
    await bench.queue(1)
    const outbox = bench.start()
    outbox.nudge()
    await bench.settle()
    outbox.nudge()
    await bench.settle()
    t.same(bench.tried, [1])
    t.match(bench.events, [{ kind: 'storage failed', failure: 'full' }])
    fails = false
    await bench.clock.advance(10 * SECOND_MS)
    t.same(bench.outcomes(), ['1 delivered'])
  },
)

t.test('a catalog that cannot be read is asked again after a pause', async t => {
  let fails = true
  const bench = createBench({
    catalog: catalog =>
      around(catalog, {
        listDue: listDue => async page => {
          if (fails) throw new StoreError('io', 'the disk failed')
          return listDue(page)
        },
      }),
  })
  await bench.queue(1)
  bench.start()
  await bench.clock.advance(9 * SECOND_MS)
  t.equal(bench.events.length, 1)
  fails = false
  await bench.clock.advance(SECOND_MS)
  t.same(bench.outcomes(), ['1 delivered'])
})

t.test('what no carrier foresaw is a failure that may pass, and shows in the queue', async t => {
  const bench = createBench({
    carry: async () => {
      throw new StoreError('io', 'a block cannot be read', { hint: 'look at the disk' })
    },
  })
  await bench.queue(1)
  bench.start()
  await bench.settle()
  t.match(bench.events, [
    {
      kind: 'delivery',
      outcome: 'retried',
      attempts: 1,
      reason: 'the disk here failed: a block cannot be read',
      hint: 'look at the disk',
    },
  ])
})

t.test('an event tells what became of an attempt, with its number and duration', async t => {
  const bench = createBench()
  bench.carry = async () => {
    await bench.clock.sleep(70)
    return bench.tried.length === 1 ? FAILED : DELIVERED
  }
  await bench.queue(7)
  bench.start()
  await bench.clock.advance(10 * SECOND_MS)
  const common = { kind: 'delivery', carrier: 'queue', id: 7, key: 'docker.io/a', durationMs: 70 }
  t.match(bench.events, [
    { ...common, outcome: 'retried', attempts: 1, reason: 'it failed' },
    { ...common, outcome: 'delivered', attempts: 2, reason: undefined },
  ])
})
