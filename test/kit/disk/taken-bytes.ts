// What a directory takes on its disk, as `du` counts it, looked at whenever the kernel tells that
// something in it has changed: nothing of the product is asked. Linux only.
import { type Dirent, lstatSync, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'

/** Of `st_blocks`, whatever the file system's own are. */
const BLOCK_BYTES = 512

/** Blocks of files and directories. What goes while it is looked at counts as gone. */
export function takenBytes(directory: string): number {
  let bytes = 0
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name)
    bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES
    if (entry.isDirectory()) bytes += takenBytes(path)
  }
  return bytes
}

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export interface TakenWatch {
  /** Looks now, as at each change. */
  look(): number
  /** The most that it took at any look. */
  readonly mostBytes: number
  readonly looks: number
  stop(): void
}

/** The directories below that are there now are watched, and `directory` itself. */
export function watchTaken(directory: string): TakenWatch {
  let mostBytes = 0
  let looks = 0
  let isDue = false
  const look = () => {
    isDue = false
    looks += 1
    const bytes = takenBytes(directory)
    mostBytes = Math.max(mostBytes, bytes)
    return bytes
  }
  // A burst of changes that is told at once is one change.
  const changed = () => {
    if (!isDue) setImmediate(look)
    isDue = true
  }
  const watchers = [directory, ...directoriesBelow(directory)].map(each => watch(each, changed))
  return {
    look,
    get mostBytes() {
      return mostBytes
    },
    get looks() {
      return looks
    },
    stop: () => {
      for (const watcher of watchers) watcher.close()
    },
  }
}

function directoriesBelow(directory: string): string[] {
  return entriesOf(directory)
    .filter(entry => entry.isDirectory())
    .map(({ name }) => join(directory, name))
    .flatMap(each => [each, ...directoriesBelow(each)])
}
