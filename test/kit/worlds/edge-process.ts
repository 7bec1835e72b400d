// The real product as a child process, started as `npm start` starts it, on ports that the kernel
// chooses and in a directory of its own. Tests reach it as clients and operators do: over HTTP, by
// signals, through its log. Nothing of src/ is loaded here.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { askSocket } from '../clients/admin-socket.ts'
import { testCertificate } from '../over-tls.ts'
import { type RawAnswer, send, type SentRequest } from '../clients/raw-client.ts'

export interface EdgeOptions {
  /** `upstreams:` of the configuration: `{ 'docker.io': { url: stub.url, http: true } }`. */
  readonly upstreams?: Readonly<Record<string, unknown>>
  /**
   * Further top-level keys; they win over what stands here, and those of `storage` are added to it.
   */
  readonly config?: Readonly<Record<string, unknown>>
  /**
   * Speaks TLS with a certificate of testCertificate, whose authority is then in the file `ca.crt`
   * of `directory`.
   */
  readonly tls?: true
  readonly env?: Readonly<Record<string, string>>
  /** Data and configuration go here instead of a fresh directory, and stay after stop(). */
  readonly directory?: string
  /** Another build's main.js, which node is given instead of what `npm start` gives it. */
  readonly main?: string
  /** Where blobs are kept; default `<directory>/data`. */
  readonly dataDirectory?: string
}

export interface LogLine {
  readonly msg?: string
  readonly level?: number | string
  readonly [name: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export type EdgeProcess = Awaited<ReturnType<typeof startEdge>>

/** What `npm start` gives to node, from the place where it is written. */
export async function startArguments(): Promise<string[]> {
  const text = await readFile(join(PROJECT, 'package.json'), 'utf8')
  const { scripts } = JSON.parse(text) as { scripts: { start: string } }
  const words = scripts.start.split(' ')
  return words.slice(words.indexOf('scripts/node.sh') + 1)
}

/** Of the repository, from this file. */
export const PROJECT = new URL('../../..', import.meta.url).pathname
/** Compiling on a busy machine takes most of it; afterwards starting takes a second. */
const READY_TIMEOUT_MS = 50_000

/**
 * Resolves when the process says that it serves.
 * @throws with its output when it ends or says nothing first.
 */
export async function startEdge(options: EdgeOptions = {}) {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'entrepot-test-')))
  const dataDirectory = options.dataDirectory ?? join(directory, 'data')
  await mkdir(dataDirectory, { recursive: true })
  const configFile = join(directory, 'config.yaml')
  if (options.tls) await writeCertificate(directory)
  const logs: LogLine[] = []
  const output: string[] = []
  let running = await start()

  async function start(): Promise<Running> {
    // JSON is YAML. Written each time, so that a test may change it between two starts.
    await writeFile(
      configFile,
      JSON.stringify(configOf(options, directory, dataDirectory), null, 2),
    )
    // What whoever runs the tests lets node load is not for the product, which is to be what users
    // run: `tap FILE` sets NODE_OPTIONS in every child, whatever `env` says. `env` becomes the
    // process that it starts, so the id stays.
    const program = options.main === undefined ? await startArguments() : [options.main]
    const own = ['-u', 'NODE_OPTIONS', '-u', 'NODE_COMPILE_CACHE']
    const command = [...own, process.execPath, ...program, 'serve']
    const child = spawn('env', [...command, '--config', configFile], {
      cwd: PROJECT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return await ready(child, { logs, output })
  }

  async function end(signal: NodeJS.Signals): Promise<Exit> {
    running.child.kill(signal)
    return await running.ended
  }

  return {
    directory,
    dataDirectory,
    logs,
    /** Everything printed, on both streams, line by line. */
    output,
    /** `http://127.0.0.1:PORT` of the data port. */
    get url(): string {
      return running.url
    },
    get adminUrl(): string {
      return running.adminUrl
    },
    /** What the operator's API answers to a GET. @throws when it is not 200 */
    askAdmin: async (path: string): Promise<unknown> => {
      const { status, body } = await askSocket(running.socket, `/api/v1${path}`)
      if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
      return JSON.parse(body)
    },
    get pid(): number {
      return running.child.pid ?? 0
    },
    /**
     * Any request on the data port; `path` may be a Location. As a client on this machine sends it,
     * so that it may push.
     */
    send: (method: string, path: string, request?: SentRequest): Promise<RawAnswer> =>
      send(new URL(path, running.url).href, method, request),
    /** Whether the process is still there. */
    get alive(): boolean {
      return running.child.exitCode === null && running.child.signalCode === null
    },
    /** The whole configuration's path. */
    configFile,
    /** SIGTERM, and waits for the end. */
    terminate: (): Promise<Exit> => end('SIGTERM'),
    /** SIGKILL, and waits for the end. */
    kill: (): Promise<Exit> => end('SIGKILL'),
    /** Starts again on the same data and, where the kernel allows it, another port. */
    restart: async (): Promise<void> => {
      if (running.child.exitCode === null && running.child.signalCode === null) await end('SIGTERM')
      running = await start()
    },
    /** SIGTERM, waits, and removes the directory if it was made here. */
    stop: async (): Promise<Exit> => {
      const exit = await end('SIGTERM')
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true })
      return exit
    },
    peakMemoryBytes: (): Promise<number> => peakMemoryBytes(running.child.pid ?? 0),
    /**
     * Resolves with the first line that satisfies `wanted`, past or future, from line `from` of
     * `logs` on.
     * @throws when the process ends before.
     */
    untilLogged: (wanted: (line: LogLine) => boolean, from = 0): Promise<LogLine> =>
      running.untilLogged(wanted, from),
  }
}

async function writeCertificate(directory: string): Promise<void> {
  const { cert, key, ca } = testCertificate()
  await writeFile(join(directory, 'tls.crt'), cert)
  await writeFile(join(directory, 'tls.key'), key, { mode: 0o600 })
  await writeFile(join(directory, 'ca.crt'), ca)
}

function configOf(options: EdgeOptions, directory: string, dataDirectory: string) {
  const tls = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  return {
    admin: { addr: '127.0.0.1:0', socket: join(directory, 'admin.sock') },
    ...(options.upstreams === undefined ? {} : { upstreams: options.upstreams }),
    ...options.config,
    http: {
      addr: '127.0.0.1:0',
      ...(options.tls ? { tls } : {}),
      ...asKeys(options.config?.['http']),
    },
    storage: { rootdirectory: dataDirectory, ...asKeys(options.config?.['storage']) },
  }
}

function asKeys(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

interface Running {
  readonly child: ChildProcess
  readonly url: string
  readonly adminUrl: string
  readonly socket: string
  readonly ended: Promise<Exit>
  untilLogged(wanted: (line: LogLine) => boolean, from: number): Promise<LogLine>
}

async function ready(
  child: ChildProcess,
  { logs, output }: { logs: LogLine[]; output: string[] },
): Promise<Running> {
  const watchers = new Set<() => void>()
  const look = () => {
    for (const watcher of watchers) watcher()
  }
  // 'close' comes after the last line was read; 'exit' may come before.
  const ended = once(child, 'close').then(([code, signal]): Exit => ({ code, signal }))
  let over = false
  void ended.then(() => {
    over = true
    look()
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on('line', line => {
      output.push(line)
      const parsed = parseLine(line)
      if (parsed !== undefined) logs.push(parsed)
      look()
    })
  }
  const from = logs.length

  function until(wanted: (line: LogLine) => boolean, start: number): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      let next = start
      const watcher = () => {
        const found = logs.slice(next).find(wanted)
        next = logs.length
        if (found === undefined && !over) return
        watchers.delete(watcher)
        if (found !== undefined) resolve(found)
        else reject(new Error(`the process ended; it printed:\n${output.slice(-40).join('\n')}`))
      }
      watchers.add(watcher)
      watcher()
    })
  }

  const late = setTimeout(() => child.kill('SIGKILL'), READY_TIMEOUT_MS)
  const serving = await until(line => line.msg === 'serving', from).finally(() => {
    clearTimeout(late)
  })
  return {
    child,
    url: urlOf(serving['http']),
    adminUrl: urlOf(serving['admin']),
    socket: String(serving['socket']),
    ended,
    untilLogged: until,
  }
}

/** The address may be written with or without the scheme. */
function urlOf(address: unknown): string {
  const text = String(address)
  return text.includes('://') ? text : `http://${text}`
}

function parseLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return undefined
  }
}

/** The most that the process ever had in memory (VmHWM); Linux only. */
export async function peakMemoryBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024
}
