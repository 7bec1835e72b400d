// What the in-memory twins of the store write to, and the few steps that more than one of them
// takes. Making one is store.ts.
import type { Digest, DigestAlgorithm } from '../../../src/oci/digest.ts'
import type { ReadHandle } from '../../../src/registry/ports/blob-store-content.ts'
import type { FillExpectation } from '../../../src/registry/ports/blob-store-fills.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'

/**
 * What outlives a store, as files outlive a process; tests may damage it, and give it to a second
 * store.
 */
export interface MemoryDisk {
  readonly blobs: Map<Digest, Uint8Array>
  readonly parts: Map<Digest, MemoryPart>
  /** By id. */
  readonly uploads: Map<string, MemoryLeftUpload>
  /** Texts, by the name that factName gives. */
  readonly facts: Map<string, string>
  /** Nothing whole can be looked at or read. Default: all can. */
  isUnreadable?: boolean
  /** Appending, putting or noting beyond this is `full`. May be changed at any time. */
  capacityBytes: number
}

export interface MemoryPart {
  bytes: Uint8Array
  /**
   * Written ahead of `bytes`, by where it begins; gone with the process, as what lies behind a hole
   * is.
   */
  readonly ahead: Map<number, Uint8Array>
  expected: FillExpectation | undefined
  /** When it was begun or has grown last. */
  changedAtMs: number
}

export interface MemoryLeftUpload {
  readonly note: string
  readonly algorithm: DigestAlgorithm
  bytes: Uint8Array
  changedAtMs: number
}

export function freeBytes({ blobs, parts, uploads, facts, capacityBytes }: MemoryDisk): number {
  let used = 0
  for (const bytes of blobs.values()) used += bytes.length
  for (const part of parts.values()) used += part.bytes.length + aheadBytes(part)
  for (const upload of uploads.values()) used += upload.bytes.length
  for (const text of facts.values()) used += text.length
  return Math.max(0, capacityBytes - used)
}

export function aheadBytes({ ahead }: MemoryPart): number {
  let sum = 0
  for (const bytes of ahead.values()) sum += bytes.length
  return sum
}

/**
 * `bytes` with `more` behind them; in the same memory when there is room, so that growing costs no
 * more than its bytes.
 */
export function extended(bytes: Uint8Array, more: Uint8Array): Uint8Array {
  const length = bytes.length + more.length
  let grown = bytes
  if (bytes.byteOffset + length > bytes.buffer.byteLength) {
    grown = new Uint8Array(length * 2)
    grown.set(bytes)
  }
  const whole = new Uint8Array(grown.buffer, grown.byteOffset, length)
  whole.set(more, bytes.length)
  return whole
}

export function full(): StoreError {
  return new StoreError('full', 'the memory store is full', { hint: 'raise capacityBytes' })
}

export function readFrom(bytes: () => Uint8Array): ReadHandle {
  return {
    descriptor: undefined,
    async read(buffer, position) {
      const part = bytes().subarray(position, position + buffer.length)
      buffer.set(part)
      return part.length
    },
    async close() {},
  }
}
