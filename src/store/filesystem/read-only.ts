// Whether what lies in a directory can be written at all, by what the kernel says of its mount.
// Also to root, who may write everywhere else.
import { constants } from 'node:fs'
import { access, open, readFile } from 'node:fs/promises'
import type { Clock } from '../../registry/ports/clock.ts'
import { errnoOf } from './disk-error.ts'

/**
 * A file system that met an error takes no more writes. Since Linux 6.12 ext4 is not mounted
 * read-only then, as access(2) would see: it has the first of these, or the second where it was
 * shut down.
 */
const STOPPED = ['emergency_ro', 'shutdown']
/** Room is looked for at each download, and hosts of containers have mounts by the hundreds. */
const LOOK_EVERY_MS = 1_000

/** What is given looks anew at each call, at the list of mounts within the second. */
export function lookIfReadOnly(directory: string, clock: Clock): () => Promise<boolean> {
  let stopped: { atMs: number; is: Promise<boolean> } | undefined
  return async () => {
    if (await isMountedReadOnly(directory)) return true
    const nowMs = clock.monotonicMs()
    if (stopped === undefined || nowMs - stopped.atMs >= LOOK_EVERY_MS)
      stopped = { atMs: nowMs, is: isStopped(directory) }
    return await stopped.is
  }
}

async function isMountedReadOnly(directory: string): Promise<boolean> {
  try {
    await access(directory, constants.W_OK)
    return false
  } catch (error) {
    return errnoOf(error) === 'EROFS'
  }
}

/** False where the system does not say. */
async function isStopped(directory: string): Promise<boolean> {
  try {
    const id = await mountOf(directory)
    const mounts = await readFile('/proc/self/mountinfo', 'utf8')
    const mount = mounts.split('\n').find(line => line.startsWith(`${id} `))
    // The last words are the options of the file system, whichever mount of it this is.
    const options = mount?.split(' ').at(-1)?.split(',') ?? []
    return STOPPED.some(option => options.includes(option))
  } catch {
    return false
  }
}

/** The number of the mount. */
async function mountOf(directory: string): Promise<string | undefined> {
  const opened = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const told = await readFile(`/proc/self/fdinfo/${opened.fd}`, 'utf8')
    return /^mnt_id:\s*(\d+)$/m.exec(told)?.[1]
  } finally {
    await opened.close()
  }
}
