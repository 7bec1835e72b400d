// Room from uploads whose clients broke off, of which most begin anew and never come back to what
// they left: where there is none, those go long before they are so old that they go by themselves
// (purge-uploads.ts), and before anything that is pulled.
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { IdleUploads } from '../space/remove-parts.ts'
import { removalOrder, untilFailing } from './removal-order.ts'
import type { Upload } from './upload.ts'
import type { Uploads } from './uploads.ts'

/** As of parts: who needs more comes again. */
const UPLOADS_A_STEP = 256

export interface IdleUploadsDeps {
  readonly uploads: Pick<Uploads, 'all' | 'discard'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly note: NoteEvent
}

export class IdleUploadSessions implements IdleUploads {
  readonly #deps: IdleUploadsDeps
  readonly #startMs: number

  constructor(deps: IdleUploadsDeps) {
    this.#deps = deps
    this.#startMs = deps.clock.monotonicMs()
  }

  get takenBytes(): number {
    return sizeOf([...this.#deps.uploads.all.values()])
  }

  get idleBytes(): number {
    return sizeOf(this.#idle())
  }

  foretell(bytes: number): number {
    let goneBytes = 0
    for (const { sizeBytes } of this.#oldestFirst()) {
      if (goneBytes >= bytes) break
      goneBytes += sizeBytes
    }
    return goneBytes
  }

  async remove(bytes: number): Promise<number> {
    const { uploads, clock, note } = this.#deps
    let [sessions, freedBytes] = [0, 0]
    for (const upload of untilFailing(this.#oldestFirst(), clock)) {
      if (freedBytes >= bytes || sessions === UPLOADS_A_STEP) break
      const { sizeBytes } = upload
      // Whoever has come back to it meanwhile keeps it. One that is stuck costs no place in this
      // step: so many of them would hide the others.
      if (!this.#isIdle(upload) || !(await uploads.discard(upload))) continue
      sessions += 1
      freedBytes += sizeBytes
    }
    if (sessions > 0)
      note({ kind: 'uploads purged', why: 'room', sessions, bytes: freedBytes, dryRun: false })
    return freedBytes
  }

  /** Those that take any room. */
  #idle(): Upload[] {
    const nowMs = this.#deps.clock.monotonicMs()
    return [...this.#deps.uploads.all.values()].filter(
      upload => upload.sizeBytes > 0 && !upload.isStuck(nowMs) && this.#isIdle(upload),
    )
  }

  #isIdle(upload: Upload): boolean {
    return upload.isIdle(this.#deps.clock.monotonicMs(), this.#startMs)
  }

  #oldestFirst(): Upload[] {
    const begunAtMs = ({ note }: Upload): number => note?.startedAtMs ?? 0
    const nowMs = this.#deps.clock.monotonicMs()
    const sinceMs = (upload: Upload): number => upload.updateGrowth(nowMs) ?? this.#startMs
    const oldestFirst = this.#idle().sort(
      (a, b) => sinceMs(a) - sinceMs(b) || begunAtMs(a) - begunAtMs(b),
    )
    return removalOrder(oldestFirst, this.#deps.clock)
  }
}

function sizeOf(uploads: readonly Upload[]): number {
  return uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
