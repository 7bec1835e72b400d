// Goal: whatever happens to the line, the registry and this process, what was acknowledged gets
// there, in order, and no tag goes back. Method: random pushes, weather, kills at any await and
// restarts over a clock that is moved by hand; then it clears up, and what the registry has is
// compared with what was acknowledged. The same without the time for requests that arrive late must
// show a tag going back.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../src/oci/reference.ts'
import { parseDelivery } from '../../src/registry/deliveries/delivery-payload.ts'
import { seeding } from '../kit/arbitraries.ts'
import {
  type Acknowledged,
  checkDelivered,
  checkForward,
  checkOrder,
} from '../kit/judges/delivery-checks.ts'
import { createWorld, type Process } from '../kit/worlds/delivery-world.ts'
import { type Image, makeImage, makeIndex } from '../kit/image.ts'
import { createRandom, type Random } from '../kit/seeded.ts'
import { fateIn, type Weather, WEATHERS } from '../kit/stubs/weather.ts'

const RUNS = 100
const STEPS_MAX = 80
/**
 * Kills must hit a request that is late, and a push of the same tag follow: a few in a hundred
 * lives.
 */
const CONTROL_RUNS = 500
const SECOND_MS = 1_000
const HOUR_MS = 60 * 60 * SECOND_MS
/**
 * Waits between attempts are minutes; the last entries of a long queue wait for those before them.
 */
const CLEAR_HOURS_MAX = 24

const repositories: readonly Repository[] = ['docker.io/team/app', 'docker.io/team/base'].map(
  parseRepositoryKey,
)
const tags = ['latest', 'v1', 'v2']
const children = Array.from({ length: 5 }, (_, n) => makeImage({ seed: n % 3, layers: [40 + n] }))
/** Nothing lists these, so that each may be poison by itself. */
const singles = Array.from({ length: 8 }, (_, n) =>
  makeImage({ seed: `${n}`, layers: [40, 50 + n] }),
)
const images: readonly Image[] = [
  ...singles,
  ...children,
  makeIndex(children.slice(0, 2)),
  makeIndex(children.slice(2, 5)),
]

type Step =
  | {
      readonly does: 'push'
      readonly where: number
      readonly what: number
      readonly tags: string[]
    }
  | { readonly does: 'weather'; readonly becomes: Weather }
  | { readonly does: 'wait'; readonly ms: number }
  | { readonly does: 'kill'; readonly answers: number }
  | { readonly does: 'stop' | 'retry' }
  | { readonly does: 'poison' | 'cure'; readonly what: number }

const what = fc.nat({ max: images.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('push' as const),
      where: fc.nat({ max: repositories.length - 1 }),
      what,
      tags: fc.subarray(tags, { maxLength: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('weather' as const),
      becomes: fc.constantFrom(...WEATHERS),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.oneof(
        fc.nat({ max: SECOND_MS }),
        fc.nat({ max: 40 * SECOND_MS }),
        fc.nat({ max: 400 * SECOND_MS }),
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constant('kill' as const), answers: fc.nat({ max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('stop' as const, 'retry' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constantFrom('poison' as const, 'cure' as const),
      what: fc.nat({ max: singles.length - 1 }),
    }),
  },
)

/** Throws when something is not as it must be at the end. */
async function live(steps: readonly Step[], seed: number, settlingMs?: number): Promise<void> {
  const lived = new Lived(createRandom(seed), settlingMs)
  for (const each of steps) await lived.take(each)
  await lived.clearUp()
  await lived.check()
}

class Lived {
  readonly #world: ReturnType<typeof createWorld>
  readonly #pushes: Acknowledged[] = []
  /** Whose entries were parked at some time, or may have been. */
  readonly #poisoned = new Set<Digest>()
  #weather: Weather = 'clear'
  #process: Process

  constructor(random: Random, settlingMs: number | undefined) {
    this.#world = createWorld({
      random: () => random.below(1_000) / 1_000,
      ...(settlingMs === undefined ? {} : { settlingMs }),
    })
    const { model, clock } = this.#world
    model.fate = call => fateIn(this.#weather, call, { clock, random })
    this.#process = this.#world.start()
  }

  async take(step: Step): Promise<void> {
    const { clock, model } = this.#world
    if (this.#process.life.isOver) this.#process = this.#world.start()
    switch (step.does) {
      case 'push':
        return this.#push(step)
      case 'weather':
        this.#weather = step.becomes
        return
      case 'wait':
        return clock.advance(step.ms)
      case 'kill':
        return this.#process.life.endAfter(step.answers)
      case 'stop':
        return this.#stop()
      case 'retry':
        return this.#retryParked()
      case 'poison':
        return this.#poison(imageAt(step.what))
      case 'cure':
        model.refused.delete(imageAt(step.what).manifest.digest)
    }
  }

  /**
   * The line and the registry are well from now on, and the operator tries again what was parked
   * and could go.
   */
  async clearUp(): Promise<void> {
    this.#weather = 'clear'
    if (this.#process.life.isOver) this.#process = this.#world.start()
    this.#process.life.endAfter(Number.POSITIVE_INFINITY)
    await this.#deliver()
    await this.#retryParked()
    await this.#deliver()
    await this.#stop()
  }

  async check(): Promise<void> {
    const { model, factsOf } = this.#world
    checkForward(model, this.#pushes)
    checkDelivered(model, this.#pushes, model.refused)
    const listed = children.map(({ manifest }) => manifest.digest)
    checkOrder(model, this.#pushes, new Set([...this.#poisoned, ...listed]))
    const left = await this.#world.entries()
    for (const entry of left) {
      const digest = parseDelivery(entry.payload)?.digest
      assert.equal(entry.state, 'parked')
      assert.ok(digest && model.refused.has(digest), `parked, and not poison: ${entry.reason}`)
    }
    assert.equal(
      (await factsOf('delivery')).length,
      left.length,
      'each entry has its fact, no more',
    )
  }

  async #push({ where, what, tags }: Extract<Step, { does: 'push' }>): Promise<void> {
    const repository = repositories[where]
    assert.ok(repository)
    const image = imageAt(what)
    for (;;) {
      const { life, turns, deliveries } = this.#process
      const pushing = turns.take(repositoryKey(repository), async () => {
        if (life.isOver) return
        await this.#world.push(image, { repository, tags })
        this.#pushes.push({ name: repository.name, image, tags })
      })
      await Promise.race([pushing, life.over])
      if (!life.isOver) return deliveries.nudge()
      // Whatever had the turn when the process was killed never ends.
      this.#process = this.#world.start()
    }
  }

  async #stop(): Promise<void> {
    const { deliveries, life } = this.#process
    const stopped = deliveries.stop()
    await this.#world.clock.advance(10 * SECOND_MS)
    await Promise.race([stopped, life.over])
    life.end()
  }

  async #retryParked(): Promise<void> {
    const { entries, retry } = this.#world
    for (const entry of await entries()) if (entry.state === 'parked') await retry(entry)
    this.#process.deliveries.nudge()
  }

  /** What the registry took once it has. */
  #poison({ manifest: { digest } }: Image): void {
    const { model } = this.#world
    if (repositories.some(({ name }) => model.repository(name).manifests.has(digest))) return
    model.refused.add(digest)
    this.#poisoned.add(digest)
  }

  /** Until nothing waits any more, or no time is left for it. */
  async #deliver(): Promise<void> {
    for (let hours = 0; hours < CLEAR_HOURS_MAX; hours += 1) {
      await this.#world.clock.advance(HOUR_MS)
      const waiting = (await this.#world.entries()).filter(({ state }) => state === 'waiting')
      if (waiting.length === 0) return
    }
  }
}

function imageAt(n: number): Image {
  const image = images[n]
  assert.ok(image)
  return image
}

const lives = fc.record({
  steps: fc.array(step, { minLength: STEPS_MAX / 2, maxLength: STEPS_MAX, size: 'max' }),
  seed: fc.nat(),
})

t.test('R116: what was acknowledged is delivered, in order, and no tag goes back', async t => {
  let count = 0
  await fc.assert(
    fc.asyncProperty(lives, async ({ steps, seed }) => {
      count += steps.length
      await live(steps, seed)
    }),
    { numRuns: RUNS, ...seeding() },
  )
  t.ok(count > 1_000, `${count} steps`)
})

t.test('without a time for late requests a tag goes back: the test can see it', async t => {
  const property = fc.asyncProperty(lives, ({ steps, seed }) => live(steps, seed, 0))
  const found = await fc.check(property, {
    numRuns: CONTROL_RUNS,
    endOnFailure: true,
    ...seeding(),
  })
  t.ok(found.failed)
  t.match(String(found.errorInstance), /never went back/)
})
