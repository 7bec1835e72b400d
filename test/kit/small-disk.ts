// A file system of a few megabytes that a test may fill up: tmpfs, which takes root and Linux to
// mount.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface SmallDisk {
  readonly path: string
  /** Writes a file that takes everything that is left. */
  fill(): Promise<void>
  /** Removes that file. */
  relieve(): Promise<void>
  unmount(): Promise<void>
}

/**
 * @throws with what is missing when it cannot be mounted: a suite that needs it fails rather than
 * skips.
 */
export async function mountSmallDisk(sizeMiB: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', path]).catch(
    (cause: unknown) => {
      throw new Error('this test mounts a tmpfs: run it as root on Linux', { cause })
    },
  )
  const ballast = join(path, 'ballast')
  return {
    path,
    fill: async () => {
      // Ever smaller pieces, down to what no file can use.
      for (let pieceBytes = 1024 * 1024; pieceBytes >= 4096; pieceBytes /= 2) {
        while (await written(ballast, pieceBytes));
      }
    },
    relieve: () => rm(ballast, { force: true }),
    unmount: async () => {
      await run('umount', ['-l', path])
      await rm(path, { recursive: true, force: true })
    },
  }
}

async function written(file: string, pieceBytes: number): Promise<boolean> {
  try {
    await writeFile(file, Buffer.alloc(pieceBytes), { flag: 'a' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
