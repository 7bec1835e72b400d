// The data port over a registry double, as tests need it: in process or on a loopback socket, with the log lines it wrote.
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type Access, createLocalAccess } from '../../src/access/access.ts'
import { buildApp, type HttpOptions } from '../../src/http/app.ts'
import { createLogger, type LogLevel } from '../../src/observe/log.ts'
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { createRegistryDouble, type RegistryDouble } from './registry-double.ts'

export type LogLine = Readonly<Record<string, unknown>>

export interface TestApp {
  readonly app: FastifyInstance
  readonly registry: RegistryDouble
  readonly clock: ManualClock
  readonly metrics: Metrics
  /** Every line so far, parsed: a line that is no JSON throws here. */
  lines(): readonly LogLine[]
  /** Resolves with the "request completed" lines as soon as there are `count`. */
  untilCompleted(count: number): Promise<readonly LogLine[]>
  /** Listens on a loopback port; returns `http://127.0.0.1:port`, or the same for another loopback `host`. */
  listen(host?: string): Promise<string>
}

export interface TestAppOptions {
  readonly access?: Access
  readonly options?: HttpOptions
  readonly level?: LogLevel
}

/** Closed when the test ends, connections and all. */
export function createTestApp(
  t: { teardown(fn: () => unknown): unknown },
  { access = createLocalAccess(), options, level = 'info' }: TestAppOptions = {},
): TestApp {
  const registry = createRegistryDouble()
  const clock = createManualClock()
  const written: string[] = []
  const watchers = new Set<() => void>()
  const destination = {
    write(line: string) {
      written.push(line)
      for (const watcher of watchers) watcher()
    },
  }
  const lines = () => written.map(line => JSON.parse(line) as LogLine)
  const completed = () => lines().filter(line => line['msg'] === 'request completed')
  const logger = createLogger({ level, destination })
  const metrics = createMetrics({
    version: 'test',
    nodeVersion: 'test',
    sleep: (ms, signal) => clock.sleep(ms, signal),
    process: false,
  })
  const app = buildApp({ registry, access, logger, metrics, clock, ...(options && { options }) })
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
  })
  return {
    app,
    registry,
    clock,
    metrics,
    lines,
    untilCompleted: count =>
      new Promise(resolve => {
        const look = () => {
          if (completed().length < count) return
          watchers.delete(look)
          resolve(completed())
        }
        watchers.add(look)
        look()
      }),
    async listen(host = '127.0.0.1') {
      await app.listen({ host, port: 0 })
      const { port } = app.server.address() as AddressInfo
      return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
    },
  }
}

/** A connected socket to `url` that collects what comes; errors end it. */
export async function openSocket(url: string): Promise<{
  socket: Socket
  received: () => string
  ended: Promise<void>
  until(text: string): Promise<void>
}> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const pieces: Buffer[] = []
  const watchers = new Set<() => void>()
  const received = () => Buffer.concat(pieces).toString('latin1')
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece)
    for (const watcher of watchers) watcher()
  })
  socket.on('error', () => {})
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
  await new Promise<void>(resolve => socket.once('connect', resolve))
  return {
    socket,
    received,
    ended,
    until: text =>
      new Promise(resolve => {
        const look = () => {
          if (!received().includes(text)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
  }
}
