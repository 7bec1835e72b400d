// Goal: a time limit ends what it is for, the caller's signal too, and neither leaves anything
// behind. Method: virtual time.
import { getEventListeners } from 'node:events'
import t from 'tap'
import { startDeadline } from '../../../src/upstream/connect/deadline.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

t.test('R149: at its limit it aborts with an outage', async t => {
  const clock = createManualClock()
  const deadline = startDeadline(clock, 1_000)
  await clock.advance(999)
  t.equal(deadline.leftMs(), 1)
  t.notOk(deadline.signal.aborted)
  await clock.advance(1)
  t.match(deadline.signal.reason, { failure: 'unavailable' })
})

t.test("the caller's reason is passed on as it is, also when it came before", async t => {
  const reason = new Error('left')
  for (const early of [true, false]) {
    const caller = new AbortController()
    if (early) caller.abort(reason)
    const deadline = startDeadline(createManualClock(), 1_000, caller.signal)
    caller.abort(reason)
    t.equal(deadline.signal.reason, reason)
  }
})

t.test('lifted, only the caller counts; ended, nobody does, and nothing is left', async t => {
  const clock = createManualClock()
  const caller = new AbortController()
  const deadline = startDeadline(clock, 1_000, caller.signal)
  deadline.lift()
  await clock.advance(5_000)
  t.notOk(deadline.signal.aborted)
  t.equal(getEventListeners(caller.signal, 'abort').length, 1)
  let told = 0
  deadline.whenEnded(() => {
    told += 1
  })
  deadline.end()
  deadline.end()
  t.equal(told, 1)
  t.equal(getEventListeners(caller.signal, 'abort').length, 0)
  caller.abort()
  t.notOk(deadline.signal.aborted)
  t.equal(clock.sleepers, 0)
})

t.test('R117: paused it stands still, and goes on where it was', async t => {
  const clock = createManualClock()
  const deadline = startDeadline(clock, 1_000)
  await clock.advance(400)
  deadline.pause()
  deadline.pause()
  await clock.advance(5_000)
  t.equal(deadline.leftMs(), 600)
  deadline.resume()
  deadline.resume()
  await clock.advance(599)
  t.notOk(deadline.signal.aborted)
  t.equal(deadline.leftMs(), 1)
  deadline.pause()
  deadline.end()
  deadline.resume()
  t.equal(clock.sleepers, 0, 'ended, it does not go on')
})
