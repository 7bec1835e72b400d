// Goal: as many connections as pay, found within a second or two, remembered, and fewer after
// failures. Method: the controller with a manual clock, over an upstream that is two numbers: what
// one connection brings, and what all bring together.
import t from 'tap'
import { ConcurrencyController } from '../../../../src/registry/fill/concurrency-controller.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'

const MOST = 12

/**
 * Lets `concurrency` fetch for so long from an upstream with these limits, in bytes per
 * millisecond; tells how many connections it used, by tick.
 */
async function fetching(
  {
    concurrency,
    clock,
  }: { concurrency: ConcurrencyController; clock: ReturnType<typeof createManualClock> },
  { each, all, forMs }: { each: number; all: number; forMs: number },
): Promise<number[]> {
  const used: number[] = []
  const leave = concurrency.join(() => {})
  let reading = 0
  for (let atMs = 0; atMs < forMs; atMs += 10) {
    for (; reading < concurrency.limit; reading += 1) concurrency.tryAcquire(reading === 0)
    for (; reading > concurrency.limit; reading -= 1) concurrency.release()
    concurrency.received(10 * Math.min(all, each * concurrency.limit))
    await clock.advance(10)
    used.push(concurrency.limit)
  }
  for (; reading > 0; reading -= 1) concurrency.release()
  leave()
  return used
}

function createController(most = MOST) {
  const clock = createManualClock()
  return { clock, concurrency: new ConcurrencyController(clock, most) }
}

t.test('where each connection is limited, all of them are used within two seconds', async t => {
  const made = createController()
  const used = await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  t.equal(used[0], 1, 'it begins with one')
  t.equal(made.concurrency.limit, MOST)
})

t.test('what was found is what the next blob begins with', async t => {
  const made = createController()
  await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  await made.clock.advance(60_000)
  const used = await fetching(made, { each: 10_000, all: Infinity, forMs: 10 })
  t.same(used, [MOST])
})

t.test(
  'where the way is full, more connections are tried and given up, and rarely tried again',
  async t => {
    const made = createController()
    const used = await fetching(made, { each: 50_000, all: 50_000, forMs: 30_000 })
    t.equal(Math.max(...used), 2)
    const share = used.filter(limit => limit > 1).length / used.length
    t.ok(share < 0.25, `${share} of the time with two`)
  },
)

t.test('where four connections fill the way, four are kept', async t => {
  const made = createController()
  const used = await fetching(made, { each: 10_000, all: 40_000, forMs: 4_000 })
  t.equal(made.concurrency.limit, 4)
  t.equal(Math.max(...used), 8)
})

t.test('one connection that fills a gigabit link is not helped by a second', async t => {
  const made = createController()
  const used = await fetching(made, { each: 500_000, all: Infinity, forMs: 3_000 })
  t.equal(Math.max(...used), 1)
})

t.test('a failure halves the connections, and nothing is tried for a while', async t => {
  const made = createController()
  await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  made.concurrency.failed()
  t.equal(made.concurrency.limit, MOST / 2)
  const calm = await fetching(made, { each: 10_000, all: Infinity, forMs: 9_000 })
  t.equal(Math.max(...calm), MOST / 2)
  await fetching(made, { each: 10_000, all: Infinity, forMs: 3_000 })
  t.equal(made.concurrency.limit, MOST, 'later it is tried again')
  for (let failures = 0; failures < 10; failures += 1) made.concurrency.failed()
  t.equal(made.concurrency.limit, 1, 'never less than one')
})

t.test('the end of a blob, where connections have nothing to do, teaches nothing', async t => {
  const { clock, concurrency } = createController()
  const leave = concurrency.join(() => {})
  concurrency.tryAcquire(true)
  for (let ticks = 0; ticks < 20; ticks += 1) {
    concurrency.received(1_000_000 * concurrency.limit)
    await clock.advance(150)
  }
  concurrency.release()
  leave()
  // Soon after it, the trial would go on.
  await clock.advance(2_000)
  await fetching({ clock, concurrency }, { each: 10_000, all: Infinity, forMs: 10 })
  t.equal(concurrency.limit, 1, 'two were allowed, one was read')
})

t.test('what one blob is too short to find out, several find out one after another', async t => {
  const made = createController()
  for (let blob = 0; blob < 12; blob += 1) {
    await fetching(made, { each: 10_000, all: Infinity, forMs: 200 })
    await made.clock.advance(100)
  }
  t.equal(made.concurrency.limit, MOST)
})

t.test('a trial whose next blob comes late begins anew', async t => {
  const made = createController()
  for (let blob = 0; blob < 12; blob += 1) {
    await fetching(made, { each: 10_000, all: Infinity, forMs: 200 })
    await made.clock.advance(2_000)
  }
  await fetching(made, { each: 10_000, all: Infinity, forMs: 10 })
  t.equal(made.concurrency.limit, 1)
})

t.test(
  'connections that several blobs share pay as those of one, though each has little to ask for',
  async t => {
    const { clock, concurrency } = createController()
    const leaves = Array.from({ length: 8 }, () => concurrency.join(() => {}))
    for (let fill = 0; fill < 8; fill += 1) concurrency.tryAcquire(true)
    let reading = 8
    for (let atMs = 0; atMs < 600; atMs += 10) {
      // Ranges end and others begin, with a moment in between.
      concurrency.release()
      await clock.advance(1)
      concurrency.tryAcquire(true)
      for (; reading < concurrency.limit; reading += 1) concurrency.tryAcquire(false)
      concurrency.received(10 * 10_000 * reading)
      await clock.advance(9)
    }
    t.equal(concurrency.limit, MOST)
    for (const leave of leaves) leave()
  },
)

t.test('no timer runs while nobody fetches', async t => {
  const { clock, concurrency } = createController()
  t.equal(clock.sleepers, 0)
  const [first, second] = [concurrency.join(() => {}), concurrency.join(() => {})]
  await clock.advance(1)
  t.equal(clock.sleepers, 1, 'one for all')
  first()
  second()
  await clock.advance(1)
  t.equal(clock.sleepers, 0)
})

t.test('of the bodies that may be read, a fill has at least one', async t => {
  const { concurrency } = createController()
  t.ok(concurrency.tryAcquire(true))
  t.notOk(concurrency.tryAcquire(false), 'not another')
  t.ok(concurrency.tryAcquire(true), 'but the first of another fill')
  concurrency.release()
  concurrency.release()
  t.ok(concurrency.tryAcquire(false))
})

t.test('who does not keep to ranges is not asked for them for ten minutes', async t => {
  const { clock, concurrency } = createController()
  t.ok(concurrency.mayUseRanges)
  concurrency.noteRangesRefused()
  t.notOk(concurrency.mayUseRanges)
  await clock.advance(10 * 60_000)
  t.ok(concurrency.mayUseRanges)
})
