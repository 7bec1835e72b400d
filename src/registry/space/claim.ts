// What somebody needs of the disk, now and when all of it has come.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'

export interface SpaceClaim {
  /**
   * `client`: a push, which may use what is kept from fills. `apart`: an upstream that does not
   * share (R252); such claims together get no more than a share of the room.
   */
  readonly from: 'client' | 'upstream' | 'apart'
  /** For which repository; undefined where it is for none, or many. */
  readonly of?: Repository | undefined
  /** Its blob, once the file of that has its name: a row that tells of it counts the same bytes. */
  readonly published?: (() => Digest | undefined) | undefined
  /** Not on disk yet. */
  missingBytes(): number
  /** All of the blob, which nobody else counts until it is recorded. */
  wholeBytes(): number
  /** Of what is missing: what has its room, and comes without asking for more. */
  roomBytes(): number
}

/** Asks whether there is room for what was promised already. */
export const NOTHING_MORE: SpaceClaim = {
  from: 'client',
  missingBytes: () => 0,
  wholeBytes: () => 0,
  roomBytes: () => 0,
}

/** Of a claim, what is to be written next. */
export type Piece = Pick<SpaceClaim, 'from' | 'of'> & { readonly bytes: number }

export function claimOf({ bytes, ...claims }: Piece): SpaceClaim {
  return {
    ...claims,
    missingBytes: () => bytes,
    wholeBytes: () => bytes,
    roomBytes: () => bytes,
  }
}

/**
 * On the disk, where what a claim has written is missing from the free space by itself; or of what
 * is allowed.
 */
export type Measure = 'missingBytes' | 'wholeBytes'

export function sumOf(claims: readonly SpaceClaim[], measure: Measure): number {
  return claims.reduce((total, claim) => total + claim[measure](), 0)
}

/** The same if nothing more came of it. */
export function arrived(claim: SpaceClaim): SpaceClaim {
  return shortened(claim, () => 0)
}

/** The same if no more came of it than what has its room: what nobody else may write to. */
export function held(claim: SpaceClaim): SpaceClaim {
  return shortened(claim, () => Math.min(claim.missingBytes(), claim.roomBytes()))
}

function shortened(claim: SpaceClaim, missingBytes: () => number): SpaceClaim {
  const { from, of } = claim
  const wholeBytes = () => Math.max(0, claim.wholeBytes() - claim.missingBytes()) + missingBytes()
  return { from, of, missingBytes, wholeBytes, roomBytes: missingBytes }
}
