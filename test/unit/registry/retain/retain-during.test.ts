// Goal: what clients push, pull and tag while a retention is under way stays, with all that belongs
// to it, however long ago its repository was judged; and a repository is judged a few times,
// however much of it goes. Method: the engine over in-memory twins; things happen between two steps
// of a run, in the cases one by one and then at random, as a seed says.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { RecordedTag } from '../../../../src/registry/ports/catalog-tags.ts'
import type { RetentionPolicy } from '../../../../src/registry/retain/rules.ts'
import { around, everyCall } from '../../../kit/around.ts'
import { beforeCall } from '../../../kit/worlds/before-call.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
/** Longer than uses wait until they are written down. */
const USES_WRITTEN_MS = 60_000
const app = localOf('team/app')
/** More than go in one step. */
const FILLERS = 60

/** Stays: what was pulled or pushed today. */
const policy: RetentionPolicy = {
  repositories: ['localhost/**'],
  deleteUntagged: true,
  deleteReferrers: false,
  keepTags: [
    {
      patterns: [],
      mostRecentlyPushedCount: undefined,
      mostRecentlyPulledCount: undefined,
      highestSemverCount: undefined,
      pushedWithinMs: undefined,
      pulledWithinMs: DAY_MS,
    },
  ],
}

/** `between` is run before each step but the first. */
async function retain({ registry }: Pick<Engine, 'registry'>, between: () => Promise<void>) {
  let steps = 0
  const pause = async () => {
    steps += 1
    if (steps > 1) await between()
  }
  return await registry.retain(() => ({ delayMs: DAY_MS, policies: [policy] }), quietRun({ pause }))
}

/** Once only. */
function once(deed: () => Promise<unknown>): () => Promise<void> {
  let isDone = false
  return async () => {
    if (isDone) return
    isDone = true
    await deed()
  }
}

/** All of them go before the others: the twin lists manifests in the order of their digests. */
async function pushFillers(
  { registry }: Engine,
  others: readonly Image[],
  count = FILLERS,
): Promise<void> {
  const [first = ''] = others.map(each => each.manifest.digest).toSorted()
  let pushed = 0
  for (let seed = 0; pushed < count; seed += 1) {
    const filler = makeImage({ seed: `filler ${seed}`, layers: [9] })
    if (filler.manifest.digest >= first) continue
    await pushImage(registry, app, filler, `f${pushed}`)
    pushed += 1
  }
}

async function manifestsOf({ catalog }: Engine): Promise<readonly Digest[]> {
  return (await catalog.listManifests(app, { limit: 9_999 })).map(({ digest }) => digest)
}

const image = makeImage({ seed: 'image', layers: [9] })
const other = makeImage({ seed: 'other', layers: [9] })
const index = makeIndex([image, other])
const sbom = makeArtifact({ seed: 'sbom', subject: index.descriptor })
const ofSbom = makeArtifact({ seed: 'of sbom', subject: sbom.descriptor })
const signature = makeImage({ seed: 'signature', layers: [9] })
const signatureTag = `${index.manifest.digest.replace(':', '-')}.sig`
const whole = [index, image, other, sbom, ofSbom, signature]

/** An index, with all that is about it. */
async function pushWithFollowers({ registry }: Engine, tag?: string): Promise<void> {
  await pushImage(registry, app, index, tag)
  await pushImage(registry, app, sbom)
  await pushImage(registry, app, ofSbom)
  await pushImage(registry, app, signature, signatureTag)
}

const later = (engine: Engine, deed: Promise<unknown>) =>
  deed.then(() => engine.clock.advance(USES_WRITTEN_MS))

interface Case {
  readonly what: string
  readonly before: (engine: Engine) => Promise<unknown>
  readonly deed: (engine: Engine) => Promise<unknown>
  readonly stay: readonly Image[]
}

const signing = makeImage({ seed: 'signing', layers: [9] })
const everything = [...whole, signing]
const CASES: readonly Case[] = [
  {
    what: 'what is pulled by tag, with its children, referrers and signatures',
    before: engine => pushWithFollowers(engine, 'v1'),
    deed: engine => later(engine, engine.registry.pullManifest(app, tagged('v1'))),
    stay: whole,
  },
  {
    what: 'what is pulled by digest',
    before: engine => pushWithFollowers(engine),
    deed: engine =>
      later(engine, engine.registry.pullManifest(app, digested(index.manifest.digest))),
    stay: whole,
  },
  {
    what: 'what is given another tag',
    before: engine => pushWithFollowers(engine, 'v1'),
    deed: ({ registry }) =>
      pushDocument(registry, app, { document: index.manifest, reference: 'v2' }),
    stay: whole,
  },
  {
    what: 'what a new index lists',
    before: engine => pushImage(engine.registry, app, image),
    deed: ({ registry }) => pushImage(registry, app, makeIndex([image]), 'v2'),
    stay: [image],
  },
  {
    what: 'what a tag moves to',
    before: ({ registry }) => pushImage(registry, app, image, 'v1'),
    deed: ({ registry }) => pushImage(registry, app, other, 'v1'),
    stay: [other],
  },
  {
    what: 'what is about something that comes',
    before: async engine => {
      const tag = `${signing.manifest.digest.replace(':', '-')}.sig`
      await pushImage(engine.registry, app, image, tag)
    },
    deed: ({ registry }) => pushImage(registry, app, signing, 'v1'),
    stay: [image],
  },
  {
    what: 'what a client is told is here',
    before: engine => pushWithFollowers(engine, 'v1'),
    deed: ({ catalog, clock }) =>
      catalog.lease({
        repository: app,
        digests: [index.manifest.digest],
        untilMs: clock.nowMs() + DAY_MS,
      }),
    stay: whole,
  },
]

for (const { what, before, deed, stay } of CASES)
  t.test(`R341: stays, though it was judged to go: ${what}`, async t => {
    const engine = createEngine()
    await before(engine)
    await pushFillers(engine, everything)
    await engine.clock.advance(2 * DAY_MS)
    await retain(
      engine,
      once(() => deed(engine)),
    )
    const left = new Set(await manifestsOf(engine))
    for (const { manifest } of stay) t.ok(left.has(manifest.digest), manifest.bytes.toString())
    const { tags } = await engine.registry.listTags(app, { limit: 999, after: undefined })
    t.same(
      tags.filter(tag => tag.startsWith('f')),
      [],
      'and all else goes',
    )
  })

for (let fillers = 44; fillers <= 50; fillers += 1)
  t.test(`an image goes in one step with all that is about it, behind ${fillers}`, async t => {
    const engine = createEngine()
    await pushWithFollowers(engine, 'v1')
    await pushFillers(engine, everything, fillers)
    await engine.clock.advance(2 * DAY_MS)
    const together = [index, sbom, ofSbom, signature].map(each => each.manifest.digest)
    let steps = 0
    await retain(engine, async () => {
      steps += 1
      const left = await manifestsOf(engine)
      const here = together.filter(digest => left.includes(digest)).length
      t.ok(here === 0 || here === together.length, `${here} of them after ${steps} steps`)
    })
    t.ok(steps >= 1)
  })

/** `asked` is told of each call, and may answer instead of the catalog. */
function watched(asked: (key: string, args: readonly unknown[]) => Promise<unknown> | undefined) {
  return (catalog: Catalog): Catalog =>
    everyCall(catalog, (call, args, name) => asked(name, args) ?? call(...args))
}

/** What a run over so many images asks the catalog. */
async function asked(images: number): Promise<number> {
  let calls = 0
  const count = () => {
    calls += 1
    return undefined
  }
  const engine = createEngine({ catalog: watched(count) })
  for (let n = 0; n < images; n += 1)
    await pushImage(engine.registry, app, makeImage({ seed: `many ${n}`, layers: [9] }), `v${n}`)
  await engine.clock.advance(2 * DAY_MS)
  calls = 0
  await retain(engine, async () => {})
  t.same(await manifestsOf(engine), [])
  return calls
}

t.test('what a run asks the catalog grows as the repository does, and no faster', async t => {
  const [few, many] = [await asked(60), await asked(240)]
  t.ok(many < 4.5 * few, `${few} for 60 images, ${many} for 240`)
})

t.test('what changes whenever it is judged to go has it judged a few times in a run', async t => {
  let looks = 0
  let judged = 0
  const { digest } = image.manifest
  const catalog = watched((key, [, of]) => {
    if (key === 'listManifests') judged += 1
    if (key !== 'leasedUntil' || of !== digest) return undefined
    looks += 1
    // Once it is judged, and once before it goes.
    return Promise.resolve(looks % 2 === 0 ? Number.POSITIVE_INFINITY : undefined)
  })
  const engine = createEngine({ catalog })
  await pushImage(engine.registry, app, image)
  await engine.clock.advance(2 * DAY_MS)
  await retain(engine, async () => {})
  t.equal(judged, 3)
  t.same(await manifestsOf(engine), [digest])
})

t.test('R490: what goes is not told with what lists the same and has to stay', async t => {
  const images = [[9], [9, 10]].map(layers => makeImage({ seed: 'shares', layers }))
  // Taken out in the order of their digests.
  const [first, second] = images.toSorted((a, b) =>
    a.manifest.digest < b.manifest.digest ? -1 : 1,
  ) as [Image, Image]
  const { digest } = first.manifest
  const untilMs = Number.MAX_SAFE_INTEGER
  const engine: Engine = createEngine({
    catalog: beforeCall('removeMember', catalog =>
      catalog.lease({ repository: app, digests: [digest], untilMs }),
    ),
  })
  for (const each of images) await pushImage(engine.registry, app, each)
  await engine.clock.advance(9 * DAY_MS)
  const result = await retain(engine, async () => {})
  t.same(await manifestsOf(engine), [digest])
  t.match(result.gone, [{ what: new RegExp(second.manifest.digest) }])
  const shared = new Set(first.layers.map(each => each.digest))
  const own = second.layers.filter(each => !shared.has(each.digest))
  t.equal(result.freedBytes, (2 + own.length) * 4096)
})

interface Promised {
  readonly digest: Digest
  /** That were there when it was pulled or pushed: referrers, and signatures by tag. */
  readonly followers: readonly Digest[]
}

/** One deed of a client; what stays by it. */
async function anyDeed(
  engine: Engine,
  random: ReturnType<typeof createRandom>,
): Promise<Promised | undefined> {
  const { registry, catalog } = engine
  const tags = await catalog.listTags(app, { limit: 999 })
  if (tags.length === 0) return undefined
  const { tag, digest } = tags[random.below(tags.length)] as RecordedTag
  if (!tag.startsWith('v')) return undefined
  const kind = random.pick(['pull', 'tag', 'index', 'move'])
  const manifest = await catalog.findManifest(app, digest)
  if (manifest === undefined) return undefined
  const followers = [
    ...(await catalog.listReferrers(app, digest)),
    ...tags.filter(each => each.tag.startsWith(digest.replace(':', '-'))).map(each => each.digest),
  ]
  if (kind === 'pull') await registry.pullManifest(app, tagged(tag))
  const bytes = await bytesOf(engine, digest)
  const { mediaType, sizeBytes } = manifest
  const document = { digest, mediaType, bytes }
  if (kind === 'tag')
    await pushDocument(registry, app, { document, reference: `v9${random.below(999)}` })
  if (kind === 'index') {
    const descriptor = { mediaType, digest, size: sizeBytes }
    const listed = { manifest: document, descriptor } as unknown as Image
    await pushDocument(registry, app, { document: makeIndex([listed]).manifest, reference: 'v777' })
  }
  if (kind === 'move') await pushDocument(registry, app, { document, reference: 'v888' })
  await engine.clock.advance(USES_WRITTEN_MS)
  return { digest, followers }
}

async function bytesOf({ registry }: Engine, digest: Digest): Promise<Buffer> {
  const { bytes } = await registry.pullManifest(app, digested(digest))
  if (bytes === undefined) throw new Error('it is given whole')
  return Buffer.from(bytes)
}

async function wrongWith({ catalog }: Engine, promised: readonly Promised[]): Promise<string[]> {
  const wrong: string[] = []
  const here = async (digest: Digest) => (await catalog.findManifest(app, digest)) !== undefined
  for (const { digest, followers } of promised)
    for (const each of [digest, ...followers])
      if (!(await here(each))) wrong.push(`${each} of ${digest} has gone`)
  for (const { digest } of await catalog.listManifests(app, { limit: 9_999 }))
    for (const { kind, child } of (await catalog.findManifest(app, digest))?.edges ?? [])
      if (kind !== 'subject' && (await catalog.findContent(child)) === undefined)
        wrong.push(`${digest} has lost ${child}`)
  return wrong
}

const first = seedOf(process.env)
for (let seed = first; seed < first + 12; seed += 1)
  t.test(`R341: what clients do during a run outlives it, seed ${seed}`, async t => {
    const random = createRandom(seed)
    const engine = createEngine()
    const { registry } = engine
    for (let n = 0; n < 90; n += 1) {
      const layers = [random.between(1, 9)]
      const one = makeImage({ seed: `${seed} ${random.below(60)}`, layers })
      const two = makeImage({ seed: `${seed} ${random.below(60)}`, layers })
      const pushed = random.oneIn(3) ? makeIndex([one, two]) : one
      await pushImage(registry, app, pushed, random.oneIn(6) ? undefined : `v${random.below(80)}`)
      const { descriptor, manifest } = pushed
      if (random.oneIn(3))
        await pushImage(registry, app, makeArtifact({ seed: n, subject: descriptor }))
      if (random.oneIn(3)) {
        const about = makeImage({ seed: `signature ${n}`, layers: [7] })
        await pushImage(registry, app, about, `${manifest.digest.replace(':', '-')}.sig`)
      }
    }
    await engine.clock.advance(2 * DAY_MS)
    const promised: Promised[] = []
    await retain(engine, async () => {
      const stays = await anyDeed(engine, random)
      if (stays !== undefined) promised.push(stays)
    })
    t.same(await wrongWith(engine, promised), [])
  })

t.test('R313: what a client is told of while others of its step go stays', async t => {
  let deed: ((digest: Digest) => Promise<unknown>) | undefined
  const engine = createEngine({
    catalog: under =>
      around(under, {
        removeMember:
          removeMember =>
          async (...args) => {
            const [now, of] = [deed, args[1]]
            deed = undefined
            await now?.(of)
            return removeMember(...args)
          },
      }),
  })
  const { registry, clock } = engine
  const images = [image, other]
  for (const each of images) await pushImage(registry, app, each)
  await clock.advance(3 * DAY_MS)
  let told: Image | undefined
  deed = async first => {
    told = images.find(({ manifest }) => manifest.digest !== first)
    const { digest } = told?.manifest ?? image.manifest
    await registry.headManifest(app, { ...digested(digest), mayPush: true })
  }
  const { count } = await retain(engine, async () => {})
  t.ok(told)
  t.equal(count, 1)
  if (told === undefined) return
  const { manifest } = makeIndex([told])
  await pushDocument(registry, app, { document: manifest, reference: 'v2' })
  t.strictSame(await manifestsOf(engine), [told.manifest.digest, manifest.digest].toSorted())
})

t.test('a lease that is over keeps nothing from going, whoever ends it', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  for (const each of [image, other]) await pushImage(registry, app, each)
  await registry.headManifest(app, { ...digested(image.manifest.digest), mayPush: true })
  await clock.advance(3 * DAY_MS)
  t.equal((await retain(engine, async () => {})).count, 2)
  t.strictSame(await manifestsOf(engine), [])
})
