// Goal: each path and method leads where the protocol says, and nowhere else. Method: requests in
// process against the real port over a registry that holds fixed content.
import t from 'tap'
import { createTestApp } from '../../kit/worlds/http-app.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

function withContent(test: Parameters<typeof createTestApp>[0]) {
  const { app, registry, lines } = createTestApp(test)
  const bytes = Buffer.from('{"schemaVersion":2}\n')
  const name = 'docker.io/library/alpine'
  const digest = registry.addManifest(name, { bytes, mediaType: MANIFEST, tag: '3.20' })
  return { app, registry, lines, digest }
}

t.test('R1, R17, R30: the ping answers 200 and {} in every form of the URL', async t => {
  const { app, registry } = withContent(t)
  for (const url of ['/v2/', '/v2', '/docker.io/v2/', '/docker.io/v2', '/v2/?ns=docker.io']) {
    const answer = await app.inject({ url })
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.headers['content-type'], 'application/json')
    t.equal(answer.body, '{}')
    const head = await app.inject({ url, method: 'HEAD' })
    t.equal(head.statusCode, 200)
    t.equal(head.headers['content-length'], '2')
    t.equal(head.body, '')
  }
  t.same(registry.calls, [], 'R2: the ping asks nobody')
})

t.test('R16, R17: nothing is ever answered with a redirect', async t => {
  const { app, digest } = withContent(t)
  for (const url of [
    '/v2',
    '/v2//',
    '/',
    '/v2/library/alpine',
    `/v2/alpine/manifests/${digest}/`,
    '/v2/docker.io/alpine/manifests/3.20',
  ]) {
    for (const method of ['GET', 'HEAD', 'POST'] as const) {
      const { statusCode } = await app.inject({ url, method })
      t.notOk(statusCode >= 300 && statusCode < 400, `${method} ${url} ${statusCode}`)
    }
  }
})

t.test(
  'R19: unknown methods are 405 with Allow and JSON; unknown query parameters change nothing',
  async t => {
    const { app, digest } = withContent(t)
    const url = `/v2/library/alpine/manifests/${digest}`
    for (const method of ['PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
      const answer = await app.inject({ url, method: method as 'PATCH' })
      t.equal(answer.statusCode, 405, method)
      t.equal(answer.headers['allow'], 'GET, HEAD, PUT, DELETE')
      t.equal(answer.json().errors[0].code, 'UNSUPPORTED')
    }
    const nowhere = await app.inject({ url: '/v2/A/manifests/x', method: 'PROPFIND' as 'PATCH' })
    t.equal(nowhere.headers['allow'], 'GET, HEAD, POST, PUT, DELETE, PATCH')
    const answer = await app.inject({ url: `${url}?utm=1&x` })
    t.equal(answer.statusCode, 200)
  },
)

t.test('R19: each endpoint has its methods, and no other', async t => {
  const { app, digest, registry } = withContent(t)
  const cases = [
    ['/v2/', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
    ['/v2/_catalog', 'GET, HEAD', ['POST']],
    ['/v2/a/tags/list', 'GET, HEAD', ['PUT', 'DELETE']],
    [`/v2/a/referrers/${digest}`, 'GET, HEAD', ['PUT', 'DELETE']],
    [`/v2/a/blobs/${digest}`, 'GET, HEAD, DELETE', ['PUT', 'POST', 'PATCH']],
    ['/v2/a/blobs/uploads/', 'POST', ['GET', 'HEAD', 'PUT', 'DELETE']],
    ['/v2/a/blobs/uploads', 'POST', ['GET', 'PATCH']],
    ['/v2/a/blobs/uploads/id', 'GET, PATCH, PUT, DELETE', ['HEAD', 'POST']],
    ['/v2/a/manifests/x', 'GET, HEAD, PUT, DELETE', ['POST', 'PATCH']],
  ] as const
  for (const [url, allow, methods] of cases) {
    for (const method of methods) {
      const answer = await app.inject({ url, method })
      t.equal(answer.statusCode, 405, `${method} ${url}`)
      t.equal(answer.headers['allow'], allow)
    }
  }
  t.same(registry.calls, [])
})

t.test('R20: no cross-origin headers', async t => {
  const { app } = withContent(t)
  const answer = await app.inject({ url: '/v2/', headers: { origin: 'https://example.com' } })
  t.notOk(Object.keys(answer.headers).some(name => name.startsWith('access-control-')))
})

t.test('R29, R32: all forms of a name reach one repository; ns is named in the answer', async t => {
  const { app, registry } = withContent(t)
  const forms = [
    '/v2/docker.io/library/alpine/manifests/3.20',
    '/docker.io/v2/library/alpine/manifests/3.20',
    '/v2/library/alpine/manifests/3.20?ns=docker.io',
    '/v2/library/alpine/manifests/3.20?ns=registry-1.docker.io',
    '/v2/library/alpine/manifests/3.20',
  ]
  for (const url of forms) {
    const answer = await app.inject({ url })
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.headers['oci-namespace'], url.includes('ns=') ? 'docker.io' : undefined)
  }
  t.same(new Set(registry.calls), new Set(['pullManifest docker.io/library/alpine']))
})

t.test('R72: the extension list is empty, other reserved names are 404', async t => {
  const { app } = withContent(t)
  const list = await app.inject({ url: '/v2/_oci/ext/discover' })
  t.same(list.json(), { extensions: [] })
  const other = await app.inject({ url: '/v2/_other/thing' })
  t.equal(other.statusCode, 404)
})

t.test('livez on the data port says ok and nothing else', async t => {
  const { app, registry, lines } = withContent(t)
  const answer = await app.inject({ url: '/livez' })
  t.equal(answer.statusCode, 200)
  t.equal(answer.body, 'ok')
  t.same(registry.calls, [])
  t.equal(lines().length, 0, 'and fills no log')
})
