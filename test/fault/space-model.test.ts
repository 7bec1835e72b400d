// Goal: whatever clients, crashes, power cuts and what makes room do at the same time, in whichever
// order, nothing that was promised is lost, nothing wrong is given out, and no file is left that
// nobody counts. Method: the real registry over twins of its disk and catalog, every call of which
// waits for its turn, drawn from a seed; the process ends between any two of them, and what was not
// synced may go with it. Without the turn of a digest, without leases, or on a disk that does not
// sync, the same must show a promise that is broken.
import t from 'tap'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { NO_TURNS } from '../kit/worlds/leaving-world.ts'
import { simulate, type SimulationOptions } from '../kit/simulation/simulate.ts'
import { seedOf } from '../kit/seeded.ts'

/** Of the fast suite. */
const STEPS_DEFAULT = 100_000
const STEPS = Number(process.env['STEPS'] ?? STEPS_DEFAULT)
/** Half of what there is: much has to leave, and there are pushes that are refused. */
const LIMIT_BYTES = 120_000
/** For an edge that is deaf: it evicts more, and is found out sooner. */
const TIGHT_BYTES = 80_000
const SHORT = 3_000
const REMOVED_MIN = 30
/**
 * Two must meet in the same moment: in one of twelve runs they do where they do so least, and any
 * change of the code draws other ones.
 */
const CONTROL_STEPS = 40_000
const CONTROL_RUNS = 120
const seed = seedOf(process.env)

t.setTimeout(600_000)

for (const { name, ...options } of [
  { name: 'nothing promised is lost, and no file is left over, in any order of steps' },
  { name: 'nor where there is no room, and the limit holds', limitBytes: LIMIT_BYTES },
  {
    name: 'pins, quotas, retention and purges do what they say meanwhile',
    limitBytes: LIMIT_BYTES,
    isOperated: true,
  },
])
  t.test(name, async t => {
    const steps = STEPS / 3
    const {
      broken,
      trace: _,
      ...counts
    } = await simulate({ seed, steps, areLeased: true, ...options })
    t.comment(`SEED=${seed} STEPS=${STEPS} ${JSON.stringify(counts)}`)
    t.equal(broken, undefined)
    t.ok(counts.removed > REMOVED_MIN, 'much left')
  })

t.test('the same seed is the same run', async t => {
  const first = await simulate({ seed, steps: SHORT })
  t.strictSame(await simulate({ seed, steps: SHORT }), first)
  t.notSame(await simulate({ seed: seed + 1, steps: SHORT }), first)
})

// They depend on the seed alone: a longer run, or one by another Node, would only do the same ones
// again.
if (STEPS <= STEPS_DEFAULT && process.env['CONTROLS'] !== 'off') testControls()

function testControls(): void {
  t.test('without the turn of a digest a promise is broken: the test can see it', async t => {
    const broken = await firstBroken({ turns: NO_TURNS })
    t.comment(broken)
    t.match(broken, /has no file|cannot be pulled|not kept|points to nowhere|nobody counts/)
  })

  t.test('without leases what was said to be there is not: the test can see it', async t => {
    const broken = await firstBroken({ areLeased: true, catalog: withoutLeases })
    t.comment(broken)
    t.match(broken, /was said to have/)
  })

  t.test('where nobody looks for what follows a delete it stays: the test can see it', async t => {
    const broken = await firstBroken({ areLeased: true, catalog: withoutFollowers })
    t.comment(broken)
    t.match(broken, /follows what is gone, and stays/)
  })

  t.test('on a disk that does not sync a power cut loses what was pushed', async t => {
    const broken = await firstBroken({ lies: true })
    t.comment(broken)
    t.match(broken, /has no file|cannot be pulled|not kept|points to nowhere/)
  })

  for (const [isDeaf, told] of [
    ['pins', /is pinned, and has left/],
    ['quotas', /above its ceiling|below its floor/],
    ['retention', /took away the tag that was pushed last/],
    ['purges', /was purged, and is still here/],
  ] as const)
    t.test(`an edge that does not hear of ${isDeaf} is found out`, async t => {
      const operated = { isOperated: true, limitBytes: TIGHT_BYTES, isDeaf }
      const broken = await firstBroken(operated)
      t.comment(broken)
      t.match(broken, told)
    })
}

function withoutLeases(catalog: Catalog): Catalog {
  return new Proxy(catalog, {
    get: (target, name) => (name === 'lease' ? async () => {} : Reflect.get(target, name, target)),
  })
}

function withoutFollowers(catalog: Catalog): Catalog {
  return new Proxy(catalog, {
    get: (target, name) =>
      name === 'listFollowers' ? async () => [] : Reflect.get(target, name, target),
  })
}

/** Of some runs, from the seed on. */
async function firstBroken(options: Partial<SimulationOptions>): Promise<string | undefined> {
  for (let run = 0; run < CONTROL_RUNS; run += 1) {
    const { broken } = await simulate({ ...options, seed: seed + run, steps: CONTROL_STEPS })
    if (broken !== undefined) return broken.slice(0, broken.indexOf('\n'))
  }
  return undefined
}
