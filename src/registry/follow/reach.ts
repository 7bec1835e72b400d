// What else reaches a manifest that follows a deleted one, so that it stays; and what follows it in
// turn. All of it within one repository. Who takes what nothing reaches is take-followers.ts.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import { rowsOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { Pins } from '../pins/pins.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import { subjectOfTag } from '../retain/signature-tag.ts'

export interface ReachDeps {
  readonly catalog: Catalog
  /** Default: nothing is pinned. */
  readonly pins?: Pick<Pins, 'findWithListed' | 'digests'> | undefined
  readonly repository: Repository
  /** Leases that were to end by then are over. */
  readonly leasesOverMs: number
  /** In a dry run: it would have gone by now. */
  readonly isGone: (digest: Digest) => boolean
}

/**
 * `for good`: as any other manifest, until it follows another one. `for now`: it is to be looked at
 * again.
 */
export type Reached = 'for good' | 'for now' | undefined

/** MUST run in the repository's turn where it matters. @throws StoreError */
export async function reachOf(deps: ReachDeps, digest: Digest): Promise<Reached> {
  const { catalog, repository } = deps
  for await (const { tag } of tagsTo(deps, digest)) {
    const subject = subjectOfTag(tag)
    if (subject === undefined || (await isHere(deps, subject))) return 'for good'
  }
  const listers = rowsOf<Digest, Digest>(
    page => catalog.listListers(repository, digest, page),
    each => each,
  )
  for await (const lister of listers) if (!deps.isGone(lister)) return 'for good'
  const manifest = await catalog.findManifest(repository, digest)
  const subject = manifest?.edges.find(({ kind }) => kind === 'subject')?.child
  if (subject !== undefined && (await isHere(deps, subject))) return 'for good'
  return (await isWanted(deps, digest)) ? 'for now' : undefined
}

async function isHere({ catalog, repository, isGone }: ReachDeps, digest: Digest) {
  return !isGone(digest) && (await catalog.findManifest(repository, digest)) !== undefined
}

/** It is pinned, has yet to be delivered, or was promised to whoever may push. */
async function isWanted(deps: ReachDeps, digest: Digest): Promise<boolean> {
  const { catalog, pins, repository, leasesOverMs } = deps
  const leasedMs = await catalog.leasedUntil(repository, digest)
  if (leasedMs !== undefined && leasedMs > leasesOverMs) return true
  if (await catalog.isPending(repository, digest)) return true
  if ((await catalog.holdsOf(repository, digest)).includes('undelivered')) return true
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  if (entries.some(({ payload }) => parseDelivery(payload)?.digest === digest)) return true
  return (await pins?.findWithListed(repository, digest)) !== undefined
}

/** All of them are about what is not here when nothing reaches it. */
export function tagsTo(
  { catalog, repository }: Pick<ReachDeps, 'catalog' | 'repository'>,
  digest: Digest,
): AsyncGenerator<RecordedTag> {
  return rowsOf<RecordedTag, Tag>(
    page => catalog.listTagsTo(repository, digest, page),
    ({ tag }) => tag,
  )
}

/**
 * Manifests that follow it once it is removed: to be asked before that. Those that it lists, and
 * that are about it, by their subject or by a tag; of an upstream's none that is held here.
 * @throws StoreError
 */
export async function followersOf(
  { catalog, repository }: Pick<ReachDeps, 'catalog' | 'repository'>,
  digest: Digest,
): Promise<readonly Digest[]> {
  const manifest = await catalog.findManifest(repository, digest)
  const listed = manifest?.edges.filter(({ kind }) => kind !== 'subject') ?? []
  const followers = new Set(listed.map(({ child }) => child))
  for (const each of await catalog.listReferrers(repository, digest)) followers.add(each)
  const about = digest.replace(':', '-')
  const exactly = await catalog.findTag(repository, about as Tag)
  if (exactly !== undefined) followers.add(exactly.digest)
  const tags = rowsOf<RecordedTag, Tag>(
    ({ after = about, limit }) => catalog.listTags(repository, { after, limit }),
    ({ tag }) => tag,
  )
  for await (const each of tags) {
    if (!each.tag.startsWith(about)) break
    if (subjectOfTag(each.tag) === digest) followers.add(each.digest)
  }
  const manifests: Digest[] = []
  const pieces = new Pieces()
  const isHeld = async (each: Digest) => (await catalog.holdsOf(repository, each)).length > 0
  const wasHeld = await isHeld(digest)
  for (const each of followers) {
    const isThere = (await catalog.findManifest(repository, each)) !== undefined
    if (isThere && (wasHeld || !(await isHeld(each)))) manifests.push(each)
    await pieces.done(1)
  }
  return manifests
}
