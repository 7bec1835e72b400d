// Hashing what is on disk already: parts that are resumed, content that is verified on a read.
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { createReadBuffer } from '../../registry/ports/chunk-memory.ts'
import { readFully } from './disk.ts'

/**
 * Per read and per update of the hash: about a millisecond of the event loop on a small machine,
 * and few system calls.
 */
const STEP_BYTES = 1024 * 1024

/** Feeds the first `lengthBytes` of `file` to `hash`. @throws EIO when the file is shorter */
export async function hashBytes(hash: Hash, file: FileHandle, lengthBytes: number): Promise<void> {
  const buffer = createReadBuffer(Math.min(STEP_BYTES, lengthBytes))
  for (let position = 0; position < lengthBytes; ) {
    const wanted = buffer.subarray(0, Math.min(buffer.length, lengthBytes - position))
    const length = await readFully(file, wanted, position)
    if (length < wanted.length) throw shorter()
    hash.update(wanted)
    position += length
  }
}

function shorter(): Error {
  return Object.assign(new Error('read: the file is shorter than its length'), { code: 'EIO' })
}
