// A backup under way, as the command line sees it: it lasts as long as the request that began it,
// whose last words say what broke it.
import type { FailedEvent } from '../admin/requests.ts'
import { linesOf } from '../backup/lines.ts'
import { contentFile } from '../backup/target.ts'
import { type BackupSource, GoneContent, type OwnFile } from '../backup/write-backup.ts'
import type { BackupContent } from '../bundle/backup-list.ts'
import type { SignedSums } from '../bundle/sums.ts'
import type { BackupEvent, BegunBackup } from '../registry/carry/backup-answers.ts'
import type { ListedFact } from '../registry/ports/facts.ts'
import { commandClock } from '../server/clock.ts'
import { type AdminServer, askAdmin, followAdmin, readAdmin } from './admin-client.ts'
import { CliError, EXIT_CODES } from './context.ts'

/** They are sent before the connection is cut. */
const LAST_WORDS_MS = 1_000
/** The server is told of so often how far it is. */
const TOLD_EVERY_MS = 500

type Told = BackupEvent | FailedEvent

export interface BackupOptions {
  readonly server: AdminServer
  readonly of: BackupSource['of']
}

export class BackupSession {
  readonly begun: BegunBackup
  readonly #options: BackupOptions
  readonly #ending: AbortController
  readonly #over: Promise<void>
  #brokenBy: string | undefined
  #doneBytes = 0
  /** On the monotonic clock. */
  #toldMs = commandClock.monotonicMs()

  private constructor(
    begun: BegunBackup,
    options: BackupOptions,
    { ending, events }: { ending: AbortController; events: AsyncGenerator<Told> },
  ) {
    this.begun = begun
    this.#options = options
    this.#ending = ending
    this.#over = this.#watch(events)
  }

  /** @throws CliError */
  static async begin(options: BackupOptions): Promise<BackupSession> {
    const { server, of } = options
    const ending = new AbortController()
    const { signal } = ending
    const query = { all: String(of === 'all') }
    const events = followAdmin<Told>({ server, method: 'POST', path: '/backups', query, signal })
    const { value: first } = await events.next()
    if (first?.kind === 'begun') return new BackupSession(first, options, { ending, events })
    const message = first?.kind === 'failed' ? first.message : 'the server began no backup'
    throw new CliError(EXIT_CODES.failed, message)
  }

  /** What is held may leave again. */
  end(): void {
    this.#ending.abort()
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

  source(secrets: readonly OwnFile[]): BackupSource {
    const { id, edge, directory } = this.begun
    const { server, of } = this.#options
    const isHere = server.kind === 'socket'
    return {
      edge,
      of,
      secrets,
      catalog: () => readAdmin({ server, path: '/backups/catalog', query: { id } }),
      facts: () => factsOf(this.#lines('/backups/facts')),
      contents: () => contentsOf(this.#lines('/backups/contents')),
      blob: content => this.#blob(content),
      fileOf: digest => (isHere ? contentFile(directory, digest) : undefined),
      sign: sha256 =>
        askAdmin<SignedSums>({
          server,
          method: 'POST',
          path: '/backups/sign',
          query: { id, sha256 },
        }),
    }
  }

  /** Who has it, after the server has looked at it again. @throws CliError */
  async lookAgain({ content }: BackupContent): Promise<readonly string[]> {
    const query = { id: this.begun.id, digest: content }
    const { server } = this.#options
    const asked = { server, method: 'POST', path: '/backups/rotten', query } as const
    return (await askAdmin<{ readonly repositories: readonly string[] }>(asked)).repositories
  }

  /** Now and then the server is told; resolves when it lets go on. @throws CliError */
  async tell(doneBytes: number, { isDue = false } = {}): Promise<void> {
    this.#doneBytes = Math.max(this.#doneBytes, doneBytes)
    const nowMs = commandClock.monotonicMs()
    if (!isDue && nowMs - this.#toldMs < TOLD_EVERY_MS) return
    this.#toldMs = nowMs
    const query = { id: this.begun.id, bytes: String(this.#doneBytes) }
    await askAdmin({ server: this.#options.server, method: 'POST', path: '/backups/tell', query })
  }

  /** @throws GoneContent where the backup goes on without it; CliError where it does not */
  async *#blob({ content, size }: BackupContent): AsyncGenerator<Uint8Array> {
    const query = { id: this.begun.id, digest: content, size: String(size) }
    try {
      yield* readAdmin({ server: this.#options.server, path: '/backups/blob', query })
    } catch (error) {
      if (!(error instanceof CliError)) throw error
      // A disk that cannot read it breaks this answer alone.
      await this.tell(0, { isDue: true })
      throw new GoneContent(error.message)
    }
  }

  #lines(path: string): AsyncIterable<string> {
    return linesOf(readAdmin({ server: this.#options.server, path, query: { id: this.begun.id } }))
  }

  async #watch(events: AsyncGenerator<Told>): Promise<void> {
    try {
      for await (const event of events) if (event.kind !== 'begun') this.#brokenBy = event.message
    } catch {
      // The end of the command, or of the server: whoever reads meets that as well.
    }
  }
}

async function* factsOf(lines: AsyncIterable<string>): AsyncGenerator<ListedFact | undefined> {
  for await (const line of lines) yield (JSON.parse(line) as ListedFact | null) ?? undefined
}

async function* contentsOf(lines: AsyncIterable<string>): AsyncGenerator<BackupContent> {
  for await (const line of lines) yield JSON.parse(line) as BackupContent
}
