// Opening a file to read it by position. Every reader has its own descriptor, so what it reads
// cannot be taken away from it by a rename or an unlink.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { ReadHandle } from '../../registry/ports/blob-store-content.ts'
import { type Disk, orStoreError, readFully } from './disk.ts'
import { errnoOf, isUnreadable } from './disk-error.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
// A symbolic link (ELOOP), a socket or a device in place of a blob is not a blob; nor is a path
// below something that is not a directory.
const NOT_A_FILE = new Set(['ENOENT', 'ELOOP', 'ENXIO', 'ENODEV', 'ENOTDIR', 'EISDIR'])

/** Which file this is, whatever it is called by now. Numbers of inodes are given out again. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
  /** Where the file system does not know, when something of the inode changed. */
  readonly birthtimeMs: number
}

export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.birthtimeMs === b.birthtimeMs
}

export interface OpenedFile {
  readonly file: FileHandle
  readonly sizeBytes: number
  readonly identity: FileIdentity
}

/**
 * Opens a regular file; undefined when there is none under this path. O_NONBLOCK, because opening a
 * pipe that somebody put there would otherwise hold one of the few threads that serve all disk
 * operations for ever.
 */
export async function openRegularFile(path: string): Promise<OpenedFile | undefined> {
  let file: FileHandle
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (NOT_A_FILE.has(errnoOf(error) ?? '')) return undefined
    throw error
  }
  try {
    const stats = await file.stat()
    const { dev, ino, birthtimeMs, size } = stats
    if (stats.isFile()) return { file, sizeBytes: size, identity: { dev, ino, birthtimeMs } }
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}

/**
 * Opens what this process has made, and still writes.
 * @throws the system's error; ENOENT when somebody took it away
 */
export async function openOwnFile(path: string): Promise<FileHandle> {
  return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}

/**
 * The same of a file that grows. Who reads it goes on elsewhere where the disk cannot: so the
 * operator is told.
 */
export function growingHandle(disk: Disk, file: FileHandle, what: string): ReadHandle {
  const handle = readHandle(disk, file, what)
  return {
    get descriptor() {
      return handle.descriptor
    },
    read: async (buffer, position) => {
      try {
        return await handle.read(buffer, position)
      } catch (error) {
        if (isUnreadable(error)) disk.unreadable.tell(what, error)
        throw error
      }
    },
    close: () => handle.close(),
  }
}

/** A ReadHandle over an open file, which it closes. `what` is for messages. */
export function readHandle(disk: Disk, file: FileHandle, what: string): ReadHandle {
  return {
    // Once it is closed, none.
    get descriptor() {
      return file.fd
    },
    read: (buffer, position) =>
      orStoreError(disk, `read ${what}`, () => readFully(file, buffer, position)),
    close: () => orStoreError(disk, `close ${what}`, () => file.close()),
  }
}
