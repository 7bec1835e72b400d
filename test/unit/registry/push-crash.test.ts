// Goal: wherever a push or a delete is cut off, it was not acknowledged, what was before or what was asked for holds, trying again works,
// and a catalog built from the facts says the same. Method: the engine over in-memory twins whose writes break at call k, for every k
// that there is and in each way of breaking.
import t, { type Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../src/oci/reference.ts'
import type { Registry } from '../../../src/registry/answers.ts'
import { parseDelivery } from '../../../src/registry/deliveries.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import { type Break, BREAKS, createBreaking } from '../../kit/breaking-ports.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../kit/engine.ts'
import { factsOf } from '../../kit/facts-of.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { digested, pushDocument, pushParts, tagged } from '../../kit/push-image.ts'
import { everywhere, rebuilt } from '../../kit/rebuilt.ts'

const older = makeImage({ seed: 'older', layers: [10] })
const newer = makeImage({ seed: 'newer', layers: [10] })
const index = makeIndex([newer])
const OLD = older.manifest.digest
const NEW = index.manifest.digest
const { reference } = tagged('v1')

const MODES = [
  { push: 'store', repository: localOf('team/app') },
  { push: 'queue', repository: repositoryOf('team/app') },
] as const
type Mode = (typeof MODES)[number]

interface Operation {
  readonly name: string
  run(registry: Registry, repository: Repository): Promise<unknown>
  /** Where the tag may point when it was cut off. */
  readonly outcomes: readonly (Digest | undefined)[]
  /** Two tags that one push gave, when it begins; default one. */
  readonly isTwice?: boolean
  /** What the tag is to point to was here before and was deleted; default it never was. */
  readonly isDeleted?: boolean
  /** And when it was tried again. */
  readonly done: Digest | undefined
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'a push by tag',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, reference: 'v1' }),
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push with tags',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, tags: ['v1', 'v2'] }),
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a delete of a tag',
    run: (registry, repository) => registry.deleteManifest(repository, reference),
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of one of two tags',
    run: (registry, repository) => registry.deleteManifest(repository, reference),
    isTwice: true,
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of a manifest',
    run: (registry, repository) => registry.deleteManifest(repository, digested(OLD).reference),
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of a manifest with two tags',
    run: (registry, repository) => registry.deleteManifest(repository, digested(OLD).reference),
    isTwice: true,
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a push by tag of what was deleted',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, reference: 'v1' }),
    isDeleted: true,
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push with tags of what was deleted',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, tags: ['v1', 'v2'] }),
    isDeleted: true,
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push by digest of what was deleted',
    run: (registry, repository) => pushDocument(registry, repository, { document: index.manifest }),
    isDeleted: true,
    outcomes: [OLD],
    done: OLD,
  },
]

const rulesOf = ({ push }: Mode) => everywhere({ push })

async function begin(mode: Mode, { isTwice, isDeleted }: Operation) {
  const breaking = createBreaking()
  const engine = createEngine({ ...breaking, policies: rulesOf(mode) })
  const { registry } = engine
  const { repository } = mode
  await pushParts(registry, repository, older)
  const document = older.manifest
  await pushDocument(registry, repository, {
    document,
    ...(isTwice ? { tags: ['v1', 'v2'] } : { reference: 'v1' }),
  })
  await pushParts(registry, repository, index)
  if (isDeleted) {
    await pushDocument(registry, repository, { document: index.manifest })
    await registry.deleteManifest(repository, digested(NEW).reference)
  }
  return { breaking, engine }
}

/** Where the tag points, and that everything behind it is there. */
async function pointsTo(catalog: Catalog, repository: Repository): Promise<Digest | undefined> {
  const fact = await catalog.findTag(repository, reference.tag)
  if (fact === undefined) return undefined
  if ((await catalog.findManifest(repository, fact.digest)) === undefined)
    throw new Error('the tag points to nothing')
  return fact.digest
}

/** Digests that the outbox brings the tag to. */
async function carriedOf(catalog: Catalog, repository: Repository): Promise<Digest[]> {
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  return entries
    .map(({ payload }) => parseDelivery(payload))
    .filter(delivery => delivery?.tags.some(({ tag }) => tag === reference.tag))
    .map(delivery => delivery?.digest as Digest)
}

for (const mode of MODES)
  for (const how of BREAKS)
    for (const operation of OPERATIONS)
      t.test(`${mode.push}: ${operation.name}, ${how} at every step`, async t => {
        let steps = 0
        while (await breakAt(t, { mode, how, operation, at: steps })) steps++
        t.ok(steps >= 2, `${steps} steps`)
      })

/** False once there are no more steps. */
async function breakAt(
  t: Test,
  { mode, how, operation, at }: { mode: Mode; how: Break; operation: Operation; at: number },
): Promise<boolean> {
  const { repository } = mode
  const { breaking, engine } = await begin(mode, operation)
  const { registry, catalog, facts } = engine
  breaking.arm(at, how)
  const error = await operation.run(registry, repository).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  breaking.disarm()
  if (!breaking.isBroken) {
    t.equal(error, undefined)
    return false
  }
  const told = `at ${at}`
  t.ok(error instanceof Error, `${told} it was not acknowledged`)
  const points = await pointsTo(catalog, repository)
  t.ok(operation.outcomes.includes(points), `${told} the tag is old or new`)
  if (mode.push === 'queue')
    t.equal((await carriedOf(catalog, repository)).at(-1), points, `${told} the outbox agrees`)
  const lost = (await rebuilt(engine, rulesOf(mode))).catalog
  const pointed = await pointsTo(lost, repository)
  t.ok(operation.outcomes.includes(pointed), `${told} and so says a catalog built from facts`)
  if (mode.push === 'queue') {
    const carried = await carriedOf(lost, repository)
    t.ok([pointed, undefined].includes(carried.at(-1)), `${told} whose outbox agrees`)
  }
  if (how !== 'ended' && how !== 'torn') {
    const said = (await factsOf(facts, 'tag')).find(({ tag }) => tag === reference.tag)?.digest
    t.equal(said, points, `${told} the facts say what the catalog says`)
    const ids = (await catalog.listDeliveriesOf(repositoryKey(repository))).map(({ id }) => id)
    t.same(
      (await factsOf(facts, 'delivery')).map(({ id }) => id).sort((a, b) => a - b),
      ids,
      `${told} of the outbox too`,
    )
  }
  await retry(t, { engine, mode, operation, told })
  return true
}

async function retry(
  t: Test,
  options: { engine: Engine; mode: Mode; operation: Operation; told: string },
): Promise<void> {
  const { engine, mode, operation, told } = options
  const { repository } = mode
  await engine.clock.advance(1)
  const next = createEngine({ after: engine, policies: rulesOf(mode) })
  await operation.run(next.registry, repository).catch((again: { code?: string }) => {
    // A delete that took effect unheard.
    if (operation.done !== undefined || again.code !== 'MANIFEST_UNKNOWN') throw again
  })
  t.equal(await pointsTo(next.catalog, repository), operation.done, `${told} trying again works`)
  const lost = (await rebuilt({ ...engine, facts: next.facts }, rulesOf(mode))).catalog
  t.equal(await pointsTo(lost, repository), operation.done, `${told} durably`)
  if (mode.push !== 'queue') return
  const carried = operation.done === undefined ? [] : [operation.done]
  t.same((await carriedOf(lost, repository)).slice(-1), carried, `${told} with its delivery`)
  t.equal((await carriedOf(lost, repository)).length, carried.length, `${told} once`)
}
