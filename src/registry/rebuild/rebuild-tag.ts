// A tag that was pushed, as a catalog begun anew has to know it: this edge is the truth about it as
// long as no upstream has it.
import { LOCALHOST, parseRepositoryKey } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Fact } from '../ports/facts.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'

/**
 * `isCarried`: an entry of the outbox is to bring it to its upstream. False when what it points to
 * is lost.
 * @throws StoreError
 */
export async function rebuildTag(
  { catalog, policies }: { readonly catalog: Catalog; readonly policies: RepositoryPolicies },
  fact: Extract<Fact, { kind: 'tag' }>,
  isCarried: boolean,
): Promise<boolean> {
  const { tag, digest, atMs } = fact
  const repository = parseRepositoryKey(fact.repository)
  const isKept = repository.registry === LOCALHOST || policies.find(repository).push === 'store'
  if (!isCarried && !isKept) {
    // The upstream has had it since; what it says of it now is asked at the next pull, unless it
    // has said so to this catalog already.
    const known = await catalog.findTag(repository, tag)
    if (known === undefined || known.checkedAtMs <= atMs)
      await catalog.recordTag(repository, tag, digest, { checkedAtMs: atMs })
    return true
  }
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) return false
  const record = { repository, manifest, contentClass: 'kept', tags: [tag], atMs } as const
  await catalog.recordPush({ ...record, local: true })
  return true
}
