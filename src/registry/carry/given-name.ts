// What an operator says that an image of an archive is to be called, as people write images to this
// edge: `--as docker.io/library/alpine:3`, or without a tag where each keeps its own.
import type { OperatorDeps } from '../operator/operator-deps.ts'
import { nameImage } from '../operator/find-image.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { GivenName } from './archive-names.ts'

/** @throws RegistryError NAME_INVALID, TAG_INVALID, NAME_UNKNOWN */
export function givenName(
  deps: Pick<OperatorDeps, 'registry' | 'ownNameIn'>,
  text: string,
): GivenName {
  const { repository, reference } = nameImage(deps, text)
  if (reference.kind === 'digest')
    throw new RegistryError(
      'NAME_INVALID',
      'an image is imported as NAME or NAME:TAG, not by a digest',
    )
  const hasTag = text.slice(text.lastIndexOf('/') + 1).includes(':')
  return { repository, tag: hasTag ? reference.tag : undefined }
}
