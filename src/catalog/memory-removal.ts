// What a delete takes out of a repository of the catalog in memory: the content itself, the tags that point to it, and, if it was a manifest
// there, what nothing else there lists (R255). The port's promises are made in memory.ts.
import type { Digest } from '../oci/digest.ts'
import type { Edge } from '../registry/ports/catalog.ts'
import { dropTag, type Member, type RepositoryState } from './memory-repositories.ts'

type Edges = ReadonlyMap<Digest, readonly Edge[]>

export function removeMember(state: RepositoryState, digest: Digest, edges: Edges): void {
  const { members, tags, taken } = state
  taken.delete(digest)
  const member = members.get(digest)
  if (member === undefined) return
  members.delete(digest)
  for (const [tag, fact] of tags) if (fact.digest === digest) dropTag(state, tag)
  if (isLister(member)) takeBelow(state, digest, edges)
}

function takeBelow({ members, taken }: RepositoryState, digest: Digest, edges: Edges): void {
  const gone = [digest]
  for (const parent of gone) {
    for (const child of listed(parent, edges)) {
      const member = members.get(child)
      if (member === undefined || member.mediaType !== undefined) continue
      if (isListed(members, child, edges)) continue
      taken.set(child, member.delivered || taken.get(child) === true)
      members.delete(child)
      if (member.lists) gone.push(child)
    }
  }
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

/** What is to be had from elsewhere, too: a client may have brought it. */
function listed(parent: Digest, edges: Edges): Digest[] {
  const below = edges.get(parent) ?? []
  return below.filter(({ kind }) => kind !== 'subject').map(({ child }) => child)
}
