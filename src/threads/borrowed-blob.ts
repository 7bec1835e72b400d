// A blob that the coordinator holds open for this HTTP thread. Its bytes do not cross: the file is
// read here, by the descriptor that is open over there. Only what is in no file, or not soon, comes
// as a stream.
import { read } from 'node:fs'
import type { ByteRange } from '../oci/range.ts'
import type { BlobAnswer, BlobFile } from '../registry/answers.ts'
import { OpenFile, WholeBlob } from '../registry/reading/open-file.ts'
import { readWhole } from '../registry/fill/follow.ts'
import { type ReadCached, BufferPool } from '../registry/fill/buffer-pool.ts'
import { untilAborted } from '../async/aborting.ts'
import type { ReadHandle } from '../registry/ports/blob-store-content.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import type { CoordinatorThread, LentBlob } from './sides.ts'

/** What can be made of a blob that was lent; for one of these, once. */
export interface BorrowedBlobs {
  /** For one reader. */
  answer(lent: LentBlob): BlobAnswer
  /** Of what is shareable: open here for whoever reads it; it is given back with the last one. */
  whole(lent: LentBlob): WholeBlob
}

/** One per thread: the memory that its blobs are read into is its own. */
export function borrowBlobs(
  coordinator: () => CoordinatorThread,
  readCached: ReadCached | undefined,
): BorrowedBlobs {
  const buffers = new BufferPool(readCached)

  function partsOf({ lease, descriptor, readyBytes, isProven, ...head }: LentBlob) {
    const file =
      descriptor === undefined
        ? undefined
        : borrowedFile(coordinator, lease, { descriptor, readyBytes, isProven })
    const reading: Pick<BlobAnswer, 'read' | 'giveBack'> = {
      read: (range, signal, from = range.first) =>
        readBlob(coordinator, { lease, file, buffers, range, signal, from }),
      giveBack: chunk => buffers.giveBack(chunk),
    }
    const close = async () => coordinator().notify('closeBlob', lease)
    return { head, file, reading, close }
  }

  return {
    answer(lent) {
      const { head, file, reading, close } = partsOf(lent)
      return { ...head, ...reading, file, close }
    },
    whole(lent) {
      const { head, file, reading, close } = partsOf(lent)
      const read: ReadHandle['read'] = async (buffer, at) => file?.read(buffer, at) ?? 0
      return new WholeBlob({
        head,
        open: new OpenFile({ descriptor: file?.descriptor, read, close }),
        reading,
      })
    },
  }
}

function borrowedFile(
  coordinator: () => CoordinatorThread,
  lease: number,
  {
    descriptor,
    readyBytes,
    isProven,
  }: Pick<BlobFile, 'descriptor' | 'readyBytes'> & Pick<LentBlob, 'isProven'>,
): BlobFile {
  return {
    descriptor,
    readyBytes,
    isProven: () => isProven,
    until: async (position, last, signal) =>
      position < readyBytes
        ? Math.min(readyBytes, last + 1)
        : coordinator().call('untilBlob', { lease, position, last }, signal),
    read: (buffer, position) => readAt(descriptor, buffer, position),
  }
}

interface Reading {
  readonly lease: number
  readonly file: BlobFile | undefined
  readonly buffers: BufferPool
  readonly range: ByteRange
  readonly signal: AbortSignal
  readonly from: number
}

async function* readBlob(
  coordinator: () => CoordinatorThread,
  reading: Reading,
): AsyncGenerator<Uint8Array> {
  const { lease, file, buffers, range, signal } = reading
  let position = reading.from
  while (file !== undefined && position <= range.last) {
    const end = await file.until(position, range.last, signal)
    if (end === undefined) break
    if (typeof end === 'object') {
      position += end.length
      yield end
      continue
    }
    try {
      for await (const chunk of readWhole(file, { first: position, last: end - 1 }, { buffers })) {
        position += chunk.length
        yield chunk
      }
    } catch (error) {
      // The coordinator meets the same disk, and tells the operator of it.
      if (!(error instanceof StoreError)) throw error
      break
    }
  }
  if (position > range.last) return
  const stream = await coordinator().call('readBlob', { lease, range, from: position }, signal)
  yield* untilAborted(coordinator().accept(stream), signal)
}

/** Fewer bytes only at the file's end. */
async function readAt(descriptor: number, buffer: Uint8Array, position: number): Promise<number> {
  let filled = 0
  while (filled < buffer.length) {
    const more = await readOnce(descriptor, buffer.subarray(filled), position + filled)
    if (more === 0) break
    filled += more
  }
  return filled
}

function readOnce(descriptor: number, buffer: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, 0, buffer.length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead)
      else reject(new StoreError('io', `cannot read a blob: ${error.code}`, { cause: error }))
    })
  })
}
