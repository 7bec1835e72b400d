// Goal: a quota decides what leaves first and what is left alone, and refuses nothing. Method: the
// real catalog over the in-memory store, with images of two upstreams and of several repositories.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { patternBlob } from '../../../kit/content.ts'
import { HOUR_MS, nameOf, openEvictionWorld, STRANGER } from '../../../kit/worlds/eviction-world.ts'
import { type Image, makeImage, makeIndex } from '../../../kit/image.ts'

const KiB = 1024
const APP = 'docker.io/library/app'
const OTHER = 'ghcr.io/team/other'

const imagesNamed = (name: string, count: number): readonly Image[] =>
  Array.from({ length: count }, (_, at) => makeImage({ seed: `${name} ${at}`, layers: [92 * KiB] }))
/** With a manifest and a configuration, in whole blocks. */
const IMAGE_BYTES = 100 * KiB
const bytes = (count: number) => ({ kind: 'bytes', bytes: count * IMAGE_BYTES }) as const

t.test('R377: what is above its ceiling leaves, its coldest first, whoever needs room', async t => {
  const world = await openEvictionWorld(t, { quotas: { 'ghcr.io': { ceiling: bytes(2) } } })
  const others = imagesNamed('other', 5)
  // Younger than all of docker.io.
  for (const [at, image] of others.entries())
    await world.pulled(OTHER, image, { agoMs: (9 - at) * HOUR_MS })
  for (const image of imagesNamed('app', 3)) await world.pulled(APP, image, { agoMs: 99 * HOUR_MS })
  const { gone } = await world.evict(IMAGE_BYTES)
  t.match(gone, [{ what: nameOf(OTHER, others[0] as Image), reason: /^above its quota/ }])
  t.same(
    (await world.trimmed(0)).map(({ what }) => what),
    others.slice(1, 3).map(image => nameOf(OTHER, image)),
    'and without need of room down to the ceiling',
  )
  t.same(await world.trimmed(0), [])
  const evicted = world.events.filter(({ kind }) => kind === 'evicted')
  t.match(evicted, [{ why: 'room' }, { why: 'quota', images: 2 }])
})

t.test('R377: what is above a ceiling stays while its upstream is away', async t => {
  const world = await openEvictionWorld(t, {
    away: ['ghcr.io'],
    quotas: { 'ghcr.io': { ceiling: bytes(1) } },
  })
  for (const image of imagesNamed('other', 3)) await world.pulled(OTHER, image)
  t.same(await world.trimmed(0), [])
  t.equal((await world.evict(IMAGE_BYTES)).gone.length, 1, 'unless there is no other room')
})

t.test(
  'R378: what is within its floor stays when others need room, and not for its own',
  async t => {
    const world = await openEvictionWorld(t, { quotas: { 'ghcr.io': { floor: bytes(2) } } })
    const others = imagesNamed('other', 3)
    for (const [at, image] of others.entries())
      await world.pulled(OTHER, image, { agoMs: (99 - at) * HOUR_MS })
    for (const image of imagesNamed('app', 2)) await world.pulled(APP, image, { agoMs: HOUR_MS })
    const { gone, freedBytes } = await world.evict(5 * IMAGE_BYTES, APP)
    t.same(
      gone.filter(({ what }) => what.startsWith('ghcr.io')).map(({ what }) => what),
      [nameOf(OTHER, others[0] as Image)],
      'down to the floor and no further',
    )
    t.equal(freedBytes, 3 * IMAGE_BYTES)
    t.match(world.events.at(-1), { kind: 'nothing evictable' })
    t.ok((await world.evictor.evictableBytes()) === 0)
    t.ok((await world.evictor.evictableBytes(parseRepositoryKey(OTHER))) >= IMAGE_BYTES)
    t.match((await world.evict(IMAGE_BYTES, OTHER)).gone, [
      { what: nameOf(OTHER, others[1] as Image) },
    ])
  },
)

t.test(
  'R378: a floor holds what others have as well, and a ceiling lets no more of it go',
  async t => {
    const shared = 'docker.io/team/shared'
    const rules = [
      { match: APP, quota: { floor: bytes(2) } },
      { match: shared, quota: { ceiling: bytes(3) } },
    ]
    const world = await openEvictionWorld(t, { rules })
    const images = imagesNamed('image', 4)
    for (const [at, image] of images.entries())
      for (const repository of [APP, shared])
        await world.pulled(repository, image, { agoMs: (99 - at) * HOUR_MS })
    t.same(
      (await world.trimmed(0)).map(({ what }) => what),
      [nameOf(shared, images[0] as Image)],
      'down to the ceiling and no further, though the disk has nothing back',
    )
    const foretold = await world.foretold(9 * IMAGE_BYTES)
    t.same(await world.trimmed(9 * IMAGE_BYTES), foretold)
    const left = await world.catalog.listRepositoryBytes({ limit: 9 })
    t.same(left, [{ repository: APP, bytes: 2 * IMAGE_BYTES }])
  },
)

t.test(
  'R378: a floor holds what leaves with the image of another, which it only lists',
  async t => {
    const apart = `${STRANGER}/team/app`
    const world = await openEvictionWorld(t, { quotas: { [STRANGER]: { floor: bytes(2) } } })
    const shared = makeImage({ seed: 'shared', layers: [92 * KiB] })
    for (const image of imagesNamed('own', 2))
      await world.pulled(apart, image, { apart: true, agoMs: 99 * HOUR_MS })
    await world.pulled(APP, shared, { agoMs: 50 * HOUR_MS })
    // Nobody asked it for the layers, which were here.
    await world.given(apart, shared.manifest, { apart: true, agoMs: HOUR_MS })
    const foretold = await world.foretold(9 * IMAGE_BYTES)
    t.same(await world.trimmed(9 * IMAGE_BYTES), foretold)
    const left = await world.catalog.listRepositoryBytes({ limit: 9, after: APP })
    t.same(left, [{ repository: apart, bytes: 2 * IMAGE_BYTES }])
  },
)

t.test('R378: a floor holds a manifest of another, which an index of it lists', async t => {
  const world = await openEvictionWorld(t, { quotas: { 'ghcr.io': { floor: bytes(2) } } })
  const [shared, own, second] = imagesNamed('image', 3) as [Image, Image, Image]
  await world.pulled(APP, shared, { agoMs: 50 * HOUR_MS })
  for (const [at, image] of [own, second].entries())
    await world.pulled(OTHER, image, { agoMs: (99 - at) * HOUR_MS })
  await world.given(OTHER, makeIndex([shared, second]).manifest, { agoMs: HOUR_MS })
  const before = await world.catalog.listRepositoryBytes({ limit: 9, after: APP })
  t.ok((before[0]?.bytes ?? 0) > 2 * IMAGE_BYTES)
  const foretold = await world.foretold(9 * IMAGE_BYTES)
  t.same(await world.trimmed(9 * IMAGE_BYTES), foretold)
  const [left] = await world.catalog.listRepositoryBytes({ limit: 9, after: APP })
  t.ok((left?.bytes ?? 0) >= 2 * IMAGE_BYTES, `${left?.bytes}`)
})

t.test('R378: an image stays with which less would be left than the floor says', async t => {
  const floor = { kind: 'bytes', bytes: 1.5 * IMAGE_BYTES } as const
  const world = await openEvictionWorld(t, { quotas: { 'ghcr.io': { floor } } })
  const [first, second, third] = imagesNamed('other', 3) as [Image, Image, Image]
  for (const [at, image] of [first, second, third].entries())
    await world.pulled(OTHER, image, { agoMs: (99 - at) * HOUR_MS })
  const gone = await world.trimmed(3 * IMAGE_BYTES)
  t.same(
    gone.map(({ what }) => what),
    [nameOf(OTHER, first)],
  )
})

t.test('R378: what no image lists counts as long as it is here, and leaves first', async t => {
  const world = await openEvictionWorld(t, { quotas: { 'ghcr.io': { floor: bytes(2) } } })
  const images = imagesNamed('other', 2)
  for (const image of images) await world.pulled(OTHER, image, { agoMs: 99 * HOUR_MS })
  const loose = patternBlob('loose', IMAGE_BYTES)
  await world.blob(OTHER, loose.bytes(), loose.digest, HOUR_MS)
  const foretold = await world.foretold(9 * IMAGE_BYTES)
  t.same(await world.trimmed(9 * IMAGE_BYTES), foretold)
  t.match(foretold, [{ what: loose.digest }])
  t.equal(foretold.length, 1)
})

t.test('R377: repositories that a pattern matches have a quota together', async t => {
  const rules = [
    { match: 'docker.io/team/kept', quota: {} },
    { match: 'docker.io/team/**', quota: { ceiling: { kind: 'share', share: 0.2 } as const } },
  ]
  const world = await openEvictionWorld(t, { rules, maxBytes: 10 * IMAGE_BYTES })
  for (const [at, image] of imagesNamed('team', 4).entries())
    await world.pulled(`docker.io/team/${at % 2}`, image, { agoMs: (9 - at) * HOUR_MS })
  // The first rule that matches is the one that holds.
  for (const image of imagesNamed('kept', 4)) await world.pulled('docker.io/team/kept', image)
  const gone = await world.trimmed(0)
  t.match(gone, [{ what: /team\/0@/ }, { what: /team\/1@/ }])
})

const NEVER = new AbortController().signal

function counting() {
  let pages = 0
  const catalog = (of: Catalog): Catalog => {
    const list = of.listColdest
    of.listColdest = page => {
      pages += 1
      return list(page)
    }
    return of
  }
  return { catalog, pages: () => pages }
}

t.test('R377: who has a quota has not all looked at by each that wants room', async t => {
  const { catalog, pages } = counting()
  const pinned = {
    find: async () => ({}),
    findContent: () => undefined,
    digests: () => new Set<Digest>(),
    changes: 0,
  }
  const quotas = { 'ghcr.io': { ceiling: bytes(9) } }
  const world = await openEvictionWorld(t, { quotas, pinned, catalog })
  for (const image of imagesNamed('app', 3)) await world.pulled(APP, image)
  const could = () => world.evictor.couldMake(IMAGE_BYTES, NEVER, parseRepositoryKey(OTHER))
  t.equal(await could(), false)
  const first = pages()
  t.equal(await could(), false)
  t.equal(pages(), first, 'it is known')
  await world.clock.advance(5_000)
  t.same(await Promise.all([could(), could(), could()]), [false, false, false])
  t.equal(pages(), 2 * first, 'those that ask at once share a look')
})

t.test('R377: nor is what is above a ceiling, and may not leave, looked for among all', async t => {
  const { catalog, pages } = counting()
  const quotas = { 'ghcr.io': { ceiling: bytes(1) } }
  const world = await openEvictionWorld(t, { quotas, catalog, away: ['ghcr.io'] })
  for (const image of imagesNamed('other', 3)) await world.pulled(OTHER, image)
  for (const image of imagesNamed('app', 3)) await world.pulled(APP, image)
  t.equal(await world.evictor.couldMake(IMAGE_BYTES, NEVER), true)
  t.equal(pages(), 1)
})
