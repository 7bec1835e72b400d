// Bundles and inventories for tests: bytes that come in pieces, heads that were changed, and a key.
import { generateKeyPairSync } from 'node:crypto'
import { type BundleSigner, createSigner } from '../../src/bundle/bundle-key.ts'
import { checksumOf } from '../../src/bundle/tar-head.ts'

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
