// Goal: what is renamed under one digest is renamed one after another, and nobody else waits.
// Method: steps that end when told.
import t from 'tap'
import { Turns } from '../../../src/async/turns.ts'
import { digestBy } from '../../kit/store-directory.ts'

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
