// An open file of a blob for all who read it, while it is filled and once it is whole: a descriptor
// per blob instead of one per client. Whoever reads holds it; so does who keeps it open for the
// next (open-blobs.ts), and the coordinating thread for another one that reads by its number.
import type { BlobAnswer, BlobFile, BlobHead } from '../answers.ts'
import type { ReadHandle } from '../ports/blob-store-content.ts'

export class OpenFile {
  readonly #handle: ReadHandle
  readonly #closed: () => void
  #holders = 1

  /** Holds the handle once for its maker, who must release it. `closed`: told when nobody does. */
  constructor(handle: ReadHandle, closed = () => {}) {
    this.#handle = handle
    this.#closed = closed
  }

  get descriptor(): number | undefined {
    return this.#handle.descriptor
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#handle.read(buffer, position)
  }

  /** Does anybody hold it beside its maker? */
  get isShared(): boolean {
    return this.#holders > 1
  }

  /** One more holder; false when the file was closed already. */
  hold(): boolean {
    if (this.#holders === 0) return false
    this.#holders += 1
    return true
  }

  /** Closes the file with its last holder. MUST be called once per hold. */
  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders > 0) return
    this.#closed()
    await this.#handle.close()
  }
}

/** Undefined where the bytes are in no file. */
export function blobFile(
  open: Pick<ReadHandle, 'descriptor' | 'read'>,
  how: Pick<BlobFile, 'readyBytes' | 'isProven' | 'until'>,
): BlobFile | undefined {
  const { descriptor } = open
  if (descriptor === undefined) return undefined
  return { ...how, descriptor, read: (buffer, position) => open.read(buffer, position) }
}

export interface WholeBlobParts {
  readonly head: BlobHead
  readonly open: OpenFile
  /** How answers are read, and memory comes back. */
  readonly reading: Pick<BlobAnswer, 'read' | 'giveBack'>
  /** Told of each reader; returns what is to be called when that one has read. Default nobody. */
  readonly counted?: () => () => void
}

/**
 * A blob that lies here whole, and is open. Its maker's hold of the file is its own from now on.
 */
export class WholeBlob {
  readonly head: BlobHead
  readonly #open: OpenFile
  readonly #reading: WholeBlobParts['reading']
  readonly #counted: () => () => void
  readonly #file: BlobFile | undefined
  /** From where it was read without an error, last: who has read there spares others the trial. */
  #provenAt: number | undefined

  constructor({ head, open, reading, counted = () => () => {} }: WholeBlobParts) {
    this.head = head
    this.#open = open
    this.#reading = reading
    this.#counted = counted
    this.#file = blobFile(
      { descriptor: open.descriptor, read: (buffer, position) => this.#prove(buffer, position) },
      {
        readyBytes: head.sizeBytes,
        isProven: position => position !== undefined && position === this.#provenAt,
        until: async (_position, last) => last + 1,
      },
    )
  }

  /** To one more reader, who holds the file until the answer is closed. */
  answer(more: Pick<BlobAnswer, 'repeatable' | 'spoiled'> = {}): BlobAnswer {
    this.#open.hold()
    const hasRead = this.#counted()
    let isClosed = false
    const close = async () => {
      if (isClosed) return
      isClosed = true
      hasRead()
      await this.#open.release()
    }
    return { ...this.head, ...this.#reading, ...more, isShareable: true, file: this.#file, close }
  }

  /** To one reader, and to nobody after that. */
  lastAnswer(): BlobAnswer {
    const answer = this.answer()
    void this.#open.release()
    return answer
  }

  /** No more answers are asked for; those that were given go on. */
  close(): Promise<void> {
    return this.#open.release()
  }

  async #prove(buffer: Uint8Array, position: number): Promise<number> {
    this.#provenAt = undefined
    const filled = await this.#open.read(buffer, position)
    if (filled === buffer.length) this.#provenAt = position
    return filled
  }
}
