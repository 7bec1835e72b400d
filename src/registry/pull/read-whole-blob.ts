// A small blob that is here, whole and hashed, for a memory of answers. open-blob.ts is for
// everything else.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobRead } from '../answers.ts'
import { alwaysFrom } from './freshness.ts'
import { noteUse } from './open-blob.ts'
import type { PullBlobDeps } from './pull-blob.ts'
import { mayGive } from '../sharing.ts'

/** As Registry.readWholeBlob. @throws StoreError */
export async function readWholeBlob(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, maxBytes }: { digest: Digest; maxBytes: number },
): Promise<BlobRead | undefined> {
  const { catalog, store, namespaces } = deps
  if (!(await mayGive(deps, repository, { digest }))) return undefined
  const stored = await store.find(digest)
  if (stored === undefined || stored.sizeBytes > maxBytes) return undefined
  const bytes = await store.readVerified(digest)
  if (bytes === undefined) return undefined
  await noteUse(deps, repository, { blob: stored, known: await catalog.findContent(digest) })
  const source = namespaces.find(repository.registry) === undefined ? 'local' : 'hit'
  return { ...stored, bytes, source, repeatable: alwaysFrom() }
}
