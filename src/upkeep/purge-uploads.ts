// Removes uploads that clients began and never finished, again and again while the process runs
// (R110). Which ones those are, and that nobody who is still sending loses anything, is the
// registry's part; this is when.
import { noteStorage } from '../registry/best-effort.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'

/** After the start of a process there is more urgent work for the disk. */
const FIRST_AFTER_MS = 60_000

export interface UploadPurging {
  /** False: nothing is removed until `replace` says otherwise. */
  readonly enabled: boolean
  /** Since the last byte. */
  readonly ageMs: number
  /** From the start of one round to that of the next. */
  readonly intervalMs: number
  /** Only tells what would be removed. */
  readonly dryRun: boolean
}

export interface UploadPurgeDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  /** Tells of what it did by itself. @throws StoreError */
  readonly purge: (options: { olderThanMs: number; dryRun: boolean }) => Promise<unknown>
}

export class UploadPurge {
  readonly #deps: UploadPurgeDeps
  #settings: UploadPurging
  #wake = new AbortController()
  #lastMs: number | undefined
  #isStopped = false
  #running: Promise<void> = Promise.resolve()

  constructor(settings: UploadPurging, deps: UploadPurgeDeps) {
    this.#settings = settings
    this.#deps = deps
  }

  /** The first round comes a minute later. Not to be called twice. */
  start(): void {
    this.#running = this.#run(this.#deps.clock.monotonicMs() + FIRST_AFTER_MS)
  }

  /** Takes effect at once: a shorter interval may bring the next round forward. */
  replace(settings: UploadPurging): void {
    this.#settings = settings
    this.#wake.abort()
  }

  /** Resolves when no round runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#wake.abort()
    await this.#running
  }

  async #run(firstMs: number): Promise<void> {
    while (!this.#isStopped) {
      const { enabled, intervalMs } = this.#settings
      const dueMs = this.#lastMs === undefined ? firstMs : this.#lastMs + intervalMs
      const nowMs = this.#deps.clock.monotonicMs()
      if (enabled && dueMs <= nowMs) {
        this.#lastMs = nowMs
        await this.#purge()
      } else {
        await this.#pause(enabled ? dueMs - nowMs : Number.POSITIVE_INFINITY)
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController()
    // Woken early, the loop looks at what holds now.
    await this.#deps.clock.sleep(ms, this.#wake.signal).catch(() => {})
  }

  async #purge(): Promise<void> {
    const { note, purge } = this.#deps
    const { ageMs, dryRun } = this.#settings
    try {
      await purge({ olderThanMs: ageMs, dryRun })
    } catch (error) {
      // The next round tries again.
      noteStorage(note, error)
    }
  }
}
