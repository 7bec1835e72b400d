// Goal: clients get tokens from the edge itself, by which they are who they were, on each thread
// and from memory too, for as long as the account is theirs; what a token lets them do is what
// rules say now. Method: the whole edge in process over a stub registry, one and four threads, with
// clients on every thread; the command line over its socket.
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import type { Config } from '../../../src/config/config.ts'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { runCli, typed } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const PASSWORD = 's3cret'
const image = makeImage({ seed: 'tokens', layers: [1_000] })
const ACCEPT = { accept: image.manifest.mediaType }
const OPEN = '/v2/team/open/manifests/v1'
const CLOSED = '/v2/team/closed/manifests/v1'
const RULES = [
  { who: 'anonymous', match: 'docker.io/team/open', allow: ['pull'] },
  { who: 'alice', match: 'docker.io/team/**', allow: ['pull', 'list'] },
]

type Headers = Readonly<Record<string, string>>

const basic = (name: string, password: string): Headers => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const bearer = (token: string): Headers => ({ ...ACCEPT, authorization: `Bearer ${token}` })

async function open(
  t: Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>,
  { threads = 1, ...http }: { readonly threads?: number } & Record<string, unknown> = {},
) {
  const stub = await startStub(t)
  for (const name of ['team/open', 'team/closed']) stub.addImage(name, 'v1', image)
  const file = join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd')
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const config = {
    http: { addr: '127.0.0.1:0', threads, ...http },
    auth: { htpasswd: { path: file } },
    access: RULES,
  }
  const edge = await startTestEdge(t, { upstreams, config })
  return { edge, file, upstreams, config }
}

interface Issued {
  readonly status: number
  readonly challenge: string | null
  readonly body: Readonly<Record<string, unknown>>
  readonly token: string
}

async function get(edge: TestEdge, query: string, headers: Headers = {}): Promise<Issued> {
  return read(await fetch(`${edge.url}/v2/token${query}`, { headers }))
}

async function post(edge: TestEdge, form: Headers, type?: string): Promise<Issued> {
  const headers = { 'content-type': type ?? 'application/x-www-form-urlencoded; charset=utf-8' }
  const body = new URLSearchParams(form).toString()
  return read(await fetch(`${edge.url}/v2/token`, { method: 'POST', headers, body }))
}

function refreshGrant({ refresh_token: token }: Issued['body']): Headers {
  return { grant_type: 'refresh_token', refresh_token: String(token) }
}

async function read(response: Response): Promise<Issued> {
  const body = (await response.json()) as Readonly<Record<string, unknown>>
  const challenge = response.headers.get('www-authenticate')
  return { status: response.status, challenge, body, token: String(body['token']) }
}

function user(edge: TestEdge, file: string, args: readonly string[], stdin = '') {
  const config = join(file, '..', 'config.yaml')
  const auth = { htpasswd: { path: file } }
  writeFileSync(config, JSON.stringify({ admin: { socket: edge.socket }, auth }))
  return runCli(['user', ...args, '--config', config], { stdin: typed(stdin) })
}

tap.test('R131: by GET a login gets a token, and a wrong one none', async t => {
  const { edge } = await open(t)
  const scope = 'repository:team/closed:pull,push'
  for (const query of [
    '?service=entrepot&account=alice&client_id=docker&offline_token=true',
    `?service=entrepot&scope=${scope}&scope=repository:a/b:pull`,
    `?scope=${scope}%20repository:edge:5000/a/b:pull`,
    '?scope=',
    '',
  ]) {
    const { status, body, token } = await get(edge, query, basic('alice', PASSWORD))
    t.equal(status, 200, query)
    t.equal(body['access_token'], token)
    t.ok(Number(body['expires_in']) >= 60)
    t.match(body['issued_at'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/)
    t.equal('refresh_token' in body, query.includes('offline_token'))
    t.equal((await edge.get('/v2/', bearer(token))).status, 200)
    t.equal((await edge.get(CLOSED, bearer(token))).status, 200)
  }
  for (const wrong of [
    basic('alice', 'x'),
    basic('nobody', PASSWORD),
    { authorization: 'Basic !' },
  ]) {
    const { status, body, challenge } = await get(edge, '?scope=', wrong)
    t.equal(status, 401)
    t.notOk('token' in body)
    t.equal(challenge, 'Basic realm="Registry"')
  }
})

tap.test('R132: by POST for a password, and for a refresh token', async t => {
  const { edge } = await open(t)
  const password = {
    grant_type: 'password',
    service: 'entrepot',
    client_id: 'c',
    username: 'alice',
  }
  const first = await post(edge, {
    ...password,
    password: PASSWORD,
    access_type: 'offline',
    scope: 'repository:a:pull',
  })
  t.match(first, { status: 200, body: { scope: 'repository:a:pull', refresh_token: /^ert_/ } })
  t.equal((await edge.get(CLOSED, bearer(first.token))).status, 200)
  const grant = { grant_type: 'refresh_token', refresh_token: String(first.body['refresh_token']) }
  const second = await post(edge, { ...grant, service: 'entrepot', client_id: 'c' })
  t.equal((await edge.get(CLOSED, bearer(second.token))).status, 200)
  t.notOk('refresh_token' in second.body)
  t.equal((await post(edge, { ...password, password: 'x' })).status, 401)
  t.equal((await post(edge, { ...grant, refresh_token: 'ert_e30.x' })).status, 401)
  t.equal((await post(edge, { grant_type: 'client_credentials' })).status, 400)
  t.equal((await post(edge, password)).status, 400)
  t.equal((await post(edge, grant, 'application/json')).status, 400)
  t.equal((await post(edge, { ...password, password: 'x'.repeat(20_000) })).status, 413)
  t.equal((await edge.send('PUT', '/v2/token', {})).status, 405)
})

for (const threads of [1, 4])
  tap.test(`R128: ${threads} thread(s) give the anonymous what is theirs`, async t => {
    const { edge } = await open(t, { threads })
    const { status, token, body } = await get(
      edge,
      '?service=entrepot&scope=repository:team/open:pull',
    )
    t.equal(status, 200)
    t.notOk('refresh_token' in body)
    const clients = await reachThreads(t, edge.url, threads)
    for (let time = 0; time < 3; time += 1)
      for (const { send } of clients) {
        const ask = (path: string) => send('GET', path, { headers: bearer(token) })
        t.equal((await ask('/v2/')).status, 200)
        t.equal((await ask(OPEN)).status, 200)
        const denied = await ask(CLOSED)
        t.equal(denied.status, 401)
        const scope = 'scope="repository:team/closed:pull"'
        const realm = `Bearer realm="${edge.url}/v2/token",service="entrepot"`
        t.equal(denied.headers['www-authenticate'], `${realm},${scope},error="insufficient_scope"`)
        const wrong = await send('GET', OPEN, { headers: bearer(`${token.slice(0, -4)}AAAA`) })
        t.equal(wrong.status, 401)
        t.match(wrong.headers['www-authenticate'], /,error="invalid_token"$/)
      }
  })

tap.test('R129: a challenge has the scope of what was asked', async t => {
  const { edge } = await open(t)
  const scopeOf = async (method: string, path: string) => {
    const { headers } = await edge.send(method, path, {})
    return /scope="([^"]*)"/.exec(String(headers['www-authenticate']))?.[1]
  }
  const digest = image.manifest.digest
  t.equal(await scopeOf('GET', '/v2/'), undefined)
  t.equal(await scopeOf('GET', '/v2/_catalog'), 'registry:catalog:*')
  t.equal(await scopeOf('GET', CLOSED), 'repository:team/closed:pull')
  t.equal(
    await scopeOf('GET', '/v2/docker.io/team/closed/tags/list'),
    'repository:docker.io/team/closed:pull',
  )
  t.equal(
    await scopeOf('POST', '/v2/localhost/a/blobs/uploads/'),
    'repository:localhost/a:pull,push',
  )
  t.equal(
    await scopeOf('DELETE', `/v2/localhost/a/manifests/${digest}`),
    'repository:localhost/a:delete',
  )
})

tap.test('R130: the realm is the edge, as the client called it, or by its public name', async t => {
  const { edge } = await open(t, { host: 'https://edge.example.com', names: ['edge.lan:5000'] })
  const realmOf = async (host: string) => {
    const { headers } = await edge.get('/v2/', { host })
    return /realm="([^"]*)"/.exec(String(headers['www-authenticate']))?.[1]
  }
  t.equal(await realmOf('edge.example.com'), 'https://edge.example.com/v2/token')
  t.equal(await realmOf('edge.lan:5000'), 'https://edge.lan:5000/v2/token')
  t.equal(await realmOf('localhost:5000'), 'http://localhost:5000/v2/token')
  t.equal(await realmOf('evil.example'), 'https://edge.example.com/v2/token', 'a forged name')
})

tap.test(
  'R525: no proxy leads a login to the own machine of clients, or to plain HTTP',
  async t => {
    const realmAt = async (edge: TestEdge, headers: Headers) => {
      const challenge = String((await edge.get('/v2/', headers)).headers['www-authenticate'])
      return /realm="([^"]*)"/.exec(challenge)?.[1]
    }
    const named = await open(t, { host: 'https://edge.example.com' })
    const host = 'localhost:5000'
    for (const mark of ['x-forwarded-for', 'via', 'x-real-ip', 'x-request-id'])
      t.equal(
        await realmAt(named.edge, { host, [mark]: '192.0.2.1' }),
        'https://edge.example.com/v2/token',
        mark,
      )
    const wrong = { host, ...basic('alice', 'x') }
    const { protocol } = new URL(named.edge.url)
    t.equal(await realmAt(named.edge, wrong), `${protocol}//${host}/v2/token`, 'a client of here')
    for (const ofPulls of ['range', 'if-range', 'if-none-match', 'cache-control'])
      t.equal(
        await realmAt(named.edge, { host, [ofPulls]: 'bytes=100-' }),
        `${protocol}//${host}/v2/token`,
        ofPulls,
      )
    const unnamed = await open(t)
    const plain = await open(t, { host: 'http://edge.example.com' })
    const asked = { host: 'edge.example.com' }
    t.equal(await realmAt(unnamed.edge, asked), `${protocol}//edge.example.com/v2/token`)
    for (const said of [
      { 'x-forwarded-proto': 'HTTPS, http' },
      { 'x-forwarded-ssl': 'on' },
      { 'x-forwarded-scheme': 'https' },
      { 'front-end-https': 'on' },
      { forwarded: 'for=192.0.2.1;proto="https", for=127.0.0.1;proto=http' },
    ])
      for (const { edge } of [unnamed, plain])
        t.equal(
          await realmAt(edge, { ...asked, ...said }),
          'https://edge.example.com/v2/token',
          JSON.stringify(said),
        )
  },
)

for (const threads of [1, 4])
  tap.test(`R520: ${threads} thread(s): a token ends with its account's logins`, async t => {
    const { edge, file } = await open(t, { threads })
    const login = async () => {
      const issued = await get(edge, '?offline_token=true', basic('alice', PASSWORD))
      return { token: issued.token, refresh: String(issued.body['refresh_token']) }
    }
    const clients = await reachThreads(t, edge.url, threads)
    const expect = async (token: string, status: number, what: string) => {
      for (const { send } of clients)
        for (const path of ['/v2/', CLOSED, OPEN])
          t.equal((await send('GET', path, { headers: bearer(token) })).status, status, what)
    }
    const bob = (await get(edge, '', basic('bob', PASSWORD))).token
    const ends: readonly (readonly [string, () => ReturnType<typeof user>])[] = [
      ['logout', () => user(edge, file, ['logout', 'alice'])],
      ['rm', () => user(edge, file, ['rm', 'alice'])],
    ]
    for (const [what, end] of ends) {
      const { token, refresh } = await login()
      for (let time = 0; time < 3; time += 1) await expect(token, 200, what)
      t.equal((await end()).exitCode, 0)
      await expect(token, 401, what)
      const again = await post(edge, { grant_type: 'refresh_token', refresh_token: refresh })
      t.equal(again.status, 401, what)
    }
    for (const { send } of clients)
      t.equal((await send('GET', '/v2/', { headers: bearer(bob) })).status, 200)
    t.match(await user(edge, file, ['logout', 'alice']), {
      exitCode: 1,
      stderr: /no account alice/,
    })
    t.equal(statSync(join(edge.dataDirectory, 'tokens.json')).mode & 0o777, 0o600)
    t.notMatch(JSON.stringify(edge.lines()), new RegExp(`${bob.slice(-40)}|${PASSWORD}|ert_`))
  })

for (const threads of [1, 4])
  tap.test(`R527: ${threads} thread(s): who was removed comes back with nothing`, async t => {
    const { edge, file } = await open(t, { threads })
    const before = readFileSync(file, 'utf8')
    const login = async () => {
      const { token, body } = await get(edge, '?offline_token=true', basic('alice', PASSWORD))
      return { token, grant: refreshGrant(body) }
    }
    const { token, grant } = await login()
    t.equal((await user(edge, file, ['rm', 'alice'])).exitCode, 0)
    writeFileSync(file, before)
    // Whoever looks takes the file as it is.
    t.equal((await askSocket(edge.socket, '/api/v1/accounts/look', { method: 'POST' })).status, 200)
    const clients = await reachThreads(t, edge.url, threads)
    for (const { send } of clients) {
      const headers = basic('alice', PASSWORD)
      t.equal((await send('GET', '/v2/', { headers })).status, 200, 'it is there again')
      t.equal((await send('GET', '/v2/', { headers: bearer(token) })).status, 401)
    }
    t.equal((await post(edge, grant)).status, 401)
    const again = await login()
    t.equal((await post(edge, again.grant)).status, 200)
    // The file as a whole is refused: she is told so, and her logins end.
    appendFileSync(file, 'carol:broken\n')
    t.match(await user(edge, file, ['rm', 'alice']), { exitCode: 1, stderr: /accounts of before/ })
    t.equal((await post(edge, again.grant)).status, 401)
    t.equal((await edge.get('/v2/', basic('alice', PASSWORD))).status, 200)
  })

tap.test('R527: who was removed while nobody asked for a token, or over a restart', async t => {
  const first = await open(t)
  const { file, upstreams, config } = first
  const before = readFileSync(file, 'utf8')
  const directory = await mkdtemp(join(tmpdir(), 'removed-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const start = () => startTestEdge(t, { upstreams, config, directory })
  let edge = await start()
  const grants: Headers[] = []
  for (const name of ['alice', 'bob'])
    grants.push(refreshGrant((await get(edge, '?offline_token=true', basic(name, PASSWORD))).body))
  await edge.stop()
  edge = await start()
  writeFileSync(file, before.replace(/^alice.*\n/, ''))
  for (const text of [before.replace(/^alice.*\n/, ''), before]) {
    writeFileSync(file, text)
    await edge.reloaded(upstreams, config)
  }
  const statuses = async () => {
    const all = await Promise.all(grants.map(grant => post(edge, grant)))
    return all.map(({ status }) => status)
  }
  t.same(await statuses(), [401, 200], 'by a reload')
  await edge.stop()
  writeFileSync(file, before.replace(/^bob.*\n/m, ''))
  edge = await start()
  await edge.stop()
  writeFileSync(file, before)
  edge = await start()
  t.same(await statuses(), [401, 401], 'over a restart')
})

for (const threads of [1, 4])
  tap.test(`R531: ${threads} thread(s): a reload under way brings nobody back`, async t => {
    const { edge, file, upstreams, config } = await open(t, { threads })
    const clients = await reachThreads(t, edge.url, threads)
    const removedMeanwhile = (next: Config): Config => {
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^alice.*\n/, ''))
      return next
    }
    const expectBobAlone = async () => {
      for (const { send } of clients) {
        t.equal((await send('GET', '/v2/', { headers: basic('alice', PASSWORD) })).status, 401)
        t.equal((await send('GET', '/v2/', { headers: basic('bob', PASSWORD) })).status, 200)
      }
    }
    await edge.reloaded(upstreams, config, removedMeanwhile)
    await expectBobAlone()
    // As read for the next reload she is there, and by its time the file is faulty.
    const [removed, whole] = [readFileSync(file, 'utf8'), `alice:${HASH}\nbob:${HASH}\n`]
    writeFileSync(file, whole)
    const spoilt = (next: Config): Config => {
      writeFileSync(file, `${removed}carol:broken\n`)
      return next
    }
    await edge.reloaded(upstreams, config, spoilt)
    await expectBobAlone()
  })

tap.test('R531: who is removed while the edge starts is nobody when it serves', async t => {
  const { upstreams, config, file } = await open(t)
  const directory = await mkdtemp(join(tmpdir(), 'removed-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const starting = startTestEdge(t, { upstreams, config, directory })
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^alice.*\n/, ''))
  const edge = await starting
  t.equal((await edge.get('/v2/', basic('alice', PASSWORD))).status, 401)
  t.equal((await edge.get('/v2/', basic('bob', PASSWORD))).status, 200)
})

tap.test('R520: a logout of whom there is not says so', async t => {
  const { edge, file } = await open(t)
  const faults: readonly (readonly [string, RegExp])[] = [
    ['carol', /has no account carol.*user ls/],
    ['robot:ci', /is a robot: "entrepot token revoke"/],
  ]
  for (const [name, stderr] of faults)
    t.match(await user(edge, file, ['logout', name]), { exitCode: 1, stdout: '', stderr }, name)
  const none = await startTestEdge(t, { upstreams: {}, config: { default: 'localhost' } })
  t.match(await user(none, file, ['logout', 'alice']), { exitCode: 1, stderr: /no accounts/ })
})

tap.test('R181, R133: a token says who, and rules of now say what', async t => {
  const { edge, upstreams, config } = await open(t)
  const { token } = await get(edge, '?scope=repository:team/closed:pull', basic('alice', PASSWORD))
  for (let time = 0; time < 3; time += 1)
    t.equal((await edge.get(CLOSED, bearer(token))).status, 200)
  t.equal((await edge.get('/v2/_catalog', bearer(token))).status, 200)
  await edge.reloaded(upstreams, { ...config, access: RULES.slice(0, 1) })
  t.equal((await edge.get(CLOSED, bearer(token))).status, 404)
  t.equal((await edge.get('/v2/_catalog', bearer(token))).status, 403)
  await edge.reloaded(upstreams, config)
  t.equal((await edge.get(CLOSED, bearer(token))).status, 200)
})

tap.test('R131: without accounts there are no tokens', async t => {
  const edge = await startTestEdge(t, { upstreams: {}, config: { default: 'localhost' } })
  t.equal((await get(edge, '')).status, 404)
  t.equal((await get(edge, '', basic('alice', PASSWORD))).status, 404)
})
