// Goal: what leaves for want of room is what will be missed least, as little as is needed, and
// never what somebody needs now. Method: the real catalog over the in-memory store, with images
// that were pulled at times that the test says.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import type { PinnedImages } from '../../../../src/registry/evict/judge.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { around } from '../../../kit/around.ts'
import { beforeCall } from '../../../kit/worlds/before-call.ts'
import {
  type EvictionWorld,
  HOUR_MS,
  nameOf,
  openEvictionWorld,
} from '../../../kit/worlds/eviction-world.ts'
import { type Image, makeImage, makeIndex } from '../../../kit/image.ts'
import { patternBlob } from '../../../kit/content.ts'
import { DOCKER_IO } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'

const KiB = 1024
const DAY_MS = 24 * HOUR_MS
const APP = 'docker.io/library/app'
const OTHER = 'ghcr.io/team/other'

/** Whatever is of `library/pinned`. */
const ALL_OF_ONE: PinnedImages = {
  find: async ({ name }) => (name === 'library/pinned' ? {} : undefined),
  findContent: () => undefined,
  digests: () => new Set(),
  changes: 0,
}

const imageOf = (seed: string, kib: number, ...more: number[]): Image =>
  makeImage({ seed, layers: [kib * KiB, ...more.map(each => each * KiB)] })

t.test('R371: the coldest images leave, as many as are needed, and as wholes', async t => {
  const world = await openEvictionWorld(t)
  const images = [imageOf('a', 100), imageOf('b', 100), imageOf('c', 100)]
  const [a, b, c] = images as [Image, Image, Image]
  await world.pulled(APP, b, { agoMs: 2 * DAY_MS, tag: 'b' })
  await world.pulled(APP, a, { agoMs: 3 * DAY_MS, tag: 'a' })
  await world.pulled(APP, c, { agoMs: DAY_MS, tag: 'c' })
  const { freedBytes, gone } = await world.evict(150 * KiB)
  t.same(
    gone.map(({ what }) => what),
    [nameOf(APP, a, 'a'), nameOf(APP, b, 'b')],
  )
  t.equal(
    gone.reduce((sum, { bytes }) => sum + bytes, 0),
    freedBytes,
  )
  t.match(gone[0]?.reason, /the coldest, last used 3 days ago/)
  for (const image of [a, b])
    for (const each of [image.manifest, image.config, ...image.layers])
      t.notOk(world.disk.blobs.has(each.digest))
  for (const each of [c.manifest, c.config, ...c.layers]) t.ok(world.disk.blobs.has(each.digest))
  // Whoever waits goes on before the run has told of itself.
  await settle()
  const evicted = world.events.filter(({ kind }) => kind === 'evicted')
  t.match(evicted, [
    {
      kind: 'evicted',
      why: 'room',
      images: 2,
      blobs: 6,
      bytes: freedBytes,
      youngestAgeMs: 2 * DAY_MS,
    },
  ])
})

t.test('R376: what leaves, and would, is named by tags that lead to it', async t => {
  const world = await openEvictionWorld(t)
  const image = makeIndex([imageOf('amd64', 10), imageOf('arm64', 10)])
  for (const tag of ['v1', 'latest', 'v2', 'stable']) await world.pulled(APP, image, { tag })
  const alone = imageOf('alone', 10)
  await world.pulled(APP, alone)
  const foretold = await world.foretold(1_000 * KiB)
  t.strictSame((await world.evict(1_000 * KiB)).gone, foretold)
  const reason = /^the coldest, last used 24 hours ago; also tagged stable, v1 and more$/
  t.match(
    new Map(foretold.map(({ what, ...each }) => [what, each])),
    new Map([
      ...image.children.map(child => [nameOf(APP, child, 'latest'), { reason }] as const),
      [nameOf(APP, alone), { reason: /ago$/ }],
    ]),
  )
})

t.test('R371: what nothing needs leaves before any image', async t => {
  const world = await openEvictionWorld(t)
  const loose = patternBlob('loose', 50 * KiB)
  await world.blob(APP, loose.bytes(), loose.digest, DAY_MS)
  const image = imageOf('a', 100)
  await world.pulled(APP, image, { agoMs: 9 * DAY_MS })
  const { gone } = await world.evict(10 * KiB)
  t.same(
    gone.map(({ what }) => what),
    [loose.digest],
  )
})

t.test('R371: a layer that several images need leaves with the last of them', async t => {
  const world = await openEvictionWorld(t)
  const base = makeImage({ seed: 'base', layers: [200 * KiB] })
  const [layer] = base.layers
  const sharing = (seed: string): Image => {
    const own = makeImage({ seed, layers: [20 * KiB] })
    return withLayer(own, layer)
  }
  const [old, young] = [sharing('old'), sharing('young')]
  await world.pulled(APP, old, { agoMs: 3 * DAY_MS })
  await world.pulled(OTHER, young, { agoMs: DAY_MS })
  const first = await world.evict(10 * KiB)
  t.same(
    first.gone.map(({ what }) => what),
    [nameOf(APP, old)],
  )
  t.ok(first.freedBytes < 40 * KiB)
  t.ok(world.disk.blobs.has(layer?.digest as Digest))
  const second = await world.evict(10 * KiB)
  t.ok(second.freedBytes > 220 * KiB)
  t.notOk(world.disk.blobs.has(layer?.digest as Digest))
})

/** A manifest over the layers of `image` and this one. */
function withLayer(image: Image, layer: Image['layers'][number] | undefined): Image {
  if (layer === undefined) throw new Error('no layer')
  const manifest = JSON.parse(image.manifest.bytes.toString()) as { layers: object[] }
  const { mediaType } = manifest.layers[0] as { mediaType: string }
  manifest.layers.unshift({ mediaType, digest: layer.digest, size: layer.sizeBytes })
  const bytes = Buffer.from(JSON.stringify(manifest))
  return {
    ...image,
    layers: [layer, ...image.layers],
    manifest: { ...image.manifest, bytes, digest: digestOf(bytes) },
  }
}

t.test('R372: what is away leaves after the rest, and what was just used after that', async t => {
  const world = await openEvictionWorld(t, { away: ['ghcr.io'] })
  const [away, here, recent] = ['away', 'here', 'recent'].map(seed => imageOf(seed, 100)) as [
    Image,
    Image,
    Image,
  ]
  await world.pulled(OTHER, away, { agoMs: 9 * DAY_MS })
  await world.pulled(APP, recent, { agoMs: 60_000 })
  await world.pulled(APP, here, { agoMs: DAY_MS })
  for (const expected of [nameOf(APP, here), nameOf(OTHER, away), nameOf(APP, recent)]) {
    const { gone } = await world.evict(KiB)
    t.same(
      gone.map(({ what }) => what),
      [expected],
    )
    await world.clock.advance(1)
  }
})

t.test('R373: what is pinned, read or fetched does not leave, and that is said', async t => {
  const [pinned, read, filled] = ['pinned', 'read', 'filled'].map(seed => imageOf(seed, 100)) as [
    Image,
    Image,
    Image,
  ]
  const world = await openEvictionWorld(t, {
    pinned: {
      find: async (_, digest) => (digest === pinned.manifest.digest ? {} : undefined),
      findContent: () => undefined,
      digests: () => new Set(),
      changes: 0,
    },
  })
  for (const image of [pinned, read, filled]) await world.pulled(APP, image)
  const loose = patternBlob('loose', KiB)
  await world.blob(APP, loose.bytes(), loose.digest, DAY_MS)
  const hasRead = [read.layers[0]?.digest as Digest, loose.digest].map(each =>
    world.inUse.read(each),
  )
  const hasFilled = world.inUse.fill(filled.layers[0]?.digest as Digest, { from: DOCKER_IO })
  const before = await world.evictor.evictableBytes()
  t.ok(before > 300 * KiB)
  t.same(await world.evict(KiB), { freedBytes: 0, gone: [] })
  t.match(world.events, [{ kind: 'nothing evictable', keptBytes: 0, largest: { repository: APP } }])
  t.equal(await world.evictor.evictableBytes(), 0, 'nobody waits for another look')
  for (const end of [...hasRead, hasFilled]) end()
  await world.clock.advance(5_000)
  t.equal(await world.evictor.evictableBytes(), before)
  const { gone } = await world.evict(1_000 * KiB)
  t.equal(gone.length, 3)
  t.ok(world.disk.blobs.has(pinned.layers[0]?.digest as Digest))
})

t.test('an edge that holds nothing does not say that nothing of it may leave', async t => {
  const world = await openEvictionWorld(t)
  t.same(await world.evict(KiB), { freedBytes: 0, gone: [] })
  t.same(world.events, [])
})

t.test('nobody counts on what leaves while the catalog has no room to write it down', async t => {
  let isFull = true
  const world = await openEvictionWorld(t, {
    catalog: catalog => ({
      ...catalog,
      evictImage: async image => {
        if (isFull) throw new StoreError('full', 'the catalog failed')
        return catalog.evictImage(image)
      },
    }),
  })
  await world.pulled(APP, imageOf('full', 100))
  t.ok((await world.evictor.evictableBytes()) > 0)
  t.same(await world.evict(KiB), { freedBytes: 0, gone: [] })
  t.match(world.events, [{ kind: 'storage failed' }])
  t.equal(await world.evictor.evictableBytes(), 0)
  isFull = false
  await world.clock.advance(5_000)
  t.equal((await world.evict(KiB)).gone.length, 1)
})

t.test('an image that was used a second ago is told so', async t => {
  const world = await openEvictionWorld(t)
  await world.pulled(APP, imageOf('now', 100), { agoMs: 1_000 })
  t.match((await world.evict(KiB)).gone, [{ reason: 'the coldest, last used 1 second ago' }])
})

t.test('R373: what is read keeps one image that has it, and no other beside it', async t => {
  const world = await openEvictionWorld(t)
  const shared = patternBlob('shared', 50 * KiB)
  const [one, other] = ['one', 'other'].map(seed => {
    const image = makeImage({ seed, layers: [20 * KiB] })
    return withLayer(image, shared)
  }) as [Image, Image]
  const index = makeIndex([imageOf('amd64', 10), imageOf('arm64', 10)])
  const [first, last] = index.children as [Image, Image]
  const beside = imageOf('beside', 10)
  for (const [at, image] of [one, other, index, beside].entries())
    await world.pulled(APP, image, { agoMs: (9 - at) * DAY_MS })
  const ends = [shared.digest, index.manifest.digest].map(each => world.inUse.read(each))
  const { gone } = await world.evict(1_000 * KiB)
  t.same(
    gone.map(({ what }) => what),
    [one, first, beside].map(image => nameOf(APP, image)),
  )
  for (const { manifest } of [other, last, index]) t.ok(world.disk.blobs.has(manifest.digest))
  for (const end of ends) end()
})

t.test('R351: a blob that is pinned stays when images that list it leave', async t => {
  const image = imageOf('image', 100, 100)
  const [pinned, own] = image.layers.map(({ digest }) => digest) as [Digest, Digest]
  const world = await openEvictionWorld(t, {
    pinned: {
      find: async () => undefined,
      findContent: digest => (digest === pinned ? {} : undefined),
      digests: () => new Set([pinned]),
      changes: 0,
    },
  })
  await world.pulled(APP, image)
  await world.pulled(OTHER, image)
  const foretold = await world.foretold(1_000 * KiB)
  const { gone, freedBytes } = await world.evict(1_000 * KiB)
  t.strictSame(gone, foretold)
  t.same(gone.length, 2, 'who lists it stays for it no more than others')
  t.equal(
    gone.reduce((sum, { bytes }) => sum + bytes, 0),
    freedBytes,
  )
  t.notOk(world.disk.blobs.has(own))
  t.ok(world.disk.blobs.has(pinned))
  t.ok(await world.catalog.findMember(parseRepositoryKey(APP), pinned), 'and is given there')
  t.same(await world.evict(KiB), { freedBytes: 0, gone: [] })
})

t.test('R373: an image stays while one of its layers is on its way', async t => {
  const world = await openEvictionWorld(t)
  const image = imageOf('half', 50, 60)
  const [, coming] = image.layers
  await world.pulled(APP, { ...image, layers: image.layers.slice(0, 1) })
  const filled = world.inUse.fill(coming?.digest as Digest, { from: DOCKER_IO })
  t.same(await world.evict(KiB), { freedBytes: 0, gone: [] })
  filled()
  t.match((await world.evict(KiB)).gone, [{ what: nameOf(APP, image) }])
})

t.test('R374: all who wait share a run, and each goes on when it has what it needs', async t => {
  const world = await openEvictionWorld(t)
  for (let at = 0; at < 60; at += 1) await world.pulled(APP, imageOf(`${at}`, 100))
  const order: number[] = []
  const { signal } = new AbortController()
  const leaving = new AbortController()
  const wants = [100, 5_000, 200].map(async kib => {
    const freed = await world.evictor.evict(kib * KiB, { signal })
    order.push(kib)
    t.ok(freed >= kib * KiB)
  })
  const left = world.evictor.evict(6_000 * KiB, { signal: leaving.signal })
  leaving.abort()
  await Promise.all(wants)
  t.ok((await left) < 6_000 * KiB)
  t.equal(order.at(-1), 5_000)
  const freedBytes = world.events.reduce((sum, e) => sum + (e.kind === 'evicted' ? e.bytes : 0), 0)
  t.ok(freedBytes < 5_300 * KiB, 'what one waits for is there for all')
})

t.test('R374: images are let go while files of those before go, of one page at most', async t => {
  const steps: ('written' | 'removed')[] = []
  const world = await openEvictionWorld(t, {
    catalog: catalog =>
      around(catalog, {
        evictImage: evictImage => async eviction => {
          steps.push('written')
          return evictImage(eviction)
        },
      }),
    store: store =>
      around(store, {
        remove: remove => async digest => {
          await settle()
          await remove(digest)
          steps.push('removed')
        },
      }),
  })
  for (let at = 0; at < 80; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  const { gone } = await world.evict(100_000 * KiB)
  t.equal(gone.length, 80)
  const [page, filesOfPage] = [32, 32 * 3]
  const removedBefore = (images: number) => {
    const written = steps.flatMap((step, at) => (step === 'written' ? [at] : []))
    return steps.slice(0, written[images]).filter(step => step === 'removed').length
  }
  t.ok(removedBefore(page) < filesOfPage, 'the second page waits for no file')
  t.ok(removedBefore(2 * page) >= filesOfPage, 'the third waits for those of the first')
})

t.test('R374, R763: others have their turn while images are chosen', async t => {
  let [elapsedMs, inARow, most] = [0, 0, 0]
  const world = await openEvictionWorld(t, {
    catalog: catalog =>
      around(catalog, {
        footprint:
          footprint =>
          async (...args) => {
            inARow += 1
            most = Math.max(most, inARow)
            setImmediate(() => (inARow = 0))
            // As one of a hundred layers takes.
            elapsedMs += 1
            return await footprint(...args)
          },
      }),
  })
  Object.assign(world.clock, { monotonicMs: () => elapsedMs })
  for (let at = 0; at < 32; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  t.equal((await world.haste.of(() => world.evict(100_000 * KiB))).gone.length, 32)
  t.ok(most <= 4, `${most} were looked at in a row`)
  for (let at = 0; at < 32; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  most = 0
  t.equal((await world.evict(100_000 * KiB)).gone.length, 32)
  t.equal(most, 1, 'where nobody waits')
})

t.test('R374, R624: a disk that removes nothing does not lose its cache', async t => {
  const world = await openEvictionWorld(t, {
    store: store =>
      Object.assign(store, {
        remove: async () => {
          throw new StoreError('io', 'the disk is worn out')
        },
      }),
  })
  for (let at = 0; at < 200; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  const { freedBytes, gone } = await world.evict(100_000 * KiB)
  t.equal(freedBytes, 0)
  t.strictSame([...new Set(gone.map(({ bytes }) => bytes))], [0], 'and tells of no byte')
  t.ok((await world.catalog.totals()).manifests > 100)
})

t.test('R991: what leaves in vain is tried again before more is let go', async t => {
  let isBroken = true
  const world = await openEvictionWorld(t, {
    store: store => {
      const remove = store.remove.bind(store)
      const broken = () => Promise.reject(new StoreError('io', 'the disk is worn out'))
      return Object.assign(store, {
        remove: (digest: Digest) => (isBroken ? broken() : remove(digest)),
      })
    },
  })
  for (let at = 0; at < 200; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  await world.evict(KiB)
  const { manifests } = await world.catalog.totals()
  for (let at = 0; at < 20; at += 1) t.match(await world.evict(KiB), { freedBytes: 0 })
  t.match(await world.catalog.totals(), { manifests }, 'no more than by the first')
  await world.clock.advance(600_000)
  await world.evict(KiB)
  t.ok((await world.catalog.totals()).manifests < manifests, 'after a while the rest is tried')
  isBroken = false
  const left = await world.evict(KiB)
  t.ok(left.freedBytes > KiB, 'all that had been let go before')
  t.match(await world.catalog.totals(), { leavingBlocks: 0 })
})

t.test('R991: one file that stays stuck does not close a disk that removes the others', async t => {
  let isBroken = true
  let stuck: Digest | undefined
  const world = await openEvictionWorld(t, {
    store: store => {
      const remove = store.remove.bind(store)
      const broken = () => Promise.reject(new StoreError('io', 'the disk is worn out'))
      return Object.assign(store, {
        remove: (digest: Digest) => {
          stuck ??= digest
          return isBroken || digest === stuck ? broken() : remove(digest)
        },
      })
    },
  })
  for (let at = 0; at < 200; at += 1) await world.pulled(APP, imageOf(`${at}`, 4))
  await world.evict(KiB)
  isBroken = false
  // As the look at the room does, beside who needs some.
  await world.leaving.retry()
  t.ok((await world.evict(KiB)).freedBytes >= KiB)
})

t.test('R375: what is passed over is not looked at again and again', async t => {
  let listed = 0
  const world = await openEvictionWorld(t, {
    pinned: ALL_OF_ONE,
    catalog: catalog =>
      around(catalog, {
        listColdest: listColdest => async page => {
          const found = await listColdest(page)
          listed += found.images.length
          return found
        },
      }),
  })
  for (let at = 0; at < 300; at += 1)
    await world.pulled('docker.io/library/pinned', imageOf(`${at}`, 1), { agoMs: 9 * DAY_MS })
  for (let at = 0; at < 30; at += 1) await world.pulled(APP, imageOf(`other ${at}`, 10))
  for (let at = 0; at < 30; at += 1) {
    const { gone } = await world.evict(KiB)
    t.match(gone, [{ what: /library\/app/ }])
  }
  t.ok(listed < 1_200, `${listed} looked at`)
})

t.test('R375: a look that nobody waits for to its end is gone on with by the next', async t => {
  let gaveUp = new AbortController()
  const world = await openEvictionWorld(t, {
    pinned: ALL_OF_ONE,
    catalog: catalog =>
      around(catalog, {
        listColdest: listColdest => async page => {
          const found = await listColdest(page)
          if (found.images.every(({ repository }) => repository.name === 'library/pinned'))
            gaveUp.abort()
          return found
        },
      }),
  })
  for (let at = 0; at < 160; at += 1)
    await world.pulled('docker.io/library/pinned', imageOf(`${at}`, 1), { agoMs: 9 * DAY_MS })
  await world.pulled(APP, imageOf('other', 10))
  const manifests = async () => (await world.catalog.totals()).manifests
  let looks = 0
  for (; (await manifests()) === 161 && looks < 20; looks += 1) {
    gaveUp = new AbortController()
    await world.evictor.evict(KiB, { signal: gaveUp.signal })
    await settle()
    await world.clock.advance(3_000)
  }
  t.equal(looks, 160 / 32 + 1)
})

t.test('R372: what was used a moment ago is no colder than it was written down', async t => {
  const [a, b] = [imageOf('a', 100), imageOf('b', 100)]
  const noteUse = async () => {
    const used = { repository: parseRepositoryKey(APP), digest: a.manifest.digest, tag: undefined }
    const atMs = world.clock.nowMs()
    await world.catalog.noteUses([{ ...used, count: 1, atMs }])
  }
  const world: EvictionWorld = await openEvictionWorld(t, { usesWritten: noteUse })
  await world.pulled(APP, a, { agoMs: 3 * DAY_MS, tag: 'a' })
  await world.pulled(APP, b, { agoMs: 2 * DAY_MS, tag: 'b' })
  const coldest = [{ what: nameOf(APP, b, 'b') }]
  t.match(await world.foretold(10 * KiB), coldest)
  t.match((await world.evict(10 * KiB)).gone, coldest)
})

t.test('R372: a catalog that writes no uses does not hold up who needs room', async t => {
  const world = await openEvictionWorld(t, { usesWritten: () => new Promise(() => {}) })
  const image = imageOf('a', 100)
  await world.pulled(APP, image, { agoMs: 3 * DAY_MS })
  const evicting = world.evict(10 * KiB)
  await world.clock.advance(500)
  t.match((await evicting).gone, [{ what: nameOf(APP, image) }])
})

t.test('what has left is told of and counts, also when what was to follow fails', async t => {
  let evicted = 0
  const world = await openEvictionWorld(t, {
    catalog: catalog =>
      around(catalog, {
        evictImage: evictImage => async image => {
          evicted += 1
          if (evicted > 8) throw new StoreError('io', 'the catalog is worn out')
          return evictImage(image)
        },
      }),
  })
  const images = Array.from({ length: 20 }, (_, at) => imageOf(`${at}`, 100))
  for (const [at, image] of images.entries())
    await world.pulled(APP, image, { agoMs: (100 - at) * DAY_MS })
  const { gone, freedBytes } = await world.evict(15 * 100 * KiB)
  t.same(
    gone.map(({ what }) => what),
    images.slice(0, 8).map(image => nameOf(APP, image)),
  )
  t.equal(
    gone.reduce((sum, { bytes }) => sum + bytes, 0),
    freedBytes,
  )
  t.match(
    world.events.filter(({ kind }) => kind === 'evicted'),
    [{ images: 8, blobs: 24, bytes: freedBytes }],
  )
  t.match(
    world.events.filter(({ kind }) => kind === 'storage failed'),
    [{ reason: 'the catalog is worn out' }],
  )
})

t.test('a stop ends a run behind what is leaving, and all of that is told of by then', async t => {
  const [began, mayGoOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const world = await openEvictionWorld(t, {
    catalog: catalog =>
      around(catalog, {
        evictImage: evictImage => async image => {
          began.resolve()
          await mayGoOn.promise
          return evictImage(image)
        },
      }),
  })
  for (let at = 0; at < 60; at += 1) await world.pulled(APP, imageOf(`${at}`, 100))
  const { signal } = new AbortController()
  const waiting = world.evictor.evict(50 * 100 * KiB, { signal })
  const trimmed = world.evictor.trim(50 * 100 * KiB, { signal })
  await began.promise
  let isStopped = false
  const stopped = world.evictor.stop().then(() => {
    isStopped = true
  })
  t.equal(await waiting, 0, 'nobody waits for a disk that is slow')
  t.notOk(isStopped)
  mayGoOn.resolve()
  await stopped
  const told = world.events.flatMap(each => (each.kind === 'evicted' ? [each.images] : []))
  const left = 60 - (await world.catalog.totals()).manifests
  t.same(told, [left], 'all that has left')
  t.ok(left < 40, 'one step of the run')
  await world.closeCatalog()
  await trimmed
  t.equal(await world.evictor.evict(KiB, { signal }), 0)
  t.same(
    world.events.filter(({ kind }) => kind === 'storage failed' || kind === 'nothing evictable'),
    [],
  )
})

/** Before the first of them leaves, a push is told that these are here. */
const leasedMeanwhile = (images: readonly Image[]) =>
  beforeCall('evictImage', catalog =>
    catalog.lease({
      repository: parseRepositoryKey(APP),
      digests: images.map(({ manifest }) => manifest.digest),
      untilMs: Number.MAX_SAFE_INTEGER,
    }),
  )

t.test('R490: what a push is told of before it leaves is not told to have left', async t => {
  const images = [imageOf('a', 100), imageOf('b', 100), imageOf('c', 100)]
  const [a, b, c] = images as [Image, Image, Image]
  const world = await openEvictionWorld(t, { catalog: leasedMeanwhile([b]) })
  for (const [at, image] of images.entries())
    await world.pulled(APP, image, { agoMs: (9 - at) * DAY_MS })
  const { gone, freedBytes } = await world.evict(150 * KiB)
  t.same(
    gone.map(({ what }) => what),
    [nameOf(APP, a), nameOf(APP, c)],
    'another one leaves in its place',
  )
  t.ok(world.disk.blobs.has(b.manifest.digest))
  await settle()
  t.match(
    world.events.filter(({ kind }) => kind === 'evicted'),
    [{ images: 2, blobs: 6, bytes: freedBytes }],
  )
})

t.test('R490: what is held by then is not taken for a disk that removes nothing', async t => {
  const images = Array.from({ length: 70 }, (_, at) => imageOf(`${at}`, 4))
  const world = await openEvictionWorld(t, { catalog: leasedMeanwhile(images.slice(0, 64)) })
  for (const [at, image] of images.entries())
    await world.pulled(APP, image, { agoMs: (100 - at) * DAY_MS })
  const { gone } = await world.evict(1_000 * KiB)
  t.equal(gone.length, 6)
})
