// Which uploads there are, which of them have an open file, and what they take: those that are
// closed by what they were long then, also what has ended and the disk does not let go.
import type { Clock } from '../ports/clock.ts'
import type { UploadFile } from '../ports/blob-store-uploads.ts'
import type { SpaceLedger } from '../space/ledger.ts'
import type { Upload } from './upload.ts'

export class KnownUploads {
  readonly #all = new Map<string, Upload>()
  readonly all: ReadonlyMap<string, Upload> = this.#all
  /** Least recently used first. */
  readonly #open = new Set<Upload>()
  readonly open: ReadonlySet<Upload> = this.#open
  #closedBytes = 0

  /** They count there from now on. */
  constructor(space: Pick<SpaceLedger, 'count'>, clock: Pick<Clock, 'monotonicMs'>) {
    const nowMs = () => clock.monotonicMs()
    space.count({
      from: 'client',
      missingBytes: () => this.#sumOpen(upload => upload.promisedBytes(nowMs())),
      wholeBytes: () => this.#closedBytes + this.#sumOpen(upload => upload.wholeBytes(nowMs())),
      roomBytes: () => this.#sumOpen(upload => Math.min(upload.missingBytes, upload.roomBytes())),
    })
  }

  /** One that is closed. */
  add(upload: Upload): void {
    this.#all.set(upload.id, upload)
    this.#closedBytes += upload.closedBytes
  }

  opened(upload: Upload, file: UploadFile): void {
    this.#closedBytes -= upload.closedBytes
    upload.closedBytes = 0
    upload.file = file
    upload.noteReopened()
    this.used(upload)
  }

  used(upload: Upload): void {
    this.#open.delete(upload)
    this.#open.add(upload)
  }

  /** Its file is not to be used any more; it counts as closed once that is said. */
  rests(upload: Upload): void {
    this.#open.delete(upload)
  }

  closed(upload: Upload, bytes: number): void {
    this.#open.delete(upload)
    upload.file = undefined
    upload.closedBytes = bytes
    this.#closedBytes += bytes
  }

  /** It takes so much, if it is here, and closed. */
  measured(upload: Upload | undefined, bytes: number): void {
    if (upload === undefined || upload.file !== undefined) return
    this.#closedBytes += bytes - upload.closedBytes
    upload.closedBytes = bytes
  }

  forget(upload: Upload): void {
    upload.end()
    this.#open.delete(upload)
    if (this.#all.delete(upload.id)) this.#closedBytes -= upload.closedBytes
  }

  #sumOpen(bytes: (upload: Upload) => number): number {
    return this.#open.values().reduce((sum, upload) => sum + bytes(upload), 0)
  }
}
