// The tag under which the referrers of a digest are listed where a registry has no referrers API
// (distribution-spec "Referrers Tag Schema"; R77).
import { parseTag, type Tag } from './reference.ts'

const ALGORITHM_MAX_LENGTH = 32
const ENCODED_MAX_LENGTH = 64

/**
 * `sha256-<64 hex>`; of a longer digest the hex part is cut. `digestText` may be of any algorithm.
 */
export function referrersTag(digestText: string): Tag {
  const colon = digestText.indexOf(':')
  const algorithm = digestText.slice(0, colon).slice(0, ALGORITHM_MAX_LENGTH)
  const encoded = digestText.slice(colon + 1).slice(0, ENCODED_MAX_LENGTH)
  return parseTag(`${algorithm}-${encoded}`.replace(/[^a-zA-Z0-9._-]/g, '-'))
}
