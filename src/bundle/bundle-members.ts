// A bundle, read member by member as it comes: which members there are, and in which order, is
// checked before anybody sees a byte of one. What its bytes are to be, whoever reads says.
import type { Digest } from '../oci/digest.ts'
import { digestOfName, INDEX_NAME, INVENTORY_NAME, LAYOUT_NAME } from './layout.ts'
import { MemberBody, nextPiece } from './member-body.ts'
import { BundleFault, type ReadMember, shownName, type TarPiece } from './tar-pieces.ts'

export type BundleMember = {
  readonly sizeBytes: number
  /** To be read before the next member is asked for; what is not is passed over. */
  readonly bytes: AsyncIterable<Uint8Array>
} & (
  | { readonly kind: 'layout' | 'index' | 'inventory' }
  | { readonly kind: 'blob'; readonly digest: Digest }
)

/** Each once, before all blobs. */
const FIRST = [
  { kind: 'layout', name: LAYOUT_NAME },
  { kind: 'index', name: INDEX_NAME },
  { kind: 'inventory', name: INVENTORY_NAME },
] as const

/** @throws BundleFault for what is no bundle, or one that is not read here */
export async function* bundleMembers(
  pieces: AsyncGenerator<TarPiece>,
): AsyncGenerator<BundleMember> {
  let count = 0
  try {
    for (
      let piece = await nextPiece(pieces);
      piece !== undefined;
      piece = await nextPiece(pieces)
    ) {
      if (piece.kind !== 'head') continue
      const { member } = piece
      const what = whatIs(member, count)
      count += 1
      const body = new MemberBody(pieces)
      yield { ...what, sizeBytes: member.sizeBytes, bytes: body.read() }
      await body.passOver()
    }
    if (count < FIRST.length) throw new BundleFault('it ends before its inventory')
  } finally {
    await pieces.return(undefined)
  }
}

function whatIs(
  { name, kind }: ReadMember,
  place: number,
): { readonly kind: (typeof FIRST)[number]['kind'] } | { kind: 'blob'; digest: Digest } {
  const shown = shownName({ name })
  if (kind !== 'file') throw new BundleFault(`${shown} is no file: a bundle has nothing else`)
  const expected = FIRST[place]
  if (expected !== undefined) {
    if (name === expected.name) return { kind: expected.kind }
    throw new BundleFault(`${shown} stands where ${expected.name} is to be: this is no bundle`)
  }
  const digest = digestOfName(name)
  if (digest !== undefined) return { kind: 'blob', digest }
  throw new BundleFault(`${shown} belongs into no bundle, or not there`)
}
