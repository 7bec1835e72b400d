// Goal: rows and files agree after recovery, and nothing is invented. Method: the in-memory twins
// of both ports; files are taken away, shortened and added behind the catalog's back.
import t from 'tap'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import { StoredContent } from '../../../../src/registry/content/content.ts'
import type { RecordBlob } from '../../../../src/registry/ports/catalog-content.ts'
import { classOf } from '../../../../src/registry/ports/holds.ts'
import type { EngineEvent } from '../../../../src/registry/ports/events.ts'
import { recover } from '../../../../src/registry/rebuild/recovery.ts'
import { createMemoryDisk, createMemoryStore } from '../../../kit/memory/store.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const repository = parseRepositoryKey('docker.io/library/alpine')

/** An edge with `count` recorded blobs. */
async function makeEdge(count: number, hold: RecordBlob['hold'] = 'nothing') {
  const disk = createMemoryDisk()
  const events: EngineEvent[] = []
  const catalog = createMemoryCatalog()
  const store = createMemoryStore(disk, { known: digest => catalog.findContent(digest) })
  const parts = {
    store,
    content: new StoredContent({ store, catalog }),
    catalog,
    clock: createManualClock(),
    note: (event: EngineEvent) => events.push(event),
  }
  const digests = []
  for (let n = 0; n < count; n++) {
    const bytes = Buffer.from(`blob ${n}`)
    const digest = digestOf(bytes)
    await parts.store.put(digest, bytes, classOf(hold))
    const sizeBytes = bytes.length
    await parts.catalog.recordBlob({ repository, digest, sizeBytes, hold, atMs: 1 })
    digests.push(digest)
  }
  return { parts, disk, events, digests }
}

t.test('R179: a row without a file is forgotten; its membership stays', async t => {
  const { parts, disk, digests } = await makeEdge(1500)
  const gone = digests.filter((_, n) => n % 500 === 7)
  for (const digest of gone) disk.blobs.delete(digest)
  const report = await recover(parts, { full: true })
  t.match(report, {
    full: true,
    rows: 1500,
    missing: 3,
    suspicious: false,
  })
  for (const digest of gone) {
    t.equal(await parts.catalog.findContent(digest), undefined)
    t.equal(await isMemberOf(parts.catalog, repository, digest), true)
  }
  t.equal((await parts.catalog.totals()).blobs, 1497)
  t.match(await recover(parts, { full: true }), { rows: 1497, missing: 0 })
})

for (const hold of ['nothing', 'awaited'] as const)
  t.test(`a ${classOf(hold)} file of another length is as one that is gone`, async t => {
    const { parts, disk, digests } = await makeEdge(3, hold)
    const [digest] = digests
    if (digest === undefined) throw new Error('no blob')
    disk.blobs.set(digest, Buffer.from('blo'))
    const lost = hold === 'awaited' ? 1 : 0
    t.match(await recover(parts, { full: false }), { rows: 3, missing: 1, lost })
    t.equal(await parts.store.find(digest), undefined)
    t.equal((await parts.catalog.findContent(digest))?.contentClass, lost ? 'kept' : undefined)
  })

t.test('a kept file that is gone is told, and served again once it is back', async t => {
  const { parts, disk, digests, events } = await makeEdge(3, 'awaited')
  const [digest] = digests
  if (digest === undefined) throw new Error('no blob')
  const bytes = disk.blobs.get(digest) ?? new Uint8Array(0)
  disk.blobs.delete(digest)
  t.match(await recover(parts, { full: false }), { rows: 3, missing: 1, lost: 1 })
  t.match(await recover(parts, { full: true }), { rows: 3, missing: 1, lost: 1 })
  const told = { kind: 'storage failed', failure: 'corrupt', reason: digest, hint: /backup/ }
  t.match(events, [told, told])
  t.match(await parts.catalog.findContent(digest), { contentClass: 'kept' })
  disk.blobs.set(digest, bytes)
  t.match(await recover(parts, { full: true }), { rows: 3, missing: 0, lost: 0 })
})

for (const hold of ['nothing', 'awaited'] as const)
  t.test(`R792: of a ${classOf(hold)} file that the disk cannot look at the row stays`, async t => {
    const { parts, disk, digests } = await makeEdge(3, hold)
    disk.isUnreadable = true
    const unread = { rows: 3, missing: 0, lost: 0, unreadable: 3, suspicious: false }
    for (const full of [false, true]) t.match(await recover(parts, { full }), unread)
    disk.isUnreadable = false
    t.match(await recover(parts, { full: true }), { rows: 3, missing: 0, unreadable: 0 })
    for (const digest of digests) t.ok(await parts.catalog.findContent(digest))
  })

t.test('the quick form looks at a sample and says when the full one should follow', async t => {
  const { parts, disk, digests } = await makeEdge(1000)
  t.match(await recover(parts, { full: false }), { full: false, rows: 256, suspicious: false })
  for (const digest of digests.slice(0, 600)) disk.blobs.delete(digest)
  t.match(await recover(parts, { full: false }), { rows: 256, suspicious: true })
  t.match(await recover(parts, { full: true }), { suspicious: false })
  t.match(await recover(parts, { full: false }), { missing: 0, suspicious: false })
})

t.test('recovery ends when it is told to', async t => {
  const { parts } = await makeEdge(3)
  const signal = AbortSignal.abort(new Error('stopping'))
  await t.rejects(recover(parts, { full: true, signal }), { message: 'stopping' })
})

t.test('an empty edge recovers to nothing', async t => {
  const { parts } = await makeEdge(0)
  for (const full of [false, true])
    t.match(await recover(parts, { full }), { rows: 0, missing: 0, suspicious: false })
})
