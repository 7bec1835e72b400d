// Goal: a file and its row come and go together, whoever else is at the same content. Method: the
// in-memory twins, one of whose steps is held back while somebody else comes.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { createMemoryDisk, createMemoryStore } from '../../../kit/memory/store.ts'
import { pushDocument } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'
import { settle } from '../../../kit/settle.ts'

const repository = localOf('team/app')
const bytes = Buffer.from('a blob')
const digest = digestOf(bytes)
const blob = { repository, digest, atMs: 1, hold: 'nothing' } as const
const keptBlob = { ...blob, hold: 'awaited' } as const

/** Everything of one data directory; the look of that number at its disk waits for `look`. */
function makeContent(catalog: Catalog = createMemoryCatalog(), heldLook?: number) {
  const disk = createMemoryDisk()
  const store = createMemoryStore(disk, { known: each => catalog.findContent(each) })
  const { promise, resolve: look } = Promise.withResolvers<void>()
  const lookAt = store.look.bind(store)
  let looks = 0
  Object.assign(store, {
    look: async (...args: Parameters<typeof lookAt>) => {
      const found = await lookAt(...args)
      if (++looks === heldLook) await promise
      return found
    },
  })
  const verified = async () => {
    const file = await store.openFill(digest)
    await file.append(bytes)
    file.verify(bytes.length)
    return file
  }
  return { disk, store, catalog, verified, look, content: new StoredContent({ store, catalog }) }
}

t.test('what comes back while its file is found missing keeps its row', async t => {
  const { disk, catalog, content, verified, look } = makeContent(createMemoryCatalog(), 2)
  await content.publish(await verified(), blob)
  disk.blobs.delete(digest)
  const forgotten = content.forgetMissing(digest)
  const published = content.publish(await verified(), blob)
  await settle()
  look()
  await Promise.all([forgotten, published])
  t.ok(disk.blobs.has(digest))
  t.match(await catalog.findContent(digest), { sizeBytes: bytes.length })
})

t.test('what was kept stays kept when an upstream brings it again', async t => {
  const { catalog, content, verified } = makeContent()
  await content.publish(await verified(), keptBlob)
  await content.publish(await verified(), blob)
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
})

t.test('what comes anew while a push waits for it is written as durably', async t => {
  const { store, catalog, content, verified } = makeContent()
  await content.publish(await verified(), blob)
  const written: string[] = []
  const put = store.put.bind(store)
  store.put = (...args) => {
    written.push(args[2])
    return put(...args)
  }
  await content.durable.during(async durable => {
    t.match(await content.keepHere(blob, durable), { kind: 'kept', was: 'cached' })
    await content.putAhead(digest, bytes)
  })
  await content.putAhead(digest, bytes)
  t.same(written, ['kept', 'cached'])
  t.match(await catalog.findContent(digest), { contentClass: 'cached' }, 'which the push says')
})

t.test('no file is left whose row could not be written, and one that has a row stays', async t => {
  const catalog = createMemoryCatalog()
  const { recordBlob } = catalog
  const full = new StoreError('full', 'the catalog has no room')
  Object.assign(catalog, { recordBlob: () => Promise.reject(full) })
  const { disk, content, verified } = makeContent(catalog)
  await t.rejects(content.publish(await verified(), keptBlob), full)
  await t.rejects(content.publish(await verified(), blob), full)
  t.notOk(disk.blobs.has(digest))
  await catalog.recordMember(repository, digest, 1)
  Object.assign(catalog, { recordBlob })
  await content.publish(await verified(), blob)
  Object.assign(catalog, { recordBlob: () => Promise.reject(full) })
  await t.rejects(content.publish(await verified(), keptBlob), full)
  t.ok(disk.blobs.has(digest))
})

t.test('a manifest that its upstream refuses leaves no file', async t => {
  const { manifest } = makeImage({ seed: 'refused', layers: [] })
  const { registry, disk } = createEngine({
    policies: everywhere({ push: 'forward', sparse: true }),
    upstream: {
      putManifest: () => Promise.reject(new UpstreamError('unavailable', 'not now')),
    },
  })
  const image = { document: manifest, reference: 'v1' }
  await t.rejects(pushDocument(registry, repositoryOf('team/app'), image), { code: 'UNAVAILABLE' })
  t.notOk(disk.blobs.has(manifest.digest))
})

t.test('of a file that is not here nothing is written down', async t => {
  const { catalog, content } = makeContent()
  t.equal(await content.recordHere(blob), undefined)
  t.match(await content.keepHere(keptBlob), { kind: 'missing', was: undefined })
  t.equal(await content.forgetMissing(digest), 'no')
  t.equal(await catalog.findContent(digest), undefined)
  t.equal(await catalog.findMember(repository, digest), undefined)
})

t.test('a write that fails takes away no file that was here before, row or not', async t => {
  const { disk, store, catalog, content, verified } = makeContent()
  await content.publish(await verified(), keptBlob)
  const unnamed = new StoreError('io', 'the directory cannot be synced', { isNamed: true })
  const failing = async () =>
    around(await verified(), {
      commit: commit => async contentClass => {
        await commit(contentClass)
        throw unnamed
      },
    })
  // As while a lost catalog is built anew.
  let left = 0
  const anew = new StoredContent({
    store,
    catalog: createMemoryCatalog(),
    left: () => void (left += 1),
  })
  await t.rejects(anew.publish(await failing(), blob), unnamed)
  t.ok(disk.blobs.has(digest), 'it may have been acknowledged')
  t.equal(left, 1, 'it is to be adopted')
  const full = new StoreError('full', 'the catalog has no room')
  const known = new StoredContent({
    store,
    catalog: around(catalog, { recordBlob: () => () => Promise.reject(full) }),
    left: () => void (left += 1),
  })
  await t.rejects(known.publish(await verified(), keptBlob), full)
  t.equal(left, 1, 'R917: what has a row is not looked for')
  await store.remove(digest)
  await t.rejects(anew.publish(await failing(), blob), unnamed)
  t.notOk(disk.blobs.has(digest), 'what came by this write goes with it')
  t.ok(await catalog.findContent(digest))
})

t.test('what came is committed also where the disk does not say what is here', async t => {
  const { store, catalog, content, verified } = makeContent()
  const look = store.look.bind(store)
  Object.assign(store, { look: () => Promise.reject(new StoreError('io', 'lstat: ESTALE')) })
  await content.publish(await verified(), blob)
  t.ok(await catalog.findContent(digest), 'what can be written is')
  Object.assign(store, { look })
  t.not(await store.look(digest), 'none')
})

t.test('who gives up what came ahead of its row takes away no file of before', async t => {
  const { disk, store, content } = makeContent()
  const takeBack = await content.putAhead(digest, bytes)
  await takeBack()
  t.notOk(disk.blobs.has(digest), 'it came by this write')
  await store.put(digest, bytes, 'kept')
  const takeBackAgain = await content.putAhead(digest, bytes)
  await takeBackAgain()
  t.ok(disk.blobs.has(digest), 'an earlier process may have acknowledged it')
})
