// Reading content whole, and only if it is the right one.
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  finishDigest,
  startDigest,
} from '../../oci/digest.ts'
import { StoreError } from '../../registry/ports/blob-store.ts'
import { readFully } from './disk.ts'
import { hashBytes } from './hash-file.ts'
import type { OpenedFile } from './read-handle.ts'

/** Of one readVerified. Manifests are at most 4 MiB; whoever wants more reads by position. */
const READ_WHOLE_LIMIT_BYTES = 64 * 1024 * 1024

/**
 * All bytes, or undefined when they are not those of `digest`. What is larger than any content read
 * whole is only hashed.
 */
export async function readIfRight(
  opened: OpenedFile,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const { file, sizeBytes } = opened
  const algorithm = digestAlgorithm(digest)
  if (sizeBytes > READ_WHOLE_LIMIT_BYTES) {
    const hash = startDigest(algorithm)
    await hashBytes(hash, file, sizeBytes)
    if (finishDigest(hash, algorithm) !== digest) return undefined
    throw new StoreError('io', `${digest} has ${sizeBytes} bytes: too many to read whole`)
  }
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  const length = await readFully(file, bytes, 0)
  return digestOf(bytes.subarray(0, length), algorithm) === digest ? bytes : undefined
}
