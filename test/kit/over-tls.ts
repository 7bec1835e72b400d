// The switch that runs tests of the data port over TLS: with OVER_TLS=1 what they start speaks TLS
// and what they ask with trusts it. The tests themselves do not know.
import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Certificate, makeCertificate } from './certificate.ts'

export const OVER_TLS = process.env['OVER_TLS'] === '1'
/** The server's event of a connection that requests come over. */
export const CONNECTED = OVER_TLS ? 'secureConnection' : 'connection'
/** Of a data port that listens on it. */
export const SCHEME = OVER_TLS ? 'https' : 'http'

let certificate: Certificate | undefined

/** One for the whole process; for `localhost` and `127.0.0.1`. */
export function testCertificate(): Certificate {
  certificate ??= makeCertificate()
  return certificate
}

/**
 * Connected to host and port of `url`, and for `https` through TLS, to a server of testCertificate.
 * @throws when there is none
 */
export async function openConnection(url: string): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const plain = connectPlain({ host, port: Number(port), noDelay: true })
  await opened(plain, 'connect')
  if (protocol !== 'https:') return plain
  // Tests call it by addresses that no certificate is for; that the right authority signed is
  // checked all the same.
  const { ca } = testCertificate()
  const socket = connectTls({ socket: plain, ca, checkServerIdentity: () => undefined })
  carriers.set(socket, plain)
  // The server writes once more after its handshake; a test that breaks the connection is not to
  // meet that.
  const settled = once(socket, 'session')
  await opened(socket, 'secureConnect')
  await settled
  // What is written while node 24.12 tells of the session stays in node for ever.
  await new Promise(resolve => setImmediate(resolve))
  return socket
}

/** The connection under each TLS one. */
const carriers = new WeakMap<Socket, Socket>()

/** Ends a connection of `openConnection` by a reset, without a word of TLS either. */
export function breakOff(socket: Socket): void {
  const carrier = carriers.get(socket) ?? socket
  carrier.resetAndDestroy()
}

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once(event, () => {
      socket.removeListener('error', reject)
      // From here on an error is an answer that was cut, and 'close' follows it.
      socket.on('error', () => {})
      resolve()
    })
  })
}
