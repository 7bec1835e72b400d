// Goal: what was deleted here before the catalog was lost, and is pulled from its upstream since,
// is not taken away again by the delete of before. Method: engines over one disk in memory; facts
// are compared with the catalog after the pull, as a later start does, or who gave up what is lost.
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../src/registry/ports/upstream.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { createMemoryFacts } from '../../../kit/memory/facts.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const repository = repositoryOf('team/app')
const image = makeImage({ seed: 'deleted', layers: [10] })
const { digest } = image.manifest
const index = makeIndex([image])
const policies = everywhere({ push: 'store' })
const ongoing = new AbortController().signal

interface Before {
  /** By an index that is here. */
  readonly listed?: 'pushed' | 'pulled' | undefined
  /** When the catalog is built; it can be read afterwards. */
  readonly isUnreadable: boolean
}

async function isHereAfterPull(t: Test, { listed, isUnreadable }: Before): Promise<boolean> {
  const first = createEngine({ policies })
  await pushImage(first.registry, repository, image, 'v1')
  if (listed === 'pushed')
    await pushDocument(first.registry, repository, { document: index.manifest, reference: 'v2' })
  await first.registry.deleteManifest(repository, digested(digest).reference)
  const { disk, clock } = first
  const before = new Map(disk.facts)
  if (isUnreadable)
    for (const [name, text] of before)
      if (text.includes('"kind":"deleted"')) disk.facts.set(name, '{')
  const catalog = createMemoryCatalog()
  const facts = createMemoryFacts(disk, { catalog: catalog.identity })
  await rebuilt({ ...first, facts }, policies, catalog)
  const answerOf = ({ manifest }: Pick<typeof image, 'manifest'>) => ({
    ...manifest,
    declaredDigest: manifest.digest,
    warnings: [],
  })
  const upstream: Partial<Upstream> = {
    getManifest: async (_name, asked) =>
      answerOf(asked.kind === 'digest' && asked.digest === digest ? image : index),
  }
  const { registry } = createEngine({ policies, upstream, after: { disk, clock, catalog } })
  if (!isUnreadable) t.equal(await isMemberOf(catalog, repository, digest), false, 'it is deleted')
  if (listed === 'pulled') await registry.pullManifest(repository, digested(index.manifest.digest))
  await registry.pullManifest(repository, digested(digest))
  t.equal(await isMemberOf(catalog, repository, digest), true, 'it was pulled')
  if (isUnreadable) for (const [name, text] of before) disk.facts.set(name, text)
  const later = createEngine({ policies, after: { disk, clock, catalog } })
  await later.registry.compareFacts(ongoing)
  t.match(await later.registry.compareFacts(ongoing), { mended: 0, lost: 0 })
  const isHere = await isMemberOf(catalog, repository, digest)
  t.equal((await factsOf(later.facts, 'deleted')).length, isHere ? 0 : 1)
  return isHere
}

for (const listed of [undefined, 'pushed', 'pulled'] as const)
  t.test(`R701: a delete that the catalog knew takes no later pull away (${listed})`, async t => {
    t.equal(await isHereAfterPull(t, { listed, isUnreadable: false }), true)
  })

t.test('R701: nor one that it learns of later, where a pull alone brought it', async t => {
  t.equal(await isHereAfterPull(t, { isUnreadable: true }), true)
  t.equal(await isHereAfterPull(t, { listed: 'pulled', isUnreadable: true }), true)
  t.equal(
    await isHereAfterPull(t, { listed: 'pushed', isUnreadable: true }),
    false,
    'it came with an index from before',
  )
})
