// What `storage.maxsize`, `minfree` and `lowwater` come to on the file system as it is now. Shares
// are of that file system, which may grow, so nothing of this is remembered.
import { BLOCK_BYTES, type Space } from '../ports/blob-store.ts'
import type { Amount } from '../routing/quota.ts'
import { bytesOf, type FilesWanted } from './file-room.ts'

/**
 * What the operator allows; another one may come at any time, by a reload. Shares are of the file
 * system that holds the data directory.
 */
export interface StorageLimits {
  /** Most that the data directory may take. Infinity: only the disk limits. */
  readonly maxSize: Amount
  /** Stays free on the file system, which others use as well. */
  readonly minFree: Amount
  /** Of `maxSize`: down to here content leaves when there is no room. */
  readonly lowWaterShare: number
}

/** The same in bytes. The stricter of the first two counts. */
export interface Fences {
  /** Infinity: only the disk limits. */
  readonly maxBytes: number
  readonly minFreeBytes: number
  /** Of what these two leave: what no fill may take. */
  readonly pushReserveBytes: number
  /** Of what was promised: room is made for so much ahead of what comes. */
  readonly pieceBytes: number
  /** Down to so much taken, and up to so much free, content leaves. */
  readonly lowWaterBytes: number
  readonly highFreeBytes: number
}

/**
 * Left free for the catalog, the log and whatever must still be written when the cache may not
 * grow.
 */
const RESERVE_BYTES = 64 * 1024 * 1024
/** That never takes more than this share of a small disk. */
const RESERVE_SHARE = 0.1
/**
 * Kept from fills, for pushes: uploads, manifests, facts. It bridges the time in which content
 * leaves to make room for a push, and holds a few large layers where nothing can leave at once.
 * Below what is between `lowwater` and the limit, so that it costs a cache nothing that it would
 * have used.
 */
const PUSH_RESERVE_SHARE = 0.02
/** More than a crowd of clients brings before room is made. */
const PUSH_RESERVE_BYTES = 1024 * 1024 * 1024
/**
 * Of the limit: what leaves at most for somebody who says much and brings nothing. Enough that who
 * is fast does not wait for a disk that removes files, and asks seldom.
 */
const PIECE_SHARE = 1 / 64
const PIECE_MAX_BYTES = 64 * 1024 * 1024
/** Less is not worth a look at the disk. */
const PIECE_MIN_BYTES = 1024 * 1024

/** Most that the data directory may take, if nobody else used the disk. */
export function usableBytes(
  { maxSize }: Pick<StorageLimits, 'maxSize'>,
  { totalBytes }: Pick<Space, 'totalBytes'>,
): number {
  return Math.min(totalBytes, amountOf(maxSize, totalBytes))
}

export function fencesOf(limits: StorageLimits, { totalBytes }: Space): Fences {
  const maxBytes = amountOf(limits.maxSize, totalBytes)
  const ownBytes = Math.min(RESERVE_BYTES, Math.ceil(totalBytes * RESERVE_SHARE))
  const minFreeBytes = Math.max(ownBytes, amountOf(limits.minFree, totalBytes))
  const wholeBytes = usableBytes(limits, { totalBytes })
  const reserveBytes = Math.min(PUSH_RESERVE_BYTES, wholeBytes * PUSH_RESERVE_SHARE)
  // In whole blocks, as all that is written.
  const pushReserveBytes = reserveBytes - (reserveBytes % BLOCK_BYTES)
  return {
    maxBytes,
    minFreeBytes,
    pushReserveBytes,
    pieceBytes: Math.min(PIECE_MAX_BYTES, Math.max(PIECE_MIN_BYTES, wholeBytes * PIECE_SHARE)),
    lowWaterBytes: Math.floor(maxBytes * limits.lowWaterShare),
    highFreeBytes: minFreeBytes + wholeBytes - Math.floor(wholeBytes * limits.lowWaterShare),
  }
}

/**
 * Most that the data directory can come to where it takes `takenBytes` now: what is configured, or
 * what the disk still gives, if that is less.
 */
export function reachableBytes(limits: StorageLimits, takenBytes: number, space: Space): number {
  const { maxBytes, minFreeBytes } = fencesOf(limits, space)
  return Math.min(maxBytes, takenBytes + Math.max(0, space.freeBytes - minFreeBytes))
}

/** What the data directory takes, once as much has left as is to when there is no room. */
export function lowWater(fences: Fences, takenBytes: number, { freeBytes }: Space): number {
  const forDiskBytes = Math.max(0, takenBytes + freeBytes - fences.highFreeBytes)
  return Math.min(fences.lowWaterBytes, forDiskBytes)
}

/** What the data directory takes, and the disk has free. */
export interface Standing {
  readonly fences: Fences
  readonly takenBytes: number
  readonly freeBytes: number
  /** What is to leave that files can be made. */
  readonly filesAbove: FilesWanted | undefined
}

/** What is to leave until neither is beyond the low water. */
export function aboveLowWater({ fences, takenBytes, freeBytes, filesAbove }: Standing): number {
  const above = Math.max(takenBytes - fences.lowWaterBytes, fences.highFreeBytes - freeBytes)
  return Math.max(0, above, bytesOf(filesAbove))
}

/** `wholeBytes`: what a share is of. */
export function amountOf(amount: Amount, wholeBytes: number): number {
  return amount.kind === 'bytes' ? amount.bytes : Math.floor(wholeBytes * amount.share)
}
