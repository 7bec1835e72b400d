// One blob by several ranges: a window that moves over it in order, some ranges of it on their way,
// the first among them being read in turn and the others ahead of it (docs/adr/0020). Where its
// bytes come from otherwise, and when it is tried at all, is download.ts.
import type { ByteRange } from '../../oci/range.ts'
import { type FillFile, StoreError } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlobRequest, UpstreamBlob } from '../ports/upstream.ts'
import type { FillProgress } from './fill-progress.ts'
import { type Attempts, mayTryAgain } from './fill-rules.ts'
import type { Claim, Lines } from './lines.ts'
import { NotARange, RangeLine } from './range-line.ts'
import { RangePlan } from './range-plan.ts'
import type { Width } from './width.ts'

const MIB = 1024 * 1024
/**
 * How far ahead of the first gap anything is asked for: what a crash may cost, and what a reader at
 * the gap waits for at worst.
 */
const WINDOW_BYTES = 64 * MIB
/** The first range, before anything is known. */
const FIRST_BYTES = 4 * MIB
/**
 * A range takes about so long: short ones keep the gap small, long ones cost fewer requests. Alone
 * there is no gap.
 */
const RANGE_MS = 400
const RANGE_ALONE_MS = 1_000
const RANGE_MIN_BYTES = MIB
const RANGE_MAX_BYTES = 8 * MIB
/** At the end of the blob ranges are shorter, so that all lines end at about the same time. */
const LAST_MIN_BYTES = 512 * 1024
/**
 * A line is given up when what it lacks would take it this long, and so much longer than another
 * one.
 */
const SLOW_MS = 2_000
const SLOW_FACTOR = 4
/**
 * One that brings nothing at all is given up after this even where nothing else moves, and the next
 * one after twice as long, and so on.
 */
const SILENT_MS = 5_000
/** Each costs a connection: more of them would mean that the upstream is slow, and not a line. */
const ABANDONED_MAX = 16

export interface RangedDownloadContext {
  readonly file: FillFile
  readonly progress: Pick<FillProgress, 'begin' | 'received'>
  readonly sizeBytes: number
  readonly lines: Lines
  readonly width: Width
  readonly claim: Claim
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly attempts: Attempts
  /** ETag of the first answer. */
  readonly validator: string | undefined
  readonly ask: (request: BlobRequest, signal: AbortSignal) => Promise<UpstreamBlob>
}

/** How long the next range of one among `fills` should be, over `left` bytes. */
export function rangeBytes(
  { lineBytesPerMs, lines: ofAll }: Width,
  leftBytes: number,
  fills = 1,
): number {
  // What a fill may count on when all want more than one.
  const lines = Math.max(1, Math.round(ofAll / fills))
  const forMs = lines === 1 ? RANGE_ALONE_MS : RANGE_MS
  const wanted = lineBytesPerMs === undefined ? FIRST_BYTES : lineBytesPerMs * forMs
  const bounded = Math.min(RANGE_MAX_BYTES, Math.max(RANGE_MIN_BYTES, Math.round(wanted)))
  if (lines === 1) return bounded
  if (fills === 1)
    return Math.min(bounded, Math.max(LAST_MIN_BYTES, Math.ceil(leftBytes / (2 * lines))))
  // Beside others nothing is lost when its lines end one after another, what becomes free is
  // theirs; and each question has its price.
  const part = Math.min(bounded, Math.max(RANGE_MIN_BYTES, Math.ceil(leftBytes / lines)))
  return leftBytes - part < LAST_MIN_BYTES ? leftBytes : part
}

export class RangedDownload {
  readonly #context: RangedDownloadContext
  readonly #plan: RangePlan
  readonly #cut = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Map<RangeLine, Promise<void>>()
  /** How those are told that wait until they may read. */
  readonly #waiting = new Map<RangeLine, () => void>()
  readonly #abandoned = new Set<RangeLine>()
  #silentMaxMs = SILENT_MS
  /** Lines beyond the one that every download has. */
  #extraLines = 0
  #woken = Promise.withResolvers<void>()
  #failed: { readonly error: unknown } | undefined
  #pausing: Promise<void> | undefined
  #broughtBytes: number
  /** Lines that it may have, and nothing to ask for by them. */
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
   * ahead of it. No line runs any more, however it ends. `first` is a part.
   * @throws UpstreamError; StoreError; the signal's reason
   */
  async run(first: UpstreamBlob): Promise<boolean> {
    const { file, width } = this.#context
    const leave = width.join(() => this.#woken.resolve())
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
    if (error.cause === undefined) width.refused()
    await file.forgetAhead()
    return false
  }

  async #untilDone(): Promise<void> {
    for (;;) {
      this.#woken = Promise.withResolvers<void>()
      if (this.#failed !== undefined) return
      this.#letFlow()
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
    const { file, width, lines, claim } = this.#context
    this.#isIdle = false
    while (this.#wantsMore()) {
      const limit = file.appendedBytes + WINDOW_BYTES
      const lengthBytes = rangeBytes(width, this.#plan.leftBytes, lines.fills)
      const range = this.#plan.next(lengthBytes, limit)
      if (range === undefined) {
        this.#isIdle = true
        return
      }
      if (this.#running.size > 0) {
        if (!lines.more(claim)) {
          this.#plan.giveBack(range)
          return
        }
        this.#extraLines += 1
      }
      this.#begin(range)
    }
  }

  #wantsMore(): boolean {
    if (this.#pausing !== undefined) return false
    if (this.#running.size === 0) return true
    const { lines, width } = this.#context
    const ending = [...this.#running.keys()].filter(line => line.isNearEnd).length
    return lines.taken - ending < width.lines
  }

  #begin(range: ByteRange, answer?: UpstreamBlob): void {
    const line = new RangeLine(range, {
      ...this.#context,
      signal: this.#signal,
      mayFlow: waiting => this.#mayFlow(waiting),
      nearEnd: () => this.#woken.resolve(),
    })
    const ended = line.run(answer).then(
      () => this.#ended(line),
      (error: unknown) => this.#ended(line, { error }),
    )
    this.#running.set(line, ended)
  }

  #ended(line: RangeLine, failed?: { readonly error: unknown }): void {
    const { width, lines, claim } = this.#context
    this.#running.delete(line)
    this.#waiting.delete(line)
    this.#plan.giveBack({ first: line.position, last: line.last })
    if (this.#extraLines > 0) {
      this.#extraLines -= 1
      lines.give(claim)
    }
    if (line.isFlowing) width.ebb()
    // What it had brought is lost when the disk refuses that, whoever has ended the line.
    const isExpected = this.#abandoned.has(line) && !(failed?.error instanceof StoreError)
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
    const { file, width, attempts } = this.#context
    width.failed()
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

  #mayFlow(line: RangeLine): Promise<void> {
    if (this.#flow(line)) return Promise.resolve()
    return new Promise(resolve => this.#waiting.set(line, resolve))
  }

  /** The lowest first. */
  #letFlow(): void {
    const waiting = [...this.#waiting].sort(([a], [b]) => a.position - b.position)
    for (const [line, goOn] of waiting) {
      if (!this.#flow(line)) return
      this.#waiting.delete(line)
      goOn()
    }
  }

  #flow(line: RangeLine): boolean {
    const isOnly = ![...this.#running.keys()].some(other => other.isFlowing)
    line.isFlowing = this.#context.width.flow(isOnly)
    return line.isFlowing
  }

  /**
   * A connection that died without a word: another one may live. Where none does, the limits of the
   * upstream's client end it.
   */
  #giveUpSilent(): void {
    const nowMs = this.#context.clock.monotonicMs()
    const silent = [...this.#running.keys()].filter(line => {
      return !this.#abandoned.has(line) && line.silentMs(nowMs) > this.#silentMaxMs
    })
    if (silent.length === 0) return
    this.#silentMaxMs *= 2
    for (const line of silent) this.#abandon(line)
  }

  #abandon(line: RangeLine): void {
    this.#abandoned.add(line)
    line.abandon()
  }

  /**
   * Where there is nothing else to do for a line: what a much slower one still lacks is asked for
   * anew, by another connection.
   */
  #giveUpSlow(): void {
    if (!this.#isIdle || this.#abandoned.size >= ABANDONED_MAX) return
    const { clock, width } = this.#context
    const nowMs = clock.monotonicMs()
    const flowing = [...this.#running.keys()].filter(line => line.isFlowing)
    const isMoving = flowing.some(line => line.silentMs(nowMs) < SLOW_MS / 2)
    for (const line of flowing) {
      const leftMs = line.leftMs(nowMs)
      const usualMs = line.leftBytes / (width.lineBytesPerMs ?? Number.POSITIVE_INFINITY)
      const isSlow = leftMs > SLOW_MS && leftMs > usualMs * SLOW_FACTOR
      const isSilent = isMoving && line.silentMs(nowMs) > SLOW_MS
      if (!isSilent && !(isSlow && line.readMs(nowMs) > SLOW_MS)) continue
      this.#abandon(line)
    }
  }
}

/** Whether it came in its turn or ahead of it. */
function brought({ appendedBytes, aheadBytes }: FillFile): number {
  return appendedBytes + aheadBytes
}
