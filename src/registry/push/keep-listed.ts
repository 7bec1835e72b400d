// What a kept manifest lists is kept too: content that was only cached becomes durable before the push is acknowledged, and of manifests
// it is written down that they belong here.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { type Listed, notThere } from './check-references.ts'
import { mapFew } from '../few-at-once.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Fact } from '../ports/facts.ts'
import { mayGive, type SharingDeps } from '../sharing.ts'

/** Each syncs a file; more of them share the same disk. */
const KEPT_AT_ONCE = 8

export interface BecameKept {
  readonly digest: Digest
  /** Of a manifest: to be written with the push. */
  readonly fact: Fact | undefined
}

/**
 * Of what is listed and in this repository with its bytes here: what was not kept before.
 * @throws StoreError; RegistryError MANIFEST_BLOB_UNKNOWN for what vanished meanwhile
 */
export async function keepListed(
  deps: SharingDeps & { readonly store: BlobStore },
  repository: Repository,
  { listed, atMs }: { listed: readonly Listed[]; atMs: number },
): Promise<readonly BecameKept[]> {
  const kept = await mapFew(listed, KEPT_AT_ONCE, each =>
    keepOne(deps, repository, { listed: each, atMs }),
  )
  return kept.filter(each => each !== undefined)
}

async function keepOne(
  deps: SharingDeps & { readonly store: BlobStore },
  repository: Repository,
  { listed, atMs }: { listed: Listed; atMs: number },
): Promise<BecameKept | undefined> {
  const { store, catalog } = deps
  const { digest } = listed
  if (digest === undefined || !(await mayGive(deps, repository, { digest }))) return undefined
  const content = await catalog.findContent(digest)
  // Kept already; or the upstream has it, and this disk does not.
  if (content?.contentClass === 'kept' || (await store.find(digest)) === undefined) return undefined
  const blob = await store.keep(digest)
  if (blob === undefined) throw notThere(repository, [listed])
  await catalog.recordBlob({ repository, ...blob, contentClass: 'kept', atMs })
  const mediaType = await catalog.mediaTypeOf(repository, digest)
  if (mediaType === undefined) return { digest, fact: undefined }
  const key = repositoryKey(repository)
  return { digest, fact: { kind: 'manifest', repository: key, digest, mediaType, atMs } }
}
