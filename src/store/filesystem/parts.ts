// Parts that no fill has open: which there are, what they take, and how one goes.
import { lstat, readdir } from 'node:fs/promises'
import type { Digest } from '../../oci/digest.ts'
import type { LeftPart } from '../../registry/ports/blob-store-fills.ts'
import { eachFew } from '../../async/few-at-once.ts'
import { type Disk, FILES_AT_ONCE, removeFile } from './disk.ts'
import { fillEntry, type Layout, partPath, sidecarPath } from './layout.ts'
import { readSidecar } from './sidecar.ts'

/** With their lengths. */
export async function measureParts(layout: Layout): Promise<ReadonlyMap<Digest, number>> {
  const entries = (await readdir(layout.fills)).map(fillEntry)
  const parts = entries.flatMap(entry => (entry?.kind === 'part' ? [entry.digest] : []))
  const sizes = parts.map(async digest => {
    const stats = await lstat(partPath(layout, digest)).catch(() => undefined)
    return [digest, stats?.size ?? 0] as const
  })
  return new Map(await Promise.all(sizes))
}

/** `sizes`: by digest, of those to look at. What is `open` or gone meanwhile is left out. */
export async function describeParts(
  disk: Disk,
  sizes: ReadonlyMap<Digest, number>,
  open: ReadonlySet<Digest>,
): Promise<readonly LeftPart[]> {
  const parts: LeftPart[] = []
  const left = [...sizes].filter(([digest]) => !open.has(digest))
  await eachFew(left, FILES_AT_ONCE, async ([digest, sizeBytes]) => {
    const stats = await lstat(partPath(disk.layout, digest)).catch(() => undefined)
    if (stats === undefined) return
    const source = (await readSidecar(disk, digest))?.expected.source
    parts.push({ digest, sizeBytes, changedAtMs: stats.mtimeMs, source })
  })
  return parts
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
