// Goal: an operator sees what the server does by itself, and has it done now. Method: the commands
// through the Unix socket of an edge in process.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JOB_NAMES, type ListedJobs } from '../../../src/registry/job.ts'
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import { beginUpload, filesIn, NO_UPSTREAM } from '../../kit/worlds/edge-push.ts'
import { startTestEdge } from '../../kit/edge.ts'

async function start(t: { teardown(fn: () => unknown): unknown }, config = {}) {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, config })
  return { edge, run: (...argv: string[]) => runCli(['jobs', ...argv, '--socket', edge.socket]) }
}

t.test('R350: jobs ls tells what runs when, and how the last run ended', async t => {
  const { run } = await start(t)
  const before = await run('ls')
  t.match(before.stdout, /^cleanup +waits +in 10 min +never$/m)
  t.match(before.stdout, /^uploads +waits +in 1 min +never$/m)
  t.match(await run('run', 'uploads'), { exitCode: 0, stdout: 'nothing gone; 0 B freed\n' })
  t.match((await run('ls')).stdout, /^uploads .* took 0 ms, done, 0 gone, 0 B freed$/m)
  const listed = JSON.parse((await run('ls', '--json')).stdout) as ListedJobs
  t.strictSame(
    listed.jobs.map(({ name, isPaused }) => [name, isPaused]),
    JOB_NAMES.map(name => [name, false]),
  )
})

t.test('R350: jobs ls tells after a restart how the last run ended', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-jobs-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  await runCli(['jobs', 'run', 'gc', '--socket', edge.socket])
  await edge.stop()
  const { socket } = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  const { stdout } = await runCli(['jobs', 'ls', '--socket', socket])
  t.match(stdout, /^gc .* just now, took 0 ms, done, 0 gone, 0 B freed$/m)
  t.match(stdout, /^retain .* never$/m)
})

t.test('R480: status names the jobs that are paused', async t => {
  const { edge, run } = await start(t)
  const status = async (...options: string[]) =>
    (await runCli(['status', '--socket', edge.socket, ...options])).stdout
  t.notMatch(await status(), /^paused/m)
  await run('pause', 'retain')
  await run('pause', 'gc')
  t.match(await status(), /^paused +gc, retain: no run begins until "entrepot jobs resume NAME"/m)
  t.match(JSON.parse(await status('--json')), { pausedJobs: ['gc', 'retain'] })
  await run('resume', 'gc')
  await run('resume', 'retain')
  t.notMatch(await status(), /^paused/m)
  t.same(JSON.parse(await status('--json')).pausedJobs, [])
})

t.test('R350: jobs run tells what goes, and with --dry-run only that', async t => {
  const storage = { maintenance: { uploadpurging: { enabled: false, age: '1h' } } }
  const { edge, run } = await start(t, { storage })
  await beginUpload(edge, 'app')
  await edge.pass(2 * 3_600_000)
  t.match((await run('ls')).stdout, /^uploads +waits +- +never$/m)
  const table = 'WHAT      FREED  WHY\n1 upload  0 B    nobody went on with it\n'
  const dry = await run('run', 'uploads', '--dry-run')
  t.match(dry, { exitCode: 0, stdout: `${table}1 would go; 0 B would be freed\n` })
  t.equal((await filesIn(edge, 'uploads')).length > 0, true)
  t.same(JSON.parse((await run('run', 'uploads', '--json')).stdout), {
    outcome: 'done',
    dryRun: false,
    gone: [{ what: '1 upload', reason: 'nobody went on with it', bytes: 0 }],
    count: 1,
    freedBytes: 0,
  })
  t.same(await filesIn(edge, 'uploads'), [])
})

t.test('R350: a paused job runs for nobody until it is resumed', async t => {
  const { run } = await start(t)
  t.match(await run('pause', 'uploads'), { exitCode: 0, stdout: /^uploads is paused/ })
  t.match((await run('ls')).stdout, /^uploads +paused +- /m)
  t.match(await run('run', 'uploads'), {
    exitCode: 1,
    stderr: 'uploads is paused; "entrepot jobs resume uploads" lets it run\n',
  })
  t.match(await run('resume', 'uploads'), { exitCode: 0, stdout: 'uploads goes on\n' })
  t.match(await run('run', 'uploads'), { exitCode: 0 })
  t.match(await run('cancel', 'uploads', '--json'), { exitCode: 0, stdout: /"isPaused": false/ })
})

t.test('R350: what cannot be run is told, and nothing is done', async t => {
  const { edge, run } = await start(t)
  t.match(await run('run', 'polish'), {
    exitCode: 1,
    stderr: /no job "polish", but cleanup, /,
  })
  t.match(await run('run', 'cleanup', '--dry-run'), { exitCode: 1, stderr: /has no dry run/ })
  t.match(await run('run'), { exitCode: 2, stderr: /usage: entrepot jobs run NAME/ })
  t.match(await run('run', 'uploads', 'cleanup'), { exitCode: 2, stderr: /usage/ })
  t.match(await run('stop'), { exitCode: 2, stderr: /ls\|run\|pause\|resume\|cancel/ })
  await edge.stop()
  t.match(await run('run', 'uploads'), { exitCode: 69, stderr: /no server listens there/ })
  t.match(await run('run', 'uploads', '--json'), { exitCode: 69, stderr: /"exitCode":69/ })
})

t.test('R350: a job that operators know by a command of its own is run by that', async t => {
  const { edge } = await start(t)
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const told = { exitCode: 0, stdout: 'nothing would go; 0 B would be freed\n' }
  for (const name of ['evict', 'gc', 'retain']) {
    t.match(await run(name, '--dry-run'), told)
    t.match(JSON.parse((await run(name, '--json')).stdout), { outcome: 'done', count: 0 })
    t.match(await run(name, 'x'), { exitCode: 2, stderr: new RegExp(`usage: entrepot ${name}`) })
  }
  await edge.stop()
  for (const name of ['evict', 'gc', 'retain'])
    t.match(await run(name), { exitCode: 69, stderr: /no server listens there/ })
})
