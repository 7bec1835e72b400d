// Goal: the queue before an upstream lets the small pass and starves nobody. Method: the queue
// alone, with a manual clock.
import t from 'tap'
import { Slots } from '../../../../src/registry/fill/slots.ts'
import { QueueError } from '../../../../src/registry/refusals/queue-error.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'

const never = new AbortController().signal
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

async function fullQueue() {
  const clock = createManualClock()
  const slots = new Slots(1, clock)
  const order: string[] = []
  await slots.take(1, never)
  const enter = (name: string, sizeBytes: number, signal = never) =>
    slots.take(sizeBytes, signal).then(() => void order.push(name))
  const give = async () => {
    slots.give()
    await turn()
  }
  return { clock, slots, order, enter, give }
}

t.test('the smallest goes first, and among equals the first', async t => {
  const { order, enter, give } = await fullQueue()
  void enter('large', 500)
  void enter('small', 10)
  void enter('unknown', Number.POSITIVE_INFINITY)
  void enter('as small', 10)
  for (let n = 0; n < 4; n += 1) await give()
  t.same(order, ['small', 'as small', 'large', 'unknown'])
})

t.test('a large one comes to its turn under small ones without end', async t => {
  const { clock, order, enter, give } = await fullQueue()
  void enter('large', 1_000_000)
  for (let second = 0; second < 8; second += 1) {
    void enter(`small ${second}`, 10)
    await clock.advance(1_000)
    await give()
  }
  t.ok(order.includes('large'), order.join(', '))
  t.equal(order[0], 'small 0', 'not before it has waited')
})

t.test('a small one passes also where all the others have grown old', async t => {
  const { clock, order, enter, give } = await fullQueue()
  for (const name of ['a', 'b', 'c', 'd']) void enter(name, 1_000_000)
  await clock.advance(60_000)
  void enter('config', 10)
  await give()
  await give()
  t.same(order, ['a', 'config'])
})

t.test('who leaves the queue takes no place, and time sends nobody away', async t => {
  const { clock, slots, order, enter, give } = await fullQueue()
  const leaving = new AbortController()
  const left = enter('left', 10, leaving.signal)
  void enter('stays', 20)
  await clock.advance(24 * 3_600_000)
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })
  await give()
  t.same(order, ['stays'])
  slots.give()
  t.notOk(slots.areTaken)
})

t.test('a queue that is too long is told at once', async t => {
  const { enter } = await fullQueue()
  for (let n = 0; n < 2_000; n += 1) void enter(`${n}`, 10)
  await t.rejects(enter('too many', 1), QueueError)
})

t.test('a place that is lent is called back for who waits, the youngest first', async t => {
  const slots = new Slots(2, createManualClock())
  const called: string[] = []
  slots.borrow(() => called.push('older'))
  slots.borrow(() => called.push('younger'))
  t.equal(
    slots.borrow(() => {}),
    undefined,
    'there is nothing left to lend',
  )
  let entered = 0
  void slots.take(1, never).then(() => (entered += 1))
  t.same(called, ['younger'])
  t.equal(entered, 0, 'the place is not back yet')
  slots.give()
  await turn()
  t.equal(entered, 1)
  void slots.take(1, never).then(() => (entered += 1))
  void slots.take(1, never).then(() => (entered += 1))
  t.same(called, ['younger', 'older'], 'each once')
})

t.test('a place that somebody came for is not called back', async t => {
  const slots = new Slots(1, createManualClock())
  const called: string[] = []
  const loan = slots.borrow(() => called.push('lent'))
  loan?.keep()
  void slots.take(1, never)
  t.same(called, [])
})

t.test('a place that is lent to the same group is left to it', async t => {
  const slots = new Slots(2, createManualClock())
  const called: string[] = []
  slots.borrow(() => called.push('of another'), 'other')
  slots.borrow(() => called.push('of the same'), 'app')
  void slots.take(1, never, 'app')
  void slots.take(1, never, 'app')
  t.same(called, ['of another'])
})

t.test('a place is one of those that several have together, and comes back there', async t => {
  const clock = createManualClock()
  const all = new Slots(2, clock)
  const [one, other] = [new Slots(2, clock, all), new Slots(2, clock, all)]
  await one.take(1, never)
  let called = 0
  const loan = other.borrow(() => (called += 1))
  t.ok(loan)
  t.ok(one.areTaken)
  t.equal(other.borrow(undefined), undefined)
  const order: string[] = []
  const leaving = new AbortController()
  const left = one.take(1, leaving.signal)
  t.equal(called, 0)
  await turn()
  t.equal(called, 1, 'what is lent is called back, also by the other')
  leaving.abort(new Error('left'))
  await t.rejects(left, { message: 'left' })
  const later = one.take(1, never).then(() => order.push('later'))
  await turn()
  t.same(order, [])
  loan?.keep()
  other.give()
  await later
  one.give()
  one.give()
  t.notOk(other.areTaken)
  t.notOk(one.areTaken)
})
