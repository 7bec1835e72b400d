// Goal: what the operator's policies let go goes, with all that belongs to it, and nothing else
// does; and a dry run tells before what the run then does. Method: the engine over in-memory twins;
// images are pushed by a clock that the tests move on.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseTag, type Repository } from '../../../../src/oci/reference.ts'
import { onDiskBytes } from '../../../../src/registry/ports/blob-store.ts'
import type { JobResult, JobRun } from '../../../../src/registry/job.ts'
import type { KeepLine, RetentionPolicy } from '../../../../src/registry/retain/rules.ts'
import { BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
const app = localOf('team/app')
const page = { limit: 999, after: undefined }
const unknown = { code: 'MANIFEST_UNKNOWN' }

const lineOf = (line: Partial<KeepLine>): KeepLine => ({
  ...ANY_TAG,
  ...line,
})

function policyOf(...lines: readonly Partial<KeepLine>[]): RetentionPolicy {
  const keepTags = lines.map(lineOf)
  return { repositories: ['localhost/**'], deleteUntagged: true, deleteReferrers: false, keepTags }
}

interface Options extends Partial<JobRun> {
  readonly policies: readonly RetentionPolicy[]
}

function retain({ registry }: Pick<Engine, 'registry'>, options: Options): Promise<JobResult> {
  const { policies, ...run } = options
  return registry.retain(() => ({ delayMs: DAY_MS, policies }), quietRun(run))
}

async function tagsOf({ registry }: Pick<Engine, 'registry'>, repository: Repository) {
  return (await registry.listTags(repository, page)).tags
}

const whatOf = ({ gone }: JobResult) => gone.map(({ what }) => what)
const images = ['a', 'b', 'c'].map(seed => makeImage({ seed, layers: [100] })) as [
  Image,
  Image,
  Image,
]

t.test('R341: without a policy for a repository nothing of it goes', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, images[0], 'v1')
  await engine.clock.advance(400 * DAY_MS)
  const other = { ...policyOf({ pushedWithinMs: 1 }), repositories: ['localhost/other/**'] }
  for (const policies of [
    [],
    [other],
    [policyOf({ patterns: ['v*'] }), policyOf({ patterns: [] })],
  ])
    t.same(await retain(engine, { policies }), { gone: [], count: 0, freedBytes: 0 })
  t.same(await tagsOf(engine, app), ['v1'])
  t.same(
    engine.events.filter(({ kind }) => kind === 'retained'),
    [],
  )
})

t.test('what is older than 30 days goes, with its image and its facts', async t => {
  const engine = createEngine()
  const { registry, clock, facts, events } = engine
  await pushImage(registry, app, images[0], 'old')
  await clock.advance(20 * DAY_MS)
  await pushImage(registry, app, images[1], 'newer')
  await clock.advance(11 * DAY_MS)
  const [{ manifest, config, layers }] = images
  const result = await retain(engine, { policies: [policyOf({ pushedWithinMs: 30 * DAY_MS })] })
  const sizes = [manifest.bytes.length, config.sizeBytes, ...layers.map(each => each.sizeBytes)]
  const bytes = sizes.map(onDiskBytes).reduce((sum, each) => sum + each)
  t.same(result, {
    gone: [
      {
        what: 'localhost/team/app:old',
        reason:
          'policies[0].keeptags[0].pushedwithin does not hold it: pushed 31 days ago, pulled never',
        bytes: 0,
      },
      {
        what: `localhost/team/app@${manifest.digest}`,
        reason: 'no tag that stays leads to it',
        bytes,
      },
    ],
    count: 2,
    freedBytes: bytes,
  })
  t.same(await tagsOf(engine, app), ['newer'])
  await t.rejects(registry.pullManifest(app, digested(manifest.digest)), unknown)
  t.match(await factsOf(facts, 'tag'), [{ tag: 'newer' }])
  t.match(await factsOf(facts, 'deleted'), [{ digest: manifest.digest }])
  t.match(events.at(-1), { kind: 'retained', tags: 1, manifests: 1, bytes, dryRun: false })
  const again = await retain(engine, { policies: [policyOf({ pushedWithinMs: 30 * DAY_MS })] })
  t.equal(again.count, 0)
})

t.test('what was pulled counts, and what was pushed again', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  for (const [index, image] of images.entries())
    await pushImage(registry, app, image, ['pulled', 'pushed', 'idle'][index])
  await clock.advance(10 * DAY_MS)
  await registry.pullManifest(app, tagged('pulled'))
  await clock.advance(60_000)
  await pushDocument(registry, app, { document: images[1].manifest, reference: 'pushed' })
  await clock.advance(2 * DAY_MS)
  await retain(engine, { policies: [policyOf({ pulledWithinMs: 5 * DAY_MS })] })
  t.same(await tagsOf(engine, app), ['pulled', 'pushed'])
})

t.test('R341: children, referrers and signatures stay and go with what they belong to', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  for (const name of ['goes', 'stays']) {
    const index = makeIndex([1, 2].map(seed => makeImage({ seed: `${name}${seed}`, layers: [9] })))
    await pushImage(registry, app, index, name)
    const sbom = makeArtifact({ seed: `${name} sbom`, subject: index.descriptor })
    await pushImage(registry, app, sbom)
    await pushImage(registry, app, makeArtifact({ seed: `${name} of`, subject: sbom.descriptor }))
    const signature = makeImage({ seed: `${name} signature`, layers: [9] })
    const tag = `${index.manifest.digest.replace(':', '-')}.sig`
    await pushImage(registry, app, signature, tag)
  }
  await clock.advance(2 * DAY_MS)
  const before = await engine.catalog.listManifests(app, { limit: 99 })
  t.equal(before.length, 12)
  const { gone } = await retain(engine, { policies: [policyOf({ patterns: ['stays'] })] })
  t.equal(gone.filter(({ what }) => what.includes('@')).length, 6)
  const [stays = '', signature, ...rest] = (await tagsOf(engine, app)).toSorted().toReversed()
  t.same([stays, rest], ['stays', []])
  const { digest } = await registry.pullManifest(app, tagged('stays'))
  t.equal(signature, `${digest.replace(':', '-')}.sig`)
  t.equal((await engine.catalog.listManifests(app, { limit: 99 })).length, 6)
  t.equal((await engine.catalog.listReferrers(app, digest)).length, 1)
})

t.test('untagged manifests go after the delay, and none when they are to stay', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  await pushImage(registry, app, images[0], 'v1')
  await clock.advance(2 * DAY_MS)
  await pushImage(registry, app, images[1], 'v1')
  await pushImage(registry, app, images[2])
  const policy = policyOf({ patterns: ['*'] })
  const spare = { ...policy, deleteUntagged: false }
  t.equal((await retain(engine, { policies: [spare] })).count, 0)
  t.same(whatOf(await retain(engine, { policies: [policy] })), [
    `localhost/team/app@${images[0].manifest.digest}`,
  ])
  await clock.advance(DAY_MS / 2)
  await registry.pullManifest(app, digested(images[2].manifest.digest))
  await clock.advance(DAY_MS * 0.75)
  t.equal((await retain(engine, { policies: [policy] })).count, 0, 'it was pulled since')
  await clock.advance(DAY_MS)
  t.same(whatOf(await retain(engine, { policies: [policy] })), [
    `localhost/team/app@${images[2].manifest.digest}`,
  ])
})

t.test('R341: what waits to be delivered, and what upstreams have, is not judged', async t => {
  const policies = [{ match: 'docker.io/**', push: 'queue' as const, deletable: true }]
  const engine = createEngine({ policies })
  const proxied = repositoryOf('team/app')
  await pushImage(engine.registry, proxied, images[0], 'v1')
  await engine.clock.advance(90 * DAY_MS)
  const policy = { ...policyOf({ pushedWithinMs: 1 }), repositories: ['**'] }
  t.equal((await retain(engine, { policies: [policy] })).count, 0)
  const [entry] = await engine.catalog.listDeliveriesOf('docker.io/team/app')
  const { digest } = images[0].manifest
  const tags = [parseTag('v1')]
  const settled = { repository: proxied, digest, tags, atMs: engine.clock.nowMs() }
  await engine.catalog.removeDelivery(entry?.id ?? 0, settled)
  t.equal((await retain(engine, { policies: [policy] })).count, 0, 'the upstream has it')
})

t.test(
  'R341: what is pinned stays, with the tags that lead to it, whatever a policy says',
  async t => {
    const pinned = images[0].manifest.digest
    const pin = { selector: { kind: 'content', digest: pinned }, from: 'command' } as const
    const pins = {
      findWithListed: async (_: Repository, digest: Digest) =>
        digest === pinned ? pin : undefined,
    }
    const engine = createEngine({ pins })
    for (const [index, image] of images.entries())
      await pushImage(engine.registry, app, image, `v${index}`)
    await engine.clock.advance(9 * DAY_MS)
    await retain(engine, { policies: [policyOf({ pushedWithinMs: DAY_MS })] })
    t.same(await tagsOf(engine, app), ['v0'])
    t.equal((await engine.registry.pullManifest(app, tagged('v0'))).digest, pinned)
  },
)

t.test('R341: what was pulled is not judged, though the same was pushed elsewhere', async t => {
  const engine = createEngine()
  const { catalog, registry, clock, facts } = engine
  await pushImage(registry, app, images[0], 'v1')
  const { digest } = images[0].manifest
  const manifest = await catalog.findManifest(app, digest)
  if (manifest === undefined) throw new Error('it is here')
  const proxied = repositoryOf('team/app')
  const atMs = clock.nowMs()
  await catalog.recordManifest({ repository: proxied, manifest, atMs })
  await clock.advance(90 * DAY_MS)
  const policy = { ...policyOf({ pushedWithinMs: DAY_MS }), repositories: ['**'] }
  t.same(whatOf(await retain(engine, { policies: [policy] })), [
    'localhost/team/app:v1',
    `localhost/team/app@${digest}`,
  ])
  t.match(await catalog.listManifests(proxied, { limit: 9 }), [{ digest }])
  t.match(await factsOf(facts, 'deleted'), [{ repository: 'localhost/team/app' }])
})

t.test('what a client was just told of is not deleted under its hands', async t => {
  const engine = createEngine()
  const { catalog, clock } = engine
  for (const [index, image] of images.entries())
    await pushImage(engine.registry, app, image, `v${index}`)
  await clock.advance(9 * DAY_MS)
  const digests = [images[0].manifest.digest]
  await catalog.lease({ repository: app, digests, untilMs: clock.nowMs() + 1_000 })
  const policies = [policyOf({ pushedWithinMs: DAY_MS })]
  await retain(engine, { policies })
  t.match(await catalog.listManifests(app, { limit: 9 }), [{ digest: digests[0] }])
  await clock.advance(1_000)
  await retain(engine, { policies })
  t.same(await catalog.listManifests(app, { limit: 9 }), [])
})

t.test('R341: what happens between two steps of a run is seen by the next one', async t => {
  const engine = createEngine()
  const { registry, clock } = engine
  const tags = Array.from({ length: 70 }, (_, index) => `v${100 + index}`)
  const digests: Digest[] = []
  for (const tag of tags) {
    const image = makeImage({ seed: tag, layers: [9] })
    digests.push(await pushImage(registry, app, image, tag))
    await clock.advance(1_000)
  }
  await clock.advance(2 * DAY_MS)
  let steps = 0
  const pause = async () => {
    steps += 1
    // After the first step one of those that are left is pulled.
    const left = await tagsOf(engine, app)
    if (steps === 2) await registry.pullManifest(app, tagged(left[0] ?? ''))
    if (steps === 2) await clock.advance(60_000)
  }
  const policy = policyOf({ pulledWithinMs: DAY_MS })
  const result = await retain(engine, { policies: [policy], pause })
  const left = await tagsOf(engine, app)
  t.equal(left.length, 1)
  t.equal(result.gone.filter(({ what }) => what.includes(':v')).length, 69)
})

t.test('a run that is cancelled keeps what it did, and the next one goes on', async t => {
  const engine = createEngine()
  for (let index = 0; index < 70; index += 1)
    await pushImage(engine.registry, app, makeImage({ seed: index, layers: [9] }), `v${index}`)
  await engine.clock.advance(2 * DAY_MS)
  const policies = [policyOf({ patterns: ['none'] })]
  const ending = new AbortController()
  let steps = 0
  const pause = async () => {
    steps += 1
    if (steps === 2) ending.abort()
  }
  const first = await retain(engine, { policies, signal: ending.signal, pause })
  const left = (await tagsOf(engine, app)).length
  t.equal(first.gone.filter(({ what }) => what.includes(':v')).length, 70 - left)
  t.ok(left > 0 && left < 70, `${left} left`)
  await retain(engine, { policies })
  t.same(await tagsOf(engine, app), [])
})

/** A repository as CI leaves it: images that share layers, indexes, signatures, tags that moved. */
async function pushALot(engine: Engine, seed: number): Promise<void> {
  const random = createRandom(seed)
  const { registry, clock } = engine
  const shared = ['base', 'tools', 'runtime']
  for (let index = 0; index < 40; index += 1) {
    const repository = localOf(random.pick(['ci/a', 'ci/b']))
    // Of these seeds some come again: the same image under another name or elsewhere.
    const image = makeImage({ seed: `${seed} ${random.below(25)}`, layers: [random.between(1, 9)] })
    const pushed = random.oneIn(4)
      ? makeIndex([image, makeImage({ seed: random.pick(['base', ...shared]), layers: [50] })])
      : image
    await pushImage(
      registry,
      repository,
      pushed,
      random.oneIn(6) ? undefined : `v${random.below(30)}`,
    )
    if (random.oneIn(5))
      await pushImage(
        registry,
        repository,
        makeArtifact({ seed: index, subject: pushed.descriptor }),
      )
    if (random.oneIn(5)) {
      const tag = `${pushed.manifest.digest.replace(':', '-')}.sig`
      await pushImage(registry, repository, makeImage({ seed: `s${index}`, layers: [7] }), tag)
    }
    await clock.advance(random.between(1, 20) * 3_600_000)
  }
}

/** By looking at everything that is here: bytes that nothing reaches any more. */
async function unreachedBytes({ catalog }: Engine): Promise<number> {
  const all = await catalog.listContent({ limit: 9_999 })
  const reached = new Set<Digest>()
  for (const key of await catalog.listRepositories({ limit: 99 }))
    for (const { digest } of await catalog.listManifests(localOf(key.slice('localhost/'.length)), {
      limit: 999,
    })) {
      const waiting = [digest]
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        if (reached.has(next)) continue
        reached.add(next)
        waiting.push(...((await catalog.findNeed(next))?.lists ?? []))
      }
    }
  let bytes = 0
  for (const { digest, sizeBytes } of all) {
    const isPromised = (await catalog.findNeed(digest))?.isPromised ?? false
    // What was sent twice and tagged twice is promised for a day, and stays so long.
    if (!reached.has(digest) && !isPromised) bytes += onDiskBytes(sizeBytes)
  }
  return bytes
}

const first = seedOf(process.env)
for (let seed = first; seed < first + 8; seed += 1) {
  t.test(
    `R342: a dry run tells what the run then does, and what it frees, seed ${seed}`,
    async t => {
      const engine = createEngine()
      await pushALot(engine, seed)
      const policies = [
        { ...policyOf({ mostRecentlyPushedCount: 3 }), repositories: ['localhost/ci/a'] },
        policyOf({ patterns: ['v1*'] }, { pushedWithinMs: 5 * DAY_MS }),
      ]
      const before = await engine.catalog.listContent({ limit: 9_999 })
      const unreached = await unreachedBytes(engine)
      const dry = await retain(engine, { policies, dryRun: true })
      t.same(await engine.catalog.listContent({ limit: 9_999 }), before, 'and changes nothing')
      const wet = await retain(engine, { policies })
      t.same(wet, dry)
      t.ok(dry.count > 0)
      t.equal((await unreachedBytes(engine)) - unreached, dry.freedBytes)
      t.equal((await retain(engine, { policies })).count, 0, 'and nothing is left to do')
    },
  )
}

for (const how of BREAKS) {
  t.test(`cut off at any step (${how}), the next run ends with the same`, async t => {
    for (let at = 0; ; at += 1) {
      const breaking = createBreaking()
      const engine = createEngine(breaking)
      const { registry, clock } = engine
      const index = makeIndex([1, 2].map(seed => makeImage({ seed: `goes${seed}`, layers: [9] })))
      await pushImage(registry, app, index, 'goes')
      await pushDocument(registry, app, { document: index.manifest, reference: 'too' })
      await pushImage(registry, app, makeArtifact({ seed: 'sbom', subject: index.descriptor }))
      const signature = makeImage({ seed: 'signature', layers: [9] })
      await pushImage(registry, app, signature, `${index.manifest.digest.replace(':', '-')}.sig`)
      await pushImage(registry, app, images[0], 'stays')
      await pushDocument(registry, app, { document: images[0].manifest, reference: 'second' })
      await clock.advance(2 * DAY_MS)
      // As it does once an hour.
      await registry.noteTime()
      const policies = [policyOf({ patterns: ['stays'] })]
      breaking.arm(at, how)
      const outcome = await retain(engine, { policies }).catch(() => undefined)
      if (!breaking.isBroken) {
        t.ok(at > 10 && outcome !== undefined, `${at} steps`)
        return
      }
      breaking.disarm()
      const next = how === 'ended' || how === 'torn' ? createEngine({ after: engine }) : engine
      await next.registry.compareFacts(new AbortController().signal)
      await retain(next, { policies })
      const left = await next.catalog.listManifests(app, { limit: 99 })
      t.same([await tagsOf(next, app), left.length], [['stays'], 1], `step ${at}`)
      t.match(await factsOf(next.facts, 'manifest'), [{ digest: images[0].manifest.digest }])
      t.match(await factsOf(next.facts, 'tag'), [{ tag: 'stays' }])
    }
  })
}

t.test('R342: of a tag that goes alone it is told why its image stays', async t => {
  const engine = createEngine()
  const { registry } = engine
  await pushImage(registry, app, images[0], 'dev')
  await pushImage(registry, app, images[1], 'twin')
  await pushDocument(registry, app, { document: images[1].manifest, reference: 'v1' })
  await pushImage(registry, app, images[2], 'v2')
  const policies = [policyOf({ patterns: ['v*'] })]
  const { gone, freedBytes } = await retain(engine, { policies })
  t.equal(freedBytes, 0)
  const none = 'no line of keeptags names it; what it leads to stays:'
  t.same(
    gone.map(({ what, reason }) => [what, reason]),
    [
      [
        'localhost/team/app:dev',
        `${none} pushed or pulled less than a minute ago, within the delay`,
      ],
      ['localhost/team/app:twin', `${none} the tag v1 leads to it`],
    ],
  )
})

t.test('others have their turn while manifests are read that list very much', async t => {
  const engine = createEngine()
  for (const image of images) await pushImage(engine.registry, app, image)
  const find = engine.catalog.findManifest.bind(engine.catalog)
  engine.catalog.findManifest = async (...of) => {
    const found = await find(...of)
    return found && { ...found, edges: Array.from({ length: 500 }, () => found.edges).flat() }
  }
  const policies = [policyOf({ patterns: ['v*'] })]
  const turns = await turnsDuring(() => retain(engine, { policies, dryRun: true }))
  t.ok(turns >= images.length - 1, String(turns))
})
