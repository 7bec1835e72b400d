// Upstreams that are slow: at the far end of a shaped network, behind the link process, or limited
// on each connection by themselves.
import type { LinkCall, LinkSettings } from './link-process.ts'
import { type Network, openNetwork } from './network.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import { forkWorker } from './worker.ts'

export interface Link {
  readonly port: number
  set(settings: LinkSettings): Promise<void>
  stop(): Promise<void>
}

export interface LinkOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string
  /** In front of the program, as `Network.enter`. */
  readonly enter?: readonly string[]
}

/** In front of the server on `upstreamPort`, on loopback. */
export async function startLink(upstreamPort: number, options: LinkOptions = {}): Promise<Link> {
  const { host = '127.0.0.1', enter } = options
  const worker = forkWorker('./link-process.ts', [host, String(upstreamPort)], enter)
  const port = (await worker.first) as number
  const call = (message: LinkCall) => worker.call(message)
  return {
    port,
    set: async settings => void (await call({ call: 'set', settings })),
    stop: () => worker.stop(),
  }
}

export interface Shape extends LinkSettings {
  /** For all connections together. */
  readonly totalBytesPerSecond?: number
}

export interface ShapedUpstream extends Upstream {
  shape(shape: Shape): Promise<void>
}

/** An upstream behind a shaped network. @throws Error as openNetwork */
export async function startShapedUpstream(): Promise<ShapedUpstream> {
  const network: Network = openNetwork()
  const upstream = await startUpstream({ enter: network.enter })
  const far = { host: network.address, enter: network.enter }
  const link = await startLink(Number(new URL(upstream.url).port), far)
  return {
    ...upstream,
    url: `http://${network.address}:${link.port}`,
    shape: async ({ totalBytesPerSecond, ...settings }) => {
      network.limit(totalBytesPerSecond)
      await link.set(settings)
    },
    stop: async () => {
      await Promise.all([link.stop(), upstream.stop()])
      network.remove()
    },
  }
}

/**
 * `upstream` as one that gives each connection so much for blobs. Stopping it leaves `upstream` as
 * it was.
 */
export async function limitConnections(
  upstream: Upstream,
  bytesPerSecond: number,
): Promise<Upstream> {
  await upstream.fault({ kind: 'blob', method: 'GET' }, { bytesPerSecond })
  return { ...upstream, stop: () => upstream.clearFaults() }
}
