// Whether a delete would take an immutable tag, or anything of what it leads to: its manifest, the
// children of an index, their layers. That is refused, since half an image is none. What an
// upstream has is not deleted by this: it is only no longer here. Unless pushes are kept here,
// whatever that says: then another push would take the tag's place.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  formatReference,
  type Reference,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { immutableTag } from '../refusals/immutable-tag.ts'
import { rowsOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { FactStore } from '../ports/facts.ts'
import { DENIED, type RepositoryPolicies } from '../routing/repository-policy.ts'
import { findUnknownTag } from '../facts/unknown-facts.ts'

/**
 * Manifests that are looked at for one delete, up from what is deleted. A layer that more list is
 * the base of a repository's images, which nobody deletes by itself.
 */
const ABOVE_MAX = 10_000

export interface UnboundDeps {
  readonly catalog: Pick<Catalog, 'findTag' | 'listTags' | 'listListers'>
  readonly facts: Pick<FactStore, 'find'>
  readonly policies: RepositoryPolicies
}

/** MUST run in the repository's turn. @throws RegistryError DENIED; StoreError */
export async function requireUnbound(
  deps: UnboundDeps,
  repository: Repository,
  reference: Reference,
): Promise<void> {
  const { catalog, policies } = deps
  const { isImmutable, push } = policies.find(repository)
  if (isImmutable === DENIED.isImmutable) return
  const isBinding = (tag: RecordedTag) => (tag.local || push === 'store') && isImmutable(tag.tag)
  if (reference.kind === 'tag') {
    const known = await catalog.findTag(repository, reference.tag)
    if (known !== undefined && isBinding(known)) throw refusal(repository, known)
    if (known?.local !== true && isImmutable(reference.tag))
      await requireNoneLost(deps, repository, reference.tag)
    return
  }
  const binding = await tagsByDigest(catalog, repository, isBinding)
  if (binding.size === 0) return
  const above = new Set([reference.digest])
  const pieces = new Pieces()
  // It grows while it is gone through.
  for (const digest of above) {
    const tag = binding.get(digest)
    if (tag !== undefined) throw refusal(repository, { tag, digest })
    await pieces.done(1)
    for await (const lister of listersOf(catalog, repository, digest)) {
      above.add(lister)
      if (above.size > ABOVE_MAX) throw tooManyAbove(repository, reference)
    }
  }
}

/** What an upstream says of a tag may lie over a push of it that the catalog does not know. */
async function requireNoneLost(
  { facts }: UnboundDeps,
  repository: Repository,
  tag: Tag,
): Promise<void> {
  const digest = await findUnknownTag(facts, repository, tag)
  if (digest === undefined) return
  if (digest !== 'unreadable') throw refusal(repository, { tag, digest })
  throw new RegistryError(
    'DENIED',
    `the tag ${tag} of ${repositoryKey(repository)} is immutable, and what a push made of it cannot be read: let the operator of this registry look at its log`,
  )
}

async function tagsByDigest(
  catalog: UnboundDeps['catalog'],
  repository: Repository,
  isMeant: (tag: RecordedTag) => boolean,
): Promise<ReadonlyMap<Digest, Tag>> {
  const found = new Map<Digest, Tag>()
  const tags = rowsOf<RecordedTag, Tag>(
    page => catalog.listTags(repository, page),
    ({ tag }) => tag,
  )
  for await (const each of tags) if (isMeant(each)) found.set(each.digest, each.tag)
  return found
}

function listersOf(
  catalog: UnboundDeps['catalog'],
  repository: Repository,
  digest: Digest,
): AsyncGenerator<Digest> {
  return rowsOf<Digest, Digest>(
    page => catalog.listListers(repository, digest, page),
    each => each,
  )
}

function refusal(
  repository: Repository,
  { tag, digest }: Pick<RecordedTag, 'tag' | 'digest'>,
): RegistryError {
  return immutableTag(repository, { tag, at: digest, wanted: 'delete' })
}

function tooManyAbove(repository: Repository, reference: Reference): RegistryError {
  const what = formatReference(reference)
  return new RegistryError(
    'DENIED',
    `more than ${ABOVE_MAX} manifests of ${repositoryKey(repository)} need ${what}, and an immutable tag may lead to one of them: delete those first`,
  )
}
