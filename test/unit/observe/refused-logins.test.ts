// Goal: however many wrong logins come, and from however many addresses, few lines are written, and
// they tell how many there were. Method: the function with a time of the test's own.
import t from 'tap'
import { QUIET_MS } from '../../../src/observe/once-a-minute.ts'
import { SITES_MAX, createRefusedLogins } from '../../../src/observe/refused-logins.ts'

t.test('R827: each site has a line a minute of each kind, with what was held', t => {
  let nowMs = 5
  const due = createRefusedLogins(() => nowMs)
  t.equal(due('refused', '192.0.2.1'), 0)
  t.equal(due('refused', '192.0.2.1'), undefined)
  t.equal(due('refused', '192.0.2.2'), 0)
  t.equal(due('limited', '192.0.2.1'), 0)
  nowMs += QUIET_MS - 1
  t.equal(due('refused', '192.0.2.1'), undefined)
  nowMs += 1
  t.equal(due('refused', '192.0.2.1'), 2)
  t.equal(due('refused', '192.0.2.1'), undefined)
  t.end()
})

t.test('R827: from ever other sites there are no more lines, and none is lost count of', t => {
  let nowMs = 0
  const due = createRefusedLogins(() => nowMs)
  const told: number[] = []
  const count = 20 * SITES_MAX
  for (let at = 0; at < count; at += 1) {
    const held = due('refused', `2001:db8:0:${at.toString(16)}::1`)
    if (held !== undefined) told.push(held)
  }
  t.equal(told.length, SITES_MAX + 1)
  nowMs += QUIET_MS
  for (let at = 0; at <= SITES_MAX; at += 1) {
    const held = due('refused', `2001:db9:0:${at.toString(16)}::1`)
    if (held !== undefined) told.push(held)
  }
  const heldInAll = told.reduce((sum, held) => sum + held, 0)
  t.equal(told.length + heldInAll, count + SITES_MAX + 1)
  t.end()
})

t.test('R793: who has a whole /64 of IPv6 has one line a minute', t => {
  const due = createRefusedLogins(() => 0)
  t.equal(due('refused', '2001:db8::1'), 0)
  t.equal(due('refused', '2001:db8::ffff:1'), undefined)
  t.equal(due('refused', '2001:db8:0:0:8000::'), undefined)
  t.equal(due('refused', '2001:db8:0:1::1'), 0, 'its neighbour')
  t.equal(due('refused', '::ffff:192.0.2.1'), 0)
  t.equal(due('refused', '192.0.2.1'), undefined)
  t.equal(due('refused', '192.0.2.2'), 0)
  t.end()
})
