// Hashing what is on disk already: parts that are resumed, content that is verified on a read.
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  finishDigest,
  startDigest,
} from '../../oci/digest.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { createReadBuffer } from '../../registry/ports/chunk-memory.ts'
import { readFully } from './disk.ts'
import type { OpenedFile } from './read-handle.ts'

/**
 * Per read and per update of the hash: about a millisecond of the event loop on a small machine,
 * and few system calls.
 */
const STEP_BYTES = 1024 * 1024

/** Of one readVerified. Manifests are at most 4 MiB; whoever wants more reads by position. */
const READ_WHOLE_LIMIT_BYTES = 64 * 1024 * 1024

/** Feeds the first `lengthBytes` of `file` to `hash`. @throws EIO when the file is shorter */
export async function hashBytes(hash: Hash, file: FileHandle, lengthBytes: number): Promise<void> {
  const buffer = createReadBuffer(Math.min(STEP_BYTES, lengthBytes))
  for (let position = 0; position < lengthBytes; ) {
    const wanted = buffer.subarray(0, Math.min(buffer.length, lengthBytes - position))
    const length = await readFully(file, wanted, position)
    if (length < wanted.length) throw shorter()
    hash.update(wanted)
    position += length
  }
}

/**
 * All bytes; none when they are not those of `digest`. What is larger than any content read
 * whole is only hashed.
 */
export async function readIfRight(
  opened: OpenedFile,
  digest: Digest,
): Promise<{ readonly bytes: Uint8Array | undefined }> {
  const { file, sizeBytes } = opened
  const algorithm = digestAlgorithm(digest)
  if (sizeBytes > READ_WHOLE_LIMIT_BYTES) {
    const hash = startDigest(algorithm)
    await hashBytes(hash, file, sizeBytes)
    if (finishDigest(hash, algorithm) !== digest) return { bytes: undefined }
    throw new StoreError('io', `${digest} has ${sizeBytes} bytes: too many to read whole`)
  }
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  const length = await readFully(file, bytes, 0)
  const isRight = digestOf(bytes.subarray(0, length), algorithm) === digest
  return { bytes: isRight ? bytes : undefined }
}

function shorter(): Error {
  return Object.assign(new Error('read: the file is shorter than its length'), { code: 'EIO' })
}
