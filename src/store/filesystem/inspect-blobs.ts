// Content as it lies on the disk, in the order of digests, with what is wrong with each file by
// itself. Looks, and changes nothing.
import type { Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { mapFew } from '../../async/few-at-once.ts'
import type { Digest } from '../../oci/digest.ts'
import type { InspectedBlob, NoteOdd, OddFile } from '../../registry/ports/inspected-files.ts'
import { errnoOf } from './disk-error.ts'
import {
  ALGORITHMS,
  algorithmDirectory,
  blobPath,
  digestOfBlobName,
  type Layout,
  prefixNames,
  WHOLE_MODE,
} from './layout.ts'

/** Looked at together: keeps the thread pool busy without filling it. */
const LOOKS_AT_ONCE = 32
const PERMISSIONS = 0o777
const OWNER_READS = 0o400

export interface Inspecting {
  readonly layout: Layout
  /** Of the directory, and so of all that is in it. */
  readonly owner: number
  readonly note: NoteOdd
}

export async function* inspectBlobs(inspecting: Inspecting): AsyncGenerator<InspectedBlob> {
  const { layout } = inspecting
  for (const algorithm of ALGORITHMS) {
    const directory = algorithmDirectory(layout, algorithm)
    const prefixes = new Set(prefixNames())
    for (const name of await namesIn(inspecting, directory)) {
      if (!prefixes.has(name)) {
        noteStrange(inspecting, join(directory, name))
        continue
      }
      yield* inspectPrefix(inspecting, {
        algorithm,
        prefix: name,
        directory: join(directory, name),
      })
    }
  }
}

async function* inspectPrefix(
  inspecting: Inspecting,
  place: {
    readonly algorithm: (typeof ALGORITHMS)[number]
    readonly prefix: string
    readonly directory: string
  },
): AsyncGenerator<InspectedBlob> {
  const { algorithm, prefix, directory } = place
  const digests: Digest[] = []
  for (const name of await namesIn(inspecting, directory)) {
    const digest = digestOfBlobName(algorithm, prefix, name)
    if (digest === undefined) noteStrange(inspecting, join(directory, name))
    else digests.push(digest)
  }
  for (let at = 0; at < digests.length; at += LOOKS_AT_ONCE) {
    const few = digests.slice(at, at + LOOKS_AT_ONCE)
    const found = await mapFew(few, LOOKS_AT_ONCE, digest => inspectBlob(inspecting, digest))
    for (const blob of found) if (blob !== undefined) yield blob
  }
}

/** Undefined when nothing has its name. */
export async function inspectBlob(
  { layout, owner, note }: Inspecting,
  digest: Digest,
): Promise<InspectedBlob | undefined> {
  const path = blobPath(layout, digest)
  const tell = (odd: Omit<OddFile, 'path' | 'digest'>) =>
    note({ ...odd, path: relative(layout.root, path), digest })
  try {
    const stats = await lstat(path)
    if (!stats.isFile()) {
      tell({ kind: 'not a file', detail: kindOf(stats) })
      return { digest, sizeBytes: 0, is: 'other' }
    }
    const mode = stats.mode & PERMISSIONS
    if ((mode & OWNER_READS) === 0)
      tell({ kind: 'forbidden', detail: `its mode is ${octal(mode)}` })
    else if (mode !== WHOLE_MODE) tell({ kind: 'mode', detail: modes(mode, WHOLE_MODE) })
    if (stats.uid !== owner) tell({ kind: 'owner', detail: owners(stats.uid, owner) })
    return { digest, sizeBytes: stats.size, is: 'file' }
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    tell({ kind: 'unreadable', detail: errno })
    return { digest, sizeBytes: 0, is: 'unreadable' }
  }
}

/** In order; none of a directory that is not there, or that the disk cannot read, which is told. */
export async function namesIn(
  { layout, note }: Inspecting,
  directory: string,
): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    const path = relative(layout.root, directory)
    if (errno === 'ENOTDIR') note({ kind: 'not a file', path, detail: 'it is to be a directory' })
    else if (errno !== 'ENOENT') note({ kind: 'unreadable', path, detail: errno })
    return []
  }
}

export function noteStrange({ layout, note }: Inspecting, path: string): void {
  const detail = 'it is nothing that an edge writes'
  note({ kind: 'strange', path: relative(layout.root, path), detail })
}

export function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'it is a link'
  return stats.isDirectory() ? 'it is a directory' : 'it is no regular file'
}

export function modes(found: number, right: number): string {
  return `its mode is ${octal(found)}: chmod ${octal(right)}`
}

export function owners(found: number, right: number): string {
  return `it is of user ${found}: chown ${right}`
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
