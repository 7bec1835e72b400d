// A blob's way up to the upstream in `forward` mode (R117): streamed while the client's bytes come,
// paced by whichever side is slower, so that the client's answer need not wait for a second
// transfer. When that breaks nobody is disturbed: the bytes are on disk, and are sent from there at
// the end. What the upstream says then is the client's answer.
import type { Digest } from '../../oci/digest.ts'
import type { ErrorCode } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { BoundedPipe } from './bounded-pipe.ts'
import type { Clock } from '../ports/clock.ts'
import type { BlobSource, UpstreamStream } from '../ports/upstream-content.ts'
import { type Upstream, UpstreamError, type UpstreamFailure } from '../ports/upstream.ts'

/**
 * Held in memory between the client and a slower upstream: what both keep moving with, and no more.
 */
const PIPE_BYTES = 1024 * 1024

/**
 * Between two pieces: clients that are still there send the next one at once. Whoever left is not
 * waited for with a request that is open, of which there are only so many to one upstream.
 */
const PAUSE_MAX_MS = 60_000

/** Failures of a stream's end that sending the same bytes again cannot mend. */
const FINAL: ReadonlySet<UpstreamFailure> = new Set(['denied', 'rejected', 'rate-limited'])
/** Of these a stream may be at fault, or the session that the upstream kept for it. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set([
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'RANGE_INVALID',
  'SIZE_INVALID',
])

export class BlobStream {
  readonly #upstream: Upstream
  readonly #name: RepositoryName
  readonly #pipe = new BoundedPipe(PIPE_BYTES)
  readonly #cancelled = new AbortController()
  #stream: Promise<UpstreamStream> | undefined
  /** Ends the wait for a next piece. */
  #pause: AbortController | undefined
  /** The upstream said that it has this one. */
  #there: Digest | undefined

  constructor(upstream: Upstream, name: RepositoryName) {
    this.#upstream = upstream
    this.#name = name
  }

  /**
   * Asks whether the upstream has it already: then nothing is sent. Before the first `send`, when
   * the digest is known by then.
   */
  async ask(digest: Digest): Promise<void> {
    // What a mirror has or lacks says nothing about where the blob goes.
    const options = { signal: this.#cancelled.signal, endpoints: 'registry' } as const
    try {
      await this.#upstream.headBlob(this.#name, digest, options)
      this.#there = digest
    } catch (error) {
      // No registry owes an answer to this question. Whoever really cannot be reached says so when
      // it is sent.
      if (!(error instanceof UpstreamError)) throw error
    }
  }

  /** The piece goes up from here on; resolves when there is room for another. Never rejects. */
  async send(piece: Uint8Array): Promise<void> {
    this.#goOn()
    if (this.#there !== undefined) return
    this.#stream ??= this.#begin()
    await this.#pipe.write(piece)
  }

  /**
   * The client's request has ended. When no other comes in time the way up is given back, and at
   * the end the bytes go from disk.
   */
  pause({ sleep }: Pick<Clock, 'sleep'>): void {
    this.#goOn()
    if (this.#stream === undefined) return
    const pause = new AbortController()
    this.#pause = pause
    sleep(PAUSE_MAX_MS, pause.signal).then(
      () => this.#pipe.fail(new Error('the client sends no more')),
      () => {},
    )
  }

  /**
   * Resolves when the upstream has the blob, all of which was sent or can be read from `source`.
   * @throws UpstreamError
   */
  async finish(source: BlobSource): Promise<void> {
    this.#goOn()
    const { digest } = source
    // The client may have come back with another digest than it began with.
    if (this.#there === digest || (await this.#finishStream(digest))) return
    await this.ask(digest)
    if (this.#there === digest) return
    await this.#upstream.pushBlob(this.#name, source, this.#cancelled.signal)
  }

  /**
   * Ends what is under way, whose caller is told `reason`. No effect on what the upstream has
   * accepted.
   */
  cancel(reason: Error): void {
    this.#goOn()
    this.#pipe.fail(reason)
    this.#cancelled.abort(reason)
    this.#stream?.then(
      stream => stream.cancel(),
      () => {},
    )
  }

  #goOn(): void {
    this.#pause?.abort()
    this.#pause = undefined
  }

  #begin(): Promise<UpstreamStream> {
    const stream = this.#upstream.streamBlob(this.#name, this.#pipe.read(), this.#cancelled.signal)
    // Found out at the end; until then the client's bytes are only kept.
    stream.catch(() => this.#pipe.leave())
    return stream
  }

  /** False when the stream broke. @throws UpstreamError for a verdict that stands */
  async #finishStream(digest: Digest): Promise<boolean> {
    if (this.#stream === undefined) return false
    this.#pipe.end()
    const stream = await this.#stream.catch(() => undefined)
    this.#cancelled.signal.throwIfAborted()
    if (stream === undefined) return false
    // It is ended once, as the port wants it.
    this.#stream = undefined
    try {
      await stream.finish(digest)
      return true
    } catch (error) {
      if (!(error instanceof UpstreamError) || isFinal(error)) throw error
      return false
    }
  }
}

function isFinal({ failure, code }: UpstreamError): boolean {
  return FINAL.has(failure) && (code === undefined || !MENDABLE.has(code))
}
