// Moves content that no longer hashes to its digest out of the way, so that it is fetched anew and the operator can look
// at what the disk made of it. Never deletes it in the same step.
import { lstat, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../oci/digest.ts'
import { attempt, type Disk, removeFile } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import { blobPath, quarantinePath } from './layout.ts'
import type { FileIdentity } from './read-handle.ts'
import type { Turns } from './turns.ts'

/** Enough to see a pattern; a disk that rots faster than that must not be filled with evidence. The oldest go first. */
const QUARANTINE_FILES = 100

/**
 * Moves the blob's file if it is still the one that was found to be wrong: somebody may have put good content in its place
 * meanwhile. @throws StoreError io
 */
export async function quarantine(
  disk: Disk,
  turns: Turns,
  { digest, identity }: { digest: Digest; identity: FileIdentity },
): Promise<void> {
  const moved = await attempt(disk, `quarantine ${digest}`, () =>
    turns.take(digest, () => moveIfSame(disk, digest, identity)),
  )
  if (!moved) return
  const { quarantine: directory, root } = disk.layout
  disk.note({
    kind: 'storage failed',
    failure: 'corrupt',
    reason: `${digest} no longer hashes to its digest; moved to ${directory}`,
    hint: `check the disk that holds ${root}; the content is fetched again when it is next asked for`,
  })
  await attempt(disk, 'clear the quarantine', () => removeOldest(directory))
}

async function moveIfSame(disk: Disk, digest: Digest, identity: FileIdentity): Promise<boolean> {
  const path = blobPath(disk.layout, digest)
  try {
    const { dev, ino } = await lstat(path)
    if (dev !== identity.dev || ino !== identity.ino) return false
    await rename(path, quarantinePath(disk.layout, digest, disk.clock.nowMs()))
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

async function removeOldest(directory: string): Promise<void> {
  const names = (await readdir(directory)).sort()
  for (const name of names.slice(0, -QUARANTINE_FILES)) await removeFile(join(directory, name))
}
