// Goal: no client deletes a tag, or what a tag may need, that a push made immutable and that is
// lost; and what is lost is not looked for at each delete. Method: engines over one disk in memory,
// whose catalog is lost with the bytes of a manifest.
import t from 'tap'
import { parseTag, repositoryKey } from '../../../../src/oci/reference.ts'
import type { FactStore } from '../../../../src/registry/ports/facts.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import {
  digested,
  pushDocument,
  pushImage,
  pushParts,
  tagged,
} from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const repository = repositoryOf('team/app')
const lost = makeImage({ seed: 'lost', layers: [10] })
const pulled = makeImage({ seed: 'pulled', layers: [10] })
const ongoing = new AbortController().signal
const immutable = /the tag v1 of docker.io\/team\/app is immutable/

/** Its tag v1 leads to what is lost, and at the upstream to something else. */
async function lose(push: 'store' | 'queue') {
  const policies = everywhere({ push, immutable: ['v*'] })
  const first = createEngine({ policies })
  await pushImage(first.registry, repository, lost, 'v1')
  const { disk, clock } = first
  const bytes = disk.blobs.get(lost.manifest.digest)
  disk.blobs.delete(lost.manifest.digest)
  const catalog = createMemoryCatalog()
  await rebuilt(first, policies, catalog)
  const { digest: declaredDigest } = pulled.manifest
  const answer = { ...pulled.manifest, declaredDigest, warnings: [] }
  const upstream = { getManifest: async () => answer }
  let looks = 0
  const facts = (under: FactStore) =>
    around(under, {
      list: list => () => {
        looks += 1
        return list()
      },
    })
  const after = { disk, clock, catalog }
  const { registry } = createEngine({ policies, upstream, facts, after })
  return {
    registry,
    clock,
    /** How often facts were read. */
    looks: () => looks,
    /** Where its tag leads once its bytes are back. */
    found: async () => {
      disk.blobs.set(lost.manifest.digest, bytes as NonNullable<typeof bytes>)
      const next = createEngine({ policies, after: { disk, clock, catalog } })
      await next.registry.compareFacts(ongoing)
      return catalog.findTag(repository, parseTag('v1'))
    },
  }
}

t.test('R702: what is pulled over a lost tag is not deleted with it', async t => {
  const { registry, found } = await lose('queue')
  t.match(await registry.pullManifest(repository, tagged('v1')), {
    digest: pulled.manifest.digest,
  })
  for (const { reference } of [tagged('v1'), digested(pulled.manifest.digest)])
    await t.rejects(registry.deleteManifest(repository, reference), immutable)
  t.match(await found(), { digest: lost.manifest.digest, local: true })
})

t.test('R702: what is lost is looked for once in a while, for all deletes', async t => {
  const { registry, clock, looks } = await lose('store')
  const others = ['a', 'b', 'c'].map(seed => makeImage({ seed, layers: [10] }))
  for (const [at, image] of others.entries()) {
    await pushParts(registry, repository, image)
    await pushDocument(registry, repository, { document: image.manifest, reference: `x${at}` })
  }
  const before = looks()
  const deleteAll = () =>
    Promise.all(
      others.map(({ manifest: { digest } }) =>
        t.rejects(registry.deleteManifest(repository, digested(digest).reference), immutable),
      ),
    )
  await deleteAll()
  await deleteAll()
  t.equal(looks() - before, 1)
  await clock.advance(10 * 60_000)
  await deleteAll()
  t.equal(looks() - before, 2)
  await pushImage(registry, repository, lost, 'v1')
  for (const { manifest } of others)
    await registry.deleteManifest(repository, digested(manifest.digest).reference)
  t.equal(looks() - before, 2, `nothing of ${repositoryKey(repository)} is lost any more`)
})
