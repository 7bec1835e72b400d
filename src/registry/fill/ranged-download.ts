// One blob by several ranges: a window that moves over it in order, some ranges of it on their way,
// the first among them being read in turn and the others ahead of it (docs/adr/0020). Where its
// bytes come from otherwise, and when it is tried at all, is download.ts.
import type { ByteRange } from '../../oci/range.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlobRequest, UpstreamBlob } from '../ports/upstream-content.ts'
import type { FillProgress } from './fill-progress.ts'
import type { FillRoom } from './fill-room.ts'
import { type Attempts, mayTryAgain } from './fill-rules.ts'
import type { ConnectionClaim, ConnectionBudget } from './connection-budget.ts'
import { NotARange, RangeRequest } from './range-request.ts'
import { RangePlan, rangeBytes } from './range-plan.ts'
import type { ConcurrencyController } from './concurrency-controller.ts'

const MIB = 1024 * 1024
/**
 * How far ahead of the first gap anything is asked for: what a crash may cost, and what a reader at
 * the gap waits for at worst.
 */
const WINDOW_BYTES = 64 * MIB
/**
 * A request is given up when what it lacks would take it this long, and so much longer than another
 * one.
 */
const SLOW_MS = 2_000
const SLOW_FACTOR = 4
/**
 * One that brings nothing at all is given up after this even where nothing else moves, and the next
 * one after twice as long, and so on.
 */
const SILENT_MS = 5_000
/** Each costs a connection: more of them would mean that the upstream is slow, not one of them. */
const ABANDONED_MAX = 16

export interface RangedDownloadContext {
  readonly file: FillFile
  readonly progress: Pick<FillProgress, 'begin' | 'received'>
  readonly room: Pick<FillRoom, 'taking'>
  readonly sizeBytes: number
  readonly connections: ConnectionBudget
  readonly concurrency: ConcurrencyController
  readonly claim: ConnectionClaim
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly attempts: Attempts
  /** ETag of the first response. */
  readonly validator: string | undefined
  readonly ask: (request: BlobRequest, signal: AbortSignal) => Promise<UpstreamBlob>
}

export class RangedDownload {
  readonly #context: RangedDownloadContext
  readonly #plan: RangePlan
  readonly #cut = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Map<RangeRequest, Promise<void>>()
  /** How those are told that wait until they may read. */
  readonly #waiting = new Map<RangeRequest, () => void>()
  readonly #abandoned = new Set<RangeRequest>()
  #silentMaxMs = SILENT_MS
  /** Connections beyond the one that every download has. */
  #extraConnections = 0
  #woken = Promise.withResolvers<void>()
  #failed: { readonly error: unknown } | undefined
  #pausing: Promise<void> | undefined
  #broughtBytes: number
  /** There are connections that it may have, and nothing to ask for by them. */
  #isIdle = false

  /** `end`: what lies before it is here, or asked for by what run is given. */
  constructor(context: RangedDownloadContext, end: number) {
    this.#context = context
    this.#plan = new RangePlan(end, context.sizeBytes)
    this.#signal = AbortSignal.any([context.signal, this.#cut.signal])
    this.#broughtBytes = brought(context.file)
  }

  /** Not asked for yet. */
  get leftBytes(): number {
    return this.#plan.leftBytes
  }

  /**
   * Resolves with true when the whole blob is with the file, and with false when the upstream does
   * not keep to ranges: what is there without a gap may be gone on with then, and nothing lies
   * ahead of it. No request runs any more, however it ends. `first` is a part.
   * @throws UpstreamError; StoreError; the signal's reason
   */
  async run(first: UpstreamBlob): Promise<boolean> {
    const { file, concurrency } = this.#context
    const leave = concurrency.join(() => this.#woken.resolve())
    try {
      this.#begin({ first: first.offset, last: first.lastByte ?? first.offset }, first)
      await this.#untilDone()
    } finally {
      leave()
      this.#cut.abort(new Error('the download has ended'))
      for (const goOn of this.#waiting.values()) goOn()
      await Promise.all(this.#running.values())
    }
    if (this.#failed === undefined) {
      await file.flush()
      return true
    }
    const { error } = this.#failed
    if (!(error instanceof NotARange)) throw error
    // A part that was refused may be no more than that: whether ranges are is found out by the next
    // request.
    if (error.cause === undefined) concurrency.noteRangesRefused()
    await file.forgetAhead()
    return false
  }

  async #untilDone(): Promise<void> {
    for (;;) {
      this.#woken = Promise.withResolvers<void>()
      if (this.#failed !== undefined) return
      this.#admitReaders()
      this.#askMore()
      if (this.#running.size === 0 && this.#pausing === undefined) {
        if (this.#plan.leftBytes === 0) return
        await this.#takeIn()
        continue
      }
      this.#giveUpSilent()
      this.#giveUpSlow()
      await this.#woken.promise
    }
  }

  /**
   * All of the window has come, and its beginning is still being hashed: it moves on as far as that
   * is done.
   */
  async #takeIn(): Promise<void> {
    const { file } = this.#context
    const beforeBytes = file.appendedBytes
    await file.flush()
    // What is left lies behind a whole window: without this there would be no end to it.
    if (file.appendedBytes === beforeBytes) throw new Error('a full window was not taken in')
  }

  #askMore(): void {
    const { file, concurrency, connections, claim } = this.#context
    this.#isIdle = false
    while (this.#wantsMore()) {
      const limit = file.appendedBytes + WINDOW_BYTES
      const lengthBytes = rangeBytes(concurrency, this.#plan.leftBytes, connections.fills)
      const range = this.#plan.next(lengthBytes, limit)
      if (range === undefined) {
        this.#isIdle = true
        return
      }
      if (this.#running.size > 0) {
        if (!connections.tryAcquireMore(claim)) {
          this.#plan.giveBack(range)
          return
        }
        this.#extraConnections += 1
      }
      this.#begin(range)
    }
  }

  #wantsMore(): boolean {
    if (this.#pausing !== undefined) return false
    if (this.#running.size === 0) return true
    const { connections, concurrency } = this.#context
    const ending = [...this.#running.keys()].filter(request => request.isNearEnd).length
    return connections.inUse - ending < concurrency.limit
  }

  #begin(range: ByteRange, response?: UpstreamBlob): void {
    const request = new RangeRequest(range, {
      ...this.#context,
      signal: this.#signal,
      mayRead: waiting => this.#mayRead(waiting),
      nearEnd: () => this.#woken.resolve(),
    })
    const ended = request.run(response).then(
      () => this.#ended(request),
      (error: unknown) => this.#ended(request, { error }),
    )
    this.#running.set(request, ended)
  }

  #ended(request: RangeRequest, failed?: { readonly error: unknown }): void {
    const { concurrency, connections, claim } = this.#context
    this.#running.delete(request)
    this.#waiting.delete(request)
    this.#plan.giveBack({ first: request.position, last: request.last })
    if (this.#extraConnections > 0) {
      this.#extraConnections -= 1
      connections.release(claim)
    }
    if (request.isReading) concurrency.release()
    // What it had brought is lost when the disk refuses that, whoever has ended the request.
    const isExpected = this.#abandoned.has(request) && !(failed?.error instanceof StoreError)
    if (failed !== undefined && !isExpected) this.#onFailure(failed)
    this.#woken.resolve()
  }

  /**
   * One that follows from the same cause as another counts once: nothing is asked for until the
   * pause after that is over.
   */
  #onFailure(failed: { readonly error: unknown }): void {
    if (this.#failed !== undefined) return
    const state = { isBegun: true, hasPart: brought(this.#context.file) > 0 }
    if (!mayTryAgain(failed.error, state)) {
      this.#failed = failed
      return
    }
    if (this.#pausing !== undefined) return
    const { file, concurrency, attempts } = this.#context
    concurrency.failed()
    const gainedBytes = brought(file) - this.#broughtBytes
    this.#broughtBytes = brought(file)
    const over = (error?: { readonly error: unknown }) => {
      this.#pausing = undefined
      this.#failed ??= error
      this.#woken.resolve()
    }
    this.#pausing = attempts.pauseAfter(failed.error, gainedBytes, this.#signal).then(
      () => over(),
      (error: unknown) => over({ error }),
    )
  }

  #mayRead(request: RangeRequest): Promise<void> {
    if (this.#tryRead(request)) return Promise.resolve()
    return new Promise(resolve => this.#waiting.set(request, resolve))
  }

  /** The lowest first. */
  #admitReaders(): void {
    const waiting = [...this.#waiting].sort(([a], [b]) => a.position - b.position)
    for (const [request, goOn] of waiting) {
      if (!this.#tryRead(request)) return
      this.#waiting.delete(request)
      goOn()
    }
  }

  #tryRead(request: RangeRequest): boolean {
    const isOnly = ![...this.#running.keys()].some(other => other.isReading)
    request.isReading = this.#context.concurrency.tryAcquire(isOnly)
    return request.isReading
  }

  /**
   * A connection that died without a word: another one may live. Where none does, the limits of the
   * upstream's client end it.
   */
  #giveUpSilent(): void {
    const nowMs = this.#context.clock.monotonicMs()
    const silent = [...this.#running.keys()].filter(request => {
      return !this.#abandoned.has(request) && request.silentMs(nowMs) > this.#silentMaxMs
    })
    if (silent.length === 0) return
    this.#silentMaxMs *= 2
    for (const request of silent) this.#abandon(request)
  }

  #abandon(request: RangeRequest): void {
    this.#abandoned.add(request)
    request.abandon()
  }

  /**
   * Where there is nothing else to ask for: what a much slower request still lacks is asked for
   * anew, by another connection.
   */
  #giveUpSlow(): void {
    if (!this.#isIdle || this.#abandoned.size >= ABANDONED_MAX) return
    const { clock, concurrency } = this.#context
    const nowMs = clock.monotonicMs()
    const reading = [...this.#running.keys()].filter(request => request.isReading)
    const isMoving = reading.some(request => request.silentMs(nowMs) < SLOW_MS / 2)
    for (const request of reading) {
      const leftMs = request.leftMs(nowMs)
      const usualMs =
        request.leftBytes / (concurrency.connectionBytesPerMs ?? Number.POSITIVE_INFINITY)
      const isSlow = leftMs > SLOW_MS && leftMs > usualMs * SLOW_FACTOR
      const isSilent = isMoving && request.silentMs(nowMs) > SLOW_MS
      if (!isSilent && !(isSlow && request.readMs(nowMs) > SLOW_MS)) continue
      this.#abandon(request)
    }
  }
}

/** Whether it came in its turn or ahead of it. */
function brought({ appendedBytes, aheadBytes }: FillFile): number {
  return appendedBytes + aheadBytes
}
