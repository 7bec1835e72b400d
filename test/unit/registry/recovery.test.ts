// Goal: rows and files agree after recovery, and nothing is invented. Method: the in-memory twins of both ports; files are taken away,
// shortened and added behind the catalog's back.
import t from 'tap'
import { createMemoryCatalog } from '../../../src/catalog/memory.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import type { ContentClass } from '../../../src/registry/ports/blob-store.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { recover } from '../../../src/registry/rebuild/recovery.ts'
import { createMemoryDisk, createMemoryStore } from '../../../src/store/memory.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const repository = parseRepositoryKey('docker.io/library/alpine')

/** An edge with `count` recorded blobs. */
async function makeEdge(count: number, contentClass: ContentClass = 'cached') {
  const disk = createMemoryDisk()
  const events: EngineEvent[] = []
  const parts = {
    store: createMemoryStore(disk),
    catalog: createMemoryCatalog(),
    clock: createManualClock(),
    note: (event: EngineEvent) => events.push(event),
  }
  const digests = []
  for (let n = 0; n < count; n++) {
    const bytes = Buffer.from(`blob ${n}`)
    const digest = digestOf(bytes)
    await parts.store.put(digest, bytes, contentClass)
    const sizeBytes = bytes.length
    await parts.catalog.recordBlob({ repository, digest, sizeBytes, contentClass, atMs: 1 })
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
    wrongSize: 0,
    unnamed: 0,
    suspicious: false,
  })
  for (const digest of gone) {
    t.equal(await parts.catalog.findContent(digest), undefined)
    t.equal(await parts.catalog.isMember(repository, digest), true)
  }
  t.equal((await parts.catalog.totals()).blobs, 1497)
  t.match(await recover(parts, { full: true }), { rows: 1497, missing: 0 })
})

t.test('R179: a file without a row is counted and left, and belongs to nobody', async t => {
  const { parts, disk } = await makeEdge(3)
  const bytes = Buffer.from('nobody names me')
  const digest = digestOf(bytes)
  disk.blobs.set(digest, bytes)
  t.match(await recover(parts, { full: true }), { unnamed: 1, unnamedBytes: bytes.length })
  t.ok(await parts.store.find(digest))
  t.equal(await parts.catalog.isMember(repository, digest), false)
  t.equal(await parts.catalog.findContent(digest), undefined)
})

t.test('a cached file of another length is dropped with its row', async t => {
  const { parts, disk, digests, events } = await makeEdge(3)
  const [digest] = digests
  if (digest === undefined) throw new Error('no blob')
  disk.blobs.set(digest, Buffer.from('blo'))
  t.match(await recover(parts, { full: false }), { rows: 3, missing: 0, wrongSize: 1 })
  t.equal(await parts.store.find(digest), undefined)
  t.equal(await parts.catalog.findContent(digest), undefined)
  t.match(events, [{ kind: 'storage failed', failure: 'corrupt', reason: digest, hint: /again/ }])
})

t.test('a kept file of another length is told and left to the operator', async t => {
  const { parts, disk, digests, events } = await makeEdge(1, 'kept')
  const [digest] = digests
  if (digest === undefined) throw new Error('no blob')
  disk.blobs.set(digest, Buffer.from('blo'))
  t.match(await recover(parts, { full: true }), { wrongSize: 1 })
  t.ok(await parts.store.find(digest))
  t.ok(await parts.catalog.findContent(digest))
  t.equal(events.length, 1)
})

t.test('a kept file that is gone is told, and served again once it is back', async t => {
  const { parts, disk, digests, events } = await makeEdge(3, 'kept')
  const [digest] = digests
  if (digest === undefined) throw new Error('no blob')
  const bytes = disk.blobs.get(digest) ?? new Uint8Array(0)
  disk.blobs.delete(digest)
  t.match(await recover(parts, { full: false }), { rows: 3, missing: 1, lost: 1, wrongSize: 0 })
  t.match(await recover(parts, { full: true }), { rows: 3, missing: 1, lost: 1 })
  const told = { kind: 'storage failed', failure: 'corrupt', reason: digest, hint: /backup/ }
  t.match(events, [told, told])
  t.match(await parts.catalog.findContent(digest), { contentClass: 'kept' })
  disk.blobs.set(digest, bytes)
  t.match(await recover(parts, { full: true }), { rows: 3, missing: 0, lost: 0 })
})

t.test('what a push puts in the place of a wrong file is not removed for it', async t => {
  const { parts, disk, digests } = await makeEdge(1)
  const [digest] = digests
  if (digest === undefined) throw new Error('no blob')
  const bytes = disk.blobs.get(digest) ?? new Uint8Array(0)
  disk.blobs.set(digest, bytes.subarray(1))
  const find = parts.store.find.bind(parts.store)
  parts.store.find = async wanted => {
    const found = await find(wanted)
    await parts.store.put(digest, bytes, 'kept')
    const blob = { digest, sizeBytes: bytes.length, contentClass: 'kept', atMs: 2 } as const
    await parts.catalog.recordBlob({ repository, ...blob })
    return found
  }
  t.match(await recover(parts, { full: true }), { wrongSize: 1 })
  t.ok(disk.blobs.get(digest), 'the file is there')
  t.match(await parts.catalog.findContent(digest), { contentClass: 'kept' })
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
    t.match(await recover(parts, { full }), { rows: 0, missing: 0, unnamed: 0, suspicious: false })
})
