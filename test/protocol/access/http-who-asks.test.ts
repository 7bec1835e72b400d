// Goal: web pages, foreign names and credentials are refused at the door, also where the answer is
// in memory; and what a HEAD says to who may push is never what somebody else was told. Method: the
// data port with a memory, over real sockets; whom a connection belongs to is the test's.
import t from 'tap'
import type { Owner } from '../../../src/access/access.ts'
import { createLocalAccess } from '../../../src/access/local-access.ts'
import type { Connection, ConnectionOwners } from '../../../src/http/connection-owners.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { createTestApp, LOCAL_RULES, type TestAppOptions } from '../../kit/worlds/http-app.ts'
import { createKeepAliveClient, type KeepAliveClient } from '../../kit/clients/keep-alive-client.ts'
import { errorCodeOf } from '../../kit/clients/raw-push.ts'
import { get } from '../../kit/clients/raw-client.ts'

const ALWAYS = {
  sinceMs: Number.NEGATIVE_INFINITY,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}

interface Test {
  teardown(fn: () => unknown): unknown
}

async function open(t: Test, options: TestAppOptions = {}) {
  const parts = createTestApp(t, { epochs: createEpochs(), ...options })
  parts.registry.repeatable = ALWAYS
  const digest = parts.registry.addBlob('docker.io/a/b', Buffer.from('small'))
  const url = await parts.listen()
  const client = () => {
    const { ask, close } = createKeepAliveClient(url)
    t.teardown(close)
    return ask
  }
  return { ...parts, url, digest, blob: `/v2/a/b/blobs/${digest}`, client }
}

/** Asked until it is in memory; leaves nothing to ask the registry for. */
async function remember(
  ask: KeepAliveClient['ask'],
  path: string,
  options: Parameters<KeepAliveClient['ask']>[1] = {},
): Promise<void> {
  for (let count = 0; count < 4; count += 1) await ask(path, options)
}

const MARKS = [
  { origin: 'https://evil.example' },
  { Origin: 'null' },
  { 'sec-fetch-site': 'cross-site' },
  { 'Sec-Fetch-Dest': 'image' },
  { 'sec-ch-ua': '"x"' },
  { 'accept-language': 'de' },
  // What a page may set itself where browsers send no Sec-Fetch-…
  { 'accept-language': '*', 'user-agent': 'x' },
  { 'accept-language': '', 'user-agent': 'x' },
  { priority: 'u=4' },
  { 'upgrade-insecure-requests': '1' },
  { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' },
] as const

t.test('R246: no web page reads, neither what is looked up nor what is in memory', async t => {
  const { registry, blob, client } = await open(t)
  const ask = client()
  await remember(ask, blob)
  const calls = registry.calls.length
  const paths = ['/v2/', '/v2/_catalog', '/v2/_oci/ext/discover', '/v2/a/b/tags/list', blob]
  for (const headers of MARKS) {
    const host = 'evil.example'
    for (const path of paths) {
      const answer = await ask(path, { headers: { host, ...headers } })
      t.equal(answer.status, 403, `${path} ${Object.keys(headers).join()}`)
    }
    const { status, body } = await ask(blob, { headers })
    t.equal(status, 403)
    t.match(String(body), /DENIED.*this registry answers no web pages/)
  }
  t.equal(registry.calls.length, calls, 'and nothing was asked for them')
  t.equal((await ask(blob)).status, 200, 'programs are answered')
  t.equal(registry.calls.length, calls, 'from memory')
  const node = { 'accept-language': '*', 'sec-fetch-mode': 'cors', 'user-agent': 'node' }
  t.equal((await ask(blob, { headers: node })).status, 200, 'as Node’s fetch asks')
})

t.test('a refusal is noted as one', async t => {
  const { url, untilCompleted } = await open(t)
  await get(`${url}/v2/_catalog`, { origin: 'null' })
  t.match((await untilCompleted(1))[0], { status: 403, errorCode: 'DENIED', level: 'info' })
})

t.test('R247: with a list of hosts no other name is answered, from memory neither', async t => {
  const rules = { ...LOCAL_RULES, hosts: ['edge.example.com'] }
  let hosts: readonly string[] | undefined
  const epochs = createEpochs()
  const access = createLocalAccess(() => ({ ...rules, hosts }))
  const { blob, client, url } = await open(t, { access, epochs })
  const ask = client()
  const at = (host: string) => ask(blob, { headers: { host } })
  await remember(ask, blob, { headers: { host: 'evil.example' } })
  t.equal((await at('evil.example')).status, 200, 'before there is a list')
  // As a reload does.
  hosts = rules.hosts
  epochs.bumpAll()
  for (let count = 0; count < 4; count += 1) {
    t.equal((await at('evil.example')).status, 403)
    t.equal((await at('edge.example.com:5000')).status, 200)
    t.equal((await at('localhost')).status, 200)
  }
  t.equal((await get(`${url}/livez`, { host: '10.0.0.1' })).status, 200, 'load balancers ask')
})

t.test(
  'R248: credentials are refused by 401 where a login tries them, and none are asked for',
  async t => {
    const { blob, client, url, registry } = await open(t)
    const ask = client()
    await remember(ask, blob)
    const calls = registry.calls.length
    const headers = { authorization: 'Basic dTpw' }
    const answer = await get(`${url}/v2/`, headers)
    t.equal(answer.status, 401)
    t.equal(errorCodeOf(answer), 'UNAUTHORIZED')
    t.match(answer.headers['www-authenticate'], /^Basic realm="/)
    t.match(answer.body.toString(), /has no accounts/)
    t.equal((await ask('/v2/', { headers })).status, 401, 'on a connection that is used again')
    t.equal((await get(`${url}/v2/`)).status, 200, 'without any')
    for (const path of [blob, '/v2/_catalog']) {
      t.equal((await get(url + path, headers)).status, 200, `${path}: what is read is nobody's`)
      t.equal((await ask(path, { headers })).status, 200)
    }
    t.ok(registry.calls.length >= calls)
    const push = await get(`${url}/v2/localhost/a/blobs/uploads/`, headers, { method: 'POST' })
    t.equal(push.status, 401)
  },
)

/** Each new connection belongs to the next of these. */
function takingTurns(uids: readonly number[]): ConnectionOwners & { readonly asked: () => number } {
  const known = new Map<Connection, Owner>()
  let asked = 0
  return {
    asked: () => asked,
    known: connection => known.get(connection),
    async find(connection) {
      asked += 1
      const owner = known.get(connection) ?? { kind: 'user', uid: uids[known.size] ?? 33 }
      known.set(connection, owner as Owner)
      return owner as Owner
    },
  }
}

t.test(
  'a HEAD that begins a push is not told from memory what another program was told',
  async t => {
    const owners = takingTurns([33, 0])
    const { registry, digest, client } = await open(t, { owners })
    registry.addBlob('localhost/a/b', Buffer.from('small'))
    const blob = `/v2/localhost/a/b/blobs/${digest}`
    const seen: unknown[] = []
    const { headBlob } = registry
    registry.headBlob = (repository, digest, options) => {
      seen.push(options?.mayPush)
      return headBlob(repository, digest, options)
    }
    const daemon = client()
    await remember(daemon, blob, { method: 'HEAD' })
    t.ok(seen.length < 4, 'a daemon’s are in memory')
    t.ok(seen.every(mayPush => mayPush === false))
    seen.length = 0
    const root = client()
    t.equal((await root(blob, { method: 'HEAD' })).status, 200)
    t.same(seen, [true], 'the first of a connection is looked at')
    seen.length = 0
    for (let count = 0; count < 3; count += 1) await root(blob, { method: 'HEAD' })
    t.same(seen, [true, true, true], 'and so is each that follows')
    seen.length = 0
    t.equal((await daemon(blob, { method: 'HEAD' })).status, 200)
    t.same(seen, [], 'the daemon’s is in memory all the while')
  },
)

t.test('where nobody may push, whoever asks is told from memory by HEAD as well', async t => {
  const { registry, blob, client } = await open(t, { owners: takingTurns([33, 0]) })
  await remember(client(), blob, { method: 'HEAD' })
  const calls = registry.calls.length
  t.equal((await client()(blob, { method: 'HEAD' })).status, 200)
  t.equal(registry.calls.length, calls)
})

t.test('reading asks nobody whom a connection belongs to', async t => {
  const owners = takingTurns([0])
  const { blob, client } = await open(t, { owners })
  const ask = client()
  await remember(ask, blob)
  await ask('/v2/_catalog')
  await ask('/v2/a/b/tags/list')
  t.equal(owners.asked(), 0)
  await ask(blob, { method: 'HEAD' })
  t.equal(owners.asked(), 1)
})

t.test('R274: who begins uploads is told apart by whose connection it is', async t => {
  const { registry, url } = await open(t, { owners: takingTurns([0, 1_000]) })
  const clients: unknown[] = []
  const begin = registry.startUpload.bind(registry)
  const startUpload: typeof begin = (repository, options) => {
    clients.push(options.client)
    return begin(repository, options)
  }
  Object.assign(registry, { startUpload })
  for (let count = 0; count < 2; count += 1) {
    const path = '/v2/localhost/a/blobs/uploads/'
    t.equal((await get(url + path, {}, { method: 'POST' })).status, 202)
  }
  t.same(clients, ['uid:0', 'uid:1000'], 'and not by the address that all of them have')
})
