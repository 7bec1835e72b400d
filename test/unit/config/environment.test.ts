// Goal: variables override the file, and hosts with dots and ports are found in them. Method: load
// with environments.
import t from 'tap'
import { variableOf } from '../../../src/config/environment.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

t.test('a variable overrides the file and the defaults', async t => {
  const env = {
    ENTREPOT_HTTP_ADDR: '127.0.0.1:0',
    ENTREPOT_STORAGE_MAXSIZE: '10GiB',
    ENTREPOT_STORAGE_REDIRECT_DISABLE: 'true',
    ENTREPOT_LOG_LEVEL: '',
    HOME: '/root',
  }
  const config = configOf('http: { addr: ":1" }\nlog: { level: warn }', { env })
  t.same(config.http.addr, { host: '127.0.0.1', port: 0 })
  t.same(config.storage.maxSize, { kind: 'bytes', bytes: 10 * 2 ** 30 })
  t.equal(config.log.level, 'warn', 'an empty variable is not set')
})

t.test('a built-in upstream is changed and the others stay', async t => {
  const { upstreams } = configOf(undefined, { env: { ENTREPOT_UPSTREAMS_DOCKER_IO_TTL: '1m' } })
  t.equal(upstreams.length, 9)
  t.match(upstreams[0], { registry: 'docker.io', freshness: { ttlMs: 60_000 } })
})

t.test('hosts are found by their letters and digits, and one variable never means two', async t => {
  const text =
    'default: localhost\nupstreams: { 10.0.0.1:5000: {}, a.example: {}, a.example-http: {} }'
  const env = {
    ENTREPOT_UPSTREAMS_10_0_0_1_5000_HTTP: 'true',
    ENTREPOT_UPSTREAMS_A_EXAMPLE_HTTP_TTL: '7s',
  }
  const { upstreams } = configOf(text, { env })
  t.match(upstreams, [
    { plainHttp: true },
    { freshness: { ttlMs: 300_000 } },
    { freshness: { ttlMs: 7000 } },
  ])
  const twins = 'default: localhost\nupstreams: { a-b.example: {}, a.b.example: {} }'
  t.match(complaints(twins, { env: { ENTREPOT_UPSTREAMS_A_B_EXAMPLE_TTL: '1s' } }), [
    /^ENTREPOT_UPSTREAMS_A_B_EXAMPLE_TTL: error: is upstreams.a-b.example.ttl as well as upstreams.a.b.example.ttl/,
  ])
})

t.test('lists are YAML or have commas; maps are YAML and can add upstreams', async t => {
  const env = {
    ENTREPOT_UPSTREAMS_NEW_EXAMPLE_INCLUDE: 'a/**, b',
    ENTREPOT_UPSTREAMS_DOCKER_IO_EXCLUDE: '["c/*"]',
    ENTREPOT_UPSTREAMS_DOCKER_IO_TAGS: '[{ match: "*:latest", ttl: 1m }]',
    ENTREPOT_UPSTREAMS: '{ docker.io: {}, new.example: { ttl: 0 } }',
  }
  const { upstreams } = configOf('upstreams: { quay.io: {} }', { env })
  t.match(upstreams, [
    {
      registry: 'docker.io',
      names: { exclude: ['c/*'] },
      freshness: { tagRules: [{ tag: 'latest' }] },
    },
    { registry: 'new.example', names: { include: ['a/**', 'b'] }, freshness: { ttlMs: 0 } },
  ])
  t.equal(upstreams.length, 2, 'a variable for the map replaces it')
})

t.test('a well-known registry that the file does not list is added by its variable', async t => {
  const { upstreams } = configOf('upstreams: { docker.io: {} }', {
    env: { ENTREPOT_UPSTREAMS_GHCR_IO_TTL: '1h' },
  })
  t.same(
    upstreams.map(({ registry }) => registry),
    ['docker.io', 'ghcr.io'],
  )
})

t.test('a variable that is no key is warned about, one of a later version refused', async t => {
  const env = {
    ENTREPOT_HTTP_ADR: ':1',
    ENTREPOT_UPSTREAMS_DOCKR_IO_TTL: '1m',
    ENTREPOT_STORAGE_S3_BUCKET: 'x',
    ENTREPOT_CONFIG: '/etc/entrepot/config.yaml',
  }
  const said = complaints('', { env }).toSorted()
  t.match(said, [
    /^ENTREPOT_HTTP_ADR: warning: is no key of the configuration.*\(did you mean ENTREPOT_HTTP_ADDR\?\)/,
    /^ENTREPOT_STORAGE_S3_BUCKET: error: storage.s3 is not in this version yet/,
    /^ENTREPOT_UPSTREAMS_DOCKR_IO_TTL: warning: is no key of an upstream.*\(did you mean ENTREPOT_UPSTREAMS_DOCKER_IO_TTL\?\)/,
  ])
  t.equal(said.length, 3)
})

t.test('variables of the distribution registry are warned about, once for all', async t => {
  const others = { REGISTRY_AUTH_FILE: '/auth.json', REGISTRY_PORT: '5000', REGISTRY_URL: 'x' }
  t.same(complaints('', { env: others }), [])
  const one = complaints('', { env: { ...others, REGISTRY_HTTP_ADDR: ':5000' } })
  t.match(one, [
    /^REGISTRY_HTTP_ADDR: warning: is a variable of the distribution registry and has no effect in this version/,
  ])
  const env = { REGISTRY_STORAGE_DELETE_ENABLED: 'true', REGISTRY_LOG_LEVEL: 'info' }
  const two = complaints('', { env })
  t.match(two, [/^REGISTRY_LOG_LEVEL: warning: .*registry, one of 2, and has no effect/])
  t.equal(two.length, 1)
})

t.test('a faulty value is told with its variable', async t => {
  const env = { ENTREPOT_UPSTREAMS_DOCKER_IO_TTL: 'soon', ENTREPOT_UPSTREAMS_QUAY_IO_TAGS: '[{' }
  t.match(complaints('', { env }), [
    /^ENTREPOT_UPSTREAMS_QUAY_IO_TAGS: error: upstreams.quay.io.tags: is no valid YAML/,
    /^ENTREPOT_UPSTREAMS_DOCKER_IO_TTL: error: upstreams.docker.io.ttl: a duration is/,
  ])
})

t.test('proxies of the environment: lower case wins', async t => {
  const { proxyEnvironment } = configOf('', {
    env: {
      https_proxy: 'http://a:1',
      HTTPS_PROXY: 'http://b:1',
      HTTP_PROXY: 'http://c:1',
      no_proxy: '.lan',
      NO_PROXY: '',
    },
  })
  t.equal(proxyEnvironment.httpsProxy?.reveal(), 'http://a:1')
  t.equal(proxyEnvironment.httpProxy?.reveal(), 'http://c:1')
  t.equal(proxyEnvironment.noProxy, '.lan')
})

t.test('a variable is the path in capitals', async t => {
  t.equal(
    variableOf(['upstreams', '10.0.0.1:5000', 'http']),
    'ENTREPOT_UPSTREAMS_10_0_0_1_5000_HTTP',
  )
})
