// The data port over TLS with options of a test's own, for tests that look at TLS itself. Those
// that do not are run over TLS by the switch in over-tls.ts.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createTlsTransport, type TlsOptions } from '../../../src/http/tls/tls.ts'
import { TICKET_KEYS_BYTES } from '../../../src/http/tls/tls.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { makeCertificate } from '../certificate.ts'
import { createTestApp } from './http-app.ts'
import { createManualClock } from '../manual-clock.ts'

export const certificate = makeCertificate()
export const HOST = '127.0.0.1'

interface Given {
  readonly minimumVersion?: TlsOptions['minimumVersion']
  readonly ticketKeys?: Buffer
}

/**
 * Listens at HOST with `certificate`. `own` and `tlsClock` are those of TLS, the others the port's.
 */
export async function listenTls(test: Parameters<typeof createTestApp>[0], given: Given = {}) {
  const clock = createManualClock()
  const { sleep } = clock
  const own = createMetrics({ version: 'test', nodeVersion: 'test', sleep, process: false })
  const { cert, key } = certificate
  const transport = createTlsTransport(
    {
      certificates: [{ certificate: cert, key, names: [] }],
      minimumVersion: given.minimumVersion ?? 'TLSv1.2',
      ticketKeys: given.ticketKeys ?? randomBytes(TICKET_KEYS_BYTES),
    },
    { clock, metrics: own },
  )
  const parts = createTestApp(test, { transport })
  await parts.app.listen({ host: HOST, port: 0 })
  const { port } = parts.app.server.address() as AddressInfo
  return { ...parts, port, transport, own, tlsClock: clock }
}

/** What comes until the connection ends. */
export async function textOf(socket: Socket): Promise<string> {
  const pieces: Buffer[] = []
  socket.on('error', () => {})
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  await once(socket, 'close')
  return Buffer.concat(pieces).toString('latin1')
}
