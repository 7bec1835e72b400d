// Goal: whatever a push or a delete that was cut off has left of its facts, once they were compared
// with the catalog that lives, one that is built from them later says the same: what is
// acknowledged stays, and what nobody was told of never comes. Method: as in push-crash.test.ts,
// for every place at which something can be cut off; and then for every place at which the
// comparison can be.
import t, { type Test } from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../../../src/oci/reference.ts'
import { parseDelivery } from '../../../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { type Break, BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import {
  begin,
  index,
  MODES,
  type Mode,
  NEW,
  OLD,
  OPERATIONS,
  type Operation,
  pointsTo,
  reference,
  rulesOf,
} from '../../../kit/worlds/cut-off-pushes.ts'
import {
  createEngine,
  type Engine,
  type LeftBehind,
  localOf,
  repositoryOf,
} from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const ongoing = new AbortController().signal

/** All that clients were told of, as this catalog has it. */
async function knownTo(catalog: Catalog, repository: Repository) {
  const members = []
  for (const digest of [OLD, NEW])
    if ((await catalog.findManifest(repository, digest)) !== undefined) members.push(digest)
  const tags = await catalog.listLocalTags(repository, { limit: 10 })
  return {
    members,
    tags: tags.map(({ tag, digest, checkedAtMs }) => ({ tag, digest, checkedAtMs })),
    entries: await entriesOf(catalog, repository),
  }
}

/** Of each the tags that no later one carries: those are the later one's. */
async function entriesOf(catalog: Catalog, repository: Repository) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  const carried = new Set<Tag>()
  return entries.toReversed().map(({ id, payload, createdAtMs }) => {
    const { digest, tags = [] } = parseDelivery(payload) ?? {}
    const own = tags.filter(({ tag }) => !carried.has(tag))
    for (const { tag } of own) carried.add(tag)
    return { id, digest, tags: own, createdAtMs }
  })
}

/** The next process, on a copy of the disk: its facts alone change. */
function next(left: LeftBehind, mode: Mode, breaking?: ReturnType<typeof createBreaking>): Engine {
  const { catalog, clock } = left
  const disk = { ...left.disk, facts: new Map(left.disk.facts) }
  const facts = breaking === undefined ? {} : { facts: breaking.facts }
  return createEngine({ after: { disk, catalog, clock }, policies: rulesOf(mode), ...facts })
}

async function cutOff(options: { mode: Mode; how: Break; operation: Operation; at: number }) {
  const { mode, how, operation, at } = options
  const { breaking, engine } = await begin(mode, operation)
  breaking.arm(at, how)
  await operation.run(engine.registry, mode.repository).catch(() => {})
  breaking.disarm()
  return breaking.isBroken ? engine : undefined
}

for (const mode of MODES)
  for (const how of BREAKS)
    for (const operation of OPERATIONS)
      t.test(`${mode.push}: ${operation.name}, ${how} at every step`, async t => {
        let at = 0
        for (;;) {
          const left = await cutOff({ mode, how, operation, at })
          if (left === undefined) break
          await compareAfter(t, left, { mode, told: `at ${at}` })
          if (how === 'torn') await cutOffAgain(t, left, { mode, operation, told: `at ${at}` })
          at++
        }
        t.ok(at >= 2, `${at} steps`)
      })

async function compareAfter(
  t: Test,
  left: LeftBehind,
  { mode, told }: { mode: Mode; told: string },
): Promise<void> {
  const { repository } = mode
  const engine = next(left, mode)
  await engine.registry.compareFacts(ongoing)
  const { mended } = await engine.registry.compareFacts(ongoing)
  t.equal(mended, 0, `${told} a second comparison finds nothing`)
  const known = await knownTo(left.catalog, repository)
  const { catalog, report } = await rebuilt(engine, rulesOf(mode))
  t.same(await knownTo(catalog, repository), known, `${told} the facts say what the catalog says`)
  t.match(report, { lost: 0, droppedDeliveries: 0 }, `${told} and nothing else`)
}

/** Wherever the comparison is cut off, what was before or what was asked for holds. */
async function cutOffAgain(
  t: Test,
  left: LeftBehind,
  { mode, operation, told }: { mode: Mode; operation: Operation; told: string },
): Promise<void> {
  for (let at = 0; ; at++) {
    const breaking = createBreaking()
    const engine = next(left, mode, breaking)
    breaking.arm(at, 'torn')
    await engine.registry.compareFacts(ongoing).catch(() => {})
    breaking.disarm()
    if (!breaking.isBroken) return
    const { catalog } = await rebuilt(engine, rulesOf(mode))
    const points = await pointsTo(catalog, mode.repository)
    t.ok(operation.outcomes.includes(points), `${told} and ${at} the tag is old or new`)
  }
}

for (const how of BREAKS)
  t.test(`a push that only passes through, of what was deleted, ${how} at every step`, async t => {
    const push = OPERATIONS.find(({ name }) => name === 'a push by tag of what was deleted')
    const mode = { push: 'store', repository: repositoryOf('team/app') } as const
    for (let at = 0; ; at++) {
      const { breaking, engine: kept } = await begin(mode as never, push as Operation)
      const upstream = { putManifest: async () => ({ subject: undefined }) }
      const policies = everywhere({ push: 'forward' })
      const facts = breaking.facts
      const engine = createEngine({ after: kept, policies, upstream, facts })
      breaking.arm(at, how)
      await push?.run(engine.registry, mode.repository).catch(() => {})
      breaking.disarm()
      const { catalog } = engine
      const running = next({ ...engine, catalog }, MODES[0])
      await running.registry.compareFacts(ongoing)
      const tag = await catalog.findTag(mode.repository, reference.tag)
      const told = (await factsOf(running.facts, 'tag')).map(({ digest }) => digest)
      t.same(told, tag?.local === true ? [OLD] : [], `at ${at} the upstream's tag has no fact`)
      const deleted = (await factsOf(running.facts, 'deleted')).map(({ digest }) => digest)
      const isHere = await isMemberOf(catalog, mode.repository, NEW)
      t.same(deleted, isHere ? [] : [NEW], `at ${at} what is here has no tombstone`)
      if (breaking.isBroken) continue
      t.equal(tag?.digest, NEW)
      t.ok(at >= 2, `${at} steps`)
      return
    }
  })

t.test(
  'what the catalog does not know stays while the bytes are gone: they may come back',
  async t => {
    const [mode] = MODES
    const left = await begin(mode, OPERATIONS[0] as Operation)
    const { disk, clock } = left.engine
    disk.blobs.delete(OLD)
    const { catalog } = await rebuilt(left.engine, rulesOf(mode))
    t.equal(await pointsTo(catalog, mode.repository), undefined)
    const engine = next({ disk, clock, catalog }, mode)
    // Word for word: also under which catalog it was told.
    const toldOf = () => [...engine.disk.facts].filter(([, text]) => text.includes(OLD))
    const before = toldOf()
    t.equal(before.length, 2, 'manifest and tag')
    await engine.registry.compareFacts(ongoing)
    t.same(toldOf(), before)
  },
)

for (const mode of MODES)
  t.test(
    `R264: ${mode.push}: what was lost when the catalog was built is learned once its bytes are back`,
    async t => {
      const { engine: lost } = await begin(mode, OPERATIONS[0] as Operation)
      const { disk, clock } = lost
      const known = await knownTo(lost.catalog, mode.repository)
      const bytes = disk.blobs.get(OLD)
      if (bytes === undefined) throw new Error('nothing was pushed')
      disk.blobs.delete(OLD)
      const { catalog } = await rebuilt(lost, rulesOf(mode))
      const before = next({ disk, clock, catalog }, mode)
      t.match(await before.registry.compareFacts(ongoing), { lost: 2 }, 'they are not here yet')
      disk.blobs.set(OLD, bytes)
      for (let at = 0; ; at++) {
        // Cut off at each step, it begins again.
        const breaking = createBreaking()
        const cut = next(
          { disk: { ...disk, facts: new Map(disk.facts) }, clock, catalog },
          mode,
          breaking,
        )
        breaking.arm(at, 'torn')
        await cut.registry.compareFacts(ongoing).catch(() => {})
        breaking.disarm()
        const after = next({ ...cut, catalog }, mode)
        t.match(await after.registry.compareFacts(ongoing), { lost: 0 }, `at ${at}`)
        t.same(await knownTo(catalog, mode.repository), known, `at ${at} as it was`)
        t.match(await catalog.findTag(mode.repository, reference.tag), { local: true })
        t.match(await after.registry.compareFacts(ongoing), { mended: 0, lost: 0 })
        const again = await rebuilt(after, rulesOf(mode))
        t.same(await knownTo(again.catalog, mode.repository), known, `at ${at} and facts say so`)
        if (!breaking.isBroken) break
      }
    },
  )

t.test('a delete and a later push of what was lost win over it', async t => {
  const [mode] = MODES
  const { engine: lost } = await begin(mode, OPERATIONS[0] as Operation)
  const { disk, clock } = lost
  const bytes = disk.blobs.get(OLD)
  disk.blobs.delete(OLD)
  const { catalog } = await rebuilt(lost, rulesOf(mode))
  const engine = next({ disk, clock, catalog }, mode)
  await pushDocument(engine.registry, mode.repository, {
    document: index.manifest,
    reference: 'v1',
  })
  disk.blobs.set(OLD, bytes as never)
  const after = next({ disk: engine.disk, clock, catalog }, mode)
  await after.registry.compareFacts(ongoing)
  t.equal(await pointsTo(catalog, mode.repository), NEW, 'the tag is the later push’s')
  t.ok(await catalog.findManifest(mode.repository, OLD), 'the manifest is there by its digest')
  await after.registry.deleteManifest(mode.repository, digested(OLD).reference)
  await next({ ...after, catalog }, mode).registry.compareFacts(ongoing)
  t.notOk(await catalog.findManifest(mode.repository, OLD))
})

t.test('a blob that was gone when the catalog was built is kept again once it is back', async t => {
  const app = localOf('team/app')
  const image = makeImage({ seed: 'blob', layers: [10] })
  const engine = createEngine({ policies: rulesOf(MODES[0]) })
  await pushImage(engine.registry, app, image, 'v1')
  const digest = image.layers[0]?.digest as Digest
  const bytes = engine.disk.blobs.get(digest)
  engine.disk.blobs.delete(digest)
  const { catalog } = await rebuilt(engine, rulesOf(MODES[0]))
  engine.disk.blobs.set(digest, bytes as never)
  const after = next({ disk: engine.disk, clock: engine.clock, catalog }, MODES[0])
  t.match(await after.registry.compareFacts(ongoing), { mended: 1 })
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  t.match(await after.registry.compareFacts(ongoing), { mended: 0 })
})

t.test(
  'a fact that could not be read when the catalog was built is believed once it can be',
  async t => {
    const [mode] = MODES
    const { engine: lost } = await begin(mode, OPERATIONS[0] as Operation)
    const { disk, clock } = lost
    const known = await knownTo(lost.catalog, mode.repository)
    const facts = new Map(disk.facts)
    for (const [name, text] of facts) if (text.includes(OLD)) disk.facts.set(name, '{')
    const { catalog } = await rebuilt(lost, rulesOf(mode))
    t.equal(await pointsTo(catalog, mode.repository), undefined)
    for (const [name, text] of facts) disk.facts.set(name, text)
    await next({ disk, clock, catalog }, mode).registry.compareFacts(ongoing)
    t.same(await knownTo(catalog, mode.repository), known)
  },
)
