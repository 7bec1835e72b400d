// The operator's API for other machines (admin.api): through the TLS of the data port, and judged
// by the accounts and rules that are in force there. On the first thread alone: few ask. A part of
// the composition root.
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Accounts } from '../access/accounts.ts'
import { OperatorAccess } from '../access/operator-access.ts'
import type { Judged, Network } from '../admin/network.ts'
import { createConnectionOwners } from '../http/connection-owners.ts'
import { checkSyntax } from '../http/admit.ts'
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  HEADER_MAX_BYTES,
  HEADERS_TIMEOUT_MS,
} from '../http/limits.ts'
import { Logins } from '../http/logins.ts'
import { type PrincipalSources, RequestPrincipal } from '../http/principal.ts'
import { Callers, NO_PROXIES } from '../http/proxies/callers.ts'
import { createTlsTransport, type TlsDeps, type TlsTransport } from '../http/tls/tls.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Logger } from '../observe/log.ts'
import { createOnceAMinute, type OnceAMinute } from '../observe/once-a-minute.ts'
import { createRefusedLogins, type RefusedLogins } from '../observe/refused-logins.ts'
import type { ThreadSettings } from '../threads/sides.ts'
import type { DataPort } from './data-port.ts'
import { CONNECTIONS_MAX, OperatorCrowd } from './operator-crowd.ts'

export interface OperatorDoorDeps extends Pick<TlsDeps, 'clock' | 'metrics'> {
  readonly accounts: Accounts
  readonly dataPort: Pick<DataPort, 'revision'> & {
    readonly settings: Pick<ThreadSettings, 'access' | 'tls'>
  }
  readonly logger: Pick<Logger, 'warn'>
}

export class OperatorDoor implements Network {
  readonly #dataPort: OperatorDoorDeps['dataPort']
  readonly #access: OperatorAccess
  readonly #sources: PrincipalSources
  readonly #transport: TlsTransport | undefined
  readonly #crowd: OperatorCrowd
  readonly #due: OnceAMinute
  readonly #refused: RefusedLogins
  /** That the transport goes by. */
  #tls: ThreadSettings['tls']

  constructor({ accounts, dataPort, ...deps }: OperatorDoorDeps) {
    this.#dataPort = dataPort
    this.#access = new OperatorAccess(() => dataPort.settings.access)
    this.#tls = dataPort.settings.tls
    const transport = this.#tls && createTlsTransport(this.#tls, deps)
    this.#transport = transport
    const monotonicMs = () => deps.clock.monotonicMs()
    this.#due = createOnceAMinute(monotonicMs)
    this.#refused = createRefusedLogins(monotonicMs)
    this.#crowd = new OperatorCrowd(client => {
      deps.metrics.count('adminConnectionsCut', {})
      const held = this.#due('crowd')
      const fields = { connections: CONNECTIONS_MAX, client, held, hint: CROWDED_HINT }
      if (held !== undefined) deps.logger.warn(fields, CROWDED)
    })
    this.#sources = {
      callers: new Callers({ settings: () => NO_PROXIES }),
      owners: createConnectionOwners(),
      logins: new Logins({ accounts, revision: dataPort.revision, monotonicMs }),
      certificateOf: socket => transport?.certificateOf?.(socket) ?? { kind: 'none' },
    }
  }

  createServer(handler: RequestListener): Server {
    const options = {
      maxHeaderSize: HEADER_MAX_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // No request has a body.
      requestTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
      requireHostHeader: false,
    }
    const server = this.#transport?.createServer(options) ?? createServer(options)
    // All of them are counted and looked at: HEADER_MAX_BYTES is the bound.
    server.maxHeadersCount = 0
    server.prependListener('connection', () => this.#useNewest())
    this.#crowd.watch(server)
    const busy = new WeakSet<Socket>()
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#useNewest()
      const { socket } = request
      // Its certificate was judged by authorities of before: it is to begin anew. Or it sends one
      // after the other without waiting, which all would be kept while the first is judged.
      if (this.#transport?.isOutdated?.(socket) === true || busy.has(socket)) {
        socket.destroy()
        return
      }
      busy.add(socket)
      response.once('close', () => busy.delete(socket))
      handler(request, response)
    })
    return server as Server
  }

  closeAll(): void {
    this.#crowd.closeAll()
  }

  async judge(request: IncomingMessage): Promise<Judged> {
    const caller = this.#sources.callers.of(request)
    const principal = new RequestPrincipal(request, caller, this.#sources)
    const certified = this.#dataPort.settings.tls?.certificates.flatMap(({ names }) => names)
    const verdict = refuseSyntax(request) ?? (await this.#access.judge(principal, certified ?? []))
    const client = principal.address
    if (verdict.refusal !== undefined) {
      const { refusal } = verdict
      const { name } = principal.who
      return { refusal, who: name, client, held: this.#heldOf(refusal.kind, name, client) }
    }
    this.#crowd.letIn(request.socket)
    return { ...verdict, client }
  }

  /** Whoever shows nothing could fill the log with it, and from ever other addresses. */
  #heldOf(kind: string, name: string, client: string | undefined): number | undefined {
    if (name === 'anonymous') return this.#due(kind)
    return name === 'nobody' ? this.#refused(kind, client) : 0
  }

  #useNewest(): void {
    const { tls } = this.#dataPort.settings
    if (tls === this.#tls || tls === undefined) return
    this.#tls = tls
    this.#transport?.use(tls)
    this.#transport?.setTicketKeys(tls.ticketKeys)
  }
}

function refuseSyntax(request: IncomingMessage) {
  try {
    checkSyntax(request, { unclear: undefined })
    return undefined
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return { refusal: { kind: 'denied', reason: error.message } } as const
  }
}

const CROWDED = 'the operator’s API has too many connections, and cuts some'
const CROWDED_HINT =
  'connections of whoever has most go first, and none of who was let in: let operators alone reach admin.api'
