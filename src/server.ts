// The composition root: builds each part once, in order, and takes them down in the reverse one. The only file that imports
// across the rooms; it decides nothing but who gets what.
import { randomBytes } from 'node:crypto'
import { createOpenAccess } from './access/access.ts'
import { type AdminApp, buildAdminApp } from './admin/app.ts'
import { Closing } from './closing.ts'
import { formatAddress, type ListenAddress } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { compareConfigs, type ConfigChange } from './config/reload.ts'
import { maxContentBytes, openContent } from './content.ts'
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
import { createRegistry } from './registry/registry.ts'
import { createPolicies } from './registry/repository-policies.ts'
import { UploadPurge } from './upkeep/purge-uploads.ts'
import { Upstreams } from './upstreams.ts'

/** Whoever knows an upload's id may write to it: 144 bits are beyond guessing. */
const UPLOAD_ID_BYTES = 18

export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly nodeVersion: string
  /** Changes with every start of the machine: tells a killed process from a power cut. */
  readonly bootId: string
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
  const { catalog, store, facts } = await openContent(config.storage, { ...base, ...surroundings })
  const upstreams = new Upstreams(config, { ...surroundings, note })
  undo.push(() => upstreams.close())
  const maxStorageBytes = await maxContentBytes(config.storage, store)
  let policies = createPolicies(config.repositories)
  const registry = createRegistry({
    store,
    catalog,
    facts,
    clock,
    note,
    namespaces: upstreams,
    route: (target, host) => upstreams.route(target, host),
    policies: { find: repository => policies.find(repository) },
    newUploadId: () => randomBytes(UPLOAD_ID_BYTES).toString('base64url'),
    maxStorageBytes,
  })
  undo.push(() => registry.stop())
  const purge = new UploadPurge(config.storage.uploadPurging, {
    clock,
    note,
    purge: options => registry.purgeUploads(options),
  })
  undo.push(() => purge.stop())
  const operator = createOperator({
    registry,
    store,
    catalog,
    facts,
    namespaces: upstreams,
    clock,
    maxStorageBytes,
    nudgeDeliveries: () => {},
    version: surroundings.version,
    traffic: () => readTraffic(metrics),
  })
  metrics.watch(() => readGauges({ store, catalog }, clock))

  const app = buildApp({ registry, access: createOpenAccess(), logger, metrics, clock })
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

  purge.start()

  let current = config
  return {
    http,
    admin: addresses.admin,
    socket: addresses.socket,
    logger,
    reload: next => {
      upstreams.replace(next)
      policies = createPolicies(next.repositories)
      purge.replace(next.storage.uploadPurging)
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
