// The headers that say what an answer's content is and where it came from (R5, R8–R11, R13, R32),
// the same for GET and HEAD, and for 200, 206 and 304; and the URLs that answers to a push give
// out, in the form that the client used, prefix and `ns` included (R29, R99).
import { etagOf } from '../../oci/conditional.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatNextLink } from '../../oci/paging.ts'
import { formatWarnings } from '../../oci/warning.ts'
import type { Source, UploadState } from '../../registry/answers.ts'
import type { AnswerHeaders } from '../answer.ts'
import type { NamedContext } from '../context.ts'

/** Of content that has a digest. */
export function contentHeaders(digest: Digest, source: Source): AnswerHeaders {
  return {
    'Docker-Content-Digest': digest,
    ETag: etagOf(digest),
    'X-Entrepot-Source': source,
  }
}

/**
 * What was asked for by digest never changes; `anonymously`: it may be read without credentials, so
 * a shared cache may keep it.
 */
export function cacheByDigest(anonymously: boolean): string {
  return anonymously ? 'max-age=31536000, immutable' : 'private, max-age=31536000, immutable'
}

/** For what may be different the next time: tags, lists, referrers. */
export const REVALIDATE = 'no-cache'

/** One header line per warning; undefined when there is none. */
export function warningLines(texts: readonly string[]): readonly string[] | undefined {
  return texts.length === 0 ? undefined : formatWarnings(texts)
}

export function blobLocation(context: NamedContext, digest: Digest): string {
  return locate(context, `blobs/${digest}`)
}

export function manifestLocation(context: NamedContext, digest: Digest): string {
  return locate(context, `manifests/${digest}`)
}

/**
 * Where an upload goes on and how far it has come. An empty one is `0-0`, which is also one of a
 * single byte (R106).
 */
export function uploadHeaders(
  context: NamedContext,
  { id, sizeBytes }: UploadState,
): AnswerHeaders {
  return {
    Location: locate(context, `blobs/uploads/${id}`),
    Range: `0-${Math.max(0, sizeBytes - 1)}`,
    'Docker-Upload-UUID': id,
  }
}

function locate({ routed, target }: NamedContext, rest: string): string {
  const namespace = target.query.get('ns')
  const query = namespace === null ? '' : `?ns=${encodeURIComponent(namespace)}`
  return `${routed.urlPrefix}/${rest}${query}`
}

/** The `Link` to the next page of a list; undefined where there is none. */
export function nextLink(
  urlPath: string,
  query: URLSearchParams,
  { limit, last }: { readonly limit: number; readonly last: string | undefined },
): string | undefined {
  return last === undefined ? undefined : formatNextLink(urlPath, query, { limit, last })
}
