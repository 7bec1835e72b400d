// Goal: the traces that orders are compared on are what is said of them: the same for a seed, bases
// shared, tags that move and share all but their last blobs, clients that ask for what they lack.
// Method: made traces are counted, and a registry log of a few requests is read.
import t from 'tap'
import { Chance, Zipf } from '../../../bench/eviction/chance.ts'
import { compare } from '../../../bench/eviction/questions.ts'
import { type LoggedRequest, traceOfRequests } from '../../../bench/eviction/registry-log.ts'
import { GrowingRegistry } from '../../../bench/eviction/registry.ts'
import { Machine } from '../../../bench/eviction/site.ts'
import { bytesOf } from '../../../bench/eviction/trace.ts'
import { TRACE_KINDS, makeTrace } from '../../../bench/eviction/traces.ts'

const kind = TRACE_KINDS.find(({ name }) => name === 'all') ?? TRACE_KINDS[0]

t.test('a seed makes the same trace again, another one another', async t => {
  if (kind === undefined) throw new Error('there is no kind of trace')
  const [one, again, other] = [1, 1, 2].map(seed => makeTrace(kind, seed))
  t.same(one?.pulls.slice(0, 1000), again?.pulls.slice(0, 1000))
  t.not(one?.registry.sizes[0], other?.registry.sizes[0])
  const times = one?.pulls.map(({ atMs }) => atMs) ?? []
  t.ok(times.every((atMs, at) => at === 0 || atMs >= (times[at - 1] ?? 0)))
  for (const by of ['use', 'scan', 'ci', 'release'])
    t.ok(
      one?.pulls.some(pull => pull.by === by),
      by,
    )
})

t.test(
  'an image that takes a tag over shares what the one before it had, but its last blobs',
  async t => {
    const registry = new GrowingRegistry(new Chance(1))
    const options = { periodDays: 1, platforms: 2, upstream: 0, times: 1 } as const
    const tag = registry.addTag(options)
    const blobsOn = (day: number, back = 0, platform = 0) =>
      registry.images[registry.imageOf({ tag, day, back, platform })]?.blobs ?? []
    t.same(blobsOn(3), blobsOn(3.5), 'for a day it is the same')
    t.same(blobsOn(4, 1), blobsOn(3))
    const shared = Array.from({ length: 40 }, (_, day) => {
      const before = new Set(blobsOn(day))
      const base = registry.baseOf(registry.imageOf({ tag, day: day + 1, back: 0, platform: 0 }))
      const own = blobsOn(day + 1).filter(blob => !base.includes(blob))
      return own.filter(blob => before.has(blob)).length / own.length
    })
    t.ok(shared.filter(share => share > 0.1).length > 20, 'mostly, beside the base')
    t.ok(shared.every(share => share < 1))
    const others = new Set(blobsOn(3, 0, 1))
    t.equal(blobsOn(3).filter(blob => others.has(blob)).length, 1, 'platforms share the index')
  },
)

t.test('a machine asks for what none of its images has, and forgets the oldest', async t => {
  const machine = new Machine()
  t.same(machine.pull(1, [10, 11]), [10, 11])
  t.same(machine.pull(2, [10, 12]), [12])
  t.same(machine.pull(1, [10, 11]), [])
  for (let image = 3; image < 32; image++) machine.pull(image, [100 + image])
  t.same(machine.pull(2, [10, 12]), [12], 'the thirty-first pushed it out')
  machine.clear()
  t.same(machine.pull(2, [10, 12]), [10, 12])
})

t.test('the first ranks are asked for most', async t => {
  const [chance, zipf] = [new Chance(1), new Zipf(100, 1)]
  const counts = Array.from({ length: 100 }, () => 0)
  for (let n = 0; n < 10_000; n++) {
    const rank = zipf.pick(chance)
    counts[rank] = (counts[rank] ?? 0) + 1
  }
  // One of 1 + 1/2 + … + 1/100 = 5.19.
  t.ok(Math.abs((counts[0] ?? 0) - 10_000 / 5.19) < 200)
  t.ok(counts.every(count => count > 0))
})

const request = (at: number, uri: string, of: Partial<LoggedRequest> = {}): LoggedRequest => ({
  timestamp: new Date(Date.UTC(2017, 5, 20) + at * 1000).toISOString(),
  'http.request.method': 'GET',
  'http.request.uri': uri,
  'http.request.remoteaddr': 'client',
  'http.response.status': 200,
  'http.response.written': 100,
  ...of,
})

t.test('a log becomes pulls: an image has what clients fetched after its manifest', async t => {
  const { registry, pulls } = traceOfRequests([
    request(2, 'v2/a/b/blobs/one', { 'http.response.written': 5000 }),
    request(1, 'v2/a/b/manifests/x'),
    request(3, 'v2/a/b/manifests/y'),
    request(4, 'v2/a/b/blobs/two', { 'http.response.written': 70 }),
    request(10, 'v2/a/b/manifests/x', { 'http.request.remoteaddr': 'other' }),
    request(11, 'v2/a/b/blobs/three', { 'http.request.remoteaddr': 'other' }),
    request(12, 'v2/a/b/blobs/one', { 'http.request.method': 'PUT' }),
    request(13, 'v2/a/b/blobs/four', { 'http.response.status': 404 }),
    request(14, 'v2/a/b/manifests/x', { 'http.request.method': 'HEAD' }),
    request(15, 'v2/a/b/blobs/five'),
    request(16, 'v2/a/b/manifests/z', { 'http.request.method': 'PUT' }),
    request(4000, 'v2/a/b/blobs/late'),
  ])
  t.same(
    pulls.map(({ image, asked }) => [image, bytesOf(registry, asked)]),
    [
      [0, 5000],
      [1, 170],
      [0, 100],
      [0, 0],
    ],
  )
  t.equal(bytesOf(registry, registry.images[0]?.blobs ?? []), 5200)
  t.equal(bytesOf(registry, registry.images[1]?.blobs ?? []), 270)
})

t.test('orders are compared on whatever trace is given, and no image is found half', async t => {
  const pulls = Array.from({ length: 60 }, (_, n) => [
    request(n * 100, `v2/a/b/manifests/${(n * 7) % 5}`),
    request(n * 100 + 1, `v2/a/b/blobs/${(n * 7) % 5}`),
    request(n * 100 + 2, 'v2/a/b/blobs/base'),
  ])
  const answer = compare(traceOfRequests(pulls.flat()))
  const half = answer['images found half'] ?? []
  t.ok(half.length > 0)
  t.ok(half.every(({ value }) => value === 0))
  const fetched = answer['1/2: fetched, % of asked'] ?? []
  const least = fetched.find(({ line }) => line === 'least possible')?.value ?? Number.NaN
  t.ok(fetched.every(({ value }) => value >= least))
})
