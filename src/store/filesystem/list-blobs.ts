// Walks everything that is stored. For recovery and for jobs: its cost grows with the number of
// blobs, its memory with a 256th of it. The names of a directory come at once: most have few, and
// to open, read and close each of 512 by itself is three times as much.
import { lstat, readdir } from 'node:fs/promises'
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
  const names = await namesIn(join(algorithmDirectory(layout, algorithm), prefix))
  const digests = names
    .map(name => digestOfBlobName(algorithm, prefix, name))
    .filter(digest => digest !== undefined)
  for (let at = 0; at < digests.length; at += LOOKS_AT_ONCE)
    yield* await lookAt(layout, digests.slice(at, at + LOOKS_AT_ONCE))
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    // Removed behind our back; the next start makes it again.
    if (errnoOf(error) !== 'ENOENT') throw error
    return []
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
