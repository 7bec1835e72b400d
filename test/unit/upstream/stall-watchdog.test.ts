// Goal: a silent peer is noticed and a slow reader is not blamed for it. Method: the watchdog
// alone, with virtual time.
import t from 'tap'
import { startStallWatchdog } from '../../../src/upstream/connect/stall-watchdog.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

t.test(
  'R150: a piece that is asked for and does not come for the time limit is a stall',
  async t => {
    const clock = createManualClock()
    let stalls = 0
    const watchdog = startStallWatchdog(clock, 30_000, () => {
      stalls += 1
    })
    watchdog.waiting()
    await clock.advance(29_999)
    t.equal(stalls, 0)
    await clock.advance(1)
    t.equal(stalls, 1)
    await clock.advance(300_000)
    t.equal(stalls, 1, 'told once')
  },
)

t.test('R150: time in which nobody asks does not count', async t => {
  const clock = createManualClock()
  let stalls = 0
  const watchdog = startStallWatchdog(clock, 30_000, () => {
    stalls += 1
  })
  for (let piece = 0; piece < 20; piece += 1) {
    watchdog.waiting()
    await clock.advance(20_000)
    watchdog.arrived()
    await clock.advance(100_000)
  }
  t.equal(stalls, 0, 'slow pieces and a slow reader')
  watchdog.waiting()
  await clock.advance(60_000)
  t.equal(stalls, 1)
})

t.test('once stopped it sleeps no more', async t => {
  const clock = createManualClock()
  const watchdog = startStallWatchdog(clock, 30_000, () => t.fail('it was stopped'))
  watchdog.waiting()
  watchdog.stop()
  await clock.advance(60_000)
  t.equal(clock.sleepers, 0)
})
