// A program of its own, to be run under strace: one store, one piece of content or one fact, one
// ending. Prints how it went as JSON. Arguments: root directory, what to do, bytes, bytes per
// chunk.
import { FILE_SYSTEM_CLOCK, type StoreTask } from './store-traced.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryKey, Tag } from '../../../src/oci/reference.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import type { FillFile } from '../../../src/registry/ports/blob-store-fills.ts'
import type { UploadFile } from '../../../src/registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { Fact, FactStore } from '../../../src/registry/ports/facts.ts'
import { openFilesystemStore } from '../../../src/store/filesystem/store.ts'

const [, , directory = '', task = '', sizeText = '0', chunkText = '0'] = process.argv
const bytes = Buffer.alloc(Number(sizeText), 'bytes that repeat ')
const digest = digestOf(bytes)
const fact: Fact = {
  kind: 'tag',
  repository: 'localhost/a' as RepositoryKey,
  tag: 'latest' as Tag,
  digest,
  atMs: 1,
}

async function appendAll(growing: FillFile | UploadFile): Promise<void> {
  const chunkBytes = Number(chunkText)
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await growing.append(bytes.subarray(at, at + chunkBytes))
  }
}

/** As the engine does: what may be of use later is left. */
async function parkingFailures(growing: FillFile | UploadFile, step: () => Promise<void>) {
  try {
    await step()
  } catch (error) {
    await growing.park()
    throw error
  }
}

async function fill(store: BlobStore, end: 'park' | 'cached' | 'kept'): Promise<void> {
  const file = await store.openFill(digest, () => {})
  await parkingFailures(file, async () => {
    await appendAll(file)
    file.verify(bytes.length)
  })
  await (end === 'park' ? file.park() : file.commit(end))
}

/** The last chunk first, so that each but the first lies behind a gap when it is written. */
async function fillAhead(store: BlobStore, end: 'park' | 'cached'): Promise<void> {
  const file = await store.openFill(digest, () => {})
  const chunkBytes = Number(chunkText)
  await parkingFailures(file, async () => {
    await file.expect({ sizeBytes: bytes.length, validator: undefined })
    for (let at = bytes.length - chunkBytes; at > 0; at -= chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes)
      await file.writeAhead(at, [chunk.subarray(0, 10), chunk.subarray(10)])
    }
    if (end === 'park') return
    await file.append(bytes.subarray(0, chunkBytes))
    await file.flush()
    file.verify(bytes.length)
  })
  await (end === 'park' ? file.park() : file.commit(end))
}

async function upload(store: BlobStore, end: 'park' | 'cached' | 'kept'): Promise<void> {
  const file = await store.createUpload('an-upload', 'its note', 'sha256')
  await parkingFailures(file, async () => {
    await appendAll(file)
    await file.verify(digest)
  })
  await (end === 'park' ? file.park() : file.commit(end))
}

/** Twice in vain, then with new bytes in the same place. */
async function keepAgain(store: BlobStore): Promise<void> {
  await store.put(digest, bytes, 'cached')
  for (const attempt of [1, 2]) {
    const kept = await store.keep(digest).catch(() => undefined)
    if (kept !== undefined) throw new Error(`attempt ${attempt} was to fail`)
  }
  await store.put(digest, bytes, 'cached')
  await store.keep(digest)
}

const TASKS: Record<StoreTask, (blobs: BlobStore, facts: FactStore) => Promise<unknown>> = {
  'put cached': blobs => blobs.put(digest, bytes, 'cached'),
  'put kept': blobs => blobs.put(digest, bytes, 'kept'),
  'commit cached': blobs => fill(blobs, 'cached'),
  'commit kept': blobs => fill(blobs, 'kept'),
  'commit ahead': blobs => fillAhead(blobs, 'cached'),
  'park ahead': blobs => fillAhead(blobs, 'park'),
  park: blobs => fill(blobs, 'park'),
  'upload cached': blobs => upload(blobs, 'cached'),
  'upload kept': blobs => upload(blobs, 'kept'),
  'park upload': blobs => upload(blobs, 'park'),
  keep: blobs => blobs.put(digest, bytes, 'cached').then(() => blobs.keep(digest)),
  'keep again': keepAgain,
  'write fact': (_blobs, facts) => facts.write([fact]),
  'remove fact': (_blobs, facts) => facts.write([fact]).then(() => facts.remove([fact])),
}

try {
  const clock = FILE_SYSTEM_CLOCK
  const stores = await openFilesystemStore({
    directory,
    note: () => {},
    bootId: 'boot',
    clock,
    known: async () => undefined,
    catalog: 'one',
  })
  await TASKS[task as StoreTask](stores.blobs, stores.facts)
  process.stdout.write(JSON.stringify({ kind: 'done' }))
} catch (error) {
  if (!(error instanceof StoreError)) throw error
  const { failure, message, hint } = error
  process.stdout.write(JSON.stringify({ kind: 'failed', failure, message, hint }))
}
