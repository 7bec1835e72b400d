// Goal: what answers to a made-up name cannot hold, by listing it, what others have here: neither
// by a manifest of its own nor by a copy of theirs. Method: the real catalog over the in-memory
// store; manifests of a registry that does not share, kept warm, beside images of one that does.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import { DOCKER_IO } from '../../../kit/engine.ts'
import {
  HOUR_MS,
  nameOf,
  openEvictionWorld,
  STRANGER as MADE_UP,
} from '../../../kit/worlds/eviction-world.ts'
import { type Document, type Image, makeImage } from '../../../kit/image.ts'

const KiB = 1024
const DAY_MS = 24 * HOUR_MS
const APP = 'docker.io/library/app'
const STRANGER = `${MADE_UP}/x`
const WARM = { apart: true, agoMs: HOUR_MS } as const

const imagesOf = (count: number) =>
  Array.from({ length: count }, (_, at) =>
    makeImage({ seed: `image ${at}`, layers: [100 * KiB, 100 * KiB] }),
  )

/** A manifest, or an index, that lists all that the images do. */
function listing(images: readonly Image[], kind: 'manifest' | 'index', made = 0): Document {
  const blobs = images.flatMap(({ config, layers }) => [config, ...layers])
  const listed = kind === 'manifest' ? blobs : [...images.map(({ manifest }) => manifest), ...blobs]
  const mediaType = `application/vnd.oci.image.${kind}.v1+json`
  const entries = listed.map(({ digest }) => {
    const layer = 'application/vnd.oci.image.layer.v1.tar+gzip'
    const child = 'application/vnd.oci.image.manifest.v1+json'
    return { mediaType: kind === 'manifest' ? layer : child, digest, size: 1 }
  })
  const own = kind === 'manifest' ? { config: entries[0], layers: entries } : { manifests: entries }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, made, ...own }))
  return { bytes, mediaType, digest: digestOf(bytes) }
}

for (const kind of ['manifest', 'index'] as const)
  t.test(
    `R383: ${kind === 'index' ? 'an index' : 'a manifest'} of a stranger that lists what others have holds none of it`,
    async t => {
      const world = await openEvictionWorld(t)
      const images = imagesOf(10)
      for (const [at, image] of images.entries())
        await world.pulled(APP, image, { agoMs: (20 - at) * DAY_MS })
      await world.given(STRANGER, listing(images, kind), WARM)
      const foretold = await world.foretold(250 * KiB)
      const { freedBytes, gone } = await world.evict(250 * KiB)
      t.strictSame(foretold, gone)
      t.same(
        gone.map(({ what }) => what),
        images.slice(0, 2).map(image => nameOf(APP, image)),
      )
      t.ok(freedBytes > 400 * KiB && freedBytes < 450 * KiB, `${freedBytes}`)
    },
  )

t.test('R383: nor do copies that a stranger has of manifests of others', async t => {
  const world = await openEvictionWorld(t)
  const images = imagesOf(10)
  for (const [at, image] of images.entries()) {
    await world.pulled(APP, image, { agoMs: (20 - at) * DAY_MS })
    await world.given(STRANGER, image.manifest, WARM)
  }
  const foretold = await world.foretold(250 * KiB)
  const { gone } = await world.evict(250 * KiB)
  t.strictSame(foretold, gone)
  t.same(
    gone.map(({ what }) => what),
    images.slice(0, 2).map(image => nameOf(APP, image)),
  )
  for (const [at, { manifest, layers }] of images.entries()) {
    t.ok(world.disk.blobs.has(manifest.digest), 'it has been given this')
    for (const { digest } of layers) t.equal(world.disk.blobs.has(digest), at >= 2)
  }
})

t.test('an image of a registry that does not share holds what that has delivered', async t => {
  const world = await openEvictionWorld(t)
  const [image, cold] = imagesOf(2) as [Image, Image]
  await world.pulled(APP, image, { agoMs: 9 * DAY_MS })
  await world.pulled(STRANGER, image, WARM)
  // The same registry has it under another name, from which nobody had to fetch it.
  await world.pulled('made-up.example/other', cold, { ...WARM, agoMs: 8 * DAY_MS })
  await world.given(STRANGER, cold.manifest, WARM)
  const both = [
    { repository: parseRepositoryKey(APP), digest: image.manifest.digest },
    { repository: parseRepositoryKey('made-up.example/other'), digest: cold.manifest.digest },
  ]
  t.match(await world.catalog.footprint(both), { digests: [], freedBytes: 0 })
  for (const each of both) await world.catalog.evictImage({ ...each, reason: 'evicted', atMs: 1 })
  t.strictSame(await world.catalog.listLeaving({ limit: 9 }), [])
  t.strictSame(await world.catalog.listLoose({ limit: 9 }), [])
})

t.test('R383: nor by being asked, for as long as it likes, for what others have here', async t => {
  const world = await openEvictionWorld(t)
  const layers = [100 * KiB, 100 * KiB]
  const [cold, warm] = [
    makeImage({ seed: 'base', layers }),
    makeImage({ seed: 'base', layers: [...layers, 100 * KiB] }),
  ]
  await world.pulled(APP, cold, { agoMs: 20 * DAY_MS })
  await world.pulled(APP, warm, { agoMs: 10 * DAY_MS })
  const base = cold.layers[0]?.digest as Digest
  const fetched = world.inUse.fill(base, { from: DOCKER_IO })
  t.same((await world.evict(1)).gone, [], 'it may be about to come for these')
  fetched()
  await world.clock.advance(10_000)
  for (const each of [base, cold.config.digest])
    world.inUse.fill(each, { from: MADE_UP, apart: true })
  t.match((await world.evict(1)).gone, [{ what: nameOf(APP, cold) }])
})

t.test('R383: nor does what it sent outlast what others have here by its silence', async t => {
  const world = await openEvictionWorld(t, { away: [MADE_UP] })
  const [theirs, ours] = imagesOf(2) as [Image, Image]
  await world.pulled(STRANGER, theirs, { apart: true, agoMs: 20 * DAY_MS })
  await world.pulled(APP, ours, { agoMs: 10 * DAY_MS })
  t.match((await world.evict(100 * KiB)).gone, [{ what: nameOf(STRANGER, theirs) }])
})

t.test(
  'R332: where files are few, very many tiny manifests of a stranger go, and no large layers',
  async t => {
    const world = await openEvictionWorld(t)
    const images = imagesOf(4)
    for (const [at, image] of images.entries())
      await world.pulled(APP, image, { agoMs: (20 - at) * DAY_MS })
    const tiny = Array.from({ length: 40 }, (_, at) => listing([], 'index', at))
    for (const manifest of tiny) await world.given(STRANGER, manifest, { apart: true, agoMs: 1 })
    const { contentBytes, blobs, manifests } = await world.catalog.totals()
    const bytesEach = Math.ceil(contentBytes / (blobs + manifests))
    const make = (count: number) =>
      world.evictor.makeFiles({ count, bytesEach }, new AbortController().signal)
    const here = (of: readonly Document[]) =>
      of.filter(({ digest }) => world.disk.blobs.has(digest)).length
    t.equal(await make(30), 30 * 4 * KiB)
    t.same([here(tiny), here(images.map(({ manifest }) => manifest))], [10, 4])
    t.ok((await make(14)) > 200 * KiB, 'what is left of them is too few')
    t.same([here(tiny), here(images.map(({ manifest }) => manifest))], [0, 3])
  },
)
