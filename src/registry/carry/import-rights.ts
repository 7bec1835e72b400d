// What a bundle need not bring, since it is here: and for whom. A digest is no right (ADR 0004):
// whoever writes a bundle can name any, and would read another team's content under a name of his
// own if what lies on the disk counted for every repository that lists it.
import { BundleFault } from '../../bundle/tar-pieces.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey } from '../../oci/reference.ts'
import { verified } from '../ports/catalog-content.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { isShared, mayGive, type SharingDeps } from '../routing/sharing.ts'
import type { ExpectedContent, ImportPlan } from './import-plan.ts'

interface Deps extends SharingDeps {
  readonly store: Pick<BlobStore, 'find'>
}

/** Of supposed content that is not here, or not for whom it would be, so many are named. */
const NAMED_MAX = 5

/** Not what was found on the disk alone: nobody has seen that it is right. */
export async function isHere(
  { catalog, store }: Pick<Deps, 'catalog' | 'store'>,
  { digest, sizeBytes }: StoredBlob,
): Promise<boolean> {
  const content = verified(await catalog.findContent(digest))
  if (content?.sizeBytes !== sizeBytes) return false
  return (await store.find(digest, sizeBytes)) !== undefined
}

/** Who reads those repositories can read it there already. @throws StoreError */
export async function isGiven(
  deps: Deps,
  { digest, repositories }: ExpectedContent,
): Promise<boolean> {
  for (const key of repositories)
    if (!(await mayGive(deps, parseRepositoryKey(key), { digest }))) return false
  return true
}

/** @throws BundleFault where a part of what it supposes is not here */
export function requireHere(lacking: readonly Digest[]): void {
  if (lacking.length === 0) return
  throw new BundleFault(
    `it supposes what is not here, ${lacking.length} manifests and blobs: ${named(lacking)}; import what it is based on first, or have it exported whole`,
  )
}

/**
 * Once all that it has to say was said: what it supposes belongs to the repositories that it is
 * for. Of a bundle by a key that the operator names, an edge has looked what lists what, so among
 * registries that share its word is that of their upstream.
 * @throws BundleFault; StoreError
 */
export async function requireGiven(
  deps: Deps,
  plan: ImportPlan,
  isKeyNamed: boolean,
): Promise<void> {
  const foreign: Digest[] = []
  for (const expected of plan.supposed())
    if (!(await isGiven(deps, expected)) && !(isKeyNamed && (await areShared(deps, expected))))
      foreign.push(expected.digest)
  if (foreign.length === 0) return
  const wayOut = isKeyNamed
    ? 'have it exported whole'
    : 'name the key of the edge that made it (--require-signature), or have it exported whole'
  throw new BundleFault(
    `it supposes ${foreign.length} manifests and blobs that are here, but for other repositories: ${named(foreign)}; ${wayOut}`,
  )
}

async function areShared(deps: Deps, { digest, repositories }: ExpectedContent): Promise<boolean> {
  for (const key of repositories)
    if (!(await isShared(deps, parseRepositoryKey(key).registry, digest))) return false
  return true
}

function named(digests: readonly Digest[]): string {
  return digests.slice(0, NAMED_MAX).join(', ') + (digests.length > NAMED_MAX ? ' …' : '')
}
