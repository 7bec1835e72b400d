// Goal: the memory that bodies take is bounded, and who is slow or large keeps nobody else out.
// Method: bodies held open by the test.
import t from 'tap'
import {
  createMemoryBudget,
  type Held,
  type MemoryBounds,
} from '../../../src/http/body/memory-budget.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

/** Where no body is large. */
const BOUNDS = { maxBytes: 100, smallBytes: 100, largeMaxBytes: 100 }

/** Bodies in one budget, by default of 100 bytes; who was given up, by name. */
function open(bounds: MemoryBounds = BOUNDS) {
  const memory = createMemoryBudget(bounds)
  const givenUp: string[] = []
  const over = Promise.withResolvers<void>()
  const running: Promise<void>[] = []
  const begin = (name: string) => {
    let held: Held | undefined
    const work = (given: Held) => {
      held = given
      return over.promise
    }
    running.push(memory.hold(() => givenUp.push(name), work))
    if (held === undefined) throw new TypeError('the work was not begun')
    return held
  }
  const end = async () => {
    over.resolve()
    await Promise.all(running)
  }
  return { memory, givenUp, begin, end }
}

t.test('R274: the largest body that still comes makes room, once', async t => {
  const { givenUp, begin, end } = open()
  const [slow, other, small] = [begin('slow'), begin('other'), begin('small')]
  slow.add(60)
  other.add(40)
  small.add(1)
  t.same(givenUp, ['slow'])
  t.throws(() => slow.add(1), RegistryError, 'and is told so')
  small.add(59)
  t.same(givenUp, ['slow'], 'its room is there at once')
  await end()
})

t.test('R274: a body that is whole makes no room, and what ended takes none', async t => {
  const { memory, givenUp, begin, end } = open()
  const [whole, small] = [begin('whole'), begin('small')]
  whole.add(100)
  whole.whole()
  t.throws(() => small.add(1), RegistryError)
  t.same(givenUp, ['small'])
  await end()
  await t.rejects(
    memory.hold(
      () => {},
      async held => {
        held.add(100)
        throw new TypeError('of the work')
      },
    ),
    TypeError,
  )
  await memory.hold(
    () => t.fail('there is no room'),
    async held => held.add(100),
  )
})

t.test('R274: large bodies that are whole leave room for small ones', async t => {
  const { givenUp, begin, end } = open({ maxBytes: 100, smallBytes: 10, largeMaxBytes: 75 })
  const [waiting, large, small, other] = ['waiting', 'large', 'small', 'other'].map(begin)
  waiting?.add(70)
  waiting?.whole()
  large?.add(5)
  t.same(givenUp, [], 'is not large yet')
  t.throws(() => large?.add(6), RegistryError)
  t.same(givenUp, ['large'])
  for (const each of [small, other]) each?.add(10)
  t.same(givenUp, ['large'], 'and no small one')
  await end()
})

t.test('R274: what a large body held can be held again', async t => {
  const { memory } = open({ maxBytes: 100, smallBytes: 10, largeMaxBytes: 75 })
  for (let times = 0; times < 2; times += 1) {
    await memory.hold(
      () => t.fail('there is no room'),
      async held => {
        for (let pieces = 0; pieces < 15; pieces += 1) held.add(5)
      },
    )
  }
})
