// Goal: nothing that was deleted goes before the grace is over that held then, or a longer one of
// now, in time in which a process ran; nor does it stay for good. Method: graces over an in-memory
// catalog, one process after the other, with a clock that is set; a model that counts on the
// monotonic one. At random, by a seed.
import t, { type Test } from 'tap'
import { Graces } from '../../src/registry/time/grace.ts'
import { TimeKeeper } from '../../src/registry/time/time-keeper.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { createMemoryCatalog } from '../kit/memory/catalog.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const GRACES = [MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 3 * DAY_MS] as const
/** What is shorter than a minute counts as time that ran. */
const JUMPS = [2 * MINUTE_MS, HOUR_MS, 5 * DAY_MS, 400 * DAY_MS] as const
const RUNS = 200
const STEPS = 60

interface Deleted {
  readonly looseAtMs: number
  readonly graceMs: number
  ranMs: number
}

class World {
  readonly #random: Random
  readonly #clock = createManualClock()
  readonly #catalog = createMemoryCatalog()
  #graceMs: number
  #time: TimeKeeper
  #graces: Graces
  waiting: Deleted[] = []
  gone = 0
  tooSoon: string[] = []

  constructor(random: Random) {
    this.#random = random
    this.#graceMs = random.pick(GRACES)
    this.#time = new TimeKeeper({ catalog: this.#catalog, clock: this.#clock })
    this.#graces = this.#open()
  }

  #open(): Graces {
    const parts = { catalog: this.#catalog, clock: this.#clock, time: this.#time }
    return new Graces({ ...parts, graceMs: () => this.#graceMs })
  }

  async run(ms: number): Promise<void> {
    await this.#clock.advance(ms)
    for (const each of this.waiting) each.ranMs += ms
  }

  async change(graceMs: number): Promise<void> {
    this.#graceMs = graceMs
    await this.#graces.leftMs()
  }

  async restart(): Promise<void> {
    if (this.#random.oneIn(2)) await this.#time.stop()
    await this.#clock.advance(this.#random.pick(JUMPS))
    if (this.#random.oneIn(3)) this.#graceMs = this.#random.pick(GRACES)
    this.#time = new TimeKeeper({ catalog: this.#catalog, clock: this.#clock })
    this.#graces = this.#open()
    if (this.#random.oneIn(2)) await this.#graces.leftMs()
  }

  async remove(): Promise<void> {
    const looseAtMs = this.#clock.nowMs()
    this.waiting.push({ looseAtMs, graceMs: this.#graceMs, ranMs: 0 })
    await this.#graces.leftMs()
  }

  /** A pass of the collection; or only a look, as other jobs do. */
  async look(isPass: boolean): Promise<void> {
    const grace = await (isPass ? this.#graces.forPass() : this.#graces.asOfNow())
    if (!isPass) return
    const over = this.waiting.filter(({ looseAtMs }) => grace.isOver(looseAtMs))
    for (const { ranMs, graceMs } of over)
      if (ranMs < Math.max(graceMs, this.#graceMs)) this.tooSoon.push(`${ranMs} of ${graceMs} ms`)
    this.waiting = this.waiting.filter(each => !over.includes(each))
    this.gone += over.length
  }

  async step({ isSetBack }: { readonly isSetBack: boolean }): Promise<void> {
    const random = this.#random
    await this.run(random.pick([1, 10 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS]))
    const jumpMs = random.pick(JUMPS)
    const deeds = [
      () => this.remove(),
      () => this.remove(),
      () => this.change(random.pick(GRACES)),
      () => this.look(true),
      () => this.look(false),
      // No process knows what the one before has dated, by a clock that was put back since.
      () => (isSetBack ? this.look(false) : this.restart()),
      async () => this.#clock.jump(isSetBack && random.oneIn(2) ? -jumpMs : jumpMs),
    ] as const
    await random.pick(deeds)()
  }
}

async function walked(t: Test, isSetBack: boolean): Promise<void> {
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}`)
  let gone = 0
  for (let run = 0; run < RUNS; run += 1) {
    const world = new World(createRandom(seed + run))
    for (let step = 0; step < STEPS; step += 1) await world.step({ isSetBack })
    if (!isSetBack) {
      await world.change(MINUTE_MS)
      await world.run(3 * DAY_MS + HOUR_MS)
      await world.look(true)
      if (world.waiting.length > 0) t.fail(`${world.waiting.length} stay, run ${run}`)
    }
    gone += world.gone
    if (world.tooSoon.length > 0) t.fail(`too soon in run ${run}: ${world.tooSoon.join(', ')}`)
  }
  t.ok(gone > RUNS, `${gone} went`)
}

t.test('R634: with a clock that is put ahead, and off between processes', t => walked(t, false))
t.test('R634: and where it is put back', t => walked(t, true))
