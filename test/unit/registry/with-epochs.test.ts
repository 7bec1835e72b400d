// Goal: the stamp of a repository moves when an answer may have changed, at no other time, and not before the change can be read.
// Method: the catalog in memory, and one whose writes wait until the test lets them go on.
import t from 'tap'
import { createMemoryCatalog } from '../../../src/catalog/memory.ts'
import { repositoryKey } from '../../../src/oci/reference.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import { withEpochs } from '../../../src/registry/with-epochs.ts'
import {
  alpine,
  digestNamed,
  latest,
  manifestNamed,
  secret,
} from '../../contract/catalog-samples.ts'

const [a, b] = [digestNamed('a'), digestNamed('b')]

function observed(inner: Catalog) {
  const epochs = createEpochs()
  const stampOf = (repository: typeof alpine) =>
    epochs.stampOf(epochs.slotOf(repositoryKey(repository)))
  return { epochs, stampOf, catalog: withEpochs(inner, epochs) }
}

t.test(
  'withEpochs: confirming a tag where it points leaves the stamp alone, moving it does not',
  async t => {
    const { catalog, stampOf } = observed(createMemoryCatalog())
    await catalog.recordTag(alpine, latest, a, { checkedAtMs: 1 })
    const [before, other] = [stampOf(alpine), stampOf(secret)]
    await catalog.recordTag(alpine, latest, a, { checkedAtMs: 2 })
    t.equal(stampOf(alpine), before, 'confirmed')
    await catalog.recordTag(alpine, latest, b, { checkedAtMs: 3 })
    t.not(stampOf(alpine), before, 'moved')
    t.equal(stampOf(secret), other, 'another repository')
  },
)

t.test('withEpochs: a tag that is confirmed while it is on the move counts as moved', async t => {
  const inner = createMemoryCatalog()
  await inner.recordTag(alpine, latest, a, { checkedAtMs: 1 })
  const waiting: (() => void)[] = []
  const slow: Catalog = Object.assign(Object.create(null), {
    findTag: (...args: Parameters<Catalog['findTag']>) => inner.findTag(...args),
    recordTag: async (...args: Parameters<Catalog['recordTag']>) => {
      await new Promise<void>(resolve => waiting.push(resolve))
      await inner.recordTag(...args)
    },
  })
  const { catalog, stampOf } = observed(slow)
  const moved = catalog.recordTag(alpine, latest, b, { checkedAtMs: 2 })
  // Where the tag points as far as can be read, but not any more when this is written.
  const confirmed = catalog.recordTag(alpine, latest, a, { checkedAtMs: 3 })
  waiting[0]?.()
  await moved
  const between = stampOf(alpine)
  waiting[1]?.()
  await confirmed
  t.not(stampOf(alpine), between)
})

t.test(
  'withEpochs: content that goes, or changes its media type, concerns every repository',
  async t => {
    const { catalog, stampOf } = observed(createMemoryCatalog())
    const manifest = manifestNamed('m')
    const record = { repository: alpine, manifest, contentClass: 'cached', atMs: 1 } as const
    await catalog.recordManifest(record)
    const first = stampOf(secret)
    await catalog.recordManifest(record)
    t.equal(stampOf(secret), first, 'the same again')
    await catalog.recordManifest({ ...record, manifest: { ...manifest, mediaType: 'other/type' } })
    const second = stampOf(secret)
    t.not(second, first, 'another media type')
    await catalog.forgetContent(manifest.digest)
    t.not(stampOf(secret), second, 'forgotten')
  },
)

t.test('createEpochs: over the same memory, one sees the bumps of the other', t => {
  const here = createEpochs()
  const there = createEpochs(here.memory)
  const slot = there.slotOf(repositoryKey(alpine))
  const before = there.stampOf(slot)
  here.bump(repositoryKey(alpine))
  const after = there.stampOf(slot)
  t.not(after, before)
  here.bumpAll()
  t.not(there.stampOf(slot), after)
  t.end()
})
