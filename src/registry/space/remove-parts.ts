// Room from what failed downloads left, the first that goes where there is none: it can be fetched
// again, and nobody may ever ask.
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
}

export interface Missing extends Pick<SpaceClaim, 'from'> {
  readonly bytes: number
  /** Would parts of so much do, with what else may go? */
  readonly isEnough: (partsBytes: number) => Promise<boolean>
}

/** What `removeParts` could remove for a claim. @throws StoreError */
export async function removableBytes(
  { store, isShared }: Parts,
  from: SpaceClaim['from'],
): Promise<number> {
  if (from !== 'apart' || store.partsBytes === 0) return store.partsBytes
  const parts = await store.describeParts()
  return parts.reduce((sum, { takenBytes, source }) => sum + (isShared(source) ? 0 : takenBytes), 0)
}

/**
 * First those that registries began which do not share, then the oldest; no more than is missing,
 * and none where all that may go would not do. For a claim that is apart none of those that share.
 * A step of it, of a bounded number: whoever needs more asks again, and may look at its clock in
 * between. False when nothing was removed; what others leave meanwhile says nothing.
 */
export async function removeParts(
  { store, isShared }: Parts,
  { bytes, from, isEnough }: Missing,
): Promise<boolean> {
  if (store.partsBytes === 0 || !(await isEnough(store.partsBytes))) return false
  const parts = (await store.describeParts())
    .map(part => ({ ...part, isShared: isShared(part.source) }))
    .filter(part => !(from === 'apart' && part.isShared))
    .sort((a, b) => Number(a.isShared) - Number(b.isShared) || a.changedAtMs - b.changedAtMs)
  if (!(await isEnough(parts.reduce((sum, { takenBytes }) => sum + takenBytes, 0)))) return false
  let freedBytes = 0
  for (const { digest, takenBytes } of parts.slice(0, PARTS_A_STEP)) {
    if (freedBytes >= bytes) break
    if (await store.removePart(digest)) freedBytes += takenBytes
  }
  return freedBytes > 0
}
