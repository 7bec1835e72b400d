// When a client that keeps its blobs in containerd's content store has downloaded them: a blob's
// file stands there under its digest once containerd has verified it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { secondsSince } from './client.ts'

/** Between two looks: the error of the time. */
const LOOK_MS = 5

/** `root` is containerd's own directory. */
export function contentStore(root: string): string {
  return join(root, 'io.containerd.content.v1.content/blobs')
}

/** NaN when `pulling` ends, however it does, and one of them is not there. Never rejects. */
export async function secondsUntilStored(
  directory: string,
  digests: readonly string[],
  { startMs, pulling }: { readonly startMs: number; readonly pulling: Promise<unknown> },
): Promise<number> {
  let isOver = false
  const end = () => {
    isOver = true
  }
  void pulling.then(end, end)
  const paths = digests.map(digest => join(directory, digest.replace(':', '/')))
  for (;;) {
    const isLast = isOver
    if (paths.every(path => existsSync(path))) return secondsSince(startMs)
    if (isLast) return Number.NaN
    await wait(LOOK_MS)
  }
}
