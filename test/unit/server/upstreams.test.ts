// Goal: what the configuration says of upstreams reaches the part that it is for: every member of a
// list, each proxy for its own scheme, and after a reload what holds then. Method: the namespaces
// of the process, made from text, and proxies on loopback that count.
import { createServer } from 'node:http'
import t from 'tap'
import { parseTarget } from '../../../src/oci/endpoint.ts'
import {
  repositoryKey,
  parseHost,
  parseName,
  parseTag,
  type RegistryHost,
} from '../../../src/oci/reference.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { Upstreams } from '../../../src/server/upstreams.ts'
import { configOf } from '../../kit/load-text.ts'
import { startScript } from '../../kit/stubs/scripted-server.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { listen } from '../../kit/loopback.ts'

const NAME = parseName('team/app')
const DIGEST = digestOf(Buffer.from('some bytes'))
const V1 = { kind: 'tag', tag: parseTag('v1') } as const

function open(t: { teardown(fn: () => unknown): unknown }, text: string, env = {}) {
  const deps = { clock: createManualClock(), note: () => {}, random: () => 0.5, version: 'test' }
  const upstreams = new Upstreams(configOf(text, { env }), deps)
  t.teardown(() => upstreams.close())
  const leadsTo = (path: string, host?: string): string => {
    try {
      return repositoryKey(
        upstreams.route(parseTarget(`/v2/${path}/manifests/v1`), host).repository,
      )
    } catch (error) {
      return error instanceof RegistryError ? error.code : String(error)
    }
  }
  return { upstreams, leadsTo }
}

t.test('every name of this edge means what is kept here, and no other name does', async t => {
  const { leadsTo } = open(t, 'http: { names: [edge.lan, "edge.lan:5000", other.lan] }')
  for (const name of ['edge.lan', 'edge.lan:5000', 'other.lan'])
    t.equal(leadsTo(`${name}/team/app`), 'localhost/team/app', name)
  t.equal(leadsTo('foreign.lan/team/app'), 'NAME_UNKNOWN')
})

t.test('every virtual host of every upstream stands for it', async t => {
  const { leadsTo } = open(
    t,
    `upstreams:
  docker.io: { virtualhosts: [hub.lan, hub2.lan] }
  ghcr.io: { virtualhosts: [gh.lan, gh2.lan] }`,
  )
  const hosts = {
    'hub.lan': 'docker.io',
    'hub2.lan': 'docker.io',
    'gh.lan': 'ghcr.io',
    'gh2.lan': 'ghcr.io',
  }
  for (const [host, registry] of Object.entries(hosts))
    t.equal(leadsTo('team/app', host), `${registry}/team/app`, host)
})

t.test('R252: what is private, and what only clients name, shares with nobody', async t => {
  const entries = { private: 'r.corp: { private: true }', any: '"*": {}' }
  const readers = 'access: [{ who: "*", match: "r.corp/**", allow: [pull] }]'
  const namedBy = (...texts: string[]) => {
    const upstreams = `upstreams: { docker.io: {}, ${texts.join(', ')} }`
    return texts.includes(entries.private) ? `${upstreams}\n${readers}` : upstreams
  }
  const { upstreams } = open(t, namedBy(entries.private, entries.any))
  const shares = (host: string) => upstreams.find(parseHost(host))?.shares
  t.equal(shares('docker.io'), true)
  t.equal(shares('r.corp'), false)
  t.equal(shares('anybody.example'), false)
  t.equal(open(t, namedBy('quay.io: {}')).upstreams.allShare, true)
  for (const entry of Object.values(entries))
    t.equal(open(t, namedBy(entry)).upstreams.allShare, false, entry)
  upstreams.replace(configOf(namedBy('r.corp: {}')))
  t.equal(shares('r.corp'), true, 'after a reload as it says then')
  t.equal(upstreams.allShare, true)
})

t.test('R27: every other spelling of Docker Hub is Docker Hub', async t => {
  const { leadsTo } = open(t, 'upstreams: { docker.io: {} }')
  for (const host of [
    'index.docker.io',
    'registry-1.docker.io',
    'registry.hub.docker.com',
    'hub.docker.com',
  ])
    t.equal(leadsTo(`${host}/alpine`), 'docker.io/library/alpine', host)
})

t.test('what an upstream’s entry says of mirrors, realms and names holds for it', async t => {
  const storage = await startScript(t, () => ({ body: 'some bytes' }))
  const lacking = () => startScript(t, () => ({ status: 404 }))
  const mirrors = [await lacking(), await lacking()]
  const registry = await startScript(t, () => ({
    status: 307,
    headers: { location: `${storage.url}/blob` },
  }))
  const ask = async (more: string) => {
    const { upstreams } = open(
      t,
      `default: registry.example
upstreams:
  registry.example: { url: "${registry.url}", http: true${more} }`,
    )
    const upstream = upstreams.find('registry.example' as RegistryHost)?.upstream
    return upstream?.getBlob(NAME, DIGEST, { offset: 0 }).then(
      () => 'given',
      (error: unknown) => (error instanceof UpstreamError ? error.failure : String(error)),
    )
  }
  t.equal(await ask(''), 'refused', 'a storage on loopback that nobody named')
  t.equal(await ask(`, realms: [other.example, "${storage.host}"]`), 'given')
  t.equal(await ask(', privateaddresses: true'), 'given')
  t.equal(storage.received.at(-1)?.headers['user-agent'], 'entrepot/test')
  const listed = mirrors.map(({ url }) => `"${url}"`).join(', ')
  t.equal(await ask(`, mirrors: [${listed}], privateaddresses: true`), 'given')
  t.same(
    mirrors.map(({ received }) => received.length),
    [1, 1],
  )
  const asked = registry.received.length
  t.equal(await ask(', exclude: [other/**, team/**], privateaddresses: true'), 'not-found')
  t.equal(await ask(', include: [other/**], privateaddresses: true'), 'not-found')
  t.equal(registry.received.length, asked, 'and nobody was asked')
})

t.test(
  'R152: http goes by the proxy for http, https by the one for https, and some by none',
  async t => {
    const both = Promise.withResolvers<void>()
    let count = 0
    const told = () => {
      count += 1
      if (count === 2) both.resolve()
    }
    const [forHttp, forHttps] = [await startProxy(t, told), await startProxy(t, told)]
    const env = {
      HTTP_PROXY: forHttp.url,
      HTTPS_PROXY: forHttps.url,
      NO_PROXY: 'skipped.invalid',
    }
    const { upstreams } = open(
      t,
      `upstreams:
  plain.example: { http: true }
  tls.example: {}
  skipped.invalid: { http: true }
default: localhost`,
      env,
    )
    const leaving = new AbortController()
    const ask = async (host: string) => {
      const upstream = upstreams.find(host as RegistryHost)?.upstream
      await upstream?.headManifest(NAME, V1, { signal: leaving.signal }).catch(() => {})
    }
    // Nobody answers there; what would go to a proxy would be there before what comes after it.
    const asked = ['skipped.invalid', 'plain.example', 'tls.example'].map(ask)
    await both.promise
    leaving.abort(new Error('the test has seen enough'))
    await Promise.all(asked)
    t.same(new Set(forHttp.targets), new Set(['plain.example']))
    t.same(new Set(forHttps.targets), new Set(['tls.example:443']))
  },
)

t.test('after a reload nothing is left of upstreams that clients had named', async t => {
  const any = 'upstreams: { "*": { ttl: 1m } }\ndefault: localhost'
  const { upstreams } = open(t, any)
  const before = upstreams.find('named.example' as RegistryHost)
  t.equal(before?.policy.ttlMs, 60_000)
  t.equal(upstreams.find('named.example' as RegistryHost), before, 'it is made once')
  upstreams.replace(configOf(any.replace('1m', '7m'), { env: {} }))
  t.equal(upstreams.find('named.example' as RegistryHost)?.policy.ttlMs, 420_000)
  upstreams.replace(configOf('upstreams: { docker.io: {} }', { env: {} }))
  t.equal(upstreams.find('named.example' as RegistryHost), undefined)
})

/** Refuses everything, and tells of it. */
async function startProxy(t: { teardown(fn: () => unknown): unknown }, told: () => void) {
  const targets: string[] = []
  const note = (target: string) => {
    targets.push(target)
    told()
  }
  const server = createServer(({ url = '' }, response) => {
    note(new URL(url).host)
    response.writeHead(502, { 'content-length': 0 }).end()
  })
  server.on('connect', ({ url = '' }, socket) => {
    note(url)
    // Whoever is refused may be gone before it has read that.
    socket.on('error', () => {})
    socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
  })
  const port = await listen(t, server)
  return { url: `http://127.0.0.1:${port}`, targets }
}
