// HTTP through TLS: node's https server with what this port asks of TLS, the same handler behind
// it. Plain HTTP that comes here is told so (first-byte.ts). Whether the certificate is any
// good was judged with the configuration.
import { constants } from 'node:crypto'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Transport } from '../app.ts'
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
  /** PEM, the server's first. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  readonly minimumVersion: 'TLSv1.2' | 'TLSv1.3'
  /**
   * TICKET_KEYS_BYTES, the same in all threads, so that a session goes on whichever of them takes
   * the connection.
   */
  readonly ticketKeys: Uint8Array
}

export interface TlsDeps {
  readonly clock: Clock
  readonly metrics: Metrics
  /** Absent: the kernel's own limit. */
  readonly limitUnsent?: LimitUnsent | undefined
}

export interface TlsTransport extends Transport {
  /** From now on; sessions of before begin anew. */
  setTicketKeys(keys: Uint8Array): void
}

/** For one server. @throws Error of OpenSSL when certificate and key are no pair that it takes */
export function createTlsTransport(options: TlsOptions, deps: TlsDeps): TlsTransport {
  const tls: ServerOptions = {
    cert: options.certificate,
    key: options.key,
    minVersion: options.minimumVersion,
    ciphers: CIPHERS,
    // Beside the server's own order, which node asks for.
    secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
    ALPNProtocols: ['http/1.1'],
    // As node's plain server has it: who has ended its side still gets its answers.
    allowHalfOpen: true,
    handshakeTimeout: HANDSHAKE_MAX_MS,
    sessionTimeout: TICKET_LIFETIME_SECONDS,
    ticketKeys: Buffer.from(options.ticketKeys),
    sessionIdContext: SESSION_CONTEXT,
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
        // A write that broke before the end was read leaves a half-open connection that nobody
        // would hear of again.
        socket.once('end', () => socket.setTimeout(ENDED_MAX_MS, () => socket.destroy()))
      })
      first = expectTls(server, { ...deps, limitMs: HANDSHAKE_MAX_MS })
      return server
    },
    closeUnready: () => first?.closeSilent(),
    closeAll: () => first?.closeAll(),
    setTicketKeys: keys => server?.setTicketKeys(Buffer.from(keys)),
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
