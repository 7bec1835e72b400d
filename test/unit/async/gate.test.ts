// Goal: no more go through than there is room for, in the order in which they came, whoever fails.
// Method: work that ends when told.
import t from 'tap'
import { Gate } from '../../../src/async/gate.ts'
import { settle } from '../../kit/settle.ts'

t.test('so many are under way at once, and the others follow in order', async t => {
  const gate = new Gate(2)
  const ends = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const begun: number[] = []
  const passed = ends.map(({ promise }, at) =>
    gate.pass(async () => {
      begun.push(at)
      await promise
    }),
  )
  await settle()
  t.strictSame(begun, [0, 1])
  const failure = new Error('it failed')
  ends[1]?.reject(failure)
  await t.rejects(passed[1] ?? Promise.resolve(), failure)
  await settle()
  t.strictSame(begun, [0, 1, 2])
  for (const end of ends) end.resolve()
  await Promise.all(passed.filter((_, at) => at !== 1))
  t.strictSame(begun, [0, 1, 2, 3])
  t.equal(await gate.pass(async () => 'free again'), 'free again')
})
