// What a file takes on disk, which is not its length: it has whole blocks, and may have holes.
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { eachFew } from '../../async/few-at-once.ts'
import { FILES_AT_ONCE } from './disk.ts'
import { ignoreMissingOrBad } from './disk-error.ts'

/** The unit of `blocks` in what the system tells, whatever the blocks of the file system are. */
const STAT_BLOCK_BYTES = 512

export interface MeasuredFile {
  readonly path: string
  readonly lengthBytes: number
  readonly takenBytes: number
}

/** Undefined when it has gone meanwhile, or the disk cannot say. @throws the system's error */
export async function measureFile(path: string): Promise<MeasuredFile | undefined> {
  const stats = await lstat(path).catch(ignoreMissingOrBad)
  if (!stats) return undefined
  return { path, lengthBytes: stats.size, takenBytes: stats.blocks * STAT_BLOCK_BYTES }
}

/** What all files of a directory take, however many there are. @throws the system's error */
export async function measureFiles(directory: string): Promise<number> {
  let sum = 0
  await eachFew(await opendir(directory, { bufferSize: 256 }), FILES_AT_ONCE, async ({ name }) => {
    sum += (await measureFile(join(directory, name)))?.takenBytes ?? 0
  })
  return sum
}
