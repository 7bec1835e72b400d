// What a delete takes out of a repository of the catalog in memory: the content itself, the tags
// that point to it, and, if it was a manifest there, what nothing else there lists (R255); what is
// pending once that is over (R296). The port's promises are made in catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import type { Edge } from '../../../src/registry/ports/catalog-content.ts'
import type { AsOf } from '../../../src/registry/ports/catalog-space.ts'
import { PUSH_MAX_MS } from '../../../src/registry/ports/catalog-pushes.ts'
import type { Member, RepositoryState } from './catalog-repositories.ts'
import { dropTag } from './catalog-tags.ts'

type Edges = ReadonlyMap<Digest, readonly Edge[]>

/** Was whoever may push there told that it is there? */
export function isPromised(
  { pending, leases }: RepositoryState,
  digest: Digest,
  { leasesOverMs = Number.NEGATIVE_INFINITY }: AsOf = {},
): boolean {
  const untilMs = leases.get(digest)
  return pending.has(digest) || (untilMs !== undefined && untilMs >= leasesOverMs)
}

/** Returns what is no member any more. */
export function removeMember(state: RepositoryState, digest: Digest, edges: Edges): Digest[] {
  const { members, tags, taken, pending } = state
  taken.delete(digest)
  pending.delete(digest)
  const member = members.get(digest)
  if (member === undefined) return []
  const before = [...members.keys()]
  members.delete(digest)
  for (const [tag, recorded] of tags) if (recorded.digest === digest) dropTag(state, tag)
  if (isLister(member)) takeBelow(state, [digest], edges)
  return [digest, ...before.filter(each => each !== digest && !members.has(each))]
}

/** Returns it, if it was pending, and what is no member any more. */
export function expirePendingBlob(
  state: RepositoryState | undefined,
  { digest, acknowledgedAtMs }: { digest: Digest; acknowledgedAtMs: number },
  edges: Edges,
): Digest[] {
  const entry = state?.pending.get(digest)
  if (state === undefined || entry?.atMs !== acknowledgedAtMs) return []
  state.pending.delete(digest)
  const before = [...state.members.keys()]
  if (entry.owed)
    takeBelow(state, takeAlone(state, digest, { edges, afterMs: acknowledgedAtMs }), edges)
  return [digest, ...before.filter(each => each !== digest && !state.members.has(each))]
}

function takeBelow(state: RepositoryState, gone: Digest[], edges: Edges): void {
  for (const parent of gone)
    for (const child of listed(parent, edges)) gone.push(...takeAlone(state, child, { edges }))
}

/** Returns what the same is to be asked about because of it. */
function takeAlone(
  state: RepositoryState,
  digest: Digest,
  { edges, afterMs = Number.NEGATIVE_INFINITY }: { edges: Edges; afterMs?: number },
): Digest[] {
  const { members, taken, pending, leases } = state
  const member = members.get(digest)
  if (member === undefined || member.mediaType !== undefined) return []
  if (isListed(members, digest, edges)) return []
  const entry = pending.get(digest)
  if (entry !== undefined) {
    pending.set(digest, { ...entry, owed: true })
    return []
  }
  const atMs = (leases.get(digest) ?? Number.NEGATIVE_INFINITY) - PUSH_MAX_MS
  if (atMs > afterMs) {
    pending.set(digest, { times: 1, atMs, owed: true })
    return []
  }
  taken.set(digest, member.delivered || taken.get(digest) === true)
  members.delete(digest)
  return member.lists ? [digest] : []
}

function isListed(members: ReadonlyMap<Digest, Member>, child: Digest, edges: Edges): boolean {
  return members
    .entries()
    .some(([parent, member]) => isLister(member) && listed(parent, edges).includes(child))
}

/** A blob lists nothing, whatever it is elsewhere. */
function isLister({ lists, mediaType }: Member): boolean {
  return lists || mediaType !== undefined
}

/** A foreign layer, too: a client may have brought it. */
function listed(parent: Digest, edges: Edges): Digest[] {
  const below = edges.get(parent) ?? []
  return below.filter(({ kind }) => kind !== 'subject').map(({ child }) => child)
}
