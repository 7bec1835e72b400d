// Goal: a tag that moved upstream does not take with it the image that is here whole: until the
// newer one can be fetched, an outage is answered with the older (R90, R91). Method: the whole edge
// in process over a counting stub, with a clock that the test moves.
import t, { type Test } from 'tap'
import { BLOBS, MANIFESTS, type Pair, startPair } from '../../kit/worlds/edge-over-stub.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'
import { get, type RawAnswer } from '../../kit/clients/raw-client.ts'
import { failure, tooManyRequests } from '../../kit/stubs/stub-faults.ts'

const [first, second, third] = ['first', 'second', 'third'].map((seed, at) =>
  makeImage({ seed, layers: [1_000 * (at + 1)] }),
) as [Image, Image, Image]
const TAG = `${MANIFESTS}/v1`
/** Nothing comes that nobody asks for: what is missing is what these tests are about. */
const ALONE = { ttl: '5m', prefetch: false }
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/** An edge that has the first image whole under the tag, and of others only what is asked for. */
async function startWhole(t: Test, entry: Record<string, unknown> = {}): Promise<Pair> {
  const pair = await startPair(t, { images: { v1: first }, entry: { ...ALONE, ...entry } })
  await pull(pair.edge, first)
  return pair
}

/**
 * As a client does, so that the edge can deliver all of it later; `fills` is how many blobs came
 * before.
 */
async function pull(edge: TestEdge, image: Image, fills = 0): Promise<void> {
  await edge.get(TAG)
  const blobs = [image.config, ...image.layers]
  for (const blob of blobs) await edge.get(`${BLOBS}/${blob.digest}`)
  // Clients have the last bytes before the disk has the blob.
  await edge.untilLogged('fill ended', fills + blobs.length)
}

const head = (edge: TestEdge) => get(`${edge.url}${TAG}`, {}, { method: 'HEAD' })

/** The tag moves to `image`, a day later, and one HEAD through the edge finds out. */
async function moveTo(t: Test, { edge, stub }: Pair, image: Image): Promise<void> {
  stub.addImage('library/app', 'v1', image)
  await edge.clock.advance(DAY_MS)
  digestIs(t, await head(edge), image)
}

function digestIs(t: Test, { headers }: RawAnswer, { manifest }: Image): void {
  t.equal(headers['docker-content-digest'], manifest.digest)
}

/** GET and HEAD give all of `image`, and say that it is not the newest. */
async function isStale(t: Test, edge: TestEdge, image: Image): Promise<void> {
  const whole = await edge.settle(edge.get(TAG))
  for (const answer of [whole, await edge.settle(head(edge))]) {
    t.match(answer, {
      status: 200,
      headers: {
        'x-entrepot-source': 'stale',
        'docker-content-digest': image.manifest.digest,
        warning: /^299 - "stale: docker\.io .*newer.* is not here/,
      },
    })
  }
  t.match(whole, { body: image.manifest.bytes })
  for (const { digest } of [image.config, ...image.layers])
    t.match(await edge.get(`${BLOBS}/${digest}`), { status: 200 })
}

/** Another process on the same data, as `entry` says. */
async function restarted(t: Test, { edge, stub }: Pair, entry: Record<string, unknown>) {
  await edge.settle(edge.stop())
  const directory = edge.dataDirectory.slice(0, -'/data'.length)
  return (
    await startPair(t, { entry: { url: stub.url, prefetch: false, ...entry }, edge: { directory } })
  ).edge
}

t.test('R91: a HEAD that saw the tag move leaves the image that is here for an outage', async t => {
  const pair = await startWhole(t)
  await moveTo(t, pair, second)
  await pair.stub.stop()
  await isStale(t, pair.edge, first)
  const answer = await pair.edge.settle(pair.edge.get(TAG))
  const ageMs = Number(answer.headers.age) * 1000
  t.ok(ageMs >= DAY_MS, 'its age counts from when the upstream last confirmed it')
  await pair.edge.clock.advance(DAY_MS)
  await isStale(t, pair.edge, first)
})

t.test(
  'R91: a HEAD in the background that saw the tag move leaves the image that is here, too',
  async t => {
    const { edge, stub } = await startWhole(t)
    stub.addImage('library/app', 'v1', second)
    await edge.clock.advance(310_000)
    digestIs(t, await edge.get(TAG), first)
    await edge.untilLogged('tag moved')
    await stub.stop()
    await isStale(t, edge, first)
  },
)

t.test('R91: a GET of the newer manifest alone leaves the image that is here, too', async t => {
  for (const how of ['HEAD first', 'GET alone']) {
    const { edge, stub } = await startWhole(t)
    // Where HEAD is refused, the GET that follows is what moves the tag.
    if (how === 'GET alone') stub.fault({ method: 'HEAD' }, failure(405, 'UNSUPPORTED'))
    stub.addImage('library/app', 'v1', second)
    await edge.clock.advance(DAY_MS)
    digestIs(t, await edge.get(TAG), second)
    await stub.stop()
    await edge.clock.advance(DAY_MS)
    await isStale(t, edge, first)
  }
})

t.test('R91: offline, the tag is the image that is here whole', async t => {
  const pair = await startWhole(t)
  await moveTo(t, pair, second)
  const asked = pair.stub.requests.length
  const offline = await restarted(t, pair, { offline: true })
  await isStale(t, offline, first)
  t.equal(pair.stub.requests.length, asked, 'nobody was asked')
  t.equal((await offline.get(`${MANIFESTS}/${second.manifest.digest}`)).status, 404)
})

t.test('R91: an index stands in when one of its platforms is whole', async t => {
  const index = makeIndex([first, third])
  const { edge, stub } = await startPair(t, { images: { v1: index }, entry: ALONE })
  await edge.get(TAG)
  await edge.get(`${MANIFESTS}/${first.manifest.digest}`)
  await pull(edge, first)
  await moveTo(t, { edge, stub }, second)
  await stub.stop()
  const stale = await edge.settle(edge.get(TAG))
  t.match(stale, {
    status: 200,
    headers: { 'x-entrepot-source': 'stale' },
    body: index.manifest.bytes,
  })
  t.equal((await edge.get(`${MANIFESTS}/${first.manifest.digest}`)).status, 200)
})

t.test('R90: once the upstream is back the tag is the newer image', async t => {
  const pair = await startWhole(t)
  const { edge, stub } = pair
  await moveTo(t, pair, second)
  stub.fault({}, failure(503))
  await isStale(t, edge, first)
  stub.clearFaults()
  await edge.clock.advance(DAY_MS)
  // The clock stands still: nobody waits too long for an upstream that answers.
  const answer = await edge.get(TAG)
  digestIs(t, answer, second)
  t.match(answer, { status: 200, body: second.manifest.bytes })
  t.notOk(answer.headers.warning)
})

t.test('R90: while the upstream answers the older image is never given', async t => {
  const pair = await startWhole(t)
  await moveTo(t, pair, second)
  for (let round = 0; round < 2; round += 1) digestIs(t, await pair.edge.get(TAG), second)
  digestIs(t, await head(pair.edge), second)
})

t.test('R90: a newer image that is here whole is the stale one', async t => {
  const pair = await startWhole(t)
  const { edge, stub } = pair
  await moveTo(t, pair, second)
  await pull(edge, second, 2)
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  const stale = await edge.settle(edge.get(TAG))
  t.match(stale.headers, { 'x-entrepot-source': 'stale' })
  digestIs(t, stale, second)
})

t.test('R89: what the upstream refuses is refused, whatever was here before', async t => {
  for (const [status, code, expected] of [
    [401, 'UNAUTHORIZED', 403],
    [403, 'DENIED', 403],
    [404, 'MANIFEST_UNKNOWN', 404],
  ] as const) {
    const pair = await startWhole(t)
    const { edge, stub } = pair
    await moveTo(t, pair, second)
    stub.fault({ kind: 'manifest' }, failure(status, code))
    t.equal((await edge.get(TAG)).status, expected, `${status}, fresh`)
    await edge.clock.advance(DAY_MS)
    t.equal((await edge.get(TAG)).status, expected, `${status}, expired`)
    t.equal((await head(edge)).status, expected, `${status}, HEAD`)
  }
})

t.test('R89: a tag that was deleted after it moved is not brought back by an outage', async t => {
  const pair = await startWhole(t)
  const { edge, stub } = pair
  await moveTo(t, pair, second)
  stub.deleteTag('library/app', 'v1')
  await edge.clock.advance(DAY_MS)
  t.equal((await edge.get(TAG)).status, 404)
  await stub.stop()
  await edge.clock.advance(DAY_MS)
  t.equal((await edge.settle(edge.get(TAG))).status, 503)
})

t.test('R89: a limit that lets HEAD through and not GET gives the older image', async t => {
  const pair = await startWhole(t)
  await moveTo(t, pair, second)
  pair.stub.fault({ kind: 'manifest', method: 'GET' }, tooManyRequests('errors', 3600))
  const limited = await pair.edge.settle(pair.edge.get(TAG))
  t.match(limited, { status: 200, headers: { 'x-entrepot-source': 'stale' } })
  digestIs(t, limited, first)
})

t.test('R89: past its own maxstale the older image is not given', async t => {
  const pair = await startWhole(t, { maxstale: '1h' })
  await moveTo(t, pair, second)
  await pair.stub.stop()
  await pair.edge.clock.advance(MINUTE_MS)
  t.equal((await pair.edge.settle(pair.edge.get(TAG))).status, 503)
})

t.test('a client waits five seconds at most for the newer image of a silent upstream', async t => {
  const pair = await startWhole(t)
  const { edge, stub } = pair
  await moveTo(t, pair, second)
  const heads = stub.count({ method: 'HEAD' })
  stub.fault({ kind: 'manifest' }, { stallHeaders: true })
  await edge.clock.advance(DAY_MS)
  const asked = edge.get(TAG)
  await edge.clock.untilSleeping(5_000)
  await stub.untilCount({ method: 'HEAD' }, heads + 1)
  await edge.clock.advance(5_000)
  digestIs(t, await asked, first)
})

t.test('R91: of two moves without a pull between, the image that is whole is kept', async t => {
  const pair = await startWhole(t)
  await moveTo(t, pair, second)
  await moveTo(t, pair, third)
  await pair.stub.stop()
  await isStale(t, pair.edge, first)
})

t.test('R91: without an image that is whole the outage is told as before', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: first }, entry: ALONE })
  await edge.get(TAG)
  await moveTo(t, { edge, stub }, second)
  await stub.stop()
  t.equal((await edge.settle(edge.get(TAG))).status, 503)
  t.equal((await edge.settle(head(edge))).status, 503)
})
