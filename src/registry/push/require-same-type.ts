// Whether a push would give a manifest that its repository has another media type: what tags lead
// to, immutable ones too, would be something else to clients, without any tag having moved. Only a
// document that does not name its own type can be called two things (`parseManifest`).
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { PushWay } from '../refusals/push-refusal.ts'

export interface TypedPush {
  readonly repository: Repository
  readonly digest: Digest
  readonly manifest: Pick<Manifest, 'mediaType'>
}

/**
 * Certain only in the repository's turn. Not asked in `forward`: there the upstream decides.
 * @throws RegistryError MANIFEST_INVALID, which says the way out; StoreError
 */
export async function requireSameType(
  catalog: Pick<Catalog, 'findMember'>,
  way: PushWay,
  { repository, digest, manifest: { mediaType } }: TypedPush,
): Promise<void> {
  if (way.mode === 'forward') return
  const first = (await catalog.findMember(repository, digest))?.mediaType
  if (first === undefined || first === mediaType) return
  const key = repositoryKey(repository)
  throw new RegistryError(
    'MANIFEST_INVALID',
    `${key} has ${digest} as ${first}, and the same bytes cannot be ${mediaType} as well: push them with the first Content-Type, write a mediaType into the manifest, or delete it there first`,
    { detail: { digest, mediaType: first } },
  )
}
