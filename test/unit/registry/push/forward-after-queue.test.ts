// Goal: where a repository's rule went from `queue` to `forward` while pushes waited, no tag goes
// back at the upstream: a forwarded push has its tags from then on, whatever is cut off, and one
// that fails takes nothing from those that wait. Method: the engine and the outbox over one catalog
// and a registry as a model; the forwarded push is broken at each of its writes, and the line as a
// test says.
import t from 'tap'
import { createDeliveries } from '../../../../src/delivery/create-deliveries.ts'
import { parseDelivery } from '../../../../src/registry/deliveries/delivery-payload.ts'
import { announceTags } from '../../../../src/registry/push/overtake-deliveries.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { createPolicies } from '../../../../src/registry/routing/repository-policies.ts'
import { BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import { createEngine, type LeftBehind, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { type Image, makeImage } from '../../../kit/image.ts'
import { pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import {
  createUpstreamModel,
  type Fate,
  type UpstreamModel,
} from '../../../kit/stubs/upstream-model.ts'

const NAME = 'team/app'
const app = repositoryOf(NAME)
const KEY = repositoryKey(app)
const HOUR_MS = 3_600_000
/** More than an attempt takes from its look at a tag to the next request. */
const TURNS = 200
const older = makeImage({ seed: 'older', layers: [10] })
const newer = makeImage({ seed: 'newer', layers: [10] })
const newest = makeImage({ seed: 'newest', layers: [10] })
const ongoing = new AbortController().signal
/** The rule that would let an entry take any tag. */
const forward = everywhere({ push: 'forward', onConflict: 'overwrite' })

/** The older image waits in the queue; of the newer one the upstream has all blobs. */
async function queued() {
  const model = createUpstreamModel()
  for (const blob of [newer.config, ...newer.layers])
    model.repository(NAME).blobs.set(blob.digest, blob.bytes())
  const before = createEngine({ policies: everywhere({ push: 'queue' }) })
  await pushImage(before.registry, app, older, 'v1')
  return { model, before }
}

type Model = ReturnType<typeof createUpstreamModel>

function forwarding(model: Model, after: LeftBehind, breaking?: ReturnType<typeof createBreaking>) {
  const disk = { ...after.disk, facts: new Map(after.disk.facts) }
  const catalog = breaking === undefined ? after.catalog : breaking.catalog(after.catalog)
  const facts = breaking === undefined ? {} : { facts: breaking.facts }
  const engine = createEngine({
    after: { ...after, disk, catalog },
    policies: forward,
    upstream: model.upstream,
    ...facts,
  })
  return { ...engine, catalog: after.catalog }
}

const pushNewer = ({ registry }: Pick<ReturnType<typeof createEngine>, 'registry'>) =>
  pushDocument(registry, app, { document: newer.manifest, reference: 'v1' })

/** A process that delivers what waits. */
async function deliver(engine: ReturnType<typeof createEngine>) {
  const deliveries = createDeliveries({
    ...engine,
    namespaces: { find: () => engine.namespace, list: () => [], allShare: true },
    policies: createPolicies(forward),
    note: () => {},
    random: () => 0,
    turns: engine.registry.turns,
  })
  deliveries.start()
  await engine.clock.advance(HOUR_MS)
  await deliveries.stop()
}

const tagOf = (model: Model) => model.repository(NAME).tags.get('v1')
const historyOf = (model: Model) => model.repository(NAME).histories.get('v1') ?? []
const named = (image: Image) => image.manifest.digest

t.test('R265: a forwarded push keeps its tag from what was queued before', async t => {
  const { model, before } = await queued()
  const engine = forwarding(model, before)
  await pushNewer(engine)
  await deliver(engine)
  t.same(historyOf(model), [named(newer)], 'the tag went there once')
  t.ok(model.repository(NAME).manifests.has(named(older)), 'the queued image is there')
  t.same(await engine.catalog.listDeliveriesOf(KEY), [])
  t.same([...engine.disk.facts.keys()], [], 'no fact is left')
  t.match(await engine.registry.headManifest(app, tagged('v1')), { digest: named(newer) })
})

t.test('R265: a catalog that is built later does not bring the queued tag back', async t => {
  const { model, before } = await queued()
  const engine = forwarding(model, before)
  await pushNewer(engine)
  const { catalog } = await rebuilt(engine, forward)
  await deliver(forwarding(model, { ...engine, catalog }))
  t.equal(tagOf(model), named(newer))
  t.same(await factsOf(engine.facts, 'tag'), [])
})

t.test('a forwarded push that fails takes nothing from what waits', async t => {
  const { model, before } = await queued()
  model.refused.add(named(newer))
  const engine = forwarding(model, before)
  await t.rejects(pushNewer(engine), { code: 'MANIFEST_INVALID' })
  await deliver(engine)
  t.equal(tagOf(model), named(older))
})

t.test('one whose answer was never seen, and which has arrived, is not undone', async t => {
  const { model, before } = await queued()
  const cut: Fate = { told: 'cut' }
  model.fate = ({ does, reference }) => (does === 'put manifest' && reference === 'v1' ? cut : {})
  const engine = forwarding(model, before)
  await t.rejects(pushNewer(engine))
  model.fate = () => ({})
  await deliver(engine)
  t.same(historyOf(model), [named(newer)])
  t.same(await engine.catalog.listDeliveriesOf(KEY), [])
})

t.test('R265: nor one that was sent twice without an answer', async t => {
  const { model, before } = await queued()
  const engine = forwarding(model, before)
  model.fate = meeting({ told: 'cut' })
  for (let tried = 0; tried < 2; tried += 1) await t.rejects(pushNewer(engine))
  model.fate = () => ({})
  await deliver(engine)
  t.equal(tagOf(model), named(newer))
  t.same(await engine.catalog.listDeliveriesOf(KEY), [])
})

t.test('R265: of several tags each is told of to the entries that carry it', async t => {
  const { model, before } = await queued()
  await pushImage(before.registry, app, newest, 'v2')
  const engine = forwarding(model, before)
  model.fate = meeting({ told: 'cut' })
  const tags = { document: newer.manifest, tags: ['v1', 'v2'] }
  await t.rejects(pushDocument(engine.registry, app, tags))
  model.fate = () => ({})
  await deliver(engine)
  t.same(historyOf(model), [named(newer)], 'the one that has arrived')
  t.equal(model.repository(NAME).tags.get('v2'), named(newest), 'the other was never sent')
})

t.test('R265: a forwarded push takes its tags out of every entry and every fact', async t => {
  const { model, before } = await queued()
  await pushImage(before.registry, app, newest, 'v1')
  await pushDocument(before.registry, app, { document: newest.manifest, tags: ['v2', 'v3'] })
  const engine = forwarding(model, before)
  await pushDocument(engine.registry, app, { document: newer.manifest, tags: ['v1', 'v2'] })
  const entries = await engine.catalog.listDeliveriesOf(KEY)
  const facts = await factsOf(engine.facts, 'delivery')
  t.equal(entries.length, 3)
  for (const told of [entries, facts])
    t.same(
      told.flatMap(({ payload }) => parseDelivery(payload)?.tags.map(each => each.tag)),
      ['v3'],
    )
})

t.test(
  'R265: while a request of a delivery that is over may arrive, the push comes back',
  async t => {
    const { before } = await queued()
    const asked: string[] = []
    const unsettledMs = (key: string) => asked.push(key)
    const announcement = {
      tags: [tagged('v1').reference.tag],
      digest: named(newer),
      whereIs: async () => undefined,
    }
    const entries = await before.catalog.listDeliveriesOf(KEY)
    const told = announceTags({ ...before, unsettledMs }, app, announcement)
    await t.rejects(told, { code: 'UNAVAILABLE', message: /on its way/ })
    t.same(asked, [KEY])
    t.same(await before.catalog.listDeliveriesOf(KEY), entries, 'no entry is told of it')
    const untagged = await announceTags({ ...before, unsettledMs }, app, {
      ...announcement,
      tags: [],
    })
    t.equal(untagged.any, false, 'without a tag it undoes nothing')
  },
)

t.test('R265: while a delivery of the tag is in doubt the push is told to come back', async t => {
  const { model, before } = await queued()
  const [entry] = await before.catalog.listDeliveriesOf(KEY)
  if (entry === undefined) throw new Error('nothing is queued')
  await before.catalog.changeDelivery(entry.id, { ...entry, inDoubt: true })
  const engine = forwarding(model, before)
  const told = { code: 'UNAVAILABLE', status: 503, message: /on its way/ }
  await t.rejects(pushNewer(engine), told)
  t.same(model.told('writes'), [], 'nothing was sent')
  await deliver(engine)
  t.equal(tagOf(model), named(older), 'what was acknowledged is there')
  await pushNewer(engine)
  t.same(historyOf(model), [named(older), named(newer)])
})

t.test(
  'R265: where one delivery is in doubt, none is told of the push that is not sent',
  async t => {
    const { model, before } = await queued()
    await pushImage(before.registry, app, newest, 'v1')
    const [first, second] = await before.catalog.listDeliveriesOf(KEY)
    if (first === undefined || second === undefined) throw new Error('two are queued')
    await before.catalog.changeDelivery(second.id, { inDoubt: true })
    const facts = await factsOf(before.facts, 'delivery')
    const engine = forwarding(model, before)
    await t.rejects(pushNewer(engine), { code: 'UNAVAILABLE' })
    t.same(await engine.catalog.findDelivery(first.id), first)
    t.same(await factsOf(engine.facts, 'delivery'), facts)
  },
)

t.test(
  'R265: an attempt that ends while its entry is told of the push has its end kept',
  async t => {
    const { model, before } = await queued()
    const [entry] = await before.catalog.listDeliveriesOf(KEY)
    if (entry === undefined) throw new Error('one is queued')
    const end = { state: 'parked', attempts: 3, nextAtMs: 77, reason: 'refused' } as const
    const engine = createEngine({
      after: before,
      policies: forward,
      upstream: model.upstream,
      facts: facts => ({
        ...facts,
        has: identity => facts.has(identity),
        find: identity => facts.find(identity),
        list: () => facts.list(),
        remove: identities => facts.remove(identities),
        // The disk takes its time.
        write: async written => {
          await facts.write(written)
          await before.catalog.changeDelivery(entry.id, end)
        },
      }),
    })
    model.refused.add(named(newer))
    await t.rejects(pushNewer(engine), { code: 'MANIFEST_INVALID' })
    t.match(await before.catalog.findDelivery(entry.id), end)
  },
)

t.test(
  'a delivery that is about to be sent is not, and one that was sent is waited for',
  async t => {
    const { model, before } = await queued()
    const engine = forwarding(model, before)
    const sent = Promise.withResolvers<void>()
    const arrives = Promise.withResolvers<void>()
    model.fate = ({ does, reference }) => {
      if (does !== 'put manifest' || reference !== 'v1') return {}
      sent.resolve()
      return { arrives: arrives.promise }
    }
    const delivering = deliver(engine)
    await sent.promise
    await t.rejects(pushNewer(engine), { code: 'UNAVAILABLE' })
    arrives.resolve()
    model.fate = () => ({})
    await delivering
    await pushNewer(engine)
    t.same(historyOf(model), [named(older), named(newer)])
  },
)

for (const how of BREAKS)
  t.test(`wherever a forwarded push is cut off, ${how}, its tag does not go back`, async t => {
    for (let at = 0; ; at++) {
      const { model, before } = await queued()
      const breaking = createBreaking()
      const engine = forwarding(model, before, breaking)
      breaking.arm(at, how)
      const isTold = await pushNewer(engine).then(
        () => true,
        () => false,
      )
      breaking.disarm()
      const isThere = tagOf(model) !== undefined
      const next = forwarding(model, engine)
      await next.registry.compareFacts(ongoing)
      await deliver(next)
      const isRight = isThere ? [named(newer)] : [named(older)]
      t.same(historyOf(model), isRight, `at ${at}`)
      t.ok(isThere || !isTold, `at ${at} what was told is there`)
      t.same(await next.catalog.listDeliveriesOf(KEY), [], `at ${at} nothing waits`)
      const tag = await next.catalog.findTag(app, tagged('v1').reference.tag)
      t.not(tag?.local, true, `at ${at} the tag is the upstream’s`)
      t.same(await factsOf(next.facts, 'tag'), [], `at ${at} and has no fact`)
      if (breaking.isBroken) continue
      t.ok(at >= 4, `${at} steps`)
      return
    }
  })

/** By somebody else. */
function pointTag(model: Model, image: Image): void {
  const { bytes, mediaType, digest } = image.manifest
  model.repository(NAME).manifests.set(digest, { bytes, mediaType })
  model.repository(NAME).tags.set('v1', digest)
}

const ENDS: Readonly<Record<string, Fate>> = {
  'of a proxy': { error: new UpstreamError('unavailable', 'bad gateway', { status: 502 }) },
  'without an answer': { told: 'cut', error: new UpstreamError('unavailable', 'reset') },
  'of the registry': { error: new UpstreamError('rejected', 'no', { status: 400 }) },
}

/** What becomes of each push of the newer image's tag; another's arrives. */
const meeting =
  (fate: Fate): UpstreamModel['fate'] =>
  ({ does, reference }) =>
    does === 'put manifest' && reference === 'v1' ? fate : {}

for (const [name, fate] of Object.entries(ENDS)) {
  // The tag is found where a push would have put it that never arrived.
  t.test(
    `R265: a push of what the tag was before takes it from nothing: error ${name}`,
    async t => {
      const { model, before } = await queued()
      pointTag(model, newer)
      const engine = forwarding(model, before)
      model.fate = meeting(fate)
      for (let tried = 0; tried < 2; tried += 1) await t.rejects(pushNewer(engine))
      model.fate = () => ({})
      await deliver(engine)
      t.equal(tagOf(model), named(older), 'what was acknowledged is there')
      const tag = await engine.catalog.findTag(app, tagged('v1').reference.tag)
      t.match(tag, { digest: named(older), local: false })
    },
  )

  t.test(`R265: nor where an earlier entry brings it there: error ${name}`, async t => {
    const model = createUpstreamModel()
    const before = createEngine({ policies: everywhere({ push: 'queue' }) })
    for (const image of [newer, older]) await pushImage(before.registry, app, image, 'v1')
    const engine = forwarding(model, before)
    model.fate = meeting(fate)
    await t.rejects(pushNewer(engine))
    model.fate = () => ({})
    await deliver(engine)
    t.same(historyOf(model), [named(newer), named(older)])
    t.same(await engine.catalog.listDeliveriesOf(KEY), [])
  })
}

t.test('R265: what a refused push would have moved, somebody else may move', async t => {
  const { model, before } = await queued()
  const engine = forwarding(model, before)
  model.fate = meeting({ error: new UpstreamError('rejected', 'no', { status: 400 }) })
  await t.rejects(pushNewer(engine))
  pointTag(model, newer)
  model.fate = () => ({})
  await deliver(engine)
  t.equal(tagOf(model), named(older), 'by the rule for tags of others')
})

t.test('R265: a tag that is left to a later push points where that has put it', async t => {
  const { model, before } = await queued()
  const engine = forwarding(model, before)
  model.fate = meeting({ told: 'cut' })
  await t.rejects(pushNewer(engine))
  model.fate = () => ({})
  await deliver(engine)
  const tag = await engine.catalog.findTag(app, tagged('v1').reference.tag)
  t.match(tag, { digest: named(newer), local: false })
})

for (const told of ['cut', undefined] as const)
  t.test(`R265: a delivery that begins during the push sends no tag after it: ${told}`, async t => {
    const { model, before } = await queued()
    const engine = forwarding(model, before)
    const sent = Promise.withResolvers<void>()
    const arrives = Promise.withResolvers<void>()
    model.fate = ({ does, reference }) => {
      if (does !== 'put manifest' || reference !== 'v1') return {}
      sent.resolve()
      return { arrives: arrives.promise, ...(told === undefined ? {} : { told }) }
    }
    const pushing = pushNewer(engine).catch(() => {})
    await sent.promise
    const looked = Promise.withResolvers<void>()
    model.fate = ({ does, reference }) => {
      if (reference !== 'v1') return {}
      looked.resolve()
      return does === 'put manifest' ? { arrives: pushing } : {}
    }
    const delivering = deliver(engine)
    await looked.promise
    for (let turn = 0; turn < TURNS; turn += 1) await new Promise(setImmediate)
    arrives.resolve()
    await pushing
    await delivering
    await deliver(engine)
    t.same(historyOf(model), [named(newer)])
    t.same(await engine.catalog.listDeliveriesOf(KEY), [])
  })

t.test('an upstream that cannot be reached leaves what waits as it was', async t => {
  const { model, before } = await queued()
  model.fate = () => ({ error: new UpstreamError('unavailable', 'down') })
  const engine = forwarding(model, before)
  await t.rejects(pushNewer(engine), { code: 'UNAVAILABLE' })
  model.fate = () => ({})
  await deliver(engine)
  t.equal(tagOf(model), named(older))
})
