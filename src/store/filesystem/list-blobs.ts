// Walks everything that is stored. For recovery and for jobs: its cost grows with the number of
// blobs, its memory with a 256th of it. The names of a directory come at once: most have few, and
// to open, read and close each by itself is three times as much.
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import type { PassedOver, StoredBlob } from '../../registry/ports/blob-store-content.ts'
import type { Disk } from './disk.ts'
import { diskError, errnoOf, isUnreadable } from './disk-error.ts'
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

export interface ListBlobsDeps extends Pick<Disk, 'layout' | 'unreadable'> {
  /** Told of what cannot be looked at, as `unreadable` is: one bad file hides no others. */
  readonly passedOver: PassedOver
}

/** Every regular file under a digest's name. @throws StoreError */
export async function* listBlobs(deps: ListBlobsDeps): AsyncGenerator<StoredBlob> {
  try {
    yield* listAll(deps)
  } catch (error) {
    throw diskError(error, { doing: 'list the blobs', root: deps.layout.root })
  }
}

async function* listAll(deps: ListBlobsDeps): AsyncGenerator<StoredBlob> {
  for (const algorithm of ALGORITHMS) {
    const present = new Set(await namesIn(deps, algorithmDirectory(deps.layout, algorithm)))
    for (const prefix of prefixNames())
      if (present.has(prefix)) yield* listPrefix(deps, algorithm, prefix)
  }
}

async function* listPrefix(
  deps: ListBlobsDeps,
  algorithm: DigestAlgorithm,
  prefix: string,
): AsyncGenerator<StoredBlob> {
  const names = await namesIn(deps, join(algorithmDirectory(deps.layout, algorithm), prefix))
  const digests = names
    .map(name => digestOfBlobName(algorithm, prefix, name))
    .filter(digest => digest !== undefined)
  for (let at = 0; at < digests.length; at += LOOKS_AT_ONCE)
    yield* await lookAt(deps, digests.slice(at, at + LOOKS_AT_ONCE))
}

async function namesIn(
  { unreadable, passedOver }: ListBlobsDeps,
  directory: string,
): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isUnreadable(error)) {
      unreadable.tell(directory, error)
      passedOver(undefined)
      return []
    }
    // Removed behind our back; the next start makes it again.
    if (errnoOf(error) !== 'ENOENT') throw error
    return []
  }
}

async function lookAt(
  { layout, unreadable, passedOver }: ListBlobsDeps,
  digests: readonly Digest[],
): Promise<StoredBlob[]> {
  const look = (digest: Digest) =>
    findBlob(layout, digest).catch((error: unknown) => {
      unreadable.tell(digest, error)
      passedOver(digest)
      return undefined
    })
  const found = await Promise.all(digests.map(look))
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
