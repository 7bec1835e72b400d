// The data port: node's HTTP server over createServe, which routes and parses by itself, because
// names are parsed from the raw target and bodies are read by those who want them. Nobody listens
// here: server/data-port.ts does.
import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Access, ShownCertificate } from '../access/access.ts'
import { type Accounts, REFUSED } from '../access/accounts.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createNoteHits } from '../observe/note-hit.ts'
import { createNoteRequest, type NoteRequest } from '../observe/note-request.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { Epochs } from '../registry/epochs.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { ClientLimits, type ClientLimitSettings } from './clients/client-limits.ts'
import { type ConnectionOwners, createConnectionOwners } from './connection-owners.ts'
import { Connections } from './connections.ts'
import { createCursors, CURSOR_KEY_BYTES } from './cursor.ts'
import { createRequestIds } from './exchange.ts'
import { openServer, PLAIN, type Transport } from './data-server.ts'
import {
  type Count,
  createCount,
  createKeyedCount,
  type KeyedCount,
  MEMORY_BYTES,
  REQUESTS_MAX,
  WAITING_TOTAL_MAX_BYTES,
} from './limits.ts'
import { Logins } from './logins.ts'
import { createHotAnswers } from './memory/hot-answers.ts'
import { createMemoryBudget, manifestBodiesBounds } from './body/memory-budget.ts'
import type { Sendfile } from './send/sendfile.ts'
import { Callers, NO_PROXIES, type ProxySettings, type TellOfProxies } from './proxies/callers.ts'
import { createServe } from './serve.ts'
import { Hot, type HotDeps } from './memory/serve-hot.ts'
import { createStalledReaders } from './send/stalled-readers.ts'
import { createTakePlace, createTakePlaceNow } from './places/place.ts'
import type { Places } from './places/waiting-room.ts'

export interface HttpOptions {
  /** Requests at once in this process. Default REQUESTS_MAX. */
  readonly requestsMax?: number
  /**
   * Threads that serve beside each other, this one included. Default 1. Connections are divided
   * among them, as the kernel does.
   */
  readonly threads?: number
  /** What they count together. Default: what this one does alone. */
  readonly shared?: { readonly requests: Count; readonly clients: KeyedCount }
  /**
   * What answers in memory may take, in this thread. Default MEMORY_BYTES; 0: none are remembered.
   */
  readonly memoryBytes?: number
}

export interface AppDeps {
  readonly registry: Registry
  readonly access: Access
  /** Default: as this system tells. */
  readonly owners?: ConnectionOwners
  /** Default: no proxy is believed. */
  readonly proxies?: () => ProxySettings
  /** Default: nobody is told of proxies that are not listed. */
  readonly tellOf?: TellOfProxies
  /** What one client may have at once. Default: there are no such limits. */
  readonly clientLimits?: () => ClientLimitSettings | undefined
  /** Where passwords are tried. Default: none is good. */
  readonly accounts?: Accounts
  readonly logger: Logger
  readonly metrics: Metrics
  /** Default: there is no audit. */
  readonly audit?: NoteRequest | undefined
  readonly clock: Clock
  /** Of the whole process. */
  readonly places: Places
  readonly options?: HttpOptions
  /** Of the catalog behind `registry`. Without them no answer is remembered. */
  readonly epochs?: Epochs
  /** Of CURSOR_KEY_BYTES; the same for all threads. Default: this one is alone. */
  readonly cursorKey?: Uint8Array
  /** Default: plain HTTP. */
  readonly transport?: Transport
  /** Default: blobs pass through this process. */
  readonly sendfile?: Sendfile | undefined
}

export interface ListenOptions {
  /** An address or a name; `::` takes IPv4 as well. */
  readonly host: string
  /** 0: one that is free. */
  readonly port: number
  /**
   * Lets other sockets of this user listen on the same port; the kernel spreads connections among
   * them. Default false.
   */
  readonly reusePort?: boolean
}

export interface DataApp {
  readonly server: Server | HttpsServer
  /** To be called once. @throws the system's error, with its code */
  listen(options: ListenOptions): Promise<void>
  /**
   * Takes no more connections and ends idle ones; resolves when the others have ended by
   * themselves, each with the answer under way. May be called again, and before `listen`.
   */
  close(): Promise<void>
  /** Ends all connections, whatever is being answered on them: what `close` still waits for. */
  cut(): void
  /**
   * So many requests wait for a place of `places`: whoever takes nothing gives theirs up. To be
   * told once a second while any do.
   */
  othersWait(waiting: number): void
}

const REQUEST_ID_PREFIX_BYTES = 4

const NO_ACCOUNTS: Accounts = {
  verify: async () => ({ login: REFUSED, forMs: 0 }),
  readToken: async () => ({ login: REFUSED, forMs: 0 }),
  issueToken: async () => REFUSED,
}
const NO_CERTIFICATE: ShownCertificate = { kind: 'none' }

export function buildApp(deps: AppDeps): DataApp {
  const { metrics, logger, clock, transport = PLAIN, options = {} } = deps
  const { owners = createConnectionOwners(), accounts = NO_ACCOUNTS } = deps
  const monotonicMs = () => clock.monotonicMs()
  const logins = new Logins({ accounts, revision: deps.access.revision, monotonicMs })
  const threads = options.threads ?? 1
  const connections = new Connections(clock, Math.ceil(WAITING_TOTAL_MAX_BYTES / threads))
  const readers = createStalledReaders({ clock, noteCut: () => metrics.count('streamsCut', {}) })
  const noteRequest = createNoteRequest({ logger, metrics, audit: deps.audit })
  let draining = false
  const { certificateOf = () => NO_CERTIFICATE, isOutdated = () => false } = transport
  const { proxies: settings = () => NO_PROXIES, tellOf } = deps
  const callers = new Callers({ settings, tellOf })
  const clients = createClientLimits(deps, callers)
  const takePlaceNow = createTakePlaceNow(deps.places)
  const principals = { owners, logins, certificateOf, callers }
  const serve = createServe({
    ...deps,
    ...principals,
    isOutdated,
    sendfile: deps.sendfile,
    readers,
    noteRequest,
    hot: createHotOf(deps, noteRequest, {
      readers,
      // Who may not have more streams is told so on the usual way.
      takePlaceNow: (...asked) => (clients.limitsStreams ? 'none' : takePlaceNow(...asked)),
    }),
    clients,
    connections,
    memory: createMemoryBudget(manifestBodiesBounds(threads)),
    takePlace: createTakePlace(deps.places),
    cursors: createCursors(deps.cursorKey ?? randomBytes(CURSOR_KEY_BYTES)),
    requestIdOf: createRequestIds(randomBytes(REQUEST_ID_PREFIX_BYTES).toString('hex')),
    requestsMax: options.requestsMax ?? REQUESTS_MAX,
    running: options.shared?.requests ?? createCount(),
    draining: () => draining,
    onIdle: () => connections.closeIdle(),
  })
  const wire = { transport, threads, connections, callers, serve }
  const { server, proxyHeaders } = openServer(wire, { metrics, logger, clock })
  return {
    server,
    listen: options =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(options, () => {
          server.off('error', reject)
          resolve()
        })
      }),
    close: () =>
      new Promise(resolve => {
        draining = true
        // Its one error says that nothing listens, which is what is wanted. Node calls before the
        // last connection has told of its end.
        server.close(() => void connections.allClosed().then(resolve))
        connections.closeIdle()
        transport.closeUnready?.()
        proxyHeaders.closeWaiting()
      }),
    cut() {
      proxyHeaders.closeWaiting()
      connections.closeAll()
      transport.closeAll?.()
    },
    othersWait: waiting => readers.othersWait(waiting),
  }
}

function createClientLimits(deps: AppDeps, callers: Callers): ClientLimits {
  const { clientLimits: settings = () => undefined, options } = deps
  const counts = options?.shared?.clients ?? createKeyedCount()
  return new ClientLimits({ ...deps, settings, counts, callers })
}

/** Undefined without epochs, which say when to forget, and without memory. */
function createHotOf(
  deps: AppDeps,
  noteRequest: NoteRequest,
  sending: Pick<HotDeps, 'readers' | 'takePlaceNow'>,
): Hot | undefined {
  const { registry, access, logger, metrics, clock, epochs, sendfile } = deps
  const maxBytes = deps.options?.memoryBytes ?? MEMORY_BYTES
  if (epochs === undefined || maxBytes < 1) return undefined
  return new Hot({
    ...sending,
    answers: createHotAnswers({ maxBytes, epochs }),
    createNote: createNoteHits({
      logger,
      metrics,
      noteRequest,
      audit: deps.audit,
      nowMs: () => clock.nowMs(),
    }),
    access,
    registry,
    sendfile,
    clock,
  })
}
