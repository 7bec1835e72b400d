// A TCP proxy between a client and the edge that breaks a connection once so many bytes of uploads
// went up: the link that fails in the middle of a push. It changes no byte.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'

export interface CuttingProxy {
  /** `127.0.0.1:PORT` */
  readonly authority: string
  /** Breaks the connection that carries the `afterBytes`-th byte from now on; once. */
  cutAfter(afterBytes: number): void
  /** Connections broken so far. */
  cuts(): number
  close(): Promise<void>
}

export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(`http://${target}`)
  const sockets = new Set<Socket>()
  let leftBytes = Number.POSITIVE_INFINITY
  let cuts = 0
  const server = createServer(client => {
    const edge = connect(Number(port), hostname)
    for (const [from, to] of [
      [client, edge],
      [edge, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    edge.pipe(client)
    client.on('data', chunk => {
      leftBytes -= chunk.length
      if (leftBytes < 0) {
        leftBytes = Number.POSITIVE_INFINITY
        cuts += 1
        client.resetAndDestroy()
        edge.destroy()
        return
      }
      if (!edge.write(chunk)) {
        client.pause()
        edge.once('drain', () => client.resume())
      }
    })
    client.on('end', () => edge.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAfter(afterBytes) {
      leftBytes = afterBytes
    },
    cuts: () => cuts,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
