// Room from what was broken off, the first that goes where there is none: what failed downloads
// left can be fetched again, and nobody may ever ask; then uploads that are idle.
import type { BlobStore } from '../ports/blob-store.ts'
import type { SpaceClaim } from './claim.ts'

/** A disk unlinks so many in some tens of milliseconds; whoever needs more comes again. */
const PARTS_A_STEP = 256

export interface Parts {
  readonly store: Pick<BlobStore, 'partsBytes' | 'describeParts' | 'removePart'>
  /**
   * Did a registry begin this part that shares with others? `source`: its host, as FillExpectation
   * has it.
   */
  readonly isShared: (source: string | undefined) => boolean
  /** Default: there are no uploads. */
  readonly idleUploads?: (() => IdleUploads) | undefined
}

/** What clients began to push, and have not gone on with for a while. */
export interface IdleUploads {
  /** Of those. */
  readonly idleBytes: number
  /** Of all that are unfinished. */
  readonly takenBytes: number
  /** What `remove` would free. */
  foretell(bytes: number): number
  /**
   * Until so much is free, those first that are idle for longest, of a bounded number:
   * whoever needs more comes again (`removeIdle`). MUST NOT reject.
   */
  remove(bytes: number): Promise<number>
}

/** As many steps of `remove` as it takes; ends with the first that frees nothing. */
export async function removeIdle(
  uploads: IdleUploads | undefined,
  bytes: number,
  signal: AbortSignal,
): Promise<number> {
  let freedBytes = 0
  while (uploads !== undefined && freedBytes < bytes && !signal.aborted) {
    const stepBytes = await uploads.remove(bytes - freedBytes)
    if (stepBytes === 0) break
    freedBytes += stepBytes
  }
  return freedBytes
}

export interface Missing extends Pick<SpaceClaim, 'from'> {
  readonly bytes: number
  /** Would parts of so much do, with what else may go? */
  readonly isEnough: (partsBytes: number) => Promise<boolean>
}

/** What `removeParts` could remove for a claim. @throws StoreError */
export async function removableBytes(
  { store, isShared, idleUploads }: Parts,
  from: SpaceClaim['from'],
): Promise<number> {
  if (from !== 'apart') return store.partsBytes + (idleUploads?.().idleBytes ?? 0)
  if (store.partsBytes === 0) return 0
  const parts = await store.describeParts()
  return parts.reduce((sum, { takenBytes, source }) => sum + (isShared(source) ? 0 : takenBytes), 0)
}

/**
 * First those that registries began which do not share, then the oldest, then uploads; no more than
 * is missing, and none where all that may go would not do. For a claim that is apart none of those
 * that share, and no upload. A step of it, of a bounded number: whoever needs more asks again, and
 * may look at its clock in between. False when nothing was removed; what others leave meanwhile
 * says nothing.
 */
export async function removeParts(
  { store, isShared, idleUploads }: Parts,
  { bytes, from, isEnough }: Missing,
): Promise<boolean> {
  const uploads = from === 'apart' ? undefined : idleUploads?.()
  const idleBytes = uploads?.idleBytes ?? 0
  const mostBytes = store.partsBytes + idleBytes
  if (mostBytes === 0 || !(await isEnough(mostBytes))) return false
  const parts = (store.partsBytes === 0 ? [] : await store.describeParts())
    .map(part => ({ ...part, isShared: isShared(part.source) }))
    .filter(part => !(from === 'apart' && part.isShared))
    .sort((a, b) => Number(a.isShared) - Number(b.isShared) || a.changedAtMs - b.changedAtMs)
  const partsBytes = parts.reduce((sum, { takenBytes }) => sum + takenBytes, 0)
  if (!(await isEnough(partsBytes + idleBytes))) return false
  let freedBytes = 0
  for (const { digest, takenBytes } of parts.slice(0, PARTS_A_STEP)) {
    if (freedBytes >= bytes) break
    if (await store.removePart(digest)) freedBytes += takenBytes
  }
  if (freedBytes > 0 || idleBytes === 0) return freedBytes > 0
  return ((await uploads?.remove(bytes)) ?? 0) > 0
}
