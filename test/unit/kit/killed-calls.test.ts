// Goal: a process is killed before each call of a run in some days, and before one of each kind on
// each of them. Method: a run as the shim tells it, on days one after the other.
import t from 'tap'
import { killedCalls } from '../../kit/worlds/killed-calls.ts'

const DAY_MS = 86_400_000
const RUN = 'WWSosruWWSuuuosrW'
const on = (day: number, environment = {}) => killedCalls(RUN, environment, day * DAY_MS).calls

t.test('each call has its day', async t => {
  const all = Array.from(RUN, (_, at) => at + 1)
  const killed = new Set([0, 1, 2, 3].flatMap(day => on(20_000 + day)))
  t.same(
    [...killed].sort((a, b) => a - b),
    all,
  )
  t.same(on(1, { EVERY: '1' }), all)
  t.same(on(1, { OFFSET: '2' }), on(2))
})

t.test('each kind is there each day, and most of the others have another one', async t => {
  for (let day = 0; day < 8; day += 1) {
    const kinds = new Set(on(day).map(call => RUN[call - 1]))
    t.same(kinds, new Set(RUN))
    t.ok(on(day).length <= RUN.length / 4 + 4, `${on(day).length}`)
  }
})
