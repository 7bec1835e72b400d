// Goal: the simulated edges count what an edge would fetch, keep and lose. Method: a registry of a
// few images that share a base, pulled a few times, with sizes that can be added up by hand.
import t from 'tap'
import { BlobEdge } from '../../../bench/eviction/blob-edge.ts'
import { figuresOf, replay } from '../../../bench/eviction/edge.ts'
import { ImageEdge, type ImageEdgeOptions, USUAL } from '../../../bench/eviction/image-edge.ts'
import { leastByteMiss } from '../../../bench/eviction/least.ts'
import { aged } from '../../../bench/eviction/policies/aged.ts'
import { LRU } from '../../../bench/eviction/policies/lru.ts'
import { S3_FIFO } from '../../../bench/eviction/policies/s3-fifo.ts'
import type { Image, Registry } from '../../../bench/eviction/registry.ts'
import { type Pull, type Trace, footprint } from '../../../bench/eviction/trace.ts'

/** The base has 50 bytes, each image 10 of its own. */
const BASE = 0
const sizes = [50, 10, 10, 10, 10, 10, 10]
const image = (own: number, { tag = own, base = false, upstream = 0 } = {}): Image => ({
  blobs: base ? [BASE, own] : [own],
  manifest: own,
  tag,
  upstream,
})
const [A, B, C, D, E, F] = [0, 1, 2, 3, 4, 5] as const
const registry: Registry = {
  upstreams: [
    { delaySeconds: 1, bytesPerSecond: 10 },
    { delaySeconds: 1, bytesPerSecond: 10 },
  ],
  sizes,
  images: [
    image(1, { base: true }),
    image(2, { base: true }),
    image(3, { tag: 7 }),
    image(4, { tag: 7 }),
    image(5, { upstream: 1 }),
    image(6),
  ],
}

let clockMs = 0
function pull(number: number, of: Partial<Pull> = {}): Pull {
  clockMs += 1000
  const asked = registry.images[number]?.blobs ?? []
  return { atMs: clockMs, image: number, byTag: true, asked, by: 'use', ...of }
}

const open = (limitBytes: number, options: Partial<ImageEdgeOptions> = {}) =>
  new ImageEdge(registry, { ...USUAL, policy: LRU, limitBytes, ...options })

const traceOf = (pulls: readonly Pull[]): Trace => ({
  name: 'by hand',
  registry,
  pulls,
  countedFromMs: 0,
})

const present = (edge: ImageEdge) => [A, B, C, D, E, F].filter(each => edge.isPresent(each))

t.test('a shared blob is fetched once, and leaves with the last image that lists it', async t => {
  const edge = open(70)
  t.equal(edge.pull(pull(A)).fetchedBytes, 60)
  t.equal(edge.pull(pull(B)).fetchedBytes, 10)
  t.equal(edge.freedBytes(A), 10, 'the base would stay')
  edge.pull(pull(C))
  t.same(present(edge), [B, C])
  t.equal(edge.usedBytes, 70)
  t.equal(edge.freedBytes(B), 60)
  edge.pull(pull(D))
  t.same(present(edge), [C, D])
  t.equal(edge.usedBytes, 20)
})

t.test('room is made before the bytes come, by other images than the one pulled', async t => {
  const edge = open(65)
  edge.pull(pull(A))
  edge.pull(pull(B))
  t.same(present(edge), [B], 'the base was needed for it and held')
  t.equal(edge.usedBytes, 60)
  t.equal(edge.evictions, 1)
})

t.test('a client that has all of an image uses it by asking for its manifest', async t => {
  const edge = open(30)
  for (const each of [C, D, E]) edge.pull(pull(each))
  t.match(edge.pull(pull(C, { asked: [] })), { fetchedBytes: 0, missed: false, whole: true })
  edge.pull(pull(F))
  t.same(present(edge), [C, E, F])
  edge.pull(pull(D, { asked: [] }))
  t.same(present(edge), [C, E, F], 'nothing comes for who asks for nothing')
})

t.test(
  'a base that no client asks for any more stays with its images, and goes as a blob',
  async t => {
    const pulls = [pull(A), pull(C), pull(D), pull(A, { asked: [1] }), pull(E), pull(A)]
    const images = replay(traceOf(pulls), open(80))
    t.match(images.at(-1), { fetchedBytes: 0, whole: true, half: false })
    const blobs = new BlobEdge(registry, { limitBytes: 80, prefetch: false })
    const seen = replay(traceOf(pulls), blobs)
    t.match(seen.at(-1), { fetchedBytes: 50, whole: false, half: true, missed: true })
  },
)

t.test('with the manifest the whole image is fetched, or what is asked for alone', async t => {
  const asked = [1]
  t.equal(open(100).pull(pull(A, { asked })).fetchedBytes, 60)
  const edge = open(100, { prefetch: false })
  t.match(edge.pull(pull(A, { asked })), { fetchedBytes: 10, waitedSeconds: 2 })
  t.match(edge.pull(pull(A)), { fetchedBytes: 50, whole: false, half: false }, 'it never was whole')
})

t.test('room for the rest of an image is not made by the image itself', async t => {
  const edge = open(65, { prefetch: false })
  for (const each of [pull(A, { asked: [1] }), pull(C), pull(A)]) edge.pull(each)
  t.same(present(edge), [A])
})

t.test('the edge of blobs evicts the least recently used one', async t => {
  const edge = new BlobEdge(registry, { limitBytes: 20, prefetch: true })
  const fetched = [C, D, C, F, C, D].map(each => edge.pull(pull(each)).fetchedBytes)
  t.same(fetched, [10, 10, 0, 10, 0, 10])
})

t.test('an image that is larger than the cache is passed on', async t => {
  const edge = open(55)
  edge.pull(pull(C))
  t.equal(edge.pull(pull(A)).fetchedBytes, 60)
  t.same(present(edge), [C])
})

t.test(
  'down to the low water mark, as many leave as it takes, and none while there is room',
  async t => {
    const edge = open(30, { lowWaterShare: 0.5 })
    for (const each of [C, D, E]) edge.pull(pull(each))
    t.same(present(edge), [C, D, E])
    edge.pull(pull(F))
    t.same(present(edge), [F], 'half of 30 has room for no other')
    t.match(edge, { batches: 1, evictions: 3 })
  },
)

t.test(
  'the previous image of a tag leaves in turn, or before its current one, or first',
  async t => {
    // C is what the tag was before it became D, and is used last, by its digest.
    const after = (pulls: readonly Pull[], previous: ImageEdgeOptions['previous']) => {
      const edge = open(30, { previous, policy: aged('aged', { halfLifeMs: 1 }) })
      for (const each of [...pulls, pull(C, { byTag: false }), pull(F)]) edge.pull(each)
      return present(edge)
    }
    const currentIsNext = () => [pull(C), pull(D), pull(E)]
    t.same(after(currentIsNext(), 'in turn'), [C, E, F])
    t.same(after(currentIsNext(), 'before their own'), [D, E, F])
    t.same(after(currentIsNext(), 'before all'), [D, E, F])
    const anotherIsNext = () => [pull(E), pull(C), pull(D)]
    t.same(after(anotherIsNext(), 'in turn'), [C, D, F])
    t.same(after(anotherIsNext(), 'before their own'), [C, D, F])
    t.same(after(anotherIsNext(), 'before all'), [D, E, F])
    t.same(after(anotherIsNext(), 'unless used since'), [C, D, F], 'C was used since')
    const edge = open(30, { previous: 'unless used since', policy: aged('aged') })
    for (const each of [pull(E), pull(C), pull(D), pull(F)]) edge.pull(each)
    t.same(present(edge), [D, E, F], 'here it was not')
  },
)

t.test('while an upstream is away its images leave last, and its pulls fail', async t => {
  const upTo = Number.POSITIVE_INFINITY
  const outage = { upstream: 1, fromMs: 0, untilMs: upTo, itsImagesLast: true }
  const gone = open(30, { outage })
  t.match(gone.pull(pull(E)), { failed: true, fetchedBytes: 0 })
  const edge = open(20, { outage: { ...outage, fromMs: clockMs + 1500 } })
  edge.pull(pull(E))
  edge.pull(pull(C))
  edge.pull(pull(D))
  t.same(present(edge), [D, E])
  const inTurn = open(20, { outage: { ...outage, fromMs: clockMs + 1500, itsImagesLast: false } })
  inTurn.pull(pull(E))
  inTurn.pull(pull(C))
  inTurn.pull(pull(D))
  t.same(present(inTurn), [C, D])
})

t.test(
  'after a restart queues in memory have what is here, in the order of its last use',
  async t => {
    const after = (restartsEveryMs: number) => {
      const edge = open(20, { policy: S3_FIFO, restartsEveryMs })
      for (const atMs of [1, 2, 3]) edge.pull(pull(C, { atMs }))
      for (const atMs of [4, 5]) edge.pull(pull(D, { atMs }))
      edge.pull(pull(E, { atMs: 100 }))
      return present(edge)
    }
    t.same(after(1000), [C, E], 'what was used twice has gone on to the main queue')
    t.same(after(50), [D, E], 'nobody knows any more how often it was used')
  },
)

t.test('no order fetches less than the least possible, which keeps what is used next', async t => {
  const pulls = [C, D, E, C, D, E, C].map(each => pull(each))
  const trace = traceOf(pulls)
  // Of three images in a cache of two, the third is not kept, and is fetched twice.
  t.equal(leastByteMiss(trace, { limitBytes: 20, prefetch: true }), 4 / 7)
  t.equal(figuresOf(trace, replay(trace, open(20))).byteMiss, 1, 'LRU always has the others')
  t.equal(leastByteMiss(trace, { limitBytes: 30, prefetch: true }), 3 / 7)
})

t.test('the footprint has each blob once, and figures leave out what fills the cache', async t => {
  const pulls = [pull(A), pull(B), pull(A), pull(C, { asked: [] })]
  t.equal(footprint(traceOf(pulls)), 70)
  const trace = { ...traceOf(pulls), countedFromMs: pulls[1]?.atMs ?? 0 }
  const figures = figuresOf(trace, replay(trace, open(100)))
  t.match(figures, { askedBytes: 120, fetchedBytes: 10, byteMiss: 1 / 12, imageMiss: 1 / 3 })
})
