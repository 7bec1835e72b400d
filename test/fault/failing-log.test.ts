// Goal: whatever becomes of where the log goes, clients are served and a stop stops; what could not
// be written is counted. Method: the process that `npm start` starts, with standard output and
// error on a full device, on a pipe that nobody reads or that was closed, and on a terminal that
// goes away.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { PROJECT } from '../kit/worlds/edge-process.ts'
import {
  startUnlogged,
  type UnloggedEdge,
  untilThere,
  writeConfiguration,
} from '../kit/worlds/unlogged-edge.ts'

t.setTimeout(300_000)

/**
 * Each is a log line of some 300 bytes: several times what is gathered before a write, and what a
 * pipe holds.
 */
const REQUESTS = 1_000
/** One after the other, each would wait for two processes to have their turn on a busy machine. */
const AT_ONCE = 20
/** Whoever sits before a terminal holds its output with it. */
const CTRL_S = '\u0013'
/** Of a server that hangs nothing comes at all. */
const ANSWER_MS = 30_000

t.test('R278: with its log on a full device an edge serves, counts and stops', async t => {
  const full = openSync('/dev/full', 'w')
  const edge = await startUnlogged(t, { stdio: ['ignore', full, full] })
  await askMany(edge)
  t.equal(await statusOf(`${edge.url}/livez`), 200)
  t.ok((await dropped(edge, 'failed')) > 0, 'lines are counted')
  edge.child.kill('SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
})

t.test('R278: with its log in a pipe whose reader has gone an edge serves and stops', async t => {
  const { reader, edge } = await startIntoPipe(t)
  reader.kill('SIGKILL')
  await once(reader, 'exit')
  await askMany(edge)
  t.equal(await statusOf(`${edge.url}/livez`), 200)
  t.ok((await dropped(edge, 'failed')) > 0, 'lines are counted')
  process.kill(edge.pid, 'SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
})

t.test('R278: a reader of the log that has stopped reading holds nobody up', async t => {
  const { reader, edge } = await startIntoPipe(t)
  reader.kill('SIGSTOP')
  // Beyond what the pipe holds and what waits for it.
  for (let round = 0; round < 6; round += 1) await askMany(edge)
  t.equal(await statusOf(`${edge.url}/livez`), 200)
  t.ok((await dropped(edge, 'slow')) > 0, 'lines are counted')
  process.kill(edge.pid, 'SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
})

t.test('R299: npm start whose output takes nothing leaves no server behind', async t => {
  const { file, socketThere } = await directoryOf(t)
  const full = openSync('/dev/full', 'w')
  const npm = spawn('npm', ['start', '--', 'serve', '--config', file], {
    cwd: PROJECT,
    // Whoever runs this by `npm run --silent` does not run that silently.
    env: { ...process.env, npm_config_loglevel: undefined },
    stdio: ['ignore', full, 'pipe'],
    detached: true,
  })
  closeSync(full)
  t.teardown(() => endGroup(npm))
  // Whatever npm has started has the other end of standard error, too.
  const allEnded = text(npm.stderr as Readable)
  const left = socketThere.then(() => 'a server is left behind')
  const said = await Promise.race([allEnded, left])
  t.match(said, /^entrepot: not started: standard output takes nothing/m)
  t.ok(said.includes(`"npm start --silent -- serve --config ${file}"`), 'with what it was given')
})

t.test('R299: npm start --silent stays with its server, and without a log', async t => {
  const full = openSync('/dev/full', 'w')
  const edge = await startUnlogged(t, { npm: true, stdio: ['ignore', full, 'inherit'] })
  closeSync(full)
  await askMany(edge)
  t.equal(edge.child.exitCode, null, 'npm is there')
  edge.child.kill('SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
  t.ok(await hasEnded(edge.pid), 'and takes its server with it')
})

t.test('R279: a terminal that is closed ends npm start and the server behind it', async t => {
  const edge = await startInTerminal(t)
  // It holds the other side of the terminal.
  edge.child.kill('SIGKILL')
  t.ok(await hasEnded(edge.pid), 'the server ends by itself')
  await t.rejects(fetch(`${edge.url}/livez`), 'nobody listens there')
})

t.test('R278: a terminal whose output is held holds nobody up', async t => {
  const edge = await startInTerminal(t)
  edge.child.stdin?.write(CTRL_S)
  for (let round = 0; round < 6; round += 1) await askMany(edge)
  t.equal(await statusOf(`${edge.url}/livez`), 200)
  t.ok((await dropped(edge, 'slow')) > 0, 'lines are counted')
  process.kill(edge.pid, 'SIGTERM')
  t.ok(await hasEnded(edge.pid), 'a stop stops')
})

t.test('R279: where no terminal is, SIGHUP reads the configuration again', async t => {
  const edge = await startUnlogged(t, { stdio: ['ignore', 'pipe', 'inherit'] })
  const reloaded = lineOf(edge.child, /"configuration reloaded"/)
  process.kill(edge.pid, 'SIGHUP')
  await reloaded
  t.equal(await statusOf(`${edge.url}/livez`), 200)
  edge.child.kill('SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
})

t.test('a command whose result cannot be written has failed, and says so', async t => {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, ['src/main.ts', 'schema'], {
    cwd: PROJECT,
    stdio: ['ignore', full, 'pipe'],
  })
  const said = text(child.stderr as Readable)
  const [code] = (await once(child, 'exit')) as [number]
  t.equal(code, 1)
  t.match(await said, /^standard output cannot be written: ENOSPC$/m)
})

type Test = Parameters<typeof startUnlogged>[0]

/** A configuration of its own, and what resolves when a server that goes by it listens. */
async function directoryOf(t: Test): Promise<{ file: string; socketThere: Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-npm-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const file = await writeConfiguration(directory)
  return { file, socketThere: untilThere(directory, 'admin.sock') }
}

/** What it started, too. */
function endGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-Number(pid), 'SIGKILL')
  } catch {
    // All of it has ended, as it should.
  }
}

/** An edge whose output goes into a pipe that `reader` reads. */
async function startIntoPipe(t: Test): Promise<{ reader: ChildProcess; edge: UnloggedEdge }> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-pipe-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const fifo = join(directory, 'log')
  const [made] = (await once(spawn('mkfifo', [fifo]), 'exit')) as [number]
  if (made !== 0) throw new Error('mkfifo failed')
  const reader = spawn('cat', [fifo], { stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(() => reader.kill('SIGKILL'))
  const end = openSync(fifo, 'w')
  const edge = await startUnlogged(t, { stdio: ['ignore', end, end] })
  closeSync(end)
  return { reader, edge }
}

/** `npm start` as a person runs it: script(1) is the terminal, and shows what it prints. */
function startInTerminal(t: Test): Promise<UnloggedEdge> {
  return startUnlogged(t, {
    npm: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    around: line => ['script', '-qfc', line, '/dev/null'],
  })
}

/** Whether the process, which may be nobody's child here, has ended within a minute. */
async function hasEnded(pid: number): Promise<boolean> {
  const [code] = (await once(
    spawn('timeout', ['60', 'tail', `--pid=${pid}`, '-f', '/dev/null']),
    'exit',
  )) as [number]
  return code === 0
}

/** REQUESTS requests, each with its line in the log. */
async function askMany(edge: UnloggedEdge): Promise<void> {
  let begun = 0
  const askOneByOne = async () => {
    while (begun < REQUESTS) {
      begun += 1
      const status = await statusOf(`${edge.url}/v2/`)
      if (status !== 200) throw new Error(`status ${status}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, askOneByOne))
}

function ask(url: string): Promise<Response> {
  return fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })
}

async function statusOf(url: string): Promise<number> {
  const response = await ask(url)
  await response.arrayBuffer()
  return response.status
}

async function dropped(edge: UnloggedEdge, reason: string): Promise<number> {
  const text = await (await ask(`${edge.adminUrl}/metrics`)).text()
  const line = new RegExp(`^entrepot_log_lines_dropped_total\\{reason="${reason}"\\} (\\d+)$`, 'm')
  return Number(line.exec(text)?.[1] ?? 0)
}

function lineOf(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout as Readable })
    lines.on('line', line => wanted.test(line) && resolve(line))
    lines.on('close', () => reject(new Error(`it ended without a line of ${String(wanted)}`)))
  })
}
