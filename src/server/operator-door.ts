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
import type { Network } from '../admin/network.ts'
import { createConnectionOwners } from '../http/connection-owners.ts'
import { checkSyntax } from '../http/admit.ts'
import { HEADER_MAX_BYTES, HEADERS_TIMEOUT_MS } from '../http/limits.ts'
import { Logins } from '../http/logins.ts'
import { RequestPrincipal } from '../http/principal.ts'
import { Callers, NO_PROXIES } from '../http/proxies/callers.ts'
import {
  createTlsTransport,
  spellingsOf,
  type TlsDeps,
  type TlsTransport,
} from '../http/tls/tls.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ThreadSettings } from '../threads/sides.ts'
import type { DataPort } from './data-port.ts'

/** Operators and their programs; what hangs there is cut by node. */
const CONNECTIONS_MAX = 256

export interface OperatorDoorDeps extends Pick<TlsDeps, 'clock' | 'metrics'> {
  readonly accounts: Accounts
  readonly dataPort: Pick<DataPort, 'settings' | 'revision'>
}

export class OperatorDoor implements Network {
  readonly #dataPort: OperatorDoorDeps['dataPort']
  readonly #access: OperatorAccess
  readonly #sources: ConstructorParameters<typeof RequestPrincipal>[2]
  readonly #transport: TlsTransport | undefined
  /** That the transport goes by. */
  #tls: ThreadSettings['tls']

  constructor({ accounts, dataPort, ...deps }: OperatorDoorDeps) {
    this.#dataPort = dataPort
    this.#access = new OperatorAccess(() => dataPort.settings.access)
    this.#tls = dataPort.settings.tls
    const transport = this.#tls && createTlsTransport(this.#tls, deps)
    this.#transport = transport
    const monotonicMs = () => deps.clock.monotonicMs()
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
      requireHostHeader: false,
    }
    const server = this.#transport?.createServer(options) ?? createServer(options)
    server.maxConnections = CONNECTIONS_MAX
    // All of them are counted and looked at: HEADER_MAX_BYTES is the bound.
    server.maxHeadersCount = 0
    server.prependListener('connection', () => this.#useNewest())
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

  async judge(request: IncomingMessage) {
    const caller = this.#sources.callers.of(request)
    const principal = new RequestPrincipal(request, caller, this.#sources)
    const refusal =
      refuseSyntax(request) ?? (await this.#access.refuse(principal, this.#names(principal.host)))
    return { refusal, who: principal.who.name, client: principal.address }
  }

  /** Where it may be called: by the names of this edge, and those that its certificates are for. */
  #names(host = ''): readonly string[] {
    const { access, tls } = this.#dataPort.settings
    const { url, hosts } = access.publicNames ?? { url: undefined, hosts: [] }
    const ofCertificates = tls?.certificates.flatMap(({ names }) => names) ?? []
    const name = host.replace(/:\d{1,5}$/, '').toLowerCase()
    const byPattern = ofCertificates.includes(spellingsOf(name)[1]) ? [name] : []
    const byUrl = url === undefined ? [] : [new URL(url).hostname]
    return [...hosts, ...ofCertificates, ...byPattern, ...byUrl]
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
    return { kind: 'denied', reason: error.message } as const
  }
}
