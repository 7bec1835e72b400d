// Bundles and inventories for tests: bytes that come in pieces, heads that were changed, and a key.
import { generateKeyPairSync } from 'node:crypto'
import { type BundleSigner, createSigner } from '../../src/bundle/bundle-key.ts'
import {
  type InventoryContent,
  type InventoryImage,
  writeInventory,
} from '../../src/bundle/inventory.ts'
import {
  blobName,
  INDEX_NAME,
  INVENTORY_NAME,
  LAYOUT_NAME,
  LAYOUT_TEXT,
} from '../../src/bundle/layout.ts'
import { checksumOf, paddingOf, tarHead } from '../../src/bundle/tar-head.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'

/** The same bytes, so many at a time. */
export async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** Of a head of an archive that was changed. */
export function withChecksum(head: Buffer): Buffer {
  head.write(`${checksumOf(head).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return head
}

export function makeSigner(): BundleSigner {
  return createSigner(generateKeyPairSync('ed25519').privateKey)
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(Buffer.from(piece))
  return Buffer.concat(all)
}

/** What a made-up inventory names: without bytes it has to have a state. */
export interface MadeContent {
  readonly digest: Digest
  readonly bytes?: Uint8Array
  readonly size?: number
  readonly type?: string
  readonly in?: readonly string[]
  readonly state?: InventoryContent['state']
}

/** A bundle that says whatever its author likes, in the order and the form of one that is right. */
export async function makeBundle(
  images: readonly InventoryImage[],
  contents: readonly MadeContent[],
  signer = makeSigner(),
): Promise<Buffer> {
  const index = Buffer.from('{}')
  const lines = contents
    .map(({ digest, bytes, size = bytes?.length ?? 0, type, in: repositories, state }) => ({
      content: digest,
      size,
      ...(type !== undefined && { type, in: repositories ?? [] }),
      ...(state !== undefined && { state }),
    }))
    .toSorted((a, b) => compare(a.content, b.content))
  const head = { edge: 'elsewhere', index: digestHex(digestOf(index)) }
  const inventory = await collect(writeInventory({ ...head, images, contents: lines }, signer))
  const brought = contents
    .filter(({ state }) => state === undefined)
    .toSorted(
      (a, b) =>
        Number(a.type === undefined) - Number(b.type === undefined) || compare(a.digest, b.digest),
    )
  return Buffer.concat([
    tarMember(LAYOUT_NAME, Buffer.from(LAYOUT_TEXT)),
    tarMember(INDEX_NAME, index),
    tarMember(INVENTORY_NAME, inventory),
    ...brought.map(({ digest, bytes = Buffer.alloc(0) }) => tarMember(blobName(digest), bytes)),
    Buffer.alloc(1024),
  ])
}

function tarMember(name: string, bytes: Uint8Array): Buffer {
  const padding = Buffer.alloc(paddingOf(bytes.length))
  return Buffer.concat([tarHead({ name, sizeBytes: bytes.length }), bytes, padding])
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
