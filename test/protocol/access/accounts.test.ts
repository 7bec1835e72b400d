// Goal: an edge with accounts gives nothing to who has not logged in, everywhere and from memory
// too, and a change of accounts holds on each thread before whoever made it is told. Method: the
// whole edge in process over a stub registry, one to four threads, with clients on every thread;
// the command line over its socket.
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import tap from 'tap'
import { LOOKED_EVERY_MS } from '../../../src/config/watched-files.ts'
import { runCli, typed } from '../../kit/cli.ts'
import { patternBlob } from '../../kit/content.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

const MiB = 1024 * 1024
/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const image = makeImage({ seed: 'accounts', layers: [1_000] })
const large = patternBlob('accounts', 6 * MiB)

function basic(name: string, password: string): Readonly<Record<string, string>> {
  const encoded = Buffer.from(`${name}:${password}`).toString('base64')
  return { authorization: `Basic ${encoded}`, accept: image.manifest.mediaType }
}

const ALICE = basic('alice', 's3cret')
const NOBODY = { accept: image.manifest.mediaType }
const PATHS = [
  '/v2/team/app/manifests/v1',
  `/v2/team/app/manifests/${image.manifest.digest}`,
  `/v2/team/app/blobs/${image.config.digest}`,
  `/v2/team/app/blobs/${large.digest}`,
  '/v2/team/app/tags/list',
  '/v2/_catalog',
  '/v2/',
]

async function open(
  t: Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>,
  config: { readonly threads?: number; readonly anonymous?: readonly string[] } & Record<
    string,
    unknown
  > = {},
) {
  const stub = await startStub(t)
  stub.addImage('team/app', 'v1', image)
  stub.addBlob('team/app', large)
  const { threads = 1, anonymous = [], groups = {}, ...rest } = config
  const file = join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd')
  const htpasswd = { realm: 'The Registry', path: file }
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url, prefetch: false } },
    config: {
      http: { addr: '127.0.0.1:0', threads, anonymous },
      auth: { htpasswd, groups },
      ...rest,
    },
  })
  return { edge, file, stub }
}

/** As an operator on the machine of the edge. */
function user(edge: TestEdge, file: string, args: readonly string[], stdin = '') {
  const config = join(file, '..', 'config.yaml')
  const auth = { htpasswd: { path: file } }
  writeFileSync(config, JSON.stringify({ admin: { socket: edge.socket }, auth }))
  return runCli(['user', ...args, '--config', config], { stdin: typed(stdin) })
}

for (const threads of [1, 4])
  tap.test(
    `R514: ${threads} thread(s) give to who has logged in alone, from memory too`,
    async t => {
      const { edge, file, stub } = await open(t, { threads })
      const clients = await reachThreads(t, edge.url, threads)
      const bearer = `Bearer realm="${edge.url}/v2/token",service="entrepot"`
      const expect = async (headers: Readonly<Record<string, string>>, status: number) => {
        for (const client of clients)
          for (const path of PATHS) {
            const answer = await client.send('GET', path, { headers })
            if (answer.status !== status) t.equal(answer.status, status, `${path} ${client.thread}`)
            const challenge = answer.headers['www-authenticate']
            const isRight = status === 401 ? String(challenge).startsWith(bearer) : !challenge
            if (!isRight) t.equal(challenge, status === 401 ? bearer : undefined, path)
          }
      }
      await expect(NOBODY, 401)
      await expect(basic('alice', 'wrong'), 401)
      await expect(basic('nobody', 's3cret'), 401)
      t.equal(stub.count({}), 0, 'for none of them an upstream is asked')
      for (let time = 0; time < 4; time += 1) await expect(ALICE, 200)
      await expect(NOBODY, 401)
      await expect(basic('alice', 'wrong'), 401)
      await expect(basic('bob', 's3cret'), 200)

      const gone = await user(edge, file, ['rm', 'alice'])
      t.match(gone, { exitCode: 0, stdout: 'alice: removed\n', stderr: '' })
      await expect(ALICE, 401)
      await expect(basic('bob', 's3cret'), 200)
      t.equal((await user(edge, file, ['add', 'alice', '--cost', '4'], 'n3w\n')).exitCode, 0)
      await expect(ALICE, 401)
      await expect(basic('alice', 'n3w'), 200)
      t.notOk(
        JSON.stringify(edge.lines()).match(/s3cret|n3w|\$2y\$|c3VjcmV0/),
        'no secret is logged',
      )
    },
  )

tap.test('R514: 200 equal logins on four threads cost one computation', async t => {
  const { edge } = await open(t, { threads: 4 })
  const clients = await reachThreads(t, edge.url, 4)
  const before = await triedAt(edge)
  const answers = await Promise.all(
    clients.flatMap(client =>
      Array.from({ length: 50 }, () => client.send('GET', '/v2/', { headers: ALICE })),
    ),
  )
  for (const { status } of answers) t.equal(status, 200)
  t.equal((await triedAt(edge)) - before, 1)
})

tap.test('R514: who has logged in pushes and deletes where repositories lets them', async t => {
  const { edge } = await open(t)
  const start = (name: string, headers: Readonly<Record<string, string>>) =>
    edge.send('POST', `/v2/${name}/blobs/uploads/`, { headers })
  t.equal((await start('localhost/team/app', {})).status, 401)
  t.equal((await start('localhost/team/app', basic('alice', 'x'))).status, 401)
  t.equal((await start('localhost/team/app', ALICE)).status, 202)
  t.equal((await start('team/app', ALICE)).status, 403, 'repositories refuses it')
})

tap.test('R511: rules know accounts and groups; what one may not pull is not there', async t => {
  const { edge } = await open(t, {
    groups: { ci: ['bob'] },
    access: [
      { who: 'anonymous', match: 'docker.io/team/public', allow: ['pull'] },
      { who: 'group:ci', match: 'docker.io/team/**', allow: ['pull'] },
    ],
  })
  const status = async (path: string, headers: Readonly<Record<string, string>>) =>
    (await edge.get(path, headers)).status
  const path = '/v2/team/app/manifests/v1'
  for (let time = 0; time < 3; time += 1) {
    t.equal(await status(path, NOBODY), 401)
    t.equal(await status(path, ALICE), 404)
    t.equal(await status(path, basic('bob', 's3cret')), 200)
  }
  t.equal(await status('/v2/team/public/manifests/v1', NOBODY), 404, 'it may, and it is not there')
  t.equal(await status('/v2/other/gone/manifests/v1', NOBODY), 401, 'as of what is there')
})

tap.test('R828: accounts that are called as the audit log calls others are told of', async t => {
  const { edge, file } = await open(t)
  appendFileSync(file, `operator:${HASH}\n`)
  const called = edge.untilLogged('accounts are called as the audit log calls others')
  t.match(await edge.settle(called, 20 * LOOKED_EVERY_MS), { accounts: ['operator'] })
  t.equal((await edge.get('/v2/', basic('operator', 's3cret'))).status, 200, 'and go on')
})

tap.test(
  'R512, R758: a changed file is taken up while the edge runs, a faulty one is not',
  async t => {
    const { edge, file } = await open(t)
    const status = async (headers: Readonly<Record<string, string>>) =>
      (await edge.get('/v2/', headers)).status
    t.equal(await status(basic('carol', 's3cret')), 401)
    appendFileSync(file, `carol:${HASH}\n`)
    const taken = edge.untilLogged('other accounts are in force')
    t.match(await edge.settle(taken, 20 * LOOKED_EVERY_MS), { accounts: 3 })
    t.equal(await status(basic('carol', 's3cret')), 200)
    writeFileSync(file, `alice:${HASH}\nbob:{SHA}secret=\n`)
    const refused = edge.untilLogged('the file of accounts is faulty')
    t.match(await edge.settle(refused, 20 * LOOKED_EVERY_MS), {
      level: 'error',
      line: 2,
      hint: /entrepot check/,
    })
    t.equal(await status(basic('carol', 's3cret')), 200)
    t.match(await metrics(edge), /^entrepot_auth_htpasswd_faulty 1$/m)
    const shown = async () => (await runCli(['status', '--socket', edge.socket])).stdout
    t.match(
      await shown(),
      /^accounts +3 in force; the file has changed and is faulty: "entrepot check"/m,
      'R758',
    )
    const tried = await user(edge, file, ['rm', 'alice'])
    t.match(tried, { exitCode: 1, stderr: /accounts of before/ })
    t.equal(await status(ALICE), 200)
    t.equal((await user(edge, file, ['rm', 'bob'])).exitCode, 0)
    t.equal(await status(ALICE), 401)
    t.match(await metrics(edge), /^entrepot_auth_htpasswd_faulty 0$/m)
    const mended = edge.lines().filter(({ msg }) => msg === 'the file of accounts is good again')
    t.match(mended, [{ level: 'info', accounts: 0 }], 'R758')
    t.match(await shown(), /^accounts +0 in force$/m)
  },
)

tap.test('R512: it is told why a file of accounts cannot be read', async t => {
  const { edge, file } = await open(t)
  rmSync(file)
  mkdirSync(file)
  const refused = edge.untilLogged('the file of accounts is faulty')
  t.match(await edge.settle(refused, 20 * LOOKED_EVERY_MS), { fault: 'it is a directory' })
  t.equal((await edge.get('/v2/', ALICE)).status, 200)
})

tap.test('R514: a reload that takes accounts away, or brings them, holds at once', async t => {
  const { edge, stub } = await open(t)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const path = PATHS[0] ?? ''
  t.equal((await edge.get(path, NOBODY)).status, 401)
  await edge.reloaded(upstreams, { http: { addr: '127.0.0.1:0' } })
  t.equal((await edge.get(path, NOBODY)).status, 200)
  t.equal((await edge.get('/v2/', ALICE)).status, 401, 'there are none to log in to')
  await edge.reloaded(upstreams)
  t.equal((await edge.get(path, NOBODY)).status, 401)
  t.equal((await edge.get(path, ALICE)).status, 200)
})

for (const threads of [1, 4])
  tap.test(`R519: ${threads} thread(s) challenge nobody by an anonymous name`, async t => {
    const { edge } = await open(t, {
      threads,
      anonymous: ['mirror.lan'],
      access: [
        { who: 'anonymous', match: 'docker.io/team/app', allow: ['pull'] },
        { who: 'alice', match: '**', allow: ['pull', 'push', 'list'] },
      ],
    })
    const clients = await reachThreads(t, edge.url, threads)
    const send = async (
      method: string,
      path: string,
      headers: Readonly<Record<string, string>>,
    ) => {
      const statuses = new Set<number>()
      for (const client of clients) {
        const answer = await client.send(method, path, { headers })
        statuses.add(answer.status)
        if (headers['host'] !== undefined) t.notOk(answer.headers['www-authenticate'], path)
      }
      return [...statuses]
    }
    const mirror = { ...NOBODY, host: 'mirror.lan' }
    for (let time = 0; time < 3; time += 1) {
      for (const path of PATHS.filter(each => each !== '/v2/_catalog'))
        t.same(await send('GET', path, mirror), [200], path)
      t.same(await send('GET', '/v2/_catalog', mirror), [403])
      for (const hidden of ['team/secret', 'nowhere.example/app', 'localhost/app'])
        t.same(await send('GET', `/v2/${hidden}/manifests/v1`, mirror), [404], hidden)
      t.same(await send('POST', '/v2/localhost/app/blobs/uploads/', mirror), [403])
      t.same(await send('GET', '/v2/', NOBODY), [401], 'by another name it is asked')
      t.same(await send('GET', '/v2/team/secret/manifests/v1', NOBODY), [401])
    }
    const asAlice = { ...ALICE, host: 'mirror.lan' }
    t.same(await send('GET', '/v2/_catalog', asAlice), [200])
    const wrong = { ...basic('alice', 'wrong'), host: 'mirror.lan' }
    for (const path of ['/v2/', PATHS[0] ?? '', PATHS[2] ?? ''])
      t.same(await send('GET', path, wrong), [403], path)
  })

async function metrics(edge: TestEdge): Promise<string> {
  const response = await fetch(`${edge.adminUrl}/metrics`)
  return response.text()
}

async function triedAt(edge: TestEdge): Promise<number> {
  const found = (await metrics(edge)).matchAll(/^entrepot_auth_passwords_total\{.*\} (\d+)$/gm)
  return [...found].reduce((sum, [, count]) => sum + Number(count), 0)
}

tap.test('R514: a ping asks for a login unless everybody may do everything', async t => {
  const all = ['pull', 'push', 'delete', 'list']
  const rule = { who: '*', match: '**', allow: all }
  const { edge, file } = await open(t, { access: [rule] })
  const upstreams = { 'docker.io': { url: 'http://127.0.0.1:9' } }
  const config = { http: { addr: '127.0.0.1:0' }, auth: { htpasswd: { path: file } } }
  const statusBy = async (...access: readonly object[]) => {
    await edge.reloaded(upstreams, { ...config, access })
    return (await edge.get('/v2/')).status
  }
  t.equal(await statusBy(rule), 200)
  t.equal(await statusBy({ ...rule, tags: ['v*'] }, rule), 401, 'some tags')
  t.equal(await statusBy({ ...rule, match: 'localhost/**' }, rule), 401, 'some repositories')
  t.equal(await statusBy({ ...rule, who: 'alice' }, rule), 401, 'somebody')
  for (const right of all) {
    const allow = all.filter(each => each !== right)
    t.equal(await statusBy({ ...rule, allow }), 401, `all but ${right}`)
  }
})
