// The whole edge in the test's own process: real store, real catalog, real upstream client, real
// HTTP on loopback, against stub registries; only time is the test's. For what needs a process of
// its own (kill, memory, npm start) see edge-process.ts.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { readLocalFile } from '../../src/config/local-file.ts'
import type { Clock } from '../../src/registry/ports/clock.ts'
import { startServer } from '../../src/server/start.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { OVER_TLS, testCertificate } from './over-tls.ts'
import type { LogLine } from './worlds/http-app.ts'
import { get, type RawAnswer, send, type SentRequest } from './clients/raw-client.ts'
import { untilStill } from './threads/under-way.ts'

export interface TestEdgeOptions {
  /** Per registry host, what its entry under `upstreams` says; `http: true` is put in. */
  readonly upstreams: Readonly<Record<string, { readonly url: string } & Record<string, unknown>>>
  /** Further top-level keys; those of `storage` and `admin` are added to what stands there. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Default: a manual clock that stands still; see `settle`. */
  readonly clock?: Clock
  /** Default: a fresh one, removed at the end. Give one to start a second edge on the same data. */
  readonly directory?: string
  /**
   * Another one than the edge before on the same data had is another boot of the machine: a power
   * cut.
   */
  readonly bootId?: string
  /** What a further HTTP thread runs; only with `http.threads` in `config`. */
  readonly threadEntry?: URL
  /** May it load what was compiled at the installation? Default true. */
  readonly native?: boolean
  /** What the machine calls itself. */
  readonly hostname?: string
}

export interface TestEdge {
  readonly url: string
  readonly adminUrl: string
  /** Of the operator's API over the network; empty where there is none. */
  readonly apiUrl: string
  /** Of the admin API. */
  readonly socket: string
  readonly dataDirectory: string
  readonly clock: ManualClock
  /** GET of a path on the data port. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<RawAnswer>
  /**
   * Any request on the data port, from 127.0.0.1 and with that as Host. `path` may be a Location. A
   * `body` goes with its Content-Length; without one, what is no GET or HEAD says that it has none.
   */
  send(method: string, path: string, request?: SentRequest): Promise<RawAnswer>
  /** Every log line so far. */
  lines(): readonly LogLine[]
  /**
   * Resolves with the `count`-th line, past or future, whose `msg` and `fields` are these; default
   * the first, with any.
   */
  untilLogged(
    msg: string,
    count?: number,
    fields?: Readonly<Record<string, unknown>>,
  ): Promise<LogLine>
  /**
   * Moves the manual clock on in small steps until `work` has settled: for answers that come only
   * after retries, back-off or time limits. At most `limitMs` of the clock's time.
   */
  settle<T>(work: Promise<T>, limitMs?: number): Promise<T>
  /**
   * Moves the manual clock on at once, and resolves when what fell due has ended: jobs wait for the
   * disk and for the thread that writes the catalog, which take a time of their own.
   */
  pass(ms: number): Promise<void>
  /** As SIGHUP does, with these upstreams, and with these keys in place of those of `config`. */
  reload(upstreams: TestEdgeOptions['upstreams'], config?: TestEdgeOptions['config']): void
  /**
   * The same; resolves when every thread goes by it. `spoil` makes of the configuration what no
   * file can say.
   */
  reloaded(
    upstreams: TestEdgeOptions['upstreams'],
    config?: TestEdgeOptions['config'],
    spoil?: (config: Config) => Config,
  ): Promise<void>
  stop(): Promise<void>
}

interface Teardown {
  teardown(fn: () => unknown): unknown
}

/** Stopped when the test ends. */
export async function startTestEdge(t: Teardown, options: TestEdgeOptions): Promise<TestEdge> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'entrepot-edge-')))
  const clock = createManualClock()
  const log = createLog()
  const server = await startServer(configOf(options, directory), {
    clock: options.clock ?? clock,
    random: () => 0.5,
    version: 'test',
    nodeVersion: 'test',
    pid: process.pid,
    memoryBytes: 2 ** 33,
    // One thread, which goes by the test's clock, where `http.threads` asks for no more: those
    // beside it go by the machine's.
    cores: 1,
    uid: process.geteuid?.(),
    bootId: options.bootId ?? 'test-boot',
    native: options.native,
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    logDestination: { write: log.write },
    ...(options.threadEntry === undefined ? {} : { threadEntry: options.threadEntry }),
  })
  let stopped: Promise<void> | undefined
  // A drain waits on the clock only for requests that never end; tests that leave such cut them
  // first.
  const stop = () => (stopped ??= server.stop())
  t.teardown(async () => {
    await stop()
    // In one call: of 256 directories, each would be some promises.
    if (options.directory === undefined) rmSync(directory, { recursive: true, force: true })
  })
  const url = server.http.includes('://') ? server.http : `http://${server.http}`
  const reloaded: TestEdge['reloaded'] = async (
    upstreams,
    config = options.config,
    spoil = whole => whole,
  ) => {
    const next = { ...options, upstreams, ...(config === undefined ? {} : { config }) }
    await server.reload(spoil(configOf(next, directory)))
  }
  return {
    url,
    adminUrl: `http://${server.admin}`,
    apiUrl: server.adminApi ?? '',
    socket: server.socket,
    dataDirectory: join(directory, 'data'),
    clock,
    get: (path, headers = {}) => get(`${url}${path}`, headers),
    send: (method, path, request = {}) => send(new URL(path, url).href, method, request),
    lines: log.lines,
    untilLogged: log.until,
    reload: (upstreams, config) => void reloaded(upstreams, config),
    reloaded,
    settle: (work, limitMs = 120_000) => settle(clock, work, limitMs),
    pass: async ms => {
      await clock.advance(ms)
      await untilStill(() => false)
    },
    stop,
  }
}

function configOf(options: TestEdgeOptions, directory: string) {
  const upstreams = Object.fromEntries(
    Object.entries(options.upstreams).map(([host, entry]) => [host, { http: true, ...entry }]),
  )
  const document = {
    log: { level: 'debug' },
    http: {
      addr: '127.0.0.1:0',
      ...(OVER_TLS ? { tls: writeCertificate(directory) } : {}),
    },
    ...options.config,
    admin: {
      addr: '127.0.0.1:0',
      socket: join(directory, 'admin.sock'),
      ...asKeys(options.config?.['admin']),
    },
    storage: { rootdirectory: join(directory, 'data'), ...asKeys(options.config?.['storage']) },
    upstreams,
  }
  const loaded = loadConfig({
    file: { path: 'test.yaml', text: JSON.stringify(document) },
    env: {},
    readFile: readLocalFile,
  })
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.findings))
  return loaded.config
}

/** It is looked at while the edge runs. */
function writeCertificate(directory: string) {
  const { cert, key } = testCertificate()
  const tls = { certificate: join(directory, 'test.crt'), key: join(directory, 'test.key') }
  // A file that was written again would be taken for a new one.
  if (existsSync(tls.key)) return tls
  writeFileSync(tls.certificate, cert)
  writeFileSync(tls.key, key, { mode: 0o600 })
  return tls
}

function asKeys(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

function createLog() {
  const written: LogLine[] = []
  const waiting = new Set<() => void>()
  return {
    write: (text: string) => {
      // Those of another thread come many at once.
      const lines = text.trimEnd().split('\n')
      written.push(...lines.map(line => JSON.parse(line) as LogLine))
      for (const look of waiting) look()
    },
    lines: () => [...written],
    until: (msg: string, count = 1, fields: Readonly<Record<string, unknown>> = {}) =>
      new Promise<LogLine>(resolve => {
        const wanted = Object.entries({ ...fields, msg })
        const look = () => {
          const found = written.filter(line => wanted.every(([key, value]) => line[key] === value))[
            count - 1
          ]
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
  }
}

/** One step of the clock: shorter than any time limit or back-off of the product. */
const STEP_MS = 50

async function settle<T>(clock: ManualClock, work: Promise<T>, limitMs: number): Promise<T> {
  let settled = false
  const watch = () => {
    settled = true
  }
  work.then(watch, watch)
  for (let passedMs = 0; !settled && passedMs < limitMs; passedMs += STEP_MS) {
    await clock.advance(STEP_MS)
    await untilStill(() => settled)
  }
  return work
}
