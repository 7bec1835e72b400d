// Goal: with an image that a client deletes goes what it lists and what is about it, after the same
// grace and in the same pass, and nothing that something else reaches. Method: the engine over
// in-memory twins, by its use cases; families of indexes, referrers and signatures; pushes that
// meet the collection at each of its calls.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseTag, repositoryKey } from '../../../../src/oci/reference.ts'
import { GRACE_MS, UNUSED_MS } from '../../../../src/registry/collect/collect.ts'
import type { JobResult } from '../../../../src/registry/job.ts'
import { explainLeaving } from '../../../../src/registry/operator/why-leave.ts'
import { Pins } from '../../../../src/registry/pins/pins.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { Fact, FactStore } from '../../../../src/registry/ports/facts.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { Jobs } from '../../../../src/upkeep/jobs.ts'
import { LastRuns } from '../../../../src/upkeep/last-runs.ts'
import { around, everyCall } from '../../../kit/around.ts'
import { beforeCall } from '../../../kit/worlds/before-call.ts'
import {
  createEngine,
  type Engine,
  type EngineOptions,
  localOf,
  repositoryOf,
} from '../../../kit/engine.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = localOf('team/app')
const [one, two, three] = ['one', 'two', 'three'].map(seed =>
  makeImage({ seed, layers: [10, 20] }),
) as [Image, Image, Image]
const index = makeIndex([one, two])
const nested = makeIndex([index, three])

const remove = ({ registry }: Pick<Engine, 'registry'>, { manifest }: Image, repository = app) =>
  registry.deleteManifest(repository, digested(manifest.digest).reference)
const collected = ({ registry }: Pick<Engine, 'registry'>, dryRun = false): Promise<JobResult> =>
  registry.collect(quietRun({ dryRun }))
const onDisk = ({ disk }: Pick<Engine, 'disk'>) => [...disk.blobs.keys()].sort()
const partsOf = ({ manifest, config, layers, children }: Image): Digest[] =>
  children.length > 0
    ? [manifest.digest, ...children.flatMap(partsOf)]
    : [manifest, config, ...layers].map(({ digest }) => digest)
const filesOf = (...images: Image[]) => [...new Set(images.flatMap(partsOf))].sort()
const signatureTag = ({ manifest }: Image) => `${manifest.digest.replace(':', '-')}.sig`

const noTag = { ...ANY_TAG, patterns: ['none'] }
const IN_BESIDE = { kind: 'repositories', repositories: 'localhost/team/beside' } as const
const NOTHING_STAYS = {
  delayMs: 0,
  policies: [
    {
      repositories: ['localhost/team/beside'],
      deleteUntagged: true,
      deleteReferrers: false,
      keepTags: [noTag],
    },
  ],
}

/** A moment after the grace. */
async function afterGrace(engine: Engine, dryRun = false): Promise<JobResult> {
  await engine.clock.advance(GRACE_MS + 1)
  return collected(engine, dryRun)
}

async function pulls({ registry }: Pick<Engine, 'registry'>, image: Image): Promise<boolean> {
  const { digest } = image.manifest
  const answer = registry.pullManifest(app, digested(digest))
  return answer.then(
    () => true,
    () => false,
  )
}

t.test('R384: an index is off the disk with its images, after one grace and one pass', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, nested, 'v1')
  await remove(engine, nested)
  await engine.clock.advance(GRACE_MS)
  t.match(await collected(engine), { count: 0 }, 'a grace is over when it is')
  await engine.clock.advance(1)
  const result = await collected(engine)
  t.strictSame(onDisk(engine), [])
  t.equal(result.count, filesOf(nested).length)
  t.equal(result.freedBytes, result.count * 4096)
  const told = result.gone.find(({ what }) => what.endsWith(`@${three.manifest.digest}`))
  t.match(told, { what: /^localhost\/team\/app@/, reason: /^what listed it, or what it is about/ })
  t.match(await engine.catalog.totals(), { contentBlocks: 0, leavingBlocks: 0, manifests: 0 })
  t.match(await collected(engine), { count: 0 })
})

t.test(
  'R384: so are its signatures and what else is about it, and what is about those',
  async t => {
    const engine = createEngine()
    const bill = makeArtifact({ seed: 'bill', subject: one.descriptor })
    const ofBill = makeArtifact({ seed: 'of bill', subject: bill.descriptor })
    const signature = makeImage({ seed: 'signature', layers: [5] })
    const ofTwo = makeArtifact({ seed: 'of two', subject: two.descriptor })
    for (const image of [one, two]) await pushImage(engine.registry, app, image, 'v1')
    for (const image of [bill, ofBill, ofTwo]) await pushImage(engine.registry, app, image)
    await pushImage(engine.registry, app, signature, signatureTag(ofBill))
    await remove(engine, one)
    const told = await afterGrace(engine)
    t.strictSame(onDisk(engine), filesOf(two, ofTwo))
    t.ok(told.gone.some(({ what, bytes }) => what.endsWith(signatureTag(ofBill)) && bytes === 0))
    t.strictSame(
      (await engine.catalog.listTags(app, { limit: 9 })).map(({ tag }) => tag),
      [parseTag('v1')],
    )
  },
)

t.test(
  'R384: what a tag or another index reaches stays, and follows that from then on',
  async t => {
    const engine = createEngine()
    const other = makeIndex([two, three])
    await pushImage(engine.registry, app, index, 'v1')
    await pushImage(engine.registry, app, one, 'amd64')
    await pushImage(engine.registry, app, other, 'v2')
    await remove(engine, index)
    await afterGrace(engine)
    t.strictSame(onDisk(engine), filesOf(one, other))
    await engine.registry.deleteManifest(app, { kind: 'tag', tag: parseTag('amd64') })
    await afterGrace(engine)
    t.ok(await pulls(engine, one), 'a tag alone was deleted')
    await remove(engine, other)
    await afterGrace(engine)
    t.strictSame(onDisk(engine), filesOf(one))
  },
)

t.test('R384: two indexes that share an image, deleted at once or one by one', async t => {
  const other = makeIndex([two, three])
  for (const betweenMs of [0, GRACE_MS / 2, 2 * GRACE_MS]) {
    const engine = createEngine()
    for (const image of [index, other]) await pushImage(engine.registry, app, image, 'v1')
    await Promise.all([remove(engine, index), betweenMs === 0 && remove(engine, other)])
    await engine.clock.advance(betweenMs)
    await collected(engine)
    if (betweenMs > 0) await remove(engine, other)
    await engine.clock.advance(GRACE_MS)
    await collected(engine)
    t.equal(await pulls(engine, two), true, 'the later grace counts')
    await engine.clock.advance(1)
    await collected(engine)
    t.strictSame(onDisk(engine), [])
  }
})

t.test('R458: what somebody deleted elsewhere a moment ago has its own grace', async t => {
  const beside = localOf('team/beside')
  for (const whole of [index, nested]) {
    const engine = createEngine()
    await pushImage(engine.registry, app, whole, 'v1')
    await pushImage(engine.registry, beside, one, 'v1')
    await remove(engine, whole)
    await engine.clock.advance(GRACE_MS)
    await remove(engine, one, beside)
    await engine.clock.advance(1)
    const told = await collected(engine, true)
    t.strictSame(await collected(engine), told)
    t.strictSame(onDisk(engine), filesOf(one))
    t.notOk(await pulls(engine, one), 'it is in neither repository')
    await engine.clock.advance(GRACE_MS - 1)
    t.match(await collected(engine), { count: 0 })
    await engine.clock.advance(2)
    await collected(engine)
    t.strictSame(onDisk(engine), [])
  }
})

t.test('R612: so has what a policy deleted elsewhere, and not what an operator purged', async t => {
  const beside = localOf('team/beside')
  for (const by of ['a policy', 'a purge'] as const) {
    const engine = createEngine()
    await pushImage(engine.registry, app, index, 'v1')
    await pushImage(engine.registry, beside, one, 'v1')
    await remove(engine, index)
    await engine.clock.advance(GRACE_MS)
    const run = quietRun()
    if (by === 'a policy') await engine.registry.retain(() => NOTHING_STAYS, run)
    else await engine.registry.purge(IN_BESIDE, { ...run, kept: true })
    await engine.clock.advance(1)
    const told = await collected(engine, true)
    t.strictSame(await collected(engine), told)
    t.strictSame(onDisk(engine), by === 'a policy' ? filesOf(one) : [], by)
    await engine.clock.advance(GRACE_MS + 1)
    await collected(engine)
    t.strictSame(onDisk(engine), [])
  }
})

t.test('R384: of what loses its tag meanwhile the grace begins with that', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  await pushImage(engine.registry, app, one, 'amd64')
  await remove(engine, index)
  await engine.clock.advance(GRACE_MS / 2)
  await engine.registry.deleteManifest(app, { kind: 'tag', tag: parseTag('amd64') })
  t.equal(await engine.registry.graceLeftMs(), GRACE_MS / 2 + 1)
  await engine.clock.advance(GRACE_MS / 2 + 1)
  await collected(engine)
  t.strictSame(onDisk(engine), filesOf(one))
  t.equal(await engine.registry.graceLeftMs(), GRACE_MS / 2)
  await engine.clock.advance(GRACE_MS / 2)
  await collected(engine)
  t.strictSame(onDisk(engine), [])
})

t.test('R384: what is pushed again within the grace stays, for good', async t => {
  for (const again of ['the index', 'one of its images'] as const) {
    const engine = createEngine()
    await pushImage(engine.registry, app, index, 'v1')
    await remove(engine, index)
    await engine.clock.advance(GRACE_MS / 2)
    const { manifest } = again === 'the index' ? index : one
    await pushDocument(engine.registry, app, { document: manifest })
    for (let pass = 0; pass < 3; pass += 1) await afterGrace(engine)
    t.strictSame(onDisk(engine), again === 'the index' ? filesOf(index) : filesOf(one), again)
    const { catalog } = await rebuilt(engine, everywhere({}))
    t.ok(await catalog.findManifest(app, manifest.digest), 'also without the catalog')
  }
})

t.test(
  'what is deleted by mistake: an index comes back by itself, an image with its bytes',
  async t => {
    const engine = createEngine()
    const { registry } = engine
    const isThere = (found: Promise<unknown>) =>
      found.then(
        () => true,
        () => false,
      )
    const asked = (digest: Digest) => ({ ...digested(digest), mayPush: true })
    await pushImage(registry, app, index, 'v1')
    await remove(engine, index)
    for (const { manifest, config, layers } of [one, two]) {
      t.ok(await isThere(registry.headManifest(app, asked(manifest.digest))))
      for (const { digest } of [config, ...layers])
        t.ok(await isThere(registry.headBlob(app, digest, { mayPush: true })))
    }
    await pushDocument(registry, app, { document: index.manifest, reference: 'v1' })

    await pushImage(registry, app, three, 'v3')
    await remove(engine, three)
    for (const { digest } of [three.config, ...three.layers]) {
      t.notOk(await isThere(registry.headBlob(app, digest, { mayPush: true })))
      t.ok(engine.disk.blobs.has(digest), 'though its file is there')
    }
    const alone = pushDocument(registry, app, { document: three.manifest, reference: 'v3' })
    await t.rejects(alone, { code: 'MANIFEST_BLOB_UNKNOWN' })
    await pushImage(registry, app, three, 'v3')
    for (let pass = 0; pass < 2; pass += 1) await afterGrace(engine)
    t.strictSame(onDisk(engine), filesOf(index, three))
  },
)

t.test('R384: what a pusher is told of meanwhile stays for its push', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  await remove(engine, index)
  await engine.clock.advance(GRACE_MS - 1)
  await engine.registry.headManifest(app, { ...digested(one.manifest.digest), mayPush: true })
  await engine.clock.advance(2)
  await collected(engine)
  t.strictSame(onDisk(engine), filesOf(one))
  await afterGrace(engine)
  t.strictSame(onDisk(engine), [], 'and no longer: nothing was pushed')
})

t.test('R384: it goes also after a restart; without the catalog it stays', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  await remove(engine, index)
  const { catalog } = await rebuilt(engine, everywhere({}))
  const lost = createEngine({ after: { ...engine, catalog } })
  await afterGrace(lost)
  t.ok(await pulls(lost, one), 'nobody knows that it was below')
  t.notOk(await pulls(lost, index))
  await engine.registry.stop()
  const next = createEngine({ after: engine })
  await collected(next)
  t.strictSame(onDisk(next), [])
  t.strictSame((await rebuilt(next, everywhere({}))).report.manifests, 0, 'nor do facts tell of it')
})

t.test('R384: what was pulled through and deleted goes alike', async t => {
  const engine = createEngine({
    policies: [{ match: 'docker.io/**', push: 'store', deletable: true }],
  })
  const cached = repositoryOf('library/app')
  for (const image of [one, two, index]) {
    const { digest, mediaType, bytes } = image.manifest
    const edges = image.children.map(({ descriptor }) => ({
      child: descriptor.digest,
      kind: 'manifest' as const,
      sizeBytes: descriptor.size,
      mediaType: descriptor.mediaType,
      platform: 'linux/amd64',
      distributable: true,
    }))
    await engine.store.put(digest, bytes, 'cached')
    await engine.catalog.recordManifest({
      repository: cached,
      manifest: { digest, mediaType, sizeBytes: bytes.length, edges },
      atMs: engine.clock.nowMs(),
    })
  }
  await remove(engine, index, cached)
  t.strictSame(onDisk(engine), [one, two].map(({ manifest }) => manifest.digest).sort())
  await afterGrace(engine)
  t.strictSame(onDisk(engine), [])
})

t.test('R432: a signature that was pushed here outlives the copy that it is about', async t => {
  const app = repositoryOf('library/app')
  const image = makeImage({ seed: 'pulled', layers: [10] })
  const signature = makeArtifact({ seed: 'pushed', subject: image.descriptor })
  const { bytes, mediaType, digest } = image.manifest
  const answer = { bytes, mediaType, digest, declaredDigest: digest, warnings: [] }
  const engine = createEngine({
    policies: [{ match: 'docker.io/**', push: 'store', deletable: true }],
    upstream: { getManifest: async () => answer },
  })
  const pull = () => engine.registry.pullManifest(app, digested(digest))
  await pull()
  await pushImage(engine.registry, app, signature)
  await remove(engine, image, app)
  await afterGrace(engine)
  t.equal(engine.disk.blobs.has(digest), false)
  await pull()
  t.same(await engine.catalog.listReferrers(app, digest), [signature.manifest.digest])
})

t.test('R384: what is pinned, or yet to be delivered, stays until it is not', async t => {
  let isPinned = true
  const pin = {
    selector: { kind: 'content', digest: one.manifest.digest },
    from: 'command',
  } as const
  const engine = createEngine({
    pins: {
      findWithListed: async (_repository, digest) =>
        isPinned && digest === one.manifest.digest ? pin : undefined,
    },
  })
  await pushImage(engine.registry, app, index, 'v1')
  await remove(engine, index)
  await afterGrace(engine)
  t.strictSame(onDisk(engine), filesOf(one))
  isPinned = false
  await collected(engine)
  t.strictSame(onDisk(engine), [])

  const queued = createEngine({
    policies: [{ match: 'docker.io/**', push: 'queue', deletable: true }],
  })
  const repository = repositoryOf('team/app')
  await pushImage(queued.registry, repository, index, 'v1')
  await remove(queued, index, repository)
  await afterGrace(queued)
  t.strictSame(onDisk(queued), filesOf(one, two), 'each has an entry of its own')
  const entries = await queued.catalog.listDeliveries({ limit: 9 })
  t.equal(entries.length, 2)
  for (const { id } of entries) {
    const atMs = queued.clock.nowMs()
    const { digest } = one.manifest
    await queued.catalog.removeDelivery(id, { repository, digest, tags: [], atMs })
  }
  await collected(queued)
  t.strictSame(onDisk(queued), [])
})

t.test('R384: one that cannot be taken holds up no other, and goes in the next pass', async t => {
  let isBroken = true
  const facts = (under: FactStore): FactStore => ({
    get failures() {
      return under.failures
    },
    has: identity => under.has(identity),
    find: identity => under.find(identity),
    list: () => under.list(),
    remove: identities => under.remove(identities),
    write: async (written, how) => {
      const isOfOne = written.some(
        fact => fact.kind === 'deleted' && fact.digest === one.manifest.digest,
      )
      if (isBroken && isOfOne) throw new StoreError('io', 'the directory cannot be read')
      await under.write(written, how)
    },
  })
  const engine = createEngine({ facts })
  const { content, store, clock } = engine
  const { digest, bytes } = three.config
  await store.put(digest, bytes(), 'cached')
  await content.recordHere({ repository: app, digest, atMs: clock.nowMs(), hold: 'nothing' })
  await clock.advance(UNUSED_MS)
  const [older, newer] = [makeIndex([one]), makeIndex([two])]
  for (const image of [older, newer]) {
    await pushImage(engine.registry, app, image)
    await remove(engine, image)
    await clock.advance(1)
  }
  const told = await afterGrace(engine)
  t.strictSame(onDisk(engine), filesOf(one))
  t.match(told.note, /^one manifest could not be taken: the log says why/)
  t.equal(engine.events.filter(({ kind }) => kind === 'storage failed').length, 1)
  t.ok(await pulls(engine, one))
  t.equal(told.count, filesOf(newer).length + 2)
  isBroken = false
  t.equal((await collected(engine)).note, undefined)
  t.strictSame(onDisk(engine), [])
})

t.test('R385: a dry run tells what goes with deleted manifests, and that does then', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  for (let round = 0; round < 30; round += 1) {
    const engine = createEngine()
    const all = randomFamily(random)
    for (const { image, tag } of all) await pushImage(engine.registry, app, image, tag)
    const gone = new Set(all.filter(() => random.below(3) === 0).map(({ image }) => image))
    for (const image of gone) await remove(engine, image).catch(() => {})
    await engine.clock.advance(GRACE_MS + 1)
    const [files, facts] = [onDisk(engine), engine.disk.facts.size]
    const told = await collected(engine, true)
    t.strictSame([onDisk(engine), engine.disk.facts.size], [files, facts])
    const did = await collected(engine)
    t.strictSame(did, told)
    const { contentBlocks } = await engine.catalog.totals()
    t.equal(files.length * 4096, did.freedBytes + contentBlocks * 4096)
    t.strictSame((await afterGrace(engine)).count, 0, 'one pass takes all')
    for (const { tag } of await engine.catalog.listTags(app, { limit: 99 })) {
      const { digest } = await engine.registry.pullManifest(app, {
        reference: { kind: 'tag', tag },
        accept: [],
      })
      const image = all.find(each => each.image.manifest.digest === digest)?.image
      if (image !== undefined && !gone.has(image)) await everythingOf(engine, image, gone)
    }
  }
})

/** Whose parts are all there, but for what was deleted by its own digest. */
async function everythingOf(engine: Engine, image: Image, gone: ReadonlySet<Image>): Promise<void> {
  for (const child of image.children)
    if (![...gone].some(({ manifest }) => manifest.digest === child.manifest.digest))
      await everythingOf(engine, child, gone)
  if (image.children.length > 0) return
  for (const { digest } of [image.config, ...image.layers])
    if ((await engine.catalog.findContent(digest)) === undefined) throw new Error(`${digest} left`)
}

function randomFamily(random: ReturnType<typeof createRandom>) {
  const pick = <T>(from: readonly T[]) => from[random.below(from.length)] as T
  const images = Array.from({ length: 5 }, (_, at) => makeImage({ seed: at, layers: [10, 20] }))
  const indexes = [makeIndex(images.slice(0, 2)), makeIndex(images.slice(1, 4))]
  const deep = makeIndex([pick(indexes), pick(images)])
  const subjects = [...images, ...indexes, deep]
  const about = [1, 2, 3].map(seed => makeArtifact({ seed, subject: pick(subjects).descriptor }))
  const signature = makeImage({ seed: 'signature', layers: [3] })
  const tagOf = () => (random.below(3) === 0 ? pick(['v1', 'v2']) : undefined)
  return [
    ...[...subjects, ...about].map(image => ({ image, tag: tagOf() })),
    { image: signature, tag: signatureTag(pick([...subjects, ...about])) },
  ]
}

t.test('R490: what a push is told of before it is let go is not told to have gone', async t => {
  const other = localOf('team/other')
  const [layer] = one.layers.map(({ digest }) => digest) as [Digest]
  const alone = makeIndex([one])
  let calls = 0
  const engine: Engine = createEngine({
    catalog: beforeCall(
      'letGo',
      () => engine.registry.headBlob(other, layer, { mayPush: true }),
      // The index itself goes first.
      () => (calls += 1) > 1,
    ),
  })
  const { registry, content } = engine
  await pushImage(registry, app, alone, 'v1')
  await content.recordHere({ repository: other, digest: layer, atMs: 1, hold: 'nothing' })
  await remove(engine, alone)
  const { gone, freedBytes } = await afterGrace(engine)
  t.strictSame(onDisk(engine), [layer])
  t.notOk(gone.some(({ what }) => what.includes(layer)))
  t.equal(freedBytes, (filesOf(alone).length - 1) * 4096)
})

/** The engine, which begins `meanwhile` as its catalog is asked for the `at`th time. */
function meeting(at: number, options: EngineOptions = {}) {
  const state = { calls: -1, begun: undefined as Promise<unknown> | undefined }
  let meanwhile: (() => Promise<unknown>) | undefined
  const catalog = (under: Catalog) =>
    everyCall(under, (call, args) => {
      if (meanwhile !== undefined && ++state.calls === at) state.begun = meanwhile()
      return call(...args)
    })
  const engine = createEngine({ ...options, catalog })
  const arm = (work: () => Promise<unknown>) => {
    meanwhile = work
  }
  return { engine, state, arm }
}

/** As a builder does: what is said to be there is not sent. */
async function pushAgain({ registry }: Engine): Promise<void> {
  for (const child of index.children)
    await registry
      .headManifest(app, { ...digested(child.manifest.digest), mayPush: true })
      .catch(() => pushImage(registry, app, child))
  await pushDocument(registry, app, { document: index.manifest, reference: 'v2' })
}

t.test('an operator is told of an image that it goes with its index', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  const retention = () => ({ delayMs: 0, policies: [], dryRun: false })
  const why = async () => {
    const { reference } = digested(one.manifest.digest)
    const found = { image: 'app', repository: app, reference, digest: reference.digest }
    const jobs = new Jobs([], { ...engine, note: () => {}, lastRuns: new LastRuns(engine.catalog) })
    const deps = { ...engine, pins: new Pins(engine), retention, jobs }
    return (await explainLeaving(deps, { ...found, tag: undefined })).sentences
  }
  t.match(await why(), [/^it was pushed here and has no other home/])
  await remove(engine, index)
  t.match(await why(), [
    /^what listed it, or what it is about, was deleted: it goes when storage.*lost or cannot be read$/,
  ])
  await pushDocument(engine.registry, app, { document: index.manifest })
  t.match(await why(), [/^it was pushed here and has no other home/])
})

t.test('R384: a push that meets the collection, at each of its calls, is whole', async t => {
  let met = 0
  for (let at = 0; ; at += 1) {
    const { engine, state, arm } = meeting(at)
    await pushImage(engine.registry, app, index, 'v1')
    await remove(engine, index)
    await engine.clock.advance(GRACE_MS + 1)
    arm(() => pushAgain(engine))
    await collected(engine)
    if (state.begun === undefined) break
    met += 1
    await state.begun
    await afterGrace(engine)
    const here = filesOf(index).filter(digest => onDisk(engine).includes(digest))
    t.strictSame(here, filesOf(index), `at ${at}`)
    for (const image of [one, two, index]) t.ok(await pulls(engine, image), `at ${at}`)
    const { catalog } = await rebuilt(engine, everywhere({}))
    for (const { manifest } of [one, two, index])
      t.ok(await catalog.findManifest(app, manifest.digest), `at ${at}, without the catalog`)
  }
  t.ok(met > 20, `${met} calls`)
})

const lost = digestOf(Buffer.from('lost'))
const LOST: Readonly<Record<string, Fact>> = {
  'a manifest': {
    kind: 'manifest',
    repository: repositoryKey(app),
    digest: lost,
    mediaType: index.manifest.mediaType,
    atMs: 1,
  },
  'a tag': {
    kind: 'tag',
    repository: repositoryKey(app),
    tag: parseTag('lost'),
    digest: lost,
    atMs: 1,
  },
}

for (const [what, fact] of Object.entries(LOST))
  t.test(`R680: nothing follows in a repository that has lost ${what}`, async t => {
    const engine = createEngine()
    const beside = localOf('team/beside')
    for (const repository of [app, beside])
      await pushImage(engine.registry, repository, index, 'v1')
    await engine.facts.write([fact])
    for (const repository of [app, beside]) await remove(engine, index, repository)
    const note = /^what followed deleted manifests of localhost\/team\/app stays, since/
    const foretold = await afterGrace(engine, true)
    t.match(foretold, { note, count: 3 })
    t.match(await collected(engine), { note, count: 3, gone: foretold.gone })
    t.equal((await engine.catalog.listFollowers({ beforeMs: Infinity, limit: 9 })).length, 2)
    for (const image of [one, two]) t.ok(await pulls(engine, image))

    await engine.facts.remove([fact])
    await engine.clock.advance(UNUSED_MS)
    t.match(await collected(engine), { note: undefined })
    t.strictSame(onDisk(engine), [])
  })

t.test('R680: nor anywhere while a fact cannot be read', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  await remove(engine, index)
  engine.disk.facts.set([...engine.disk.facts.keys()][0] ?? '', 'spoiled')
  t.match(await afterGrace(engine), { note: /cannot be read/ })
  for (const image of [one, two]) t.ok(await pulls(engine, image))
})

t.test(
  'R680: facts are read once where nothing is lost, and seldom where something is',
  async t => {
    for (const isLost of [false, true]) {
      let read = 0
      const counted = (facts: FactStore) =>
        around(facts, {
          list: list => () => {
            read += 1
            return list()
          },
        })
      const engine = createEngine({ facts: counted })
      if (isLost) await engine.facts.write(Object.values(LOST))
      for (const each of [index, nested]) {
        await pushImage(engine.registry, app, each, 'v1')
        await remove(engine, each)
        await afterGrace(engine)
        for (let pass = 0; pass < 9; pass += 1) await collected(engine)
      }
      t.equal(read, isLost ? 2 : 1)
    }
  },
)
