// Goal: the queue's commands print what an operator needs, for people and as JSON, and do nothing
// by a slip of the hand. Method: the commands through a Unix socket, over the admin listener and a
// queue in memory.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildAdminApp } from '../../../src/admin/app.ts'
import { createLogger } from '../../../src/observe/log.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { NO_ACCOUNTS } from '../../kit/worlds/no-accounts.ts'
import { NO_CARRY, NO_FSCK } from '../../kit/worlds/no-carry.ts'
import { runCli } from '../../kit/cli.ts'
import { createQueueOperator } from '../../kit/worlds/queue-operator.ts'

async function start(t: { teardown(fn: () => unknown): unknown }) {
  const queue = createQueueOperator()
  const sleep = (ms: number, signal?: AbortSignal) => queue.clock.sleep(ms, signal)
  const app = buildAdminApp({
    accounts: NO_ACCOUNTS,
    carry: NO_CARRY,
    fsck: NO_FSCK,
    logger: createLogger({ level: 'info', destination: { write: () => {} } }),
    metrics: createMetrics({ version: '1', nodeVersion: '26', sleep, process: false }),
    operator: queue.operator,
    readiness: { checks: {}, draining: () => false, sleep },
  })
  const directory = await mkdtemp(join(tmpdir(), 'queue-'))
  const socket = join(directory, 'admin.sock')
  t.teardown(async () => {
    await app.close()
    await rm(directory, { recursive: true })
  })
  await app.listenSocket(socket)
  return { ...queue, run: (...argv: string[]) => runCli(['queue', ...argv, '--socket', socket]) }
}

t.test('queue ls shows what waits, since when, what comes next and why it failed', async t => {
  const { push, change, clock, run } = await start(t)
  t.match(await run('ls'), { exitCode: 0, stdout: /the queue is empty/ })
  const first = await push('a', ['v1', 'latest'])
  const second = await push('b', [])
  const third = await push('c', ['v2'])
  await clock.advance(180_000)
  await change(first.id, { state: 'parked', attempts: 3, reason: 'the tag moved upstream' })
  await change(second.id, { nextAtMs: clock.nowMs() + 90_000, attempts: 1, reason: 'no route' })
  const { stdout, exitCode } = await run('ls')
  t.equal(exitCode, 0)
  const rows = stdout.split('\n').map(row => row.split(/ {2,}/))
  const repository = 'registry.example.com/team/app'
  const digest = second.digest.slice(0, 19)
  t.same(rows.slice(1, 4), [
    [
      `${first.id}`,
      'parked',
      repository,
      'v1,latest',
      '3 min ago',
      '3',
      'never',
      'the tag moved upstream',
    ],
    [`${second.id}`, 'waiting', repository, digest, '3 min ago', '1', 'in 1 min', 'no route'],
    [`${third.id}`, 'waiting', repository, 'v2', '3 min ago', '0', 'now', '-'],
  ])
  const listed = JSON.parse((await run('ls', '--json')).stdout) as { entries: unknown[] }
  t.match(listed.entries[0], { id: first.id, state: 'parked', digest: first.digest })
})

t.test('queue retry tries one entry or all of them', async t => {
  const { push, change, operator, run } = await start(t)
  const { id } = await push('a', ['v1'])
  await push('b', ['v1'])
  await change(id, { state: 'parked' })
  t.match(await run('retry', `${id}`), { exitCode: 0, stdout: /^1 entry is due now/ })
  t.match((await operator.queue()).entries, [{ state: 'waiting' }, { state: 'waiting' }])
  t.match(await run('retry', '--all'), { exitCode: 0, stdout: /^2 entries are due now/ })
  t.same(JSON.parse((await run('retry', '--all', '--json')).stdout), { retried: 2 })
})

t.test('queue drop says what is lost', async t => {
  const { push, operator, run } = await start(t)
  const { id, digest } = await push('a', ['v1'])
  const { stdout, exitCode } = await run('drop', `${id}`)
  t.equal(exitCode, 0)
  t.match(stdout, `dropped ${id}: registry.example.com/team/app:v1 (${digest}) is not delivered`)
  t.match(stdout, /stays at this edge, by its digest/)
  t.match(stdout, /what v1 points to is what registry\.example\.com says/)
  t.same((await operator.queue()).entries, [])
  const other = await push('b', [])
  const dropped = JSON.parse((await run('drop', `${other.id}`, '--json')).stdout) as unknown
  t.match(dropped, { id: other.id, digest: other.digest, tags: [] })
})

t.test(
  'an entry that is not there ends with 1, wrong arguments with 2, and nothing is done',
  async t => {
    const { push, operator, run } = await start(t)
    await push('a', ['v1'])
    for (const action of ['retry', 'drop']) {
      t.match(await run(action, '99'), { exitCode: 1, stderr: /no entry 99/ }, action)
      t.match(await run(action), { exitCode: 2, stderr: /usage: entrepot queue/ }, action)
      t.match(
        await run(action, 'v1'),
        { exitCode: 2, stderr: /"v1" is no ID of the queue/ },
        action,
      )
    }
    t.match(await run('drop', '--all'), { exitCode: 2 }, 'not everything at once')
    t.match(await run('retry', '1', '--all'), { exitCode: 2, stderr: /ID\|--all/ })
    t.match(await run('drop', '1', '2'), { exitCode: 2 })
    t.match(await run('clear'), { exitCode: 2, stderr: /ls\|retry\|drop/ })
    t.match(await runCli(['queue']), { exitCode: 2, stderr: /ls\|retry\|drop/ })
    t.match(await runCli(['queue', '--help']), { exitCode: 0, stdout: /has the word on its tags/ })
    t.match((await operator.queue()).entries, { length: 1 })
  },
)
