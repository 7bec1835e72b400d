// What happens first at every start: the directories are there, on one file system and none of them
// a link. What lies in them is looked at by sweep.ts.
import { lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { syncDirectory } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import {
  ALGORITHMS,
  algorithmDirectory,
  DIRECTORY_MODE,
  type Layout,
  prefixNames,
} from './layout.ts'

/** Makes the root directory; returns it without links, so that no later path has one in it. */
export async function prepareRoot(directory: string): Promise<string> {
  const made = await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  if (made !== undefined) await syncDirectory(await realpath(dirname(made)))
  return await realpath(directory)
}

/**
 * @throws StoreError io when a directory is a link, a file, or on another file system than the rest
 */
export async function prepareDirectories(layout: Layout): Promise<void> {
  const { root, blobs, fills, uploads, facts, temporary, quarantine } = layout
  const algorithms = ALGORITHMS.map(algorithm => algorithmDirectory(layout, algorithm))
  let made = false
  const tops = [blobs, fills, uploads, facts, temporary, quarantine]
  for (const directory of [...tops, ...algorithms]) {
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

/**
 * One sync for all of them, so that publishing a blob never has to make a directory and sync its
 * parent.
 */
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
