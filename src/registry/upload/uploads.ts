// The uploads that are under way (R99, R106, R107, R110): whose they are, which of them have an
// open file, how many there may be and how much room they take. What a piece may be and how it ends
// as a blob is append-upload.ts and finish-upload.ts.
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { UploadState } from '../answers.ts'
import { bestEffort, noteStorage } from '../best-effort.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { LeftUpload, UploadFile } from '../ports/blob-store-uploads.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import { EndedUploads } from './ended-uploads.ts'
import { KnownUploads } from './known-uploads.ts'
import { type DatedUpload, type OpenUpload, Upload } from './upload.ts'
import { formatUploadNote, parseUploadNote } from './upload-note.ts'
import { takePlace, UPLOADS_OPEN_MAX } from './upload-crowd.ts'
import { heldInVain, stopping, tooManyAtOnce, tooSlow, unknownUpload } from './upload-refusal.ts'

export interface UploadsDeps {
  readonly store: BlobStore
  readonly clock: Clock
  readonly note: NoteEvent
  readonly space: SpaceLedger
  /** A new id at each call: at least 128 random bits. */
  readonly newUploadId: () => string
}

export class Uploads {
  readonly #deps: UploadsDeps
  readonly #known: KnownUploads
  readonly #ended: EndedUploads
  readonly #startMs: number
  #opening = 0
  #loading: Promise<void> | undefined
  #isStopped = false

  get all(): ReadonlyMap<string, Upload> {
    return this.#known.all
  }

  /** Begins to read what earlier processes left; what is asked meanwhile waits for that. */
  constructor(deps: UploadsDeps) {
    this.#deps = deps
    this.#ended = new EndedUploads(deps.clock)
    this.#startMs = deps.clock.monotonicMs()
    this.#known = new KnownUploads(deps.space, deps.clock)
    // Whoever needs it tries again, and is told.
    this.#load().catch(() => {})
  }

  /**
   * A new upload, empty; `client` as in its note.
   * @throws RegistryError TOOMANYREQUESTS, UNAVAILABLE; StoreError
   */
  async begin(
    repository: Repository,
    { algorithm, client }: { algorithm: DigestAlgorithm; client?: string | undefined },
  ): Promise<UploadState> {
    const { store, clock, newUploadId } = this.#deps
    await this.#ready()
    const id = newUploadId()
    const note = {
      repository: repositoryKey(repository),
      algorithm,
      startedAtMs: clock.nowMs(),
      ...(client !== undefined && { client }),
    }
    const upload = new Upload(id, note, 0)
    upload.noteGrowth(clock.monotonicMs())
    const take = () => this.#known.add(upload)
    await takePlace(this, { client, take }, { ...this.#deps, startMs: this.#startMs })
    try {
      await upload.inTurn(() =>
        this.#use(upload, () => store.createUpload(id, formatUploadNote(note), algorithm)),
      )
    } catch (error) {
      this.#known.forget(upload)
      throw error
    }
    return upload.state
  }

  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN, UNAVAILABLE; StoreError */
  async state(repository: Repository, id: string): Promise<UploadState> {
    const upload = await this.#find(repository, id)
    upload.noteAsked(this.#deps.clock.monotonicMs())
    // How much of it is durable is known only once it was read again. Who writes is not disturbed.
    if (upload.file === undefined) await upload.inTurn(() => this.#use(upload))
    return upload.state
  }

  /**
   * Gives the upload to `step` alone, once older requests that write to it have ended; they are
   * told to.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN, UNAVAILABLE; UploadOrderError when a newer request
   * took it over; StoreError
   */
  async write<Value>(
    repository: Repository,
    id: string,
    step: (open: OpenUpload) => Promise<Value>,
  ): Promise<Value> {
    const upload = await this.#find(repository, id)
    return upload.asWriter(async signal => {
      const file = await this.#use(upload)
      try {
        return await step({ upload, file, signal })
      } finally {
        // What took hours has not been left alone for hours.
        upload.noteGrowth(this.#deps.clock.monotonicMs())
      }
    })
  }

  /**
   * Ends whoever writes to it, and removes it.
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN; StoreError
   */
  async cancel(repository: Repository, id: string): Promise<void> {
    const upload = await this.#find(repository, id)
    // Whoever writes to it has nothing to go on with.
    await upload.asWriter(async () => {
      if (upload.isOver) throw unknownUpload()
      await this.#remove(upload)
    }, unknownUpload())
  }

  /**
   * It is a blob now, or failed: what is left of it goes. For whoever has its turn and its open
   * file. `error`: why it failed. Clients that repeat what an outage refused are told the same
   * again, and not that there never was such an upload.
   */
  async end(upload: Upload, error?: unknown): Promise<void> {
    const { id, note } = upload
    if (note !== undefined) this.#ended.remember(id, note.repository, error)
    await this.#remove(upload).catch((error: unknown) => noteStorage(this.#deps.note, error))
  }

  /**
   * One that is idle, or was begun in vain: a client that is waited for is told that it came too
   * slowly.
   * @returns false: it is a blob by now, gone by another, or stuck, which is told
   */
  discard(upload: Upload): Promise<boolean> {
    if (upload.isBusy) upload.interrupt(heldInVain())
    return upload.inTurn(async () => {
      const { note, clock } = this.#deps
      if (!this.all.has(upload.id) || upload.isStuck(clock.monotonicMs())) return false
      const isGone = await bestEffort(note, () => this.#remove(upload))
      if (!isGone) upload.stuckAtMs = clock.monotonicMs()
      return isGone
    })
  }

  /**
   * One that nobody has gone on with for so long. @returns false: somebody did, or does now.
   * @throws StoreError
   */
  async removeAbandoned(left: LeftUpload, olderThanMs: number): Promise<boolean> {
    await this.#ready()
    const upload = this.all.get(left.id)
    // The disk could not say how long it is, and may by now.
    if (upload?.note === undefined) this.#known.measured(upload, left.sizeBytes)
    if (!this.isAbandoned(left, olderThanMs)) return false
    if (upload === undefined) await this.#deps.store.removeUpload(left.id)
    // Nobody has its turn, so this is at once.
    else await upload.inTurn(() => this.#remove(upload))
    return true
  }

  isAbandoned({ id, changedAtMs }: DatedUpload, olderThanMs: number): boolean {
    const { clock } = this.#deps
    const upload = this.all.get(id)
    if (upload === undefined) return clock.nowMs() - changedAtMs >= olderThanMs
    return upload.isAbandoned(clock, { changedAtMs, olderThanMs })
  }

  /** Ends what is under way and leaves the uploads for the next process. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const busy = [...this.all.values()].filter(upload => upload.file || upload.isBusy)
    for (const upload of busy) upload.interrupt(stopping())
    await Promise.all(busy.map(upload => upload.inTurn(() => this.#park(upload))))
  }

  async #ready(): Promise<void> {
    if (this.#isStopped) throw stopping()
    await this.#load()
  }

  #load(): Promise<void> {
    this.#loading ??= this.#deps.store.listUploads().then(
      uploads => {
        for (const { id, note, sizeBytes } of uploads)
          this.#known.add(new Upload(id, parseUploadNote(note), sizeBytes))
      },
      (error: unknown) => {
        this.#loading = undefined
        throw error
      },
    )
    return this.#loading
  }

  async #find(repository: Repository, id: string): Promise<Upload> {
    await this.#ready()
    const upload = this.all.get(id)
    const key = repositoryKey(repository)
    // The disk could not say whose it is, and may by now.
    if (upload?.note === undefined) await upload?.inTurn(() => this.#use(upload))
    if (upload?.note?.repository !== key) throw this.#whyOver(id, key)
    return upload
  }

  #whyOver(id: string, key: RepositoryKey | undefined): Error {
    return (key === undefined ? undefined : this.#ended.find(id, key)) ?? unknownUpload()
  }

  /** Its open file; for whoever has its turn. */
  async #use(upload: Upload, open = () => this.#deps.store.openUpload(upload.id)) {
    if (this.#isStopped) throw stopping()
    // It may have ended while this waited for its turn.
    if (upload.isOver) throw this.#whyOver(upload.id, upload.note?.repository)
    if (upload.file === undefined) return this.#opened(upload, open)
    this.#known.used(upload)
    return upload.file
  }

  async #opened(upload: Upload, open: () => Promise<UploadFile | undefined>): Promise<UploadFile> {
    this.#opening += 1
    try {
      await this.#makeRoom()
      const file = await open()
      if (file === undefined) {
        // Of one that the disk cannot read there may be a file. Its client begins anew: it was not
        // told that anything of it is kept.
        await this.end(upload)
        throw unknownUpload()
      }
      upload.note ??= parseUploadNote(file.note)
      this.#known.opened(upload, file)
      return file
    } finally {
      this.#opening -= 1
    }
  }

  /**
   * Closes the file that was not used for longest, else that of a client that brings it too slowly
   * while others wait.
   * @throws RegistryError UNAVAILABLE when there is none
   */
  async #makeRoom(): Promise<void> {
    if (this.#known.open.size + this.#opening <= UPLOADS_OPEN_MAX) return
    const nowMs = this.#deps.clock.monotonicMs()
    const open = [...this.#known.open]
    const upload = open.find(each => !each.isBusy) ?? open.find(each => each.pace.isSlow(nowMs))
    if (upload === undefined) throw tooManyAtOnce(UPLOADS_OPEN_MAX)
    // Two that look for room at once close two files. What is parked stays, counts as room that is
    // taken and among all uploads (upload-crowd.ts), and goes with others that nobody goes on with.
    this.#known.rests(upload)
    if (upload.isBusy) upload.interrupt(tooSlow())
    return upload.inTurn(() => this.#park(upload))
  }

  /** What is not durable afterwards is missing when it is opened again. */
  async #park(upload: Upload): Promise<void> {
    const { file } = upload
    this.#known.rests(upload)
    upload.stream?.cancel(new Error('the upload rests'))
    upload.stream = undefined
    if (file === undefined) return
    this.#known.closed(upload, file.sizeBytes)
    await file.park().catch((error: unknown) => noteStorage(this.#deps.note, error))
  }

  /**
   * For whoever has its turn. A file that is closed need not be read again for this. What the disk
   * does not let go still counts, and is over. @throws StoreError
   */
  async #remove(upload: Upload): Promise<void> {
    const { id, file } = upload
    if (file === undefined) await this.#deps.store.removeUpload(id)
    const sizeBytes = file?.sizeBytes ?? 0
    this.#known.forget(upload)
    upload.stream?.cancel(new Error('the upload has ended'))
    try {
      await file?.discard()
    } catch (error) {
      upload.closedBytes = sizeBytes
      this.#known.add(upload)
      throw error
    }
  }
}
