// How values of the port stand in columns: digests as bytes, closed vocabularies as small integers.
// The numbers are part of the file format: never change one, only add.
import { type Digest, digestAlgorithm, digestHex } from '../../oci/digest.ts'
import type { ContentClass } from '../../registry/ports/blob-store-content.ts'
import type { EdgeKind, MembershipReason } from '../../registry/ports/catalog-content.ts'
import { LEAVE_REASONS, type LeaveReason } from '../../registry/ports/catalog-space.ts'
import type { Hold } from '../../registry/ports/holds.ts'
import type { Delivery } from '../../registry/ports/outbox.ts'

export const CLASS_CODES = { cached: 0, kept: 1 } as const satisfies Record<ContentClass, number>

export const EDGE_CODES = {
  manifest: 0,
  config: 1,
  layer: 2,
  subject: 3,
} as const satisfies Record<EdgeKind, number>

/**
 * By `listed` and `manifest` what a manifest lists belongs to the repository as well; not by
 * `confirmed`.
 */
export const REASON_CODES = {
  listed: 0,
  confirmed: 1,
  manifest: 2,
} as const satisfies Record<MembershipReason, number>

export const STATE_CODES = {
  waiting: 0,
  parked: 1,
} as const satisfies Record<Delivery['state'], number>

/** A set of them is their sum. */
export const HOLD_BITS = {
  pushed: 1,
  undelivered: 2,
  imported: 4,
} as const satisfies Record<Hold, number>

export const LEAVE_CODES = {
  evicted: 0,
  collected: 1,
  purged: 2,
  deleted: 3,
} as const satisfies Record<LeaveReason, number>

const EDGE_KINDS: readonly EdgeKind[] = ['manifest', 'config', 'layer', 'subject']

// sha256 sorts before sha512, as it does in text: pages by key agree whoever orders them.
const SHA256 = { prefix: '01', keyBytes: 33 }
const SHA512 = { prefix: '02', keyBytes: 65 }
const SHA512_BYTE = 2

/**
 * One byte for the algorithm, then the raw digest: 33 or 65 bytes.
 * @throws TypeError for what is no digest.
 */
export function digestBytes(digest: Digest): Buffer {
  const { prefix, keyBytes } = digestAlgorithm(digest) === 'sha512' ? SHA512 : SHA256
  const key = Buffer.from(prefix + digestHex(digest), 'hex')
  // Buffer.from stops silently at what is not hex; a short key would be another key.
  if (key.length !== keyBytes) throw new TypeError('not a digest')
  return key
}

/** The inverse of digestBytes. */
export function digestFromBytes(bytes: Buffer): Digest {
  const algorithm = bytes[0] === SHA512_BYTE ? 'sha512' : 'sha256'
  return `${algorithm}:${bytes.toString('hex', 1)}` as Digest
}

export function edgeKind(code: number): EdgeKind {
  const kind = EDGE_KINDS[code]
  if (kind === undefined) throw new TypeError(`unknown edge kind ${code}`)
  return kind
}

export function contentClass(code: number): ContentClass {
  return code === CLASS_CODES.kept ? 'kept' : 'cached'
}

/** What a later minor lets go for a reason of its own leaves as well. */
export function leaveReason(code: number): LeaveReason {
  return LEAVE_REASONS.find(reason => LEAVE_CODES[reason] === code) ?? 'collected'
}

/** What a later minor may call otherwise is not tried either. */
export function deliveryState(code: number): Delivery['state'] {
  return code === STATE_CODES.waiting ? 'waiting' : 'parked'
}
