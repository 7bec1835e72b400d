// Brings what a fill's file lacks, resuming as often as the upstream makes progress: a large blob by ranges, where the upstream answers
// with them, anything else by one request that is resumed. What the bytes are worth is for the caller to verify.
import type { FillProgress } from './fill-progress.ts'
import { agree, type ReceiveContext, receive } from './fill-receive.ts'
import { Attempts } from './fill-rules.ts'
import type { FillShare } from './fill-share.ts'
import type { FillTask } from './fill.ts'
import type { Claim } from './lines.ts'
import type { FillFile } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlobPlace, BlobRequest, UpstreamBlob } from '../ports/upstream.ts'
import { RangedDownload, rangeBytes } from './ranged-download.ts'
import type { SharedHandle } from './shared-handle.ts'

/** What lacks less than this comes by one request: there is too little to find out about, and nothing to gain. */
const RANGED_FROM_BYTES = 8 * 1024 * 1024

export interface DownloadContext {
  readonly task: FillTask
  readonly share: FillShare
  readonly isUnasked: () => boolean
  readonly clock: Clock
  readonly progress: FillProgress
  readonly handle: SharedHandle | undefined
  readonly signal: AbortSignal
  /** Told once the length is known and agreed on. */
  readonly sized: (sizeBytes: number) => void
  /** See ReceiveContext. */
  readonly reserve: ReceiveContext['reserve']
  /** Told of each answer. */
  readonly answered: (totalBytes: number | undefined) => void
}

/** Returns the blob's length once all of it is on disk. @throws UpstreamError; StoreError; the signal's reason */
export async function download(file: FillFile, context: DownloadContext): Promise<number> {
  return await new Download(file, context).run()
}

class Download {
  readonly #file: FillFile
  readonly #context: DownloadContext
  readonly #attempts: Attempts
  readonly #claim: Claim
  /** Where the last answer came from. */
  #place: BlobPlace | undefined
  #received = false
  /** Ranges have their own attempts. */
  #gaveUp = false

  constructor(file: FillFile, context: DownloadContext) {
    this.#file = file
    this.#context = context
    this.#attempts = new Attempts(context.clock)
    this.#claim = {
      sizeBytes: context.task.declaredBytes ?? Number.POSITIVE_INFINITY,
      isUnasked: context.isUnasked,
      wake: () => context.share.width.look(),
    }
  }

  async run(): Promise<number> {
    for (;;) {
      const before = this.#file.contiguousBytes
      try {
        const sizeBytes = await this.#attempt()
        if (sizeBytes !== undefined) return sizeBytes
      } catch (error) {
        // The upstream client has retried already; before a first byte its word is final.
        if (!this.#received || this.#gaveUp) throw error
        const gainedBytes = this.#file.contiguousBytes - before
        await this.#attempts.pauseAfter(error, gainedBytes, this.#context.signal)
      }
    }
  }

  /** Undefined: it is to be tried again at once, by one request. */
  async #attempt(): Promise<number | undefined> {
    const { task, share, reserve, signal } = this.#context
    const whole = await this.#alreadyWhole()
    if (whole !== undefined) return whole
    // Where there is no room, the upstream is not asked for what only readers can take.
    if (task.declaredBytes !== undefined) await reserve(task.declaredBytes)
    await share.lines.enter(this.#claim, signal)
    try {
      return await this.#fetch()
    } finally {
      share.lines.leave(this.#claim)
    }
  }

  async #fetch(): Promise<number | undefined> {
    const { answered, clock, share } = this.#context
    const askedMs = clock.monotonicMs()
    const answer = await this.#ask(this.#firstRequest())
    this.#received = true
    answered(answer.totalBytes)
    if (answer.lastByte !== undefined) share.width.answered(clock.monotonicMs() - askedMs)
    const agreed = { ...this.#context }
    const expectedBytes = await agree(this.#file, answer, agreed)
    const isPart = answer.lastByte !== undefined && answer.lastByte + 1 !== expectedBytes
    if (!isPart || expectedBytes === undefined) {
      return await receive(this.#file, answer, { ...agreed, expectedBytes })
    }
    return (await this.#byRanges(answer, expectedBytes)) ? expectedBytes : undefined
  }

  /** From what is here on: to the end, or only the first of several ranges. */
  #firstRequest(): BlobRequest {
    const { task, share } = this.#context
    const { contiguousBytes, expected } = this.#file
    const sizeBytes = task.declaredBytes ?? expected?.sizeBytes
    const validator = expected?.validator
    const request = { offset: contiguousBytes, ...(validator === undefined ? {} : { validator }) }
    if (sizeBytes === undefined || !share.width.mayRange) return request
    const missingBytes = sizeBytes - contiguousBytes
    if (missingBytes < RANGED_FROM_BYTES) return request
    const lastByte = contiguousBytes + rangeBytes(share.width, missingBytes) - 1
    return lastByte + 1 >= sizeBytes ? request : { ...request, lastByte }
  }

  #byRanges(first: UpstreamBlob, sizeBytes: number): Promise<boolean> {
    const { share, clock, signal } = this.#context
    const ranged = new RangedDownload(
      {
        file: this.#file,
        sizeBytes,
        ...share,
        claim: this.#claim,
        clock,
        signal,
        attempts: this.#attempts,
        validator: first.validator,
        ask: (request, ofLine) => this.#ask(request, ofLine),
      },
      (first.lastByte ?? 0) + 1,
    )
    return ranged.run(first).catch((error: unknown) => {
      this.#gaveUp = true
      throw error
    })
  }

  async #ask(request: BlobRequest, signal = this.#context.signal): Promise<UpstreamBlob> {
    const { namespace, repository, digest } = this.#context.task
    const place = this.#place
    const asked = place === undefined ? request : { ...request, place }
    const answer = await namespace.upstream.getBlob(repository.name, digest, asked, signal)
    this.#place = answer.place
    return answer
  }

  /** A process that died between the last byte and the rename left everything: only the right to it is asked for. */
  async #alreadyWhole(): Promise<number | undefined> {
    const { task, progress, sized, signal } = this.#context
    const { namespace, repository, digest, declaredBytes } = task
    const sizeBytes = declaredBytes ?? this.#file.expected?.sizeBytes
    if (sizeBytes === undefined || this.#file.contiguousBytes !== sizeBytes || sizeBytes === 0)
      return undefined
    await namespace.upstream.headBlob(repository.name, digest, signal)
    progress.sized(sizeBytes)
    sized(sizeBytes)
    return sizeBytes
  }
}
