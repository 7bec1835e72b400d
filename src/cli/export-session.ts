// An export under way, as the command line sees it: it lasts as long as the request that began it,
// whose last words say what broke it.
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { FailedEvent } from '../admin/requests.ts'
import type { FetchEvent } from '../registry/carry/fetch-blobs.ts'
import type { AddEvent, ExportEvent, PlannedExport } from '../registry/carry/export-answers.ts'
import { commandClock } from '../server/clock.ts'
import { type AdminServer, askAdmin, followAdmin, readAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'
import { describeCount } from './output.ts'
import { ProgressReport } from './progress-report.ts'

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

/** They are sent before the connection is cut. */
const LAST_WORDS_MS = 1_000
/** In one request, whose target has 16 KiB at most. */
const SUPPOSED_AT_ONCE = 80

export class ExportSession {
  readonly id: string
  readonly #options: SessionOptions
  readonly #ending: AbortController
  readonly #over: Promise<void>
  readonly #report: ProgressReport
  #brokenBy: string | undefined

  private constructor(
    id: string,
    options: SessionOptions,
    { ending, events }: { ending: AbortController; events: AsyncGenerator<Told> },
  ) {
    this.id = id
    this.#options = options
    this.#ending = ending
    this.#report = new ProgressReport(options)
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

  /** Their manifests, with what is about them. @throws CliError that names all that are missing */
  async gather(images: readonly string[]): Promise<void> {
    const missing: string[] = []
    for (const image of images) {
      const { platforms, referrers } = this.#options.gathering
      const query = { image, platform: platforms, referrers: String(referrers) }
      for await (const event of this.#follow<AddEvent>('/exports/add', query)) {
        if (event.kind === 'failed') throw await this.#failed(`${image}: ${event.message}`)
        if (event.kind === 'missing') missing.push(`${event.image}: ${event.message}`)
        this.#show(event)
      }
    }
    assertNone(missing)
  }

  /** What these digests name, whoever gets the bundle has. @throws CliError */
  async suppose(isThere: (digest: string) => boolean): Promise<void> {
    const { server } = this.#options
    const digests = readAdmin({ server, path: '/exports/digests', query: { id: this.id } })
    let batch: string[] = []
    const send = async () => {
      const query = { id: this.id, digest: batch }
      batch = []
      await askAdmin({ server, method: 'POST', path: '/exports/suppose', query })
    }
    for await (const digest of createInterface({ input: Readable.from(digests) })) {
      if (isThere(digest)) batch.push(digest)
      if (batch.length === SUPPOSED_AT_ONCE) await send()
    }
    if (batch.length > 0) await send()
  }

  /** Brings in the blobs that are not here; then all is planned. @throws CliError as gather */
  async fetch(): Promise<PlannedExport> {
    const missing: string[] = []
    for await (const event of this.#follow<FetchEvent>('/exports/fetch', {})) {
      if (event.kind === 'failed') throw await this.#failed(event.message)
      if (event.kind === 'missing') missing.push(`${event.image}: ${event.message}`)
      else this.#report.progress('pulling', event)
    }
    assertNone([...new Set(missing)])
    const query = { id: this.id }
    const { server } = this.#options
    return askAdmin<PlannedExport>({ server, method: 'POST', path: '/exports/plan', query })
  }

  #follow<Event>(
    path: string,
    query: Readonly<Record<string, string | readonly string[]>>,
  ): AsyncGenerator<Event | FailedEvent> {
    const { server } = this.#options
    return followAdmin({ server, method: 'POST', path, query: { id: this.id, ...query } })
  }

  /** What ended all of it, or else this. */
  async #failed(message: string): Promise<CliError> {
    return new CliError(EXIT_CODES.failed, (await this.brokenBy()) ?? message)
  }

  /** As ProgressReport does. */
  tell(event: object, line: string): void {
    this.#report.tell(event, line)
  }

  note(message: string): void {
    this.#report.note(message)
  }

  /** The same bytes; tells how many there were. */
  async *watched(
    pieces: AsyncIterable<Uint8Array>,
    { from, totalBytes, path }: { from: number; totalBytes: number; path: string },
  ): AsyncGenerator<Uint8Array> {
    let doneBytes = from
    for await (const piece of pieces) {
      doneBytes += piece.length
      yield piece
      this.#report.progress(path, { kind: 'written', doneBytes, totalBytes })
    }
  }

  async #watch(events: AsyncGenerator<Told>): Promise<void> {
    try {
      for await (const event of events) if (event.kind !== 'begun') this.#brokenBy = event.message
    } catch {
      // The end of the command, or of the server: whoever reads the bundle meets that as well.
    }
  }

  #show(event: AddEvent): void {
    if (event.kind === 'note') return this.note(event.message)
    if (this.#options.json || event.kind === 'added')
      this.tell(event, 'image' in event ? `${event.image}\n` : '')
  }
}

/** @throws CliError that names them */
function assertNone(missing: readonly string[]): void {
  if (missing.length === 0) return
  const what = describeCount(missing.length, 'image')
  const list = missing.map(each => `  ${each}`).join('\n')
  const message = `${what} cannot be exported, and nothing was written:\n${list}`
  throw new CliError(EXIT_CODES.failed, message)
}

type Told = ExportEvent | FailedEvent
