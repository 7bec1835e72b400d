// Goal: many things are worked on a few at a time, each once, and one that fails stops the others
// that have not begun. Method: work that ends when told.
import t from 'tap'
import { eachFew } from '../../../src/async/few-at-once.ts'

t.test('the next is begun as soon as any has ended, and never more at once', async t => {
  const ends: (() => void)[] = []
  const begun: number[] = []
  let running = 0
  let most = 0
  const all = eachFew([1, 2, 3, 4, 5], 2, async item => {
    begun.push(item)
    running += 1
    most = Math.max(most, running)
    await new Promise<void>(resolve => ends.push(resolve))
    running -= 1
  })
  await new Promise(setImmediate)
  t.same(begun, [1, 2])
  // The second ends first.
  ends[1]?.()
  await new Promise(setImmediate)
  t.same(begun, [1, 2, 3])
  while (running > 0) {
    for (const end of ends.splice(0)) end()
    await new Promise(setImmediate)
  }
  await all
  t.same(begun, [1, 2, 3, 4, 5], 'each once')
  t.equal(most, 2)
})

t.test(
  'the first failure is thrown once all that run have ended, and no more are begun',
  async t => {
    const begun: string[] = []
    const slow = Promise.withResolvers<void>()
    const work = async (item: string) => {
      begun.push(item)
      if (item === 'fails') throw new Error('the disk is gone')
      await slow.promise
    }
    let isOver = false
    const all = eachFew(['slow', 'fails', 'next', 'last'], 2, work).finally(() => {
      isOver = true
    })
    all.catch(() => {})
    await new Promise(setImmediate)
    t.equal(isOver, false, 'one runs still')
    slow.resolve()
    await t.rejects(all, { message: 'the disk is gone' })
    t.notOk(begun.includes('last'))
  },
)

t.test('a list that fails half-way is told once all that run have ended', async t => {
  async function* list() {
    yield 1
    yield 2
    throw new Error('the directory cannot be read')
  }
  const slow = Promise.withResolvers<void>()
  let isOver = false
  const all = eachFew(list(), 4, () => slow.promise).finally(() => {
    isOver = true
  })
  all.catch(() => {})
  await new Promise(setImmediate)
  t.equal(isOver, false, 'both run still')
  slow.resolve()
  await t.rejects(all, { message: 'the directory cannot be read' })
})
