// What every part of this store needs to know about the disk it works on, and the steps that more
// than one of them takes.
import { constants } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { NoteEvent } from '../../registry/ports/events.ts'
import { diskError, ignoreMissing } from './disk-error.ts'
import type { Layout } from './layout.ts'
import type { SyncTurns } from './sync-turns.ts'
import type { Unreadable } from './unreadable.ts'

export interface Disk {
  readonly layout: Layout
  /**
   * Changes with every boot of the machine: says whether the page cache that held an unsynced part
   * is still the same.
   */
  readonly bootId: string
  readonly clock: Clock
  readonly note: NoteEvent
  /** For content that can be fetched again. */
  readonly syncTurns: SyncTurns
  readonly unreadable: Unreadable
  /** Where blobs of an algorithm lie is there, and durable. @throws the system's error */
  readonly prefixes: { ready(algorithm: DigestAlgorithm): Promise<void> }
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Makes the names in `directory` durable. Never called again for the same names when it failed. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What of a FileHandle the write loop needs. */
export interface Writable {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>
}

/**
 * One write, which may be short: the caller goes on from there.
 * @throws the system's error, also when nothing was written without one (then EIO): going on would
 * never end.
 */
export async function writeSome(
  file: Writable,
  bytes: Uint8Array,
  position: number,
): Promise<number> {
  const { bytesWritten } = await file.write(bytes, 0, bytes.length, position)
  if (bytesWritten > 0 || bytes.length === 0) return bytesWritten
  throw Object.assign(new Error('write: wrote nothing'), { code: 'EIO' })
}

/** Writes all of `bytes` at `position`, going on after short writes. */
export async function writeFully(file: Writable, bytes: Uint8Array, position = 0): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await writeSome(file, bytes.subarray(done), position + done)
  }
}

/**
 * Writes all of `chunks`, one behind the other, from `position` on, in one call where the system
 * takes them whole.
 */
export async function writevFully(
  file: FileHandle,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let { bytesWritten: done } = await file.writev([...chunks], position)
  let at = position
  for (const chunk of chunks) {
    const taken = Math.min(done, chunk.length)
    done -= taken
    if (taken < chunk.length) await writeFully(file, chunk.subarray(taken), at + taken)
    at += chunk.length
  }
}

/** Fills `buffer` from `position` on; returns how many bytes were there. */
export async function readFully(
  file: FileHandle,
  buffer: Uint8Array,
  position: number,
): Promise<number> {
  let done = 0
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** No effect when nothing is there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch(ignoreMissing)
}

/** What `step` gives; its system error is thrown as a StoreError that says what was being done. */
export async function orStoreError<T>(
  disk: Disk,
  doing: string,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw diskError(error, { doing, root: disk.layout.root })
  }
}

/** When many files are gone through: keeps the thread pool busy with a few descriptors. */
export const FILES_AT_ONCE = 16
