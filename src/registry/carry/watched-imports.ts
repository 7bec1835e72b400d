// Imports as operators see them beside other work: which one is under way and how far it is, to be
// made to stand still, or ended; and one event for each that has ended.
import { untilAborted } from '../../async/aborting.ts'
import { Standstill } from '../../async/standstill.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { ImportEvent, ImportOptions, ListedImports } from './import-answers.ts'
import { Imports, type ImportsDeps } from './imports.ts'

export interface WatchedImportsDeps extends ImportsDeps {
  readonly note: NoteEvent
}

interface Running {
  readonly sinceMs: number
  readonly dryRun: boolean
  readonly cancelled: AbortController
  images: number
  /** Of the archive, that came. */
  doneBytes: number
  /** Of what it brings; 0 before it said so. */
  sizeBytes: number
}

export class WatchedImports {
  readonly #deps: WatchedImportsDeps
  readonly #imports: Imports
  readonly #standstill = new Standstill()
  readonly #running = new Set<Running>()

  constructor(deps: WatchedImportsDeps) {
    this.#deps = deps
    this.#imports = new Imports(deps)
  }

  /** See Imports.run. */
  async *run(
    source: AsyncIterable<Uint8Array>,
    options: ImportOptions,
    asked: AbortSignal,
  ): AsyncGenerator<ImportEvent> {
    const { clock } = this.#deps
    const { dryRun } = options
    const cancelled = new AbortController()
    const running = {
      sinceMs: clock.nowMs(),
      dryRun,
      cancelled,
      images: 0,
      doneBytes: 0,
      sizeBytes: 0,
    }
    const signal = AbortSignal.any([asked, cancelled.signal])
    const beganMs = clock.monotonicMs()
    let last: ImportEvent | undefined
    let reason = 'the command went away'
    this.#running.add(running)
    try {
      const pieces = this.#passing(source, running, signal)
      for await (const event of this.#imports.run(pieces, options, signal)) {
        last = event
        if (event.kind === 'inventory' || event.kind === 'archive') {
          running.images = event.images
          running.sizeBytes = event.bytes
        }
        await this.#standstill.pass(signal)
        yield event
      }
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
      throw error
    } finally {
      this.#running.delete(running)
      const durationMs = clock.monotonicMs() - beganMs
      this.#note(running, { last, reason, durationMs })
    }
  }

  async *#passing(
    source: AsyncIterable<Uint8Array>,
    running: Running,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for await (const piece of untilAborted(source, signal)) {
      await this.#standstill.pass(signal)
      signal.throwIfAborted()
      running.doneBytes += piece.length
      yield piece
    }
  }

  #note(
    { dryRun, cancelled, images }: Running,
    {
      last,
      reason,
      durationMs,
    }: { last: ImportEvent | undefined; reason: string; durationMs: number },
  ): void {
    if (last?.kind === 'imported') {
      const { written, writtenBytes, hereBytes } = last
      const counts = { images: last.images, written, writtenBytes, hereBytes }
      this.#deps.note({ kind: 'import', outcome: 'imported', dryRun, durationMs, ...counts })
      return
    }
    const outcome = cancelled.signal.aborted ? 'cancelled' : 'refused'
    const counts = { images, written: 0, writtenBytes: 0, hereBytes: 0 }
    this.#deps.note({ kind: 'import', outcome, dryRun, durationMs, reason, ...counts })
  }

  list(): ListedImports {
    const running = [...this.#running].map(({ sinceMs, dryRun, images, doneBytes, sizeBytes }) => ({
      sinceMs,
      dryRun,
      images,
      doneBytes,
      sizeBytes,
    }))
    return { isPaused: this.#standstill.isOn, running }
  }

  /** It stands still at its next step, and so does one that begins, until `resume`. */
  pause(): ListedImports {
    this.#standstill.begin()
    return this.list()
  }

  resume(): ListedImports {
    this.#standstill.end()
    return this.list()
  }

  /** Ends what is under way: whole images stay, and the same command goes on. */
  cancel(): ListedImports {
    const message = 'an operator has cancelled this import; the same command goes on'
    for (const { cancelled } of this.#running)
      cancelled.abort(new RegistryError('UNSUPPORTED', message))
    return this.list()
  }
}
