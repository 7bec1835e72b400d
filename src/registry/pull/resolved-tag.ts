// Where a tag points, as a value: who said so, and when. How that is found out is in resolve-tag.ts
// and ask-tag.ts.
import type { Digest } from '../../oci/digest.ts'
import type { Repeatable, Source } from '../answers.ts'
import type { ManifestContent } from './manifest-content.ts'
import type { PreviousDigest } from '../ports/catalog-tags.ts'
import type { UpstreamError } from '../ports/upstream.ts'

export interface ResolvedTag {
  readonly digest: Digest
  readonly source: Source
  /** When the upstream last confirmed it. */
  readonly checkedAtMs: number
  /** What a HEAD of the upstream told, when it was asked for this answer. */
  readonly head: { mediaType: string | undefined; sizeBytes: number | undefined } | undefined
  /** The document, when it had to be fetched to find out. */
  readonly content: ManifestContent | undefined
  /** Set when the answer is stale: why the upstream could not be asked. */
  readonly failure: UpstreamError | undefined
  readonly warnings: readonly string[]
  /** When nobody was asked, and nobody need be for the next one. */
  readonly repeatable?: Repeatable | undefined
}

/** Was the upstream left out of it, not asked and not failing, and could be asked? */
export function isOnlyKnown({ source, head, content, failure }: ResolvedTag): boolean {
  return source !== 'local' && head === undefined && content === undefined && failure === undefined
}

/** From the catalog, nobody asked. */
export function fromKnown(
  known: PreviousDigest,
  source: Source,
  repeatable?: Repeatable,
): ResolvedTag {
  const { digest, checkedAtMs } = known
  return {
    digest,
    source,
    checkedAtMs,
    head: undefined,
    content: undefined,
    failure: undefined,
    warnings: [],
    repeatable,
  }
}
