// Goal: the memory that bodies take is bounded, and who is slow or large keeps nobody else out. Method: bodies held open by the test.
import t from 'tap'
import { createMemoryBudget, type Held } from '../../../src/http/memory-budget.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

/** Bodies in one budget of 100 bytes; who was given up, by name. */
function open() {
  const memory = createMemoryBudget(100)
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

// issue 17, 25
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
