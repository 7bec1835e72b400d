// A stream of bytes from one thread to another, no faster than it is read there: the reader grants
// bytes, the sender sends pieces whose memory it gives up. At most one window and a piece wait
// between the two, whatever the body's length.
import { decodeError, encodeError, type ErrorValue } from './error-value.ts'
import type { Message } from './messages.ts'
import { ownBytes } from './messages.ts'

/**
 * Some pieces of a request's body, which come in 64 KiB: enough to hide one trip to the other
 * thread and back.
 */
export const WINDOW_BYTES = 256 * 1024

type Post = (message: Message, transfer?: readonly ArrayBuffer[]) => void

export interface OutgoingSource {
  /**
   * Its pieces are the sender's to give away, or are copied where they are no memory of their own;
   * who yielded one does not touch it.
   */
  readonly pieces: AsyncIterable<Uint8Array>
  /** Told of each piece that was sent as a copy, and is nobody's now. */
  copied?(piece: Uint8Array): void
  /** Nothing more is sent, whoever ended it. */
  over(): void
}

/** The sending end. Nothing of `pieces` is read before the first grant. */
export class OutgoingStream {
  readonly #id: number
  readonly #post: Post
  readonly #source: OutgoingSource
  #iterator: AsyncIterator<Uint8Array> | undefined
  #grantedBytes = 0
  #isPumping = false
  #isOver = false

  constructor(id: number, post: Post, source: OutgoingSource) {
    this.#id = id
    this.#post = post
    this.#source = source
  }

  grant(bytes: number): void {
    this.#grantedBytes += bytes
    if (!this.#isPumping) void this.#pump()
  }

  /** Sends no more, and tells the source that nobody reads on. No effect when it is over. */
  leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#source.over()
    // A source that waits for its client may answer this only when that comes back.
    this.#iterator?.return?.().catch(() => {})
  }

  async #pump(): Promise<void> {
    this.#isPumping = true
    try {
      this.#iterator ??= this.#source.pieces[Symbol.asyncIterator]()
      while (this.#grantedBytes > 0 && !this.#isOver) {
        const step = await this.#iterator.next()
        if (this.#isOver) return
        if (step.done === true) this.#end({ kind: 'end', stream: this.#id })
        else this.#send(step.value)
      }
    } catch (error) {
      if (!this.#isOver) {
        this.#end({ kind: 'break', stream: this.#id, error: encodeError(error) })
      }
    } finally {
      this.#isPumping = false
    }
  }

  #send(piece: Uint8Array): void {
    this.#grantedBytes -= piece.length
    const bytes = ownBytes(piece)
    this.#post({ kind: 'piece', stream: this.#id, bytes }, [bytes.buffer])
    if (bytes !== piece) this.#source.copied?.(piece)
  }

  #end(message: Message): void {
    this.#isOver = true
    this.#source.over()
    this.#post(message)
  }
}

export interface IncomingEnds {
  grant(bytes: number): void
  leave(): void
  /** It is over, whoever ended it: no message for it means anything any more. */
  over(): void
}

/**
 * The reading end: an iterator by hand, which can be left at any time, also while a piece is waited
 * for. What came before a failure is given before that is thrown.
 */
export class IncomingStream implements AsyncIterableIterator<Uint8Array> {
  readonly #ends: IncomingEnds
  readonly #pieces: Uint8Array[] = []
  #state: 'fresh' | 'open' | 'ended' | 'broken' | 'left' = 'fresh'
  #error: Error | undefined
  #owedBytes = 0
  #wake: (() => void) | undefined

  constructor(ends: IncomingEnds) {
    this.#ends = ends
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === 'fresh') {
      this.#state = 'open'
      this.#ends.grant(WINDOW_BYTES)
    }
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#repay(piece.length)
        return { done: false, value: piece }
      }
      if (this.#state === 'broken') {
        this.#state = 'left'
        throw this.#error
      }
      if (this.#state !== 'open') return { done: true, value: undefined }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    const isLive = this.#state === 'fresh' || this.#state === 'open'
    this.#state = 'left'
    this.#pieces.length = 0
    if (isLive) {
      this.#ends.leave()
      this.#ends.over()
    }
    this.#wake?.()
    return { done: true, value: undefined }
  }

  /** A piece arrived. */
  take(piece: Uint8Array): void {
    if (this.#state !== 'open') return
    this.#pieces.push(piece)
    this.#wake?.()
  }

  /** It ended, or by `error` broke. No effect after its end. */
  end(error?: ErrorValue | Error): void {
    if (this.#state !== 'open' && this.#state !== 'fresh') return
    this.#state = error === undefined ? 'ended' : 'broken'
    this.#error = error === undefined || error instanceof Error ? error : decodeError(error)
    this.#ends.over()
    this.#wake?.()
  }

  /** In few messages: half a window at a time. */
  #repay(bytes: number): void {
    this.#owedBytes += bytes
    if (this.#owedBytes < WINDOW_BYTES / 2 || this.#state !== 'open') return
    this.#ends.grant(this.#owedBytes)
    this.#owedBytes = 0
  }
}
