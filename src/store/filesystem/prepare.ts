// What happens first at every start: the directories are there, on one file system and none of them
// a link. What lies in them is looked at by sweep.ts.
import { lstat, mkdir, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StoreError } from '../../registry/ports/store-error.ts'
import { syncDirectory } from './disk.ts'
import { ALGORITHMS, algorithmDirectory, DIRECTORY_MODE, type Layout } from './layout.ts'
import { makeDirectory, notADirectory, type Prefixes } from './prefixes.ts'

/** That of nearly all content; directories for others are made when the first comes. */
const USUAL_ALGORITHM = 'sha256'

/** Makes the root directory; returns it without links, so that no later path has one in it. */
export async function prepareRoot(directory: string): Promise<string> {
  const made = await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  if (made !== undefined) await syncDirectory(await realpath(dirname(made)))
  return await realpath(directory)
}

/**
 * @throws StoreError io when a directory is a link, a file, or on another file system than the rest
 */
export async function prepareDirectories(layout: Layout, prefixes: Prefixes): Promise<void> {
  const { root, blobs, fills, uploads, facts, temporary, quarantine } = layout
  const algorithms = ALGORITHMS.map(algorithm => algorithmDirectory(layout, algorithm))
  const tops = [blobs, fills, uploads, facts, temporary, quarantine]
  for (const directory of [...tops, ...algorithms]) {
    await makeDirectory(directory)
    // At once: nothing may be made below a directory that turns out to be a link.
    await checkDirectory(directory, root)
  }
  for (const algorithm of ALGORITHMS) await prefixes.check(algorithm)
  await prefixes.ready(USUAL_ALGORITHM)
  // Also where all were there: whoever made them may have been killed before this.
  await syncDirectory(blobs)
  await syncDirectory(root)
}

async function checkDirectory(directory: string, root: string): Promise<void> {
  const stats = await lstat(directory)
  if (!stats.isDirectory()) throw notADirectory(directory)
  if (stats.dev === (await lstat(root)).dev) return
  throw new StoreError('io', `${directory} is on another file system than ${root}`, {
    hint: `mount the larger file system at ${root} itself: files are renamed between its directories`,
  })
}
