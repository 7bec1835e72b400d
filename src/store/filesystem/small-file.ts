// Files that are read and written whole: sidecars and facts. What they say, and whether their
// directory is synced, their owners know.
import { open, rename } from 'node:fs/promises'
import { type Disk, readFully, removeFile, writeFully } from './disk.ts'
import { temporaryPath, WRITING_MODE } from './layout.ts'
import { openRegularFile } from './read-handle.ts'

/**
 * Undefined when there is no regular file under `path`, or one longer than `limitBytes`.
 * @throws the system's error
 */
export async function readSmallFile(path: string, limitBytes: number): Promise<string | undefined> {
  const opened = await openRegularFile(path)
  if (opened === undefined) return undefined
  try {
    if (opened.sizeBytes > limitBytes) return undefined
    const bytes = Buffer.alloc(opened.sizeBytes)
    const length = await readFully(opened.file, bytes, 0)
    return bytes.toString('utf8', 0, length)
  } finally {
    await opened.file.close()
  }
}

export interface Replacement {
  readonly text: string
  /** By an fsync before the rename, which is never tried again. */
  readonly synced: boolean
  /** Permission bits. Default: the owner's alone. */
  readonly mode?: number
}

/**
 * Puts a new file in the place of what is under `path`, in one step: a killed process leaves the
 * old one or the new one. Its name is not synced.
 * @throws the system's error; nothing is left over then
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  { text, synced, mode = WRITING_MODE }: Replacement,
): Promise<void> {
  const temporary = temporaryPath(disk.layout)
  const file = await open(temporary, 'wx', mode)
  try {
    try {
      await writeFully(file, Buffer.from(text))
      if (synced) await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await removeFile(temporary).catch(() => {})
    throw error
  }
}
