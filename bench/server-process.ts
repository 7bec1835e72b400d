// One server under measurement as a process group of its own: output into a file, as a service has
// it, so that nobody here spends time on reading it. Started when it answers, ended by process id;
// whatever is forgotten ends with this process.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { get as getTls } from 'node:https'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { noteProcess } from './ledger.ts'

/** A server that says nothing for so long does not start. */
const READY_TIMEOUT_MS = 30_000
/** Between two attempts to reach a server that starts: the error of what is measured. */
const POLL_MS = 2
/** 401: it serves, and wants a login. */
const ANSWERS = new Set([200, 401])
const STOP_TIMEOUT_MS = 5_000

export interface RunningServer {
  readonly url: string
  readonly pid: number
  /** From the start of the process to the first answer to GET /v2/, or that it wants a login. */
  readonly readyMs: number
  /** Of Entrepot: health and metrics. */
  readonly adminUrl?: string
  /** SIGTERM, then SIGKILL; resolves when the leader of the group is gone. */
  stop(): Promise<void>
}

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly directory: string
  readonly port: number
  /** PEM: of a server that speaks TLS, who signed its certificate. */
  readonly authority?: string
}

const groups = new Set<number>()
process.once('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL')
})
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1))

/**
 * Resolves when the server answers.
 * @throws Error with the last line that it wrote, when it ends or stays silent
 */
export async function startServer(command: Command): Promise<RunningServer> {
  const { program, args, directory, port, authority } = command
  const log = join(directory, 'output.log')
  const file = openSync(log, 'a')
  const startedMs = performance.now()
  const child = spawn(program, args, {
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory, LANG: 'C', ...command.env },
    detached: true,
    stdio: ['ignore', file, file],
  })
  closeSync(file)
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}`))
  })
  const pid = child.pid ?? 0
  if (pid !== 0) {
    groups.add(pid)
    noteProcess(pid)
  }
  void ended.then(() => groups.delete(pid))
  const url = `${authority === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const stop = () => stopGroup(child, ended)
  const end = await Promise.race([untilAnswering({ url, authority }, startedMs), ended])
  if (typeof end === 'number') return { url, pid, readyMs: end, stop }
  await stop()
  throw new Error(`${end}; ${lastWords(log)}`)
}

interface Place {
  readonly url: string
  readonly authority: string | undefined
}

async function untilAnswering(place: Place, startedMs: number): Promise<number | string> {
  while (performance.now() - startedMs < READY_TIMEOUT_MS) {
    if (ANSWERS.has((await statusOf(place)) ?? 0)) return performance.now() - startedMs
    await wait(POLL_MS)
  }
  return `did not answer within ${READY_TIMEOUT_MS / 1000} s`
}

/** Undefined while nothing listens. */
function statusOf({ url, authority }: Place): Promise<number | undefined> {
  return new Promise(resolve => {
    const path = `${url}/v2/`
    const request =
      authority === undefined
        ? getPlain(path, { agent: false })
        : getTls(path, { agent: false, ca: authority })
    request.on('response', response => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', () => resolve(undefined))
  })
}

async function stopGroup(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const { pid } = child
  if (pid === undefined || !groups.has(pid)) return
  signalGroup(pid, 'SIGTERM')
  const late = setTimeout(() => signalGroup(pid, 'SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(late)
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name)
  } catch {
    // It ended in between.
  }
}

/** What a message in structured text says, without time and place; at most so much of it. */
const WORDS_MAX = 160

function lastWords(log: string): string {
  const line = readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) ?? ''
  const text = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line
  return text.replace(/127\.0\.0\.1:\d+/g, 'the upstream').slice(0, WORDS_MAX)
}
