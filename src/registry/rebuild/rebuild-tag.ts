// A tag that was pushed, as a catalog begun anew has to know it: this edge is the truth about it as
// long as no upstream has it.
import { parseRepositoryKey } from '../../oci/reference.ts'
import type { StoredContent } from '../content/content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Fact } from '../ports/facts.ts'
import { isHome, type RepositoryPolicies } from '../routing/repository-policy.ts'

export interface RebuildTagParts {
  readonly catalog: Catalog
  readonly content: StoredContent
  readonly policies: RepositoryPolicies
}

/**
 * `isCarried`: an entry of the outbox is to bring it to its upstream. False when what it points to
 * is lost.
 * @throws StoreError
 */
export async function rebuildTag(
  { catalog, content, policies }: RebuildTagParts,
  fact: Extract<Fact, { kind: 'tag' }>,
  isCarried: boolean,
): Promise<boolean> {
  const { tag, digest, atMs, order } = fact
  const repository = parseRepositoryKey(fact.repository)
  const isKept = isHome(policies, repository)
  if (!isCarried && !isKept) {
    // The upstream has had it since; what it says of it now is asked at the next pull, unless it
    // has said so to this catalog already.
    const known = await catalog.findTag(repository, tag)
    if (known !== undefined && known.checkedAtMs > atMs) return true
    if (fact.imported !== true) {
      await catalog.recordTag(repository, tag, digest, { checkedAtMs: atMs })
      return true
    }
  }
  const elsewhere = isCarried ? 'awaited' : 'imported'
  const hold = isKept ? 'pushed' : elsewhere
  const ordered = order === undefined ? {} : { order }
  const more = { tags: [tag], atMs, hold, ...ordered } as const
  return (await content.pushKnown(repository, digest, more)) !== undefined
}
