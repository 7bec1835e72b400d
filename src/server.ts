// The composition root: builds each part once, in order, and takes them down in the reverse one. With engine.ts, content.ts,
// readings.ts and upstreams.ts beside it the only file that imports across the rooms; it decides nothing but who gets what.
import type { AdminApp } from './admin/app.ts'
import { Closing } from './closing.ts'
import { formatAddress } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { compareConfigs, type ConfigChange } from './config/reload.ts'
import { DataPort } from './data-port.ts'
import { openEngine } from './engine.ts'
import { listening } from './listening.ts'
import { createLogger, type Logger, standardOutput } from './observe/log.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import { createNoteEvent } from './observe/note-event.ts'
import { readGauges, readThreads, readTraffic } from './readings.ts'
import { createEpochs } from './registry/epochs.ts'
import { createOperator } from './registry/operator/operator.ts'
import type { Sending } from './registry/operator/status.ts'
import type { Clock } from './registry/ports/clock.ts'
import type { NoteEvent } from './registry/ports/events.ts'

export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly nodeVersion: string
  /** What this process may have of the machine's memory. */
  readonly memoryBytes: number
  /** Processor cores that this process may use at the same time: so many threads serve where the configuration names no number. */
  readonly cores: number
  /** Changes with every start of the machine: tells a killed process from a power cut. */
  readonly bootId: string
  /** How long a request to an upstream whose answer was never seen may still arrive there. Default three minutes. */
  readonly settlingMs?: number
  /** May blobs be sent by native/sender.c where it was built? Default true. */
  readonly native?: boolean | undefined
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: { write(line: string): void }
  /** What a further HTTP thread runs. Default: http-thread beside this file. */
  readonly threadEntry?: URL
}

export interface RunningServer {
  /** As they really are: with the port that the system chose; with `https://` where TLS is spoken. */
  readonly http: string
  readonly admin: string
  readonly socket: string
  readonly sending: Sending
  readonly logger: Logger
  /** Takes over what can change while running; says what only a restart brings. */
  reload(config: Config): Promise<ConfigChange>
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
  const { clock, logDestination = standardOutput() } = surroundings
  const logger = createLogger({ level: config.log.level, destination: logDestination })
  const sleep = (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal)
  const metrics = createMetrics({ ...surroundings, sleep })
  const note = createNoteEvent({ logger, metrics, monotonicMs: () => clock.monotonicMs() })
  const undo = new Closing()
  try {
    const base = { surroundings, logDestination, logger, metrics, note, sleep, undo }
    return await compose(config, base)
  } catch (error) {
    await undo.run().catch((again: unknown) => {
      logger.error({ err: again }, 'not everything that the start had opened could be closed')
    })
    throw error
  }
}

interface Base {
  readonly surroundings: Surroundings
  readonly logDestination: { write(lines: string): void }
  readonly logger: Logger
  readonly metrics: Metrics
  readonly note: NoteEvent
  readonly sleep: Clock['sleep']
  readonly undo: Closing
}

async function compose(config: Config, base: Base): Promise<RunningServer> {
  const { surroundings, logger, metrics, note, undo } = base
  const { clock } = surroundings
  const epochs = createEpochs()
  const dataPort = new DataPort(config, { ...surroundings, ...base, epochs })
  undo.push(() => dataPort.end())
  const { readCached } = dataPort
  const engine = await openEngine(config, {
    ...surroundings,
    note,
    logger,
    undo,
    epochs,
    readCached,
  })
  const { registry, store, catalog } = engine
  const { sending } = dataPort
  const operator = createOperator({
    ...engine,
    namespaces: engine.upstreams,
    clock,
    nudgeDeliveries: () => engine.deliveries.nudge(),
    version: surroundings.version,
    sending,
    threads: () => dataPort.serving,
    traffic: async () => {
      await dataPort.count()
      return readTraffic(metrics)
    },
  })
  metrics.watch(() => readGauges(engine, clock))
  metrics.watch(async () => {
    await dataPort.count()
    return readThreads(dataPort.states)
  })

  const checks = {
    store: async () => void (await store.space()),
    catalog: async () => void (await catalog.totals()),
    threads: () => dataPort.ping(),
  }
  let draining = false
  let admin: AdminApp | undefined
  // Closed after the data port: it tells that this edge is draining.
  undo.push(async () => admin?.close())
  const http = await dataPort.listen(registry)
  undo.push(() => dataPort.drain())
  // Its web server is a third of all code there is, and nobody who pulls needs to wait until it is loaded.
  const { buildAdminApp } = await import('./admin/app.ts')
  const readiness = { checks, draining: () => draining, sleep: base.sleep }
  admin = buildAdminApp({ metrics, operator, logger, readiness })
  const addresses = await listenAdmin(admin, config.admin)

  engine.start()

  let current = config
  return {
    http,
    admin: addresses.admin,
    socket: addresses.socket,
    sending,
    logger,
    reload: async next => {
      engine.replace(next)
      const change = compareConfigs(current, next)
      current = next
      logger.level = next.log.level
      await dataPort.replace(next)
      // Until here a thread may have remembered what the old configuration said.
      epochs.bumpAll()
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
