// Goal: a fact that could not be read while a lost catalog was built anew is neither taken away nor
// overwritten, and is believed once it can be read: of every kind, alone and with others. Method:
// facts are spoiled before the rebuild and put back after it, as an operator does who finds the
// files in a backup; then facts and catalog are compared, as the next start does.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { Fact, FactStore } from '../../../../src/registry/ports/facts.ts'
import { around } from '../../../kit/around.ts'
import {
  begin,
  MODES,
  type Mode,
  OLD,
  OPERATIONS,
  type Operation,
  reference,
  rulesOf,
} from '../../../kit/worlds/cut-off-pushes.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, type Left, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { factName } from '../../../../src/store/fact-text.ts'
import type { MemoryDisk } from '../../../kit/memory/disk.ts'

const ongoing = new AbortController().signal
const KINDS = ['manifest', 'tag', 'delivery'] as const

/** Every choice of at least one of them. */
const CHOICES = [1, 2, 3, 4, 5, 6, 7].map(bits => KINDS.filter((_, at) => (bits >> at) & 1))

type OnDisk = Left & { readonly disk: MemoryDisk }

/** Replaces them by what is no fact; returns how to bring them back. */
function spoil({ facts }: MemoryDisk, kinds: readonly Fact['kind'][]) {
  const spoiled = [...facts].filter(([, text]) =>
    kinds.some(kind => text.includes(`"kind":"${kind}"`)),
  )
  for (const [name] of spoiled) facts.set(name, '{')
  return () => {
    for (const [name, text] of spoiled) facts.set(name, text)
  }
}

function after({ disk, clock }: OnDisk, catalog: Catalog, mode: Pick<Mode, 'push'>) {
  return createEngine({ after: { disk, clock, catalog }, policies: everywhere(mode) })
}

async function knownTo(catalog: Catalog, repository: Repository) {
  const tag = await catalog.findTag(repository, reference.tag)
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  return {
    isThere: (await catalog.findManifest(repository, OLD)) !== undefined,
    tag: tag && { digest: tag.digest, local: tag.local },
    entries: entries.map(({ id, payload }) => ({ id, payload })),
  }
}

for (const mode of MODES)
  for (const kinds of CHOICES)
    t.test(
      `R264: ${mode.push}: ${kinds.join(', ')} that could not be read at the rebuild is learned when it can be`,
      async t => {
        const { engine: lost } = await begin(mode, OPERATIONS[0] as Operation)
        const known = await knownTo(lost.catalog, mode.repository)
        const before = new Map(lost.disk.facts)
        const bringBack = spoil(lost.disk, kinds)
        const { catalog } = await rebuilt(lost, rulesOf(mode))
        const unread = new Map(lost.disk.facts)
        await after(lost, catalog, mode).registry.compareFacts(ongoing)
        t.same([...lost.disk.facts.keys()], [...unread.keys()], 'nothing goes meanwhile')
        bringBack()
        const engine = after(lost, catalog, mode)
        t.match(await engine.registry.compareFacts(ongoing), { lost: 0 })
        t.same(await knownTo(catalog, mode.repository), known, 'as it was')
        t.same([...engine.disk.facts.keys()].toSorted(), [...before.keys()].toSorted())
        t.match(await engine.registry.compareFacts(ongoing), { mended: 0, lost: 0 })
        const again = await rebuilt(engine, rulesOf(mode))
        t.same(await knownTo(again.catalog, mode.repository), known, 'and facts say so')
      },
    )

t.test('R264: the number of an entry that cannot be read is given to no other push', async t => {
  const mode = { push: 'queue' } as const
  const [app, other] = [repositoryOf('team/app'), repositoryOf('team/other')]
  const lost = createEngine({ policies: everywhere(mode) })
  const first = makeImage({ seed: 'first', layers: [10] })
  await pushImage(lost.registry, app, first, 'v1')
  const told = await factsOf(lost.facts, 'delivery')
  const bringBack = spoil(lost.disk, ['delivery'])
  const spoiled = new Map([...lost.disk.facts].filter(([, text]) => text === '{'))
  const { catalog } = await rebuilt(lost, everywhere(mode))
  const engine = after(lost, catalog, mode)
  await pushImage(engine.registry, other, makeImage({ seed: 'second', layers: [10] }), 'v1')
  for (const [name, text] of spoiled) t.equal(engine.disk.facts.get(name), text, 'its file stays')
  bringBack()
  await after(lost, catalog, mode).registry.compareFacts(ongoing)
  const entries = await catalog.listDeliveries({ limit: 10 })
  t.equal(entries.length, 2)
  t.match(
    entries.find(({ key }) => key === repositoryKey(app)),
    told.map(({ id, payload }) => ({ id, payload }))[0],
  )
})

t.test('R264: a tombstone that could not be read at the rebuild holds when it can be', async t => {
  const [mode] = MODES
  const app = localOf('team/app')
  const child = makeImage({ seed: 'child', layers: [10] })
  const layer = child.layers[0]?.digest as Digest
  const lost = createEngine({ policies: rulesOf(mode) })
  await pushImage(lost.registry, app, child)
  await pushDocument(lost.registry, app, { document: makeIndex([child]).manifest, reference: 'v1' })
  await lost.registry.deleteBlob(app, layer)
  const bringBack = spoil(lost.disk, ['deleted'])
  const { catalog } = await rebuilt(lost, rulesOf(mode))
  await after(lost, catalog, mode).registry.compareFacts(ongoing)
  bringBack()
  const engine = after(lost, catalog, mode)
  await engine.registry.compareFacts(ongoing)
  t.equal(await isMemberOf(catalog, app, layer), false)
  t.equal((await factsOf(engine.facts, 'deleted')).length, 1)
  t.match(await engine.registry.compareFacts(ongoing), { mended: 0, lost: 0 })
})

t.test(
  'R264: a tombstone that cannot be read stays when the manifest beside it is put right',
  async t => {
    const [mode] = MODES
    const app = localOf('team/app')
    const image = makeImage({ seed: 'beside', layers: [10] })
    const lost = createEngine({ policies: rulesOf(mode) })
    await pushImage(lost.registry, app, image, 'v1')
    const { digest } = image.manifest
    // As a delete that was cut off leaves them, on a disk that then lost the one.
    const name = factName({ kind: 'deleted', repository: repositoryKey(app), digest })
    lost.disk.facts.set(name, '{')
    const { catalog } = await rebuilt(lost, rulesOf(mode))
    const { registry, disk } = after(lost, catalog, mode)
    t.match(await registry.compareFacts(ongoing), { lost: 0 })
    t.equal(disk.facts.get(name), '{', 'whatever it says was told before')
  },
)

t.test('a tombstone that could not be read takes nothing from a later push', async t => {
  const [mode] = MODES
  const app = localOf('team/app')
  const image = makeImage({ seed: 'image', layers: [10] })
  const layer = image.layers[0]?.digest as Digest
  const lost = createEngine({ policies: rulesOf(mode) })
  await pushImage(lost.registry, app, image, 'v1')
  await lost.registry.deleteBlob(app, layer)
  spoil(lost.disk, ['deleted'])
  const { catalog } = await rebuilt(lost, rulesOf(mode))
  const engine = after(lost, catalog, mode)
  // Its layer is said to be here, so that a client sends the manifest alone.
  await pushDocument(engine.registry, app, { document: image.manifest, reference: 'v2' })
  t.equal((await factsOf(engine.facts, 'deleted')).length, 0)
  t.notOk([...engine.disk.facts.values()].includes('{'), 'the tombstone is gone')
  await engine.registry.compareFacts(ongoing)
  t.equal(await isMemberOf(catalog, app, layer), true)
})

t.test(
  'an entry that could not be read brings no tag back that was pushed or deleted since',
  async t => {
    const [, mode] = MODES
    for (const since of ['push', 'delete tag', 'delete manifest'] as const) {
      const { engine: lost } = await begin(mode, OPERATIONS[0] as Operation)
      const bringBack = spoil(lost.disk, ['delivery'])
      const { catalog } = await rebuilt(lost, rulesOf(mode))
      const { registry } = after(lost, catalog, mode)
      const { repository } = mode
      const newer = makeImage({ seed: 'since', layers: [10] })
      if (since === 'push') await pushImage(registry, repository, newer, 'v1')
      if (since === 'delete tag') await registry.deleteManifest(repository, reference)
      if (since === 'delete manifest')
        await registry.deleteManifest(repository, digested(OLD).reference)
      const tag = await catalog.findTag(repository, reference.tag)
      bringBack()
      await after(lost, catalog, mode).registry.compareFacts(ongoing)
      t.same(await catalog.findTag(repository, reference.tag), tag, since)
      const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
      const carrying = entries.filter(({ payload }) => payload.includes('"v1"'))
      t.equal(carrying.length, since === 'push' ? 1 : 0, since)
      if (since === 'push') t.match(carrying[0]?.payload, newer.manifest.digest)
    }
  },
)

t.test('R770: each look at facts counts those that it could not read itself', async t => {
  const lost = createEngine()
  await pushImage(lost.registry, localOf('app'), makeImage({ seed: 'counted', layers: [10] }), 'v1')
  spoil(lost.disk, ['tag'])
  // Somebody else looks at all of them beside each look.
  const besideOthers = (under: FactStore) =>
    around(under, {
      list: list =>
        async function* () {
          await factsOf(under, 'tag')
          yield* list()
        },
    })
  const { registry } = createEngine({ after: lost, facts: besideOthers })
  t.match(await registry.compareFacts(ongoing), { unreadable: 1 })
})
