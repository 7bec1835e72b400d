// Upstreams that are slow: at the far end of a shaped network, behind the link process, or limited
// on each connection by themselves.
import type { LinkCall, LinkSettings } from './link-process.ts'
import { makeCertificate } from '../test/kit/certificate.ts'
import { freePort } from '../test/kit/loopback.ts'
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

export interface FarRegistry extends Upstream {
  /** PEM: who signed for it and for its storage. */
  readonly authority: string
}

/**
 * An upstream as most registries are: it speaks TLS, wants tokens, and redirects blobs to storage
 * on another host. Both are so far away; its token service is near.
 */
export async function startFarRegistry(roundTripMs: number): Promise<FarRegistry> {
  const certificate = makeCertificate()
  const storagePort = await freePort()
  const toStorage = await startLink(storagePort)
  const storage = { port: storagePort, url: `https://127.0.0.1:${toStorage.port}` }
  const upstream = await startUpstream({ tokens: true, certificate, storage })
  const toRegistry = await startLink(Number(new URL(upstream.url).port))
  for (const link of [toRegistry, toStorage]) await link.set({ roundTripMs })
  return {
    ...upstream,
    url: `https://127.0.0.1:${toRegistry.port}`,
    authority: certificate.ca,
    stop: async () => {
      await Promise.all([toRegistry.stop(), toStorage.stop(), upstream.stop()])
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
