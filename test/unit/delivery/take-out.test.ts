// Goal: what was kept on disk for a delivery's sake goes with it, and nothing that something else
// needs. Method: the facts that are left after deliveries to a registry as a model, with other
// entries and other rules beside them.
import t from 'tap'
import { takeOut } from '../../../src/delivery/take-out.ts'
import { parseRepositoryKey, repositoryKey } from '../../../src/oci/reference.ts'
import { parseDelivery } from '../../../src/registry/deliveries/delivery-payload.ts'
import { createPolicies } from '../../../src/registry/routing/repository-policies.ts'
import { createWorld } from '../../kit/worlds/delivery-world.ts'
import { createEngine, type Engine } from '../../kit/engine.ts'
import { factsOf, listFacts } from '../../kit/judges/facts-of.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { pushDocument, pushImage } from '../../kit/clients/push-image.ts'
import { everywhere } from '../../kit/worlds/rebuilt.ts'

const app = parseRepositoryKey('docker.io/team/app')
const first = makeImage({ seed: 'first', layers: [10] })
const second = makeImage({ seed: 'second', layers: [10] })

type World = ReturnType<typeof createWorld>

async function deliver(world: World) {
  const process = world.start()
  await world.clock.advance(0)
  await process.deliveries.stop()
}

async function kinds(world: World) {
  return (await listFacts(world.facts)).map(({ kind }) => kind).sort()
}

t.test('once it is delivered nothing is left of an entry', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1', 'latest'] })
  t.same(await kinds(world), ['delivery', 'manifest', 'tag', 'tag'])
  await deliver(world)
  t.same(await kinds(world), [])
})

t.test('what another entry needs stays', async t => {
  const world = createWorld()
  world.model.refused.add(second.manifest.digest)
  await world.push(first, { repository: app, tags: ['v1'] })
  await world.push(second, { repository: app, tags: ['v1', 'v2'] })
  await deliver(world)
  const tags = await world.factsOf('tag')
  t.match(tags, [{ tag: 'v1', digest: second.manifest.digest }, { tag: 'v2' }])
  t.match(await world.factsOf('manifest'), [{ digest: second.manifest.digest }])
  t.equal((await world.factsOf('delivery')).length, 1)
})

t.test('the manifest of two entries stays until both are delivered', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  const other = await world.push(first, { repository: app, tags: ['v2'] })
  await world.catalog.changeDelivery(other, {
    state: 'parked',
    attempts: 1,
    nextAtMs: 0,
    reason: undefined,
  })
  await deliver(world)
  t.same(await kinds(world), ['delivery', 'manifest', 'tag'])
})

t.test('where the rules keep pushes here by now, facts are for good', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  world.policy.push = 'store'
  await deliver(world)
  t.same(await kinds(world), ['manifest', 'tag'])
})

for (const tags of [['v1'], []])
  t.test(
    `and what they keep is held, pushed by ${tags.length > 0 ? 'a tag' : 'its digest alone'}`,
    async t => {
      const world = createWorld()
      await world.push(first, { repository: app, tags })
      world.policy.push = 'store'
      await deliver(world)
      t.same(await world.entries(), [])
      for (const { digest } of [first.manifest, first.config, ...first.layers]) {
        t.match(await world.catalog.findContent(digest), { contentClass: 'kept' })
        t.same(await world.catalog.holdsOf(app, digest), ['pushed'])
      }
      t.same((await world.catalog.listColdest({ limit: 9 })).images, [])
    },
  )

t.test(
  'the facts go before the entry: after a crash in between it is delivered once more, not found again',
  async t => {
    const world = createWorld()
    await world.push(first, { repository: app, tags: ['v1'] })
    const { removeDelivery } = world.catalog
    Object.assign(world.catalog, { removeDelivery: () => new Promise(() => {}) })
    const killed = world.start()
    await world.clock.advance(0)
    killed.life.end()
    t.same(await kinds(world), [])
    t.equal((await world.entries()).length, 1)
    Object.assign(world.catalog, { removeDelivery })
    const { deliveries } = world.start()
    await world.clock.advance(600_000)
    await deliveries.stop()
    t.same(await world.entries(), [])
  },
)

t.test('a push that is under way in the repository is waited for', async t => {
  const world = createWorld()
  await world.push(first, { repository: app, tags: ['v1'] })
  const { deliveries, turns } = world.start()
  const push = Promise.withResolvers<void>()
  const pushed = turns.take('docker.io/team/app', async () => {
    await push.promise
    await world.push(second, { repository: app, tags: ['v1'] })
  })
  await world.clock.advance(0)
  t.equal((await world.entries()).length, 1, 'it is there, but not taken out')
  world.model.fate = () => ({ arrives: new Promise(() => {}) })
  push.resolve()
  await pushed
  await world.clock.advance(0)
  t.match(await world.factsOf('tag'), [{ tag: 'v1', digest: second.manifest.digest }])
  const stopped = deliveries.stop()
  await world.clock.advance(10_000)
  await stopped
})

/** As the carrier does, once the upstream has it. The oldest, or all. */
async function settle({ catalog, facts, clock }: Engine, most = Infinity): Promise<void> {
  const parts = { catalog, facts, clock, policies: createPolicies(everywhere({ push: 'queue' })) }
  for (const entry of (await catalog.listDeliveriesOf(repositoryKey(app))).slice(0, most)) {
    const { digest = first.manifest.digest, tags = [] } = parseDelivery(entry.payload) ?? {}
    const settled = { repository: app, digest, tags: tags.map(({ tag }) => tag), left: [] }
    await takeOut(parts, entry, settled)
  }
}

const index = makeIndex([makeIndex([first]), second])

t.test('R433: the images of an index that comes after their delivery leave no facts', async t => {
  const engine = createEngine({ policies: everywhere({ push: 'queue' }) })
  for (const child of index.children) await pushImage(engine.registry, app, child)
  await settle(engine)
  t.same(await factsOf(engine.facts, 'manifest'), [])
  await pushDocument(engine.registry, app, { document: index.manifest, reference: 'v1' })
  t.equal((await factsOf(engine.facts, 'manifest')).length, 4)
  await settle(engine)
  t.same(await factsOf(engine.facts, 'manifest'), [])
  for (const { digest } of [first.manifest, second.manifest, index.manifest])
    t.match(await engine.catalog.findContent(digest), { contentClass: 'cached' })
})

t.test('R433: but what another index of the queue lists keeps its fact', async t => {
  const engine = createEngine({ policies: everywhere({ push: 'queue' }) })
  const other = makeIndex([second])
  await pushImage(engine.registry, app, index)
  await settle(engine)
  for (const { manifest } of [index, other])
    await pushDocument(engine.registry, app, { document: manifest })
  await settle(engine, 1)
  const left = (await factsOf(engine.facts, 'manifest')).map(({ digest }) => digest)
  t.same(new Set(left), new Set([other.manifest.digest, second.manifest.digest]))
})
