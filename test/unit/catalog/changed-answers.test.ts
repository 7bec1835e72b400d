// Goal: the stamp of a repository moves when an answer may have changed, at no other time, and not
// before the change can be read. Method: the catalog in memory, also with writes that wait until
// the test lets them go on.
import t from 'tap'
import { writesTo } from '../../../src/catalog/writes.ts'
import { createMemoryCatalog, type MemoryCatalogOptions } from '../../kit/memory/catalog.ts'
import { parseRepositoryKey, repositoryKey } from '../../../src/oci/reference.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import {
  alpine,
  digestNamed,
  latest,
  manifestNamed,
  secret,
} from '../../contract/catalog-samples.ts'

const [a, b] = [digestNamed('a'), digestNamed('b')]
const pushed = parseRepositoryKey('localhost/pushed')

/** `write` as the catalog's own. */
function observed(write?: MemoryCatalogOptions['write']) {
  const epochs = createEpochs()
  const stampOf = (repository: typeof alpine) =>
    epochs.stampOf(epochs.slotOf(repositoryKey(repository)))
  const catalog = createMemoryCatalog({ epochs, ...(write === undefined ? {} : { write }) })
  return { epochs, stampOf, catalog }
}

t.test(
  'epochs: confirming a tag where it points leaves the stamp alone, moving it does not',
  async t => {
    const { catalog, stampOf } = observed()
    await catalog.recordTag(alpine, latest, a, { checkedAtMs: 1 })
    const [before, other] = [stampOf(alpine), stampOf(secret)]
    await catalog.recordTag(alpine, latest, a, { checkedAtMs: 2 })
    t.equal(stampOf(alpine), before, 'confirmed')
    await catalog.recordTag(alpine, latest, b, { checkedAtMs: 3 })
    t.not(stampOf(alpine), before, 'moved')
    t.equal(stampOf(secret), other, 'another repository')
  },
)

t.test('epochs: a tag that is confirmed while it is on the move counts as moved', async t => {
  const waiting: (() => void)[] = []
  const { catalog, stampOf } = observed(async (_operation, apply) => {
    await new Promise<void>(resolve => waiting.push(resolve))
    apply()
  })
  const pointed = catalog.recordTag(alpine, latest, a, { checkedAtMs: 1 })
  waiting.shift()?.()
  await pointed
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

t.test('epochs: a manifest that changes its media type concerns its repository', async t => {
  const { catalog, stampOf } = observed()
  const manifest = manifestNamed('m')
  const record = { repository: alpine, manifest, atMs: 1 } as const
  await catalog.recordManifest(record)
  const [first, elsewhere] = [stampOf(alpine), stampOf(secret)]
  await catalog.recordManifest(record)
  t.equal(stampOf(alpine), first, 'the same again')
  await catalog.recordManifest({ ...record, manifest: { ...manifest, mediaType: 'other/type' } })
  t.not(stampOf(alpine), first, 'another media type')
  t.equal(stampOf(secret), elsewhere)
})

t.test('epochs: content that goes concerns the repositories that hold it', async t => {
  const { catalog, stampOf } = observed()
  for (const repository of [alpine, pushed]) await catalog.recordMember(repository, a, 1)
  await catalog.recordMember(secret, b, 1)
  const repositories = [alpine, pushed, secret]
  const before = repositories.map(stampOf)
  const moved = () => repositories.map((each, at) => stampOf(each) !== before[at])
  await catalog.forgetContent(a)
  t.same(moved(), [true, true, false])
  await catalog.forgetContent(b)
  t.same(moved(), [true, true, true])
})

t.test(
  'epochs: a blob that comes again concerns those who hold it, the first time nobody',
  async t => {
    const { catalog, stampOf } = observed()
    const blob = { repository: alpine, digest: a, sizeBytes: 1, hold: 'nothing' } as const
    await catalog.recordMember(pushed, a, 1)
    const before = stampOf(pushed)
    await catalog.recordBlob({ ...blob, atMs: 1 })
    t.equal(stampOf(pushed), before, 'nobody can have opened it before')
    await catalog.recordBlob({ ...blob, atMs: 2 })
    t.not(stampOf(pushed), before, 'it may lie in another file now')
  },
)

t.test('epochs: a blob that is pending no more may have been taken out', async t => {
  const { catalog, stampOf } = observed()
  const blob = { repository: pushed, digest: a, sizeBytes: 1, hold: 'awaited' } as const
  await catalog.recordBlob({ ...blob, atMs: 1, acknowledgedAtMs: 1 })
  const before = stampOf(pushed)
  await catalog.expirePendingBlob({ repository: pushed, digest: a, acknowledgedAtMs: 1 })
  t.not(stampOf(pushed), before)
})

t.test('epochs: also those that hold it only since its going was begun', async t => {
  const begun = Promise.withResolvers<void>()
  const { catalog, stampOf } = observed(async ({ name }, apply) => {
    if (name === 'forgetContent') await begun.promise
    apply()
  })
  const forgotten = catalog.forgetContent(a)
  await catalog.recordMember(alpine, a, 1)
  const before = stampOf(alpine)
  begun.resolve()
  await forgotten
  t.not(stampOf(alpine), before)
})

t.test('epochs: what very many hold, or nobody knows who, concerns every one', async t => {
  const { catalog, stampOf } = observed()
  const hold = (count: number) =>
    catalog.recordMember(parseRepositoryKey(`localhost/n${count}`), a, 1)
  for (let count = 0; count < 100; count += 1) await hold(count)
  const first = stampOf(secret)
  await catalog.forgetContent(a)
  t.equal(stampOf(secret), first, '100')
  await hold(100)
  await catalog.forgetContent(a)
  t.not(stampOf(secret), first, '101')

  const failure = new Error('the catalog is closed')
  const blind = observed()
  const reads = { ...blind.catalog, listRepositoriesOf: () => Promise.reject(failure) }
  const second = blind.stampOf(secret)
  await writesTo({ reads, epochs: blind.epochs, write: async () => {} }).forgetContent(b)
  t.not(blind.stampOf(secret), second, 'unknown')

  // It may have been written all the same.
  const failing = observed(async ({ name }, apply) => {
    if (name === 'forgetContent') throw failure
    apply()
  })
  await failing.catalog.recordMember(alpine, b, 1)
  const [own, others] = [failing.stampOf(alpine), failing.stampOf(secret)]
  await t.rejects(failing.catalog.forgetContent(b), failure)
  t.not(failing.stampOf(alpine), own)
  t.equal(failing.stampOf(secret), others)
})

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
