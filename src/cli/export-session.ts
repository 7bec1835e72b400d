// An export under way, as the command line sees it: it lasts as long as the request that began it,
// whose last words say what broke it.
import type { FailedEvent } from '../admin/requests.ts'
import type { AddEvent, ExportEvent, PlannedExport } from '../registry/carry/exports.ts'
import { commandClock } from '../server/clock.ts'
import { type AdminServer, askAdmin, followAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'
import { describeBytes, describeCount, shortDigest } from './output.ts'
import { createProgressBar } from './progress-bar.ts'

/** What each of its images is asked for. */
interface HowGathered {
  /** Empty: all. */
  readonly platforms: readonly string[]
  readonly referrers: boolean
}

export interface SessionOptions {
  readonly server: AdminServer
  readonly json: boolean
  /** What is told goes to its standard output. */
  readonly context: CliContext
  readonly gathering: HowGathered
}

/** Without a terminal: told of so often how far it is. */
const TOLD_EVERY_MS = 10_000
/** They are sent before the connection is cut. */
const LAST_WORDS_MS = 1_000

export class ExportSession {
  readonly id: string
  readonly #options: SessionOptions
  readonly #ending: AbortController
  readonly #over: Promise<void>
  readonly #draw: ReturnType<typeof createProgressBar>
  #brokenBy: string | undefined

  private constructor(
    id: string,
    options: SessionOptions,
    { ending, events }: { ending: AbortController; events: AsyncGenerator<Told> },
  ) {
    this.id = id
    this.#options = options
    this.#ending = ending
    this.#draw = createProgressBar(options.context, () => commandClock.monotonicMs())
    this.#over = this.#watch(events)
  }

  /** @throws CliError */
  static async begin(options: SessionOptions): Promise<ExportSession> {
    const { server } = options
    const ending = new AbortController()
    const { signal } = ending
    const events = followAdmin<Told>({ server, method: 'POST', path: '/exports', signal })
    const { value: first } = await events.next()
    if (first?.kind === 'begun') return new ExportSession(first.id, options, { ending, events })
    const message = first?.kind === 'failed' ? first.message : 'the server began no export'
    throw new CliError(EXIT_CODES.failed, message)
  }

  get server(): AdminServer {
    return this.#options.server
  }

  /** What the server says that broke it; undefined where it says nothing. */
  async brokenBy(): Promise<string | undefined> {
    // It is said on another connection than the one that broke.
    const waiting = new AbortController()
    const late = commandClock.sleep(LAST_WORDS_MS, waiting.signal).catch(() => {})
    await Promise.race([this.#over, late])
    waiting.abort()
    return this.#brokenBy
  }

  /** What is held may leave again. */
  end(): void {
    this.#ending.abort()
  }

  /** Brings in what is not here. @throws CliError that names all that cannot be had */
  async gather(images: readonly string[]): Promise<PlannedExport> {
    const { server } = this.#options
    const missing: string[] = []
    for (const image of images) {
      const { platforms, referrers } = this.#options.gathering
      const query = { id: this.id, image, platform: platforms, referrers: String(referrers) }
      const events = followAdmin<AddEvent | FailedEvent>({
        server,
        method: 'POST',
        path: '/exports/add',
        query,
      })
      for await (const event of events) {
        if (event.kind === 'failed') throw await this.#failed(`${image}: ${event.message}`)
        if (event.kind === 'missing') missing.push(`${event.image}: ${event.message}`)
        this.#show(event)
      }
    }
    if (missing.length > 0) {
      const what = describeCount(missing.length, 'image')
      const list = missing.map(each => `  ${each}`).join('\n')
      throw new CliError(
        EXIT_CODES.failed,
        `${what} cannot be exported, and nothing was written:\n${list}`,
      )
    }
    return askAdmin<PlannedExport>({
      server,
      method: 'POST',
      path: '/exports/plan',
      query: { id: this.id },
    })
  }

  /** What ended all of it, or else this. */
  async #failed(message: string): Promise<CliError> {
    return new CliError(EXIT_CODES.failed, (await this.brokenBy()) ?? message)
  }

  /** An event with --json, else a line. */
  tell(event: object, line: string): void {
    const { json, context } = this.#options
    context.stdout.write(json ? `${JSON.stringify(event)}\n` : line)
  }

  /** The same bytes; tells how many there were. */
  async *watched(
    pieces: AsyncIterable<Uint8Array>,
    { from, totalBytes, path }: { from: number; totalBytes: number; path: string },
  ): AsyncGenerator<Uint8Array> {
    const { json, context } = this.#options
    let doneBytes = from
    let toldMs = commandClock.monotonicMs()
    for await (const piece of pieces) {
      doneBytes += piece.length
      yield piece
      if (context.isTerminal && !json) {
        this.#draw({ label: path, doneBytes, totalBytes })
        continue
      }
      const nowMs = commandClock.monotonicMs()
      if (nowMs - toldMs < TOLD_EVERY_MS) continue
      toldMs = nowMs
      const share = `${describeBytes(doneBytes)} of ${describeBytes(totalBytes)}`
      this.tell({ kind: 'progress', doneBytes, totalBytes }, `${path}: ${share}\n`)
    }
  }

  async #watch(events: AsyncGenerator<Told>): Promise<void> {
    try {
      for await (const event of events) if (event.kind !== 'begun') this.#brokenBy = event.message
    } catch {
      // The end of the command, or of the server: whoever reads the bundle meets that as well.
    }
  }

  #show(event: AddEvent | FailedEvent): void {
    const { json, context } = this.#options
    if (json) return this.tell(event, '')
    switch (event.kind) {
      case 'blob':
        return this.#showBlob(event)
      case 'note':
        return void context.stderr.write(`${event.message}\n`)
      case 'added':
        return void context.stdout.write(`${event.image}\n`)
      case 'manifest':
      case 'missing':
      case 'failed':
        return
    }
  }

  /** Of those that come from elsewhere: what is here already takes no time. */
  #showBlob({ digest, source, doneBytes, sizeBytes }: Extract<AddEvent, { kind: 'blob' }>): void {
    const { context } = this.#options
    if (source === 'hit' || source === 'local') return
    if (context.isTerminal) {
      this.#draw({ label: shortDigest(digest), doneBytes, totalBytes: sizeBytes })
      return
    }
    if (doneBytes < sizeBytes) return
    context.stdout.write(`${shortDigest(digest)}  ${describeBytes(sizeBytes)}  ${source}\n`)
  }
}

type Told = ExportEvent | FailedEvent
