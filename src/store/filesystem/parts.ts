// Parts that no fill has open: which there are, what they take, and how one goes.
import { lstat, readdir } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import { type Disk, removeFile } from './disk.ts'
import { fillEntry, type Layout, partPath, sidecarPath } from './layout.ts'

export async function listParts(layout: Layout): Promise<readonly Digest[]> {
  const entries = (await readdir(layout.fills)).map(fillEntry)
  return entries.flatMap(entry => (entry?.kind === 'part' ? [entry.digest] : []))
}

/** With their lengths. */
export async function measureParts(layout: Layout): Promise<ReadonlyMap<Digest, number>> {
  const sizes = (await listParts(layout)).map(async digest => {
    const stats = await lstat(partPath(layout, digest)).catch(() => undefined)
    return [digest, stats?.size ?? 0] as const
  })
  return new Map(await Promise.all(sizes))
}

/** Has it not grown for so long? Also when it is gone. */
export async function isOlder(disk: Disk, digest: Digest, ageMs: number): Promise<boolean> {
  // A file may be younger than the clock says that it is now.
  if (ageMs === 0) return true
  const stats = await lstat(partPath(disk.layout, digest)).catch(() => undefined)
  return stats === undefined || disk.clock.nowMs() - stats.mtimeMs >= ageMs
}

/** The part first: a sidecar alone is nothing. */
export async function removePart(layout: Layout, digest: Digest): Promise<void> {
  await removeFile(partPath(layout, digest))
  await removeFile(sidecarPath(layout, digest))
}
