// What the catalog in memory forgets of what is not here, and was not asked for lately. The port's
// promises are made in catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import type { MemoryRepositories, RepositoryState } from './catalog-repositories.ts'
import { dropTag } from './catalog-tags.ts'

export interface Forget {
  readonly beforeMs: number
  readonly isAbsent: (digest: Digest) => boolean
  readonly all: MemoryRepositories
}

export function tidyRepository(state: RepositoryState, { beforeMs, isAbsent, all }: Forget): void {
  const { members, tags, tagUsage, taken, lists } = state
  for (const [tag, recorded] of tags) {
    const isOld = recorded.checkedAtMs < beforeMs
    const wasPulled = (tagUsage.get(tag)?.pulledAtMs ?? 0) >= beforeMs
    if (isOld && !wasPulled && !recorded.local && isAbsent(recorded.digest)) dropTag(state, tag)
    else if (isOld && recorded.previous !== undefined && isAbsent(recorded.previous.digest))
      tags.set(tag, { ...recorded, previous: undefined })
  }
  for (const digest of taken.keys()) if (isAbsent(digest)) taken.delete(digest)
  const unneeded = [...members.keys()].filter(
    digest =>
      isAbsent(digest) && !isAskedFor(state, digest, beforeMs) && !isListed(state, digest, all),
  )
  for (const digest of unneeded) members.delete(digest)
  for (const [key, { checkedAtMs }] of lists) if (checkedAtMs < beforeMs) lists.delete(key)
}

function isAskedFor(state: RepositoryState, digest: Digest, beforeMs: number): boolean {
  const { tags, pending, leases, holds, usage } = state
  if ((usage.get(digest)?.usedAtMs ?? 0) >= beforeMs) return true
  if (pending.has(digest) || leases.has(digest) || holds.has(digest)) return true
  return tags.values().some(recorded => recorded.digest === digest)
}

/** By a manifest there, here or not. */
function isListed(state: RepositoryState, digest: Digest, all: MemoryRepositories): boolean {
  return state.members
    .entries()
    .filter(([, { lists, mediaType }]) => lists || mediaType !== undefined)
    .some(([parent]) => all.lists(parent).includes(digest))
}
