// The one thread that reads and hashes what is verified again, so that neither those who serve nor
// the few threads that read files for clients are held up. Started by hash-apart.ts only; one file
// at a time, piece by piece as it is asked. What clients read stays in the page cache, and what was
// brought in here alone goes out again.
import type { Hash } from 'node:crypto'
import { fstatSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, platform, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import {
  type Digest,
  type DigestAlgorithm,
  finishDigest,
  startDigest,
} from '../../../oci/digest.ts'

/** Begins another file. */
export interface HashedFile {
  readonly kind: 'file'
  /** Open as long as it is hashed. */
  readonly descriptor: number
  readonly algorithm: DigestAlgorithm
  /** Of each piece but the last one. */
  readonly pieceBytes: number
  /** As it is on the disk, and not in memory. */
  readonly fromDisk: boolean
}

export type HashOrder =
  | HashedFile
  /** Of whole pages, but for the last one. */
  | { readonly kind: 'piece'; readonly position: number; readonly lengthBytes: number }
  | { readonly kind: 'end' }

/** `code`: of the system's error. */
export type HashReply =
  | { readonly kind: 'done' }
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined }

export interface HashingData {
  /** The file of the native addon; undefined: everything read stays in the page cache. */
  readonly addon: string | undefined
}

/** Of native/sender.c. Absent from a build of an older source. */
interface PageCache {
  readonly resident?: (file: number, position: number, lengthBytes: number) => number
  readonly drop?: (file: number, position: number, lengthBytes: number) => number
  readonly idle?: () => number
}

const DROPS_MAX = 3
/** A few system calls for each piece, and small enough for the processor's own cache. */
const BUFFER_BYTES = 1024 * 1024

const { addon: file } = workerData as HashingData
const pageCache = loadPageCache()
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
let hashing:
  | (HashedFile & {
      readonly hash: Hash
      /** Of each piece, whether some of it was in memory. */
      readonly isWanted: readonly boolean[]
    })
  | undefined

function loadPageCache(): PageCache {
  if (file === undefined) return {}
  try {
    return createRequire(import.meta.url)(file) as PageCache
  } catch {
    return {}
  }
}

/** Linux keeps these for each thread; elsewhere they are the whole process's. */
function makeWay(): void {
  if (platform() !== 'linux') return
  try {
    setPriority(constants.priority.PRIORITY_LOW)
  } catch {
    // Who runs this forbids it, as filters of system calls do: files are read all the same.
  }
  pageCache.idle?.()
}

function carryOut(order: HashOrder): HashReply {
  switch (order.kind) {
    case 'file':
      if (order.fromDisk) dropAll(order.descriptor)
      hashing = { ...order, hash: startDigest(order.algorithm), isWanted: lookInMemory(order) }
      return { kind: 'done' }
    case 'piece':
      hashPiece(order)
      return { kind: 'done' }
    case 'end': {
      if (hashing === undefined) throw new Error('no file was begun')
      const { hash, algorithm } = hashing
      hashing = undefined
      return { kind: 'digest', digest: finishDigest(hash, algorithm) }
    }
  }
}

/** All that lets go: a page that somebody just reads or writes does not at once. */
function dropAll(descriptor: number): void {
  const { size } = fstatSync(descriptor)
  for (let drops = 0; drops < DROPS_MAX; drops += 1) {
    // The whole of it: 0 is to the end.
    pageCache.drop?.(descriptor, 0, 0)
    if ((pageCache.resident?.(descriptor, 0, size) ?? 0) === 0) return
  }
}

/**
 * Before anything of it is read: what is here by then somebody else wanted, and what comes later
 * may be what the system reads ahead, many megabytes on some disks.
 */
function lookInMemory({ descriptor, pieceBytes }: HashedFile): readonly boolean[] {
  const { size } = fstatSync(descriptor)
  return Array.from({ length: Math.ceil(size / pieceBytes) }, (_, piece) => {
    const from = piece * pieceBytes
    const lengthBytes = Math.min(pieceBytes, size - from)
    return (pageCache.resident?.(descriptor, from, lengthBytes) ?? 1) !== 0
  })
}

function hashPiece({ position, lengthBytes }: { position: number; lengthBytes: number }): void {
  if (hashing === undefined) throw new Error('no file was begun')
  const { descriptor, fromDisk, hash, pieceBytes } = hashing
  const isWanted = hashing.isWanted[position / pieceBytes] ?? false
  for (let done = 0; done < lengthBytes; ) {
    const wanted = Math.min(BUFFER_BYTES, lengthBytes - done)
    const length = readSync(descriptor, buffer, 0, wanted, position + done)
    if (length === 0) throw shorter()
    hash.update(buffer.subarray(0, length))
    done += length
  }
  if (!isWanted || fromDisk) pageCache.drop?.(descriptor, position, lengthBytes)
}

function shorter(): Error {
  return Object.assign(new Error('read: the file is shorter than its length'), { code: 'EIO' })
}

function failed(error: unknown): HashReply {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  return { kind: 'failed', message, code }
}

makeWay()
parentPort?.on('message', (order: HashOrder) => {
  let reply: HashReply
  try {
    reply = carryOut(order)
  } catch (error) {
    reply = failed(error)
  }
  parentPort?.postMessage(reply)
})
