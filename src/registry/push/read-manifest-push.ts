// What a client pushes as a manifest, by itself: the tags that it may be given, whether the bytes
// are what they are called, and whether they are a manifest. What it lists is check-references.ts.
import { type Digest, digestAlgorithm, digestOf } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Manifest, parseManifest } from '../../oci/manifest.ts'
import type { Tag } from '../../oci/reference.ts'
import { type ManifestPush, PUSH_TAGS_MAX } from '../answers.ts'

/** @throws RegistryError TAG_INVALID */
export function assertTags({ reference, tags }: ManifestPush): void {
  if (tags.length > PUSH_TAGS_MAX) {
    throw new RegistryError(
      'TAG_INVALID',
      `a manifest can be given ${PUSH_TAGS_MAX} tags at once, not ${tags.length}`,
      { status: 414 },
    )
  }
  if (reference.kind === 'digest' || tags.length === 0) return
  throw new RegistryError('TAG_INVALID', 'tags can be given only with a digest in the path')
}

/** @throws RegistryError DIGEST_INVALID; MANIFEST_INVALID */
export function readManifestPush(push: ManifestPush): { digest: Digest; manifest: Manifest } {
  return { digest: digestOfPush(push), manifest: parsePushed(push) }
}

/** @throws RegistryError DIGEST_INVALID */
function digestOfPush({ reference, bytes }: ManifestPush): Digest {
  if (reference.kind === 'tag') return digestOf(bytes)
  const digest = digestOf(bytes, digestAlgorithm(reference.digest))
  if (digest === reference.digest) return digest
  throw new RegistryError(
    'DIGEST_INVALID',
    `the ${bytes.length} bytes that came do not hash to ${reference.digest}`,
  )
}

/** @throws RegistryError MANIFEST_INVALID */
function parsePushed({ bytes, mediaType }: ManifestPush): Manifest {
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    // For who pulls, schema 1 is not there; for who pushes, it is nothing that can be kept (R41).
    if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_UNKNOWN') throw error
    throw new RegistryError('MANIFEST_INVALID', error.message, { cause: error })
  }
}

/** All that point to it from now on. */
export function tagsOf({ reference, tags }: ManifestPush): readonly Tag[] {
  return reference.kind === 'tag' ? [reference.tag] : [...new Set(tags)]
}
