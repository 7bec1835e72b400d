// Goal: others have their turn during long work, and more of them while nobody waits for it.
// Method: work in steps of a tenth of a millisecond, on a clock that it moves itself, and the turns
// of the event loop counted that it takes.
import t from 'tap'
import { createPacer } from '../../../../src/registry/pacing/pacer.ts'

/** That others have while `steps` are done. */
async function turnsIn(steps: number, isHurried?: () => boolean): Promise<number> {
  let nowMs = 0
  let turns = 0
  const pause = createPacer({ monotonicMs: () => nowMs }, isHurried)
  for (let step = 0; step < steps; step += 1) {
    nowMs += 0.1
    let isHere = true
    const paused = pause().then(() => {
      isHere = false
    })
    // Whoever has not paused goes on before any turn.
    await Promise.resolve()
    await Promise.resolve()
    await Promise.resolve()
    if (isHere) turns += 1
    await paused
  }
  return turns
}

t.test(
  'R763: work that nobody waits for lets others go before it several times as often',
  async t => {
    const hurried = await turnsIn(300)
    t.ok(hurried >= 9 && hurried <= 10, `${hurried} turns in 30 ms`)
    t.equal(await turnsIn(300, () => true), hurried)
    const atLeisure = await turnsIn(300, () => false)
    t.ok(atLeisure >= 5 * hurried, `${atLeisure} turns in 30 ms`)
  },
)

t.test('R764: it makes haste as soon as somebody waits', async t => {
  let asked = 0
  const turns = await turnsIn(300, () => (asked += 1) > 150)
  const [hurried, atLeisure] = [await turnsIn(150), await turnsIn(150, () => false)]
  t.ok(Math.abs(turns - hurried - atLeisure) <= 2, `${turns} of ${atLeisure} and ${hurried}`)
})
