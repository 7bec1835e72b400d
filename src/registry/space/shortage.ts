// What is missing for a claim beside those of others, by the room that was found: on the disk, and
// of what the operator allows. Pure: who looks, and what is done about it, is ledger.ts.
import type { WantedRoom } from '../ports/store-error.ts'
import { bytesOfFilesLeft, type FileRoom, type FilesWanted } from './file-room.ts'
import { type Measure, type SpaceClaim, sumOf } from './claim.ts'

/**
 * Of the room that the others leave: to what registries announce that do not share. Who answers to
 * a made-up name can announce anything.
 */
const APART_SHARE = 0.5

const DISK_FULL = {
  message: 'the disk has no room for this blob',
  hint: 'free space on the file system of storage.rootdirectory, or lower storage.minfree; until then blobs are passed on without being cached, and pushes are refused',
}
export const NO_FILES_LEFT = {
  message: 'the file system has no room for more files, whatever their size',
  hint: 'remove files from the file system of storage.rootdirectory, or make it anew for more of them (inodes); until then blobs are passed on without being cached, and pushes are refused',
}
const LIMIT_REACHED = {
  message: 'storage.maxsize is used up',
  hint: 'raise storage.maxsize; until then blobs are passed on without being cached, and pushes are refused',
}
/** Of unfinished uploads, where they are more than what is missing. */
export const UPLOADS_IN_THE_WAY =
  'unfinished uploads take more than that: they go for want of room once nobody went on with them for an hour, and sooner with a shorter storage.maintenance.uploadpurging.age'
const PROMISED = {
  message: 'others have announced as much as there is room for',
  hint: 'it passes once that is here or given up; where it happens often, free space on the file system of storage.rootdirectory or raise storage.maxsize',
}
const APART_USED_UP = {
  message: 'registries that do not share have used up their half of the room',
  hint: 'make room on the disk or raise storage.maxsize; until then blobs of private registries, and of those that only "*" allows, are passed on without being cached',
}

/** For all that is promised. `allowedBytes`: Infinity without `storage.maxsize`. */
export interface Room {
  /** Those by now that it is for. */
  readonly claims: () => readonly SpaceClaim[]
  readonly diskBytes: number
  readonly allowedBytes: number
  /** Of both, what fills leave to pushes. */
  readonly pushReserveBytes: number
  /** What could leave, which claims that are apart count on until there is `apartLeastBytes`. */
  readonly apartEvictableBytes: number
  readonly apartLeastBytes: number
  /** What unfinished uploads take. */
  readonly uploadsBytes: number
  /** Default their number is not bounded. */
  readonly fileRoom?: FileRoom | undefined
}

/** So much is missing for what was promised, and why. */
export interface Shortage {
  readonly bytes: number
  /** Of that, what must be on the disk before it may be promised: it may be made by eviction. */
  readonly bytesToEvict: number
  /** It is of files that can be made, and not of bytes. */
  readonly files?: FilesWanted | undefined
  /** Of what was asked for, by the same measure. */
  readonly room: WantedRoom
  readonly message: string
  readonly hint: string
}

/**
 * Of the disk, its files or what is allowed, whichever lacks most. Undefined when there is enough.
 */
export function shortageOf(
  room: Room,
  more: SpaceClaim,
  others: readonly SpaceClaim[],
): Shortage | undefined {
  const onDisk = lackOf('missingBytes', room.diskBytes, { room, more, others })
  const allowed = lackOf('wholeBytes', room.allowedBytes, { room, more, others })
  const ofFiles = -bytesOfFilesLeft(room.fileRoom, more, others.length)
  const bytes = Math.max(onDisk.bytes, allowed.bytes, ofFiles)
  if (bytes <= 0) return undefined
  const isOfShare = Math.max(onDisk.ofShareBytes, allowed.ofShareBytes) > 0
  const bytesToEvict = isOfShare ? 0 : bytes
  if (ofFiles === bytes) {
    const wantedBytes = more.missingBytes()
    const none = roomFor(wantedBytes, wantedBytes)
    const bytesEach = room.fileRoom?.bytesEach ?? 1
    const files = { count: Math.ceil(ofFiles / bytesEach), bytesEach }
    return { bytes, bytesToEvict, files, room: none, ...NO_FILES_LEFT }
  }
  const share = isOfShare ? APART_SHARE : 1
  const [measure, words] =
    onDisk.bytes >= allowed.bytes
      ? (['missingBytes', DISK_FULL] as const)
      : (['wholeBytes', LIMIT_REACHED] as const)
  const hint = room.uploadsBytes < bytes ? words.hint : `${words.hint}; ${UPLOADS_IN_THE_WAY}`
  return { bytes, bytesToEvict, room: roomFor(more[measure](), bytes * share), ...words, hint }
}

/** In words for the operator. `isPassing`: it is only announced, by others. */
export function wordsFor(
  { message, hint }: Shortage,
  { from }: SpaceClaim,
  isPassing: boolean,
): { readonly message: string; readonly hint: string } {
  if (from === 'apart') return APART_USED_UP
  return isPassing ? PROMISED : { message, hint }
}

interface Lacking {
  readonly room: Room
  readonly more: SpaceClaim
  readonly others: readonly SpaceClaim[]
}

/** `ofShareBytes`: beyond the share of those that are apart; content that leaves gives no more. */
interface Lack {
  readonly bytes: number
  readonly ofShareBytes: number
}

function lackOf(measure: Measure, thereBytes: number, { room, more, others }: Lacking): Lack {
  const claims = [...others, more]
  const reserveBytes = more.from === 'client' ? 0 : room.pushReserveBytes
  const lackBytes = sumOf(claims, measure) - (thereBytes - reserveBytes)
  if (more.from !== 'apart') return { bytes: lackBytes, ofShareBytes: 0 }
  const apartBytes = sumOf(
    claims.filter(({ from }) => from === 'apart'),
    measure,
  )
  const leftToApart = apartBytes - lackBytes
  const couldBeMade = Math.max(0, room.apartLeastBytes - leftToApart)
  const shared = leftToApart + Math.min(room.apartEvictableBytes, couldBeMade)
  const ofShareBytes = apartBytes / APART_SHARE - shared
  return { bytes: Math.max(lackBytes, ofShareBytes), ofShareBytes }
}

/** In whole bytes. A claim of nothing asks for what comes of unknown length. */
function roomFor(wantedBytes: number, lackingBytes: number): WantedRoom {
  const freeBytes = Math.max(0, Math.floor(wantedBytes - lackingBytes))
  return wantedBytes === 0 ? { freeBytes } : { wantedBytes, freeBytes }
}
