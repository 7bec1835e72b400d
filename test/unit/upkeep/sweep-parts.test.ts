// Goal: what is left of failed downloads is swept while the process runs. Method: the loop over a store that counts, on a manual clock.
import t from 'tap'
import { PartSweep, SWEEP_EVERY_MS } from '../../../src/upkeep/sweep-parts.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

// issue 17, 26
t.test('R276: parts are swept every hour, also after a sweep that failed', async t => {
  const clock = createManualClock()
  const ages: number[] = []
  const noted: unknown[] = []
  const removeParts = async (olderThanMs: number) => {
    ages.push(olderThanMs)
    if (ages.length === 1) throw new Error('the disk')
  }
  const sweep = new PartSweep({ clock, note: event => noted.push(event), store: { removeParts } })
  sweep.start()
  for (let count = 0; count < 3; count += 1) await clock.advance(SWEEP_EVERY_MS)
  const week = 7 * 24 * 60 * 60 * 1000
  t.same(ages, [week, week, week])
  t.equal(noted.length, 1)
  await sweep.stop()
  await clock.advance(SWEEP_EVERY_MS * 2)
  t.equal(ages.length, 3)
})
