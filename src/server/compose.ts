// The second half of the composition root, with nearly all of the code behind it: builds each part
// once, in order, over a catalog that is being opened meanwhile. It decides nothing but who gets
// what.
import { resolve } from 'node:path'
import type { Haste } from '../async/haste.ts'
import type { AdminApp } from '../admin/app.ts'
import { prepareSocket } from '../admin/socket.ts'
import type { SqliteCatalog } from '../catalog/sqlite/catalog.ts'
import { openBundleKey } from './bundle-key.ts'
import type { Closing } from './closing.ts'
import type { Config } from '../config/config.ts'
import { parseSelector } from '../config/selectors.ts'
import { DataPort } from './data-port.ts'
import { type Engine, openEngine } from './engine.ts'
import { ADDON_FILE } from '../http/addon.ts'
import { listening, listeningAt, mustBeFree } from './listening.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { OpenAudit } from './open-audit.ts'
import { OpenAccounts } from './open-accounts.ts'
import { OpenTls, type OpenTlsDeps } from './open-tls.ts'
import { OperatorDoor } from './operator-door.ts'
import {
  readDepartures,
  readGauges,
  readRobotNames,
  readRobots,
  readThreads,
  readTraffic,
} from './readings.ts'
import type { Epochs } from '../registry/epochs.ts'
import { type CarryDeps, createCarry } from '../registry/carry/carry.ts'
import { createOperator } from '../registry/operator/operator.ts'
import type { OperatorDeps } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import { openRunningFsck } from './running-fsck.ts'
import { Reloads } from './reloads.ts'
import { snapshotsOf } from './snapshots.ts'
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
  /** Those that it bumps. */
  readonly epochs: Epochs
  /** That it looks at. */
  readonly haste: Haste
}

/** @throws StoreError or a listen error, with a message for the operator */
export async function compose(config: Config, base: Base): Promise<RunningServer> {
  const { surroundings, logger, metrics, undo, opening } = base
  const { clock } = surroundings
  const audit = openAudit(config, base)
  undo.push(async () => audit?.stop())
  const all = { ...surroundings, ...base, audit }
  const accounts = new OpenAccounts(config, { ...all, changed: () => dataPort.renew() })
  undo.push(() => accounts.stop())
  const tls = openTls(config, { ...all, dataPort: () => dataPort })
  undo.push(async () => tls?.stop())
  const dataPort: DataPort = new DataPort(config, { ...all, accounts: accounts.inForce, tls })
  undo.push(() => dataPort.end())
  const { readCached, sending, elsewhere } = dataPort
  const deps = { ...surroundings, ...base, ...addonFor(surroundings), readCached, elsewhere }
  const engine = await openEngine(config, deps)
  // The data directory is this process's alone by now.
  accounts.begin()
  if (accounts.inForce.isEmpty) await dataPort.renew()
  const reloads = new Reloads(config, { ...all, engine, dataPort, accounts, tls })
  let addresses: Addresses | undefined
  const adminApi = () => addresses?.adminApi
  const operating = operatorDeps({ ...base, engine, dataPort, reloads, tls, accounts, adminApi })
  const carry = createCarry(carryDeps(config, { ...operating, ...base, engine, reloads }))
  watchGauges(metrics, { engine, dataPort, clock })
  metrics.watch(async () => readRobots(accounts.inForce.robots?.all ?? []))

  let draining = false
  let admin: AdminApp | undefined
  // Closed after the data port: it tells that this edge is draining.
  undo.push(async () => admin?.close())
  // What cannot be listened on is told before a client has been heard.
  await prepareAdmin(config.admin)
  const http = await dataPort.listen(engine.registry)
  undo.push(() => dataPort.drain())
  // Its web server is a third of all code there is, and nobody who pulls needs to wait until it is
  // loaded.
  const { buildAdminApp } = await import('../admin/app.ts')
  const checks = readinessChecks({ engine, dataPort, opening })
  const readiness = { checks, draining: () => draining, sleep: base.sleep }
  const door = { accounts: accounts.inForce, dataPort, clock, metrics, logger }
  admin = buildAdminApp({
    metrics,
    operator: createOperator(operating),
    carry,
    fsck: await openRunningFsck(config, { ...deps, engine }),
    accounts,
    logger,
    audit: audit?.note,
    readiness,
    network: config.admin.api && new OperatorDoor(door),
  })
  addresses = await listenAdmin(admin, config)
  // Whoever changed the file before could not ask for it; what fails the next look makes up for.
  await accounts.look().catch(() => {})

  engine.start()

  return {
    http,
    ...addresses,
    sending,
    logger,
    reload: next => reloads.take(next),
    refuseReload: faults => reloads.refuse(faults),
    stop: async () => {
      draining = true
      await undo.run()
    },
  }
}

/** Of ContentDeps. */
function addonFor({ native }: Surroundings): { readonly addon: string | undefined } {
  return { addon: native === false ? undefined : ADDON_FILE }
}

function openAudit(
  { audit }: Config,
  { surroundings, logger, metrics, logDestination }: Base,
): OpenAudit | undefined {
  const { clock, atExit } = surroundings
  const nowMs = () => clock.nowMs()
  return audit && new OpenAudit(audit, { logger, metrics, logDestination, nowMs, atExit })
}

function openTls(
  { http }: Config,
  {
    dataPort,
    ...deps
  }: Omit<OpenTlsDeps, 'changed' | 'ticketKeys'> & {
    readonly dataPort: () => DataPort
  },
): OpenTls | undefined {
  return (
    http.tls &&
    new OpenTls(http.tls, {
      ...deps,
      changed: () => dataPort().renew(),
      ticketKeys: keys => dataPort().useTicketKeys(keys),
    })
  )
}

interface Running {
  readonly engine: Engine
  readonly dataPort: DataPort
}

function operatorDeps(
  parts: Running &
    Pick<Base, 'surroundings' | 'metrics'> & {
      readonly reloads: Reloads
      readonly tls: OpenTls | undefined
      readonly accounts: OpenAccounts
      readonly adminApi: OperatorDeps['adminApi']
    },
): OperatorDeps {
  const { surroundings, metrics, engine, dataPort, reloads, tls, accounts, adminApi } = parts
  const { clock, hostname, version, pid } = surroundings
  return {
    ...engine,
    namespaces: engine.upstreams,
    clock,
    parseSelector,
    ownNameIn: text => engine.upstreams.ownNameIn(text, { port: dataPort.port, hostname }),
    nudgeDeliveries: () => engine.deliveries.nudge(),
    version,
    pid,
    needsRestart: () => reloads.needsRestart,
    refusedReload: () => reloads.refused,
    certificates: () => tls?.certificates,
    accounts: () => accounts.now,
    robots: () => readRobotNames(accounts.inForce.robots?.all ?? []),
    adminApi,
    sending: dataPort.sending,
    threads: () => dataPort.serving,
    traffic: async () => {
      await dataPort.count()
      return readTraffic(metrics)
    },
    departures: () => readDepartures(metrics),
  }
}

function carryDeps(
  { storage }: Config,
  { engine, reloads, ...deps }: OperatorDeps & CarryParts,
): CarryDeps {
  const trustedKeys = () => reloads.imports.trustedKeys
  const { held } = engine
  const directory = resolve(storage.rootDirectory)
  const own = { directory, signer: openBundleKey(directory), takeSnapshot: snapshotsOf(directory) }
  return { ...deps, held, ...own, trustedKeys }
}

interface CarryParts extends Pick<Base, 'note'> {
  readonly engine: Pick<Engine, 'held'>
  readonly reloads: Reloads
}

function watchGauges(
  metrics: Metrics,
  { engine, dataPort, clock }: Running & { readonly clock: Clock },
): void {
  metrics.watch(() => readGauges(engine, clock))
  metrics.watch(async () => {
    await dataPort.count()
    return readThreads(dataPort.states)
  })
}

function readinessChecks({ engine, dataPort, opening }: Running & Pick<Base, 'opening'>) {
  return {
    store: async () => void (await engine.store.space()),
    catalog: async () => {
      await engine.catalog.totals()
      await (await opening).settled()
    },
    threads: () => dataPort.ping(),
  }
}

async function prepareAdmin({ addr, api, socket }: Config['admin']): Promise<void> {
  await listeningAt('admin.addr', addr, () => mustBeFree(addr.host ?? '::', addr.port))
  if (api !== undefined)
    await listeningAt('admin.api', api, () => mustBeFree(api.host ?? '::', api.port))
  await listening({ key: 'admin.socket', address: socket }, () => prepareSocket(socket))
}

type Addresses = Pick<RunningServer, 'admin' | 'adminApi' | 'socket'>

async function listenAdmin(
  admin: AdminApp,
  { admin: { addr, api, socket }, http: { tls } }: Config,
): Promise<Addresses> {
  const address = await listeningAt('admin.addr', addr, () => admin.listen(addr))
  const apiAddress = api && (await listeningAt('admin.api', api, () => admin.listenApi(api)))
  await listening({ key: 'admin.socket', address: socket }, () => admin.listenSocket(socket))
  const adminApi = apiAddress && `${tls === undefined ? 'http' : 'https'}://${apiAddress}`
  return { admin: address, adminApi, socket }
}
