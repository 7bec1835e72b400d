// Goal: while somebody edits the configuration, the server that runs by the one before can be asked
// as ever, and says that it runs by that. Method: the edge in process and commands that are given a
// faulty file; `serve` in this process, told to reload one.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { run as runServe } from '../../../src/cli/serve.ts'
import type { Config } from '../../../src/config/config.ts'
import type { Status } from '../../../src/registry/operator/status.ts'
import { contextOf, runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'

async function directory(t: { teardown(fn: () => unknown): unknown }): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'entrepot-faulty-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}

/** Commands whose answer from an empty edge is that nothing is there, and their exit codes. */
const COMMANDS: readonly (readonly [exitCode: number, ...argv: string[]])[] = [
  [0, 'status'],
  [0, 'ls'],
  [0, 'why', 'docker.io/library/app:v1'],
  [1, 'inspect', 'docker.io/library/app:v1'],
  [0, 'queue', 'ls'],
  [0, 'queue', 'retry', '--all'],
  [1, 'queue', 'drop', '42'],
  [1, 'pull', 'docker.io/library/app:v1'],
]

t.test('R304: commands need of the configuration where the server is, and no more', async t => {
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } },
  })
  const file = join(await directory(t), 'entrepot.yaml')
  const faults = {
    'a faulty value, and another one': [
      'admin:',
      `  socket: ${edge.socket}`,
      'storage: { maxsize: 5 parsecs }',
      'memroy: 1GiB',
    ],
  }
  for (const [name, lines] of Object.entries(faults)) {
    await writeFile(file, `${lines.join('\n')}\n`)
    for (const [exitCode, ...argv] of COMMANDS) {
      const told = await runCli([...argv, '--config', file])
      t.match(told, { exitCode }, `${name}: ${argv.join(' ')}: ${told.stderr}`)
    }
    const { stderr } = await runCli(['status', '--config', file])
    t.match(stderr, /^\S+entrepot\.yaml:3:\d+: error: .*\n$/, 'one line that says where')
    t.equal((await runCli(['status', '--json', '--config', file])).stderr, '')
  }
  await writeFile(file, 'storage: { maxsize: 5 parsecs }\nmemroy: 1GiB\nadmin: {}\n')
  const { stderr } = await runCli(['status', '--config', file])
  t.match(stderr, /1 more/)
  t.match(stderr, /entrepot check/)
})

/** Faulty files in which a fault hides, or may hide, where the running server is asked. */
const HIDING: Readonly<Record<string, string>> = {
  'a slip in its key': 'admin: { sokcet: /run/mine/admin.sock }',
  'a slip in the key above': 'amdin: { socket: /run/mine/admin.sock }',
  'a list': 'admin: [socket, /run/mine/admin.sock]',
  'a list of sockets': 'admin: { socket: [/run/mine/admin.sock] }',
  'an open quote before it': 'log: { level: "info }\nadmin: { socket: /run/mine/admin.sock }',
  'an open bracket before it': 'http: { names: [\nadmin:\n  socket: /run/mine/admin.sock',
  'a key that stands twice': 'admin: {}\nadmin: { socket: /run/mine/admin.sock }',
  'another program’s file': 'version: 0.1',
}

// What was meant for the file's edge was done to the one that listened at the default
// address.
t.test('R304: where a fault may hide the socket, a guess changes nothing and is told', async t => {
  const file = join(await directory(t), 'entrepot.yaml')
  // Another edge than the file's: it listens where that one would if the file said nothing.
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } },
  })
  const env = { ENTREPOT_STORAGE_ROOTDIRECTORY: dirname(edge.socket) }
  for (const [name, text] of Object.entries(HIDING)) {
    await writeFile(file, `${text}\n`)
    for (const argv of [
      ['queue', 'drop', '3'],
      ['queue', 'retry', '--all'],
      ['pull', 'docker.io/a/b'],
    ]) {
      const refused = await runCli([...argv, '--config', file], { env })
      t.match(
        refused,
        { exitCode: 78, stderr: /: error: [^]*--socket PATH/ },
        `${name}: ${argv[0]}`,
      )
      const meant = await runCli([...argv, '--config', file, '--socket', edge.socket], { env })
      t.not(meant.exitCode, 78, `${name}: ${argv[0]}`)
    }
    const { exitCode, stderr } = await runCli(['status', '--config', file], { env })
    t.not(exitCode, 78, name)
    t.match(stderr, /is asked at \S+admin\.sock; --socket PATH/, name)
    const json = await runCli(['status', '--json', '--config', file], { env })
    t.match(json, { exitCode: 78, stdout: '', stderr: /"exitCode":78,.*--socket PATH/ }, name)
  }
  const said = { env: { ENTREPOT_ADMIN_SOCKET: edge.socket } }
  await writeFile(file, 'http: { names: [\n')
  t.match(await runCli(['queue', 'retry', '--all', '--config', file], said), { exitCode: 0 })
})

t.test('R304: a faulty file is nothing to start by', async t => {
  const file = join(await directory(t), 'entrepot.yaml')
  await writeFile(file, 'storage: { maxsize: 5 parsecs }\n')
  for (const command of ['serve', 'check'])
    t.match(await runCli([command, '--config', file]), { exitCode: 78, stderr: /:1:\d+: error/ })
})

/** `serve` with a file that can be written anew. */
async function serve(t: { teardown(fn: () => unknown): unknown }) {
  const made = await directory(t)
  const file = join(made, 'entrepot.yaml')
  const socket = join(made, 'admin.sock')
  const write = (faulty: Record<string, unknown> = {}) =>
    writeFile(
      file,
      JSON.stringify({
        http: { addr: '127.0.0.1:0' },
        admin: { addr: '127.0.0.1:0', socket },
        storage: { rootdirectory: join(made, 'data') },
        // Standard output is the test runner's.
        log: { level: 'fatal' },
        ...faulty,
      }),
    )
  await write()
  const acts = new Map<string, () => void>()
  const context = contextOf({ onSignal: (signal, act) => acts.set(signal, act) })
  const ended = runServe(['--config', file], context)
  t.teardown(async () => {
    acts.get('SIGTERM')?.()
    await ended
  })
  const status = async (...argv: string[]) => await runCli(['status', '--socket', socket, ...argv])
  return { file, write, status, reload: () => acts.get('SIGHUP')?.() }
}

/** Asks until the answer is as wanted; the test's time limit ends it. */
async function until<Value>(ask: () => Promise<Value>, isWanted: (value: Value) => boolean) {
  for (;;) {
    const value = await ask()
    if (isWanted(value)) return value
    await new Promise(setImmediate)
  }
}

t.test('R304: status says that a reload was refused, when, why and what holds now', async t => {
  const { file, write, status, reload } = await serve(t)
  await until(status, ({ exitCode }) => exitCode === 0)
  t.notMatch((await status()).stdout, /refused/)
  const refusal = async () => (JSON.parse((await status('--json')).stdout) as Status).refusedReload

  const beforeMs = Date.now()
  await write({ memory: '5 parsecs' })
  reload()
  const refused = await until(refusal, each => each !== undefined)
  t.ok((refused?.atMs ?? 0) >= beforeMs && (refused?.atMs ?? 0) <= Date.now())
  t.match(refused?.faults, [/entrepot\.yaml:1:\d+: error: memory: /])
  const { stdout } = await status()
  t.match(stdout, /^reload +refused .*: the configuration of before is in force$/m)
  t.match(stdout, /^ +\S+entrepot\.yaml:1:\d+: error: memory: /m)

  // A warning that stands before it in the file: the second of two equal rules is never reached.
  const rule = { match: 'localhost/**', push: 'store' }
  await write({ repositories: [rule, rule], memory: '5 parsecs' })
  reload()
  const warned = await until(refusal, each => each?.faults.length === 2)
  t.match(warned?.faults, [/: error: memory: /, /: warning: /], 'what it was refused for is first')
  t.match((await status()).stdout, /^ +\S+entrepot\.yaml:1:\d+: error: memory: /m)

  await rm(file)
  reload()
  t.match(await until(refusal, each => !/memory/.test(each?.faults[0] ?? 'memory')), {
    faults: [/cannot be read: there is no such file/],
  })
  await write()
  reload()
  t.equal(await until(refusal, each => each === undefined), undefined)
  t.notMatch((await status()).stdout, /refused/)
})

// What failed after it was taken in part was told as if the configuration of before
// were in force.
t.test(
  'R304: status does not say that a reload that failed in the middle changed nothing',
  async t => {
    const upstreams = { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } }
    const edge = await startTestEdge(t, { upstreams })
    const status = async () => (await runCli(['status', '--socket', edge.socket])).stdout
    // Only the logger finds out, and by then what is pulled goes by the new one.
    const spoil = (config: Config) => ({ ...config, log: { level: 'no such level' as never } })
    await t.rejects(edge.reloaded(upstreams, undefined, spoil))
    const told = await status()
    t.match(told, /^reload +failed .*: part of the new configuration may be in force/m)
    t.notMatch(told, /configuration of before is in force/)
    await edge.reloaded(upstreams)
    t.notMatch(await status(), /^reload/m)
  },
)

t.test('R757: check refuses an audit log that no server could begin', async t => {
  const place = await directory(t)
  const file = join(place, 'entrepot.yaml')
  const check = async (output: string) => {
    await writeFile(file, JSON.stringify({ audit: { output } }))
    return runCli(['check', '--config', file])
  }
  for (const [output, stderr] of [
    ['/nonexistent/x.log', /error: audit\.output: .*x\.log: there is no directory \/nonexistent/],
    [place, /error: audit\.output: .*: it is a directory/],
    [`${file}/x.log`, /error: audit\.output: .*: a part of the path is no directory/],
  ] as const)
    t.match(await check(output), { exitCode: 78, stderr }, output)
  for (const output of ['stdout', 'stderr', '/dev/null', join(place, 'new.log')])
    t.match(await check(output), { exitCode: 0, stderr: '' }, output)
})
