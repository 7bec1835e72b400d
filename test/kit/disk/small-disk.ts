// A file system of a few megabytes that a test may fill up: tmpfs, or ext4 on a file in memory,
// which take root and Linux to mount.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface SmallDisk {
  readonly path: string
  /** Writes a file that takes everything that is left. */
  fill(): Promise<void>
  /** Makes files until the file system can hold no more of them. */
  fillWithFiles(): Promise<void>
  /** Removes that file, and these. */
  relieve(): Promise<void>
  /**
   * Of ext4, while nobody has a file of it open: the device has gone bad under these files.
   * `file`: they cannot even be looked at; `bytes`: they cannot be read.
   */
  spoil(files: readonly string[], what: keyof typeof SPOILT): Promise<void>
  /** All of them are as before, while nobody has a file of it open: it failed for a while. */
  heal(): Promise<void>
  unmount(): Promise<void>
}

/**
 * Fields of the inode, as debugfs sets them: an extent that ends behind the device, which is found
 * when the inode is loaded; extents that are to be told by a block which does not.
 */
const SPOILT = {
  file: ['block[5] 0x7fffff00'],
  bytes: ['block[1] 0x00010004', 'block[3] 0', 'block[4] 20000', 'block[5] 0'],
} as const

/**
 * `filesMax`: it holds no more of them, directories included. Default what the system makes of it.
 *
 * @throws with what is missing when it cannot be mounted: a suite that needs it fails rather than
 * skips.
 */
export async function mountSmallDisk(
  sizeMiB: number,
  type: 'tmpfs' | 'ext4' = 'tmpfs',
  filesMax?: number,
): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-disk-'))
  const inodes = filesMax === undefined ? [] : [`nr_inodes=${filesMax}`]
  const image = `/dev/shm/${basename(path)}`
  try {
    if (type === 'tmpfs')
      await run('mount', [
        '-t',
        'tmpfs',
        '-o',
        [`size=${sizeMiB}m`, ...inodes].join(),
        'tmpfs',
        path,
      ])
    else {
      await run('truncate', ['-s', `${sizeMiB}M`, image])
      const few = filesMax === undefined ? [] : ['-N', `${filesMax}`]
      await run('mkfs.ext4', ['-q', '-F', '-m', '0', ...few, image])
      await run('mount', ['-o', 'loop', image, path])
    }
  } catch (cause) {
    throw new Error(`this test mounts ${type}: run it as root on Linux, with e2fsprogs`, { cause })
  }
  /** Commands that bring back what was spoilt. */
  let healing: string[] = []
  const edited = async (commands: readonly string[]) => {
    await run('umount', [path])
    for (const command of commands) await run('debugfs', ['-w', '-R', command, image])
    await run('mount', ['-o', 'loop,errors=continue', image, path])
  }
  const ballast = join(path, 'ballast')
  const files = join(path, 'files')
  return {
    path,
    fill: async () => {
      // Ever smaller pieces, down to what no file can use.
      for (let pieceBytes = 1024 * 1024; pieceBytes >= 4096; pieceBytes /= 2) {
        while (await written(ballast, pieceBytes));
      }
    },
    fillWithFiles: async () => {
      await mkdir(files, { recursive: true })
      while (await written(join(files, randomUUID()), 0));
    },
    relieve: async () => {
      await rm(ballast, { force: true })
      await rm(files, { recursive: true, force: true })
    },
    spoil: async (spoilt, what) => {
      const inodes = await Promise.all(spoilt.map(async file => (await stat(file)).ino))
      const fields = SPOILT[what].map(field => field.split(' ')[0] ?? '')
      await run('sync')
      for (const inode of inodes) {
        const { stdout } = await run('debugfs', ['-R', `inode_dump -b <${inode}>`, image])
        healing.push(...fields.map(field => `sif <${inode}> ${field} ${fieldIn(stdout, field)}`))
      }
      await edited(inodes.flatMap(inode => SPOILT[what].map(field => `sif <${inode}> ${field}`)))
    },
    heal: async () => {
      await edited(healing)
      healing = []
    },
    unmount: async () => {
      await run('umount', ['-l', path])
      await rm(path, { recursive: true, force: true })
      await rm(image, { force: true })
    },
  }
}

/** The number in `block[n]`, from a dump in lines of sixteen bytes. */
function fieldIn(dump: string, field: string): string {
  const at = 4 * Number(/\d+/.exec(field)?.[0])
  const lines = dump.split('\n').filter(line => /^\d{4} /.test(line))
  const hex = lines.map(line => line.slice(6, 46).replaceAll(' ', '')).join('')
  return `${Buffer.from(hex, 'hex').readUInt32LE(at)}`
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
