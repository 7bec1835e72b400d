// Goal: a mirror that gives other bytes than it was asked for does not keep from clients what its
// registry has (R260). Method: the whole edge before a mirror that lies and a registry that does
// not.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { BLOBS, MANIFESTS } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { document, type Image, makeImage, MEDIA_TYPES } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { type Fault, failure } from '../../kit/stubs/stub-faults.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'mirrored', layers: [100_000] })
const OTHER = makeImage({ seed: 'other', layers: [50_000] })
const [LAYER = IMAGE.config] = IMAGE.layers
const BLOB = `${BLOBS}/${LAYER.digest}`

async function start(t: Parameters<typeof startTestEdge>[0]) {
  const mirror = await startStubRegistry()
  const origin = await startStubRegistry()
  t.teardown(() => Promise.all([mirror.stop(), origin.stop()]))
  const images: readonly (readonly [string, Image])[] = [
    ['v1', IMAGE],
    ['v2', OTHER],
  ]
  for (const stub of [mirror, origin])
    for (const [tag, image] of images) stub.addImage('library/app', tag, image)
  const entry = { url: origin.url, mirrors: [mirror.url], prefetch: false }
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': entry } })
  const warned = () => edge.lines().filter(({ msg }) => msg === 'a mirror is left out for a while')
  return { mirror, origin, edge, warned }
}

t.test('R260: after a blob with other bytes than it should have the registry is asked', async t => {
  const { mirror, origin, edge, warned } = await start(t)
  await edge.get(`${MANIFESTS}/v1`)
  mirror.fault({ digest: LAYER.digest }, { flipAt: 50_000 })
  // Most of it is with the client when its digest is known.
  const broken = await edge.settle(edge.get(BLOB).catch(() => undefined))
  t.not(broken?.complete, true)
  await edge.settle(edge.untilLogged('fill failed'))
  const answer = await edge.settle(edge.get(BLOB))
  t.match(answer, { status: 200, complete: true, body: LAYER.bytes() })
  t.equal(origin.count({ digest: LAYER.digest }), 1)
  t.match(warned(), [{ registry: 'docker.io', hint: /mirror/ }])
  const asked = mirror.count()
  await edge.get(`${MANIFESTS}/v2`)
  t.equal(mirror.count(), asked, 'and it is not asked for anything')
  mirror.clearFaults()
  await edge.clock.advance(600_000)
  await edge.get(`${BLOBS}/${OTHER.config.digest}`)
  t.equal(mirror.count(), asked + 1, 'for a while')
})

const WRONG_LENGTHS: Readonly<Record<string, Fault>> = {
  shorter: { missingBytes: 10 },
  longer: { extraBytes: 10 },
}

for (const [name, fault] of Object.entries(WRONG_LENGTHS)) {
  t.test(`R260: a blob that is ${name} than its manifest says comes from the registry`, async t => {
    const { mirror, origin, edge, warned } = await start(t)
    await edge.get(`${MANIFESTS}/v1`)
    mirror.fault({ digest: LAYER.digest }, fault)
    const answer = await edge.settle(edge.get(BLOB))
    t.match(answer, { status: 200, complete: true, body: LAYER.bytes() }, 'to the first client')
    t.equal(mirror.count({ digest: LAYER.digest }), 1)
    t.equal(origin.count({ digest: LAYER.digest }), 1)
    t.same(warned(), [], 'it may be the manifest that is wrong')
    await edge.settle(edge.get(`${BLOBS}/${OTHER.config.digest}`))
    t.equal(mirror.count({ digest: OTHER.config.digest }), 1, 'the mirror is asked as before')
  })
}

/** The image, but for the length that its manifest gives its layer. */
function lying(size: number) {
  const members = JSON.parse(String(IMAGE.manifest.bytes)) as { layers: object[] }
  const layers = members.layers.map(each => ({ ...each, size }))
  return document(IMAGE.manifest.mediaType, { ...members, layers })
}

for (const size of [1_000, 9_000_000]) {
  t.test(
    `R260: where the registry says what its mirror says, a manifest is wrong: ${size}`,
    async t => {
      const { mirror, origin, edge, warned } = await start(t)
      for (const stub of [mirror, origin]) stub.addDocument('library/app', 'wrong', lying(size))
      await edge.get(`${MANIFESTS}/wrong`)
      const answer = await edge.settle(edge.get(BLOB))
      t.match(answer, { status: 200, complete: true, body: LAYER.bytes() })
      t.equal(origin.count({ digest: LAYER.digest }), 1)
      t.same(warned(), [])
    },
  )

  t.test(
    `R260: where only the mirror can be asked, the digest judges its word: ${size}`,
    async t => {
      const { mirror, origin, edge, warned } = await start(t)
      mirror.addDocument('library/app', 'wrong', lying(size))
      await edge.get(`${MANIFESTS}/wrong`)
      origin.fault({}, failure(503, 'UNAVAILABLE'))
      const answer = await edge.settle(edge.get(BLOB))
      t.match(answer, { status: 200, complete: true, body: LAYER.bytes() })
      t.same(warned(), [])
    },
  )

  t.test(`R260: a mirror that tells no length speaks for no wrong manifest: ${size}`, async t => {
    const { mirror, origin, edge, warned } = await start(t)
    for (const stub of [mirror, origin]) stub.addDocument('library/app', 'wrong', lying(size))
    await edge.get(`${MANIFESTS}/wrong`)
    mirror.fault({ kind: 'blob' }, { chunked: true })
    const answer = await edge.settle(edge.get(BLOB))
    t.match(answer, { status: 200, complete: true, body: LAYER.bytes() })
    t.equal(origin.count({ kind: 'blob' }), 1, 'who says how long it is')
    t.same(warned(), [])
  })
}

const WRONG_MANIFESTS: readonly (readonly [string, string, Fault])[] = [
  ['by tag', 'v1', { flipAt: 20 }],
  ['by digest', IMAGE.manifest.digest, { flipAt: 20 }],
]

for (const [name, reference, fault] of WRONG_MANIFESTS) {
  t.test(`R260: a wrong manifest ${name} is asked of the registry`, async t => {
    const { mirror, origin, edge, warned } = await start(t)
    mirror.fault({ reference }, fault)
    const answer = await edge.get(`${MANIFESTS}/${reference}`)
    t.match(answer, { status: 200, body: IMAGE.manifest.bytes })
    t.equal(origin.count({ kind: 'manifest' }), 1)
    t.equal(warned().length, 1)
  })
}

/** A member twice: bytes that hash to their digest, and that this edge refuses. */
const ODD_BYTES = Buffer.from('{"schemaVersion":2,"schemaVersion":2}')
const ODD = {
  digest: digestOf(ODD_BYTES),
  mediaType: MEDIA_TYPES.oci.manifest,
  bytes: ODD_BYTES,
}

for (const [name, reference] of [
  ['by tag', 'odd'],
  ['by digest', ODD.digest],
] as const) {
  t.test(`R260: a manifest ${name} that this edge refuses is not laid to the mirror`, async t => {
    const { mirror, origin, edge, warned } = await start(t)
    for (const stub of [mirror, origin]) stub.addDocument('library/app', 'odd', ODD)
    t.match(await edge.get(`${MANIFESTS}/${reference}`), { status: 502 })
    t.equal(origin.count({ kind: 'manifest' }), 1, 'the registry says whether it is so')
    t.same(warned(), [])
    const asked = origin.count()
    t.match(await edge.get(`${MANIFESTS}/v1`), { status: 200, body: IMAGE.manifest.bytes })
    t.equal(origin.count(), asked, 'the mirror is asked as before')
  })
}

t.test(
  'R260: what a mirror has under a tag and this edge refuses comes from the registry',
  async t => {
    const { mirror, origin, edge, warned } = await start(t)
    // What was there before its publisher put it right.
    mirror.addDocument('library/app', 'v1', ODD)
    for (let at = 0; at < 2; at += 1) {
      const answer = await edge.get(`${MANIFESTS}/v1`)
      t.match(answer, { status: 200, body: IMAGE.manifest.bytes })
    }
    t.equal(origin.count({ kind: 'manifest' }), 1)
    t.same(warned(), [], 'a mirror may lag behind')
  },
)

t.test('R260: a registry that lies itself is asked once', async t => {
  const { mirror, origin, edge, warned } = await start(t)
  mirror.fault({}, failure(404, 'MANIFEST_UNKNOWN'))
  origin.fault({ kind: 'manifest' }, { flipAt: 20 })
  t.match(await edge.get(`${MANIFESTS}/v1`), { status: 502 })
  t.equal(origin.count(), 1)
  t.same(warned(), [])
  const head = get(`${edge.url}${MANIFESTS}/v2`, {}, { method: 'HEAD' })
  t.equal((await head).status, 200)
  t.ok(mirror.count() > 1, 'the mirror has given nothing wrong')
})
