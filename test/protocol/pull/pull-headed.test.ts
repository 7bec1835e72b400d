// Goal: who finds by a HEAD that he has an image already asks for nothing more, and the next
// client, while the upstream is away, is given it all the same when its bytes are here (R291).
// Method: the whole edge, restarted on the same data, before two stub registries with the same
// image.
import t from 'tap'
import { type PairOptions, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'

const AMD64 = makeImage({ seed: 'headed', layers: [1_000, 2_000] })
const ARM64 = makeImage({
  seed: 'headed',
  layers: [1_000, 3_000],
  platform: { architecture: 'arm64', os: 'linux' },
})
const INDEX = makeIndex([AMD64, ARM64])
const BLOBS = [AMD64.config, ...AMD64.layers]
const GONE = { status: 503 }

t.test(
  'R291: after a HEAD by a client that has the image from elsewhere, the next one is given it while the upstream is away',
  async t => {
    const [hub, other] = await Promise.all([startStubRegistry(), startStubRegistry()])
    t.teardown(() => Promise.all([hub.stop(), other.stop()]))
    hub.addImage('library/app', 'v1', INDEX)
    other.addImage('team/app', 'v1', INDEX)
    const upstreams = { 'docker.io': { url: hub.url }, 'ghcr.io': { url: other.url, ttl: '1m' } }
    const first = await startTestEdge(t, { upstreams })
    const at = '/v2/library/app'
    await first.get(`${at}/manifests/v1`)
    await first.get(`${at}/manifests/${AMD64.manifest.digest}`)
    for (const { digest } of BLOBS)
      t.match(await first.get(`${at}/blobs/${digest}`), { status: 200, complete: true })
    await first.stop()

    const config = { storage: { rootdirectory: first.dataDirectory } }
    const edge = await startTestEdge(t, { upstreams, config })
    const team = '/ghcr.io/team/app'
    const head = await edge.send('HEAD', `/v2${team}/manifests/v1`)
    t.match(head, { status: 200 })
    // Who asks now shares what is on its way.
    for (const { manifest } of [INDEX, AMD64]) {
      await other.untilCount({ reference: manifest.digest }, 1)
      t.match(await edge.get(`/v2${team}/manifests/${manifest.digest}`), { status: 200 })
    }
    t.equal(other.count({ method: 'GET', kind: 'manifest' }), 2)

    other.fault({}, GONE)
    await edge.clock.advance(3_600_000)
    const offline = await edge.settle(edge.get(`/v2${team}/manifests/v1`))
    t.match(offline, { status: 200 })
    t.ok(offline.body.equals(INDEX.manifest.bytes))
    const child = await edge.settle(edge.get(`/v2${team}/manifests/${AMD64.manifest.digest}`))
    t.match(child, { status: 200 })
    for (const { digest } of BLOBS) {
      const blob = await edge.settle(edge.get(`/v2${team}/blobs/${digest}`))
      t.match(blob, { status: 200, complete: true })
    }
    t.equal(other.count({ kind: 'blob' }), 0)
    t.equal(other.count({ reference: ARM64.manifest.digest }), 0, 'what nobody runs stays away')
  },
)

const LOOKS = 5

function heads(t: { teardown(fn: () => unknown): unknown }, options: PairOptions = {}) {
  return startPair(t, { images: { v1: INDEX, other: AMD64 }, ...options })
}

t.test('R291: however many ask by HEAD, the manifest is fetched once, and no blob', async t => {
  const { stub, edge } = await heads(t)
  const manifests = '/v2/library/app/manifests'
  const look = (reference: string) => edge.send('HEAD', `${manifests}/${reference}`)
  const references = ['v1', INDEX.manifest.digest]
  const answers = Array.from({ length: LOOKS }, () => references.map(look)).flat()
  for (const answer of await Promise.all(answers)) t.match(answer, { status: 200 })
  await stub.untilCount({ kind: 'manifest', method: 'GET' }, 1)
  t.match(await edge.get(`${manifests}/${INDEX.manifest.digest}`), { status: 200 })
  const before = stub.requests.length
  for (const answer of await Promise.all(references.map(look))) t.match(answer, { status: 200 })
  // What that could begin would be before this one.
  await look('other')
  await stub.untilCount({ kind: 'manifest', method: 'GET' }, 2)
  t.equal(stub.count({ method: 'GET', reference: INDEX.manifest.digest }), 1)
  t.equal(stub.count({ kind: 'blob' }), 0)
  t.equal(stub.requests.length, before + 2, 'what is here is asked for no more')
})

t.test('R291: nothing is fetched after a HEAD where that is not wanted', async t => {
  const { stub, edge } = await heads(t, { entry: { prefetch: false } })
  for (const tag of ['v1', 'other', 'v1'])
    t.match(await edge.send('HEAD', `/v2/library/app/manifests/${tag}`), { status: 200 })
  t.match(await edge.get('/v2/library/app/manifests/other'), { status: 200 })
  t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 1)
  t.equal(stub.count({ kind: 'manifest', method: 'GET', reference: INDEX.manifest.digest }), 0)
})
