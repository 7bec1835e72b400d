// Goal: signals do what they say from the first moment on. Method: `serve` in this process, with
// signals that the test gives while the start is under way; a reload shows in that the environment
// is asked once more for the configuration's path.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { CliContext } from '../../../src/cli/context.ts'
import { listenForSignals, run, SAME_SIGNAL_MS } from '../../../src/cli/serve.ts'
import { contextOf } from '../../kit/cli.ts'

type Signal = Parameters<CliContext['onSignal']>[0]

async function serve(t: { teardown(fn: () => unknown): unknown }) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-serve-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'entrepot.yaml')
  const document = {
    // Standard output is the test runner's.
    log: { level: 'fatal' },
    http: { addr: '127.0.0.1:0' },
    admin: { addr: '127.0.0.1:0', socket: join(directory, 'admin.sock') },
    storage: { rootdirectory: join(directory, 'data') },
  }
  await writeFile(file, JSON.stringify(document))
  const acts = new Map<Signal, () => void>()
  const loads = { count: 0, again: Promise.withResolvers<void>() }
  const env = new Proxy<CliContext['env']>(
    { ENTREPOT_CONFIG: file },
    {
      get: (target, name) => {
        if (name === 'ENTREPOT_CONFIG') loads.count += 1
        if (loads.count % 2 === 0) loads.again.resolve()
        return target[String(name)]
      },
    },
  )
  const context = contextOf({ env, onSignal: (signal, act) => acts.set(signal, act) })
  const ended = run([], context)
  const signal = (name: Signal) => acts.get(name)?.()
  return { ended, loads, signal, acts }
}

t.test('a SIGTERM or SIGINT that comes while the server starts ends it cleanly', async t => {
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    const { ended, signal, acts } = await serve(t)
    t.ok(acts.has(name), 'it is listened for before the start is over')
    signal(name)
    t.equal(await ended, 0)
  }
})

t.test('SIGHUPs that come while the server starts make it reload once, afterwards', async t => {
  const { ended, loads, signal } = await serve(t)
  t.equal(loads.count, 1)
  signal('SIGHUP')
  signal('SIGHUP')
  t.equal(loads.count, 1, 'not while it starts')
  await loads.again.promise
  signal('SIGTERM')
  t.equal(await ended, 0)
  t.equal(loads.count, 2)
})

t.test('of two SIGHUPs at once the second reads the file when the first is through', async t => {
  const { ended, loads, signal } = await serve(t)
  signal('SIGHUP')
  await loads.again.promise
  const before = loads.count
  loads.again = Promise.withResolvers()
  signal('SIGHUP')
  signal('SIGHUP')
  t.ok(loads.count < before + 2, `both at once: ${loads.count} after ${before}`)
  await loads.again.promise
  signal('SIGTERM')
  t.equal(await ended, 0)
  t.equal(loads.count, before + 2)
})

t.test('once a stop has begun nothing is reloaded, whoever waits for a turn', async t => {
  const { ended, loads, signal } = await serve(t)
  signal('SIGHUP')
  await loads.again.promise
  const before = loads.count
  signal('SIGHUP')
  signal('SIGTERM')
  signal('SIGHUP')
  t.equal(await ended, 0)
  t.equal(loads.count, before)
})

t.test('a signal that comes twice is one; who asks again later does not want to wait', async t => {
  const acts = new Map<Signal, () => void>()
  const exits: number[] = []
  let nowMs = 5
  const exit = (code: number): never => {
    exits.push(code)
    return undefined as never
  }
  const onSignal = (name: Signal, act: () => void) => void acts.set(name, act)
  const { stop } = listenForSignals(
    { onSignal, exit, hasTerminal: false },
    { monotonicMs: () => nowMs },
  )
  acts.get('SIGINT')?.()
  await stop
  nowMs += SAME_SIGNAL_MS - 1
  acts.get('SIGINT')?.()
  t.same(exits, [])
  nowMs += 1
  acts.get('SIGTERM')?.()
  t.same(exits, [1])
})
