// Goal: a tag is today's while its upstream answers, stale with a warning while it fails, and gone
// when it says so (R88–R95). Method: the whole edge in process over a counting stub, with a clock
// that the test moves.
import t from 'tap'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { failure, tooManyRequests } from '../../kit/stubs/stub-faults.ts'

const first = makeImage({ seed: 'first', layers: [1_000] })
const second = makeImage({ seed: 'second', layers: [2_000] })
const TAG = `${MANIFESTS}/v1`
const DAY_MS = 86_400_000

const started = (t: Parameters<typeof startPair>[0], entry: Record<string, unknown> = {}) =>
  // What nobody asks for stays away.
  startPair(t, { images: { v1: first }, entry: { ttl: '5m', prefetch: false, ...entry } })

/** As a client does, so that the edge can deliver all of it later. */
async function pull(edge: TestEdge, image: Image, reference = 'v1'): Promise<void> {
  await edge.get(`${MANIFESTS}/${reference}`)
  const blobs = [image.config, ...image.layers]
  for (const blob of blobs) await edge.get(`${BLOBS}/${blob.digest}`)
  // Clients have the last bytes before the disk has the blob.
  await edge.untilLogged('fill ended', blobs.length)
}

const digestOf = (answer: { headers: Readonly<Record<string, string>> }) =>
  answer.headers['docker-content-digest']

t.test(
  'R88: within its ttl a tag is given without asking; after it by one HEAD, and a GET only when it moved',
  async t => {
    const { edge, stub } = await started(t)
    await edge.get(TAG)
    await edge.clock.advance(299_000)
    await edge.get(TAG)
    t.equal(stub.count({ kind: 'manifest' }), 1, 'fresh')
    await edge.clock.advance(DAY_MS)
    await edge.get(TAG)
    t.match(
      [stub.count({ method: 'HEAD' }), stub.count({ kind: 'manifest', method: 'GET' })],
      [1, 1],
      'not moved',
    )
    stub.addImage('library/app', 'v1', second)
    await edge.clock.advance(DAY_MS)
    t.equal(digestOf(await edge.get(TAG)), second.manifest.digest)
    t.match(
      [stub.count({ method: 'HEAD' }), stub.count({ kind: 'manifest', method: 'GET' })],
      [2, 2],
      'moved',
    )
  },
)

t.test('R88: concurrent clients of an expired tag share one HEAD', async t => {
  const { edge, stub } = await started(t)
  await edge.get(TAG)
  await edge.clock.advance(DAY_MS)
  await Promise.all(Array.from({ length: 20 }, () => edge.get(TAG)))
  t.equal(stub.count({ method: 'HEAD' }), 1)
})

t.test(
  'in the grace after its ttl the old answer comes at once, and the next client sees the new one',
  async t => {
    const { edge, stub } = await started(t)
    await edge.get(TAG)
    stub.addImage('library/app', 'v1', second)
    await edge.clock.advance(310_000)
    t.equal(digestOf(await edge.get(TAG)), first.manifest.digest)
    await edge.untilLogged('tag moved')
    t.equal(digestOf(await edge.get(TAG)), second.manifest.digest)
  },
)

t.test('ttl: 0 asks always, and the answer carries its age', async t => {
  const { edge, stub } = await started(t, { ttl: '0' })
  for (let round = 0; round < 3; round += 1) t.match((await edge.get(TAG)).headers, { age: '0' })
  t.equal(stub.count({ kind: 'manifest' }), 3)
})

t.test(
  'R89: while the upstream is unreachable, limited or failing, the old answer comes with a warning',
  async t => {
    for (const fault of [
      failure(500),
      failure(503),
      tooManyRequests('errors', 3600),
      { dropConnection: true } as const,
    ]) {
      const { edge, stub } = await started(t)
      await pull(edge, first)
      stub.fault({ kind: 'manifest' }, fault)
      await edge.clock.advance(DAY_MS)
      const stale = await edge.settle(edge.get(TAG))
      t.match(stale, {
        status: 200,
        headers: { 'x-entrepot-source': 'stale', warning: /^299 - "stale: docker\.io/ },
      })
      t.equal(digestOf(stale), first.manifest.digest)
      t.ok(Number(stale.headers.age) >= DAY_MS / 1000)
    }
  },
)

t.test('R89: 401, 403 and 404 of the upstream are never masked by what is known', async t => {
  for (const [status, code, expected] of [
    [401, 'UNAUTHORIZED', 403],
    [403, 'DENIED', 403],
    [404, 'MANIFEST_UNKNOWN', 404],
  ] as const) {
    const { edge, stub } = await started(t)
    await edge.get(TAG)
    stub.fault({ kind: 'manifest' }, failure(status, code))
    await edge.clock.advance(DAY_MS)
    // The clock stands still: nobody waits too long for an upstream that answers.
    t.equal((await edge.get(TAG)).status, expected, `upstream ${status}`)
  }
})

t.test('R89: past maxstale nothing old is given', async t => {
  const { edge, stub } = await started(t, { maxstale: '1h' })
  await edge.get(TAG)
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  t.match(await edge.settle(edge.get(TAG)), { status: 503, headers: { 'retry-after': /^\d+$/ } })
})

t.test('a client waits five seconds at most for an upstream that does not answer', async t => {
  const { edge, stub } = await started(t)
  await pull(edge, first)
  stub.fault({ kind: 'manifest' }, { stallHeaders: true })
  await edge.clock.advance(DAY_MS)
  const asked = edge.get(TAG)
  await edge.clock.untilSleeping(5_000)
  await stub.untilCount({ method: 'HEAD' }, 1)
  await edge.clock.advance(5_000)
  t.match((await asked).headers, { 'x-entrepot-source': 'stale' })
})

t.test(
  'R91: a stale manifest whose blobs are not all here is not given: the outage is told instead',
  async t => {
    const { edge, stub } = await started(t)
    await edge.get(TAG)
    await stub.stop()
    await edge.clock.advance(DAY_MS)
    t.equal((await edge.settle(edge.get(TAG))).status, 503)
  },
)

t.test('R91: HEAD of a stale manifest tells the same outage as GET', async t => {
  const { edge, stub } = await started(t)
  await edge.get(TAG)
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  const head = get(`${edge.url}${TAG}`, {}, { method: 'HEAD' })
  t.equal((await edge.settle(head)).status, 503)
})

t.test(
  'a tag whose known manifest is gone upstream before it came here is asked for anew',
  async t => {
    const { edge, stub } = await started(t)
    await get(`${edge.url}${TAG}`, {}, { method: 'HEAD' })
    stub.addImage('library/app', 'v1', second)
    stub.deleteManifest('library/app', first.manifest.digest)
    t.match(await edge.get(TAG), { status: 200, body: second.manifest.bytes })
  },
)

t.test('a tag that was deleted upstream is 404 after its ttl, and stays so', async t => {
  const { edge, stub } = await started(t)
  await edge.get(TAG)
  stub.deleteTag('library/app', 'v1')
  await edge.clock.advance(DAY_MS)
  t.equal((await edge.get(TAG)).status, 404)
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  t.equal((await edge.settle(edge.get(TAG))).status, 503, 'it is not brought back by an outage')
})

t.test('R90: a pull that began with the old digest can go on after the tag moved', async t => {
  const { edge, stub } = await started(t, { ttl: '0' })
  await edge.get(TAG)
  stub.addImage('library/app', 'v1', second)
  await edge.get(TAG)
  t.equal((await edge.get(`${MANIFESTS}/${first.manifest.digest}`)).status, 200)
  t.equal((await edge.get(`${BLOBS}/${first.layers[0]?.digest}`)).status, 200)
})

t.test(
  'R91: offline, a manifest whose blobs are not all here is 404; with them it is served',
  async t => {
    const { edge, stub } = await started(t)
    await edge.get(TAG)
    await edge.get(`${BLOBS}/${first.config.digest}`)
    await edge.settle(edge.stop())
    const directory = edge.dataDirectory.slice(0, -'/data'.length)
    const offline = () =>
      startPair(t, { entry: { url: stub.url, offline: true }, edge: { directory } })
    const without = await offline()
    for (const reference of ['v1', first.manifest.digest]) {
      const refused = await without.edge.get(`${MANIFESTS}/${reference}`)
      t.match(refused, { status: 404 }, reference)
      t.match(refused.body.toString(), /configured offline, and not everything/)
    }
    await without.edge.settle(without.edge.stop())
    const entry = { url: stub.url, prefetch: false }
    const online = await startPair(t, { entry, edge: { directory } })
    await online.edge.get(`${BLOBS}/${first.layers[0]?.digest}`)
    await online.edge.untilLogged('fill ended')
    await online.edge.settle(online.edge.stop())
    const asked = stub.requests.length
    const whole = await offline()
    t.equal((await whole.edge.get(TAG)).status, 200)
    t.equal((await get(`${whole.edge.url}${TAG}`, {}, { method: 'HEAD' })).status, 200)
    t.equal((await whole.edge.get(`${MANIFESTS}/v2`)).status, 404)
    t.equal(stub.requests.length, asked, 'nobody was asked')
  },
)

t.test('R91: offline, an index is served when one of its platforms is whole', async t => {
  const index = makeIndex([first, second])
  const { edge } = await startPair(t, { images: { v1: index }, entry: { prefetch: false } })
  await edge.get(TAG)
  await pull(edge, second, second.manifest.digest)
  await edge.settle(edge.stop())
  const directory = edge.dataDirectory.slice(0, -'/data'.length)
  const offline = await startPair(t, { entry: { offline: true }, edge: { directory } })
  t.equal((await offline.edge.get(TAG)).status, 200)
  t.equal((await offline.edge.get(`${MANIFESTS}/${second.manifest.digest}`)).status, 200)
  t.equal((await offline.edge.get(`${MANIFESTS}/${first.manifest.digest}`)).status, 404)
})

t.test(
  'R92: what a failing upstream becomes on a cold tag: never 401, never 404 for a limit or an outage',
  async t => {
    const table = [
      [failure(404, 'MANIFEST_UNKNOWN'), 404],
      [failure(401, 'UNAUTHORIZED'), 403],
      [failure(403, 'DENIED'), 403],
      [tooManyRequests('errors', 5), 429],
      [tooManyRequests('message', 3600), 503],
      [tooManyRequests('text'), 503],
      [failure(500), 503],
      [failure(503), 503],
      [{ dropConnection: true }, 503],
      [{ flipAt: 3 }, 502],
    ] as const
    for (const [fault, expected] of table) {
      const { edge, stub } = await started(t)
      stub.fault({ kind: 'manifest' }, fault)
      const answer = await edge.settle(edge.get(TAG))
      t.equal(answer.status, expected, JSON.stringify(fault))
      t.match(answer.headers, { 'content-type': /^application\/json/ })
      if (expected === 429 || expected === 503)
        t.match(answer.headers, { 'retry-after': /^\d+$/ }, 'R124')
    }
  },
)

t.test(
  'R93: once an upstream is known to be down, a miss is answered without asking it',
  async t => {
    const { edge, stub } = await started(t)
    stub.fault({}, failure(503))
    for (let round = 0; round < 6; round += 1) await edge.settle(edge.get(`${MANIFESTS}/r${round}`))
    const asked = stub.requests.length
    t.match(await edge.get(`${MANIFESTS}/once-more`), { status: 503 })
    t.equal(stub.requests.length, asked)
    t.equal((await edge.get('/v2/')).status, 200, 'R2')
  },
)

t.test('R94: a 404 is remembered for half a minute, other refusals are not', async t => {
  const { edge, stub } = await started(t)
  for (let round = 0; round < 3; round += 1) await edge.get(`${MANIFESTS}/gone`)
  t.equal(stub.count({ reference: 'gone' }), 1)
  stub.fault({ reference: 'closed' }, failure(403, 'DENIED'))
  for (let round = 0; round < 3; round += 1) await edge.settle(edge.get(`${MANIFESTS}/closed`))
  t.ok(stub.count({ reference: 'closed' }) >= 3)
  await edge.clock.advance(31_000)
  stub.addImage('library/app', 'gone', second)
  t.equal((await edge.get(`${MANIFESTS}/gone`)).status, 200, 'R81: seen soon after it was pushed')
})

t.test(
  'R94, R81: what is asked for every ten seconds is seen half a minute after its push',
  async t => {
    const { edge, stub } = await started(t)
    const missing = makeImage({ seed: 'polled', layers: [10] })
    const [layer] = missing.layers
    const paths = [
      `${MANIFESTS}/polled`,
      `${MANIFESTS}/${missing.manifest.digest}`,
      `${BLOBS}/${layer?.digest}`,
    ]
    const poll = () => Promise.all(paths.map(async path => (await edge.get(path)).status))
    t.same(await poll(), [404, 404, 404])
    for (let round = 0; round < 2; round += 1) {
      await edge.clock.advance(10_000)
      t.same(await poll(), [404, 404, 404])
    }
    stub.addImage('library/app', 'polled', missing)
    for (let round = 0; round < 3; round += 1) {
      await edge.clock.advance(10_000)
      await poll()
    }
    t.same(await poll(), [200, 200, 200])
  },
)

t.test('R95: an index does not bring the manifests of its platforms along', async t => {
  const index = makeIndex([first, second])
  const { edge, stub } = await startPair(t, { images: { v1: index } })
  await edge.get(TAG)
  t.equal(stub.count({ kind: 'manifest' }), 1)
})

const staleReason = (edge: TestEdge) =>
  edge.lines().find(({ msg }) => msg === 'served stale because the upstream failed')?.['reason']

t.test('R262: while nobody is there the old answer comes at once, with the reason', async t => {
  const { edge, stub } = await started(t)
  await pull(edge, first)
  const tags = await edge.get('/v2/library/app/tags/list')
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  // The clock stands still: neither a second try nor a limit is waited for.
  t.match(await edge.get(TAG), { status: 200, headers: { 'x-entrepot-source': 'stale' } })
  t.match(staleReason(edge), /refused/)
  t.match(await edge.get('/v2/library/app/tags/list'), { status: 200, body: tags.body })
  t.match(await get(`${edge.url}${TAG}`, {}, { method: 'HEAD' }), { status: 200 })
})

t.test('R262: who cannot be given an old answer waits for second tries', async t => {
  const { edge, stub } = await started(t)
  await pull(edge, first)
  await stub.stop()
  const cold = edge.get(`${MANIFESTS}/v2`)
  await edge.clock.untilSleeping(1_000)
  t.equal((await edge.settle(cold)).status, 503)
})

t.test('R262: after five seconds of failures the last of them is the reason', async t => {
  const { edge, stub } = await started(t)
  await pull(edge, first)
  stub.fault({ kind: 'manifest' }, failure(503))
  await edge.clock.advance(DAY_MS)
  t.match((await edge.settle(edge.get(TAG))).headers, { 'x-entrepot-source': 'stale' })
  t.match(staleReason(edge), /answered 503/)
  t.ok(stub.count({ method: 'HEAD' }) > 1, 'it was asked again')
})
