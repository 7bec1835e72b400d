// The bytes of one member of a bundle, as whoever imports it wants them.
import { createHash } from 'node:crypto'
import type { BundleMember } from '../../bundle/bundle-members.ts'
import { RottenBlob } from '../../bundle/checked-bundle.ts'
import { LAYOUT_TEXT } from '../../bundle/layout.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { type Digest, digestAlgorithm } from '../../oci/digest.ts'

/** @throws BundleFault */
export async function requireLayout(member: BundleMember): Promise<void> {
  const isSo = member.sizeBytes === LAYOUT_TEXT.length
  if (isSo && String(await wholeOf(member)) === LAYOUT_TEXT) return
  throw new BundleFault('its oci-layout is none of a bundle')
}

/** Of a member whose size is bounded. */
export async function wholeOf({ bytes }: BundleMember): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Of all its bytes, in hexadecimal. */
export async function sha256Of({ bytes }: BundleMember): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of bytes) hash.update(piece)
  return hash.digest('hex')
}

/** As a body of one piece. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

/** @throws RottenBlob */
export async function requireRight(digest: Digest, body: AsyncIterable<Uint8Array>): Promise<void> {
  const hash = createHash(digestAlgorithm(digest))
  for await (const piece of body) hash.update(piece)
  if (`${digestAlgorithm(digest)}:${hash.digest('hex')}` !== digest) throw new RottenBlob(digest)
}
