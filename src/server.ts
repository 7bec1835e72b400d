// The composition root: builds each part once, in order, and takes them down in the reverse one. With engine.ts, content.ts,
// readings.ts and upstreams.ts beside it the only file that imports across the rooms; it decides nothing but who gets what.
import { createLocalAccess } from './access/access.ts'
import { type AdminApp, buildAdminApp } from './admin/app.ts'
import { Closing } from './closing.ts'
import { formatAddress, type ListenAddress } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { compareConfigs, type ConfigChange } from './config/reload.ts'
import { openEngine } from './engine.ts'
import { buildApp } from './http/app.ts'
import { drain } from './http/drain.ts'
import { listening } from './listening.ts'
import { createLogger, type Logger } from './observe/log.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import { createNoteEvent } from './observe/note-event.ts'
import { readGauges, readTraffic } from './readings.ts'
import { createOperator } from './registry/operator/operator.ts'
import type { Clock } from './registry/ports/clock.ts'
import type { NoteEvent } from './registry/ports/events.ts'

export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly nodeVersion: string
  /** Changes with every start of the machine: tells a killed process from a power cut. */
  readonly bootId: string
  /** How long a request to an upstream whose answer was never seen may still arrive there. Default three minutes. */
  readonly settlingMs?: number
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: { write(line: string): void }
}

export interface RunningServer {
  /** As they really are: with the port that the system chose. */
  readonly http: string
  readonly admin: string
  readonly socket: string
  readonly logger: Logger
  /** Takes over what can change while running; says what only a restart brings. */
  reload(config: Config): ConfigChange
  /** Drains for at most http.draintimeout, parks what is unfinished, closes everything. Not to be called twice. */
  stop(): Promise<void>
}

/**
 * @throws StoreError or a listen error, with a message for the operator; what was opened before is closed again
 */
export async function startServer(
  config: Config,
  surroundings: Surroundings,
): Promise<RunningServer> {
  const { clock, logDestination } = surroundings
  const logger = createLogger({
    level: config.log.level,
    ...(logDestination === undefined ? {} : { destination: logDestination }),
  })
  const sleep = (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal)
  const metrics = createMetrics({ ...surroundings, sleep })
  const note = createNoteEvent({ logger, metrics, monotonicMs: () => clock.monotonicMs() })
  const undo = new Closing()
  try {
    return await compose(config, { surroundings, logger, metrics, note, sleep, undo })
  } catch (error) {
    await undo.run().catch((again: unknown) => {
      logger.error({ err: again }, 'not everything that the start had opened could be closed')
    })
    throw error
  }
}

interface Base {
  readonly surroundings: Surroundings
  readonly logger: Logger
  readonly metrics: Metrics
  readonly note: NoteEvent
  readonly sleep: Clock['sleep']
  readonly undo: Closing
}

async function compose(config: Config, base: Base): Promise<RunningServer> {
  const { surroundings, logger, metrics, note, undo } = base
  const { clock } = surroundings
  const engine = await openEngine(config, { ...surroundings, note, logger, undo })
  const { registry, store, catalog } = engine
  const operator = createOperator({
    ...engine,
    namespaces: engine.upstreams,
    clock,
    nudgeDeliveries: () => engine.deliveries.nudge(),
    version: surroundings.version,
    traffic: () => readTraffic(metrics),
  })
  metrics.watch(() => readGauges(engine, clock))

  const app = buildApp({ registry, access: createLocalAccess(), logger, metrics, clock })
  const checks = {
    store: async () => void (await store.space()),
    catalog: async () => void (await catalog.totals()),
  }
  let draining = false
  const admin = buildAdminApp({
    metrics,
    operator,
    logger,
    readiness: { checks, draining: () => draining, sleep: base.sleep },
  })
  undo.push(() => admin.close())
  const addresses = await listenAdmin(admin, config.admin)
  const { addr } = config.http
  await listening({ key: 'http.addr', address: formatAddress(addr), port: addr.port }, () =>
    app.listen({ host: addr.host ?? '::', port: addr.port }),
  )
  const http = listeningAt(app.server.address(), addr)
  undo.push(() => drain(app, { timeoutMs: config.http.drainTimeoutMs, clock }))

  engine.start()

  let current = config
  return {
    http,
    admin: addresses.admin,
    socket: addresses.socket,
    logger,
    reload: next => {
      engine.replace(next)
      const change = compareConfigs(current, next)
      current = next
      logger.level = next.log.level
      return change
    },
    stop: async () => {
      draining = true
      await undo.run()
    },
  }
}

async function listenAdmin(
  admin: AdminApp,
  { addr, socket }: Config['admin'],
): Promise<{ admin: string; socket: string }> {
  const address = await listening(
    { key: 'admin.addr', address: formatAddress(addr), port: addr.port },
    () => admin.listen(addr),
  )
  await listening({ key: 'admin.socket', address: socket }, () => admin.listenSocket(socket))
  return { admin: address, socket }
}

function listeningAt(address: unknown, wanted: ListenAddress): string {
  const port =
    typeof address === 'object' && address !== null && 'port' in address
      ? Number(address.port)
      : wanted.port
  return formatAddress({ host: wanted.host, port })
}
