// Which archive is this: a bundle of an edge, or one that another program wrote? An edge's says so
// by its first three members. What was looked at for that is read once more by whoever reads it.
import { type ArchiveMember, archiveMembers } from './archive-members.ts'
import { type BundleMember, bundleMembers } from './bundle-members.ts'
import { INDEX_NAME, INVENTORY_NAME, LAYOUT_NAME } from './layout.ts'
import { nextPiece } from './member-body.ts'
import { type TarPiece, tarPieces } from './tar-pieces.ts'

export type OpenedArchive =
  | { readonly kind: 'bundle'; readonly members: AsyncGenerator<BundleMember> }
  | { readonly kind: 'archive'; readonly members: AsyncGenerator<ArchiveMember> }

const BEGINNING = [LAYOUT_NAME, INDEX_NAME, INVENTORY_NAME] as const
/** No other program's index is longer that is read; so one that is begins a bundle. */
const LOOKED_AT_MAX_BYTES = 4 * 1024 * 1024

/** @throws BundleFault for what is no archive */
export async function openArchive(source: AsyncIterable<Uint8Array>): Promise<OpenedArchive> {
  const pieces = tarPieces(source)
  const seen: TarPiece[] = []
  const isBundle = await beginsBundle(pieces, seen)
  const all = both(seen, pieces)
  return isBundle
    ? { kind: 'bundle', members: bundleMembers(all) }
    : { kind: 'archive', members: archiveMembers(all) }
}

/** `seen` is given what was taken. */
async function beginsBundle(pieces: AsyncGenerator<TarPiece>, seen: TarPiece[]): Promise<boolean> {
  let heads = 0
  for (;;) {
    const piece = await nextPiece(pieces)
    if (piece === undefined) return false
    seen.push(piece)
    if (piece.kind !== 'head') continue
    const { name, sizeBytes } = piece.member
    if (name !== BEGINNING[heads]) return false
    heads += 1
    if (heads === BEGINNING.length) return true
    if (sizeBytes > LOOKED_AT_MAX_BYTES) return name === INDEX_NAME
  }
}

async function* both(seen: TarPiece[], rest: AsyncGenerator<TarPiece>): AsyncGenerator<TarPiece> {
  try {
    for (let piece = seen.shift(); piece !== undefined; piece = seen.shift()) yield piece
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}
