// The composition root: builds each part once, in order, and takes them down in the reverse one. The only file that imports
// across the rooms; it decides nothing but who gets what.
import { createOpenAccess } from './access/access.ts'
import { type AdminApp, buildAdminApp } from './admin/app.ts'
import type { SqliteCatalog } from './catalog/sqlite/catalog.ts'
import { openSqliteCatalog } from './catalog/sqlite/open.ts'
import { Closing } from './closing.ts'
import { formatAddress, type ListenAddress } from './config/addresses.ts'
import type { Config, StorageConfig } from './config/config.ts'
import { compareConfigs, type ConfigChange } from './config/reload.ts'
import { buildApp } from './http/app.ts'
import { drain } from './http/drain.ts'
import { listening } from './listening.ts'
import { createLogger, type Logger } from './observe/log.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import { createNoteEvent } from './observe/note-event.ts'
import { createOperator } from './registry/operator/operator.ts'
import type { BlobStore } from './registry/ports/blob-store.ts'
import type { Catalog } from './registry/ports/catalog.ts'
import type { Clock } from './registry/ports/clock.ts'
import type { NoteEvent } from './registry/ports/events.ts'
import { recover } from './registry/recovery.ts'
import { createRegistry } from './registry/registry.ts'
import { openFilesystemStore } from './store/filesystem/store.ts'
import { Upstreams } from './upstreams.ts'

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
  const { catalog, store } = await openContent(config.storage, base)
  const upstreams = new Upstreams(config, { ...surroundings, note })
  undo.push(() => upstreams.close())
  const maxStorageBytes = await maxBytes(config.storage, store)
  const registry = createRegistry({
    store,
    catalog,
    clock,
    note,
    namespaces: upstreams,
    route: (target, host) => upstreams.route(target, host),
    maxStorageBytes,
  })
  undo.push(() => registry.stop())
  const operator = createOperator({
    registry,
    store,
    catalog,
    namespaces: upstreams,
    clock,
    maxStorageBytes,
    version: surroundings.version,
    traffic: () => readTraffic(metrics),
  })
  metrics.watch(() => readGauges(store, catalog))

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

  let current = config
  return {
    http,
    admin: addresses.admin,
    socket: addresses.socket,
    logger,
    reload: next => {
      upstreams.replace(next)
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

/** Catalog first: its lock makes sure that nobody else works in the directory while the store sweeps it. */
async function openContent(
  storage: StorageConfig,
  { surroundings, note, undo, logger }: Base,
): Promise<{ catalog: Catalog; store: BlobStore }> {
  const directory = storage.rootDirectory
  const { clock, bootId } = surroundings
  const catalog = await openSqliteCatalog({ directory, note, clock })
  undo.push(() => catalog.close())
  const { blobs: store } = await openFilesystemStore({ directory, note, clock, bootId })
  const parts = { store, catalog, clock, note }
  const report = await recover(parts, { full: false })
  logger.debug({ ...report }, 'recovery finished')
  // The long form runs beside the traffic: whatever it has not reached yet is found out when somebody asks for it.
  if (catalog.damaged || report.suspicious) {
    const stopping = new AbortController()
    const recovered = recoverWhole(parts, { logger, signal: stopping.signal })
    undo.push(() => {
      stopping.abort(new Error('this edge is stopping'))
      return recovered
    })
  }
  return { catalog, store }
}

async function recoverWhole(
  parts: Parameters<typeof recover>[0] & { catalog: SqliteCatalog },
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<void> {
  try {
    const report = await recover(parts, { full: true, signal })
    await parts.catalog.markRecovered()
    logger.warn({ ...report }, 'catalog and content were reconciled')
  } catch (error) {
    // Unfinished, it begins again at the next start.
    if (!signal.aborted) logger.error({ err: error }, 'catalog and content could not be reconciled')
  }
}

/** A share is one of the file system that holds the content. */
async function maxBytes(storage: StorageConfig, store: BlobStore): Promise<number> {
  const { maxSize } = storage
  if (maxSize.kind === 'bytes') return maxSize.bytes
  const { totalBytes } = await store.space()
  return Math.floor(totalBytes * maxSize.share)
}

async function readGauges(store: BlobStore, catalog: Catalog) {
  const [space, totals] = await Promise.all([store.space(), catalog.totals()])
  const { blobs, manifests, repositories, tags, contentBytes } = totals
  return {
    storageFree: space.freeBytes,
    storageTotal: space.totalBytes,
    contentBytes,
    blobs,
    manifests,
    repositories,
    tags,
  }
}

async function readTraffic(metrics: Metrics) {
  const [sentBytes, upstreamBytes, savedBytes, hits, requests] = await Promise.all([
    metrics.total('clientBytes'),
    metrics.total('upstreamBytes'),
    metrics.total('wanSavedBytes'),
    metrics.total('requests', { source: 'hit' }),
    metrics.total('requests'),
  ])
  return { sentBytes, upstreamBytes, savedBytes, hits, requests }
}

function listeningAt(address: unknown, wanted: ListenAddress): string {
  const port =
    typeof address === 'object' && address !== null && 'port' in address
      ? Number(address.port)
      : wanted.port
  return formatAddress({ host: wanted.host, port })
}
