// From what a person typed to the manifest that is here under that name.
import { parseImageText } from '../../oci/image-text.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatImage, type Reference, type Repository } from '../../oci/reference.ts'
import type { TagFact } from '../ports/catalog.ts'
import type { OperatorDeps } from './operator.ts'

export interface FoundImage {
  /** Canonical: `docker.io/library/alpine:3.20`. */
  readonly image: string
  readonly repository: Repository
  readonly reference: Reference
  readonly tag: TagFact | undefined
  /** Undefined when the tag is not known here. */
  readonly digest: Digest | undefined
}

/** @throws RegistryError NAME_INVALID, TAG_INVALID, DIGEST_INVALID, NAME_UNKNOWN */
export async function findImage(deps: OperatorDeps, text: string): Promise<FoundImage> {
  const { target, reference } = parseImageText(text)
  const { repository } = deps.registry.route(target, undefined)
  const image = formatImage(repository, reference)
  if (reference.kind === 'digest') {
    return { image, repository, reference, tag: undefined, digest: reference.digest }
  }
  const tag = await deps.catalog.findTag(repository, reference.tag)
  return { image, repository, reference, tag, digest: tag?.digest }
}
