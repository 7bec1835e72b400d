// Goal: every spelling of R26–R31 leads to the same repository, and nothing else leads anywhere.
// Method: tables of request targets against one set of options; route is pure, so no server is
// needed.
import t from 'tap'
import { parseTarget } from '../../../../src/oci/endpoint.ts'
import { RegistryError } from '../../../../src/oci/errors.ts'
import { parseHost, type RegistryHost, repositoryKey } from '../../../../src/oci/reference.ts'
import { createRoute, type RouteOptions } from '../../../../src/registry/routing/route.ts'

const hub = parseHost('docker.io')
const hosts = ['docker.io', 'ghcr.io', 'quay.io', '10.0.0.1:5000'].map(parseHost)

const options: RouteOptions = {
  defaultRegistry: hub,
  upstreams: new Set(hosts),
  aliases: new Map(
    ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com', 'hub.docker.com'].map(
      (alias): [string, RegistryHost] => [alias, hub],
    ),
  ),
  ownNames: new Set(['edge.example.com', 'edge.example.com:5000']),
  virtualHosts: new Map([['ghcr.edge.example.com', parseHost('ghcr.io')]]),
  anyUpstream: false,
}
const route = createRoute(options)

/** The canonical repository of a request for a tag `v1` under this path. */
function keyOf(path: string, { query = '', host }: { query?: string; host?: string } = {}): string {
  const target = parseTarget(`${path}/manifests/v1${query}`)
  return repositoryKey(route(target, host).repository)
}

function codeOf(path: string, query = ''): string {
  try {
    return keyOf(path, { query })
  } catch (error) {
    return error instanceof RegistryError ? error.code : String(error)
  }
}

t.test('R29: the five forms reach one repository', async t => {
  const forms = [
    ['/v2/quay.io/team/app', ''],
    ['/quay.io/v2/team/app', ''],
    ['/quay.io/v2/team/app', '?ns=quay.io'],
    ['/v2/quay.io/team/app', '?ns=quay.io'],
    ['/v2/team/app', '?ns=quay.io'],
  ] as const
  for (const [path, query] of forms)
    t.equal(keyOf(path, { query }), 'quay.io/team/app', path + query)
  t.equal(
    keyOf('/v2/team/app'),
    'docker.io/team/app',
    'a plain name belongs to the default upstream',
  )
})

t.test('R27: every alias of Docker Hub is one upstream, in any case', async t => {
  const aliases = [
    'docker.io',
    'index.docker.io',
    'registry-1.docker.io',
    'registry.hub.docker.com',
    'DOCKER.IO',
  ]
  for (const alias of aliases) {
    t.equal(
      keyOf('/v2/library/alpine', { query: `?ns=${alias}` }),
      'docker.io/library/alpine',
      alias,
    )
  }
  t.equal(keyOf('/v2/index.docker.io/library/alpine'), 'docker.io/library/alpine')
})

t.test(
  'R28: ns wins over a prefix that means another upstream, and the name stays whole',
  async t => {
    t.equal(keyOf('/v2/quay.io/team/app', { query: '?ns=ghcr.io' }), 'ghcr.io/quay.io/team/app')
  },
)

t.test('R26: a name is found by ns, then prefix, then virtual host, then default', async t => {
  const host = 'ghcr.edge.example.com'
  t.equal(keyOf('/v2/team/app', { host }), 'ghcr.io/team/app')
  t.equal(keyOf('/v2/quay.io/team/app', { host }), 'quay.io/team/app')
  t.equal(keyOf('/v2/team/app', { host, query: '?ns=quay.io' }), 'quay.io/team/app')
  t.equal(keyOf('/v2/team/app', { host: 'edge.example.com' }), 'docker.io/team/app')
})

t.test('R26: an upstream that is not configured is NAME_UNKNOWN however it is named', async t => {
  t.equal(codeOf('/v2/team/app', '?ns=169.254.169.254'), 'NAME_UNKNOWN')
  t.equal(codeOf('/v2/registry.evil.example/team/app'), 'NAME_UNKNOWN')
  t.equal(codeOf('/registry.evil.example/v2/team/app'), 'NAME_UNKNOWN')
  t.equal(codeOf('/v2/team/app', '?ns=not%20a%20host'), 'NAME_UNKNOWN')
})

t.test('R31: library/ is put before one component on Docker Hub and nowhere else', async t => {
  t.equal(keyOf('/v2/docker.io/alpine'), 'docker.io/library/alpine')
  t.equal(keyOf('/v2/alpine', { query: '?ns=docker.io' }), 'docker.io/library/alpine')
  t.equal(keyOf('/v2/quay.io/app'), 'quay.io/app')
})

t.test('one bare component belongs to localhost, and so do the names of this edge', async t => {
  t.equal(keyOf('/v2/my-alpine'), 'localhost/my-alpine')
  t.equal(keyOf('/v2/localhost/team/app'), 'localhost/team/app')
  t.equal(keyOf('/v2/team/app', { query: '?ns=localhost:5000' }), 'localhost/team/app')
  t.equal(keyOf('/v2/team/app', { query: '?ns=edge.example.com:5000' }), 'localhost/team/app')
})

t.test('R27: the port of https makes no other upstream, any other port does', async t => {
  const at = (ns: string) => keyOf('/v2/library/alpine', { query: `?ns=${ns}` })
  t.equal(at('docker.io:443'), 'docker.io/library/alpine')
  t.equal(at('Index.Docker.IO:443'), 'docker.io/library/alpine')
  t.equal(keyOf('/v2/ghcr.io:443/team/app'), 'ghcr.io/team/app')
  t.equal(keyOf('/v2/team/app', { query: '?ns=edge.example.com:443' }), 'localhost/team/app')
  for (const host of ['docker.io:80', 'docker.io:4430', 'ghcr.io:8443', 'other.example:443'])
    t.equal(codeOf('/v2/library/alpine', `?ns=${host}`), 'NAME_UNKNOWN', host)
  const both = createRoute({ ...options, upstreams: new Set([...hosts, parseHost('quay.io:443')]) })
  const listed = both(parseTarget('/v2/quay.io:443/team/app/manifests/v1'), undefined)
  t.equal(repositoryKey(listed.repository), 'quay.io:443/team/app', 'what is listed so is itself')
})

t.test('R33: a registry with a port is a namespace of its own', async t => {
  t.equal(keyOf('/v2/10.0.0.1:5000/team/app'), '10.0.0.1:5000/team/app')
})

t.test('R29: Location and Link keep the form of the request', async t => {
  const routed = route(
    parseTarget('/docker.io/v2/library/alpine/tags/list?ns=docker.io'),
    undefined,
  )
  t.match(routed, {
    urlPrefix: '/docker.io/v2/library/alpine',
    spelled: 'library/alpine',
    namespace: 'docker.io',
  })
})

t.test('R21: host and name together are at most 255 characters', async t => {
  const name = `team/${'a'.repeat(245)}`
  t.equal(codeOf(`/v2/${name}`), 'NAME_INVALID')
})

t.test(
  'the "*" upstream takes any host that a client names, but no word without a dot',
  async t => {
    const any = createRoute({ ...options, anyUpstream: true })
    const target = parseTarget('/v2/registry.other.example/team/app/manifests/v1')
    t.equal(repositoryKey(any(target, undefined).repository), 'registry.other.example/team/app')
    const withPort = parseTarget('/v2/registry.other.example:443/team/app/manifests/v1')
    t.equal(repositoryKey(any(withPort, undefined).repository), 'registry.other.example/team/app')
    t.equal(
      repositoryKey(any(parseTarget('/v2/team/app/manifests/v1'), undefined).repository),
      'docker.io/team/app',
    )
  },
)

t.test('patterns of the "*" upstream keep nothing of this edge itself out', async t => {
  const names = { byRegistry: new Map(), any: { include: ['foo/**'], exclude: ['foo/secret'] } }
  const some = createRoute({ ...options, anyUpstream: true, names })
  const at = (path: string) =>
    repositoryKey(some(parseTarget(`/v2/${path}/manifests/v1`), undefined).repository)
  t.equal(at('my-alpine'), 'localhost/my-alpine')
  t.equal(at('localhost/team/app'), 'localhost/team/app')
  t.equal(at('edge.example.com/foo/secret'), 'localhost/foo/secret')
  t.equal(at('registry.other.example/foo/app'), 'registry.other.example/foo/app')
  for (const path of ['registry.other.example/team/app', 'registry.other.example/foo/secret'])
    t.throws(() => at(path), { code: 'NAME_UNKNOWN' }, path)
})

t.test('R263: what has the form of a host and can be none is no upstream', async t => {
  const any = createRoute({ ...options, anyUpstream: true })
  for (const host of ['1.2.3.256', 'registry.example:99999', '1.2.3.4.5']) {
    for (const [path, query] of [
      [`/v2/${host}/x`, ''],
      ['/v2/team/x', `?ns=${host}`],
    ] as const) {
      const ask = () => any(parseTarget(`${path}/manifests/v1${query}`), undefined)
      t.throws(ask, { code: /^NAME_(UNKNOWN|INVALID)$/ }, path + query)
    }
  }
})
