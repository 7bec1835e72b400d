// The second half of the composition root, with nearly all of the code behind it: builds each part
// once, in order, over a catalog that is being opened meanwhile. With engine.ts, content.ts,
// readings.ts and upstreams.ts beside it the only files that import across the rooms; it decides
// nothing but who gets what.
import type { AdminApp } from '../admin/app.ts'
import { prepareSocket } from '../admin/socket.ts'
import type { SqliteCatalog } from '../catalog/sqlite/catalog.ts'
import type { Closing } from './closing.ts'
import { formatAddress } from '../config/addresses.ts'
import type { Config } from '../config/config.ts'
import { compareConfigs } from '../config/reload.ts'
import { DataPort } from './data-port.ts'
import { openEngine } from './engine.ts'
import { listening, mustBeFree } from './listening.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { readGauges, readThreads, readTraffic } from './readings.ts'
import { createEpochs } from '../registry/epochs.ts'
import { createOperator } from '../registry/operator/operator.ts'
import type { RefusedReload } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { RunningServer, Surroundings } from './surroundings.ts'

export interface Base {
  readonly surroundings: Surroundings
  readonly logDestination: { write(lines: string): void }
  readonly logger: Logger
  readonly metrics: Metrics
  readonly note: NoteEvent
  readonly sleep: Clock['sleep']
  readonly undo: Closing
  /** Closed by whoever opened it. */
  readonly opening: Promise<SqliteCatalog>
}

/** @throws StoreError or a listen error, with a message for the operator */
export async function compose(config: Config, base: Base): Promise<RunningServer> {
  const { surroundings, logger, metrics, note, undo, opening } = base
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
    opening,
    readCached,
  })
  const { registry, store, catalog } = engine
  const { sending } = dataPort
  let clientPort: number | undefined
  let needsRestart: readonly string[] = []
  let refusedReload: RefusedReload | undefined
  const operator = createOperator({
    ...engine,
    namespaces: engine.upstreams,
    clock,
    ownNameIn: text =>
      engine.upstreams.ownNameIn(text, { port: clientPort, hostname: surroundings.hostname }),
    nudgeDeliveries: () => engine.deliveries.nudge(),
    version: surroundings.version,
    pid: surroundings.pid,
    needsRestart: () => needsRestart,
    refusedReload: () => refusedReload,
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
    catalog: async () => {
      await catalog.totals()
      await (await opening).settled()
    },
    threads: () => dataPort.ping(),
  }
  let draining = false
  let admin: AdminApp | undefined
  // Closed after the data port: it tells that this edge is draining.
  undo.push(async () => admin?.close())
  // What cannot be listened on is told before a client has been heard.
  await prepareAdmin(config.admin)
  const http = await dataPort.listen(registry)
  clientPort = Number(/:([0-9]+)$/.exec(http)?.[1])
  undo.push(() => dataPort.drain())
  // Its web server is a third of all code there is, and nobody who pulls needs to wait until it is
  // loaded.
  const { buildAdminApp } = await import('../admin/app.ts')
  const readiness = { checks, draining: () => draining, sleep: base.sleep }
  admin = buildAdminApp({ metrics, operator, logger, readiness })
  const addresses = await listenAdmin(admin, config.admin)

  engine.start()

  let current = config
  async function take(next: Config) {
    engine.replace(next)
    const { changed } = compareConfigs(current, next)
    current = next
    // With what this process began with: what waited before waits on, and what was taken back does
    // no more.
    needsRestart = compareConfigs(config, next).needsRestart
    refusedReload = undefined
    const change = { changed, needsRestart }
    logger.level = next.log.level
    try {
      await dataPort.replace(next)
    } finally {
      // Until here a thread may have remembered what the old configuration said.
      epochs.bumpAll()
    }
    return change
  }

  return {
    http,
    admin: addresses.admin,
    socket: addresses.socket,
    sending,
    logger,
    reload: async next => {
      try {
        return await take(next)
      } catch (error) {
        const faults = ['it failed; the log says how']
        refusedReload = { atMs: clock.nowMs(), faults, isInPart: true }
        throw error
      }
    },
    refuseReload: faults => {
      refusedReload = { atMs: clock.nowMs(), faults, isInPart: false }
    },
    stop: async () => {
      draining = true
      await undo.run()
    },
  }
}

async function prepareAdmin({ addr, socket }: Config['admin']): Promise<void> {
  await listening({ key: 'admin.addr', address: formatAddress(addr), port: addr.port }, () =>
    mustBeFree(addr.host ?? '::', addr.port),
  )
  await listening({ key: 'admin.socket', address: socket }, () => prepareSocket(socket))
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
