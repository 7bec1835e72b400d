// Walks everything that is stored. For recovery and for jobs: its cost grows with the number of
// blobs, its memory does not.
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import type { StoredBlob } from '../../registry/ports/blob-store-content.ts'
import { errnoOf } from './disk-error.ts'
import {
  ALGORITHMS,
  algorithmDirectory,
  blobPath,
  digestOfBlobName,
  type Layout,
  prefixNames,
} from './layout.ts'

/** Looked at together: keeps the thread pool busy without filling it. */
const LOOKS_AT_ONCE = 32

/** Every regular file under a digest's name. @throws the system's error */
export async function* listBlobs(layout: Layout): AsyncGenerator<StoredBlob> {
  for (const algorithm of ALGORITHMS) {
    for (const prefix of prefixNames()) yield* listPrefix(layout, algorithm, prefix)
  }
}

async function* listPrefix(
  layout: Layout,
  algorithm: DigestAlgorithm,
  prefix: string,
): AsyncGenerator<StoredBlob> {
  let batch: Digest[] = []
  for await (const name of namesIn(join(algorithmDirectory(layout, algorithm), prefix))) {
    const digest = digestOfBlobName(algorithm, prefix, name)
    if (digest !== undefined) batch.push(digest)
    if (batch.length < LOOKS_AT_ONCE) continue
    yield* await lookAt(layout, batch)
    batch = []
  }
  yield* await lookAt(layout, batch)
}

async function* namesIn(directory: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(directory, { bufferSize: 256 })) yield entry.name
  } catch (error) {
    // Removed behind our back; the next start makes it again.
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

async function lookAt(layout: Layout, digests: readonly Digest[]): Promise<StoredBlob[]> {
  const found = await Promise.all(digests.map(digest => findBlob(layout, digest)))
  return found.filter(blob => blob !== undefined)
}

/** Undefined when there is no regular file under this digest's name. */
export async function findBlob(layout: Layout, digest: Digest): Promise<StoredBlob | undefined> {
  try {
    const stats = await lstat(blobPath(layout, digest))
    return stats.isFile() ? { digest, sizeBytes: stats.size } : undefined
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    throw error
  }
}
