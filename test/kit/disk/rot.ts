// What a disk does to a file while nobody looks: bytes go, and no time of the file tells of it.
import { closeSync, openSync, statSync, utimesSync, writeSync } from 'node:fs'

const PAGE_BYTES = 4096

/**
 * Zeroes the second half of a database file, which holds rows alone once there are some thousand;
 * its times stay.
 */
export function rot(file: string): void {
  const { size, atimeMs, mtimeMs } = statSync(file)
  const position = Math.floor(size / 2 / PAGE_BYTES) * PAGE_BYTES
  const handle = openSync(file, 'r+')
  writeSync(handle, Buffer.alloc(size - position), 0, size - position, position)
  closeSync(handle)
  utimesSync(file, atimeMs / 1000, mtimeMs / 1000)
}
