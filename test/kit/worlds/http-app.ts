// The data port over a registry double, as tests need it: in process or on a loopback socket, with
// the log lines it wrote.
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { inject, type InjectOptions, type Response } from 'light-my-request'
import type { Accounts } from '../../../src/access/accounts.ts'
import type { Access, Owner } from '../../../src/access/access.ts'
import { type AccessSettings, createLocalAccess } from '../../../src/access/local-access.ts'
import { buildApp, type DataApp, type HttpOptions } from '../../../src/http/app.ts'
import type { ClientLimitSettings } from '../../../src/http/clients/client-limits.ts'
import {
  type Connection,
  type ConnectionOwners,
  createConnectionOwners,
} from '../../../src/http/connection-owners.ts'
import type { Transport } from '../../../src/http/data-server.ts'
import type { Sendfile } from '../../../src/http/send/sendfile.ts'
import { ENDED_WAIT_MS } from '../../../src/http/limits.ts'
import type { ProxySettings } from '../../../src/http/proxies/callers.ts'
import { noteWaitingRoom, WaitingRoom } from '../../../src/http/places/waiting-room.ts'
import { createTlsTransport, TICKET_KEYS_BYTES, type TlsDeps } from '../../../src/http/tls/tls.ts'
import { createLogger } from '../../../src/observe/log.ts'
import type { LogLevel } from '../../../src/observe/log-levels.ts'
import { createMetrics, type Metrics } from '../../../src/observe/metrics.ts'
import type { Epochs } from '../../../src/registry/epochs.ts'
import { createManualClock, type ManualClock } from '../manual-clock.ts'
import { CONNECTED, openConnection, OVER_TLS, SCHEME, testCertificate } from '../over-tls.ts'
import { createRegistryDouble, type RegistryDouble } from './registry-double.ts'
import { overThreads } from './borrowed-registry.ts'

export type LogLine = Readonly<Record<string, unknown>>

/** The data port, and requests to it that go through no socket. */
export interface InjectableApp extends DataApp {
  inject(options: InjectOptions): Promise<Response>
}

export interface TestApp {
  readonly app: InjectableApp
  readonly registry: RegistryDouble
  readonly clock: ManualClock
  readonly metrics: Metrics
  /** Every line so far, parsed: a line that is no JSON throws here. */
  lines(): readonly LogLine[]
  /** Resolves with the "request completed" lines as soon as there are `count`. */
  untilCompleted(count: number): Promise<readonly LogLine[]>
  /**
   * `go` makes a client leave; resolves when that was heard, and as much time has passed as such a
   * client is waited for.
   */
  leave(go: () => void): Promise<void>
  /**
   * Listens on a loopback port; returns `http://127.0.0.1:port`, or the same for another loopback
   * `host`.
   */
  listen(host?: string): Promise<string>
}

export interface TestAppOptions {
  readonly access?: Access
  /** Default: as this system tells. */
  readonly owners?: ConnectionOwners
  /** Default: no password is good. */
  readonly accounts?: Accounts
  /** Default: no proxy is believed. */
  readonly proxies?: () => ProxySettings
  /** Default: there are none. */
  readonly clientLimits?: () => ClientLimitSettings | undefined
  readonly options?: HttpOptions
  readonly level?: LogLevel
  readonly transport?: Transport
  /** Default: blobs pass through this process. */
  readonly sendfile?: Sendfile | undefined
  /** Blobs sent at once. Default: more than a test asks for. */
  readonly places?: number
  /** With them it remembers answers. */
  readonly epochs?: Epochs
}

/** Closed when the test ends, connections and all. */
export function createTestApp(
  t: { teardown(fn: () => unknown): unknown },
  {
    access = createLocalAccess(() => LOCAL_RULES),
    level = 'info',
    places: limit = 1_000,
    ...given
  }: TestAppOptions = {},
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
  const note = noteWaitingRoom(metrics, waiting => app.othersWait(waiting))
  const places = new WaitingRoom({ limit, clock, note })
  // Whole files of tests are run both ways: see http-borrowed.test.ts.
  const isBorrowed = process.env['BORROWED_REGISTRY'] !== undefined
  const served = isBorrowed ? overThreads(t, registry).registry : registry
  const transport = OVER_TLS ? testTransport({ clock, metrics }) : {}
  const base = { registry: served, access, owners: testOwners(), logger, metrics, clock, places }
  const deps = { ...base, ...transport, ...given }
  const app = injectable(buildApp(deps))
  const ends = new EventEmitter()
  app.server.on(CONNECTED, (socket: Socket) => {
    for (const name of ['end', 'close']) socket.once(name, () => ends.emit('end'))
  })
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
    async leave(go) {
      const heard = once(ends, 'end')
      go()
      await heard
      // At the first look its own bytes may still wait for it.
      for (let look = 0; look < 3; look += 1) await clock.advance(ENDED_WAIT_MS)
    },
    async listen(host = '127.0.0.1') {
      await app.listen({ host, port: 0 })
      const { port } = app.server.address() as AddressInfo
      return `${SCHEME}://${host.includes(':') ? `[${host}]` : host}:${port}`
    },
  }
}

/** Whoever runs the tests is the server. */
export const LOCAL_RULES: AccessSettings = {
  serverUid: process.geteuid?.(),
  localPushOff: undefined,
  hosts: undefined,
  rules: [],
}

/** As this system tells; what goes through no socket is this process itself. */
export function testOwners(): ConnectionOwners {
  const owners = createConnectionOwners()
  const own: Owner = { kind: 'user', uid: process.geteuid?.() ?? 0 }
  const isInjected = ({ remotePort }: Connection) => remotePort === undefined
  return {
    known: connection => (isInjected(connection) ? own : owners.known(connection)),
    find: async connection => (isInjected(connection) ? own : owners.find(connection)),
  }
}

function testTransport(deps: TlsDeps): { readonly transport: Transport } {
  const { cert: certificate, key } = testCertificate()
  const certificates = [{ certificate, key, names: [] }]
  const ticketKeys = randomBytes(TICKET_KEYS_BYTES)
  const options = { certificates, minimumVersion: 'TLSv1.2', ticketKeys } as const
  return { transport: createTlsTransport(options, deps) }
}

function injectable(app: DataApp): InjectableApp {
  return {
    ...app,
    inject: options =>
      inject((request, response) => {
        // There is no connection that it could be the timer of.
        response.setTimeout = () => response
        app.server.emit('request', request, response)
      }, options),
  }
}

/** Of what came, in the error of whoever waits for something else. */
const TOLD_CHARACTERS = 200

/**
 * A connected socket to `url` that collects what comes; errors end it. `until` rejects when it ends
 * without that text.
 */
export async function openSocket(url: string): Promise<{
  socket: Socket
  received: () => string
  ended: Promise<void>
  until(text: string): Promise<void>
}> {
  const socket = await openConnection(url)
  const pieces: Buffer[] = []
  const watchers = new Set<() => void>()
  const received = () => Buffer.concat(pieces).toString('latin1')
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece)
    for (const watcher of watchers) watcher()
  })
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
  return {
    socket,
    received,
    ended,
    until: text =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!received().includes(text)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
        void ended.then(() => {
          const found = received().slice(0, TOLD_CHARACTERS)
          reject(new Error(`the connection ended without ${text}, after ${found}`))
        })
      }),
  }
}
