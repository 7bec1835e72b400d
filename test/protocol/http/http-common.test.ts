// Goal: what every answer of the data port has in common is what clients rely on. Method: requests
// in process against the real port over a registry that holds fixed content.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const BYTES = Buffer.from('{"schemaVersion":2}\n')

function withContent(test: Parameters<typeof createTestApp>[0]) {
  const { app, registry, lines } = createTestApp(test)
  const digest = registry.addManifest('docker.io/library/alpine', {
    bytes: BYTES,
    mediaType: MANIFEST,
    tag: '3.20',
  })
  const blob = registry.addBlob('docker.io/library/alpine', Buffer.from('blob'))
  return { app, registry, lines, digest, blob }
}

t.test('R3: every answer names the API version, errors too', async t => {
  const { app, digest } = withContent(t)
  const requests = [
    { url: '/v2/' },
    { url: `/v2/library/alpine/manifests/${digest}` },
    { url: '/v2/library/alpine/manifests/nothing' },
    { url: '/v2/A/manifests/x' },
    { url: '/nowhere' },
    { url: '/%ff' },
    { url: '/v2/library/alpine/manifests/x', method: 'PUT' as const },
  ]
  for (const request of requests) {
    const answer = await app.inject(request)
    t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0', request.url)
  }
})

t.test('R5, R7, R46: HEAD carries the headers of GET and no body', async t => {
  const { app, digest, blob } = withContent(t)
  const paths = [
    `manifests/${digest}`,
    'manifests/3.20',
    `blobs/${blob}`,
    'tags/list',
    `referrers/${digest}`,
  ]
  for (const path of paths) {
    const url = `/v2/library/alpine/${path}`
    const get = await app.inject({ url })
    const head = await app.inject({ url, method: 'HEAD' })
    t.equal(head.statusCode, get.statusCode, path)
    // An id is of one request, and a second may pass between two answers.
    const ofEach = { 'x-request-id': '', date: '' }
    t.same({ ...head.headers, ...ofEach }, { ...get.headers, ...ofEach })
    t.ok(Date.parse(String(head.headers['date'])) > 0, 'a date')
    t.equal(get.headers['content-length'], String(get.rawPayload.length))
    t.equal(head.rawPayload.length, 0)
  }
})

t.test('R6, R8, R9: a manifest goes out as it came in, with its exact type and digest', async t => {
  const { app, digest } = withContent(t)
  for (const reference of [digest, '3.20']) {
    const answer = await app.inject({
      url: `/v2/library/alpine/manifests/${reference}`,
      headers: { 'accept-encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' },
    })
    t.same(answer.rawPayload, BYTES)
    t.equal(answer.headers['content-type'], MANIFEST)
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(answer.headers['content-encoding'], undefined)
    t.equal(answer.headers['transfer-encoding'], undefined)
  }
})

t.test('R8: a digest of sha512 is repeated in the answer', async t => {
  const { app, registry } = withContent(t)
  const bytes = Buffer.from('long')
  const digest = digestOf(bytes, 'sha512')
  registry.pullBlob = async () => ({
    digest,
    sizeBytes: bytes.length,
    source: 'hit',
    file: undefined,
    async *read() {
      yield bytes
    },
    async close() {},
  })
  const answer = await app.inject({ url: `/v2/library/alpine/blobs/${digest}` })
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['docker-content-digest'], digest)
})

t.test(
  'R10: If-None-Match answers 304 with ETag and digest, in every form that clients send',
  async t => {
    const { app, registry, digest, blob } = withContent(t)
    for (const [path, own] of [
      [`manifests/${digest}`, digest],
      ['manifests/3.20', digest],
      [`blobs/${blob}`, blob],
    ] as const) {
      for (const header of [`"${own}"`, own, `W/"${own}"`, '*', `"sha256:00", "${own}"`]) {
        const answer = await app.inject({
          url: `/v2/library/alpine/${path}`,
          headers: { 'if-none-match': header },
        })
        t.equal(answer.statusCode, 304, `${path} ${header}`)
        t.equal(answer.headers['etag'], `"${own}"`)
        t.equal(answer.headers['docker-content-digest'], own)
        t.equal(answer.body, '')
      }
      const other = await app.inject({
        url: `/v2/library/alpine/${path}`,
        headers: { 'if-none-match': '"sha256:00"' },
      })
      t.equal(other.statusCode, 200)
    }
    t.notOk(registry.opened > 1, 'a 304 opens no blob')
  },
)

t.test(
  'R11: what never changes may be kept, what may change is asked for again, errors are not stored',
  async t => {
    const { app, digest, blob } = withContent(t)
    const cases = [
      [`manifests/${digest}`, 'max-age=31536000, immutable'],
      [`blobs/${blob}`, 'max-age=31536000, immutable'],
      ['manifests/3.20', 'no-cache'],
      ['tags/list', 'no-cache'],
      [`referrers/${digest}`, 'no-cache'],
      ['manifests/nothing', 'no-store'],
    ] as const
    for (const [path, expected] of cases) {
      const answer = await app.inject({ url: `/v2/library/alpine/${path}` })
      t.equal(answer.headers['cache-control'], expected, path)
    }
  },
)

t.test('R11: content that needs credentials is private', async t => {
  const { app, registry } = createTestApp(t, {
    access: { ...ANYBODY, decide: () => ({ kind: 'allowed', anonymously: false }) },
  })
  const digest = registry.addManifest('docker.io/a/b', { bytes: BYTES, mediaType: MANIFEST })
  const answer = await app.inject({ url: `/v2/a/b/manifests/${digest}` })
  t.equal(answer.headers['cache-control'], 'private, max-age=31536000, immutable')
})

t.test('R12: several Accept headers and a joined one reach the engine alike', async t => {
  const { app, registry } = withContent(t)
  const seen: unknown[] = []
  const { pullManifest } = registry
  registry.pullManifest = (repository, request) => {
    seen.push(request.accept)
    return pullManifest(repository, request)
  }
  const url = '/v2/library/alpine/manifests/3.20'
  await app.inject({ url, headers: { ACCEPT: `${INDEX}, ${MANIFEST}` } })
  await app.inject({ url, headers: { accept: [INDEX, MANIFEST].join(', ') } })
  t.same(seen[0], seen[1])
})

t.test(
  'R13: warnings go out one per line, in the one form that podman reads; a tag says its age',
  async t => {
    const { app, registry } = withContent(t)
    registry.warnings = ['served stale: the "upstream" failed', 'second']
    registry.source = 'stale'
    registry.ageMs = 61_900
    const answer = await app.inject({ url: '/v2/library/alpine/manifests/3.20' })
    t.same(answer.headers['warning'], [
      '299 - "served stale: the \\"upstream\\" failed"',
      '299 - "second"',
    ])
    t.equal(answer.headers['x-entrepot-source'], 'stale')
    t.equal(answer.headers['age'], '61')
  },
)

t.test('R190: what an upstream put into a media type never becomes a header', async t => {
  const { app, registry, lines } = withContent(t)
  for (const mediaType of ['a/b\r\nSet-Cookie: x=1', 'a/b\u00e9', 'a/b\u0000']) {
    registry.addManifest('docker.io/a/b', { bytes: BYTES, mediaType, tag: 'odd' })
    const answer = await app.inject({ url: '/v2/a/b/manifests/odd' })
    t.equal(answer.statusCode, 500)
    t.equal(answer.headers['content-type'], 'application/json')
    t.equal(answer.headers['set-cookie'], undefined)
    t.equal(answer.headers['docker-content-digest'], undefined, 'headers of the success are gone')
  }
  t.equal(lines().length, 3)
})

t.test(
  "a request has an id: the client's own when it is plainly an id, else one of ours",
  async t => {
    const { app, lines } = withContent(t)
    const own = await app.inject({ url: '/v2/', headers: { 'x-request-id': 'abcdef-0123456789' } })
    t.equal(own.headers['x-request-id'], 'abcdef-0123456789')
    t.equal(lines().at(-1)?.['requestId'], 'abcdef-0123456789')
    const ids = new Set<unknown>()
    for (const sent of ['short', 'has space in it', 'x'.repeat(65), '{"json":1}____', undefined]) {
      const answer = await app.inject({
        url: '/v2/',
        headers: sent === undefined ? {} : { 'x-request-id': sent },
      })
      t.match(answer.headers['x-request-id'], /^[0-9a-f]{8}-[0-9a-z]+$/)
      ids.add(answer.headers['x-request-id'])
    }
    t.equal(ids.size, 5)
  },
)
