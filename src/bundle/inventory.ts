// An inventory: which images there are, and of what content, as lines of JSON that are written and
// read one at a time (docs/bundle-format.md). It ends with a line that signs all before it, so that
// one that was cut is none. No time of its making is in it: of the same content it is the same.
import { createHash } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'
import { type BundleSigner, statementOf } from './bundle-key.ts'
import { lineOf, type SignedEnd } from './signed-lines.ts'

export const INVENTORY_VERSION = 1

export interface InventoryHead {
  readonly entrepot: 'inventory'
  readonly version: typeof INVENTORY_VERSION
  /** Whose it is: what `order` of its images counts by, where it says no other. */
  readonly edge: string
  /** Of a bundle's: SHA-256 of its `index.json`, which so is signed as well. */
  readonly index?: string
}

/** In the order of `placeOfImage`. */
export interface InventoryImage {
  /** `docker.io/library/alpine:3`, or with `@sha256:…` where no tag leads to it. */
  readonly image: string
  readonly digest: Digest
  /** Of the push that pointed the tag here: of two by one edge the higher number is the later. */
  readonly order?: { readonly edge: string; readonly number: number }
  /** Of a tag that was pulled: since when it leads there at this edge. */
  readonly changedAtMs?: number
}

/** In the order of the digests. */
export interface InventoryContent {
  readonly content: Digest
  readonly size: number
  /** Of manifests alone. */
  readonly type?: string
  /** Of a manifest that is about another one. */
  readonly subject?: Digest
  /** Of manifests: repositories that have it, in their order. */
  readonly in?: readonly string[]
  /** It was pushed, and no upstream has it yet, or ever. */
  readonly kept?: true
  /**
   * Absent: it is there. `supposed`: whoever gets this has it already. `left out`: nobody asked for
   * it, though an index lists it.
   */
  readonly state?: 'supposed' | 'left out'
}

/** The last line. */
export interface InventoryEnd extends SignedEnd {
  readonly end: {
    readonly images: number
    readonly contents: number
    /** Of content that is there. */
    readonly bytes: number
  }
}

export type InventoryLine = InventoryHead | InventoryImage | InventoryContent | InventoryEnd

export interface InventoryParts extends Pick<InventoryHead, 'edge' | 'index'> {
  readonly images: AsyncIterable<InventoryImage> | Iterable<InventoryImage>
  readonly contents: AsyncIterable<InventoryContent> | Iterable<InventoryContent>
}

/** Behind all of which tags are made. */
const BEHIND_TAGS = '~'

/** By repository, then by tag, then by digest: what is sorted by it is as a catalog lists it. */
export function placeOfImage(image: string): string {
  const { name, tag, digest } = partsOfImage(image)
  return `${name}\0${digest === undefined ? tag : BEHIND_TAGS + digest}`
}

/** Has either a tag or a digest; neither is looked at. */
export function partsOfImage(image: string) {
  const at = image.indexOf('@')
  const end = at === -1 ? image.lastIndexOf(':') : at
  const [name, rest] = [image.slice(0, end), image.slice(end + 1)]
  return at === -1 ? { name, tag: rest, digest: undefined } : { name, tag: '', digest: rest }
}

/** Lines are handed on when there are so many bytes of them. */
const PIECE_BYTES = 32 * 1024

/** In pieces of some lines each. Same parts and same key: same bytes. */
export async function* writeInventory(
  { edge, index, images, contents }: InventoryParts,
  signer: BundleSigner,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const counts = { images: 0, contents: 0, bytes: 0 }
  let waiting = ''
  const take = () => {
    const piece = Buffer.from(waiting)
    waiting = ''
    hash.update(piece)
    return piece
  }
  const kind = { entrepot: 'inventory', version: INVENTORY_VERSION } as const
  const head: InventoryHead = { ...kind, edge, ...(index !== undefined && { index }) }
  waiting += lineOf(head)
  for await (const image of images) {
    counts.images += 1
    waiting += lineOf(image)
    if (waiting.length >= PIECE_BYTES) yield take()
  }
  for await (const content of contents) {
    counts.contents += 1
    if (content.state === undefined) counts.bytes += content.size
    waiting += lineOf(content)
    if (waiting.length >= PIECE_BYTES) yield take()
  }
  yield take()
  const sha256 = hash.digest('hex')
  const signature = Buffer.from(signer.sign(statementOf('inventory', sha256))).toString('base64')
  const end: InventoryEnd = { end: counts, sha256, key: signer.key, signature }
  yield Buffer.from(lineOf(end))
}
