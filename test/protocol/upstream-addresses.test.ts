// Goal: nothing that a registry or a client says makes this edge connect into its own network, or carry credentials away from the
// registry (R145, R146, R188). Method: servers on loopback that lead elsewhere; names resolve by a table of the test.
import t from 'tap'
import { digestFrom } from '../../src/oci/digest.ts'
import type { UpstreamError } from '../../src/registry/ports/upstream.ts'
import { createConnector, type LookupAll } from '../../src/upstream/connector.ts'
import { bytesContent } from '../kit/content.ts'
import { makeImage } from '../kit/image.ts'
import { failureOf, LATEST, NAME, openUpstream, readAll, textsOf } from '../kit/open-upstream.ts'
import { GOOD_MANIFEST, type Scripted, startScript } from '../kit/scripted-server.ts'
import { startStubRegistry } from '../kit/stub-registry.ts'

const BLOB = bytesContent(Buffer.from('some bytes'))
const IMAGE = makeImage({ seed: 'addresses', layers: [10] })
const PASSWORD = 'canary-password'
const BASIC = { kind: 'basic', username: 'user', password: () => PASSWORD } as const

const PRIVATE = [
  'http://127.0.0.1:1/x',
  'http://2130706433:1/x',
  'http://0x7f.1:1/x',
  'http://0177.0.0.1:1/x',
  'http://[::1]:1/x',
  'http://[::ffff:7f00:1]:1/x',
  'http://[64:ff9b::7f00:1]:1/x',
  'http://[2002:7f00:1::]:1/x',
  'http://localhost:1/x',
  'http://10.0.0.1/x',
  'http://169.254.169.254/latest/meta-data/',
  'http://metadata.google.internal/x',
  'http://[fe80::1]/x',
  'http://[fd00:ec2::254]/x',
]

/** Every look-up is answered from the table, and noted. */
function lookupFrom(table: Readonly<Record<string, readonly string[]>>) {
  const asked: string[] = []
  const lookup: LookupAll = hostname => {
    asked.push(hostname)
    const addresses = table[hostname] ?? []
    return Promise.resolve(
      addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }) as const),
    )
  }
  return { lookup, asked }
}

t.test('R188: a redirect to a private address is refused in every form', async t => {
  let location = ''
  const server = await startScript(t, () => ({ status: 307, headers: { location } }))
  const { upstream } = openUpstream(t, server.url)
  for (location of PRIVATE) {
    const error = await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))
    t.equal(error.failure, 'refused', location)
  }
  t.equal(server.received.length, PRIVATE.length, 'and not tried again')
})

t.test('R188: so is a realm', async t => {
  let realm = ''
  const server = await startScript(t, () => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="${realm}"` },
  }))
  const { upstream } = openUpstream(t, server.url)
  for (realm of PRIVATE) {
    const error = await failureOf(upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'refused', realm)
  }
})

t.test('R188: so is a next page', async t => {
  let target = ''
  const server = await startScript(t, () => ({
    headers: { link: `<${target}>; rel="next"` },
    body: '{"tags":["a"]}',
  }))
  const { upstream } = openUpstream(t, server.url)
  for (target of [...PRIVATE, 'https://public.example/v2/x/tags/list']) {
    const error = await failureOf(upstream.listTags(NAME))
    t.equal(error.failure, 'refused', target)
  }
})

t.test('R188: so is an upstream that a client names, unless it is public', async t => {
  const hosts = ['127.0.0.1:1', '10.0.0.1', '169.254.169.254', '[::1]:1', 'evil.example', 'redis']
  const { lookup, asked } = lookupFrom({ 'evil.example': ['8.8.8.8', '127.0.0.1'] })
  for (const host of hosts) {
    const options = { namedByClient: true, lookup }
    const { upstream } = openUpstream(t, `http://${host}`, options)
    const error = await failureOf(upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'refused', host)
  }
  t.same(asked, ['evil.example'], 'what is an address is never looked up')
})

t.test('R188: a redirect to a name is judged by all addresses of that name', async t => {
  const target = await startScript(t, () => ({ body: 'inside' }))
  const server = await startScript(t, () => ({
    status: 307,
    headers: { location: `http://storage.example:${target.port}/blob` },
  }))
  for (const addresses of [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::ffff:127.0.0.1']]) {
    const { lookup } = lookupFrom({ 'storage.example': addresses })
    const { upstream } = openUpstream(t, server.url, { lookup })
    const error = await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))
    t.equal(error.failure, 'refused', addresses.join())
  }
  t.same(target.received, [], 'nothing was connected to')
})

t.test('R188: the address that was checked is the one that is connected to', async t => {
  const target = await startScript(t, () => ({}))
  const checked: string[][] = []
  let lookups = 0
  const connect = createConnector({
    trust: 'foreign',
    policy: {
      trustOf: () => 'foreign',
      checkHost: () => {},
      checkAddresses: (_name, addresses) => checked.push([...addresses]),
    },
    tls: {},
    connectMs: 5_000,
    // A name that changes its mind: a second look-up would lead to a closed door.
    lookup: () =>
      Promise.resolve([{ address: lookups++ === 0 ? '127.0.0.1' : '127.0.0.9', family: 4 }]),
  })
  const options = { protocol: 'http:', hostname: 'rebinding.example', port: String(target.port) }
  const address = await new Promise((resolve, reject) => {
    connect(options, (error, socket) => {
      if (error !== null) return reject(error)
      resolve(socket.remoteAddress)
      socket.destroy()
    })
  })
  t.equal(address, '127.0.0.1')
  t.equal(lookups, 1)
  t.same(checked, [['127.0.0.1']])
})

t.test('R153: when one address of the registry does not answer, the next one is tried', async t => {
  const server = await startScript(t, () => GOOD_MANIFEST)
  // Nobody listens on the second loopback address.
  const { lookup } = lookupFrom({ 'registry.example': ['127.0.0.2', '127.0.0.1'] })
  const { upstream } = openUpstream(t, `http://registry.example:${server.port}`, { lookup })
  t.ok(await upstream.getManifest(NAME, LATEST))
})

/** A registry that wants Basic and redirects blobs to `to`; a storage that counts. */
async function redirecting(t: Parameters<typeof startScript>[0], to: (storage: string) => string) {
  const storage = await startScript(t, ({ headers }) =>
    headers.authorization === undefined
      ? { headers: { etag: '"e"' }, body: 'some bytes' }
      : { status: 400, body: 'Only one auth mechanism allowed' },
  )
  const server = await startScript(t, ({ target, headers }): Scripted => {
    if (headers.authorization === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
    }
    if (target.startsWith('/elsewhere')) return { body: 'some bytes' }
    return { status: 307, headers: { location: to(storage.url) } }
  })
  return { storage, server }
}

t.test(
  'R145: no credential goes to another host, and the signature of its URL into no error',
  async t => {
    const { storage, server } = await redirecting(
      t,
      url => `${url}/blob?X-Amz-Signature=canary-signature`,
    )
    const options = { credentials: BASIC, realms: [storage.host] }
    const { upstream, events } = openUpstream(t, server.url, options)
    const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    t.equal(String(await readAll(blob.body)), 'some bytes')
    const [request] = storage.received
    t.equal(request?.headers.authorization, undefined)
    t.equal(request?.headers.cookie, undefined)
    t.equal(request?.headers['user-agent'], 'entrepot/test')
    t.notMatch(JSON.stringify(events), /canary/)
  },
)

t.test('R145: Range and If-Range go along', async t => {
  const { storage, server } = await redirecting(t, url => `${url}/blob`)
  const options = { credentials: BASIC, realms: [storage.host] }
  const { upstream } = openUpstream(t, server.url, options)
  const request = { offset: 4, validator: '"e"' }
  const blob = await upstream.getBlob(NAME, BLOB.digest, request)
  t.match(storage.received[0]?.headers, { range: 'bytes=4-', 'if-range': '"e"' })
  t.equal(blob.offset, 0, 'the storage ignored the range, and that is said')
  t.equal((await readAll(blob.body)).length, 10)
})

t.test('R145: on the same host the credentials stay', async t => {
  const { server } = await redirecting(t, () => '/elsewhere')
  const { upstream } = openUpstream(t, server.url, { credentials: BASIC })
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  t.equal((await readAll(blob.body)).length, 10)
  t.equal(server.received.length, 3, 'refused once, redirected, answered')
})

t.test('R145: a host that was redirected to cannot send the credentials anywhere', async t => {
  const storage = await startScript(t, () => ({
    status: 307,
    headers: { location: `${server.url}/v2/other/secret` },
  }))
  const server = await startScript(t, ({ target, headers }) => {
    if (target.includes('/other/')) return { body: 'some bytes' }
    if (headers.authorization === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
    }
    return { status: 307, headers: { location: `${storage.url}/blob` } }
  })
  const options = { credentials: BASIC, realms: [storage.host] }
  const { upstream } = openUpstream(t, server.url, options)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  await readAll(blob.body)
  t.equal(server.received.at(-1)?.headers.authorization, undefined)
})

t.test('R159: a registry that was redirected to gets an anonymous token, never ours', async t => {
  const region = await startScript(t, ({ target, headers }) => {
    if (target.startsWith('/token')) return { body: '{"token":"regional"}' }
    if (headers.authorization === 'Bearer regional') return GOOD_MANIFEST
    return { status: 401, headers: { 'www-authenticate': `Bearer realm="${region.url}/token"` } }
  })
  const server = await startScript(t, ({ headers }) =>
    headers.authorization === undefined
      ? { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
      : { status: 307, headers: { location: `${region.url}/v2/x/manifests/latest` } },
  )
  const options = { credentials: BASIC, realms: [region.host] }
  const { upstream } = openUpstream(t, server.url, options)
  t.ok(await upstream.getManifest(NAME, LATEST))
  const token = region.received.find(({ target }) => target.startsWith('/token'))
  t.equal(token?.headers.authorization, undefined)
})

t.test('R145: five hops are followed, six are not', async t => {
  const stub = await startStubRegistry()
  t.teardown(() => stub.stop())
  stub.addBlob(NAME, BLOB)
  const { upstream } = openUpstream(t, stub.url, { realms: [new URL(stub.storageUrl).host] })
  // Hops inside the registry, and one more to the storage.
  const five = stub.fault({ kind: 'blob', host: 'registry' }, { redirect: { to: 4 } })
  t.ok(await readAll((await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })).body))
  five.remove()
  stub.fault({ kind: 'blob', host: 'registry' }, { redirect: { to: 5 } })
  t.equal((await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))).failure, 'invalid')
  stub.clearFaults()
  stub.clear()
  stub.fault({ kind: 'blob' }, { redirect: { to: 'loop' } })
  t.equal((await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))).failure, 'invalid')
  t.equal(stub.count(), 6)
})

t.test(
  'R145: Locations that lead nowhere, carry a user or another scheme are not followed',
  async t => {
    const cases = [
      ['http://[', 'invalid'],
      ['http://user:canary@8.8.8.8/', 'refused'],
      ['ftp://8.8.8.8/blob', 'refused'],
      ['file:///etc/passwd', 'refused'],
    ] as const
    for (const [location, failure] of cases) {
      const server = await startScript(t, () => ({ status: 302, headers: { location } }))
      const error = await failureOf(openUpstream(t, server.url).upstream.getManifest(NAME, LATEST))
      t.equal(error.failure, failure, location)
      t.notMatch(textsOf(error), /canary/)
    }
    const server = await startScript(t, () => ({ status: 307 }))
    const error = await failureOf(openUpstream(t, server.url).upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'invalid')
  },
)

t.test(
  'R146: every attempt gets its target from the registry, and an expired one is asked for anew',
  async t => {
    const stub = await startStubRegistry({ profile: 'docker.io' })
    t.teardown(() => stub.stop())
    stub.addImage(NAME, 'latest', IMAGE)
    const digest = digestFrom(IMAGE.layers[0]?.digest ?? '')
    if (digest === undefined) throw new Error('the image has a layer')
    const { upstream, clock } = openUpstream(t, stub.url, {
      realms: [new URL(stub.storageUrl).host],
    })
    stub.fault(
      { kind: 'blob', host: 'registry', method: 'GET' },
      { redirect: { expired: true } },
      { times: 1, after: 1 },
    )
    const blob = upstream.getBlob(NAME, digest, { offset: 0 })
    await clock.untilSleeping(4_000)
    await clock.advance(4_000)
    t.equal((await readAll((await blob).body)).length, 10)
    const signatures = stub.select({ host: 'storage' }).map(({ query }) => query)
    t.equal(new Set(signatures).size, 2)
  },
)

t.test('R195: what fails is named without the user, the query and the password', async t => {
  const server = await startScript(t, () => ({
    status: 307,
    headers: { location: 'http://127.0.0.1:1/blob?sig=canary-signature&token=canary' },
  }))
  const options = { credentials: BASIC, realms: ['127.0.0.1:1'], timeLimits: { chainMs: 500 } }
  const { upstream, events } = openUpstream(t, server.url, options)
  const error: UpstreamError = await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))
  t.equal(error.failure, 'unavailable')
  t.notMatch(textsOf(error), /canary/)
  t.notMatch(JSON.stringify(events), /canary/)
})
