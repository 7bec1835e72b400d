// HTTP through TLS: node's https server with what this port asks of TLS, the same handler behind
// it. Plain HTTP that comes here is told so (first-byte.ts). Whether the certificate is any
// good was judged with the configuration.
import { constants } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Socket } from 'node:net'
import { createServer, type Server, type ServerOptions } from 'node:https'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { spellingsOf } from '../../access/door.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Transport } from '../data-server.ts'
import { endsOf } from '../connection-ends.ts'
import {
  type ClientCertificates,
  EXPIRED,
  NO_CERTIFICATE,
  type ReadCertificate,
  readCertificate,
} from './client-certificate.ts'
import { expectTls, type FirstByte } from './first-byte.ts'
import type { LimitUnsent } from '../send/unsent-limit.ts'

/** Clients give up after ten seconds (R18); until then a connection costs little. */
export const HANDSHAKE_MAX_MS = 10_000

/** A client that has ended its side and takes nothing more of its answer for so long is gone. */
const ENDED_MAX_MS = 30_000

/**
 * A session goes on where this is the same. Node's own is made from the arguments of the process,
 * which are others in each further thread.
 */
const SESSION_CONTEXT = 'entrepot'

/**
 * Forward secrecy throughout. AES-128 first: it costs a third less than AES-256, which would guard
 * nothing more here. ChaCha20 is chosen where a client wants it first, as small machines without
 * AES do.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** Values, so that each thread can be given them. */
export interface TlsOptions {
  /** The first one is for whoever names none of the others. */
  readonly certificates: readonly CertificateOptions[]
  readonly minimumVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Whose certificates are gone by. Undefined: none is asked for. */
  readonly clients?: ClientCertificates | undefined
  /**
   * TICKET_KEYS_BYTES, the same in all threads, so that a session goes on whichever of them takes
   * the connection.
   */
  readonly ticketKeys: Uint8Array
}

export interface CertificateOptions {
  /** PEM, the server's first. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** Names in lower case that it is for, also `*.` and a name. */
  readonly names: readonly string[]
}

export interface TlsDeps {
  readonly clock: Clock
  readonly metrics: Metrics
  /** Absent: the kernel's own limit. */
  readonly limitUnsent?: LimitUnsent | undefined
}

export interface TlsTransport extends Transport {
  /**
   * For connections that come from now on; those that are open, and sessions of before, go on.
   * @throws as createTlsTransport
   */
  use(options: TlsOptions): void
  /** From now on; sessions of before begin anew. */
  setTicketKeys(keys: Uint8Array): void
}

/** For one server. @throws Error of OpenSSL when certificate and key are no pair that it takes */
export function createTlsTransport(options: TlsOptions, deps: TlsDeps): TlsTransport {
  let { clients } = options
  let contexts = contextsOf(options)
  const certificates = new WeakMap<Socket, ShownBy>()
  // A handshake that was under way when they changed was judged by those of before.
  const beganWith = new Map<string, ClientCertificates>()
  const tls: ServerOptions = {
    ...contexts.first,
    SNICallback: (name, use) => use(null, contexts.find(name)),
    ALPNProtocols: ['http/1.1'],
    // As node's plain server has it: who has ended its side still gets its answers.
    allowHalfOpen: true,
    handshakeTimeout: HANDSHAKE_MAX_MS,
    requestCert: clients !== undefined,
    // Who shows one that is not good is told so in HTTP.
    rejectUnauthorized: false,
  }
  let server: Server | undefined
  let first: FirstByte | undefined
  return {
    connected: 'secureConnection',
    createServer(http) {
      server = createServer({ ...http, ...tls })
      // Node would hand a failed handshake to `clientError`, as if it were a request.
      server.removeAllListeners('tlsClientError')
      server.on('tlsClientError', (_error, socket) => {
        deps.metrics.count('tlsFailures', {})
        socket.destroy()
      })
      server.on('secureConnection', socket => {
        const began = beganWith.get(endsOf(socket))
        const read = began && readCertificate(socket, began.fields)
        if (read !== undefined) certificates.set(socket, { ...read, clients: began })
        // A write that broke before the end was read leaves a half-open connection that nobody
        // would hear of again.
        socket.once('end', () => socket.setTimeout(ENDED_MAX_MS, () => socket.destroy()))
      })
      first = expectTls(server, { ...deps, limitMs: HANDSHAKE_MAX_MS })
      server.on('connection', (socket: Socket) => {
        const ends = endsOf(socket)
        if (clients !== undefined) beganWith.set(ends, clients)
        socket.once('close', () => beganWith.delete(ends))
      })
      return server
    },
    closeUnready: () => first?.closeSilent(),
    closeAll: () => first?.closeAll(),
    use(next) {
      contexts = contextsOf(next)
      server?.setSecureContext(contexts.first)
      if (isDeepStrictEqual(next.clients, clients)) return
      clients = next.clients
      // Node looks at it for each connection that comes.
      if (server !== undefined) Object.assign(server, { requestCert: clients !== undefined })
    },
    certificateOf(socket) {
      const found = certificates.get(socket)
      if (found === undefined || found.clients !== clients) return NO_CERTIFICATE
      return found.expiresAtMs > deps.clock.nowMs() ? found.shown : EXPIRED
    },
    isOutdated(socket) {
      const found = certificates.get(socket)
      return found !== undefined && found.clients !== clients
    },
    setTicketKeys: keys => server?.setTicketKeys(Buffer.from(keys)),
  }
}

/** Of a certificate that a connection began with: by which authorities it was judged. */
interface ShownBy extends ReadCertificate {
  readonly clients: ClientCertificates | undefined
}

/** What a connection goes by that comes now. */
function contextsOf({ certificates, minimumVersion, clients, ticketKeys }: TlsOptions): {
  readonly first: SecureContextOptions
  find(name: string): SecureContext | undefined
} {
  const shared = {
    minVersion: minimumVersion,
    ciphers: CIPHERS,
    // Beside the server's own order, which node asks for.
    secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
    sessionTimeout: TICKET_LIFETIME_SECONDS,
    ticketKeys: Buffer.from(ticketKeys),
    sessionIdContext: SESSION_CONTEXT,
    ...(clients && { ca: [...clients.authorities] }),
  }
  const options = certificates.map(({ certificate: cert, key }) => ({ ...shared, cert, key }))
  const [first] = options
  if (first === undefined) throw new Error('TLS takes a certificate')
  const [, ...others] = certificates
  const byName = new Map<string, SecureContext>()
  for (const [at, { names }] of others.entries()) {
    const context = createSecureContext({ ...options[at + 1], honorCipherOrder: true })
    for (const name of names) if (!byName.has(name)) byName.set(name, context)
  }
  const ofFirst = new Set(certificates[0]?.names)
  return {
    first,
    find(name) {
      const [exact, pattern] = spellingsOf(name)
      if (ofFirst.has(exact)) return undefined
      const found = byName.get(exact)
      if (found !== undefined || ofFirst.has(pattern)) return found
      return byName.get(pattern)
    },
  }
}

/**
 * The keys that session tickets are sealed with: who holds them can read what was sent under a
 * resumed session, so they are random, in memory only, and replaced. All threads have the same
 * ones. What OpenSSL takes: a name, a key for the digest and one for the cipher, sixteen bytes
 * each.
 */
export const TICKET_KEYS_BYTES = 48
/** How long a client may go on with a session: pulls of one rollout come within it. */
export const TICKET_LIFETIME_SECONDS = 3_600
/** Long enough that few sessions meet a change, which costs them one whole handshake. */
export const TICKET_KEYS_MAX_AGE_MS = 12 * 3_600_000

export interface TicketRotation {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Buffer
  /** Gets new keys now and then. */
  readonly use: (keys: Buffer) => void
  readonly signal: AbortSignal
}

/** Resolves when `signal` aborts. */
export async function rotateTicketKeys(rotation: TicketRotation): Promise<void> {
  const { clock, randomBytes, use, signal } = rotation
  while (!signal.aborted) {
    await clock.sleep(TICKET_KEYS_MAX_AGE_MS, signal).catch(() => {})
    if (!signal.aborted) use(randomBytes(TICKET_KEYS_BYTES))
  }
}
