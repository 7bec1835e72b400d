// Goal: a tag at the upstream is put where it was pushed, and never over what somebody else put
// there or a later push did. Method: deliveries to a registry as a model, whose tags others move;
// entries are parked and tried again as an operator does.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../../../src/oci/reference.ts'
import { parseDelivery } from '../../../src/registry/deliveries/delivery-payload.ts'
import { takeTagFrom } from '../../../src/registry/deliveries/overtake-tag.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { createWorld } from '../../kit/worlds/delivery-world.ts'
import { type Image, makeImage } from '../../kit/image.ts'

const app = parseRepositoryKey('docker.io/team/app')
const NAME = 'team/app'
const [first, second, foreign] = ['first', 'second', 'foreign'].map(seed => {
  return makeImage({ seed, layers: [10] })
}) as [Image, Image, Image]
const SETTLING_MS = 180_000

type World = ReturnType<typeof createWorld>

/** Delivers what waits. */
async function deliver(world: World, ms = 0) {
  const process = world.start()
  await world.clock.advance(ms)
  await process.deliveries.stop()
}

/** Somebody else's push, straight to the registry. */
function putThere({ model }: World, tag: string, { manifest }: Image) {
  const there = model.repository(NAME)
  there.manifests.set(manifest.digest, manifest)
  there.tags.set(tag, manifest.digest)
}

const tagOf = ({ model }: World, tag = 'v1') => model.repository(NAME).tags.get(tag)

t.test('R116: a tag that was moved by somebody else since the push parks the entry', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'], expected: [second] })
  putThere(world, 'v1', foreign)
  await deliver(world)
  t.equal(tagOf(world), foreign.manifest.digest)
  const [entry] = await world.entries()
  t.equal(entry?.state, 'parked')
  t.match(entry?.reason, `in docker.io/team/app v1 points to ${foreign.manifest.digest}`)
  t.match(world.events, [{ outcome: 'parked', hint: /onconflict: overwrite/ }])
  t.ok(
    world.model.repository(NAME).manifests.has(first.manifest.digest),
    'but it is there by digest',
  )
})

t.test('R116: the operator may have it replaced', async t => {
  const world = createWorld()
  world.policy.onConflict = 'overwrite'
  await world.push(first, { repository: app, tags: ['v1'], expected: [second] })
  putThere(world, 'v1', foreign)
  await deliver(world)
  t.equal(tagOf(world), first.manifest.digest)
  t.same(await world.entries(), [])
})

t.test(
  'R120: an immutable tag of the upstream is not replaced, whatever onconflict says',
  async t => {
    const world = createWorld()
    Object.assign(world.policy, {
      onConflict: 'overwrite',
      isImmutable: (tag: string) => tag === 'v1',
    })
    await world.push(first, { repository: app, tags: ['v1', 'edge'], expected: [second] })
    for (const tag of ['v1', 'edge']) putThere(world, tag, foreign)
    await deliver(world)
    t.equal(tagOf(world), foreign.manifest.digest)
    t.equal(tagOf(world, 'edge'), first.manifest.digest)
    t.match(await world.entries(), [{ state: 'parked', reason: /v1 points to/ }])
  },
)

t.test('a tag that is not there, or where it was known to be, is put', async t => {
  for (const [there, expected] of [
    [undefined, [second]],
    [second, [foreign, second]],
  ] as const) {
    const world = createWorld()
    await world.push(first, { repository: app, tags: ['v1'], expected })
    if (there !== undefined) putThere(world, 'v1', there)
    await deliver(world)
    t.equal(tagOf(world), first.manifest.digest)
    t.same(await world.entries(), [])
  }
})

t.test(
  'R266: a tag of which nothing was known at the push is not taken from who has it',
  async t => {
    const world = createWorld()
    await world.push(first, { repository: app, tags: ['v1'], expected: [] })
    putThere(world, 'v1', foreign)
    await deliver(world)
    t.equal(tagOf(world), foreign.manifest.digest)
    t.match(await world.entries(), [{ state: 'parked', reason: /was not known here/ }])
  },
)

t.test('tags beside one that conflicts are put all the same', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1', 'latest'], expected: [second] })
  putThere(world, 'v1', foreign)
  await deliver(world)
  t.equal(tagOf(world, 'latest'), first.manifest.digest)
  t.equal(tagOf(world, 'v1'), foreign.manifest.digest)
})

t.test('a registry that does not say digests is asked for the manifest', async t => {
  const world = createWorld()
  const { upstream } = world.model
  Object.assign(world.model, {
    upstream: {
      ...upstream,
      headManifest: async (...args: Parameters<typeof upstream.headManifest>) => {
        return { ...(await upstream.headManifest(...args)), digest: undefined }
      },
    },
  })
  await world.push(first, { repository: app, tags: ['v1'], expected: [second] })
  putThere(world, 'v1', foreign)
  await deliver(world)
  t.match(await world.entries(), [{ state: 'parked' }])
})

t.test(
  'a tag that points to the same bytes by another algorithm is where it should be',
  async t => {
    const { manifest } = first
    const sha512 = digestOf(manifest.bytes, 'sha512')
    const world = createWorld()
    await world.push(
      { ...first, manifest: { ...manifest, digest: sha512 } },
      { repository: app, tags: ['v1'], expected: [second] },
    )
    for (const blob of [first.config, ...first.layers])
      world.model.repository(NAME).blobs.set(blob.digest, blob.bytes())
    putThere(world, 'v1', first)
    await deliver(world)
    t.same(await world.entries(), [])
  },
)

t.test('R116: several pushes of one tag get there one after the other', async t => {
  const world = createWorld()
  for (const image of [first, second, first])
    await world.push(image, { repository: app, tags: ['v1'] })
  await deliver(world)
  const digests = [first, second, first].map(({ manifest }) => manifest.digest)
  t.same(world.model.repository(NAME).histories.get('v1'), digests)
})

// The reason was made from the entry as it was read, before a fact was written.
t.test(
  'R116: an attempt that ends while a tag is taken from its entry keeps its reason',
  async t => {
    const { catalog, facts, push, entries } = createWorld()
    await push(first, { repository: app, tags: ['v1', 'old'] })
    const [entry] = await entries()
    const id = entry?.id ?? 0
    const refused = { state: 'parked', attempts: 1, nextAtMs: 0, reason: 'refused' } as const
    const write: typeof facts.write = async (...written) => {
      await facts.write(...written)
      await catalog.changeDelivery(id, refused)
    }
    await takeTagFrom({ catalog, facts: { ...facts, write } }, app, { tag: parseTag('v1'), id })
    t.match(await entries(), [{ ...refused, reason: 'refused; v1 is left to a later push' }])
  },
)

t.test(
  'R116: what was parked and is tried again puts no tag that a later push has put',
  async t => {
    const world = createWorld()
    world.model.refused.add(first.manifest.digest)
    await world.push(first, { repository: app, tags: ['v1', 'old'] })
    await world.push(second, { repository: app, tags: ['v1'] })
    await deliver(world)
    t.equal(tagOf(world), second.manifest.digest)
    const [parked] = await world.entries()
    t.match(parked?.reason, /refused.*; v1 is left to a later push/)
    t.match(await world.factsOf('delivery'), [{ id: parked?.id, payload: parked?.payload }])
    t.same(
      parseDelivery(parked?.payload ?? '')?.tags.map(({ tag }) => tag),
      ['old'],
    )

    world.model.refused.clear()
    if (parked !== undefined) await world.retry(parked)
    await deliver(world)
    t.same(await world.entries(), [])
    t.equal(tagOf(world, 'old'), first.manifest.digest)
    t.same(world.model.repository(NAME).histories.get('v1'), [second.manifest.digest])
  },
)

t.test('R116: that is so from the moment on at which the later push may have put it', async t => {
  const world = createWorld()
  world.policy.onConflict = 'overwrite'
  world.model.refused.add(first.manifest.digest)
  await world.push(first, { repository: app, tags: ['v1'] })
  await world.push(second, { repository: app, tags: ['v1', 'v2'] })
  world.model.fate = ({ does, reference }) =>
    does === 'put manifest' && reference === 'v2'
      ? { error: new UpstreamError('unavailable', 'not now') }
      : {}
  const { deliveries } = world.start()
  await world.clock.advance(100)
  t.equal(tagOf(world), second.manifest.digest)
  world.model.refused.clear()
  for (const entry of await world.entries()) if (entry.state === 'parked') await world.retry(entry)
  world.model.fate = () => ({})
  deliveries.nudge()
  await world.clock.advance(2 * SETTLING_MS)
  await deliveries.stop()
  t.same(await world.entries(), [])
  t.same(world.model.repository(NAME).histories.get('v1'), [second.manifest.digest])
})

t.test('R116: a PUT of a killed process that arrives late moves no tag back', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  const late = Promise.withResolvers<void>()
  world.model.fate = ({ does, reference }) =>
    does === 'put manifest' && reference === 'v1' ? { arrives: late.promise } : {}
  const killed = world.start()
  await world.clock.advance(0)
  killed.life.end()

  world.model.fate = () => ({})
  await world.push(second, { repository: app, tags: ['v1'] })
  const { deliveries } = world.start()
  await world.clock.advance(SETTLING_MS / 2)
  late.resolve()
  await world.clock.advance(SETTLING_MS)
  await deliveries.stop()
  t.same(await world.entries(), [])
  const digests = [first, second].map(({ manifest }) => manifest.digest)
  t.same(world.model.repository(NAME).histories.get('v1'), digests)
})

t.test(
  'tags are sent a single time, manifests by digest as often as the upstream likes',
  async t => {
    const world = createWorld()
    const { upstream } = world.model
    const sent: unknown[] = []
    Object.assign(world.model, {
      upstream: {
        ...upstream,
        putManifest: (...args: Parameters<typeof upstream.putManifest>) => {
          sent.push([args[1].kind, args[2].once ?? false])
          return upstream.putManifest(...args)
        },
      },
    })
    await world.push(first, { repository: app, tags: ['v1'] })
    await deliver(world)
    t.same(sent, [
      ['digest', false],
      ['tag', true],
    ])
  },
)

t.test('only a word of the registry itself ends the doubt about a tag', async t => {
  const errors: [UpstreamError, boolean][] = [
    [new UpstreamError('rejected', 'no', { status: 400 }), false],
    [new UpstreamError('rate-limited', 'later', { status: 429 }), false],
    [new UpstreamError('refused', 'not there'), false],
    [new UpstreamError('rejected', 'too slow', { status: 408 }), true],
    [new UpstreamError('unavailable', 'bad gateway', { status: 502 }), true],
    [new UpstreamError('unavailable', 'cut'), true],
  ]
  for (const [error, inDoubt] of errors) {
    const world = createWorld()
    await world.push(first, { repository: app, tags: ['v1'] })
    world.model.fate = ({ does, reference }) =>
      does === 'put manifest' && reference === 'v1' ? { error } : {}
    await deliver(world)
    const [entry] = await world.entries()
    t.equal(entry?.inDoubt, inDoubt, `${error.failure} ${error.status}`)
  }
})

t.test('a connection that was never made leaves no doubt', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  world.model.fate = () => ({ error: new UpstreamError('unavailable', 'nothing connects') })
  await deliver(world)
  t.match(await world.entries(), [{ inDoubt: false, attempts: 1 }])
})

t.test("the tag is this edge's until it is delivered, and the upstream's from then on", async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  await world.push(second, { repository: app, tags: ['v2'] })
  world.model.refused.add(second.manifest.digest)
  await world.clock.advance(5_000)
  await deliver(world)
  const delivered = await world.catalog.findTag(app, parseTag('v1'))
  t.match(delivered, { local: false, checkedAtMs: world.clock.nowMs() })
  t.match(await world.catalog.findTag(app, parseTag('v2')), { local: true })
})
