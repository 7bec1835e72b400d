// Servers of a test's own, on loopback.
import { once } from 'node:events'
import type { Server } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import type { Teardown } from './open-upstream.ts'

/** Listens on 127.0.0.1 until the test ends. Resolves to the port, which the kernel chooses. */
export async function listen(t: Teardown, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => closeServer(server))
  return (server.address() as AddressInfo).port
}

/** Resolves once it takes no connections, and has none. */
export function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
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
