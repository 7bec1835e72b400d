// Goal: uses are counted without loss and handed on a few times a minute, whatever their number,
// and what they take of memory is bounded. Method: the counting alone, by a manual clock.
import t from 'tap'
import { parseTag } from '../../../../src/oci/reference.ts'
import type { CountedUses, Used } from '../../../../src/registry/ports/catalog-uses.ts'
import { Uses } from '../../../../src/registry/reading/uses.ts'
import { alpine, digestNamed, secret } from '../../../contract/catalog-samples.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'

const EVERY_MS = 5_000
const AGAIN_MS = 60_000
const THINGS_MAX = 1_000

const used = (name: string, more: Partial<Used> = {}): Used => ({
  repository: alpine,
  digest: digestNamed(name),
  tag: undefined,
  ...more,
})

function open(handOn: (uses: readonly CountedUses[]) => void | Promise<void> = () => {}) {
  const clock = createManualClock()
  const handed: (readonly CountedUses[])[] = []
  const uses = new Uses({
    clock,
    everyMs: EVERY_MS,
    againMs: AGAIN_MS,
    handOn: each => {
      handed.push(each)
      return handOn(each)
    },
  })
  return { clock, handed, uses }
}

t.test('uses of the same are one, by repository, digest and tag, and the last is told', async t => {
  const { clock, handed, uses } = open()
  const tag = parseTag('v1')
  for (const atMs of [1, 9, 5]) uses.note(used('a'), atMs)
  uses.note(used('a', { tag }), 2)
  uses.note(used('a', { repository: secret }), 3)
  await clock.advance(EVERY_MS - 1)
  t.strictSame(handed, [])
  await clock.advance(1)
  t.strictSame(handed, [
    [
      { ...used('a'), count: 3, atMs: 9 },
      { ...used('a', { tag }), count: 1, atMs: 2 },
      { ...used('a', { repository: secret }), count: 1, atMs: 3 },
    ],
  ])
})

t.test('what goes on being used is handed on once a minute, and what is new at once', async t => {
  const { clock, handed, uses } = open()
  const noteUse = uses.createNote(used('hot'))
  for (let second = 1; second <= 600; second += 1) {
    noteUse(second)
    await clock.advance(1_000)
  }
  const counts = handed.map(([each]) => each?.count ?? 0)
  t.ok(counts.length >= 10 && counts.length <= 11, `${counts.length} times in ten minutes`)
  noteUse(601)
  uses.note(used('new'), 601)
  await clock.advance(EVERY_MS)
  t.match(handed.at(-1)?.at(-1), used('new'))
  await uses.stop()
  const all = handed.flat().filter(({ digest }) => digest === digestNamed('hot'))
  t.equal(
    all.reduce((sum, { count }) => sum + count, 0),
    601,
    'none is lost',
  )
})

t.test('what is used no more is forgotten, and nobody sleeps', async t => {
  const { clock, handed, uses } = open()
  const noteUse = uses.createNote(used('a'))
  noteUse(1)
  await clock.advance(2 * AGAIN_MS)
  t.equal(clock.sleepers, 0)
  noteUse(2)
  await clock.advance(EVERY_MS)
  t.match(handed, [[{ count: 1, atMs: 1 }], [{ count: 1, atMs: 2 }]])
})

t.test('a stop loses nothing, and what comes after it is nobody to tell of', async t => {
  const written = Promise.withResolvers<void>()
  const { clock, handed, uses } = open(() => written.promise)
  const noteUse = uses.createNote(used('a'))
  noteUse(1)
  let isStopped = false
  const stopped = uses.stop().then(() => (isStopped = true))
  noteUse(2)
  uses.note(used('late'), 3)
  await clock.advance(AGAIN_MS)
  t.equal(isStopped, false, 'it waits until they are written')
  written.resolve()
  await stopped
  t.strictSame(handed, [[{ ...used('a'), count: 1, atMs: 1 }]])
  t.equal(clock.sleepers, 0)
})

t.test('a flush takes all that waits, also what was handed on a moment ago', async t => {
  const { clock, handed, uses } = open()
  uses.note(used('a'), 1)
  await clock.advance(EVERY_MS)
  uses.note(used('a'), 2)
  await uses.flush()
  t.match(handed, [[{ atMs: 1 }], [{ atMs: 2 }]])
})

t.test('very many things do not pile up: they are handed on early', async t => {
  const { handed, uses } = open()
  const notes = Array.from({ length: THINGS_MAX }, (_, n) => uses.createNote(used(`${n}`)))
  for (const noteUse of notes) noteUse(1)
  t.equal(handed.length, 0)
  uses.note(used('one more'), 1)
  for (const noteUse of notes.slice(1)) noteUse(2)
  await uses.stop()
  t.same(
    handed.map(({ length }) => length),
    [THINGS_MAX, THINGS_MAX],
  )
})

t.test('while those before are not written, what is beyond the bound is lost', async t => {
  const written = Promise.withResolvers<void>()
  const { handed, uses } = open(() => written.promise)
  for (let n = 0; n < 10 * THINGS_MAX; n += 1) uses.note(used(`${n}`), 1)
  written.resolve()
  await uses.stop()
  t.same(
    handed.map(({ length }) => length),
    [THINGS_MAX, THINGS_MAX],
  )
})

t.test('those that cannot be written are lost, and the next are handed on', async t => {
  const { clock, handed, uses } = open(async () => Promise.reject(new Error('the disk is full')))
  uses.note(used('a'), 1)
  await clock.advance(EVERY_MS)
  uses.note(used('b'), 2)
  await uses.stop()
  t.match(handed, [[{ ...used('a') }], [{ ...used('b') }]])
})

t.test('whoever counts them, and whenever they are handed on: the sum is right', async t => {
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const { clock, handed, uses } = open()
  const names = ['a', 'b', 'c'] as const
  const noted = new Map(names.map(name => [name, 0]))
  const notes = new Map(names.map(name => [name, uses.createNote(used(name))]))
  for (let step = 1; step <= 2_000; step += 1) {
    const name = random.pick(names)
    const count = random.oneIn(3) ? 5 : 1
    if (count > 1) uses.add([{ ...used(name), count, atMs: step }])
    else if (random.oneIn(2)) uses.note(used(name), step)
    else notes.get(name)?.(step)
    noted.set(name, (noted.get(name) ?? 0) + count)
    if (random.oneIn(5)) await clock.advance(random.pick([10, 4_000, 70_000]))
    if (random.oneIn(50)) await uses.flush()
  }
  await uses.stop()
  for (const name of names) {
    const mine = handed.flat().filter(({ digest }) => digest === digestNamed(name))
    t.equal(
      mine.reduce((sum, { count }) => sum + count, 0),
      noted.get(name),
    )
  }
})
