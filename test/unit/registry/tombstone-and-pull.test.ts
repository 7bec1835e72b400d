// Goal: what was deleted here before the catalog was lost, and is pulled from its upstream since,
// is not taken away again by the delete of before. Method: engines over one disk in memory; facts
// are compared with the catalog after the pull, as a later start does, or who gave up what is lost.
import t, { type Test } from 'tap'
import { createEngine, repositoryOf } from '../../kit/engine.ts'
import { factsOf } from '../../kit/facts-of.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { isMemberOf } from '../../kit/membership.ts'
import { createMemoryCatalog } from '../../kit/memory/catalog.ts'
import { createMemoryFacts } from '../../kit/memory/facts.ts'
import { digested, pushDocument, pushImage } from '../../kit/push-image.ts'
import { everywhere, rebuilt } from '../../kit/rebuilt.ts'

const repository = repositoryOf('team/app')
const image = makeImage({ seed: 'deleted', layers: [10] })
const { digest } = image.manifest
const index = makeIndex([image])
const policies = everywhere({ push: 'store' })
const ongoing = new AbortController().signal

interface Before {
  /** An index that was pushed, and is here. */
  readonly isListed: boolean
  /** When the catalog is built; it can be read afterwards. */
  readonly isUnreadable: boolean
}

async function isHereAfterPull(t: Test, { isListed, isUnreadable }: Before): Promise<boolean> {
  const first = createEngine({ policies })
  await pushImage(first.registry, repository, image, 'v1')
  if (isListed)
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
  const answer = { ...image.manifest, declaredDigest: digest, warnings: [] }
  const upstream = { getManifest: async () => answer }
  const { registry } = createEngine({ policies, upstream, after: { disk, clock, catalog } })
  if (!isUnreadable) t.equal(await isMemberOf(catalog, repository, digest), false, 'it is deleted')
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

for (const isListed of [false, true])
  t.test(`R701: a delete that the catalog knew takes no later pull away (${isListed})`, async t => {
    t.equal(await isHereAfterPull(t, { isListed, isUnreadable: false }), true)
  })

t.test('R701: nor one that it learns of later, where a pull alone brought it', async t => {
  t.equal(await isHereAfterPull(t, { isListed: false, isUnreadable: true }), true)
  t.equal(
    await isHereAfterPull(t, { isListed: true, isUnreadable: true }),
    false,
    'it came with an index from before',
  )
})
