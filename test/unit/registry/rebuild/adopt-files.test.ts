// Goal: files that no row tells of count and can leave, and nobody may read them by that. Method:
// the real walk over in-memory twins of store and catalog, with files put there behind their back.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import { UNUSED_MS } from '../../../../src/registry/collect/collect.ts'
import { adoptFiles } from '../../../../src/registry/rebuild/adopt-files.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const repository = repositoryOf('library/app')
const nothing = { files: 0, bytes: 0, passedOver: 0 }

function createWorld() {
  const { store, catalog, disk } = createEngine()
  const parts = { store, catalog, content: new StoredContent({ store, catalog }) }
  const leave = (text: string): Digest => {
    const bytes = Buffer.from(text)
    const digest = digestOf(bytes)
    disk.blobs.set(digest, bytes)
    return digest
  }
  const adopt = (signal = new AbortController().signal) =>
    adoptFiles(parts, { atMs: 7, isAllFound: true, signal })
  return { ...parts, disk, leave, adopt }
}

t.test('R334: a file without a row counts from then on, and may leave', async t => {
  const { catalog, leave, adopt } = createWorld()
  const digest = leave('nobody names me')
  const bytes = 'nobody names me'.length
  t.same(await adopt(), { files: 1, bytes, passedOver: 0 })
  t.match(await catalog.findContent(digest), { sizeBytes: bytes, contentClass: 'cached' })
  t.equal(await catalog.findMember(repository, digest), undefined)
  t.same(await catalog.listRepositoriesOf(digest, 10), [])
  t.match(await catalog.listLoose({ limit: 10 }), [{ digest }])
  t.match(await catalog.totals(), { blobs: 1, contentBlocks: 1 })
  t.same(await adopt(), nothing, 'once')
})

t.test('R334: what a row tells of stays as it is', async t => {
  const { catalog, leave, adopt } = createWorld()
  const digest = leave('pushed')
  const blob = { repository, digest, sizeBytes: 6, atMs: 1 }
  await catalog.recordBlob({ ...blob, hold: 'awaited' })
  t.same(await adopt(), nothing)
  t.match(await catalog.findContent(digest), { contentClass: 'kept', createdAtMs: 1 })
})

t.test('R334: what is on its way out is not taken back', async t => {
  const { catalog, leave, adopt } = createWorld()
  const digest = leave('purged')
  await adopt()
  await catalog.letGo({ digests: [digest], reason: 'purged', atMs: 8 })
  t.same(await adopt(), nothing)
  t.equal(await catalog.findContent(digest), undefined)
  t.ok(await catalog.findLeaving(digest))
})

t.test('R334: a file that the listing tells of twice holds nobody up', async t => {
  const { catalog, store, content, leave } = createWorld()
  const digest = leave('came again while it was listed')
  const twice = {
    ...store,
    list: async function* () {
      yield* store.list()
      yield* store.list()
    },
  }
  const { signal } = new AbortController()
  const parts = { catalog, content, store: twice }
  t.match(await adoptFiles(parts, { atMs: 7, isAllFound: true, signal }), { files: 1 })
  t.ok(
    await content.recordHere({ repository, digest, atMs: 8, hold: 'nothing' }),
    'its turn is free',
  )
})

t.test('R334: it waits for whoever is about to write the row', async t => {
  const { catalog, store, content, leave, adopt } = createWorld()
  const recorded = Promise.withResolvers<void>()
  const digest = digestOf(Buffer.from('coming'))
  const file = {
    commit: async () => {
      leave('coming')
      await recorded.promise
      return { digest, sizeBytes: 6 }
    },
  }
  const publishing = content.publish(file, { repository, digest, atMs: 1, hold: 'awaited' })
  await settle()
  const adopting = adopt()
  await settle()
  recorded.resolve()
  await publishing
  t.same(await adopting, nothing)
  t.match(await catalog.findContent(digest), { contentClass: 'kept', createdAtMs: 1 })
  t.ok(await store.find(digest))
})

t.test(
  'R431: while facts tell of more than the catalog, what was adopted does not leave',
  async t => {
    const engine = createEngine({ maxStorageBytes: 4096 })
    const { registry, catalog, disk, clock } = engine
    const run = quietRun()
    const { signal } = run
    const bytes = Buffer.from('perhaps of a manifest that is lost')
    const digest = digestOf(bytes)
    disk.blobs.set(digest, bytes)
    await registry.adoptFiles({ isAllFound: false, signal })
    await clock.advance(2 * UNUSED_MS)
    const take = async () => {
      const collected = await registry.collect(run)
      const evicted = await registry.evict(run)
      return [...collected.gone, ...evicted.gone].length
    }
    t.equal(await take(), 0)
    t.match(await catalog.findContent(digest), { contentClass: 'cached' })
    await registry.adoptFiles({ isAllFound: true, signal })
    t.equal(await take(), 1)
    t.equal(disk.blobs.has(digest), false)
  },
)

t.test('R792: what the disk cannot look at is told, unless a row tells of it', async t => {
  const { catalog, disk, leave, adopt } = createWorld()
  const [known, left] = [leave('known'), leave('left')]
  await catalog.recordBlob({ repository, digest: known, sizeBytes: 5, atMs: 1, hold: 'nothing' })
  disk.isUnreadable = true
  t.same(await adopt(), { ...nothing, passedOver: 1 })
  t.equal(await catalog.findContent(left), undefined)
  disk.isUnreadable = false
  t.same(await adopt(), { ...nothing, files: 1, bytes: 4 })
})

t.test('R769: nor does what was passed over leave once somebody brings it', async t => {
  const engine = createEngine({ maxStorageBytes: 4096 })
  const { registry, catalog, disk, clock } = engine
  const run = quietRun()
  const { signal } = run
  await catalog.markRebuilt(false)
  const bytes = Buffer.from('perhaps of a manifest that is lost')
  const digest = digestOf(bytes)
  disk.blobs.set(digest, bytes)
  disk.isUnreadable = true
  t.match(await registry.adoptFiles({ isAllFound: false, signal }), { passedOver: 1 })
  disk.isUnreadable = false
  const at = { atMs: clock.nowMs(), hold: 'nothing' } as const
  await catalog.recordBlob({ repository, digest, sizeBytes: bytes.length, ...at })
  await registry.adoptFiles({ isAllFound: false, signal })
  await clock.advance(2 * UNUSED_MS)
  const take = async () => [...(await registry.evict(run)).gone].length
  t.equal(await take(), 0)
  await registry.adoptFiles({ isAllFound: true, signal })
  t.equal(await take(), 1)
})

t.test('R915: what comes later leaves, though a file was passed over for good', async t => {
  const { catalog, content, store, disk, leave } = createWorld()
  await catalog.markRebuilt(false)
  const bad = leave('perhaps of a manifest that is lost')
  disk.isUnreadable = true
  const { signal } = new AbortController()
  const adopt = (isAllFound: boolean, of = store) =>
    adoptFiles({ catalog, content, store: of }, { atMs: 7, isAllFound, signal })
  const later = digestOf(Buffer.from('pulled later'))
  const pull = (digest: Digest) =>
    catalog.recordBlob({ repository, digest, sizeBytes: 5, atMs: 8, hold: 'nothing' })
  const unnamed = async function* (passedOver?: (digest: undefined) => void) {
    passedOver?.(undefined)
    yield* store.list()
  }
  t.match(await adopt(false, { ...store, list: unnamed }), { passedOver: 1 })
  await pull(later)
  t.ok(await catalog.isUnclear(later), 'nobody knows what lies in a directory')
  t.match(await adopt(false), { passedOver: 1 })
  await catalog.tidy({ beforeMs: 99, rows: 99 })
  const after = digestOf(Buffer.from('pulled after that'))
  for (const each of [bad, after]) await pull(each)
  t.notOk(await catalog.isUnclear(after))
  t.ok(await catalog.isUnclear(bad), 'that is known by its name')
  disk.isUnreadable = false
  await adopt(true)
  t.notOk(await catalog.isUnclear(bad))
})

t.test('it ends when it is told to', async t => {
  const { leave, adopt } = createWorld()
  leave('something')
  await t.rejects(adopt(AbortSignal.abort(new Error('stopping'))), { message: 'stopping' })
})
