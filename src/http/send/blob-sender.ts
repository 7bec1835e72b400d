// The body of one answer on its way to a client: ranges of a blob, by the kernel as far as its file
// may be sent, again when there is more, and by node whatever does not come that way. The one
// sender of blobs, whole or growing, just opened or still open. The connection is node's before and
// after; while the kernel sends, nothing of node's may be under way on it.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type ByteRange, rangeLength } from '../../oci/range.ts'
import type { Sendable } from '../../registry/answers.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import type { BlobBody } from '../answer.ts'
import { SENDFILE_MIN_BYTES } from '../limits.ts'
import { ClientFlow } from './client-flow.ts'
import { isWaitedFor } from '../end-answer.ts'
import { type FileSending, type Sendfile, SendfileError } from './sendfile.ts'
import type { Reader, StalledReaders } from './stalled-readers.ts'

export interface BlobSenderDeps {
  /** Absent: every byte passes through this process. */
  readonly sendfile: Sendfile | undefined
  readonly readers: StalledReaders
}

/** MUST be closed, whatever happened; that closes the blob, once. */
export class BlobSender implements Reader {
  readonly response: ServerResponse
  readonly body: BlobBody
  /** Undefined before `begin`, and where node writes all of it. */
  kernel: FileSending | undefined
  /** Why this side broke the connection. */
  failure: Error | undefined
  readonly #deps: BlobSenderDeps
  readonly #flow: ClientFlow
  #nodeBytes = 0
  /** What `ready` has found out, until it is sent: it would stay for as long as a client takes. */
  #ready: Ready | undefined
  #reading: Reading | undefined
  #isClosed = false

  constructor(response: ServerResponse, body: BlobBody, deps: BlobSenderDeps) {
    this.response = response
    this.body = body
    this.#deps = deps
    this.#flow = new ClientFlow(response)
  }

  /** MUST come before anything is sent, once. @throws what keeps the kernel from being asked */
  begin(): void {
    const { response, body } = this
    const { sendfile, readers } = this.#deps
    const isLarge = body.segments.some(segment => 'range' in segment && isWorthIt(segment.range))
    this.kernel = isLarge ? openKernel(response, body, sendfile) : undefined
    // What the kernel sends node does not count.
    response.strictContentLength = this.kernel === undefined
    if (this.#flow.gone) return
    const unwatch = readers.watch(this)
    // It comes once, after the last byte went to the kernel or the connection broke.
    response.on('close', () => {
      unwatch()
      // What is left to send must not go out on a connection that was given up.
      if (this.isLeft) this.kernel?.close()
    })
  }

  /** Bytes of the body that the client's side of the connection has. */
  get sentBytes(): number {
    return (this.kernel?.sentBytes ?? 0) + this.#nodeBytes
  }

  /** The client has left: nothing more is to be sent. */
  get isLeft(): boolean {
    return this.#flow.gone
  }

  taken(): number | undefined {
    return this.kernel?.isBusy === true || isWaitedFor(this.response) ? this.sentBytes : undefined
  }

  cut(why?: Error): void {
    this.failure ??= why
    this.response.destroy()
  }

  /**
   * Resolves once bytes of `range` are here, and can be read: what fails until then can still be
   * told as an error.
   */
  async ready(range: ByteRange): Promise<void> {
    if (this.kernel === undefined || !isWorthIt(range)) {
      this.#reading = this.#read(range, range.first)
      await this.#reading.first
      return
    }
    const sendable = await this.#sendable(range.first, range.last)
    if (typeof sendable !== 'number' || (await this.#isReadable(range.first))) {
      this.#ready = { at: range.first, sendable }
      return
    }
    // What the file does not give, the blob may have elsewhere.
    this.#ready = { at: range.first, sendable: undefined }
    this.#reading = this.#read(range, range.first)
    await this.#reading.first
  }

  /**
   * The head must be written; it goes out with the first bytes, if they are here. Resolves when the
   * connection has all of `range`, or may be given more.
   * @throws what the blob's reader throws; SendfileError; what broke the connection
   */
  send(range: ByteRange): Promise<void> {
    const { kernel } = this
    if (kernel === undefined || !isWorthIt(range)) return this.#relay(range, range.first)
    return this.#sendFile(kernel, range)
  }

  /** What stands between ranges. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.response.write(bytes)) await this.#flow.drained()
    this.#nodeBytes += bytes.length
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.kernel?.close()
    this.#ready = undefined
    try {
      // One that waits for bytes ends when they come, or its signal tells that the client left.
      await this.#reading?.chunks.return?.()
    } finally {
      this.#flow.release()
      await this.body.blob.close()
    }
  }

  /** Calls the kernel itself: a client that stands still keeps each function that waits for it. */
  async #sendFile(kernel: FileSending, range: ByteRange): Promise<void> {
    const { last } = range
    let position = range.first
    while (position <= last) {
      const ready = this.#takeReady(position)
      const sendable = ready ? ready.sendable : await this.#sendable(position, last)
      if (sendable === undefined) break
      if (typeof sendable === 'object') {
        await this.write(sendable)
        position += sendable.length
        continue
      }
      await this.#leaveToKernel()
      const before = kernel.sentBytes
      try {
        await kernel.send(position, sendable - position)
        position = sendable
      } catch (error) {
        if (!(error instanceof SendfileError) || error.failure === 'client') throw error
        position += kernel.sentBytes - before
        break
      }
    }
    if (position > last) return
    // Nobody knows how long the bytes take.
    this.response.flushHeaders()
    await this.#relay(range, position)
  }

  /** Resolves when node has nothing of its own to send on the connection. */
  async #leaveToKernel(): Promise<void> {
    const { response } = this
    response.flushHeaders()
    // An answer before this one has the connection: nothing goes to it past that.
    if (response.socket === null) await once(response, 'socket', { signal: this.#flow.signal })
    await this.#flow.flushed()
  }

  async #sendable(position: number, last: number): Promise<Sendable> {
    const { file } = this.body.blob
    if (file === undefined) return undefined
    return last < file.readyBytes ? last + 1 : file.until(position, last, this.#flow.signal)
  }

  /** Where nobody has read, the disk may fail. */
  async #isReadable(position: number): Promise<boolean> {
    const { file } = this.body.blob
    if (file === undefined || file.isProven?.(position) === true) return true
    try {
      await file.read(Buffer.allocUnsafe(1), position)
      return true
    } catch (error) {
      if (error instanceof StoreError) return false
      throw error
    }
  }

  #takeReady(position: number): Ready | undefined {
    const ready = this.#ready
    this.#ready = undefined
    return ready?.at === position ? ready : undefined
  }

  /**
   * What the kernel does not send of `range`, chunk by chunk, no faster than the client takes it.
   */
  async #relay(range: ByteRange, position: number): Promise<void> {
    const { chunks, first } = this.#reading ?? this.#read(range, position)
    this.#reading = undefined
    try {
      for (let step = await first; step.done !== true; step = await chunks.next()) {
        await this.#pass(step.value)
      }
    } finally {
      await chunks.return?.()
    }
  }

  #read(range: ByteRange, position: number): Reading {
    const { blob } = this.body
    const chunks = blob.read(range, this.#flow.signal, position)[Symbol.asyncIterator]()
    return { chunks, first: chunks.next() }
  }

  /**
   * Counts a chunk when the client has taken it as far as the connection's buffer, and gives it
   * back once the kernel has it.
   */
  async #pass(chunk: Uint8Array): Promise<void> {
    const written = (error?: Error | null) => {
      // After an error the connection may still hold on to it.
      if (error === null || error === undefined) this.body.blob.giveBack?.(chunk)
    }
    if (!this.response.write(chunk, written)) await this.#flow.drained()
    this.#nodeBytes += chunk.length
  }
}

/** What may be sent from a position on. */
interface Ready {
  readonly at: number
  readonly sendable: Sendable
}

/** Driven by hand: the head goes out between the first request for bytes and their coming. */
interface Reading {
  readonly chunks: AsyncIterator<Uint8Array>
  readonly first: Promise<IteratorResult<Uint8Array>>
}

function isWorthIt(range: ByteRange): boolean {
  return rangeLength(range) >= SENDFILE_MIN_BYTES
}

/** Undefined when this answer cannot go this way. */
function openKernel(
  { socket, req }: ServerResponse,
  { blob }: BlobBody,
  sendfile: Sendfile | undefined,
): FileSending | undefined {
  const isItsOwn = socket === null || socket === req.socket
  if (sendfile === undefined || blob.file === undefined || !isItsOwn) return undefined
  return sendfile.open(req.socket, blob.file.descriptor)
}
