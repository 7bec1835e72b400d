// Goal: the orders that the eviction bench compares are those of their papers, for images of
// unequal sizes. Method: short histories of a few images, whose order of leaving is known by hand;
// and for what keeps a sum as one number, random histories held against the sum.
import fc from 'fast-check'
import t from 'tap'
import { aged } from '../../../bench/eviction/policies/aged.ts'
import { gdsf } from '../../../bench/eviction/policies/gdsf.ts'
import { LRU, LRU_2 } from '../../../bench/eviction/policies/lru.ts'
import type { Policy, PolicyKind } from '../../../bench/eviction/policies/policy.ts'
import { previousFirst } from '../../../bench/eviction/policies/previous-first.ts'
import { S3_FIFO } from '../../../bench/eviction/policies/s3-fifo.ts'
import { ScoreQueue } from '../../../bench/eviction/policies/score-queue.ts'
import { wTinyLfu } from '../../../bench/eviction/policies/w-tiny-lfu.ts'
import { assertProperty } from '../../kit/arbitraries.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const everyone = () => true

/** Over a cache of 100 bytes; sizes may change. */
function open(kind: PolicyKind, sizes: Record<number, number> = {}): Policy {
  const sizeOf = (image: number) => sizes[image] ?? 10
  return kind.open({
    limitBytes: 100,
    freedBytes: sizeOf,
    refetchSeconds: image => 1 + sizeOf(image) / 10,
  })
}

/** Who leaves, one after another, until nobody is left. */
function leaving(policy: Policy): readonly number[] {
  const order: number[] = []
  for (;;) {
    const image = policy.next(everyone)
    if (image === undefined) return order
    policy.left(image)
    order.push(image)
  }
}

/** It came at the first of these times and was used at the others. */
function note(policy: Policy, image: number, [cameMs = 0, ...usedMs]: readonly number[]): void {
  policy.came(image, cameMs, 10)
  for (const atMs of usedMs) policy.used(image, atMs)
}

t.test('LRU: whose last use is the longest ago leaves first', async t => {
  const policy = open(LRU)
  for (const image of [1, 2, 3]) policy.came(image, 0, 10)
  policy.used(1, 1)
  t.same(leaving(policy), [2, 3, 1])
})

t.test('every order passes over who may not leave, and names nobody when nobody may', async t => {
  const kinds = [LRU, LRU_2, aged('aged'), gdsf('gdsf', 'one'), S3_FIFO, wTinyLfu('tiny', 0.2)]
  for (const kind of kinds) {
    const policy = open(kind)
    for (const image of [1, 2, 3]) note(policy, image, [0])
    const first = policy.next(everyone) as number
    t.not(
      policy.next(image => image !== first),
      undefined,
      kind.name,
    )
    t.not(
      policy.next(image => image !== first),
      first,
      kind.name,
    )
    t.equal(
      policy.next(() => false),
      undefined,
      kind.name,
    )
    t.equal(leaving(policy).length, 3, kind.name)
  }
})

t.test('LRU-2: what was used once leaves before what was used twice, long ago or not', async t => {
  const policy = open(LRU_2)
  note(policy, 1, [0, 2 * HOUR])
  note(policy, 2, [3 * DAY])
  note(policy, 3, [4 * DAY, 4 * DAY + 1])
  t.same(leaving(policy), [2, 3, 1], 'uses that are close together are one')
  policy.came(2, 5 * DAY, 10)
  policy.came(4, 6 * DAY, 10)
  t.same(leaving(policy), [4, 2], 'who comes again was used before')
})

t.test('LFU with ageing: uses lose half of their weight in each half life', async t => {
  const policy = open(aged('aged', { halfLifeMs: DAY, apartMs: HOUR }))
  // 2^0 + 2^1 + 2^2 = 7: as one use after log2(7) = 2.8 days.
  note(policy, 1, [0, DAY, 2 * DAY])
  note(policy, 2, [2.7 * DAY])
  note(policy, 3, [2.9 * DAY])
  t.same(leaving(policy), [2, 1, 3])
})

t.test('LFU with ageing: many uses within an hour are one, the last', async t => {
  const policy = open(aged('aged', { halfLifeMs: DAY, apartMs: HOUR }))
  note(
    policy,
    1,
    Array.from({ length: 100 }, (_, n) => n * 10_000),
  )
  note(policy, 2, [980_000])
  note(policy, 3, [1_000_000])
  t.same(leaving(policy), [2, 1, 3])
})

t.test('LFU with ageing: who comes again has what it was used before, for a while', async t => {
  const policy = open(aged('aged', { halfLifeMs: DAY, apartMs: HOUR, rememberedMs: 10 * DAY }))
  note(policy, 1, [0, DAY])
  policy.left(1)
  note(policy, 1, [2 * DAY])
  note(policy, 2, [2.5 * DAY])
  t.same(leaving(policy), [2, 1])
  t.equal(policy.stateBytes(), 32)
  note(policy, 3, [40 * DAY])
  t.equal(policy.stateBytes(), 16, 'then it is forgotten')
})

t.test('LFU with ageing: whose tag has gone on leaves first, unless it is used again', async t => {
  const policy = open(aged('aged', { halfLifeMs: DAY, apartMs: HOUR }))
  for (const image of [1, 2, 3, 4]) note(policy, image, [image * DAY])
  for (const image of [4, 3, 2]) policy.cool?.(image)
  policy.used(2, 4.5 * DAY)
  policy.cool?.(5)
  t.same(leaving(policy), [3, 4, 1, 2])
})

t.test('LFU with ageing: one number orders images as the sums of their uses do', async t => {
  const uses = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 })
  assertProperty(
    t,
    fc.property(fc.array(uses, { minLength: 2, maxLength: 8 }), histories => {
      const policy = open(aged('aged', { halfLifeMs: 10, apartMs: 0 }))
      const weights = histories.map(times => times.reduce((sum, at) => sum + 2 ** (at / 10), 0))
      for (const [image, times] of histories.entries())
        note(
          policy,
          image,
          times.toSorted((a, b) => a - b),
        )
      const left = leaving(policy).map(image => weights[image] ?? 0)
      return left.every((weight, at) => at === 0 || weight >= (left[at - 1] ?? 0) * (1 - 1e-9))
    }),
  )
})

t.test('LFU with ageing, by size: the larger of two that are as warm leaves first', async t => {
  const sizes: Record<number, number> = { 1: 10, 2: 80 }
  const policy = open(aged('aged', { halfLifeMs: DAY, sizeWeight: 1 }), sizes)
  note(policy, 1, [0])
  note(policy, 2, [0])
  t.equal(policy.next(everyone), 2)
  sizes[2] = 1
  t.equal(policy.next(everyone), 1, 'and it is looked at again when it would free less')
})

t.test(
  'whatever the order: whose tag has gone on leaves first, unless it is used again',
  async t => {
    for (const kind of [LRU, S3_FIFO].map(previousFirst)) {
      const policy = open(kind)
      for (const image of [1, 2, 3, 4]) note(policy, image, [image])
      for (const image of [3, 4, 5]) policy.cool?.(image)
      policy.used(4, 5)
      policy.left(3)
      policy.came(3, 6, 10)
      t.same(leaving(policy), [1, 2, 4, 3], kind.name)
      note(policy, 5, [7])
      t.equal(policy.next(everyone), 5, 'what came after its tag had gone on is as any other')
    }
    const policy = open(previousFirst(LRU))
    for (const image of [1, 2, 3]) note(policy, image, [image])
    for (const image of [3, 2]) policy.cool?.(image)
    t.equal(
      policy.next(image => image !== 3),
      2,
    )
    t.same(leaving(policy), [3, 2, 1])
  },
)

t.test('GDSF: uses for each byte that would be freed, above the floor', async t => {
  const sizes: Record<number, number> = { 1: 10, 2: 100, 3: 100 }
  const policy = open(gdsf('gdsf', 'one'), sizes)
  note(policy, 1, [0])
  note(policy, 2, [0, 1, 2, 3, 4])
  t.equal(policy.next(everyone), 2, '5/100 is less than 1/10')
  policy.left(2)
  note(policy, 3, [5])
  note(policy, 4, [6])
  t.same(leaving(policy), [3, 1, 4], 'who comes later starts from what the last one was worth')
})

t.test('GDSF by seconds: what is as expensive for each byte leaves by its uses', async t => {
  const sizes: Record<number, number> = { 1: 10_000, 2: 100 }
  const byOne = open(gdsf('gdsf', 'one'), sizes)
  const bySeconds = open(gdsf('gdsf', 'seconds'), sizes)
  for (const policy of [byOne, bySeconds]) {
    note(policy, 1, [0, 1, 2])
    note(policy, 2, [0])
  }
  t.equal(byOne.next(everyone), 1)
  t.equal(bySeconds.next(everyone), 2)
})

t.test('GDSF: the lowest is looked at again when images beside it have come', async t => {
  const sizes: Record<number, number> = { 1: 100, 2: 50 }
  const policy = open(gdsf('gdsf', 'one'), sizes)
  note(policy, 1, [0])
  note(policy, 2, [0])
  sizes[1] = 10
  t.equal(policy.next(everyone), 2)
})

t.test(
  'S3-FIFO: what is used once or less in the small queue leaves, and is remembered',
  async t => {
    const policy = open(S3_FIFO)
    policy.came(1, 0, 20)
    policy.used(1, 1)
    policy.used(1, 2)
    policy.came(2, 3, 20)
    policy.used(2, 4)
    t.equal(policy.next(everyone), 2, 'the first was used twice and has gone on')
    policy.left(2)
    policy.came(2, 5, 20)
    policy.came(3, 6, 20)
    t.same(leaving(policy), [3, 1, 2], 'who comes again goes to the main queue at once')
  },
)

t.test('S3-FIFO: uses give more rounds in the main queue', async t => {
  const policy = open(S3_FIFO)
  for (const image of [1, 2]) {
    policy.came(image, 0, 20)
    policy.used(image, 0)
    policy.used(image, 0)
  }
  policy.came(3, 1, 20)
  t.equal(policy.next(everyone), 3)
  policy.used(1, 2)
  t.same(leaving(policy), [3, 2, 1])
})

/** Lets an image come, and be used so often with that. */
function comingTo(policy: ReturnType<typeof open>) {
  return (image: number, bytes: number, uses: number): void => {
    policy.came(image, 0, bytes)
    for (let n = 1; n < uses; n++) policy.used(image, n)
  }
}

t.test('W-TinyLFU: who was used less than what it would displace leaves', async t => {
  const policy = open(wTinyLfu('tiny', 0.2))
  const come = comingTo(policy)
  come(1, 40, 3)
  come(2, 40, 2)
  come(3, 30, 1)
  t.equal(policy.next(everyone), 3, 'one use against three')
  policy.left(3)
  come(4, 30, 4)
  t.equal(policy.next(everyone), 1, 'four uses against three')
  policy.left(1)
})

t.test('W-TinyLFU: a large one must have been used more than all that it displaces', async t => {
  const policy = open(wTinyLfu('tiny', 0.2))
  const come = comingTo(policy)
  come(1, 40, 3)
  come(2, 40, 2)
  come(3, 60, 4)
  t.equal(policy.next(everyone), 3, 'four uses against three and two')
})

t.test('the queue by score gives what a sorted list gives', async t => {
  const step = fc.record({
    image: fc.integer({ min: 0, max: 15 }),
    score: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
  })
  assertProperty(
    t,
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const queue = new ScoreQueue()
      const model = new Map<number, number>()
      for (const { image, score } of steps) {
        if (score === undefined) {
          queue.delete(image)
          model.delete(image)
        } else {
          queue.set(image, score)
          model.set(image, score)
        }
        const odd = [...model].filter(([each]) => each % 2 === 1).map(([, its]) => its)
        const first = queue.first(each => each % 2 === 1)
        const lowest = first === undefined ? undefined : model.get(first)
        if (lowest !== (odd.length === 0 ? undefined : Math.min(...odd))) return false
        if (queue.size !== model.size) return false
      }
      return [...model].every(([image, score]) => queue.scoreOf(image) === score)
    }),
  )
})
