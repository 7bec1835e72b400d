// Goal: no client has more under way at once than the operator lets one have, on all threads
// together; others, and a ping, notice nothing; what is refused is told which limit it was. Method:
// the whole edge in process, before a stub registry, and the data port over a registry double, with
// pushes that are held in the middle: that they are under way is told by their 100 Continue.
import { connect, type Socket } from 'node:net'
import t from 'tap'
import type { Accounts } from '../../../src/access/accounts.ts'
import { createLocalAccess } from '../../../src/access/local-access.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { createTestApp, LOCAL_RULES, type TestAppOptions } from '../../kit/worlds/http-app.ts'
import { makeImage } from '../../kit/image.ts'
import { createKeepAliveClient } from '../../kit/clients/keep-alive-client.ts'
import { APP, UPLOADS } from '../../kit/clients/open-upload.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const [ONE, OTHER] = ['127.0.0.2', '127.0.0.3']
const GO_ON = /^HTTP\/1\.1 100 /
const TOO_MANY = /^HTTP\/1\.1 429 /
const MANIFEST = 'PUT /v2/localhost/slow/manifests/v1'
const BYTES = 10
const MIB = 1024 * 1024

interface Held {
  readonly socket: Socket
  /** What the server says next. */
  next(): Promise<string>
  /** Begins a push with a body, and sends none of it; what is said to that. */
  begin(line?: string, headers?: readonly string[]): Promise<string>
}

/** A connection from `from`, ended with the test. */
async function open(t: { teardown(fn: () => unknown): unknown }, url: string, from: string) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), localAddress: from })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await new Promise(resolve => socket.once('connect', resolve))
  const held: Held = {
    socket,
    next: () => new Promise(resolve => socket.once('data', data => resolve(data.toString()))),
    begin(line = MANIFEST, headers = []) {
      const said = held.next()
      const lines = [
        `${line} HTTP/1.1`,
        `Host: ${hostname}:${port}`,
        'Content-Type: application/vnd.oci.image.manifest.v1+json',
        `Content-Length: ${BYTES}`,
        'Expect: 100-continue',
        ...headers,
      ]
      socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      return said
    },
  }
  return held
}

for (const threads of [1, 4])
  t.test(`R712: ${threads} thread(s) let one address have so much, and others too`, async t => {
    const image = makeImage({ seed: 'limits' })
    const stub = await startStub(t)
    stub.addImage('team/app', 'v1', image)
    const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
    const http = { addr: '127.0.0.1:0', threads }
    const limits = { address: { requests: 4 } }
    const edge = await startTestEdge(t, { upstreams, config: { http: { ...http, limits } } })
    const one = createKeepAliveClient(edge.url, 1, ONE)
    const other = createKeepAliveClient(edge.url, 1, OTHER)
    t.teardown(() => [one, other].map(client => client.close()))
    const headers = { accept: image.manifest.mediaType }
    const pull = (client: typeof one) => client.ask('/v2/team/app/manifests/v1', { headers })
    for (let time = 0; time < 3; time += 1) t.equal((await pull(one)).status, 200)
    const held: Held[] = []
    for (let count = 0; count < 4; count += 1) {
      const each = await open(t, edge.url, ONE)
      t.match(await each.begin(), GO_ON)
      held.push(each)
    }
    const refused = await (await open(t, edge.url, ONE)).begin()
    t.match(refused, TOO_MANY)
    t.match(refused, /\r\nRetry-After: 5\r\n/)
    t.match(
      refused,
      /"TOOMANYREQUESTS".*takes 4 requests .* address \(http\.limits\.address\.requests\)/,
    )
    t.equal((await pull(one)).status, 429, 'from memory, too')
    t.equal((await one.ask('/v2/')).status, 200, 'R2: a ping is never limited')
    t.equal((await pull(other)).status, 200)
    t.match(await (await open(t, edge.url, OTHER)).begin(), GO_ON)
    const [first] = held
    const answered = first?.next()
    first?.socket.write('x'.repeat(BYTES))
    t.match(await answered, /^HTTP\/1\.1 400 /)
    t.match(await first?.begin(), GO_ON, 'what is over makes place')
    await edge.reloaded(upstreams, { http: { ...http, limits: { address: { requests: 5 } } } })
    t.match(await (await open(t, edge.url, ONE)).begin(), GO_ON)
    t.match(await (await open(t, edge.url, ONE)).begin(), TOO_MANY, 'a reload is gone by')
    await edge.reloaded(upstreams, { http })
    t.match(await (await open(t, edge.url, ONE)).begin(), GO_ON)
  })

for (const threads of [1, 4])
  t.test(`R738: ${threads} thread(s): one client at its limits keeps no other waiting`, async t => {
    const image = makeImage({ seed: 'fair', layers: [32 * MIB, 2_000] })
    const [large, small] = image.layers.map(({ digest }) => `/v2/team/app/blobs/${digest}`)
    const stub = await startStub(t)
    stub.addImage('team/app', 'v1', image)
    const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
    const limits = { address: { requests: 20, streams: 2 } }
    const config = { http: { addr: '127.0.0.1:0', threads, limits } }
    const edge = await startTestEdge(t, { upstreams, config })
    const one = createKeepAliveClient(edge.url, 1, ONE)
    const other = createKeepAliveClient(edge.url, 1, OTHER)
    t.teardown(() => [one, other].map(client => client.close()))
    const headers = { accept: image.manifest.mediaType }
    const pull = async (client: typeof one) => {
      const manifest = await client.ask('/v2/team/app/manifests/v1', { headers })
      const blobs = [await client.ask(large ?? ''), await client.ask(small ?? '')]
      return [manifest, ...blobs].map(({ status, body }) => `${status} ${body.length}`)
    }
    const whole = [`200 ${image.manifest.bytes.length}`, `200 ${32 * MIB}`, '200 2000']
    // From memory and open files by then.
    for (const client of [one, other])
      for (let time = 0; time < 3; time += 1) t.same(await pull(client), whole)
    const held: Socket[] = []
    for (let count = 0; count < 2; count += 1) {
      const { socket, next } = await open(t, edge.url, ONE)
      const said = next()
      socket.write(`GET ${large} HTTP/1.1\r\nHost: ${new URL(edge.url).host}\r\n\r\n`)
      t.match(await said, /^HTTP\/1\.1 200 /)
      held.push(socket.pause())
    }
    for (let time = 0; time < 20; time += 1) {
      t.equal((await one.ask(small ?? '')).status, 429, 'a small blob from memory is one, too')
      t.equal((await one.ask(large ?? '')).status, 429)
      t.same(await pull(other), whole)
    }
    t.equal((await one.ask('/v2/team/app/manifests/v1', { headers })).status, 200)
    t.equal((await one.ask(small ?? '', { method: 'HEAD' })).status, 200)
    for (const socket of held) t.notOk(socket.destroyed, 'nobody had to leave for it')
    for (const socket of held) socket.destroy()
  })

const NAMES: Readonly<Record<string, string>> = { a: 'alice', b: 'bob' }
const ACCOUNTS: Accounts = {
  verify: async ({ name }) => ({
    login: { kind: 'account', name: NAMES[name] ?? name },
    forMs: Infinity,
  }),
  readToken: async () => ({ login: { kind: 'refused', byToken: true }, forMs: 0 }),
  issueToken: async () => ({ kind: 'refused' }),
}
const login = (name: string) =>
  `Authorization: Basic ${Buffer.from(`${name}:p`).toString('base64')}`

t.test('R713: one account has so many uploads, from wherever; others have theirs', async t => {
  const accounts = { realm: 'Registry', groups: {}, isEmpty: false }
  const { listen, registry, clock, lines, metrics } = createTestApp(t, {
    access: createLocalAccess(() => ({ ...LOCAL_RULES, accounts })),
    accounts: ACCOUNTS,
    clientLimits: () => ({ address: {}, account: { uploads: 1 } }),
  })
  await clock.advance(1)
  const url = await listen()
  const begin = async (from: string, name: string) => {
    const { id } = await registry.startUpload(APP, { algorithm: 'sha256' })
    return (await open(t, url, from)).begin(`PATCH ${UPLOADS}${id}`, [login(name)])
  }
  t.match(await begin(ONE, 'a'), GO_ON)
  for (const from of [OTHER, ONE, OTHER]) {
    const refused = await begin(from, 'a')
    t.match(refused, TOO_MANY)
    t.match(refused, /1 uploads at once of one account \(http\.limits\.account\.uploads\)/)
  }
  t.match(await begin(ONE, 'b'), GO_ON)
  const begun = await (await open(t, url, ONE)).begin(MANIFEST.replace('slow', 'app'), [login('a')])
  t.match(begun, GO_ON, 'a manifest is no upload')
  const told = lines().filter(({ msg }) => msg === 'a client has as much under way as one may')
  t.match(told, [{ limit: 'http.limits.account.uploads', most: 1, account: 'alice' }])
  t.equal(told.length, 1, 'once a minute')
  const { text } = await metrics.render()
  t.match(text, 'entrepot_clients_limited_total{of="account",limited="uploads"} 3')
})

const BLOB = `/v2/localhost/app/blobs/sha256:${'0'.repeat(64)}`

t.test('R713: blobs that are sent count by themselves', async t => {
  const { client, first, release } = await holdBlob(t)
  const second = await client.ask(BLOB)
  t.equal(second.status, 429)
  t.match(second.body.toString(), /"TOOMANYREQUESTS".*1 blobs at once of one address/)
  const head = client.ask(BLOB, { method: 'HEAD' })
  release()
  t.equal((await head).status, 404, 'who asks whether it is there is sent none')
  t.equal((await first).status, 404)
})

t.test('R712: whom a listed proxy asks for is limited, and itself is not', async t => {
  const proxies = () => ({ trusted: [{ address: ONE, bits: 32 }], protocol: 'none' }) as const
  const { client, first, release } = await holdBlob(t, { proxies })
  const ask = (address: string) =>
    client.ask(BLOB, { headers: address === '' ? {} : { 'X-Forwarded-For': address } })
  const another = ask('10.0.0.1')
  t.equal((await ask('10.0.0.1')).status, 429)
  const others = [ask('10.0.0.2'), ask(''), ask('unknown')]
  release()
  for (const answer of [first, another, ...others]) t.equal((await answer).status, 404)
})

/** One blob at once, and a client from ONE that waits for it until `release`. */
async function holdBlob(t: Parameters<typeof createTestApp>[0], more: TestAppOptions = {}) {
  const { listen, registry } = createTestApp(t, {
    ...more,
    clientLimits: () => ({ address: { streams: 1 }, account: {} }),
  })
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  registry.before = () => {
    asked.resolve()
    return gate.promise
  }
  const client = createKeepAliveClient(await listen(), 9, ONE)
  t.teardown(() => client.close())
  const first = client.ask(BLOB)
  await asked.promise
  return { client, first, release: gate.resolve }
}
