// Servers of a test's own, on loopback.
import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Teardown } from './open-upstream.ts'

/** Listens on 127.0.0.1 until the test ends. Resolves to the port, which the kernel chooses. */
export async function listen(t: Teardown, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => closeServer(server))
  return (server.address() as AddressInfo).port
}

/**
 * Resolves once it takes no connections, and has none. Until this process ends, its port is given
 * to nobody who lets the kernel choose, and whoever asks there is refused; who names the port can
 * listen on it again.
 */
export function closeServer(server: Server): Promise<void> {
  const address = server.address() as AddressInfo | null
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
    if (address !== null) keepPort(address.port)
  })
}

/**
 * By a connection of the port with itself. Otherwise the next server on this machine may be given
 * it, that of another test as well, and answers in the place of a registry that is gone: with a
 * 404, where a test wants no answer at all.
 */
function keepPort(port: number): void {
  const host = '127.0.0.1'
  const kept = connect({ host, port, localAddress: host, localPort: port })
  kept.unref()
  // It is kept already, since a server before this one had it, or somebody else was faster.
  kept.on('error', () => {})
}

/** One that was free a moment ago: not every server can be told to let the kernel choose. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
