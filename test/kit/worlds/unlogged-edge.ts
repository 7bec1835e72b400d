// The real product as `npm start` starts it, with standard output and error where a test wants
// them. Where its log cannot be read, what it listens on is asked of the kernel, once its last
// socket appears in its directory.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync, watch } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT, startArguments } from './edge-process.ts'

/** The admin port's address, by which the two ports are told apart. */
const ADMIN_HOST = '127.0.0.2'
/** The last that a server makes. */
const SOCKET = 'admin.sock'

export interface UnloggedEdge {
  readonly directory: string
  readonly socket: string
  /** `http://127.0.0.1:PORT` of the data port. */
  readonly url: string
  readonly adminUrl: string
  /** Of the server itself, whatever was started around it. */
  readonly pid: number
  readonly child: ChildProcess
  /** What the child that was started ended with. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

export interface StartOptions {
  /** Descriptors or kinds of the child's streams, as spawn takes them. */
  readonly stdio: NonNullable<Parameters<typeof spawn>[2]>['stdio']
  /**
   * The command around the server: gets what starts it as its last argument, one line for a shell.
   * Default: none.
   */
  readonly around?: (line: string) => readonly [string, ...string[]]
  /** `npm start` itself, not only what it starts. */
  readonly npm?: true
  readonly config?: Readonly<Record<string, unknown>>
}

/** Resolves when it serves. What was made goes with the test. */
export async function startUnlogged(
  t: { teardown(fn: () => unknown): unknown },
  options: StartOptions,
): Promise<UnloggedEdge> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-log-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const socket = join(directory, SOCKET)
  const file = await writeConfiguration(directory, options.config)
  const program = options.npm
    ? ['npm', 'start', '--silent', '--']
    : ['env', '-u', 'NODE_OPTIONS', process.execPath, ...(await startArguments())]
  const words = [...program, 'serve', '--config', file]
  const [command, ...args] = options.around?.(words.join(' ')) ?? words
  const appeared = untilThere(directory, SOCKET)
  // What whoever runs the tests lets node load is not for the product.
  const { NODE_OPTIONS: _, NODE_COMPILE_CACHE: __, ...env } = process.env
  const child = spawn(command as string, args, { cwd: PROJECT, stdio: options.stdio, env })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  await Promise.race([
    appeared,
    ended.then(({ code, signal }) => {
      throw new Error(`it ended at its start: ${code ?? signal}`)
    }),
  ])
  const found = listenersOf(socket)
  const { pid } = found
  t.teardown(() => endIfAlive(pid))
  return {
    directory,
    socket,
    pid,
    url: `http://127.0.0.1:${found.data}`,
    adminUrl: `http://${ADMIN_HOST}:${found.admin}`,
    child,
    ended,
  }
}

/** For a server that has everything in `directory`; where the file is. */
export async function writeConfiguration(
  directory: string,
  config: StartOptions['config'] = {},
): Promise<string> {
  const file = join(directory, 'config.yaml')
  const document = {
    http: { addr: '127.0.0.1:0', threads: 2 },
    admin: { addr: `${ADMIN_HOST}:0`, socket: join(directory, SOCKET) },
    storage: { rootdirectory: join(directory, 'data') },
    ...config,
  }
  await writeFile(file, JSON.stringify(document))
  return file
}

/** Resolves when a file of this name comes; it must not be there yet. */
export function untilThere(directory: string, name: string): Promise<void> {
  return new Promise(resolve => {
    // It may be waited for in vain.
    const watcher = watch(directory, { persistent: false }, () => {
      if (!existsSync(join(directory, name))) return
      watcher.close()
      resolve()
    })
  })
}

interface Found {
  readonly pid: number
  readonly data: number
  readonly admin: number
}

/** The process that has the socket, and the ports that it listens on. */
function listenersOf(socket: string): Found {
  const inode = linesOf('/proc/net/unix').find(fields => fields.at(-1) === socket)?.[6]
  const pid = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .find(name => inodesOf(name).has(inode ?? ''))
  if (pid === undefined) throw new Error(`nobody has ${socket}`)
  const own = inodesOf(pid)
  const listening = linesOf('/proc/net/tcp').filter(
    ([, , , state, , , , , , inode]) => state === '0A' && own.has(inode ?? ''),
  )
  const port = (address: string) =>
    Number.parseInt(
      listening.find(([, local]) => local?.startsWith(address))?.[1]?.split(':')[1] ?? '',
      16,
    )
  return { pid: Number(pid), data: port('0100007F:'), admin: port('0200007F:') }
}

function linesOf(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
}

/** Of the sockets that a process has. */
function inodesOf(pid: string): Set<string> {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map(fd => linkOf(`/proc/${pid}/fd/${fd}`))
    return new Set(links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  } catch {
    // It has ended, or is somebody else's.
    return new Set()
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function endIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended, as it should.
  }
}
