// Goal: what is renamed under one digest is renamed one after another, and nobody else waits.
// Method: steps that end when told.
import t from 'tap'
import { Turns } from '../../../src/async/turns.ts'
import { digestBy } from '../../kit/disk/store-directory.ts'

const DIGEST = digestBy('sha256', 'one')
const OTHER = digestBy('sha256', 'other')

t.test('a step waits for the step before it of the same digest, however that ends', async t => {
  const turns = new Turns()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = turns.take(DIGEST, async () => {
    await gate.promise
    order.push('first')
    throw new Error('first fails')
  })
  const second = turns.take(DIGEST, async () => {
    order.push('second')
    return 2
  })
  t.equal(await turns.take(OTHER, async () => 'at once'), 'at once')
  t.same(order, [])
  gate.resolve()
  await t.rejects(first, { message: 'first fails' })
  t.equal(await second, 2)
  t.same(order, ['first', 'second'])
})

t.test('many that are free have their turns at once, and each other one its own', async t => {
  const turns = new Turns()
  const [third, fourth] = [digestBy('sha256', 'third'), digestBy('sha256', 'fourth')]
  const order: string[] = []
  const [ends, goes] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const first = turns.take(DIGEST, () => ends.promise)
  const many = turns.takeMany([OTHER, DIGEST, third], async keys => {
    order.push(`${keys.length} of them`)
    if (keys.length > 1) await goes.promise
  })
  const behind = turns.take(OTHER, async () => void order.push('behind'))
  await turns.take(fourth, async () => void order.push('elsewhere'))
  t.same(order, ['2 of them', 'elsewhere'], 'whose turn somebody has holds up none of them')
  ends.resolve()
  await first
  await turns.take(DIGEST, async () => void order.push('after'))
  t.same(order.slice(2), ['1 of them', 'after'])
  goes.resolve()
  await Promise.all([many, behind])
  t.equal(order.at(-1), 'behind')
})

t.test('of many that fail the first is told, when all have ended', async t => {
  const turns = new Turns()
  const ends = Promise.withResolvers<void>()
  void turns.take(DIGEST, () => ends.promise)
  const order: string[] = []
  const many = turns.takeMany([DIGEST, OTHER], async ([key]) => {
    order.push(key === OTHER ? 'other' : 'one')
    throw new Error(`${key === OTHER ? 'other' : 'one'} fails`)
  })
  const failed = t.rejects(many, { message: /fails/ }).then(() => order.push('told'))
  await turns.take(OTHER, async () => {})
  t.same(order, ['other'])
  ends.resolve()
  await failed
  t.same(order, ['other', 'one', 'told'])
  t.equal(await turns.take(OTHER, async () => 'free again'), 'free again')
})
