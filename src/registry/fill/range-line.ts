// One range of a blob on its way: the question, the answer's head compared with it, the body into
// the file. Whether it is asked for, and what becomes of what did not come, is for
// ranged-download.ts.
import type { ByteRange } from '../../oci/range.ts'
import type { Clock } from '../ports/clock.ts'
import { leave } from './ask-blob.ts'
import type { FillProgress } from './fill-progress.ts'
import type { FillFile } from '../ports/blob-store.ts'
import { type BlobRequest, type UpstreamBlob, UpstreamError } from '../ports/upstream.ts'
import { RangeSink } from './range-sink.ts'
import { untilAborted } from '../../async/aborting.ts'
import type { Width } from './width.ts'

/**
 * The next question goes out half as long again before the end as an answer takes to begin, and a
 * little for a busy machine.
 */
const LEAD_FACTOR = 1.5
const LEAD_MS = 20
/** Before that the speed of a line is not known. */
const KNOWN_AFTER_MS = 20
const UNKNOWN_LEAD_BYTES = 1024 * 1024

/** The upstream sent the whole blob where a part was asked for, or refused the part. */
export class NotARange extends Error {
  constructor(options?: ErrorOptions) {
    super('the upstream does not give this part of the blob', options)
    this.name = 'NotARange'
  }
}

/**
 * A 416, a 400, a 501, or a 206 for another part than was asked for: some upstreams have no other
 * word for ranges that they do not know.
 */
export function mayBeOfRange(error: unknown): boolean {
  return (
    error instanceof UpstreamError &&
    (error.failure === 'invalid' || error.failure === 'unsupported')
  )
}

export interface RangeLineContext {
  readonly file: FillFile
  readonly progress: Pick<FillProgress, 'begin' | 'received'>
  readonly width: Width
  readonly clock: Clock
  readonly sizeBytes: number
  /** Ends every line of the download. */
  readonly signal: AbortSignal
  readonly ask: (request: BlobRequest, signal: AbortSignal) => Promise<UpstreamBlob>
  /** ETag of the first answer. */
  readonly validator: string | undefined
  /** Resolves when this line may read its body: in its turn, or as one of several. */
  readonly mayFlow: (line: RangeLine) => Promise<void>
  /** Told when the line is so near its end that the next question may be asked. */
  readonly nearEnd: () => void
}

export class RangeLine {
  /** The next byte that is to come. */
  position: number
  readonly last: number
  /** Reads its body. */
  isFlowing = false
  readonly #first: number
  readonly #context: RangeLineContext
  readonly #own = new AbortController()
  /**
   * Monotonic: since when it reads, and when the upstream was asked, or the last piece was with the
   * file.
   */
  #startedMs: number | undefined
  #lastMs: number
  #isAsking = true
  /** Since when it waits for the disk, and how long it has before. */
  #writingSinceMs: number | undefined
  #writtenMs = 0

  constructor(range: ByteRange, context: RangeLineContext) {
    this.#first = this.position = range.first
    this.last = range.last
    this.#context = context
    this.#lastMs = context.clock.monotonicMs()
  }

  get leftBytes(): number {
    return this.last + 1 - this.position
  }

  /** May the next question be asked, so that its answer is here when this one ends? */
  get isNearEnd(): boolean {
    return this.isFlowing && this.leftBytes <= this.#leadBytes()
  }

  /**
   * How much longer it takes where the upstream goes on as it did; Infinity when nothing has come.
   */
  leftMs(nowMs: number): number {
    const comeBytes = this.position - this.#first
    return (this.leftBytes * Math.max(1, this.readMs(nowMs))) / comeBytes
  }

  /** For how long it has been reading, without what the disk took of that. */
  readMs(nowMs: number): number {
    return this.#ageMs(nowMs) - this.#writtenMs - (nowMs - (this.#writingSinceMs ?? nowMs))
  }

  /**
   * For how long nothing has come although it was asked for or is read; 0 while it waits until it
   * may be, and while the disk takes its time.
   */
  silentMs(nowMs: number): number {
    if (this.#writingSinceMs !== undefined) return 0
    if (this.#isAsking) return nowMs - this.#lastMs
    return nowMs - Math.max(this.#lastMs, this.#startedMs ?? nowMs)
  }

  /** Ends this line alone: its connection is slower than the others. */
  abandon(): void {
    // No UpstreamError: that would count against the upstream for everybody, and it is only this
    // one that does not wait any longer.
    this.#own.abort(new Error('the range came too slowly'))
  }

  /**
   * Resolves when the range, or as much of it as the upstream sends at once, is with the file:
   * `position` says how far. `answer` is what came already, to a question that this line cannot
   * end.
   * @throws NotARange; UpstreamError; StoreError; the signal's reason
   */
  async run(answer?: UpstreamBlob): Promise<void> {
    const { width, clock, file, progress } = this.#context
    const signal = AbortSignal.any([this.#context.signal, this.#own.signal])
    const body =
      answer === undefined ? (await this.#ask(signal)).body : untilAborted(answer.body, signal)
    this.#isAsking = false
    const bytes = body[Symbol.asyncIterator]()
    const sink = new RangeSink(file, progress, this.position)
    try {
      await this.#context.mayFlow(this)
      this.#startedMs = clock.monotonicMs()
      for (let piece = await bytes.next(); !piece.done; piece = await bytes.next()) {
        signal.throwIfAborted()
        await this.#take(piece.value, sink)
      }
      width.brought(this.position - this.#first, this.#ageMs(clock.monotonicMs()))
    } finally {
      // No effect on a body that was read to its end.
      await bytes.return?.().catch(() => {})
      // What came before a connection broke counts.
      await this.#write(() => sink.end())
    }
  }

  async #ask(signal: AbortSignal): Promise<UpstreamBlob> {
    const { ask, sizeBytes, validator } = this.#context
    const request = { offset: this.position, lastByte: this.last }
    const asked = validator === undefined ? request : { ...request, validator }
    const answer = await ask(asked, signal).catch((error: unknown) => {
      throw mayBeOfRange(error) ? new NotARange({ cause: error }) : error
    })
    const failure = faultOf(answer, this.position, sizeBytes)
    if (failure === undefined) return answer
    await leave(answer)
    throw failure
  }

  /** What it brings while the next answer is waited for. */
  #leadBytes(): number {
    const { width, clock } = this.#context
    const nowMs = clock.monotonicMs()
    const knows = this.#ageMs(nowMs) >= KNOWN_AFTER_MS
    const bytesPerMs = knows ? this.#bytesPerMs(nowMs) : width.lineBytesPerMs
    if (bytesPerMs === undefined) return UNKNOWN_LEAD_BYTES
    return bytesPerMs * ((width.answerMs ?? 0) * LEAD_FACTOR + LEAD_MS)
  }

  async #take(chunk: Uint8Array, sink: RangeSink): Promise<void> {
    const { width, progress, nearEnd } = this.#context
    const wasNearEnd = this.isNearEnd
    if (chunk.length > this.leftBytes) {
      throw new UpstreamError('invalid', 'the upstream sent more than the part it was asked for')
    }
    this.position += chunk.length
    width.received(chunk.length)
    progress.received(chunk.length)
    if (!wasNearEnd && this.isNearEnd) nearEnd()
    await this.#write(() => sink.put(chunk))
  }

  async #write(write: () => Promise<void>): Promise<void> {
    const { clock } = this.#context
    const sinceMs = clock.monotonicMs()
    this.#writingSinceMs = sinceMs
    await write()
    this.#writingSinceMs = undefined
    this.#lastMs = clock.monotonicMs()
    this.#writtenMs += this.#lastMs - sinceMs
  }

  #bytesPerMs(nowMs: number): number {
    return (this.position - this.#first) / Math.max(1, this.#ageMs(nowMs))
  }

  /** For how long it has been reading and writing. */
  #ageMs(nowMs: number): number {
    return nowMs - (this.#startedMs ?? nowMs)
  }
}

function faultOf(
  { offset, lastByte, totalBytes }: UpstreamBlob,
  position: number,
  sizeBytes: number,
): Error | undefined {
  if (totalBytes !== undefined && totalBytes !== sizeBytes) {
    const message = `the upstream says ${totalBytes} bytes, and said ${sizeBytes} before`
    return new UpstreamError('invalid', message)
  }
  if (lastByte === undefined) return new NotARange()
  if (offset === position) return undefined
  return new UpstreamError('invalid', `the upstream sent a part from ${offset}, not ${position}`)
}
