// Goal: a request whose answer was never seen may arrive late, also after the process that sent it;
// nothing overtakes it before it cannot any more. Method: the runner with a carrier whose requests
// end as the test says, processes that end in the middle, a clock moved by hand.
import t from 'tap'
import type { Attempt } from '../../../src/delivery/carrier.ts'
import { createBench, DELIVERED, FAILED, PARKED } from '../../kit/worlds/outbox-bench.ts'

const SECOND_MS = 1_000
const SETTLING_MS = 180 * SECOND_MS
const HOUR_MS = 3_600 * SECOND_MS

const never = () => new Promise<never>(() => {})
const cut = async (): Promise<never> => {
  throw new Error('the connection broke')
}
const notAnswered = () => false

/** Sends something that gets no answer. */
const unanswered = (attempt: Attempt) => attempt.send(cut, notAnswered).catch(() => FAILED)

t.test('R116: that a request is under way is durable before it is sent', async t => {
  const bench = createBench()
  let isMarked: boolean | undefined
  bench.carry = async (entry, attempt) => {
    return attempt.send(async () => {
      isMarked = (await bench.catalog.findDelivery(entry.id))?.inDoubt
      return DELIVERED
    }, notAnswered)
  }
  await bench.queue(1)
  bench.start()
  await bench.settle()
  t.equal(isMarked, true)
  t.same(bench.outcomes(), ['1 delivered'], 'an answer ends the doubt')
})

t.test('a request that cannot be marked is not sent', async t => {
  const bench = createBench({
    catalog: catalog =>
      Object.assign(catalog, {
        changeDelivery: async () => {
          throw new Error('the disk is full')
        },
      }),
  })
  let isSent = false
  bench.carry = (_entry, attempt) => {
    return attempt.send(async () => {
      isSent = true
      return DELIVERED
    }, notAnswered)
  }
  await bench.queue(1)
  bench.start()
  await bench.settle()
  t.notOk(isSent)
})

t.test(
  'without an answer the entry goes on being tried, and stays until nothing can arrive any more',
  async t => {
    const bench = createBench()
    bench.carry = async (_entry, attempt) =>
      bench.tried.length === 1 ? unanswered(attempt) : DELIVERED
    await bench.queue(1)
    await bench.queue(2)
    bench.start()
    await bench.clock.advance(10 * SECOND_MS)
    t.same(bench.tried, [1, 1])
    t.match(await bench.catalog.findDelivery(1), { inDoubt: true, reason: /can no longer arrive/ })
    await bench.clock.advance(SETTLING_MS - 10 * SECOND_MS - 1)
    t.same(bench.tried, [1, 1], 'the next of the key waits')
    await bench.clock.advance(1)
    t.same(bench.tried, [1, 1, 1, 2])
    t.same(bench.outcomes(), ['1 retried', '1 delivered', '2 delivered'])
  },
)

t.test('an answer, even a bad one, leaves no doubt', async t => {
  const bench = createBench()
  bench.carry = async (_entry, attempt) => {
    return bench.tried.length === 1 ? attempt.send(cut, () => true).catch(() => FAILED) : DELIVERED
  }
  await bench.queue(1)
  bench.start()
  await bench.clock.advance(SECOND_MS)
  t.same(bench.outcomes(), ['1 retried', '1 delivered'])
})

t.test('R116: what a killed process had under way is waited for by the next one', async t => {
  const bench = createBench()
  bench.carry = (_entry, attempt) => attempt.send(never, notAnswered)
  await bench.queue(1)
  await bench.queue(2)
  bench.start()
  await bench.settle()
  // The first outbox is never heard of again.
  bench.carry = async () => DELIVERED
  bench.start()
  await bench.clock.advance(SETTLING_MS - 1)
  t.same(bench.outcomes(), [])
  await bench.clock.advance(1)
  t.same(bench.outcomes(), ['1 delivered', '2 delivered'])
})

t.test(
  'the wait begins anew with each process, since nobody knows when the request was sent',
  async t => {
    const bench = createBench()
    bench.carry = (_entry, attempt) => attempt.send(never, notAnswered)
    await bench.queue(1)
    bench.start()
    await bench.settle()
    bench.carry = async () => DELIVERED
    const second = bench.start()
    await bench.clock.advance(SETTLING_MS - 1)
    await second.stop()
    bench.start()
    await bench.clock.advance(SETTLING_MS - 1)
    t.same(bench.outcomes(), [])
    await bench.clock.advance(1)
    t.same(bench.outcomes(), ['1 delivered'])
  },
)

t.test('an entry in doubt is not parked before it is settled either', async t => {
  const bench = createBench()
  bench.carry = async ({ id }, attempt) => {
    if (id === 2) return DELIVERED
    return bench.tried.length === 1 ? unanswered(attempt) : PARKED
  }
  await bench.queue(1)
  await bench.queue(2)
  bench.start()
  await bench.clock.advance(SETTLING_MS - 1)
  t.match(await bench.catalog.findDelivery(1), { state: 'waiting', reason: 'never', inDoubt: true })
  t.notOk(bench.tried.includes(2))
  await bench.clock.advance(1)
  t.same(bench.outcomes(), ['1 retried', '1 parked', '2 delivered'])
  t.match(await bench.catalog.findDelivery(1), { state: 'parked', inDoubt: false })
})

t.test('what was dropped while its attempt is under way is not sent any more', async t => {
  const bench = createBench()
  let isSent = false
  bench.carry = async ({ id }, attempt) => {
    if (id === 2) return DELIVERED
    await bench.catalog.removeDelivery(id)
    return attempt.send(async () => {
      isSent = true
      return DELIVERED
    }, notAnswered)
  }
  await bench.queue(1)
  await bench.queue(2)
  bench.start()
  await bench.settle()
  t.notOk(isSent)
  t.same(bench.outcomes(), ['2 delivered'], 'and it holds up nothing')
})

t.test(
  'what a delete left of an entry while its attempt is under way is all that is sent',
  async t => {
    const bench = createBench()
    const sent: string[] = []
    bench.carry = async (entry, attempt) => {
      const { id, state, attempts, nextAtMs, reason, payload } = entry
      if (payload === '') {
        const change = { state, attempts, nextAtMs, reason, payload: 'the rest' }
        await bench.catalog.changeDelivery(id, change)
      }
      return attempt.send(async () => {
        sent.push(payload)
        return DELIVERED
      }, notAnswered)
    }
    await bench.queue(1)
    bench.start()
    await bench.clock.advance(SETTLING_MS)
    t.same(sent.slice(0, 1), ['the rest'])
    t.same(bench.outcomes(), ['1 delivered'])
  },
)

t.test('what an operator drops while in doubt is waited for all the same', async t => {
  const bench = createBench()
  bench.carry = async ({ id }, attempt) => (id === 1 ? unanswered(attempt) : DELIVERED)
  await bench.queue(1)
  await bench.queue(2)
  const outbox = bench.start()
  await bench.settle()
  await bench.catalog.removeDelivery(1)
  outbox.nudge()
  await bench.clock.advance(SETTLING_MS - 1)
  t.same(bench.outcomes(), ['1 retried'])
  await bench.clock.advance(1)
  t.same(bench.outcomes(), ['1 retried', '2 delivered'])
})

t.test('doubt about one key holds up no other', async t => {
  const bench = createBench()
  bench.carry = async ({ id }, attempt) => (id === 1 ? unanswered(attempt) : DELIVERED)
  await bench.queue(1, 'docker.io/a')
  await bench.queue(2, 'docker.io/b')
  bench.start()
  await bench.settle()
  t.same(bench.outcomes().sort(), ['1 retried', '2 delivered'])
})

t.test('a stop waits a moment for what is under way, and records it', async t => {
  const bench = createBench()
  bench.carry = async () => {
    await bench.clock.sleep(SECOND_MS)
    return DELIVERED
  }
  await bench.queue(1)
  await bench.queue(2)
  const outbox = bench.start()
  await bench.settle()
  const stopped = outbox.stop()
  await bench.clock.advance(SECOND_MS)
  await stopped
  t.same(bench.outcomes(), ['1 delivered'])
  t.same(bench.tried, [1], 'and begins nothing new')
  t.equal(bench.clock.sleepers, 0)
})

t.test('a stop cuts what takes longer; the entry stays as it was, in doubt', async t => {
  const bench = createBench()
  bench.carry = (_entry, attempt) =>
    attempt.send(
      () =>
        new Promise((_, reject) => {
          attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason))
        }),
      notAnswered,
    )
  await bench.queue(1)
  const outbox = bench.start()
  await bench.settle()
  const stopped = outbox.stop()
  await bench.clock.advance(2 * SECOND_MS)
  await stopped
  t.same(bench.outcomes(), [])
  t.match(await bench.catalog.findDelivery(1), { state: 'waiting', attempts: 0, inDoubt: true })
  await bench.clock.advance(HOUR_MS)
  t.same(bench.tried, [1])
})

t.test('a stop that comes while nothing is under way is done at once', async t => {
  const bench = createBench()
  const outbox = bench.start()
  await outbox.stop()
  await outbox.stop()
  t.equal(bench.clock.sleepers, 0)
})
