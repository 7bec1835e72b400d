// Goal: without a configuration, and with a small one, the edge does what the documentation says.
// Method: load and look at the whole result.
import t from 'tap'
import { configOf } from '../../kit/load-text.ts'

t.test(
  'without a configuration: Docker Hub first, the well-known registries, data in ./data',
  async t => {
    const config = configOf(undefined)
    t.same(config.log, { level: 'info' })
    t.same(config.http.addr, { host: undefined, port: 5000 })
    t.equal(config.http.drainTimeoutMs, 30_000)
    t.same(config.admin, { addr: { host: '127.0.0.1', port: 5001 }, socket: './data/admin.sock' })
    t.same(config.storage, {
      rootDirectory: './data',
      maxSize: { kind: 'share', share: 0.8 },
      minFree: { kind: 'share', share: 0.05 },
      lowWaterShare: 0.95,
      collection: { delayMs: 3_600_000, intervalMs: 3_600_000 },
      scrub: { periodMs: 7 * 86_400_000, rateBytes: 64 * 1024 ** 2 },
      uploadPurging: {
        enabled: true,
        ageMs: 7 * 86_400_000,
        intervalMs: 86_400_000,
        dryRun: false,
      },
      retention: { intervalMs: 86_400_000, delayMs: 86_400_000, dryRun: false, policies: [] },
    })
    t.equal(config.defaultRegistry, 'docker.io')
    t.equal(config.anyUpstream, undefined)
    t.same(
      config.upstreams.map(({ registry, url }) => [registry, url]),
      [
        ['docker.io', 'https://registry-1.docker.io'],
        ['ghcr.io', 'https://ghcr.io'],
        ['quay.io', 'https://quay.io'],
        ['registry.k8s.io', 'https://registry.k8s.io'],
        ['gcr.io', 'https://gcr.io'],
        ['mcr.microsoft.com', 'https://mcr.microsoft.com'],
        ['public.ecr.aws', 'https://public.ecr.aws'],
        ['registry.gitlab.com', 'https://registry.gitlab.com'],
        ['nvcr.io', 'https://nvcr.io'],
      ],
    )
    for (const upstream of config.upstreams) {
      t.equal(upstream.freshness.ttlMs, 300_000)
      t.equal(upstream.freshness.maxStaleMs, 30 * 86_400_000)
      t.equal(upstream.freshness.offline, false)
      t.same(upstream.credentials, { kind: 'anonymous' })
      t.same(upstream.names.include, ['**'])
    }
  },
)

t.test('an empty file, or one where every line is a comment, is no configuration', async t => {
  const nothing = configOf(undefined).settings
  for (const text of ['', '# nothing\n', '---\n', '{}', 'upstreams:\n  # ghcr.io: {}\n']) {
    t.same(configOf(text).settings, nothing, JSON.stringify(text))
  }
})

t.test('listed upstreams replace the built-in ones, in the order of the file', async t => {
  const { upstreams } = configOf('upstreams:\n  quay.io:\n  docker.io: {}\n')
  t.same(
    upstreams.map(({ registry }) => registry),
    ['quay.io', 'docker.io'],
  )
})

t.test('what an upstream does not say comes from freshness', async t => {
  const { upstreams } = configOf(`
freshness: { ttl: 1h, maxstale: forever, offline: true }
upstreams:
  docker.io: { ttl: 0 }
  ghcr.io: { offline: false, maxstale: 1d }
`)
  t.match(upstreams[0], {
    freshness: { ttlMs: 0, maxStaleMs: Number.POSITIVE_INFINITY, offline: true },
  })
  t.match(upstreams[1], {
    freshness: { ttlMs: 3_600_000, maxStaleMs: 86_400_000, offline: false },
  })
})

t.test('R27: every name of Docker Hub is docker.io, as upstream and as default', async t => {
  for (const alias of [
    'index.docker.io',
    'registry-1.docker.io',
    'registry.hub.docker.com',
    'hub.docker.com',
  ]) {
    const config = configOf(`default: ${alias}\nupstreams: { ${alias}: {} }`)
    t.equal(config.defaultRegistry, 'docker.io', alias)
    t.same(
      config.upstreams.map(({ registry, url }) => [registry, url]),
      [['docker.io', 'https://registry-1.docker.io']],
    )
  }
})

t.test(
  'host names are read in lower case, and other hosts are at https:// and their name',
  async t => {
    const { upstreams } = configOf('default: localhost\nupstreams: { Registry.Example:5000: {} }')
    t.match(upstreams, [
      { registry: 'registry.example:5000', url: 'https://registry.example:5000' },
    ])
  },
)

t.test('plain HTTP is said by http or by the URL', async t => {
  const { upstreams } = configOf(`
default: localhost
upstreams:
  10.0.0.1:5000: { http: true }
  b.example: { url: "http://10.0.0.2:5000/" }
`)
  t.match(upstreams, [
    { plainHttp: true, url: 'http://10.0.0.1:5000' },
    { plainHttp: true, url: 'http://10.0.0.2:5000' },
  ])
})

t.test('R164: a path of the URL stands before /v2/, basepath after it', async t => {
  const { upstreams } = configOf(`
default: localhost
upstreams:
  a.example: { url: "https://a.example/artifactory/api/docker/hub/", basepath: /proxy/hub/ }
`)
  t.match(upstreams, [
    { url: 'https://a.example/artifactory/api/docker/hub', basePath: 'proxy/hub' },
  ])
})

t.test('tag patterns have a colon or an @, and * alone means everything', async t => {
  const { upstreams } = configOf(`
upstreams:
  docker.io:
    tags:
      - { match: "*:latest", ttl: 1m }
      - { match: "*@release-*", ttl: 24h }
      - { match: library/**:1.*, ttl: forever }
      - { match: "@(a|b)/c:x", ttl: 0 }
    include: [team/*, "*"]
`)
  t.same(upstreams[0]?.freshness.tagRules, [
    { repository: '**', tag: 'latest', ttlMs: 60_000 },
    { repository: '**', tag: 'release-*', ttlMs: 86_400_000 },
    { repository: 'library/**', tag: '1.*', ttlMs: Number.POSITIVE_INFINITY },
    { repository: '@(a|b)/c', tag: 'x', ttlMs: 0 },
  ])
  t.same(upstreams[0]?.names.include, ['team/*', '**'])
})

t.test('the opt-in "*" upstream is a policy and no upstream of its own', async t => {
  const config = configOf('upstreams: { docker.io: {}, "*": { ttl: 1h, fills: 2 } }')
  t.equal(config.upstreams.length, 1)
  t.match(config.anyUpstream, {
    freshness: { ttlMs: 3_600_000 },
    downloads: { fillsAtOnce: 2 },
  })
})

t.test('own names are those listed and the one of the public URL', async t => {
  const { http } = configOf(
    'http: { host: "https://edge.example:8443/", names: [edge, EDGE.lan:5000] }',
  )
  t.equal(http.publicUrl, 'https://edge.example:8443')
  t.same(http.names, ['edge.example:8443', 'edge', 'edge.lan:5000'])
})

t.test('the admin socket is in /run/entrepot where that directory exists', async t => {
  t.equal(configOf('', { directories: ['/run/entrepot'] }).admin.socket, '/run/entrepot/admin.sock')
  t.equal(configOf('storage: { rootdirectory: /srv/x/ }').admin.socket, '/srv/x/admin.sock')
  t.equal(
    configOf('admin: { socket: /a.sock }', { directories: ['/run/entrepot'] }).admin.socket,
    '/a.sock',
  )
})

t.test('port 0 may be given to both listeners: the system chooses', async t => {
  const config = configOf('http: { addr: "127.0.0.1:0" }\nadmin: { addr: "127.0.0.1:0" }')
  t.equal(config.admin.addr.port, 0)
})

t.test('a configuration cannot be changed by who receives it', async t => {
  const config = configOf('')
  t.ok(Object.isFrozen(config.http.addr))
  t.ok(Object.isFrozen(config.upstreams[0]?.names.include))
  t.throws(() => Object.assign(config.log, { level: 'trace' }), TypeError)
})
