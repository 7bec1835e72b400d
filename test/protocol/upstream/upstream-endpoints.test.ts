// Goal: mirrors, proxies and TLS of an upstream work as configured, and a mirror never hides what
// the registry has (R151, R152, R153). Method: two stub registries for one namespace; a CONNECT
// proxy and an authority of the test's own.
import { createServer, type Server } from 'node:http'
import { connect as connectTcp } from 'node:net'
import t from 'tap'
import { makeCertificate } from '../../kit/certificate.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeArtifact, makeImage } from '../../kit/image.ts'
import { listen } from '../../kit/loopback.ts'
import {
  failureOf,
  LATEST,
  NAME,
  openUpstream,
  readAll,
  type Teardown,
} from '../../kit/open-upstream.ts'
import { failure } from '../../kit/stubs/stub-faults.ts'
import { startStub, startStubRegistry } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'endpoints', layers: [10] })
const BLOB = patternBlob('endpoints', 200_000)
const PASSWORD = 'canary-password'

async function pair(t: Teardown) {
  const mirror = await startStubRegistry()
  const origin = await startStubRegistry()
  t.teardown(async () => {
    await Promise.all([mirror.stop(), origin.stop()])
  })
  for (const stub of [mirror, origin]) {
    stub.addImage(NAME, 'latest', IMAGE)
    stub.addBlob(NAME, BLOB)
  }
  const opened = openUpstream(t, origin.url, {
    registry: 'docker.io',
    mirrors: [new URL(mirror.url)],
    // Only the clock of the test ends a wait.
    timeLimits: { headersMs: 600_000 },
    credentials: { kind: 'basic', username: 'u', password: () => PASSWORD },
  })
  return { mirror, origin, ...opened }
}

t.test('R151: a mirror is asked first, is told the registry, and sees no credentials', async t => {
  const { mirror, origin, upstream } = await pair(t)
  mirror.fault(
    { kind: 'blob' },
    { status: 401, headers: { 'www-authenticate': 'Basic realm="m"' } },
  )
  await upstream.getManifest(NAME, LATEST)
  t.equal(origin.count(), 0)
  t.equal(mirror.requests[0]?.query, 'ns=docker.io')
  await upstream.headBlob(NAME, BLOB.digest)
  t.equal(origin.count({ kind: 'blob' }), 1)
  t.ok(mirror.requests.every(({ headers }) => headers.authorization === undefined))
})

t.test('R151: what a mirror lacks, refuses or fails at is asked of the registry', async t => {
  for (const fault of [
    failure(404),
    failure(403),
    failure(500),
    failure(429),
    { dropConnection: true },
  ] as const) {
    const { mirror, origin, upstream } = await pair(t)
    mirror.fault({}, fault)
    t.ok(await upstream.getManifest(NAME, LATEST))
    const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    t.equal((await readAll(blob.body)).length, BLOB.sizeBytes)
    t.equal(origin.count(), 2)
    t.equal(mirror.count(), 2, 'once each: a mirror is not tried again')
  }
})

t.test("R151: the registry's own answer counts when both have failed", async t => {
  const { mirror, origin, upstream } = await pair(t)
  mirror.fault({}, failure(404))
  origin.fault({}, failure(403))
  t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, 'denied')
})

t.test('R151: each mirror is asked in its turn before the registry is', async t => {
  const stubs = [await startStubRegistry(), await startStubRegistry(), await startStubRegistry()]
  const origin = await startStubRegistry()
  t.teardown(() => Promise.all([...stubs, origin].map(stub => stub.stop())))
  const mirrors = stubs.map(({ url }) => new URL(url))
  for (const [at, stub] of stubs.entries()) {
    stub.addImage(NAME, 'latest', IMAGE)
    for (const earlier of stubs.slice(0, at)) earlier.fault({}, failure(404))
    for (const each of stubs) each.clear()
    const { upstream } = openUpstream(t, origin.url, { registry: 'docker.io', mirrors })
    await upstream.getManifest(NAME, LATEST)
    t.same(
      stubs.map(each => each.count()),
      stubs.map((_, index) => (index <= at ? 1 : 0)),
      `the ${at + 1}. has it`,
    )
  }
  t.equal(origin.count(), 0)
})

t.test(
  'R151: a mirror that is down is left out after a while, and the namespace stays healthy',
  async t => {
    const { mirror, origin, upstream } = await pair(t)
    mirror.fault({}, failure(503))
    for (let at = 0; at < 8; at += 1) await upstream.headManifest(NAME, LATEST)
    t.equal(mirror.count({ kind: 'manifest' }), 5)
    t.equal(origin.count(), 8)
    t.equal(upstream.health().breaker, 'closed')
  },
)

t.test('R151: a mirror that stalls leaves the registry time to answer', async t => {
  const { mirror, upstream, clock } = await pair(t)
  mirror.fault({}, { stallHeaders: true })
  const asked = upstream.getManifest(NAME, LATEST)
  await mirror.untilCount({}, 1)
  await clock.advance(8_000)
  t.ok(await asked)
})

t.test("R78, R151: a mirror's empty list is no answer", async t => {
  const { mirror, origin, upstream } = await pair(t)
  const sbom = makeArtifact({ seed: 'sbom', subject: IMAGE.descriptor })
  origin.addImage(NAME, undefined, sbom)
  t.equal((await upstream.listReferrers(NAME, IMAGE.manifest.digest)).manifests.length, 1)
  mirror.addImage(NAME, undefined, sbom)
  t.equal((await upstream.listReferrers(NAME, IMAGE.manifest.digest)).manifests.length, 1)
  t.equal(origin.count({ kind: 'referrers' }), 1)
})

t.test('a blob from a mirror ends with its body, and leaves nothing behind', async t => {
  const { origin, upstream, clock } = await pair(t)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  await clock.advance(3_600_000)
  t.equal((await readAll(blob.body)).length, BLOB.sizeBytes, 'a body has no limit in all')
  t.equal(origin.count(), 0)
  t.equal(clock.sleepers, 0)
})

t.test('R152: a registry whose authority is configured is trusted, and no other is', async t => {
  const { key, cert, ca } = makeCertificate()
  const stub = await startStub(t, { tls: { key, cert } })
  stub.addImage(NAME, 'latest', IMAGE)
  t.ok(await openUpstream(t, stub.url, { caPem: ca }).upstream.getManifest(NAME, LATEST))
  const error = await failureOf(openUpstream(t, stub.url).upstream.getManifest(NAME, LATEST))
  t.match(error, { failure: 'unavailable', hint: /ca/ })
  t.equal(stub.count(), 1)
})

t.test('R152: a certificate for another name, or an old one, is not trusted', async t => {
  for (const options of [{ names: ['other.example'] }, { expired: true }] as const) {
    const { key, cert, ca } = makeCertificate(options)
    const stub = await startStub(t, { tls: { key, cert } })
    const error = await failureOf(
      openUpstream(t, stub.url, { caPem: ca }).upstream.getManifest(NAME, LATEST),
    )
    t.match(error, { failure: 'unavailable', hint: /certificate/ })
    t.equal(stub.count(), 0)
  }
})

t.test('R145: a registry on https leads to no plain http', async t => {
  const { key, cert, ca } = makeCertificate()
  const stub = await startStubRegistry({ tls: { key, cert } })
  const plain = await startStubRegistry()
  t.teardown(async () => {
    await Promise.all([stub.stop(), plain.stop()])
  })
  stub.fault({}, { redirect: `${plain.url}/v2/library/alpine/manifests/latest` })
  const options = { caPem: ca, realms: [plain.host] }
  const error = await failureOf(
    openUpstream(t, stub.url, options).upstream.getManifest(NAME, LATEST),
  )
  t.equal(error.failure, 'refused')
  t.equal(plain.count(), 0)
})

interface Proxy {
  readonly url: string
  /**
   * `host:port` of each CONNECT, and the absolute URL of each plain request, with its
   * Proxy-Authorization.
   */
  readonly asked: string[]
  readonly authorizations: (string | undefined)[]
}

/** Resolves every name to loopback, as a proxy resolves names that we cannot. */
async function startProxy(t: Teardown): Promise<Proxy> {
  const asked: string[] = []
  const authorizations: (string | undefined)[] = []
  const server: Server = createServer()
  server.on('connect', (request, socket, head) => {
    asked.push(request.url ?? '')
    authorizations.push(request.headers['proxy-authorization'])
    const port = Number((request.url ?? '').split(':').at(-1))
    const target = connectTcp(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.write(head)
      target.pipe(socket)
      socket.pipe(target)
    })
    for (const end of [socket, target]) end.on('error', () => {})
    socket.on('close', () => target.destroy())
    target.on('close', () => socket.destroy())
  })
  const port = await listen(t, server)
  return { url: `http://user:canary@127.0.0.1:${port}`, asked, authorizations }
}

async function proxied(t: Teardown) {
  const certificate = makeCertificate({ names: ['registry.example'] })
  const stub = await startStubRegistry({ tls: certificate })
  const proxy = await startProxy(t)
  t.teardown(() => stub.stop())
  stub.addImage(NAME, 'latest', IMAGE)
  const url = `https://registry.example:${new URL(stub.url).port}`
  return { stub, proxy, url, caPem: certificate.ca }
}

t.test(
  "R152: an https registry is reached through CONNECT, with the proxy's own credentials",
  async t => {
    const { stub, proxy, url, caPem } = await proxied(t)
    const lookup = () => Promise.reject(new Error('names behind a proxy are not ours to resolve'))
    const { upstream } = openUpstream(t, url, { caPem, proxy: { url: proxy.url }, lookup })
    t.ok(await upstream.getManifest(NAME, LATEST))
    t.same(proxy.asked, [new URL(url).host])
    t.match(proxy.authorizations[0], /^Basic /)
    t.equal(stub.requests[0]?.headers['proxy-authorization'], undefined)
  },
)

t.test('R152: NO_PROXY excepts a registry', async t => {
  const { proxy, url, caPem } = await proxied(t)
  const lookup = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }] as const)
  const options = { caPem, lookup, proxy: { url: proxy.url, noProxy: '.example' } }
  t.ok(await openUpstream(t, url, options).upstream.getManifest(NAME, LATEST))
  t.same(proxy.asked, [])
})

t.test('R188: through a proxy, literal private addresses and local names stay refused', async t => {
  const { stub, proxy, url, caPem } = await proxied(t)
  const { upstream } = openUpstream(t, url, { caPem, proxy: { url: proxy.url } })
  for (const host of ['10.0.0.1', '169.254.169.254', '[::1]', '0x7f.1', 'localhost', 'nas.local']) {
    const fault = stub.fault({}, { redirect: `https://${host}/x` })
    t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, 'refused', host)
    fault.remove()
  }
  t.same(new Set(proxy.asked), new Set([new URL(url).host]))
})

t.test('R195: a proxy that cannot be reached is named without its credentials', async t => {
  const options = { proxy: { url: 'http://user:canary@127.0.0.1:1' }, timeLimits: { chainMs: 500 } }
  const { upstream } = openUpstream(t, 'https://registry.example', options)
  const error = await failureOf(upstream.getManifest(NAME, LATEST))
  t.equal(error.failure, 'unavailable')
  t.notMatch(`${error.message} ${error.hint}`, /canary/)
})

t.test(
  'R153: downloads at once use no more connections than allowed, and manifests do not wait',
  async t => {
    const stub = await startStub(t)
    stub.addImage(NAME, 'latest', IMAGE)
    stub.addBlob(NAME, BLOB)
    const held = stub.fault({ kind: 'blob' }, { stallAt: 1_000 }, { times: 3 })
    const { upstream } = openUpstream(t, stub.url, { connections: 3 })
    const leaving = new AbortController()
    const blobs = Array.from({ length: 20 }, () =>
      upstream.getBlob(NAME, BLOB.digest, { offset: 0 }, { signal: leaving.signal }),
    )
    await stub.untilCount({ kind: 'blob' }, 3)
    t.ok(await upstream.getManifest(NAME, LATEST))
    t.equal(stub.count({ kind: 'blob' }), 3)
    t.equal(held.hits, 3)
    leaving.abort(new Error('enough'))
    await Promise.allSettled(blobs)
  },
)
