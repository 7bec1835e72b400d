// Goal: nothing that a registry or a client says makes this edge connect into its own network
// (R188). Method: servers on loopback that lead elsewhere; names resolve by a table of the test.
import t from 'tap'
import { createConnector, type LookupAll } from '../../../src/upstream/connect/connector.ts'
import { bytesContent } from '../../kit/content.ts'
import { failureOf, LATEST, NAME, openUpstream } from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST, startScript } from '../../kit/stubs/scripted-server.ts'

const BLOB = bytesContent(Buffer.from('some bytes'))

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

t.test('R188: a realm at a private address is refused in every form', async t => {
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

t.test('R188: a next page at a private address or another host is refused', async t => {
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

t.test('R188: an upstream that a client names is refused unless it is public', async t => {
  const hosts = ['127.0.0.1:1', '10.0.0.1', '169.254.169.254', '[::1]:1', 'evil.example', 'redis']
  const { lookup, asked } = lookupFrom({ 'evil.example': ['8.8.8.8', '127.0.0.1'] })
  for (const host of hosts) {
    const options = { namedByClient: true, lookup }
    const { upstream } = openUpstream(t, `http://${host}`, options)
    const error = await failureOf(upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'refused', host)
  }
  t.same(new Set(asked), new Set(['evil.example']), 'what is an address is never looked up')
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
    trust: 'untrusted',
    policy: {
      trustOf: () => 'untrusted',
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
