// Conditional requests on content that is named by its digest (RFC 9110 §13; R10, R60). The digest
// is the ETag, and a strong one. There are no dates: content has no time of last change.
import type { Digest } from './digest.ts'
import { splitQuoted } from './header-list.ts'

/** `"sha256:…"` */
export function etagOf(digest: Digest): string {
  return `"${digest}"`
}

/**
 * Does `If-None-Match` name this digest, so that the answer is 304? Weak and strong tags alike, a
 * list, `*`, and the digest without quotes that older Docker clients send. False when there is no
 * header.
 */
export function matchesIfNoneMatch(header: string | undefined, digest: Digest): boolean {
  if (header === undefined) return false
  return splitQuoted(header, ',').some(member => {
    const tag = member.startsWith('W/') ? member.slice(2) : member
    return tag === '*' || tag === digest || tag === etagOf(digest)
  })
}

/**
 * May a `Range` be honoured? Yes without `If-Range`; else only on the very ETag: weak ones and
 * dates never match.
 */
export function matchesIfRange(header: string | undefined, digest: Digest): boolean {
  return header === undefined || header.trim() === etagOf(digest)
}
