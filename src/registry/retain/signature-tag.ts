// Tags that are about a digest, by their name: cosign's `sha256-<hex>.sig`, `.att` and `.sbom`, and
// the list of referrers where there is no API for them. What they are about is their subject.
import { type Digest, digestFrom } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'

const SIGNATURE_TAG = /^(sha256|sha512)-([0-9a-f]+)(?:\.[A-Za-z0-9]+)?$/

/** Undefined for a tag that is about nothing but itself. */
export function subjectOfTag(tag: Tag): Digest | undefined {
  const [, algorithm, hex] = SIGNATURE_TAG.exec(tag) ?? []
  return algorithm === undefined ? undefined : digestFrom(`${algorithm}:${hex}`)
}
