// What clients were told is kept in a repository of the catalog in memory, and no manifest came for
// so far (R296). What a delete makes of it is catalog-removal.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey } from '../../../src/oci/reference.ts'
import type { RecordBlob } from '../../../src/registry/ports/catalog-content.ts'
import {
  type PendingBlob,
  type PendingPage,
  PUSH_MAX_MS,
  type RecordPush,
} from '../../../src/registry/ports/catalog-pushes.ts'
import type { PutBack } from '../../../src/registry/ports/catalog-space.ts'

export type PendingBlobs = Map<Digest, Pending>

interface Pending {
  /** Without a manifest that lists it since. */
  readonly times: number
  readonly atMs: number
  /** A delete would have taken it along. */
  readonly owed: boolean
}

export function addPending(
  pending: PendingBlobs,
  { digest, acknowledgedAtMs: atMs }: RecordBlob,
): void {
  if (atMs === undefined) return
  pending.set(digest, { times: (pending.get(digest)?.times ?? 0) + 1, atMs, owed: false })
}

interface Completing {
  readonly pending: PendingBlobs
  readonly members: ReadonlyMap<Digest, { readonly mediaType: string | undefined }>
}

/**
 * One of each of what is listed, before the manifest is recorded. A second tag, or a PUT that is
 * repeated, sends no blob; where all of an image is pending it was sent once more.
 */
export function complete({ pending, members }: Completing, record: RecordPush): void {
  const { digest: pushed, edges } = record.manifest
  if (record.completes !== true) return
  const listed = edges.filter(({ kind }) => kind !== 'subject')
  const isKnown = members.get(pushed)?.mediaType !== undefined
  const lacksAny = listed.some(each => each.distributable && !pending.has(each.child))
  const hasOwn = listed.some(({ kind, sizeBytes }) => kind === 'config' && sizeBytes > 2)
  if (isKnown && (lacksAny || !hasOwn)) return
  for (const digest of new Set(listed.map(({ child }) => child))) {
    const { times, atMs } = pending.get(digest) ?? { times: 0, atMs: 0 }
    if (times > 1) pending.set(digest, { times: times - 1, atMs, owed: false })
    else pending.delete(digest)
  }
}

/** None lasts longer than one that begins now, or a lease that does. */
export function putPendingBack(
  states: readonly [RepositoryKey, { readonly pending: PendingBlobs }][],
  { nowMs, longestMs }: PutBack,
): void {
  const latestMs = nowMs + Math.max(0, longestMs - PUSH_MAX_MS)
  for (const [, { pending }] of states)
    for (const [digest, entry] of pending)
      pending.set(digest, { ...entry, atMs: Math.min(entry.atMs, latestMs) })
}

/** In the order of the port. */
export function listPendingBlobs(
  states: readonly [RepositoryKey, { readonly pending: PendingBlobs }][],
  { beforeMs, limit }: PendingPage,
): PendingBlob[] {
  return states
    .flatMap(([key, { pending }]) =>
      [...pending]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([digest, { atMs }]) => ({
          repository: parseRepositoryKey(key),
          digest,
          acknowledgedAtMs: atMs,
        })),
    )
    .filter(({ acknowledgedAtMs: atMs }) => atMs < beforeMs)
    .sort((a, b) => a.acknowledgedAtMs - b.acknowledgedAtMs)
    .slice(0, limit)
}
