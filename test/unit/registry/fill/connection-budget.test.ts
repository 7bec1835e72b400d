// Goal: requests at one upstream are bounded, every fill has one, and what is left is shared.
// Method: claims by hand.
import t from 'tap'
import {
  type ConnectionClaim,
  ConnectionBudget,
} from '../../../../src/registry/fill/connection-budget.ts'

const never = new AbortController().signal
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

function claim(
  sizeBytes = 1,
  isSpeculative = false,
): ConnectionClaim & { woken: number; wantsMoreNow: boolean } {
  const made = {
    sizeBytes,
    isSpeculative: () => isSpeculative,
    wantsMoreNow: true,
    wantsMore: () => made.wantsMoreNow,
    woken: 0,
    wake: () => void (made.woken += 1),
  }
  return made
}

t.test('a fill has its first connection at once, and more only while one stays free', async t => {
  const connections = new ConnectionBudget(4)
  const only = claim()
  await connections.acquire(only, never)
  t.same(
    [
      connections.tryAcquireMore(only),
      connections.tryAcquireMore(only),
      connections.tryAcquireMore(only),
    ],
    [true, true, false],
  )
  t.equal(connections.inUse, 3)
  connections.release(only)
  t.equal(connections.inUse, 2)
  t.ok(only.woken > 0, 'whoever was refused is told')
  connections.releaseAll(only)
  t.equal(connections.inUse, 0)
})

t.test(
  'who waits for a first connection gets the next one that comes back, the smallest first',
  async t => {
    const connections = new ConnectionBudget(2)
    const [wide, large, small] = [claim(), claim(100), claim(10)]
    await connections.acquire(wide, never)
    t.ok(connections.tryAcquireMore(wide))
    const order: string[] = []
    void connections.acquire(large, never).then(() => order.push('large'))
    void connections.acquire(small, never).then(() => order.push('small'))
    connections.release(wide)
    await turn()
    t.same(order, ['small'])
    t.notOk(connections.tryAcquireMore(wide), 'no more while somebody has none')
    connections.releaseAll(wide)
    await turn()
    t.same(order, ['small', 'large'])
  },
)

t.test('fills that could all use more share alike', async t => {
  const connections = new ConnectionBudget(9)
  const [first, second] = [claim(), claim()]
  await connections.acquire(first, never)
  while (connections.tryAcquireMore(first)) {}
  t.equal(connections.inUse, 8)
  await connections.acquire(second, never)
  t.notOk(connections.tryAcquireMore(second), 'nothing is free')
  for (let round = 0; round < 8; round += 1) {
    connections.release(first)
    connections.tryAcquireMore(first)
    connections.tryAcquireMore(second)
  }
  t.equal(connections.inUse, 8)
  connections.releaseAll(second)
  t.equal(connections.inUse, 4, 'each had about half')
})

t.test(
  'what nobody waits for comes last, and has no more than one connection beside others',
  async t => {
    const connections = new ConnectionBudget(1)
    const running = claim()
    await connections.acquire(running, never)
    const order: string[] = []
    void connections.acquire(claim(1, true), never).then(() => order.push('speculative'))
    const asked = claim(1_000)
    void connections.acquire(asked, never).then(() => order.push('asked'))
    connections.releaseAll(running)
    await turn()
    t.same(order, ['asked'])
    const many = new ConnectionBudget(16)
    const ahead = claim(1, true)
    await many.acquire(ahead, never)
    t.ok(many.tryAcquireMore(ahead), 'alone it may')
    const other = claim()
    await many.acquire(other, never)
    t.notOk(many.tryAcquireMore(ahead))
    other.wantsMoreNow = false
    t.ok(many.tryAcquireMore(ahead), 'beside one that has asked for all of its blob, it may again')
  },
)

t.test('who leaves the queue takes no connection', async t => {
  const connections = new ConnectionBudget(1)
  const running = claim()
  await connections.acquire(running, never)
  const leaves = new AbortController()
  const gone = connections.acquire(claim(), leaves.signal)
  leaves.abort(new Error('gone'))
  await t.rejects(gone, { message: 'gone' })
  connections.releaseAll(running)
  t.equal(connections.inUse, 0)
})
