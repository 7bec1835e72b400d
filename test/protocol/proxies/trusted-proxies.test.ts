// Goal: behind a listed proxy everything goes by who asks it: rules, memory, limits, realms, names,
// the log; and nobody else can say who asks. Method: clients that call from several addresses of
// loopback, one of them listed as a proxy's: over a registry double for what is in memory, and over
// the whole edge in process, with one thread and with four.
import { join } from 'node:path'
import tap from 'tap'
import { createLocalAccess } from '../../../src/access/local-access.ts'
import { OF_ACCOUNT_AND_ADDRESS } from '../../../src/accounts/failed-logins.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { createTestApp, LOCAL_RULES } from '../../kit/worlds/http-app.ts'
import {
  createKeepAliveClient,
  headerOf,
  type KeepAliveClient,
} from '../../kit/clients/keep-alive-client.ts'
import { loadText } from '../../kit/load-text.ts'
import { reachThreads, type ThreadClient } from '../../kit/clients/thread-clients.ts'

/** Listed, and as good as listed. */
const [PROXY, OTHER] = ['127.0.0.2', '127.0.0.3']
const [FRIEND, STRANGER] = ['192.0.2.7', '192.0.2.8']
const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const RULES = [
  { who: `net:${FRIEND}`, match: 'localhost/team/**', allow: ['pull', 'push', 'list'] },
  { who: `net:${PROXY}`, match: 'localhost/own/**', allow: ['pull', 'push'] },
]

type Headers = Readonly<Record<string, string>>
type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>

const by = (address: string, more: Headers = {}): Headers => ({
  'x-forwarded-for': address,
  ...more,
})

function configOf(text: string) {
  const result = loadText(text)
  if (result.kind === 'invalid') throw new Error(JSON.stringify(result.findings))
  return result.config
}

tap.test('R563: memory gives to who asks the proxy, and to nobody else', async t => {
  const config = configOf(
    `{ http: { trustedproxies: ["${PROXY}"] }, access: ${JSON.stringify(RULES)} }`,
  )
  const { access: rules, http } = config
  const parts = createTestApp(t, {
    access: createLocalAccess(() => ({ ...LOCAL_RULES, rules })),
    epochs: createEpochs(),
    proxies: () => ({ trusted: http.trustedProxies, protocol: 'none' }),
  })
  const { registry } = parts
  const untilMs = Number.POSITIVE_INFINITY
  registry.repeatable = { sinceMs: 0, untilMs, graceUntilMs: untilMs }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const bytes = Buffer.from('{"schemaVersion":2}')
  registry.addManifest('localhost/team/app', { bytes, mediaType, tag: 'v1' })
  const url = await parts.listen()
  const ends = [PROXY, OTHER].map(from => createKeepAliveClient(url, 1, from))
  t.teardown(() => ends.forEach(end => end.close()))
  const ask = async (end: (typeof ends)[number] | undefined, headers: Headers) =>
    (await end?.ask('/v2/localhost/team/app/manifests/v1', { headers }))?.status
  const [proxy, other] = ends
  for (let count = 0; count < 4; count += 1) t.equal(await ask(proxy, by(FRIEND)), 200)
  const calls = registry.calls.length
  for (let count = 0; count < 3; count += 1) {
    t.equal(await ask(proxy, by(FRIEND)), 200)
    t.equal(await ask(proxy, by(STRANGER)), 404)
    t.equal(await ask(proxy, by(`${FRIEND}, ${STRANGER}`)), 404, 'written by the client')
    t.equal(await ask(proxy, by(FRIEND, { 'x-real-ip': STRANGER })), 400)
    t.equal(await ask(proxy, {}), 404)
    t.equal(await ask(other, by(FRIEND)), 404, 'not listed')
  }
  t.equal(registry.calls.length, calls, 'the registry was asked for none of them')
  const lines = await parts.untilCompleted(22)
  const clients = lines.slice(4, 10).map(({ client }) => client)
  t.same(clients, [FRIEND, STRANGER, STRANGER, 'unknown', PROXY, OTHER])
})

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'

interface Opened {
  readonly http?: object
  readonly upstreams?: Parameters<typeof startTestEdge>[1]['upstreams']
  readonly [key: string]: unknown
}

async function open(t: Test, { http = {}, upstreams = {}, ...more }: Opened = {}) {
  const config = {
    default: 'localhost',
    http: { addr: '127.0.0.1:0', trustedproxies: [PROXY], ...http },
    ...more,
  }
  const edge = await startTestEdge(t, { upstreams, config })
  /** One connection, from there. */
  const clientAt = (from: string) => {
    const client = createKeepAliveClient(edge.url, 1, from)
    t.teardown(() => client.close())
    return client
  }
  return { edge, config, clientAt }
}

function accounts(t: Test) {
  return { htpasswd: { path: join(t.testdir({ htpasswd: `alice:${HASH}\n` }), 'htpasswd') } }
}

const push = (client: ThreadClient, headers: Headers) =>
  client.send('POST', UPLOADS, { headers: { 'content-length': '0', ...headers } })

for (const threads of [1, 4]) {
  tap.test(`R560, R561: ${threads} thread(s) let in by who asks`, async t => {
    const { edge, config } = await open(t, { http: { threads }, access: RULES })
    const proxies = await reachThreads(t, edge.url, threads, PROXY)
    const others = await reachThreads(t, edge.url, threads, OTHER)
    for (const client of proxies) {
      t.equal((await push(client, by(FRIEND))).status, 202)
      t.equal((await push(client, { forwarded: `for=${FRIEND}` })).status, 202)
      t.equal((await push(client, { 'x-real-ip': FRIEND })).status, 202)
      t.equal((await push(client, by(STRANGER))).status, 403)
      t.equal((await push(client, by(`${FRIEND}, ${STRANGER}`))).status, 403)
      t.equal((await push(client, {})).status, 403, 'R566: the proxy is not who asks')
    }
    for (const client of others) t.equal((await push(client, by(FRIEND))).status, 403)
    // What is known of open connections goes by the list of now.
    await edge.reloaded({}, { ...config, http: { ...config.http, trustedproxies: [OTHER] } })
    for (const client of proxies) t.equal((await push(client, by(FRIEND))).status, 403)
    for (const client of others) t.equal((await push(client, by(FRIEND))).status, 202)
  })

  tap.test(`R567: ${threads} thread(s) tell once of a proxy that is not listed`, async t => {
    const { edge } = await open(t, { http: { threads } })
    const told = () =>
      edge.lines().filter(({ msg }) => msg === 'a proxy that is not listed seems in front')
    for (const client of await reachThreads(t, edge.url, threads, PROXY))
      await client.send('GET', '/v2/', { headers: by(STRANGER) })
    t.same(told(), [])
    for (const client of await reachThreads(t, edge.url, threads, OTHER))
      for (let count = 0; count < 3; count += 1)
        t.equal((await client.send('GET', '/v2/', { headers: by(STRANGER) })).status, 200)
    await edge.untilLogged('a proxy that is not listed seems in front')
    await edge.stop()
    t.match(told(), [{ level: 'warn', client: OTHER, hint: /http\.trustedproxies/ }])
  })

  tap.test(`R732: ${threads} thread(s) tell once of a listed proxy that says nothing`, async t => {
    const { edge } = await open(t, { http: { threads } })
    const message = 'a listed proxy does not say for whom it asks'
    const told = () => edge.lines().filter(({ msg }) => msg === message)
    const proxies = await reachThreads(t, edge.url, threads, PROXY)
    for (const client of proxies)
      for (const path of ['/v2/', '/livez']) await client.send('GET', path)
    for (const client of await reachThreads(t, edge.url, threads, OTHER))
      await client.send('GET', '/v2/_catalog')
    for (const client of proxies)
      await client.send('GET', '/v2/_catalog', { headers: by(STRANGER) })
    t.same(told(), [], 'what proxies ask for themselves, and what others do')
    for (const client of [...proxies, ...proxies]) await client.send('GET', '/v2/_catalog')
    await edge.untilLogged(message)
    await edge.stop()
    t.match(told(), [{ level: 'warn', client: PROXY, hint: /X-Forwarded-For/ }])
  })

  tap.test(`R563: ${threads} thread(s) count wrong logins by who asks`, async t => {
    const { edge } = await open(t, { http: { threads }, auth: accounts(t) })
    const proxies = await reachThreads(t, edge.url, threads, PROXY)
    const at = (index: number) => proxies[index % threads] as ThreadClient
    const login = async (client: ThreadClient, address: string, password: string) => {
      const encoded = Buffer.from(`alice:${password}`).toString('base64')
      const headers = by(address, { authorization: `Basic ${encoded}` })
      return (await client.send('GET', '/v2/', { headers })).status
    }
    for (let index = 0; index < OF_ACCOUNT_AND_ADDRESS.atOnce; index += 1)
      t.equal(await login(at(index), STRANGER, `guess-${index}`), 401)
    for (const client of proxies) t.equal(await login(client, STRANGER, 's3cret'), 429)
    for (const client of proxies) t.equal(await login(client, FRIEND, 's3cret'), 200)
    const told = edge.lines().filter(({ msg }) => String(msg).startsWith('logins are refused'))
    t.match(told, [{ limit: 'account and address', client: STRANGER }])
  })
}

tap.test('R562: clients are led back to the name and scheme that they called', async t => {
  const { clientAt } = await open(t, { auth: accounts(t) })
  const [proxy, other] = [clientAt(PROXY), clientAt(OTHER)]
  const realm = async (client: KeepAliveClient, headers: Headers) => {
    const answer = await client.ask('/v2/', { headers: { host: 'edge:5000', ...headers } })
    const challenge = headerOf(answer, 'www-authenticate') ?? ''
    return /realm="([^"]*)\/v2\/token"/.exec(challenge)?.[1]
  }
  const own = 'http://edge:5000'
  const called = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' }
  t.equal(await realm(proxy, by(FRIEND, called)), 'https://registry.example.com')
  t.equal(await realm(proxy, by(FRIEND, { 'x-forwarded-proto': 'http' })), own)
  t.equal(await realm(proxy, by(FRIEND)), own)
  const forwarded = `for=${FRIEND};proto=https;host="registry.example.com:8443"`
  t.equal(await realm(proxy, { forwarded }), 'https://registry.example.com:8443')
  for (const headers of [by(FRIEND, called), { forwarded }])
    t.equal(await realm(other, headers), own, 'from who is not listed neither follows')
})

tap.test(
  'R562: a name by which nobody is asked for a login is one in front of the proxy',
  async t => {
    const { clientAt } = await open(t, {
      http: { anonymous: ['mirror.lan'], hosts: ['edge.lan'] },
      auth: accounts(t),
      access: [{ who: 'anonymous', match: '**', allow: ['pull'] }],
    })
    const status = async (from: string, host: string) => {
      const headers = { host: 'edge.lan', ...by(FRIEND, { 'x-forwarded-host': host }) }
      return (await clientAt(from).ask('/v2/', { headers })).status
    }
    t.equal(await status(PROXY, 'mirror.lan'), 200)
    t.equal(await status(PROXY, 'edge.lan'), 401)
    t.equal(await status(PROXY, 'page.example'), 403, 'no name of the edge')
    for (const host of ['mirror.lan', 'page.example']) t.equal(await status(OTHER, host), 401)
  },
)

tap.test('R562: a name in front of the proxy may be that of an upstream', async t => {
  const { clientAt } = await open(t, {
    upstreams: { 'quay.io': { url: 'http://127.0.0.1:9', virtualhosts: ['quay.lan'] } },
    default: 'quay.io',
    access: [{ who: '*', match: '**', allow: ['pull', 'push'] }],
    repositories: [{ match: 'quay.io/**', push: 'store' }],
  })
  const [proxy, other] = [clientAt(PROXY), clientAt(OTHER)]
  const called = by(FRIEND, { 'x-forwarded-host': 'quay.lan' })
  // Of one component: localhost's, but by the name of an upstream.
  for (const [client, headers, repository] of [
    [proxy, called, 'quay.io/app'],
    [other, called, 'localhost/app'],
    [proxy, by(FRIEND), 'localhost/app'],
  ] as const) {
    const begun = await client.ask('/v2/app/blobs/uploads/', {
      method: 'POST',
      headers: { 'content-length': '0', ...headers },
    })
    t.equal(begun.status, 202)
    const location = headerOf(begun, 'location') ?? ''
    t.match(location, /^\/v2\/app\/blobs\/uploads\//, 'it leads back by whatever was called')
    t.equal((await client.ask(location, { headers })).status, 204, repository)
    const spelled = location.replace('/v2/app/', `/v2/${repository}/`)
    t.equal((await other.ask(spelled)).status, 204, repository)
  }
})

tap.test('R564: what a listed proxy passes on comes from no program of the machine', async t => {
  const http = { trustedproxies: ['127.0.0.1'] }
  const closed = await open(t, { http })
  const refused = await closed.edge.send('POST', UPLOADS)
  t.equal(refused.status, 403)
  t.match(refused.body.toString(), /http\.localpush: true, because http\.trustedproxies says/)
  const { edge } = await open(t, { http: { ...http, localpush: true } })
  t.equal((await edge.send('POST', UPLOADS)).status, 202, 'a client of the machine')
  for (const headers of [by('127.0.0.1'), { 'x-real-ip': '::1' }, { forwarded: 'for=127.0.0.1' }]) {
    const passed = await edge.send('POST', UPLOADS, { headers })
    t.equal(passed.status, 403)
    t.match(passed.body.toString(), /was passed on by a proxy/)
  }
})

for (const threads of [1, 4])
  tap.test(`R720: ${threads} thread(s) read what stands behind many headers`, async t => {
    const { edge } = await open(t, { http: { threads }, access: RULES })
    // More than node keeps by itself.
    const many = Object.fromEntries(Array.from({ length: 1_500 }, (_, at) => [`a${at}`, '1']))
    for (const client of await reachThreads(t, edge.url, threads, PROXY)) {
      t.equal((await push(client, { ...many, ...by(FRIEND) })).status, 202)
      t.equal((await push(client, { ...many, ...by(STRANGER) })).status, 403)
      const twice = await push(client, { ...by(FRIEND), ...many, 'x-real-ip': STRANGER })
      t.equal(twice.status, 400, 'what stands in front and behind')
    }
  })

tap.test('R565: what nobody can say who asks it is refused, before anything else', async t => {
  const { edge, clientAt } = await open(t, { access: RULES })
  const proxy = clientAt(PROXY)
  for (const headers of [
    by(FRIEND, { 'x-real-ip': STRANGER }),
    by(FRIEND, { forwarded: `for=${STRANGER}` }),
    by(FRIEND, { forwarded: 'for="' }),
    by(FRIEND, { 'x-forwarded-host': 'a/b' }),
  ]) {
    const answer = await proxy.ask('/v2/localhost/team/app/tags/list', { headers })
    t.equal(answer.status, 400, JSON.stringify(headers))
    t.match(JSON.parse(String(answer.body)), { errors: [{ code: 'UNSUPPORTED' }] })
  }
  await edge.untilLogged('request completed', 4)
  const clients = edge.lines().flatMap(each => (each['status'] === 400 ? [each['client']] : []))
  t.same([...new Set(clients)], ['unknown'])
})
