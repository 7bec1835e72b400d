// Real programs as child processes: started in fresh directories, watched by their output, ended by
// process id. Whatever a test forgets is ended, unmounted and removed when this process ends.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** A daemon of the slowest kind (dockerd) is ready within seconds; a minute is a hang. */
const READY_TIMEOUT_MS = 60_000
/**
 * The longest single command is a pull that waits for a retry of its own (dockerd: 5 s, then 10 s).
 */
const COMMAND_TIMEOUT_MS = 90_000
/** After SIGTERM; daemons that take longer are killed. */
const STOP_TIMEOUT_MS = 10_000

/** Between two looks at something that tells of no change. */
const LOOK_AGAIN_MS = 20

/**
 * Nothing but loopback can be reached: whoever falls back to an upstream of their own fails at once
 * instead of hanging.
 */
const NO_WAY_OUT = 'http://127.0.0.1:9'
/** Reserved for measuring (RFC 2544): the benchmark's own network namespaces. */
const BENCH_NETWORKS = '198.18.0.0/15'

export interface ProcessOptions {
  readonly cwd?: string
  /**
   * Added to a small environment: PATH, HOME (a directory of this run) and proxies that lead
   * nowhere.
   */
  readonly env?: Readonly<Record<string, string>>
  /**
   * `env` is all of the environment: for programs that must reach a network as whoever runs the
   * tests does.
   */
  readonly network?: boolean
  /** Of a command that is run to its end. Default 90 s. */
  readonly timeoutMs?: number
}

export interface Process {
  readonly pid: number
  /** Everything it wrote so far, both streams. */
  output(): string
  /** Of these, what went to the standard output. */
  stdout(): string
  /**
   * The first line, past or future, that `accepts`. Rejects when the process ends or a minute has
   * passed before.
   */
  line(accepts: (line: string) => boolean): Promise<string>
  /** Exit code or signal. */
  readonly exited: Promise<number | string>
  /** Its whole process group; resolves when the leader is gone. No effect if it is. */
  kill(): Promise<void>
  /** SIGTERM, then kill. */
  stop(): Promise<void>
}

const alive = new Set<number>()
const directories = new Set<string>()

/** Starts `command` as the leader of a process group of its own. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Process {
  const child = spawn(command, args, {
    cwd: options.cwd ?? runDirectory(),
    env: options.network ? { ...options.env } : environment(options.env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  const lines: string[] = []
  const outLines: string[] = []
  const watchers = new Set<(line: string) => void>()
  if (pid !== undefined) alive.add(pid)
  for (const stream of [child.stdout, child.stderr]) {
    splitLines(stream, line => {
      lines.push(line)
      if (stream === child.stdout) outLines.push(line)
      for (const watch of watchers) watch(line)
    })
  }
  let ended: number | string | undefined
  const exited = new Promise<number | string>(resolve => {
    child.once('error', error => resolve(String(error)))
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  }).then(result => {
    ended = result
    if (pid !== undefined) alive.delete(pid)
    return result
  })
  const signal = (name: NodeJS.Signals) => {
    if (ended === undefined && pid !== undefined) killGroup(pid, name)
  }
  return {
    pid: pid ?? -1,
    exited,
    output: () => lines.join('\n'),
    stdout: () => outLines.join('\n'),
    line(accepts) {
      const past = lines.find(accepts)
      if (past !== undefined) return Promise.resolve(past)
      const found = new Promise<string>(resolve => {
        watchers.add(line => accepts(line) && resolve(line))
      })
      const gone = exited.then(result => {
        throw new Error(`${command} ended (${result}):\n${lines.slice(-20).join('\n')}`)
      })
      return within(READY_TIMEOUT_MS, `a line of ${command}`, Promise.race([found, gone]))
    },
    async kill() {
      signal('SIGKILL')
      await exited
    },
    async stop() {
      signal('SIGTERM')
      const timer = setTimeout(() => signal('SIGKILL'), STOP_TIMEOUT_MS)
      await exited
      clearTimeout(timer)
    },
  }
}

/**
 * Runs `command` to its end and returns its standard output.
 * @throws Error with what it wrote when it does not exit with 0.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<string> {
  const running = startProcess(command, args, options)
  await finished(running, [command, ...args].join(' '), options.timeoutMs)
  return running.stdout()
}

/**
 * Waits for the end of `running`.
 * @throws Error with what it wrote when that is not exit code 0.
 */
export async function finished(
  running: Process,
  what: string,
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<void> {
  const timer = setTimeout(() => void running.kill(), timeoutMs)
  const result = await running.exited
  clearTimeout(timer)
  if (result === 0) return
  throw new Error(`${what}: ${result}\n${running.output().split('\n').slice(-20).join('\n')}`)
}

/** kill -9 of a process that was not started here; resolves when it is gone. */
export async function killProcess(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL')
    while (isRunning(pid)) await wait(LOOK_AGAIN_MS)
  } catch {
    // It is gone.
  }
}

/**
 * A killed process stays in the table until its parent has looked.
 * @throws Error when it is not there at all.
 */
function isRunning(pid: number): boolean {
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

/**
 * `promise`, or a rejection that names `what` after `timeoutMs`: a bound on a hang, not a measure.
 */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A directory that no one else uses, with short names: socket paths end at 108 bytes. */
export function freshDirectory(name: string): string {
  const directory = mkdtempSync(join(runDirectory(), `${name}-`))
  return directory
}

/** Unmounts what is mounted below `directory` and removes it. */
export function removeDirectory(directory: string): void {
  const below = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(mount => mount.startsWith(`${directory}/`))
  for (const mount of below.reverse()) spawnSync('umount', ['--lazy', mount])
  rmSync(directory, { recursive: true, force: true })
}

let ownDirectory: string | undefined

function runDirectory(): string {
  if (ownDirectory === undefined) {
    ownDirectory = mkdtempSync(join(tmpdir(), 'e2e-'))
    directories.add(ownDirectory)
    process.once('exit', cleanUp)
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(1))
  }
  return ownDirectory
}

function cleanUp(): void {
  for (const pid of alive) killGroup(pid, 'SIGKILL')
  for (const directory of directories) removeDirectory(directory)
}

function killGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name)
  } catch {
    // It ended in between.
  }
}

function environment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  const proxies = {
    HTTP_PROXY: NO_WAY_OUT,
    HTTPS_PROXY: NO_WAY_OUT,
    NO_PROXY: `127.0.0.1,localhost,${BENCH_NETWORKS}`,
  }
  return { PATH: process.env['PATH'] ?? '', HOME: runDirectory(), LANG: 'C', ...proxies, ...added }
}

function splitLines(stream: NodeJS.ReadableStream, each: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) each(part)
  })
  stream.on('end', () => rest !== '' && each(rest))
}
