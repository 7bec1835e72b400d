// Room for more files. Many file systems can hold no more of them than they were made for (inodes),
// and then take nothing, however many bytes are free. What lacks is compared with bytes of content
// that could leave: as many as so many files take, on average.
import type { Space } from '../ports/blob-store.ts'
import type { SpaceClaim } from './claim.ts'

/** Of each claim: its file, and a sidecar or a fact beside it. */
const FILES_EACH = 2
/**
 * Others need no more until somebody looks, however many a large file system was made for: a cache
 * of large layers has only some thousands to give.
 */
const MIN_FREE_MAX = 100_000
/** Of those that are kept free for others, as many again for pushes. */
const PUSH_RESERVE_SHARE = 0.5

export interface FileRoom {
  /** Beyond what stays free for others. */
  readonly files: number
  /** Of these, what fills leave to pushes. */
  readonly pushReserveFiles: number
  /** Up to so many content leaves, once there are too few. */
  readonly highFiles: number
  /** On average, of content that is here. */
  readonly bytesEach: number
}

export interface FilesWanted {
  readonly count: number
  /** Of content that is here, on average: what takes less for a file leaves before the rest. */
  readonly bytesEach: number
}

/** Of files the same share stays free as of bytes. Undefined: they are not bounded. */
export async function fileRoomOf(
  { files, totalBytes }: Space,
  minFreeBytes: number,
  bytesOfEach: () => Promise<number>,
): Promise<FileRoom | undefined> {
  if (files === undefined) return undefined
  const bytesEach = await bytesOfEach()
  const minFreeShare = minFreeBytes / totalBytes
  const minFree = Math.min(MIN_FREE_MAX, Math.ceil(files.total * minFreeShare))
  const pushReserveFiles = Math.floor(minFree * PUSH_RESERVE_SHARE)
  return { files: files.free - minFree, pushReserveFiles, highFiles: minFree, bytesEach }
}

/** What `more` leaves beside so many others; below 0 that lacks. */
export function bytesOfFilesLeft(
  room: FileRoom | undefined,
  { from }: Pick<SpaceClaim, 'from'>,
  others: number,
): number {
  if (room === undefined) return Number.POSITIVE_INFINITY
  const reserve = from === 'client' ? 0 : room.pushReserveFiles
  return (room.files - reserve - (others + 1) * FILES_EACH) * room.bytesEach
}

/** What is to leave where fills find too few; undefined as long as they do not. */
export function filesAbove(room: FileRoom | undefined): FilesWanted | undefined {
  if (room === undefined || room.files >= room.pushReserveFiles) return undefined
  return { count: room.highFiles - room.files, bytesEach: room.bytesEach }
}

/** As much as so many files take, on average. */
export function bytesOf(files: FilesWanted | undefined): number {
  return files === undefined ? 0 : files.count * files.bytesEach
}
