// Goal: a reader that takes nothing gives its place up when others wait for one, and only then;
// whoever takes nothing of what the kernel sends is cut after minutes. Method: readers whose counts
// the test moves, on a clock that stands still.
import t from 'tap'
import { STALLED_READER_MS } from '../../../src/http/limits.ts'
import {
  createStalledReaders,
  LEAST_WHILE_OTHERS_WAIT_BYTES,
  STALLED_WHILE_OTHERS_WAIT_MS,
} from '../../../src/http/send/stalled-readers.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

function crowd() {
  let nowMs = 0
  let counted = 0
  const cut: string[] = []
  const stalled = createStalledReaders({
    clock: { monotonicMs: () => nowMs, sleep: () => new Promise(() => {}) },
    noteCut: () => (counted += 1),
  })
  return {
    cut,
    counted: () => counted,
    /** A reader whose `taken` is what `taken()` says. */
    watch: (name: string, taken: () => number | undefined) =>
      stalled.watch({ taken, cut: () => void cut.push(name) }),
    /** So much later, so many wait. */
    later(ms: number, waiting: number) {
      nowMs += ms
      stalled.othersWait(waiting)
    },
    pass(ms: number) {
      nowMs += ms
    },
  }
}

t.test('stalled readers: who took nothing for ten seconds while others waited is cut', async t => {
  const { cut, counted, watch, later } = crowd()
  let moving = 0
  watch('stalled', () => 7)
  watch('slow', () => (moving += LEAST_WHILE_OTHERS_WAIT_BYTES))
  watch('waits for the upstream', () => undefined)
  later(1_000, 5)
  later(STALLED_WHILE_OTHERS_WAIT_MS - 1, 5)
  t.same(cut, [])
  later(1, 5)
  t.same(cut, ['stalled'])
  later(STALLED_WHILE_OTHERS_WAIT_MS, 5)
  t.same([cut, counted()], [['stalled'], 1], 'once, and nobody else')
})

t.test('R276: who takes a few bytes now and then gives its place back as well', async t => {
  const { cut, watch, later } = crowd()
  let dripped = 0
  let taken = 0
  watch('drips', () => dripped)
  watch('moves', () => taken)
  for (let second = 0; second < 60; second += 1) {
    later(1_000, 5)
    dripped += 300
    taken += LEAST_WHILE_OTHERS_WAIT_BYTES / 8
  }
  t.same(cut, ['drips'])
})

t.test('stalled readers: nobody is cut for more than wait, the longest stalled first', async t => {
  const { cut, watch, later } = crowd()
  watch('first', () => 1)
  later(1_000, 1)
  for (const name of ['second', 'third']) watch(name, () => 1)
  later(1_000, 1)
  later(STALLED_WHILE_OTHERS_WAIT_MS, 1)
  t.same(cut, ['first'])
  later(1_000, 1)
  t.same(cut, ['first', 'second'])
})

t.test('stalled readers: a body that is over is looked at no more', async t => {
  const { cut, watch, later } = crowd()
  const end = watch('over', () => 1)
  later(0, 1)
  end()
  later(STALLED_WHILE_OTHERS_WAIT_MS, 1)
  t.same(cut, [])
})

t.test('stalled readers: a look from long ago counts only when nothing moved since', async t => {
  const { cut, watch, later, pass } = crowd()
  let taken = 1
  watch('reader', () => taken)
  later(0, 1)
  pass(STALLED_WHILE_OTHERS_WAIT_MS * 10)
  taken = 2
  later(0, 1)
  t.same(cut, [])
  later(STALLED_WHILE_OTHERS_WAIT_MS, 1)
  t.same(cut, ['reader'])
})

t.test('stalled readers: who takes nothing from the kernel is cut after minutes', async t => {
  const clock = createManualClock()
  const cut: unknown[] = []
  const stalled = createStalledReaders({ clock, noteCut: () => t.fail('nobody waits') })
  const watch = (name: string, kernel?: { isBusy: boolean; sentBytes: number }) =>
    stalled.watch({ taken: () => 7, kernel, cut: why => void cut.push([name, why]) })
  watch('node writes')
  t.equal(clock.sleepers, 0, 'nobody looks while node writes alone')
  const moving = { isBusy: true, sentBytes: 0 }
  const ends = [
    watch('waits for the upstream', { isBusy: false, sentBytes: 7 }),
    watch('moves', moving),
  ]
  watch('stalled', { isBusy: true, sentBytes: 7 })
  await clock.advance(STALLED_READER_MS)
  t.same(cut, [])
  for (let minutes = 0; minutes < 10; minutes += 1) {
    moving.sentBytes += 1
    await clock.advance(STALLED_READER_MS / 5)
  }
  t.same(cut, [['stalled', undefined]], 'once, and not as a failure')
  for (const end of ends) end()
  await clock.advance(STALLED_READER_MS)
  t.equal(clock.sleepers, 0, 'nobody looks any more')
})
