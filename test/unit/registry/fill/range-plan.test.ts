// Goal: ranges add up to the blob, each byte once, whatever comes back. Method: random histories
// against a map of bytes.
import fc from 'fast-check'
import t from 'tap'
import { RangePlan } from '../../../../src/registry/fill/range-plan.ts'
import { seeding } from '../../../kit/arbitraries.ts'

t.test('every byte is given out once, and again only after it came back', async t => {
  const step = fc.record({ lengthBytes: fc.integer({ min: 1, max: 40 }), broughtShare: fc.nat(10) })
  const histories = fc.record({
    sizeBytes: fc.integer({ min: 1, max: 300 }),
    share: fc.nat(10),
    steps: fc.array(step, { maxLength: 40 }),
  })
  const holds = fc.property(histories, ({ sizeBytes, share, steps }) => {
    const first = Math.floor((sizeBytes * share) / 11)
    const plan = new RangePlan(first, sizeBytes)
    const here = new Set<number>()
    const fetch = (lengthBytes: number, broughtShare: number): boolean => {
      const range = plan.next(lengthBytes, Infinity)
      if (range === undefined) return false
      if (range.last - range.first + 1 > lengthBytes || range.last >= sizeBytes)
        throw new Error('too long')
      const brought = Math.ceil(((range.last - range.first + 1) * broughtShare) / 10)
      for (let at = range.first; at < range.first + brought; at += 1) {
        if (here.has(at) || at < first) throw new Error(`${at} twice`)
        here.add(at)
      }
      plan.giveBack({ first: range.first + brought, last: range.last })
      return true
    }
    for (const { lengthBytes, broughtShare } of steps) fetch(lengthBytes, broughtShare)
    if (plan.leftBytes !== sizeBytes - first - here.size) throw new Error('left')
    while (fetch(17, 10)) {}
    return here.size === sizeBytes - first && plan.leftBytes === 0
  })
  t.doesNotThrow(() => fc.assert(holds, { ...seeding(), numRuns: 300 }))
})

t.test('nothing is given out that begins beyond the limit; the lowest comes first', async t => {
  const plan = new RangePlan(0, 100)
  t.same(plan.next(10, 20), { first: 0, last: 9 })
  t.same(plan.next(30, 20), { first: 10, last: 39 })
  t.equal(plan.next(10, 20), undefined)
  plan.giveBack({ first: 15, last: 39 })
  plan.giveBack({ first: 4, last: 9 })
  plan.giveBack({ first: 9, last: 8 })
  t.same(plan.next(10, 20), { first: 4, last: 9 })
  t.same(plan.next(10, 20), { first: 15, last: 24 })
  t.equal(plan.next(10, 20), undefined)
  t.same(plan.next(100, 100), { first: 25, last: 39 })
  t.same(plan.next(100, 100), { first: 40, last: 99 })
})
