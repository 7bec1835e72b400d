// What happens once at every start, before the store is used: the directories are there, on one file system and none of
// them a link; `tmp/` is empty; what in `fills/` cannot be resumed is gone. Blobs are not looked at: their number
// must not decide how long a start takes.
import { lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { StoreError } from '../../registry/ports/blob-store.ts'
import { type Disk, removeFile, syncDirectory } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import {
  ALGORITHMS,
  algorithmDirectory,
  DIRECTORY_MODE,
  fillEntry,
  type Layout,
  partPath,
  prefixNames,
} from './layout.ts'
import { readSidecar, usableBytes } from './sidecar.ts'

/** A part that nobody asked for in this time is not worth its space. */
const PART_AGE_LIMIT_MS = 7 * 24 * 60 * 60 * 1000

/** Makes the root directory; returns it without links, so that no later path has one in it. */
export async function prepareRoot(directory: string): Promise<string> {
  const made = await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  if (made !== undefined) await syncDirectory(await realpath(dirname(made)))
  return await realpath(directory)
}

/** @throws StoreError io when a directory is a link, a file, or on another file system than the rest */
export async function prepareDirectories(layout: Layout): Promise<void> {
  const { root, blobs, fills, temporary, quarantine } = layout
  const algorithms = ALGORITHMS.map(algorithm => algorithmDirectory(layout, algorithm))
  let made = false
  for (const directory of [blobs, fills, temporary, quarantine, ...algorithms]) {
    made = (await makeDirectory(directory)) || made
    // At once: nothing may be made below a directory that turns out to be a link.
    await checkDirectory(directory, root)
  }
  for (const algorithm of ALGORITHMS) await makePrefixes(layout, algorithm)
  if (!made) return
  await syncDirectory(blobs)
  await syncDirectory(root)
}

/** True when it was made just now. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, DIRECTORY_MODE)
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    return false
  }
}

async function checkDirectory(directory: string, root: string): Promise<void> {
  const stats = await lstat(directory)
  if (!stats.isDirectory()) throw notADirectory(directory)
  if (stats.dev === (await lstat(root)).dev) return
  throw new StoreError('io', `${directory} is on another file system than ${root}`, {
    hint: `mount the larger file system at ${root} itself: files are renamed between its directories`,
  })
}

function notADirectory(path: string): StoreError {
  const hint = `move it away; to keep the data elsewhere, let storage.rootdirectory point there`
  return new StoreError('io', `${path} is a file or a link, not a directory`, { hint })
}

/** One sync for all of them, so that publishing a blob never has to make a directory and sync its parent. */
async function makePrefixes(layout: Layout, algorithm: DigestAlgorithm): Promise<void> {
  const parent = algorithmDirectory(layout, algorithm)
  const present = new Map<string, boolean>()
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    present.set(entry.name, entry.isDirectory())
  }
  const wrong = prefixNames().find(name => present.get(name) === false)
  if (wrong !== undefined) throw notADirectory(join(parent, wrong))
  const missing = prefixNames().filter(name => !present.has(name))
  if (missing.length === 0) return
  await Promise.all(missing.map(name => makeDirectory(join(parent, name))))
  await syncDirectory(parent)
}

/** Empties `tmp/`: no temporary file outlives the process that made it. Directories in there are not ours. */
export async function sweepTemporary({ temporary }: Layout): Promise<void> {
  for (const entry of await readdir(temporary, { withFileTypes: true })) {
    if (!entry.isDirectory()) await removeFile(join(temporary, entry.name))
  }
}

/** Leaves in `fills/` only parts that can be resumed, each with its sidecar. */
export async function sweepFills(disk: Disk): Promise<void> {
  const { fills } = disk.layout
  for (const entry of await readdir(fills, { withFileTypes: true })) {
    if (entry.isDirectory()) continue
    if (!(await isOfUse(disk, entry.name))) await removeFile(join(fills, entry.name))
  }
}

/** Asked of a part and of its sidecar alike: one is of no use without the other. */
async function isOfUse(disk: Disk, name: string): Promise<boolean> {
  const entry = fillEntry(name)
  if (entry === undefined) return false
  const part = await lstat(partPath(disk.layout, entry.digest)).catch(() => undefined)
  if (!part?.isFile()) return false
  if (disk.clock.nowMs() - part.mtimeMs > PART_AGE_LIMIT_MS) return false
  const sidecar = await readSidecar(disk, entry.digest)
  return usableBytes(disk, sidecar, part.size) > 0
}
