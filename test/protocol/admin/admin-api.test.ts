// Goal: who may run the edge from another machine is whom a rule allows it, by a login or a
// certificate, as rules and accounts are now; web pages, other names and guesses get nothing, and
// what was done is told of who did it. Method: the whole edge in process on real files, plain on
// loopback and over TLS, with raw clients and node's own.
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, request, type RequestOptions } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import tap from 'tap'
import { OF_ACCOUNT_AND_ADDRESS } from '../../../src/accounts/failed-logins.ts'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { CONNECTIONS_MAX } from '../../../src/server/operator-crowd.ts'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { send } from '../../kit/clients/raw-client.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const NONE = { 'quay.io': { url: 'http://127.0.0.1:9' } }
const ALL = ['pull', 'push', 'delete', 'list', 'admin']
const STATUS = '/api/v1/status'
const PIN = '/api/v1/pins/pin?pattern=quay.io/team/app:v1'

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>
type Headers = Readonly<Record<string, string>>

const basic = (name: string, password = 's3cret'): Headers => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const ALICE = basic('alice')
const BOB = basic('bob')

const admins = (...whos: readonly string[]) => whos.map(who => ({ who, match: '**', allow: ALL }))
const FOR_ALL = { who: '*', match: '**', allow: ['pull', 'list'] }
const RULES = [...admins('alice', 'robot:ci'), FOR_ALL]

async function open(t: Test, access: readonly object[] = RULES, http: object = {}) {
  const directory = t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` })
  const htpasswd = join(directory, 'htpasswd')
  const audit = join(directory, 'audit.log')
  const config = {
    default: 'quay.io',
    http: { addr: '127.0.0.1:0', ...http },
    admin: { api: '127.0.0.1:0' },
    auth: { htpasswd: { path: htpasswd } },
    audit: { output: audit },
    access,
  }
  const edge = await startTestEdge(t, { upstreams: NONE, config })
  const ask = (headers: Headers = {}, path = STATUS, method = 'GET') =>
    send(`${edge.apiUrl}${path}`, method, { headers })
  const statusOf = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).status
  const rule = (next: readonly object[]) => edge.reloaded(NONE, { ...config, access: next })
  const lines = async () => {
    await edge.stop()
    const written = readFileSync(audit, 'utf8').trim().split('\n')
    return written.map(line => JSON.parse(line) as Readonly<Record<string, unknown>>)
  }
  return { edge, ask, statusOf, rule, lines, htpasswd }
}

tap.test('R745: a connection has one request at a time, and no heap of them', async t => {
  const { edge } = await open(t)
  const { hostname, port } = new URL(edge.apiUrl)
  const socket = connect(Number(port), hostname)
  let answers = ''
  socket.on('data', (data: Buffer) => {
    answers += data.toString()
  })
  const { authorization } = ALICE
  const head = `GET ${STATUS} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: ${authorization}\r\n\r\n`
  socket.on('error', () => {}).write(head.repeat(3))
  await once(socket, 'close')
  t.notMatch(answers, /HTTP/)
  t.equal((await send(`${edge.apiUrl}${STATUS}`, 'GET', { headers: ALICE })).status, 200)
})

tap.test('R740: whom a rule allows admin may, and nobody else', async t => {
  const { edge, ask, statusOf } = await open(t)
  t.match(JSON.parse((await ask(ALICE)).body.toString()), { version: 'test' })
  t.equal(await statusOf(BOB), 403)
  t.equal(await statusOf(), 401, 'a program of this machine is nobody here')
  const asked = await ask()
  t.match(asked.headers['www-authenticate'], /^Basic realm=/)
  t.notMatch(asked.body.toString(), /docker/, 'no client of a registry asks here')
  t.equal(await statusOf(ALICE, PIN, 'POST'), 200)
  t.equal(await statusOf(BOB, PIN, 'POST'), 403)
  t.equal(await statusOf(BOB, '/api/v1/none'), 403, 'what there is, who may not is not told')
  t.equal(await statusOf(ALICE, '/metrics'), 404)
  t.equal((await send(`${edge.adminUrl}${STATUS}`, 'GET', { headers: ALICE })).status, 404)
})

tap.test('R740: a token of the edge and a secret of a robot are taken', async t => {
  const { edge, statusOf } = await open(t)
  const answer = await edge.get('/v2/token', ALICE)
  const { token } = JSON.parse(answer.body.toString()) as { token: string }
  t.equal(await statusOf({ authorization: `Bearer ${token}` }), 200)
  const anonymous = await edge.get('/v2/token')
  const { token: nobodys } = JSON.parse(anonymous.body.toString()) as { token: string }
  t.equal(await statusOf({ authorization: `Bearer ${nobodys}` }), 401)
  const issue = (name: string) =>
    askSocket(edge.socket, `/api/v1/robots/issue?name=${name}&life=Infinity`, { method: 'POST' })
  const secretOf = async (name: string) => {
    const { secret } = JSON.parse((await issue(name)).body) as { secret: string }
    return secret
  }
  t.equal(await statusOf({ authorization: `Bearer ${await secretOf('ci')}` }), 200)
  t.equal(await statusOf({ authorization: `Bearer ${await secretOf('cd')}` }), 403)
})

tap.test('R740: rules and accounts are those of now', async t => {
  const { edge, statusOf, rule, htpasswd } = await open(t)
  t.equal(await statusOf(ALICE), 200)
  await rule([...admins('bob'), FOR_ALL])
  t.equal(await statusOf(ALICE), 403)
  t.equal(await statusOf(BOB), 200)
  writeFileSync(htpasswd, `alice:${HASH}\n`)
  await askSocket(edge.socket, '/api/v1/accounts/look', { method: 'POST' })
  t.equal(await statusOf(BOB), 401)
  await rule([FOR_ALL, ...admins('alice')])
  t.equal(await statusOf(ALICE), 403, 'the first rule decides')
})

tap.test('R740: without rules it is nobody’s, whoever has logged in', async t => {
  const { statusOf } = await open(t, [])
  t.equal(await statusOf(ALICE), 403)
  t.equal(await statusOf(), 401)
})

tap.test('R741: wrong logins are limited', async t => {
  const { ask, statusOf } = await open(t)
  for (let at = 0; at < OF_ACCOUNT_AND_ADDRESS.atOnce; at += 1)
    t.equal(await statusOf(basic('alice', `guess-${at}`)), 401)
  const limited = await ask(basic('alice', 'another'))
  t.equal(limited.status, 429)
  t.match(limited.headers['retry-after'], /^\d+$/)
  const forged = { ...basic('alice', 'third'), 'x-forwarded-for': '10.0.0.7' }
  t.equal(await statusOf(forged), 429, 'nobody says that another address asks')
})

tap.test('R741: web pages reach nothing, with a login or without', async t => {
  const { statusOf, ask } = await open(t)
  for (const mark of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
    { 'user-agent': 'Mozilla/5.0' },
    { 'access-control-request-method': 'POST' },
  ])
    t.equal(await statusOf({ ...ALICE, ...mark }, PIN, 'POST'), 403, JSON.stringify(mark))
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
    t.equal(await statusOf({ ...ALICE, 'content-type': type }, PIN, 'POST'), 415, type)
  const answer = await ask(ALICE)
  for (const name of ['set-cookie', 'access-control-allow-origin'])
    t.equal(answer.headers[name], undefined)
})

tap.test('R741: it answers to names of its own alone', async t => {
  const { edge, statusOf } = await open(t, RULES, { hosts: ['edge.lan'] })
  const { port } = new URL(edge.apiUrl)
  for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]', '10.1.2.3:5002', 'edge.lan:5002'])
    t.equal(await statusOf({ ...ALICE, host }), 200, host)
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example'])
    t.equal(await statusOf({ ...ALICE, host }), 403, host)
})

tap.test('R742: who did what is in the audit log, and who was refused', async t => {
  const { edge, statusOf, lines } = await open(t)
  await statusOf(ALICE, PIN, 'POST')
  await statusOf(ALICE)
  await statusOf(BOB, PIN, 'POST')
  await statusOf(basic('alice', 'wrong'))
  await statusOf()
  await askSocket(edge.socket, '/api/v1/pins/unpin?pattern=quay.io/team/app:v1', { method: 'POST' })
  const client = '127.0.0.1'
  const refused = { outcome: 'refused', client, endpoint: 'admin' }
  t.match(await lines(), [
    { audit: 'admin', action: 'pins/pin', who: 'alice', client, status: 200, asked: {} },
    { ...refused, audit: 'denied', who: 'bob', status: 403, reason: /allows admin to this client/ },
    { ...refused, audit: 'login', who: 'nobody', status: 401, reason: /not good here/ },
    { ...refused, audit: 'denied', who: 'anonymous', status: 401, reason: /asks for a login/ },
    { audit: 'admin', action: 'pins/unpin', who: 'operator', status: 200 },
  ])
})

tap.test('R735: who may not is told nothing of what there is, not even of paths', async t => {
  const { edge, statusOf, lines } = await open(t)
  for (const path of ['/%zz', '/api/v1/%zz', '/api/v1/%', '/', STATUS]) {
    t.equal(await statusOf({}, path), 401, path)
    t.equal(await statusOf(BOB, path), 403, path)
  }
  t.equal(await statusOf(ALICE, '/%zz'), 400)
  for (const last of ['7', '8', '9']) {
    const { hostname, port } = new URL(edge.apiUrl)
    const how = { hostname, port, path: STATUS, localAddress: `127.0.0.${last}`, agent: false }
    const [answer] = (await once(plainRequest(how).end(), 'response')) as [IncomingMessage]
    t.equal(answer.resume().statusCode, 401)
  }
  for (let at = 0; at < 20; at += 1) t.equal(await statusOf({ authorization: `x${at}` }), 401)
  const all = await lines()
  const denied = all.filter(({ who }) => who === 'anonymous')
  t.equal(denied.length, 1, 'one line a minute of who shows nothing, wherever from')
  const wrong = all.filter(({ audit }) => audit === 'login')
  t.match(wrong, [{ outcome: 'refused', who: 'nobody' }], 'R827: and of who shows nonsense')
  t.equal(wrong.length, 1)
})

const [FLOOD, QUIET, OPERATOR] = ['127.0.0.2', '127.0.0.3', '127.0.0.4']

/** Connections that say nothing. */
async function openSilent(t: Test, url: string, from: string, count: number) {
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  t.teardown(() => sockets.map(each => each.destroy()))
  for (let at = 0; at < count; at += 1) {
    const socket = connect({ host: hostname, port: Number(port), localAddress: from })
    sockets.push(socket.on('error', () => {}))
    await once(socket, 'connect')
  }
  return sockets
}

for (const isTls of [false, true])
  tap.test(
    `R734: ${isTls ? 'with' : 'without'} TLS silent connections keep nobody out`,
    async t => {
      const { edge, client } = await (isTls ? openTls(t) : openPlain(t))
      const [quiet] = await openSilent(t, edge.apiUrl, QUIET, 1)
      t.equal(await client(), 200)
      const flood = await openSilent(t, edge.apiUrl, FLOOD, CONNECTIONS_MAX + 20)
      const gone = () => flood.filter(({ closed }) => closed).length
      await edge.untilLogged('the operator’s API has too many connections, and cuts some')
      t.equal(await client(), 200, 'over the connection that was open')
      t.equal(await client(false), 200, 'and over another one')
      await Promise.all(flood.slice(0, 20).map(untilClosed))
      t.ok(gone() >= 20)
      t.notOk(quiet?.closed, 'the oldest, of somebody else')
      const { body } = await send(`${edge.adminUrl}/metrics`, 'GET')
      t.match(body.toString(), /entrepot_admin_connections_cut_total 2\d\n/)
      const ended = [...(quiet === undefined ? [] : [quiet]), ...flood].map(untilClosed)
      await edge.stop()
      await Promise.all(ended)
      t.equal(edge.lines().filter(({ connections }) => connections === CONNECTIONS_MAX).length, 1)
    },
  )

tap.test(
  'R734: a connection that was let in stays, also beside a flood from its address',
  async t => {
    const { edge } = await open(t)
    const agent = new PlainAgent({ keepAlive: true, maxSockets: 1, localAddress: FLOOD })
    t.teardown(() => agent.destroy())
    const asked = async () => {
      const asking = plainRequest(`${edge.apiUrl}${STATUS}`, { headers: ALICE, agent }).end()
      const [answer] = (await once(asking, 'response')) as [IncomingMessage]
      await once(answer.resume(), 'end')
      return { status: answer.statusCode, isSame: asking.reusedSocket }
    }
    t.same(await asked(), { status: 200, isSame: false })
    const [first] = await openSilent(t, edge.apiUrl, FLOOD, CONNECTIONS_MAX + 20)
    await edge.untilLogged('the operator’s API has too many connections, and cuts some')
    if (first !== undefined) await untilClosed(first)
    t.same(await asked(), { status: 200, isSame: true })
  },
)

async function untilClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

async function openPlain(t: Test) {
  const { edge } = await open(t)
  const agent = new PlainAgent({ keepAlive: true, maxSockets: 1, localAddress: OPERATOR })
  t.teardown(() => agent.destroy())
  const client = async (keeps = true) => {
    const how = {
      headers: ALICE,
      localAddress: OPERATOR,
      ...(keeps ? { agent } : { agent: false }),
    }
    const [answer] = (await once(
      plainRequest(`${edge.apiUrl}${STATUS}`, how).end(),
      'response',
    )) as [IncomingMessage]
    return answer.resume().statusCode
  }
  return { edge, client }
}

const authority = makeAuthority()

async function openTls(t: Test, server = makeCertificate()) {
  const files = t.testdir({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'clients.crt': authority.ca,
    htpasswd: `alice:${HASH}\n`,
  })
  const at = (name: string) => join(files, name)
  const audit = at('audit.log')
  const clients = at('clients.crt')
  const config = {
    default: 'quay.io',
    http: {
      addr: '127.0.0.1:0',
      localpush: false,
      tls: { certificate: at('tls.crt'), key: at('tls.key'), clientcas: [clients] },
    },
    admin: { api: '127.0.0.1:0' },
    auth: { htpasswd: { path: at('htpasswd') } },
    audit: { output: audit },
    access: [...admins('alice', 'cert:spiffe://site/ops'), FOR_ALL],
  }
  const edge = await startTestEdge(t, { upstreams: NONE, config })
  const statusOf = async (options: RequestOptions = {}) => {
    const sent = request(`${edge.apiUrl}${STATUS}`, { ca: server.ca, agent: false, ...options })
    sent.end()
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const client = (keeps = true) =>
    statusOf({ headers: ALICE, localAddress: OPERATOR, ...(keeps && { agent }) })
  return { edge, statusOf, client, clients, audit, reload: () => edge.reloaded(NONE, config) }
}

tap.test('R742: of the names of a certificate that one is told by which it may', async t => {
  const { edge, statusOf, audit } = await openTls(t)
  const names = ['spiffe://site/dev', 'spiffe://site/ops']
  const { key, cert } = makeCertificate({ authority, usage: 'client', names })
  t.equal(await statusOf({ key, cert, path: PIN, method: 'POST' }), 200)
  t.equal(await statusOf({ key, cert, path: PIN, method: 'POST', headers: ALICE }), 200)
  await edge.stop()
  const [first, second] = readFileSync(audit, 'utf8').trim().split('\n')
  t.match(JSON.parse(first ?? ''), { audit: 'admin', who: 'cert:spiffe://site/ops' })
  // The rule of the account stands before that of the certificate.
  t.match(JSON.parse(second ?? ''), { audit: 'admin', who: 'alice' })
})

const certified = (name: string) => {
  const { key, cert } = makeCertificate({ authority, usage: 'client', names: [name] })
  return { key, cert }
}

tap.test('R740: over TLS a certificate is enough, and a login too', async t => {
  const { edge, statusOf } = await openTls(t)
  t.match(edge.apiUrl, /^https:/)
  t.equal(await statusOf(certified('spiffe://site/ops')), 200)
  t.equal(await statusOf(certified('spiffe://site/dev')), 401)
  t.equal(await statusOf({ headers: ALICE }), 200)
  t.equal(await statusOf(), 401)
  const withPage = {
    ...certified('spiffe://site/ops'),
    headers: { origin: 'https://evil.example' },
  }
  t.equal(await statusOf(withPage), 403, 'browsers show certificates by themselves')
  const wrong = { ...certified('spiffe://site/ops'), headers: basic('alice', 'wrong') }
  t.equal(await statusOf(wrong), 401)
})

tap.test('R740: authorities of now say whose certificate it is', async t => {
  const { statusOf, clients, reload } = await openTls(t)
  const mine = certified('spiffe://site/ops')
  t.equal(await statusOf(mine), 200)
  writeFileSync(clients, makeAuthority().ca)
  await reload()
  t.not(await statusOf(mine), 200)
})

tap.test('R741: it is called by the names that its certificate is a pattern for', async t => {
  const names = ['*.example.com', 'localhost']
  const { statusOf } = await openTls(t, makeCertificate({ names }))
  const by = (host: string) => statusOf({ servername: 'localhost', headers: { ...ALICE, host } })
  t.equal(await by('edge.example.com:5002'), 200)
  for (const host of ['example.com', 'a.edge.example.com', 'edge.example.org', '*.evil.org'])
    t.equal(await by(host), 403, host)
})
