// Bytes with a digest, as stubs and tests hand them around. A pattern blob has no bytes in memory:
// they are AES-CTR key stream, so that any part of a gigabyte can be made again from its seed and
// offset.
import { createCipheriv, createHash } from 'node:crypto'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'

/** Something that can be put into a stub registry. */
export interface Content {
  readonly digest: Digest
  readonly sizeBytes: number
  /** A fresh buffer of exactly `lengthBytes`, which must lie inside the content. */
  read(offset: number, lengthBytes: number): Buffer
  /** Everything at once; only for what is small. */
  bytes(): Buffer
}

/** Digests of pattern blobs that were computed already: a gigabyte takes seconds. */
const knownDigests = new Map<string, Digest>()
/** AES works on blocks of 16 bytes; the counter of a block is its number. */
const BLOCK_BYTES = 16
/** Enough to keep the hash busy, little enough to be made in a millisecond. */
const HASH_CHUNK_BYTES = 1024 * 1024

/** Content that is held in memory. */
export function bytesContent(bytes: Buffer, algorithm: DigestAlgorithm = 'sha256'): Content {
  return {
    digest: digestOf(bytes, algorithm),
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => Buffer.from(bytes.subarray(offset, offset + lengthBytes)),
    bytes: () => bytes,
  }
}

/**
 * Incompressible content of any size that needs no memory; the same seed and size are the same
 * bytes for ever.
 */
export function patternBlob(seed: string | number, sizeBytes: number): Content {
  const key = createHash('sha256').update(`pattern:${seed}`).digest()
  const read = (offset: number, lengthBytes: number) => keyStream(key, offset, lengthBytes)
  return {
    digest: digestOfPattern(`${seed}:${sizeBytes}`, sizeBytes, read),
    sizeBytes,
    read,
    bytes: () => read(0, sizeBytes),
  }
}

function keyStream(key: Buffer, offset: number, lengthBytes: number): Buffer {
  const counter = Buffer.alloc(BLOCK_BYTES)
  counter.writeBigUInt64BE(BigInt(Math.floor(offset / BLOCK_BYTES)), BLOCK_BYTES - 8)
  const skipBytes = offset % BLOCK_BYTES
  const zeros = Buffer.alloc(skipBytes + lengthBytes)
  return createCipheriv('aes-256-ctr', key, counter).update(zeros).subarray(skipBytes)
}

function digestOfPattern(
  name: string,
  sizeBytes: number,
  read: (offset: number, lengthBytes: number) => Buffer,
): Digest {
  const known = knownDigests.get(name)
  if (known !== undefined) return known
  const hash = createHash('sha256')
  for (let offset = 0; offset < sizeBytes; offset += HASH_CHUNK_BYTES) {
    hash.update(read(offset, Math.min(HASH_CHUNK_BYTES, sizeBytes - offset)))
  }
  const digest = `sha256:${hash.digest('hex')}` as Digest
  knownDigests.set(name, digest)
  return digest
}
