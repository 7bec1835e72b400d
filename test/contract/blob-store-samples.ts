// What the BlobStore contract's tests are made of: a blob, what a test may do beside the port, and
// how to look at an answer.
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { Digest, DigestAlgorithm } from '../../src/oci/digest.ts'
import type { BlobStore } from '../../src/registry/ports/blob-store.ts'
import type { KnownContent, ReadHandle } from '../../src/registry/ports/blob-store-content.ts'
import type { FillFile } from '../../src/registry/ports/blob-store-fills.ts'
import type { UploadFile } from '../../src/registry/ports/blob-store-uploads.ts'
import { StoreError, type StoreFailure } from '../../src/registry/ports/store-error.ts'
import { partsLeft } from '../kit/disk/parts-left.ts'

export interface StoreUnderTest {
  readonly store: BlobStore
  /**
   * A store over the same content, as the next process would open it while nothing of the first had
   * been closed.
   */
  readonly reopen: () => Promise<BlobStore>
  /** The same after a power cut: what nothing had synced may be gone. */
  readonly reboot: () => Promise<BlobStore>
  /** Replaces what is stored under `digest`, behind the store's back. */
  readonly damage: (digest: Digest, bytes: Uint8Array) => Promise<void>
  /** From now on the store is told that this is known of `digest`. */
  readonly know: (digest: Digest, known: KnownContent) => void
  /** What a part of a few bytes takes where this store keeps it. */
  readonly shortPartBytes: (lengthBytes: number) => number
}

export type MakeStore = (t: Test) => Promise<StoreUnderTest>

export const BYTES = Buffer.from('the bytes of a blob, long enough to be cut in pieces')
export const DIGEST = digestBy('sha256', BYTES)
export const OTHER = Buffer.from('other bytes')
export const OTHER_DIGEST = digestBy('sha256', OTHER)
/** As the registry makes them: 128 random bits in base64url. */
export const UPLOAD_ID = 'Zk3-8_q0ZV2dC1mXy7RtQA'
export const NOTE = '{"repository":"localhost/a","text":"\u00e9 \n\u0000"}'
export const EXPECTATION = { sizeBytes: BYTES.length, validator: '"v1"' }

/** The oracle is node's hash, not the product's own way of writing digests. */
export function digestBy(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}

export function flipped(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes)
  copy[3] = (copy[3] ?? 0) ^ 1
  return copy
}

export async function openFill(t: Test, store: BlobStore, grown?: () => void): Promise<FillFile> {
  const fill = await store.openFill(DIGEST, grown)
  t.teardown(() => fill.discard())
  return fill
}

export async function createUpload(
  t: Test,
  store: BlobStore,
  algorithm: DigestAlgorithm = 'sha256',
): Promise<UploadFile> {
  const upload = await store.createUpload(UPLOAD_ID, NOTE, algorithm)
  t.teardown(() => upload.discard())
  return upload
}

/** One that is there. */
export async function reopenUpload(t: Test, store: BlobStore): Promise<UploadFile> {
  const upload = await store.openUpload(UPLOAD_ID)
  if (upload === undefined) throw new Error('there is no upload')
  t.teardown(() => upload.discard())
  return upload
}

export async function openRead(t: Test, growing: FillFile | UploadFile): Promise<ReadHandle> {
  const reader = await growing.openRead()
  t.teardown(() => reader.close())
  return reader
}

export async function textAt(
  handle: ReadHandle,
  position: number,
  lengthBytes: number,
): Promise<string> {
  const buffer = Buffer.alloc(lengthBytes)
  return buffer.toString('utf8', 0, await handle.read(buffer, position))
}

export function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

export async function listed(store: BlobStore): Promise<Digest[]> {
  const digests: Digest[] = []
  for await (const blob of store.list()) digests.push(blob.digest)
  return digests.sort()
}

export async function rejects(t: Test, promise: Promise<unknown>, failure: string): Promise<void> {
  await t.rejects(promise, new StoreError(failure as StoreFailure, ''))
  await promise.catch(error => t.equal(error.failure, failure))
}

export function corrupt(t: Test, fill: FillFile, sizeBytes: number): void {
  try {
    fill.verify(sizeBytes)
    t.fail('verify accepts it')
  } catch (error) {
    t.ok(error instanceof StoreError && error.failure === 'corrupt')
  }
}

/** Ends a fill that has all bytes of the samples' blob: it is there then, and whole. */
export async function becomesBlob(t: Test, store: BlobStore, fill: FillFile): Promise<void> {
  fill.verify(BYTES.length)
  await fill.commit('cached')
  t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
}

/** Opens the part of the samples' blob again, which had come this far, and brings it to its end. */
export async function finishResumed(
  t: Test,
  store: BlobStore,
  resumedBytes: number,
): Promise<void> {
  t.same(await partsLeft(store), [DIGEST])
  const fill = await openFill(t, store)
  t.equal(fill.contiguousBytes, resumedBytes)
  t.same(fill.expected, EXPECTATION)
  t.equal(await textAt(await openRead(t, fill), 0, 9), 'the bytes')
  await fill.append(BYTES.subarray(resumedBytes))
  await becomesBlob(t, store, fill)
  t.same(await partsLeft(store), [])
}
