// Brings what a fill's file lacks, resuming as often as the upstream makes progress: a large blob
// by ranges, where the upstream answers with them, anything else by one request that is resumed.
// What the bytes are worth is for the caller to verify.
import type { FillProgress } from './fill-progress.ts'
import { agree, receive } from './fill-receive.ts'
import type { FillRoom } from './fill-room.ts'
import { Attempts, distrustFor, mayTryAgain } from './fill-rules.ts'
import type { FillShare } from './fill-share.ts'
import { askBlob, askLength, discard, distrust, type FillTask } from './fill-task.ts'
import type { ConnectionClaim } from './connection-budget.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlobLocation, BlobRequest, UpstreamBlob } from '../ports/upstream-content.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { Leftover } from './leftover.ts'
import { mayBeOfRange } from './range-request.ts'
import { rangeBytes } from './range-plan.ts'
import { RangedDownload } from './ranged-download.ts'
import type { OpenFile } from '../reading/open-file.ts'

/**
 * What lacks less than this comes by one request: there is too little to find out about, and
 * nothing to gain.
 */
const RANGED_FROM_BYTES = 8 * 1024 * 1024
const NOTHING_CAME = 'the upstream gives no part of the blob'

export interface DownloadContext {
  readonly task: FillTask
  readonly share: FillShare
  readonly isSpeculative: () => boolean
  readonly clock: Clock
  readonly progress: FillProgress
  /** The growing file, for comparing. */
  readonly handle: () => OpenFile | undefined
  readonly signal: AbortSignal
  readonly room: Pick<FillRoom, 'promise' | 'reserve' | 'taking' | 'isDue'>
  /** Told of each response, before anything is made of it. */
  readonly responded: () => void
  /** Is given what is left of a response that found no room. */
  readonly leftover: Pick<Leftover, 'leave'>
}

export class Download {
  readonly #context: DownloadContext
  readonly #attempts: Attempts
  readonly #claim: ConnectionClaim
  #file: FillFile | undefined
  #early: Promise<UpstreamBlob> | undefined
  #ranged: RangedDownload | undefined
  /** Where the last response came from. */
  #location: BlobLocation | undefined
  #received = false
  /** What is here is compared with a whole response, and not bought a third time. */
  #hasAskedForAll = false
  /** Ranges have their own attempts. */
  #gaveUp = false

  constructor(context: DownloadContext) {
    this.#context = context
    this.#attempts = new Attempts(context.clock)
    this.#claim = {
      sizeBytes: context.task.declaredBytes ?? Number.POSITIVE_INFINITY,
      isSpeculative: context.isSpeculative,
      wantsMore: () => this.#wantsMore,
      wake: () => context.share.concurrency.wakeAll(),
    }
  }

  /**
   * Asks while the file is still being opened, which nothing is in. MUST be followed by run or
   * drop.
   */
  begin(): void {
    this.#early = this.#firstResponse()
    // Told to whoever runs.
    this.#early.catch(() => {})
  }

  /** There is no file. What was asked for is ended by the signal. */
  drop(): void {
    const leave = () => this.#context.share.connections.releaseAll(this.#claim)
    this.#early?.then(leave, leave)
  }

  /**
   * Returns the blob's length once all of it is on disk.
   * @throws UpstreamError; StoreError; the signal's reason
   */
  async run(file: FillFile): Promise<number> {
    this.#file = file
    for (;;) {
      const before = file.contiguousBytes
      try {
        const sizeBytes = await this.#attempt(file)
        if (sizeBytes !== undefined) return sizeBytes
        // By another request, at once where this one brought anything: counted, so that there is an
        // end to it.
        if (file.contiguousBytes === before) throw new UpstreamError('unavailable', NOTHING_CAME)
      } catch (error) {
        // The upstream client has retried already; before a first byte its word is final.
        const state = { isBegun: this.#received, hasPart: file.contiguousBytes > 0 }
        // The registry itself may say something else than its mirror did (R260).
        const lie = distrustFor(error)
        const wasMirror = lie !== undefined && distrust(this.#context.task, lie)
        if (this.#gaveUp || !(wasMirror || mayTryAgain(error, state))) throw error
        const gainedBytes = file.contiguousBytes - before
        await this.#attempts.pauseAfter(error, gainedBytes, this.#context.signal)
      }
    }
  }

  /** Undefined: it is to be tried again by another request. */
  async #attempt(file: FillFile): Promise<number | undefined> {
    const early = this.#early
    this.#early = undefined
    const whole = early === undefined ? await this.#alreadyWhole(file) : undefined
    if (whole !== undefined) return whole
    try {
      const response = await (early ?? this.#firstResponse())
      this.#received = true
      return await this.#take(file, response)
    } finally {
      this.#context.share.connections.releaseAll(this.#claim)
    }
  }

  async #firstResponse(): Promise<UpstreamBlob> {
    const { task, share, room, signal } = this.#context
    // Where there is no room, the upstream is not asked for what only readers can take.
    if (task.declaredBytes !== undefined) await room.promise(task.declaredBytes)
    await share.connections.acquire(this.#claim, signal)
    const [first, ...others] = this.#requests()
    let refused: unknown
    for (const request of [first, ...others]) {
      try {
        const response = await this.#ask(request)
        // Only now is it known that the range was refused and not the blob.
        if (refused !== undefined && first.lastByte !== undefined)
          share.concurrency.noteRangesRefused()
        return response
      } catch (error) {
        if (!mayBeOfRange(error)) throw error
        refused = error
      }
    }
    throw refused
  }

  /**
   * To be tried one after the other where a range is refused: the first range, all that is missing,
   * and once all there is.
   */
  #requests(): readonly [BlobRequest, ...BlobRequest[]] {
    const first = this.#firstRequest()
    const others = first.lastByte === undefined ? [] : [this.#openRequest()]
    if (first.offset === 0 || this.#hasAskedForAll) return [first, ...others]
    return [first, ...others, { offset: 0 }]
  }

  async #take(file: FillFile, response: UpstreamBlob): Promise<number | undefined> {
    this.#context.responded()
    const { notedBytes, expectedBytes } = await this.#agree(file, response).catch(async error => {
      if (!this.#context.leftover.leave(response, error)) await discard(response)
      throw error
    })
    // Beside the bytes: it is for a later process, and clients wait for the first of them.
    const { validator } = response
    const noted =
      expectedBytes === undefined
        ? undefined
        : file.expect({
            sizeBytes: notedBytes,
            validator,
            source: this.#context.task.repository.registry,
          })
    try {
      const isPart = response.lastByte !== undefined && response.lastByte + 1 !== expectedBytes
      if (!isPart || expectedBytes === undefined) {
        return await receive(file, response, { ...this.#context, expectedBytes })
      }
      return (await this.#byRanges(file, response, expectedBytes)) ? expectedBytes : undefined
    } finally {
      await noted
    }
  }

  /**
   * A manifest's word alone is not taken for the length as long as there is anybody to ask; and
   * where nobody answers it is believed now, but not written down as `notedBytes`, which a later
   * download holds an upstream to.
   */
  async #agree(
    file: FillFile,
    response: UpstreamBlob,
  ): Promise<{ notedBytes: number | undefined; expectedBytes: number | undefined }> {
    const { task, progress, signal } = this.#context
    const isOfManifest =
      response.totalBytes === undefined &&
      progress.sizeBytes === undefined &&
      task.declaredBytes !== undefined
    const totalBytes = isOfManifest ? await askLength(task, signal) : response.totalBytes
    const expectedBytes = await agree(file, { ...response, totalBytes }, this.#context)
    const isNoted = file.expected?.sizeBytes === expectedBytes
    return { notedBytes: totalBytes ?? (isNoted ? expectedBytes : undefined), expectedBytes }
  }

  /** Is there, or will there probably be, a part to ask for by another connection? */
  get #wantsMore(): boolean {
    if (this.#ranged !== undefined) return this.#ranged.leftBytes > 0
    return !this.#received && this.#firstRequest().lastByte !== undefined
  }

  /** From what is here on: to the end, or only the first of several ranges. */
  #firstRequest(): BlobRequest {
    const { task, share } = this.#context
    const { contiguousBytes = 0, expected } = this.#file ?? {}
    const sizeBytes = expected?.sizeBytes ?? task.declaredBytes
    const request = this.#openRequest()
    if (sizeBytes === undefined || !share.concurrency.mayUseRanges) return request
    const missingBytes = sizeBytes - contiguousBytes
    if (missingBytes < RANGED_FROM_BYTES) return request
    const lastByte =
      contiguousBytes + rangeBytes(share.concurrency, missingBytes, share.connections.fills) - 1
    return lastByte + 1 >= sizeBytes ? request : { ...request, lastByte }
  }

  /** From what is here on, to the end. */
  #openRequest(): BlobRequest {
    const { contiguousBytes = 0, expected } = this.#file ?? {}
    const validator = expected?.validator
    return { offset: contiguousBytes, ...(validator === undefined ? {} : { validator }) }
  }

  async #byRanges(file: FillFile, first: UpstreamBlob, sizeBytes: number): Promise<boolean> {
    const { share, clock, signal, progress, room } = this.#context
    this.#ranged = new RangedDownload(
      {
        file,
        progress,
        room,
        sizeBytes,
        ...share,
        claim: this.#claim,
        clock,
        signal,
        attempts: this.#attempts,
        validator: first.validator,
        ask: (request, ofRange) => this.#ask(request, ofRange),
      },
      (first.lastByte ?? 0) + 1,
    )
    try {
      return await this.#ranged.run(first)
    } catch (error) {
      this.#gaveUp = true
      throw error
    } finally {
      this.#ranged = undefined
    }
  }

  async #ask(request: BlobRequest, signal = this.#context.signal): Promise<UpstreamBlob> {
    const { task, clock, progress, share } = this.#context
    const location = this.#location
    const wanted = location === undefined ? request : { ...request, location }
    if (request.offset === 0 && (this.#file?.contiguousBytes ?? 0) > 0) this.#hasAskedForAll = true
    const startedMs = clock.monotonicMs()
    const expectedBytes =
      progress.sizeBytes ?? task.declaredBytes ?? this.#file?.expected?.sizeBytes
    const response = await askBlob(task, { request: wanted, expectedBytes }, signal)
    if (response.lastByte !== undefined)
      share.concurrency.noteLatency(clock.monotonicMs() - startedMs)
    this.#location = response.location
    return response
  }

  /**
   * A process that died between the last byte and the rename left everything: only the right to it
   * is asked for.
   */
  async #alreadyWhole(file: FillFile): Promise<number | undefined> {
    const { task, progress, signal } = this.#context
    const { namespace, repository, digest, declaredBytes } = task
    const sizeBytes = file.expected?.sizeBytes ?? declaredBytes
    if (sizeBytes === undefined || file.contiguousBytes !== sizeBytes || sizeBytes === 0) {
      return undefined
    }
    const head = await namespace.upstream.headBlob(repository.name, digest, { signal })
    // What is here is no whole then, but as long as a manifest wrongly says.
    if (head.sizeBytes !== undefined && head.sizeBytes !== sizeBytes) return undefined
    progress.sized(sizeBytes)
    return sizeBytes
  }
}
