// The data port on all its threads: the first, which is this one, and those beside it. A part of
// the composition root: it says who gets what. With one thread there is nothing but the app, on a
// port of its own.
import { randomBytes } from 'node:crypto'
import type { Accounts } from '../access/accounts.ts'
import { createLocalAccess } from '../access/local-access.ts'
import { Revision } from '../access/revision.ts'
import { formatAddress } from '../config/addresses.ts'
import type { Config } from '../config/config.ts'
import type { DataApp } from '../http/app.ts'
import { CURSOR_KEY_BYTES } from '../http/cursor.ts'
import { drain } from '../http/drain.ts'
import { noteWaitingRoom, WaitingRoom } from '../http/places/waiting-room.ts'
import { placesFor } from '../http/places/limit.ts'
import { createToldMemory } from '../http/proxies/told-of-proxy.ts'
import type { TlsTransport } from '../http/tls/tls.ts'
import { listeningAt, mustBeFree, portOf } from './listening.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { OtherThreads } from '../registry/running-registry.ts'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'
import type { Epochs } from '../registry/epochs.ts'
import type { Sending, ServingThreads } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { startHttpThread } from './start-http-thread.ts'
import {
  HttpThreads,
  type ThreadDeath,
  threadsFor,
  type ThreadState,
} from '../threads/http-threads.ts'
import { createCountsMemory, sharedCounts } from '../threads/shared-counts.ts'
import type { ThreadSettings } from '../threads/sides.ts'
import type { OpenAudit } from './open-audit.ts'
import { openThreadApp, readCachedFor, sendfileFor, type ThreadAppOptions } from './thread-app.ts'
import { type SettingsSurroundings, type StateOfFiles, threadSettings } from './thread-settings.ts'

/** What Surroundings has as well is what it says there. */
export interface DataPortDeps extends SettingsSurroundings, StateOfFiles {
  readonly logger: Logger
  readonly logDestination: { write(lines: string): void }
  readonly audit: Pick<OpenAudit, 'settings' | 'write'> | undefined
  readonly metrics: Metrics
  readonly clock: Clock
  readonly epochs: Epochs
  readonly version: string
  readonly nodeVersion: string
  readonly memoryBytes: number
  readonly cores: number
  /** In force now, as `tls` is; `renew` takes them over when they change. */
  readonly accounts: Accounts & StateOfFiles['accounts']
  readonly native?: boolean | undefined
  /** See Coordinator. */
  readonly threadEntry?: URL
}

/**
 * Its threads begin to start when it is made, so that they are there by the time there is something
 * to serve.
 */
export class DataPort {
  readonly #deps: DataPortDeps
  readonly #http: Config['http']
  readonly #threads: number
  readonly #counts: SharedArrayBuffer
  /** For answers in memory, of each thread. */
  readonly #memoryBytes: number
  readonly #further: HttpThreads | undefined
  readonly #placesMax: number
  readonly #waitingRoom: WaitingRoom
  readonly revision = new Revision()
  readonly #cursorKey = randomBytes(CURSOR_KEY_BYTES)
  readonly #toldOfProxy = createToldMemory()
  #transport: TlsTransport | undefined
  #config: Config
  #settings: ThreadSettings
  #registry: Registry | undefined
  #app: DataApp | undefined
  #port: number | undefined

  constructor(config: Config, deps: DataPortDeps) {
    this.#deps = deps
    this.#http = config.http
    this.#threads = config.http.threads ?? threadsFor(deps.cores)
    this.#counts = createCountsMemory(this.#threads)
    this.#memoryBytes = Math.floor(config.memoryBytes / this.#threads)
    this.#config = config
    this.#settings = this.#settingsOf(this.revision.newest)
    this.#placesMax = config.http.streams ?? placesFor(deps.memoryBytes)
    this.#waitingRoom = new WaitingRoom({
      limit: this.#placesMax,
      counts: sharedCounts(this.#counts, 0),
      clock: deps.clock,
      note: noteWaitingRoom(deps.metrics, waiting => this.#othersWait(waiting)),
    })
    const further = Array.from({ length: this.#threads - 1 }, (_, at) => at + 1)
    if (further.length === 0) return
    this.#further = new HttpThreads(further, {
      start: thread => this.#start(thread),
      clock: deps.clock,
      died: death => this.#noteDeath(death),
    })
  }

  get #appOptions(): ThreadAppOptions {
    return {
      threads: this.#threads,
      memoryBytes: this.#memoryBytes,
      audit: this.#deps.audit?.settings,
      tls: this.#settings.tls,
      cursorKey: this.#cursorKey,
      toldOfProxy: this.#toldOfProxy,
      native: this.#deps.native !== false,
    }
  }

  /** In force now, on this thread too. */
  get settings(): ThreadSettings {
    return this.#settings
  }

  /** Undefined before `listen`. */
  get port(): number | undefined {
    return this.#port
  }

  get readCached(): ReadCached | undefined {
    return readCachedFor(this.#appOptions)
  }

  /** How large blobs go out, on every thread. */
  get sending(): Sending {
    const options = this.#appOptions
    if (options.tls !== undefined) return { sending: 'plain', plainBecause: 'tls' }
    if (sendfileFor(options) !== undefined) return { sending: 'sendfile' }
    return { sending: 'plain', plainBecause: options.native ? 'not built' : 'switched off' }
  }

  /** For after `listen`: the first thread then listens as long as anybody can ask. */
  get serving(): ServingThreads {
    const { states } = this
    return {
      configured: this.#threads,
      listening: 1 + states.filter(({ state }) => state === 'listening').length,
      deaths: states.reduce((sum, { deaths }) => sum + deaths, 0),
    }
  }

  /** How the threads are, the first one left out: what tells of it runs on it. */
  get states(): readonly ThreadState[] {
    return this.#further?.states ?? []
  }

  /**
   * Takes connections on every thread from now on.
   * @returns the address as it is.
   * @throws a listen error, for the operator
   */
  async listen(registry: Registry): Promise<string> {
    const { logger, metrics, clock, epochs } = this.#deps
    this.#registry = registry
    const { app, transport } = openThreadApp(this.#appOptions, {
      registry,
      access: createLocalAccess(() => this.#settings.access, this.revision),
      proxies: () => this.#settings.proxies,
      clientLimits: () => this.#settings.clientLimits,
      accounts: this.#deps.accounts,
      logger,
      metrics,
      clock,
      epochs,
      places: this.#waitingRoom,
      shared: sharedCounts(this.#counts, 0),
      writeAudit: line => this.#deps.audit?.write(line),
    })
    this.#transport = transport
    this.#app = app
    const { addr } = this.#http
    const host = addr.host ?? '::'
    await listeningAt('http.addr', addr, async () => {
      const reusePort = this.#further !== undefined
      // A shared port can also be shared with another process, which would take half of the
      // connections.
      if (reusePort) await mustBeFree(host, addr.port)
      await app.listen({ host, port: addr.port, reusePort })
    })
    const port = portOf(app.server) ?? addr.port
    this.#port = port
    await this.#further?.listen({ host, port })
    return `${transport === undefined ? '' : 'https://'}${formatAddress({ host: addr.host, port })}`
  }

  /**
   * Resolves when every thread goes by this configuration. From the call on none answers by an
   * older one: a thread that has not taken it over waits for it first. What is being sent goes on.
   */
  replace(config: Config): Promise<void> {
    this.#config = config
    return this.renew()
  }

  /** The same of the accounts and certificates in force, in whose turn this is to be called. */
  async renew(): Promise<void> {
    this.#settings = this.#settingsOf(this.revision.raise())
    if (this.#settings.tls !== undefined) this.#transport?.use(this.#settings.tls)
    await this.#further?.replace(this.#settings)
  }

  #settingsOf(revision: number): ThreadSettings {
    return { ...threadSettings(this.#config, this.#deps, this.#deps), revision }
  }

  /** Session tickets of every thread are sealed with these from now on. */
  useTicketKeys(keys: Buffer): void {
    if (this.#settings.tls !== undefined)
      this.#settings = { ...this.#settings, tls: { ...this.#settings.tls, ticketKeys: keys } }
    this.#transport?.setTicketKeys(keys)
    this.#further?.useTicketKeys(keys)
  }

  /** The further threads; undefined with one alone. */
  get elsewhere(): OtherThreads | undefined {
    return this.#further
  }

  /** Rejects or does not resolve when a thread is not there to answer. */
  async ping(): Promise<void> {
    await this.#further?.ping()
  }

  /** Brings the metrics of this thread up to date with what the others have counted. */
  async count(): Promise<void> {
    const { merged } = this.#deps.metrics
    this.#waitingRoom.recount()
    await this.#further?.count((thread, counted) => merged.update(thread, counted))
  }

  /**
   * Stops without cutting anybody short, on all threads at once. For after `listen`; not to be
   * called twice.
   */
  async drain(): Promise<void> {
    const timeoutMs = this.#http.drainTimeoutMs
    const own = this.#app && drain(this.#app, { timeoutMs, clock: this.#deps.clock })
    await Promise.all([own, this.#further?.drain(timeoutMs)])
  }

  /** Ends the further threads at once. No effect when they have ended. */
  async end(): Promise<void> {
    await this.#further?.end()
  }

  #start(thread: number) {
    const { threadEntry, version, nodeVersion, epochs } = this.#deps
    return startHttpThread(
      {
        ...this.#appOptions,
        thread,
        counts: this.#counts,
        places: this.#placesMax,
        epochs: epochs.memory,
        revision: this.revision.memory,
        settings: this.#settings,
        version,
        nodeVersion,
      },
      {
        ...this.#deps,
        waitingRoom: this.#waitingRoom,
        registry: () => this.#askedRegistry(),
        ...(threadEntry === undefined ? {} : { entry: threadEntry }),
      },
    )
  }

  #askedRegistry(): Registry {
    if (this.#registry === undefined) throw new Error('nothing is served yet')
    return this.#registry
  }

  /** Each thread knows its own readers; together they cut about as many as wait. */
  #othersWait(waiting: number): void {
    const share = Math.ceil(waiting / this.#threads)
    this.#app?.othersWait(share)
    this.#further?.othersWait(share)
  }

  #noteDeath({ thread, error, deaths, delayMs }: ThreadDeath): void {
    this.#deps.metrics.count('httpThreadDeaths', {})
    const hint =
      'its clients were cut off, and the other threads go on; please report this with its trace'
    this.#deps.logger.error(
      { thread, err: error, deaths, restartMs: delayMs, hint },
      'an http thread died and is started again',
    )
  }
}
