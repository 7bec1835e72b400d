// Goal: requests at one upstream are bounded, every fill has one, and what is left is shared.
// Method: claims by hand.
import t from 'tap'
import { type Claim, Lines } from '../../../src/registry/fill/lines.ts'

const never = new AbortController().signal
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

function claim(sizeBytes = 1, isUnasked = false): Claim & { woken: number; wantsMoreNow: boolean } {
  const made = {
    sizeBytes,
    isUnasked: () => isUnasked,
    wantsMoreNow: true,
    wantsMore: () => made.wantsMoreNow,
    woken: 0,
    wake: () => void (made.woken += 1),
  }
  return made
}

t.test('a fill has its first line at once, and more only while one stays free', async t => {
  const lines = new Lines(4)
  const only = claim()
  await lines.enter(only, never)
  t.same([lines.more(only), lines.more(only), lines.more(only)], [true, true, false])
  t.equal(lines.taken, 3)
  lines.give(only)
  t.equal(lines.taken, 2)
  t.ok(only.woken > 0, 'whoever was refused is told')
  lines.leave(only)
  t.equal(lines.taken, 0)
})

t.test(
  'who waits for a first line gets the next one that comes back, the smallest first',
  async t => {
    const lines = new Lines(2)
    const [wide, large, small] = [claim(), claim(100), claim(10)]
    await lines.enter(wide, never)
    t.ok(lines.more(wide))
    const order: string[] = []
    void lines.enter(large, never).then(() => order.push('large'))
    void lines.enter(small, never).then(() => order.push('small'))
    lines.give(wide)
    await turn()
    t.same(order, ['small'])
    t.notOk(lines.more(wide), 'no more while somebody has none')
    lines.leave(wide)
    await turn()
    t.same(order, ['small', 'large'])
  },
)

t.test('fills that could all use more share alike', async t => {
  const lines = new Lines(9)
  const [first, second] = [claim(), claim()]
  await lines.enter(first, never)
  while (lines.more(first)) {}
  t.equal(lines.taken, 8)
  await lines.enter(second, never)
  t.notOk(lines.more(second), 'nothing is free')
  for (let round = 0; round < 8; round += 1) {
    lines.give(first)
    lines.more(first)
    lines.more(second)
  }
  t.equal(lines.taken, 8)
  lines.leave(second)
  t.equal(lines.taken, 4, 'each had about half')
})

t.test('what nobody waits for comes last, and has no more than one line beside others', async t => {
  const lines = new Lines(1)
  const running = claim()
  await lines.enter(running, never)
  const order: string[] = []
  void lines.enter(claim(1, true), never).then(() => order.push('unasked'))
  const asked = claim(1_000)
  void lines.enter(asked, never).then(() => order.push('asked'))
  lines.leave(running)
  await turn()
  t.same(order, ['asked'])
  const many = new Lines(16)
  const ahead = claim(1, true)
  await many.enter(ahead, never)
  t.ok(many.more(ahead), 'alone it may')
  const other = claim()
  await many.enter(other, never)
  t.notOk(many.more(ahead))
  other.wantsMoreNow = false
  t.ok(many.more(ahead), 'beside one that has asked for all of its blob, it may again')
})

t.test('who leaves the queue takes no line', async t => {
  const lines = new Lines(1)
  const running = claim()
  await lines.enter(running, never)
  const leaves = new AbortController()
  const gone = lines.enter(claim(), leaves.signal)
  leaves.abort(new Error('gone'))
  await t.rejects(gone, { message: 'gone' })
  lines.leave(running)
  t.equal(lines.taken, 0)
})
