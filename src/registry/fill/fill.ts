// A fill: one download of one blob into one growing file, for all clients that want it. It belongs
// to the cache: it goes on when its first client leaves, resumes after the upstream cut it and
// after a restart, and ends by its deadline. What it is not: it decides nothing about rights, and
// it never talks to a client.
import { repositoryKey } from '../../oci/reference.ts'
import { NOT_NEEDED } from '../../async/aborting.ts'
import { noteStorage } from '../best-effort.ts'
import { FillProgress } from './fill-progress.ts'
import { FillRoom } from './fill-room.ts'
import { Download } from './download.ts'
import { failureForReaders, isOfDisk, isWrong, noteLie, openPart, setAside } from './fill-rules.ts'
import type { BlobsInUse } from '../reading/blobs-in-use.ts'
import type { StoredContent } from '../content/content.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { FillOutcome, NoteEvent } from '../ports/events.ts'
import { Leftover } from './leftover.ts'
import { OpenFile } from '../reading/open-file.ts'
import { ReadBeside } from './read-beside.ts'
import type { FillShare } from './fill-share.ts'
import { FillNotes } from './note-fill.ts'
import type { Slots } from './slots.ts'
import type { FillTask } from './fill-task.ts'
import { endedFor, type EndReason, watchFill } from './fill-watch.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import type { Speculation } from './speculative-fill.ts'

export interface FillDeps {
  readonly store: BlobStore
  readonly inUse: BlobsInUse
  readonly content: StoredContent
  readonly clock: Clock
  readonly note: NoteEvent
  readonly space: SpaceLedger
  readonly namespaces: Namespaces
}

export class Fill {
  readonly task: FillTask
  readonly progress = new FillProgress()
  /** Of the response that found no room in the middle. */
  readonly leftover: Leftover
  /** Resolves when the fill has ended, however it did, and its file is closed. */
  readonly over: Promise<void>
  /** Told by whoever keeps the table of fills, once this one is out of it. */
  readonly ended: () => void
  /** For whom the disk cannot read the file. */
  readonly beside = new ReadBeside()
  /** Set while no client has asked for the blob; it has its place then. */
  speculation: Speculation | undefined
  readonly #deps: FillDeps
  readonly #stop = new AbortController()
  readonly #ended = new AbortController()
  readonly #room: FillRoom
  #file: FillFile | undefined
  #handle: OpenFile | undefined
  #startedAtMs: number
  readonly #notes: FillNotes
  #isQueued = false
  #isWatched = false
  #endReason: EndReason | undefined

  constructor(deps: FillDeps, task: FillTask) {
    this.#deps = deps
    this.task = task
    this.leftover = new Leftover(deps.clock)
    this.#notes = new FillNotes(deps.note, task)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    this.ended = resolve
    this.#room = new FillRoom(deps.space, deps.clock, {
      from: task.namespace.shares ? 'upstream' : 'apart',
      of: task.repository,
      onDisk: () => this.#file,
    })
    this.#startedAtMs = deps.clock.monotonicMs()
  }

  /** Does it wait for its place? Known as soon as run() was called. */
  get isQueued(): boolean {
    return this.#isQueued
  }

  /**
   * It ends before its time, and nobody is to join it: whoever comes waits until it is over and
   * begins anew.
   */
  get isGivenUp(): boolean {
    return this.speculation?.isGivenUp === true || this.#endReason === 'unread'
  }

  /** Bytes per millisecond that the upstream has given so far; 0 before the first. */
  get bytesPerMs(): number {
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#startedAtMs
    const bytes = this.progress.contiguousBytes - (this.#notes.resumedBytes ?? 0)
    return elapsedMs <= 0 ? 0 : bytes / elapsedMs
  }

  /**
   * The growing file, held for the caller, who releases it. Undefined when there is none (the disk
   * is full, or fails).
   */
  hold(): OpenFile | undefined {
    return this.#handle?.hold() ? this.#handle : undefined
  }

  /** Ends the download and leaves the part on disk for a later process. */
  stop(reason: Error): void {
    this.#stop.abort(reason)
  }

  /**
   * Waits for a place in the upstream's share, then runs to the end. Never throws: the outcome is
   * in the return value, in progress, and in one event.
   */
  async run(share: FillShare): Promise<FillOutcome> {
    const { slots } = share
    let outcome: FillOutcome
    let failure: unknown
    try {
      if (this.speculation === undefined) await this.#takePlace(slots)
      this.#startedAtMs = this.#deps.clock.monotonicMs()
      const file = await this.#fill(share).finally(() => {
        this.speculation?.keep()
        slots.give()
      })
      // Where it failed its image may not go on, and that is known at its end.
      share.freed()
      // Beside the next download: it is the disk's business, not the upstream's.
      outcome = await this.#publish(file)
    } catch (error) {
      failure = failureForReaders(error)
      outcome = await this.#outcomeOf(error)
    }
    if (outcome !== 'stored' && outcome !== 'uncached') this.progress.end('failed', failure)
    this.#room.giveBack()
    await this.#handle?.release().catch((error: unknown) => noteStorage(this.#deps.note, error))
    if (outcome !== 'uncached') await this.leftover.drop()
    // Lets go of the deadline's timer; only what a reader goes on with is left to stop.
    this.#ended.abort(NOT_NEEDED)
    if (!this.leftover.wasLeft) this.#stop.abort(new Error('the fill has ended'))
    const durationMs = this.#deps.clock.monotonicMs() - this.#startedAtMs
    this.#notes.ended(outcome, { sizeBytes: this.progress.contiguousBytes, durationMs, failure })
    return outcome
  }

  async #takePlace(slots: Slots): Promise<void> {
    const { repository, declaredBytes = Number.POSITIVE_INFINITY } = this.task
    this.#isQueued = slots.areTaken
    try {
      await slots.take(declaredBytes, this.#stop.signal, repositoryKey(repository))
    } finally {
      this.#isQueued = false
    }
  }

  /** Resolves to the whole file, verified. */
  async #fill(share: FillShare): Promise<FillFile> {
    // Whoever stops may give the directory to another process.
    this.#stop.signal.throwIfAborted()
    const { store, note } = this.#deps
    const download = this.#download(share)
    // A new file can be made while the upstream thinks.
    if (!store.mayResume(this.task.digest)) {
      this.#room.look()
      download.begin()
    }
    let file: FillFile | undefined
    try {
      const advanced = (bytes: number) => this.progress.advance(bytes)
      this.#file = file = await openPart(this.#deps, this.task, advanced)
      this.#room.opened()
      // Slow readers go on when it is over.
      this.#handle = new OpenFile(await file.openRead(), this.#deps.inUse.read(this.task.digest))
      this.#notes.started(file.contiguousBytes)
      this.progress.advance(file.contiguousBytes)
      file.verify(await download.run(file))
    } catch (error) {
      // No effect once it runs; before that it may have asked already, by a connection that nobody
      // else gives back.
      download.drop()
      // A part that cannot be set aside costs its being resumed.
      if (file !== undefined)
        await setAside(file, error).catch((failed: unknown) => noteStorage(note, failed))
      // What is left counts as a part from here on.
      this.#room.giveBack()
      throw error
    }
    // Readers get the last bytes now; fsync is what a push waits for, not a pull.
    this.progress.end('verified')
    return file
  }

  #download(share: FillShare): Download {
    return new Download({
      task: this.task,
      share,
      isSpeculative: () => this.speculation !== undefined,
      clock: this.#deps.clock,
      progress: this.progress,
      handle: () => this.#handle,
      signal: this.#stop.signal,
      room: this.#room,
      responded: () => this.#watch(share),
      leftover: this.leftover,
    })
  }

  async #publish(file: FillFile): Promise<FillOutcome> {
    const { content, clock } = this.#deps
    const { repository, digest } = this.task
    try {
      await content.publish(
        file,
        { repository, digest, atMs: clock.nowMs(), hold: 'nothing' },
        () => this.#room.published(digest),
      )
      return 'stored'
    } catch (error) {
      noteStorage(this.#deps.note, error)
      // One that was not even committed is open still, and keeps its digest busy.
      await file.discard().catch((failed: unknown) => noteStorage(this.#deps.note, failed))
      return 'uncached'
    }
  }

  /**
   * Ends the download when it takes far longer than its size explains, or holds for itself what
   * others need. No effect after the first call.
   */
  #watch({ underWay }: FillShare): void {
    if (this.#isWatched) return
    this.#isWatched = true
    const { progress, task } = this
    const watched = {
      progress,
      declaredBytes: task.declaredBytes,
      isApart: !task.namespace.shares,
      isRead: () => this.speculation !== undefined || this.#handle?.isShared === true,
      underWay,
    }
    const end = (reason: EndReason): void => {
      this.#endReason = reason
      this.stop(endedFor(reason))
    }
    // Mostly the fill ends first.
    const signal = AbortSignal.any([this.#stop.signal, this.#ended.signal])
    watchFill(watched, this.#deps.clock, signal).then(end, () => {})
  }

  async #outcomeOf(error: unknown): Promise<FillOutcome> {
    if (this.#stop.signal.aborted) {
      if (this.#endReason !== 'slow') return 'abandoned'
      this.progress.end('uncached')
      return 'uncached'
    }
    if (isOfDisk(error)) {
      noteStorage(this.#deps.note, error)
      return this.#leaveUncached(error)
    }
    noteLie(error, this.task, this.#deps.note)
    return isWrong(error) ? 'corrupt' : 'failed'
  }

  /**
   * A disk that is full or fails is no failure: the upstream is asked for the length, if nobody
   * has told it yet, and each reader goes there by itself (pass-on.ts).
   */
  async #leaveUncached(unkept: StoreError): Promise<'uncached' | 'failed'> {
    const { progress } = this
    const { namespace, repository, digest, declaredBytes } = this.task
    const { signal } = this.#stop
    try {
      const sizeBytes =
        progress.sizeBytes ??
        declaredBytes ??
        (await namespace.upstream.headBlob(repository.name, digest, { signal })).sizeBytes
      if (sizeBytes === undefined) throw unkept
      progress.sized(sizeBytes)
      progress.end('uncached')
      return 'uncached'
    } catch (error) {
      progress.end('failed', error)
      return 'failed'
    }
  }
}
