// Goal: as many lines as pay, found within a second or two, remembered, and fewer after failures.
// Method: the controller with a manual clock, over an upstream that is two numbers: what one
// connection brings, and what all bring together.
import t from 'tap'
import { Width } from '../../../src/registry/fill/width.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const MOST = 12

/**
 * Lets `width` fetch for so long from an upstream with these limits, in bytes per millisecond;
 * tells how many lines it used, by tick.
 */
async function fetching(
  { width, clock }: { width: Width; clock: ReturnType<typeof createManualClock> },
  { each, all, forMs }: { each: number; all: number; forMs: number },
): Promise<number[]> {
  const used: number[] = []
  const leave = width.join(() => {})
  let flowing = 0
  for (let atMs = 0; atMs < forMs; atMs += 10) {
    for (; flowing < width.lines; flowing += 1) width.flow(flowing === 0)
    for (; flowing > width.lines; flowing -= 1) width.ebb()
    width.received(10 * Math.min(all, each * width.lines))
    await clock.advance(10)
    used.push(width.lines)
  }
  for (; flowing > 0; flowing -= 1) width.ebb()
  leave()
  return used
}

function createWidth(most = MOST) {
  const clock = createManualClock()
  return { clock, width: new Width(clock, most) }
}

t.test('where each connection is limited, all lines are used within two seconds', async t => {
  const made = createWidth()
  const used = await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  t.equal(used[0], 1, 'it begins with one')
  t.equal(made.width.lines, MOST)
})

t.test('what was found is what the next blob begins with', async t => {
  const made = createWidth()
  await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  await made.clock.advance(60_000)
  const used = await fetching(made, { each: 10_000, all: Infinity, forMs: 10 })
  t.same(used, [MOST])
})

t.test(
  'where the way is full, more lines are tried and given up, and rarely tried again',
  async t => {
    const made = createWidth()
    const used = await fetching(made, { each: 50_000, all: 50_000, forMs: 30_000 })
    t.equal(Math.max(...used), 2)
    const share = used.filter(lines => lines > 1).length / used.length
    t.ok(share < 0.25, `${share} of the time with two`)
  },
)

t.test('where four lines fill the way, four are kept', async t => {
  const made = createWidth()
  const used = await fetching(made, { each: 10_000, all: 40_000, forMs: 4_000 })
  t.equal(made.width.lines, 4)
  t.equal(Math.max(...used), 8)
})

t.test('one line that fills a gigabit link is not helped by a second', async t => {
  const made = createWidth()
  const used = await fetching(made, { each: 500_000, all: Infinity, forMs: 3_000 })
  t.equal(Math.max(...used), 1)
})

t.test('a failure halves the lines, and nothing is tried for a while', async t => {
  const made = createWidth()
  await fetching(made, { each: 10_000, all: Infinity, forMs: 2_000 })
  made.width.failed()
  t.equal(made.width.lines, MOST / 2)
  const calm = await fetching(made, { each: 10_000, all: Infinity, forMs: 9_000 })
  t.equal(Math.max(...calm), MOST / 2)
  await fetching(made, { each: 10_000, all: Infinity, forMs: 3_000 })
  t.equal(made.width.lines, MOST, 'later it is tried again')
  for (let failures = 0; failures < 10; failures += 1) made.width.failed()
  t.equal(made.width.lines, 1, 'never less than one')
})

t.test('the end of a blob, where lines have nothing to do, teaches nothing', async t => {
  const { clock, width } = createWidth()
  const leave = width.join(() => {})
  width.flow(true)
  for (let ticks = 0; ticks < 20; ticks += 1) {
    width.received(1_000_000 * width.lines)
    await clock.advance(150)
  }
  width.ebb()
  leave()
  // Soon after it, the trial would go on.
  await clock.advance(2_000)
  await fetching({ clock, width }, { each: 10_000, all: Infinity, forMs: 10 })
  t.equal(width.lines, 1, 'two were allowed, one was read')
})

t.test('what one blob is too short to find out, several find out one after another', async t => {
  const made = createWidth()
  for (let blob = 0; blob < 12; blob += 1) {
    await fetching(made, { each: 10_000, all: Infinity, forMs: 200 })
    await made.clock.advance(100)
  }
  t.equal(made.width.lines, MOST)
})

t.test('a trial whose next blob comes late begins anew', async t => {
  const made = createWidth()
  for (let blob = 0; blob < 12; blob += 1) {
    await fetching(made, { each: 10_000, all: Infinity, forMs: 200 })
    await made.clock.advance(2_000)
  }
  await fetching(made, { each: 10_000, all: Infinity, forMs: 10 })
  t.equal(made.width.lines, 1)
})

t.test(
  'lines that several blobs share pay as those of one, though each has little to ask for',
  async t => {
    const { clock, width } = createWidth()
    const leaves = Array.from({ length: 8 }, () => width.join(() => {}))
    for (let fill = 0; fill < 8; fill += 1) width.flow(true)
    let flowing = 8
    for (let atMs = 0; atMs < 600; atMs += 10) {
      // Ranges end and others begin, with a moment in between.
      width.ebb()
      await clock.advance(1)
      width.flow(true)
      for (; flowing < width.lines; flowing += 1) width.flow(false)
      width.received(10 * 10_000 * flowing)
      await clock.advance(9)
    }
    t.equal(width.lines, MOST)
    for (const leave of leaves) leave()
  },
)

t.test('no timer runs while nobody fetches', async t => {
  const { clock, width } = createWidth()
  t.equal(clock.sleepers, 0)
  const [first, second] = [width.join(() => {}), width.join(() => {})]
  await clock.advance(1)
  t.equal(clock.sleepers, 1, 'one for all')
  first()
  second()
  await clock.advance(1)
  t.equal(clock.sleepers, 0)
})

t.test('of the bodies that may be read, a fill has at least one', async t => {
  const { width } = createWidth()
  t.ok(width.flow(true))
  t.notOk(width.flow(false), 'not another')
  t.ok(width.flow(true), 'but the first of another fill')
  width.ebb()
  width.ebb()
  t.ok(width.flow(false))
})

t.test('who does not keep to ranges is not asked for them for ten minutes', async t => {
  const { clock, width } = createWidth()
  t.ok(width.mayRange)
  width.refused()
  t.notOk(width.mayRange)
  await clock.advance(10 * 60_000)
  t.ok(width.mayRange)
})
