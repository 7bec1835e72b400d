// Goal: a dry run of a purge tells what the run then does: the same of each, and the bytes that the
// disk really has back. Method: edges from a seed, with layers, images and indexes that are pulled
// and pushed, by several repositories and by some of them only in part; first foretold, then done.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag, type Repository } from '../../src/oci/reference.ts'
import type { Selector } from '../../src/registry/pins/selectors.ts'
import { BLOCK_BYTES } from '../../src/registry/ports/blob-store.ts'
import { UpstreamError } from '../../src/registry/ports/upstream.ts'
import { type Content, patternBlob } from '../kit/content.ts'
import { blobAnswer, createEngine, type Engine, readAll } from '../kit/engine.ts'
import { type Image, makeIndex } from '../kit/image.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { createMemoryDisk } from '../kit/memory/store.ts'
import { openCatalog } from '../kit/open-catalog.ts'
import { digested, pushImage, tagged } from '../kit/clients/push-image.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'
import { sharingImage } from '../kit/sharing-image.ts'
import { pushWhole } from '../kit/clients/upload-chunks.ts'
import { quietRun } from '../kit/quiet-run.ts'

const EDGES = 8
const KiB = 1024
const PULLED = ['docker.io/library/a', 'docker.io/library/b'] as const
const PUSHED = ['localhost/team/c', 'localhost/team/d', 'docker.io/queued/e'] as const
const ALL = [...PULLED, ...PUSHED] as const
const IMAGES = 12

interface Upstreams {
  readonly images: Map<string, Image>
  readonly blobs: Map<string, Content>
}

async function openEdge(t: Test, { images, blobs }: Upstreams): Promise<Engine> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-purge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const { catalog } = await openCatalog(t, directory)
  const absent = () => new UpstreamError('not-found', 'it is not there')
  return createEngine({
    after: { disk: createMemoryDisk(), catalog, clock: createManualClock() },
    policies: [{ match: 'docker.io/queued/**', push: 'queue' }],
    upstream: {
      getManifest: async (_, reference) => {
        const image = images.get(reference.kind === 'tag' ? reference.tag : reference.digest)
        if (image === undefined) throw absent()
        const { bytes, mediaType, digest } = image.manifest
        return { bytes, mediaType, declaredDigest: digest, warnings: [] }
      },
      headBlob: async (_, digest) => {
        const blob = blobs.get(digest)
        if (blob === undefined) throw absent()
        return { sizeBytes: blob.sizeBytes }
      },
      getBlob: async (_, digest) => {
        const blob = blobs.get(digest)
        if (blob === undefined) throw absent()
        return blobAnswer([blob.bytes()])
      },
    },
  })
}

/** All of it, or what somebody takes who stops. */
async function pull(engine: Engine, repository: Repository, image: Image, random: Random) {
  const { registry } = engine
  const tag = random.oneIn(2) ? `t-${image.manifest.digest.slice(-6)}` : undefined
  await registry.pullManifest(
    repository,
    tag === undefined ? digested(image.manifest.digest) : tagged(tag),
  )
  for (const child of image.children)
    if (!random.oneIn(4)) await pull(engine, repository, child, random)
  if (image.children.length > 0) return
  for (const { digest } of [image.config, ...image.layers])
    if (!random.oneIn(6)) await readAll(await registry.pullBlob(repository, digest))
}

async function fill(engine: Engine, random: Random, upstreams: Upstreams): Promise<Image[]> {
  const layers = Array.from({ length: 6 }, (_, at) =>
    patternBlob(`shared ${at}`, random.between(1, 90) * KiB),
  )
  const images = Array.from({ length: IMAGES }, (_, at) => sharingImage(random, `${at}`, layers))
  const indexes = Array.from({ length: 3 }, () => images.filter(() => random.oneIn(4)))
    .filter(children => children.length > 0)
    .map(children => makeIndex(children))
  const all = [...images, ...indexes]
  for (const image of all) {
    const { digest } = image.manifest
    upstreams.images.set(digest, image).set(`t-${digest.slice(-6)}`, image)
    for (const blob of [image.config, ...image.layers]) upstreams.blobs.set(blob.digest, blob)
  }
  for (const image of all) {
    for (const key of PULLED)
      if (random.oneIn(2)) await pull(engine, parseRepositoryKey(key), image, random)
    for (const key of PUSHED) {
      if (!random.oneIn(4)) continue
      const tag = random.oneIn(3) ? undefined : `p${random.below(4)}`
      await pushImage(engine.registry, parseRepositoryKey(key), image, tag)
    }
  }
  // Of which no manifest tells there, of which one does later, and tags of what is not here.
  for (const { digest, bytes } of layers) {
    const pulled = parseRepositoryKey(random.pick(PULLED))
    if (random.oneIn(2)) await readAll(await engine.registry.pullBlob(pulled, digest))
    const pushed = parseRepositoryKey(random.pick(PUSHED))
    if (random.oneIn(3)) await pushWhole(engine.registry, pushed, Buffer.from(bytes()))
  }
  const absent = digestOf(Buffer.from('absent'))
  const repository = parseRepositoryKey(random.pick(ALL))
  await engine.catalog.recordTag(repository, parseTag('bare'), absent, { checkedAtMs: 1 })
  const none = digested(absent)
  if (random.oneIn(2)) await engine.registry.pullManifest(repository, none).catch(() => {})
  return all
}

function selectorFrom(random: Random, images: readonly Image[]): Selector {
  const image = images[random.below(images.length)] as Image
  const contents = [image.manifest.digest, image.layers[0]?.digest ?? image.manifest.digest]
  const kinds: Selector[] = [
    { kind: 'repositories', repositories: random.pick(['**', 'docker.io/**', ...ALL]) },
    { kind: 'tags', repositories: '**', tags: random.pick(['p*', 't-*', 'p1', '*']) },
    { kind: 'manifest', repositories: '**', digest: image.manifest.digest },
    { kind: 'content', digest: contents[random.below(contents.length)] as Digest },
  ]
  return kinds[random.below(kinds.length)] as Selector
}

t.test(
  'R464: a dry run of a purge tells what the run does, and the bytes that are free',
  async t => {
    const seed = seedOf(process.env)
    t.comment(`SEED=${seed}`)
    const random = createRandom(seed)
    let purged = 0
    for (let edge = 0; edge < EDGES; edge += 1) {
      const upstreams = { images: new Map<string, Image>(), blobs: new Map<string, Content>() }
      const engine = await openEdge(t, upstreams)
      const images = await fill(engine, random, upstreams)
      for (let at = 0; at < 4; at += 1) {
        const selector = selectorFrom(random, images)
        const kept = random.oneIn(2)
        const how = { ...quietRun(), kept }
        const what = `edge ${edge}, ${JSON.stringify(selector)}${kept ? ' --kept' : ''}`
        const before = (await engine.catalog.totals()).contentBlocks
        const foretold = await engine.registry.purge(selector, { ...how, dryRun: true })
        t.equal((await engine.catalog.totals()).contentBlocks, before, 'a dry run takes nothing')
        const done = await engine.registry.purge(selector, { ...how, dryRun: false })
        t.strictSame(foretold, done, what)
        const freedBytes = (before - (await engine.catalog.totals()).contentBlocks) * BLOCK_BYTES
        t.equal(done.freedBytes, freedBytes, `${what}: the disk has so much back`)
        purged += done.count
      }
    }
    t.ok(purged > EDGES, `${purged}`)
  },
)
