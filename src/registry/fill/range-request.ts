// One range of a blob on its way: the request, the response's head compared with it, the body into
// the file. Whether it is made, and what becomes of what did not come, is for ranged-download.ts.
import type { ByteRange } from '../../oci/range.ts'
import type { Clock } from '../ports/clock.ts'
import { discard } from './fill-task.ts'
import type { FillProgress } from './fill-progress.ts'
import type { FillRoom } from './fill-room.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import type { BlobRequest, UpstreamBlob } from '../ports/upstream-content.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { RangeSink } from './range-sink.ts'
import { untilAborted } from '../../async/aborting.ts'
import type { ConcurrencyController } from './concurrency-controller.ts'

/**
 * The next request goes out half as long again before the end as a response takes to begin, and a
 * little for a busy machine.
 */
const LEAD_FACTOR = 1.5
const LEAD_MS = 20
/** Before that the speed of a connection is not known. */
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

export interface RangeRequestContext {
  readonly file: FillFile
  readonly progress: Pick<FillProgress, 'begin' | 'received'>
  readonly room: Pick<FillRoom, 'taking'>
  readonly concurrency: ConcurrencyController
  readonly clock: Clock
  readonly sizeBytes: number
  /** Ends every request of the download. */
  readonly signal: AbortSignal
  readonly ask: (request: BlobRequest, signal: AbortSignal) => Promise<UpstreamBlob>
  /** ETag of the first response. */
  readonly validator: string | undefined
  /** Resolves when this request may read its body: in its turn, or as one of several. */
  readonly mayRead: (request: RangeRequest) => Promise<void>
  /** Told when it is so near its end that the next request may be made. */
  readonly nearEnd: () => void
}

export class RangeRequest {
  /** The next byte that is to come. */
  position: number
  readonly last: number
  /** Reads its body. */
  isReading = false
  readonly #first: number
  readonly #context: RangeRequestContext
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

  constructor(range: ByteRange, context: RangeRequestContext) {
    this.#first = this.position = range.first
    this.last = range.last
    this.#context = context
    this.#lastMs = context.clock.monotonicMs()
  }

  get leftBytes(): number {
    return this.last + 1 - this.position
  }

  /** May the next request be made, so that its response is here when this one ends? */
  get isNearEnd(): boolean {
    return this.isReading && this.leftBytes <= this.#leadBytes()
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

  /** Ends this request alone: its connection is slower than the others. */
  abandon(): void {
    // No UpstreamError: that would count against the upstream for everybody, and it is only this
    // one that does not wait any longer.
    this.#own.abort(new Error('the range came too slowly'))
  }

  /**
   * Resolves when the range, or as much of it as the upstream sends at once, is with the file:
   * `position` says how far. `response` is what came already, to a request that cannot be ended
   * from here.
   * @throws NotARange; UpstreamError; StoreError; the signal's reason
   */
  async run(response?: UpstreamBlob): Promise<void> {
    const { concurrency, clock, file, progress } = this.#context
    const signal = AbortSignal.any([this.#context.signal, this.#own.signal])
    const body =
      response === undefined ? (await this.#ask(signal)).body : untilAborted(response.body, signal)
    this.#isAsking = false
    const bytes = body[Symbol.asyncIterator]()
    const sink = new RangeSink(file, progress, this.position)
    try {
      await this.#context.mayRead(this)
      this.#startedMs = clock.monotonicMs()
      for (let piece = await bytes.next(); !piece.done; piece = await bytes.next()) {
        signal.throwIfAborted()
        await this.#take(piece.value, sink)
      }
      concurrency.noteThroughput(this.position - this.#first, this.#ageMs(clock.monotonicMs()))
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
    const wanted = validator === undefined ? request : { ...request, validator }
    const response = await ask(wanted, signal).catch((error: unknown) => {
      throw mayBeOfRange(error) ? new NotARange({ cause: error }) : error
    })
    const failure = faultOf(response, this.position, sizeBytes)
    if (failure === undefined) return response
    await discard(response)
    throw failure
  }

  /** What it brings while the next response is waited for. */
  #leadBytes(): number {
    const { concurrency, clock } = this.#context
    const nowMs = clock.monotonicMs()
    const knows = this.#ageMs(nowMs) >= KNOWN_AFTER_MS
    const bytesPerMs = knows ? this.#bytesPerMs(nowMs) : concurrency.connectionBytesPerMs
    if (bytesPerMs === undefined) return UNKNOWN_LEAD_BYTES
    return bytesPerMs * ((concurrency.latencyMs ?? 0) * LEAD_FACTOR + LEAD_MS)
  }

  async #take(chunk: Uint8Array, sink: RangeSink): Promise<void> {
    const { concurrency, progress, room, nearEnd } = this.#context
    const wasNearEnd = this.isNearEnd
    if (chunk.length > this.leftBytes) {
      throw new UpstreamError('invalid', 'the upstream sent more than the part it was asked for')
    }
    this.position += chunk.length
    concurrency.received(chunk.length)
    progress.received(chunk.length)
    if (!wasNearEnd && this.isNearEnd) nearEnd()
    // Counted at once, also for those that wait for their room at the same time.
    const made = room.taking(chunk.length)
    await this.#write(
      made === undefined ? () => sink.put(chunk) : () => made.then(() => sink.put(chunk)),
    )
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
