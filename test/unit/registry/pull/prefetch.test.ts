// Goal: an image's blobs are fetched as soon as a client has its manifest, each once, and never
// where nobody comes for them, where others need the place, or where the upstream or the disk has
// nothing to spare. Method: the engine over in-memory twins, a manual clock, and an upstream that
// gives a blob when the test says so.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { formatReference } from '../../../../src/oci/reference.ts'
import {
  type Upstream,
  UpstreamError,
  type UpstreamHealth,
} from '../../../../src/registry/ports/upstream.ts'
import { around, aroundFills } from '../../../kit/around.ts'
import {
  blobAnswer,
  createEngine,
  HEALTHY,
  type EngineOptions,
  localOf,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { type Content, patternBlob } from '../../../kit/content.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { settle } from '../../../kit/settle.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const client = '192.0.2.7'

const turn = () => new Promise<void>(resolve => setImmediate(resolve))
interface Scene extends Omit<EngineOptions, 'upstream'> {
  readonly images: readonly Image[]
  /** Blobs of no image. */
  readonly others?: readonly Content[]
  /**
   * Blobs come at once; else each when `release` is called, or its download is cut. Default true.
   */
  readonly atOnce?: boolean
  readonly health?: Partial<UpstreamHealth>
}

/**
 * An engine before an upstream that holds `images`; `asked` are its blobs' digests in the order of
 * their requests.
 */
function createScene({ images, others = [], atOnce = true, health = {}, ...options }: Scene) {
  const asked: Digest[] = []
  const cut: Digest[] = []
  const manifests: string[] = []
  const held: (() => void)[] = []
  const all = images.flatMap(image => [image, ...image.children])
  const blobs = all.flatMap(({ config, layers }) => [config, ...layers])
  const contents = new Map([...blobs, ...others].map(each => [each.digest, each]))
  const upstream: Partial<Upstream> = {
    getManifest: async (_name, reference) => {
      manifests.push(formatReference(reference))
      const image = all.find(({ manifest }) =>
        reference.kind === 'tag'
          ? images[0]?.manifest === manifest
          : manifest.digest === reference.digest,
      )
      if (image === undefined) throw new UpstreamError('not-found', 'no such manifest')
      const { bytes, mediaType, digest } = image.manifest
      return { bytes, mediaType, declaredDigest: digest, warnings: [] }
    },
    getBlob: async (_name, digest, { offset }, { signal } = {}) => {
      asked.push(digest)
      const bytes = contents.get(digest)?.bytes() ?? Buffer.alloc(0)
      const answer = blobAnswer([bytes.subarray(offset)], { offset, totalBytes: bytes.length })
      if (atOnce) return answer
      await new Promise<void>((resolve, reject) => {
        let isGiven = false
        held.push(() => {
          isGiven = true
          resolve()
        })
        signal?.addEventListener('abort', () => {
          if (!isGiven) cut.push(digest)
          reject(signal.reason as Error)
        })
      })
      return answer
    },
    health: () => ({ ...HEALTHY, ...health }),
  }
  const engine = createEngine({ prefetch: true, ...options, upstream })
  const manifest = (image: Image, from: string | undefined = client) =>
    engine.registry.pullManifest(app, {
      reference: { kind: 'digest', digest: image.manifest.digest },
      accept: [],
      ...(from === undefined ? {} : { client: from }),
    })
  const steps = (step: string) =>
    engine.events.filter(event => event.kind === 'prefetch' && event.step === step)
  const release = async () => {
    for (const go of held.splice(0)) go()
    await settle()
  }
  return { ...engine, asked, cut, manifests, manifest, steps, release }
}

const tenLayers = (seed: string) =>
  makeImage({ seed, layers: [3 * MiB, 100, ...Array.from({ length: 8 }, () => 2 * MiB)] })

const digestsOf = ({ config, layers }: Image) => [config, ...layers].map(({ digest }) => digest)

t.test('prefetch: a manifest brings its config and layers, the small first, each once', async t => {
  const image = tenLayers('ten')
  const { registry, manifest, asked, steps } = createScene({ images: [image] })
  await manifest(image)
  await settle()
  const [config, large, small, ...others] = digestsOf(image)
  t.same(asked.slice(0, 3), [config, small, large])
  t.same(new Set(asked), new Set([config, large, small, ...others]))
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const answer = await registry.pullBlob(app, digest)
    t.equal(answer.source, 'miss', 'it was fetched for this client')
    t.ok((await readAll(answer)).equals(Buffer.from(bytes())))
  }
  t.equal(asked.length, 11, 'nothing is fetched twice')
  t.equal(steps('started').length, 11)
  t.equal(steps('used').length, 11)
  t.equal((await registry.pullBlob(app, image.config.digest)).source, 'hit', 'the second client')
})

t.test('prefetch: a client follows the fill that was begun for nobody', async t => {
  const image = makeImage({ seed: 'follow', layers: [2 * MiB] })
  const scene = createScene({ images: [image], atOnce: false })
  await scene.manifest(image)
  await settle()
  const coming = scene.registry.pullBlob(app, image.layers[0]?.digest ?? image.config.digest)
  await settle()
  await scene.release()
  const answer = await coming
  t.equal(answer.source, 'miss', 'it is the first that asked')
  t.equal((await readAll(answer)).length, 2 * MiB)
  t.equal(scene.asked.length, 2)
})

for (const [what, options] of [
  ['the operator does not want it', { prefetch: false }],
  ['its breaker is not closed', { health: { breaker: 'half-open' } }],
  ['the upstream allows few requests more', { health: { rateLimitRemaining: 3 } }],
  ['the storage is nearly used up', { maxStorageBytes: 5 * MiB }],
] as const) {
  t.test(`prefetch: nothing is begun where ${what}`, async t => {
    const image = makeImage({ seed: what, layers: [5 * MiB] })
    const scene = createScene({ images: [image], ...options })
    await scene.manifest(image)
    await settle()
    t.notOk(scene.asked.includes(image.layers[0]?.digest ?? image.config.digest))
    t.equal((await scene.manifest(image)).source, 'hit')
  })
}

t.test('prefetch: HEAD begins nothing, nor does whoever has the manifest', async t => {
  const image = makeImage({ seed: 'head' })
  const scene = createScene({ images: [image] })
  const reference = { kind: 'digest', digest: image.manifest.digest } as const
  // As http/ asks for a GET with If-None-Match.
  await scene.registry.pullManifest(app, { reference, accept: [] })
  await scene.registry.headManifest(app, { reference, accept: [], client })
  await settle()
  t.same(scene.asked, [])
})

t.test('prefetch: what nobody comes for is stopped, and not begun again by a manifest', async t => {
  const image = makeImage({ seed: 'vain', layers: [MiB, MiB] })
  const next = makeImage({ seed: 'next', layers: [MiB] })
  const scene = createScene({ images: [image, next], atOnce: false })
  await scene.manifest(image)
  await settle()
  t.equal(scene.asked.length, 3)
  await scene.clock.advance(4_900)
  t.same(scene.cut, [])
  await scene.clock.advance(200)
  await settle()
  const [config, ...layers] = digestsOf(image)
  t.same(new Set(scene.cut), new Set(layers), 'all but the config, which costs next to nothing')
  t.equal(scene.steps('cancelled').length, 2)
  t.match(scene.steps('unused'), [{ digest: config }])
  await scene.release()

  for (const from of [client, '192.0.2.8']) await scene.manifest(image, from)
  await scene.manifest(next)
  await settle()
  t.equal(scene.asked.length, 3, 'neither for the repository nor for the client')

  const coming = scene.registry.pullBlob(app, next.config.digest)
  await settle()
  t.same(new Set(scene.asked.slice(3)), new Set(digestsOf(next)), 'a blob shows that it is a pull')
  await scene.release()
  await readAll(await coming)
})

t.test('prefetch: what two repositories wait for is left with the last of them, once', async t => {
  const image = makeImage({ seed: 'left twice', layers: [MiB] })
  const web = repositoryOf('library/web')
  const scene = createScene({ images: [image], atOnce: false })
  await scene.manifest(image)
  await settle()
  t.equal(scene.asked.length, 2)
  await scene.clock.advance(3_000)
  const reference = { kind: 'digest', digest: image.manifest.digest } as const
  const other = '192.0.2.8'
  await scene.registry.pullManifest(web, { reference, accept: [], client: other })
  await settle()
  await scene.clock.advance(3_000)
  t.same(scene.cut, [], 'the second may still be pulled')
  t.equal(scene.steps('cancelled').length + scene.steps('unused').length, 0)
  await scene.clock.advance(3_000)
  await settle()
  const [config, layer] = digestsOf(image)
  t.same(scene.cut, [layer])
  t.match(scene.steps('cancelled'), [{ digest: layer }])
  t.match(scene.steps('unused'), [{ digest: config }])
  t.equal(scene.steps('cancelled').length + scene.steps('unused').length, 2, 'each is told once')
  t.equal(scene.asked.length, 2)
})

t.test('prefetch: one pull makes up for manifests that were read in vain', async t => {
  const [vain, pulled, next] = ['vain', 'pulled', 'next'].map(seed =>
    makeImage({ seed, layers: [MiB] }),
  ) as [Image, Image, Image]
  const scene = createScene({ images: [vain, pulled, next], atOnce: false })
  await scene.manifest(vain)
  await settle()
  await scene.clock.advance(5_100)
  await scene.release()
  await scene.manifest(pulled)
  const coming = scene.registry.pullBlob(app, pulled.config.digest)
  await settle()
  await scene.release()
  await readAll(await coming)
  const before = scene.asked.length
  await scene.manifest(next)
  await settle()
  t.same(new Set(scene.asked.slice(before)), new Set(digestsOf(next)))
  await scene.release()
})

t.test('prefetch: what a client reads keeps the rest of its image alive', async t => {
  const image = makeImage({ seed: 'alive', layers: [MiB, MiB] })
  const scene = createScene({ images: [image], atOnce: false })
  await scene.manifest(image)
  await settle()
  const coming = scene.registry.pullBlob(app, image.config.digest)
  await settle()
  await scene.clock.advance(60_000)
  t.same(scene.cut, [], 'as long as it takes')
  await scene.release()
  await readAll(await coming)
  await scene.clock.advance(4_000)
  t.equal(scene.steps('cancelled').length + scene.steps('unused').length, 0)
  await scene.clock.advance(10_000)
  t.equal(scene.steps('unused').length, 2, 'then it is over')
})

t.test('prefetch: a client that waits for a place is given one of those', async t => {
  const image = makeImage({ seed: 'places', layers: [MiB, MiB, MiB] })
  const other = patternBlob('of another repository', MiB)
  const scene = createScene({
    images: [image],
    others: [other],
    atOnce: false,
    fillsAtOnce: 2,
  })
  await scene.manifest(image)
  await settle()
  t.equal(scene.asked.length, 2, 'no more than there are places')
  const wanted = other.digest
  const coming = scene.registry.pullBlob(repositoryOf('library/other'), wanted)
  await settle()
  t.same(scene.cut, [scene.asked[1]], 'the younger gives way')
  t.equal(scene.asked[2], wanted)
  for (let n = 0; n < 4; n += 1) await scene.release()
  t.equal((await readAll(await coming)).length, MiB)
  const fetched = scene.asked.filter(digest => digest !== wanted)
  t.same(new Set(fetched), new Set(digestsOf(image)), 'and comes again when there are places')
})

t.test('prefetch: what is short keeps its place to the end', async t => {
  const image = makeImage({ seed: 'short', layers: [64 * 1024, 64 * 1024] })
  const other = patternBlob('of another repository', MiB)
  const scene = createScene({ images: [image], others: [other], atOnce: false, fillsAtOnce: 3 })
  await scene.manifest(image)
  await settle()
  t.equal(scene.asked.length, 3, 'all places are taken')
  const coming = scene.registry.pullBlob(repositoryOf('library/other'), other.digest)
  await settle()
  t.same(scene.cut, [])
  for (let n = 0; n < 2; n += 1) await scene.release()
  t.equal((await readAll(await coming)).length, MiB)
  t.equal(scene.asked.length, 4, 'each is asked for once')
})

t.test('prefetch: whoever waits for one of the same image cuts none of it', async t => {
  const image = makeImage({ seed: 'same', layers: [MiB, MiB, MiB] })
  const scene = createScene({ images: [image], atOnce: false, fillsAtOnce: 2 })
  await scene.manifest(image)
  await settle()
  const last = image.layers[2]?.digest ?? image.config.digest
  const coming = scene.registry.pullBlob(app, last)
  await settle()
  for (let n = 0; n < 4; n += 1) await scene.release()
  t.equal((await readAll(await coming)).length, MiB)
  t.same(scene.cut, [])
  t.equal(scene.asked[2], last, 'it is next, before the others')
  t.equal(scene.asked.length, 4)
})

t.test('prefetch: who asks for a blob that is being stopped gets it', async t => {
  const image = makeImage({ seed: 'stopped', layers: [MiB] })
  const scene = createScene({ images: [image], atOnce: false })
  await scene.manifest(image)
  await settle()
  // In the same turn as the end of all patience.
  const [, stopped] = [await scene.clock.advance(4_999), scene.clock.advance(1)]
  const coming = turn().then(() =>
    scene.registry.pullBlob(app, image.layers[0]?.digest ?? image.config.digest),
  )
  await stopped
  await settle()
  await scene.release()
  t.equal((await readAll(await coming)).length, MiB)
})

t.test('prefetch: an index brings the child that its client asked for before', async t => {
  const [amd64, arm64] = ['amd64', 'arm64'].map(architecture => ({ architecture, os: 'linux' }))
  const indexOf = (seed: string) =>
    makeIndex([
      makeImage({ seed, layers: [MiB], ...(amd64 && { platform: amd64 }) }),
      makeImage({ seed, layers: [MiB], ...(arm64 && { platform: arm64 }) }),
    ])
  const [first, second] = [indexOf('one'), indexOf('two')]
  const scene = createScene({ images: [first, second] })
  const [, firstArm] = first.children
  const [secondAmd, secondArm] = second.children
  if (!firstArm || !secondAmd || !secondArm) throw new Error('two children each')
  await scene.manifest(first)
  await settle()
  t.equal(scene.manifests.length, 1, 'nobody knows what this client wants')
  await scene.manifest(firstArm)
  await readAll(await scene.registry.pullBlob(app, firstArm.config.digest))
  await settle()
  await scene.manifest(second)
  await settle()
  t.ok(scene.manifests.includes(secondArm.manifest.digest))
  t.notOk(scene.manifests.includes(secondAmd.manifest.digest))
  t.ok(scene.asked.includes(secondArm.config.digest), 'and what it lists')
  t.equal((await scene.manifest(secondArm)).source, 'hit')
})

t.test('prefetch: who reads all children of an index is given what it pulls', async t => {
  const platforms = ['amd64', 'arm64', 's390x'].map(architecture => ({ architecture, os: 'linux' }))
  const children = platforms.map((platform, at) =>
    makeImage({ seed: 'all', layers: [MiB, MiB + at], platform }),
  )
  const index = makeIndex(children)
  const scene = createScene({ images: [index], atOnce: false })
  await scene.manifest(index)
  await Promise.all(children.map(child => scene.manifest(child)))
  await settle()
  t.ok(scene.asked.length <= 3, 'not all of them')
  const wanted = children[1]
  if (wanted === undefined) throw new Error('three children')
  const coming = scene.registry.pullBlob(app, wanted.config.digest)
  await settle()
  t.same(scene.cut, [children[0]?.layers[1]?.digest], 'what is only of its sibling is stopped')
  const asked = new Set(scene.asked)
  for (const digest of digestsOf(wanted)) t.ok(asked.has(digest), 'what it pulls is fetched')
  t.equal(asked.size, scene.asked.length, 'each once, also the layer that they share')
  await scene.release()
  await readAll(await coming)
})

t.test('prefetch: what a push lists is not asked for in the name of its repository', async t => {
  const image = makeImage({ seed: 'pushed', layers: [MiB] })
  const scene = createScene({
    images: [image],
    policies: [{ match: 'docker.io/**', push: 'queue', sparse: true }],
  })
  const { bytes, mediaType, digest } = image.manifest
  await scene.registry.pushManifest(app, {
    reference: { kind: 'digest', digest },
    tags: [],
    mediaType,
    bytes,
  })
  await scene.manifest(image)
  await settle()
  t.same(scene.asked, [])
})

t.test('prefetch: the disk is not looked at while there is no place', async t => {
  const image = makeImage({ seed: 'full', layers: [MiB, MiB, MiB, MiB] })
  let looks = 0
  const { registry, manifest } = createScene({
    images: [image],
    atOnce: false,
    fillsAtOnce: 2,
    store: store =>
      around(store, {
        find: find => async digest => {
          looks += 1
          return find(digest)
        },
      }),
  })
  await manifest(image)
  await settle()
  t.ok(looks > 0, 'it was, when there were places')
  looks = 0
  for (const { digest } of image.layers) {
    const coming = registry.pullBlob(app, digest)
    coming.catch(() => {})
    await settle()
  }
  t.equal(looks, 0)
})

t.test('prefetch: the next blob does not wait until the disk has the one before', async t => {
  const image = makeImage({ seed: 'slow disk', layers: [MiB, MiB] })
  const synced = Promise.withResolvers<void>()
  const { manifest, asked } = createScene({
    images: [image],
    fillsAtOnce: 1,
    store: store =>
      aroundFills(store, {
        commit: commit => async contentClass => {
          await synced.promise
          return await commit(contentClass)
        },
      }),
  })
  await manifest(image)
  for (let n = 0; n < 5; n += 1) await settle()
  t.same(new Set(asked), new Set(digestsOf(image)))
  synced.resolve()
  await settle()
  t.equal(asked.length, 3, 'each once')
})

t.test('prefetch: what came while the disk was looked at is not fetched again', async t => {
  const image = makeImage({ seed: 'late', layers: [100] })
  const [layer] = image.layers
  if (layer === undefined) throw new Error('the image has no layer')
  const answered = Promise.withResolvers<void>()
  const { registry, manifest, asked } = createScene({
    images: [image],
    store: store => {
      let looks = 0
      return around(store, {
        find: find => async digest => {
          const found = await find(digest)
          if (digest === layer.digest && looks++ === 0) await answered.promise
          return found
        },
      })
    },
  })
  await manifest(image)
  await settle()
  await readAll(await registry.pullBlob(repositoryOf('library/other'), layer.digest))
  await settle()
  answered.resolve()
  await settle()
  t.same(new Set(asked), new Set([layer.digest, image.config.digest]))
  t.equal(asked.length, 2, 'each once')
})

t.test('prefetch: what the upstream refuses ends it, and its client is told', async t => {
  const image = makeImage({ seed: 'refused', layers: [MiB, MiB] })
  let asked = 0
  const { registry } = createEngine({
    prefetch: true,
    fillsAtOnce: 1,
    upstream: {
      getManifest: async () => ({ ...image.manifest, declaredDigest: undefined, warnings: [] }),
      getBlob: async () => {
        asked += 1
        throw new UpstreamError('denied', 'not for you')
      },
    },
  })
  const reference = { kind: 'digest', digest: image.manifest.digest } as const
  await registry.pullManifest(app, { reference, accept: [], client })
  await settle()
  t.equal(asked, 1)
  await t.rejects(registry.pullBlob(app, image.config.digest), { code: 'DENIED' })
})

t.test('prefetch: layers from elsewhere and what an artifact refers to stay there', async t => {
  const subject = makeImage({ seed: 'subject', layers: [MiB] })
  const artifact = makeArtifact({ seed: 'sbom', subject: subject.descriptor })
  const scene = createScene({ images: [artifact, subject] })
  await scene.manifest(artifact)
  await settle()
  t.same(new Set(scene.asked), new Set(digestsOf(artifact)))
})

t.test(
  'prefetch: a manifest from a memory of answers brings what is not here any more',
  async t => {
    const image = makeImage({ seed: 'again', layers: [MiB, MiB] })
    let looks = 0
    const scene = createScene({
      images: [image],
      catalog: catalog =>
        around(catalog, {
          findMember:
            findMember =>
            (...asked) => {
              looks += 1
              return findMember(...asked)
            },
          findManifest:
            findManifest =>
            (...asked) => {
              looks += 1
              return findManifest(...asked)
            },
        }),
    })
    const { registry, store, clock, asked } = scene
    const again = async () => {
      registry.notePull(app, image.manifest.digest, client)
      await settle()
    }
    await scene.manifest(image)
    await settle()
    t.equal(asked.length, 3)
    for (const digest of digestsOf(image)) await readAll(await registry.pullBlob(app, digest))
    await clock.advance(10_000)
    await again()
    looks = 0
    for (let n = 0; n < 100; n += 1) await again()
    t.equal(looks, 0, 'what is known to be here is not looked for')
    const purge = (repositories: string) =>
      registry.purge({ kind: 'repositories', repositories }, { ...quietRun(), kept: false })
    await purge('docker.io/library/other')
    looks = 0
    await again()
    t.equal(looks, 0, 'nor because something else was purged')
    const [layer] = image.layers
    if (layer === undefined) throw new Error('two layers')
    await store.remove(layer.digest)
    await clock.advance(60_001)
    await again()
    t.same(asked.slice(3), [layer.digest], 'it is fetched before anybody asks')
    registry.notePull(repositoryOf('library/other'), image.manifest.digest, client)
    registry.notePull(localOf('app'), image.manifest.digest, client)
    await settle()
    t.equal(asked.length, 4, 'and for nobody who was given nothing')
  },
)

t.test('prefetch: an index from a memory of answers brings the child as it did before', async t => {
  const platform = { architecture: 'amd64', os: 'linux' }
  const indexes = ['one', 'two'].map(seed =>
    makeIndex([makeImage({ seed, layers: [MiB], platform })]),
  )
  const scene = createScene({ images: indexes })
  const [first, second] = indexes
  const [child] = first?.children ?? []
  const [wanted] = second?.children ?? []
  if (!first || !second || !child || !wanted) throw new Error('two indexes')
  // Nobody knows yet what this client wants.
  await scene.manifest(second)
  for (const image of [first, child]) await scene.manifest(image)
  await settle()
  t.notOk(scene.manifests.includes(wanted.manifest.digest))
  scene.registry.notePull(app, second.manifest.digest, client)
  await settle()
  t.ok(scene.manifests.includes(wanted.manifest.digest))
  t.ok(scene.asked.includes(wanted.config.digest), 'and what it lists')
})

t.test('prefetch: manifests that are only read take no room from one that is pulled', async t => {
  const images = Array.from({ length: 257 }, (_, n) => makeImage({ seed: `${n}`, layers: [100] }))
  const [vain, ...read] = images
  const last = read.pop()
  if (vain === undefined || last === undefined) throw new Error('many images')
  const scene = createScene({ images })
  await scene.manifest(vain)
  await scene.clock.advance(5_000)
  await settle()
  // For this repository begin with the first blob alone: each is remembered for a minute.
  for (const image of read) await scene.manifest(image)
  await scene.manifest(vain)
  await scene.manifest(last)
  await settle()
  const before = scene.asked.length
  await readAll(await scene.registry.pullBlob(app, last.config.digest))
  await settle()
  t.equal(scene.asked.length, before + 2, 'its layer as well')
})
