// An ext4 file system whose power can be cut: an image in memory behind a loop device, shut down by
// the kernel as it stands, without its journal being written. What was not synced is gone; what
// was, is there after the next mount. Takes root and Linux.
import { execFile } from 'node:child_process'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** EXT4_IOC_SHUTDOWN, with EXT4_GOING_FLAGS_NOLOGFLUSH: the journal is not flushed. */
const SHUT_DOWN = `
open(my $root, "<", $ARGV[0]) or die "open: $!";
my $flags = pack("I", 2);
ioctl($root, 0x8004587d, $flags) or die "shutdown: $!";`

export interface CutDisk {
  readonly path: string
  /** From now on every write fails; nothing more reaches the image. */
  cut(): Promise<void>
  /**
   * As after the power came back: unmounted, and mounted with its journal replayed. Nobody may have
   * files open.
   */
  comeBack(): Promise<void>
  unmount(): Promise<void>
}

/**
 * @throws with what is missing when it cannot be mounted: a suite that needs it fails rather than
 * skips.
 */
export async function mountCutDisk(sizeMiB: number): Promise<CutDisk> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-cut-'))
  const image = await mkdtemp('/dev/shm/entrepot-cut-')
  const file = join(image, 'disk')
  const mount = () => run('mount', ['-o', 'loop,commit=1', file, path])
  try {
    await run('truncate', ['-s', `${sizeMiB}M`, file])
    await run('mkfs.ext4', ['-q', '-F', file])
    await mount()
  } catch (cause) {
    throw new Error('this test mounts an ext4 image: run it as root on Linux, with e2fsprogs', {
      cause,
    })
  }
  return {
    path,
    cut: async () => void (await run('perl', ['-e', SHUT_DOWN, path])),
    comeBack: async () => {
      // A copy: the kernel mounts an image as it was shut down while a namespace of somebody else
      // still has it mounted.
      const next = join(image, 'next')
      await run('cp', ['--sparse=always', file, next])
      await run('umount', [path])
      await rename(next, file)
      await mount()
    },
    unmount: async () => {
      await run('umount', ['-l', path])
      await rm(image, { recursive: true, force: true })
      await rm(path, { recursive: true, force: true })
    },
  }
}
