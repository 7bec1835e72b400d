// Goal: however many wrong logins come, and from however many addresses, few lines are written, and
// they tell how many there were. Method: the function with a time of the test's own.
import t from 'tap'
import { QUIET_MS } from '../../../src/observe/once-a-minute.ts'
import { ADDRESSES_MAX, createRefusedLogins } from '../../../src/observe/refused-logins.ts'

t.test('R827: each address has a line a minute of each kind, with what was held', t => {
  let nowMs = 5
  const due = createRefusedLogins(() => nowMs)
  t.equal(due('refused', 'a'), 0)
  t.equal(due('refused', 'a'), undefined)
  t.equal(due('refused', 'b'), 0)
  t.equal(due('limited', 'a'), 0)
  nowMs += QUIET_MS - 1
  t.equal(due('refused', 'a'), undefined)
  nowMs += 1
  t.equal(due('refused', 'a'), 2)
  t.equal(due('refused', 'a'), undefined)
  t.end()
})

t.test('R827: from ever other addresses there are no more lines, and none is lost count of', t => {
  let nowMs = 0
  const due = createRefusedLogins(() => nowMs)
  const told: number[] = []
  const count = 20 * ADDRESSES_MAX
  for (let at = 0; at < count; at += 1) {
    const held = due('refused', `2001:db8::${at}`)
    if (held !== undefined) told.push(held)
  }
  t.equal(told.length, ADDRESSES_MAX + 1)
  nowMs += QUIET_MS
  for (let at = 0; at <= ADDRESSES_MAX; at += 1) {
    const held = due('refused', `2001:db9::${at}`)
    if (held !== undefined) told.push(held)
  }
  const heldInAll = told.reduce((sum, held) => sum + held, 0)
  t.equal(told.length + heldInAll, count + ADDRESSES_MAX + 1)
  t.end()
})
