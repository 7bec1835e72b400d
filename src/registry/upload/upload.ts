// One upload session: whose it is, who works on it now, and its file while that is open. Requests
// for it have their turns; a newer one that writes ends an older one, whose client broke off and
// came back before this side had noticed (R110).
import type { Digest } from '../../oci/digest.ts'
import type { RegistryError } from '../../oci/errors.ts'
import { UploadOrderError, type UploadState } from '../answers.ts'
import { ClientPace } from './client-pace.ts'
import type { BlobStream } from './forward-blob.ts'
import type { LeftUpload, UploadFile } from '../ports/blob-store-uploads.ts'
import type { Clock } from '../ports/clock.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import { IDLE_AFTER_MS, UploadGrowth } from './upload-growth.ts'
import type { UploadNote } from './upload-note.ts'

/** When it changed last is for what this process did not see of it. */
export type DatedUpload = Pick<LeftUpload, 'id' | 'changedAtMs'>

/** One for all: each upload has a writer, and few are ended by the next. */
const SUPERSEDED = new Error('a newer request goes on with this upload')

/**
 * What the disk does not let go is tried again then: after a bad moment its room is to be had soon,
 * and what is broken for good costs little.
 */
export const STUCK_FOR_MS = 600_000

/** Nothing has its room, since nothing comes. */
export const NONE = (): number => 0

/** An upload in the hands of one request. */
export interface OpenUpload {
  readonly upload: Upload
  readonly file: UploadFile
  /**
   * Aborts when a newer request writes to it, or this edge stops: what comes from the client is
   * left then.
   */
  readonly signal: AbortSignal
}

export class Upload {
  readonly id: string
  /** Undefined while it could not be read: then it only takes room. */
  note: UploadNote | undefined
  file: UploadFile | undefined
  /** Its way up to the upstream while it comes, in `forward` mode. */
  stream: BlobStream | undefined
  /** Length while its file is closed. */
  closedBytes: number
  /** What the request that writes now has announced and not brought yet. */
  missingBytes = 0
  /** Of that, what has its room. */
  roomBytes: () => number = NONE
  /** Of what came nobody has found room for all: whoever writes next looks for it first. */
  owesRoom = false
  readonly pace = new ClientPace()
  /** It is a blob now, or gone. */
  isOver = false
  /** Monotonic: when the disk did not let it go. */
  stuckAtMs: number | undefined
  /** What it counts by itself. */
  #giveBack: (() => void) | undefined
  #before: Promise<unknown> = Promise.resolve()
  #turns = 0
  readonly #growth = new UploadGrowth()
  #writer: AbortController | undefined

  constructor(id: string, note: UploadNote | undefined, closedBytes: number) {
    this.id = id
    this.note = note
    this.closedBytes = closedBytes
  }

  /** The disk has not let it go just now: nothing is to be had by it. */
  isStuck(nowMs: number): boolean {
    return this.stuckAtMs !== undefined && nowMs - this.stuckAtMs < STUCK_FOR_MS
  }

  get wasStuck(): boolean {
    return this.stuckAtMs !== undefined
  }

  /** Somebody works on it, or waits to. */
  get isBusy(): boolean {
    return this.#turns > 0
  }

  /**
   * Nobody has gone on with it for so long, or does now. What this process saw itself is measured
   * by a clock that nobody sets; `changedAtMs`: for what it did not see.
   */
  isAbandoned(
    clock: Clock,
    { changedAtMs, olderThanMs }: { changedAtMs: number; olderThanMs: number },
  ): boolean {
    if (this.isBusy) return false
    const grewAtMs = this.updateGrowth(clock.monotonicMs())
    return grewAtMs === undefined
      ? clock.nowMs() - changedAtMs >= olderThanMs
      : clock.monotonicMs() - grewAtMs >= olderThanMs
  }

  /**
   * So that it may go for others, also while a client is waited for that brings next to nothing.
   * `startMs`: of this process, for what it has not seen grow.
   */
  isIdle(nowMs: number, startMs: number): boolean {
    if (this.isBusy && !this.pace.isWaitedFor) return false
    return nowMs - (this.updateGrowth(nowMs) ?? startMs) >= IDLE_AFTER_MS
  }

  /**
   * Finds what has come since the last time, for nobody is told of each byte. Returns when it grew,
   * monotonic; undefined: by nothing that this process has seen.
   */
  updateGrowth(nowMs: number): number | undefined {
    if (this.#growth.sinceMs !== undefined) this.#growth.note(this.sizeBytes, nowMs)
    return this.#growth.sinceMs
  }

  /** Something has come, or it has begun. */
  noteGrowth(nowMs: number): void {
    this.#growth.note(this.sizeBytes, nowMs)
  }

  /** Somebody asks how much there is. */
  noteAsked(nowMs: number): void {
    this.#growth.noteAsked(nowMs)
  }

  /** Its file is open again, and may be shorter than it was. */
  noteReopened(): void {
    this.#growth.noteCut(this.sizeBytes)
  }

  get sizeBytes(): number {
    return this.file?.sizeBytes ?? this.closedBytes
  }

  /**
   * Of what is announced, what is kept from others: what has its room, and more only as far as its
   * client has shown that it brings it. Anybody can announce anything.
   */
  promisedBytes(nowMs: number): number {
    const broughtBytes = this.pace.broughtSoonBytes(nowMs)
    return Math.min(this.missingBytes, Math.max(this.roomBytes(), broughtBytes))
  }

  /** On disk or promised, as long as it counts among all uploads. */
  wholeBytes(nowMs: number): number {
    return this.#giveBack === undefined ? this.sizeBytes + this.promisedBytes(nowMs) : 0
  }

  /** All of it is here, and its file has its name: it counts by itself, or by its row. */
  published(space: Pick<SpaceLedger, 'count'>, digest: Digest): void {
    const { sizeBytes } = this
    this.#giveBack = space.count({
      from: 'client',
      published: () => digest,
      missingBytes: NONE,
      wholeBytes: () => sizeBytes,
      roomBytes: NONE,
    })
  }

  /** Nothing is left of it, or will be. */
  end(): void {
    this.isOver = true
    this.file = undefined
    this.#giveBack?.()
  }

  get state(): UploadState {
    return { id: this.id, sizeBytes: this.sizeBytes }
  }

  /** Runs `step` after every earlier one has ended, however it ended. */
  async inTurn<Value>(step: () => Promise<Value>): Promise<Value> {
    this.#turns += 1
    const mine = this.#before.then(step)
    this.#before = mine.catch(() => {})
    try {
      return await mine
    } finally {
      this.#turns -= 1
    }
  }

  /**
   * The same, and the steps of earlier writers are told to end: by `reason`, else because a newer
   * request goes on with the upload.
   * @throws UploadOrderError when a later writer came; the reason that it gave
   */
  async asWriter<Value>(
    step: (signal: AbortSignal) => Promise<Value>,
    reason: Error = SUPERSEDED,
  ): Promise<Value> {
    this.#writer?.abort(reason)
    const writer = new AbortController()
    this.#writer = writer
    try {
      return await this.inTurn(async () => {
        writer.signal.throwIfAborted()
        return step(writer.signal)
      })
    } catch (error) {
      if (error !== SUPERSEDED) throw error
      throw new UploadOrderError(SUPERSEDED.message, this.state)
    } finally {
      if (this.#writer === writer) this.#writer = undefined
    }
  }

  /** Ends whatever comes in or goes up now; who waits for it is told `reason`. */
  interrupt(reason: RegistryError): void {
    this.#writer?.abort(reason)
    this.stream?.cancel(reason)
  }
}
