// Goal: a raw request target leads to the endpoint that the client meant, or to a clean refusal.
// Method: tables of targets; the property test goes through generated names in every URL form.
import t, { type Test } from 'tap'
import { ENDPOINTS, parseTarget, TARGET_MAX_LENGTH } from '../../../src/oci/endpoint.ts'

const HEX = 'a'.repeat(64)
const DIGEST = `sha256:${HEX}`
const SHA512 = `sha512:${HEX}${HEX}`

/** `kind name detail`, for tables. */
function describe(rawTarget: string): string {
  const { endpoint, leading } = parseTarget(rawTarget)
  const path = 'path' in endpoint ? ` ${endpoint.path}` : ''
  const detail =
    endpoint.kind === 'manifest'
      ? ` ${endpoint.reference.kind === 'tag' ? endpoint.reference.tag : endpoint.reference.digest}`
      : 'digest' in endpoint
        ? ` ${endpoint.digest}`
        : 'id' in endpoint
          ? ` ${endpoint.id}`
          : ''
  return `${leading === undefined ? '' : `(${leading}) `}${endpoint.kind}${path}${detail}`
}

function expectTargets(t: Test, expected: Record<string, string>): void {
  for (const [target, wanted] of Object.entries(expected)) t.equal(describe(target), wanted, target)
}

function expectRefused(t: Test, code: string, targets: readonly string[]): void {
  for (const target of targets) t.throws(() => parseTarget(target), { code }, target)
}

t.test('R1: the ping has a slash or none', async t => {
  expectTargets(t, { '/v2/': 'ping', '/v2': 'ping', '/v2/?x=1': 'ping' })
})

t.test('R24: each route, and an upload with and without its slash', async t => {
  expectTargets(t, {
    '/v2/a/manifests/v1': 'manifest a v1',
    [`/v2/a/b/manifests/${DIGEST}`]: `manifest a/b ${DIGEST}`,
    [`/v2/a/blobs/${SHA512}`]: `blob a ${SHA512}`,
    '/v2/a/tags/list': 'tags a',
    [`/v2/a/referrers/${DIGEST}?artifactType=x`]: `referrers a ${DIGEST}`,
    '/v2/a/blobs/uploads': 'uploads a',
    '/v2/a/blobs/uploads/': 'uploads a',
    '/v2/a/blobs/uploads/0-_z': 'upload a 0-_z',
    '/v2/_catalog?n=5': 'catalog',
  })
})

t.test(
  'R24: components may be called like the words of the routes; the last ones decide',
  async t => {
    expectTargets(t, {
      '/v2/a/manifests/blobs/tags/manifests/latest': 'manifest a/manifests/blobs/tags latest',
      '/v2/a/manifests/blobs/tags/tags/list': 'tags a/manifests/blobs/tags',
      [`/v2/a/blobs/uploads/blobs/${DIGEST}`]: `blob a/blobs/uploads ${DIGEST}`,
      '/v2/a/blobs/blobs/uploads': 'uploads a/blobs',
      '/v2/a/blobs/uploads/manifests': 'upload a manifests',
      '/v2/v2/manifests/manifests': 'manifest v2 manifests',
      '/v2/tags/list/tags/list': 'tags tags/list',
      '/v2/blobs/manifests/list': 'manifest blobs list',
      [`/v2/referrers/referrers/${DIGEST}`]: `referrers referrers ${DIGEST}`,
    })
  },
)

t.test(
  'R25: a path that would climb, hide or split is refused before it means anything',
  async t => {
    expectRefused(t, 'NAME_INVALID', [
      '/v2/a/%2e%2e/b/manifests/x',
      '/v2/a/../b/manifests/x',
      '/v2/./a/manifests/x',
      '/v2/a%2fb/manifests/x',
      '/v2/a%00/manifests/x',
      '/v2/a\\b/manifests/x',
      '/v2/a\0/manifests/x',
      '/v2//a/manifests/x',
      '/v2/a//manifests/x',
      '/v2//manifests/x',
      '/v2/A/tags/list',
      '/v2/a b/tags/list',
      '/v2/ä/tags/list',
      '/v2/a/tags/list#x',
      '/v2/a%41/tags/list',
    ])
  },
)

t.test('R25: references are decoded once, and what comes out is checked', async t => {
  expectTargets(t, {
    [`/v2/a/blobs/sha256%3A${HEX}`]: `blob a ${DIGEST}`,
    [`/v2/a/manifests/sha256%3a${HEX}`]: `manifest a ${DIGEST}`,
    '/v2/a/manifests/v%31': 'manifest a v1',
  })
  expectRefused(t, 'DIGEST_INVALID', [
    `/v2/a/blobs/sha256%253A${HEX}`,
    '/v2/a/blobs/%',
    '/v2/a/blobs/x',
  ])
  expectRefused(t, 'TAG_INVALID', [
    '/v2/a/manifests/a%2Fb',
    '/v2/a/manifests/%2e%2e',
    '/v2/a/manifests/%00',
    '/v2/a/manifests/',
  ])
})

t.test('R22: a bad digest is no tag', async t => {
  expectRefused(t, 'DIGEST_INVALID', ['/v2/a/manifests/sha256:baddigeststring'])
})

t.test('R29: names may begin with a registry host and port', async t => {
  expectTargets(t, {
    '/v2/docker.io/library/alpine/tags/list': 'tags docker.io/library/alpine',
    '/v2/10.0.0.1:5000/team/app/tags/list': 'tags 10.0.0.1:5000/team/app',
    '/v2/localhost:5000/app/tags/list': 'tags localhost:5000/app',
    '/v2/[::1]:5000/app/tags/list': 'tags [::1]:5000/app',
  })
  expectRefused(t, 'NAME_INVALID', [
    '/v2/10.0.0.1:5000/tags/list',
    '/v2/a/b:5000/tags/list',
    '/v2/a:b/c/tags/list',
    '/v2/a..b:1/c/tags/list',
    '/v2/a:123456/c/tags/list',
    '/v2/a_b:5000/c/tags/list',
  ])
})

t.test('R29: a host, and a path below it, may stand before /v2', async t => {
  expectTargets(t, {
    '/docker.io/v2/library/alpine/manifests/3': '(docker.io) manifest library/alpine 3',
    '/10.0.0.1:5000/v2/a/tags/list': '(10.0.0.1:5000) tags a',
    '/quay.io/team/v2/v2/tags/list': '(quay.io/team) tags v2',
  })
  expectRefused(t, 'NAME_INVALID', [
    '//v2/a/tags/list',
    '/../v2/a/tags/list',
    '/A/v2/',
    '/a/B/v2/',
    '/%61/v2/',
  ])
})

t.test('R30: the ping behind a host', async t => {
  expectTargets(t, { '/docker.io/v2/': '(docker.io) ping', '/docker.io/v2': '(docker.io) ping' })
})

t.test('R26: the query is kept apart from the path, however odd', async t => {
  t.equal(parseTarget('/v2/a/tags/list?ns=docker.io&n=5').query.get('ns'), 'docker.io')
  t.equal(parseTarget('/v2/a/tags/list?ns=a%2Fv2%2F..').query.get('ns'), 'a/v2/..')
  t.equal(parseTarget('/v2/a/tags/list??/v2/%zz').endpoint.kind, 'tags')
})

t.test('R72: reserved names are no repositories, and discovery has its route', async t => {
  expectTargets(t, { '/v2/_oci/ext/discover': 'extension', '/v2/a/_oci/ext/discover': 'extension' })
  for (const target of ['/v2/_foo', '/v2/_foo/manifests/x', '/v2/_oci/x']) {
    t.throws(() => parseTarget(target), { code: 'UNSUPPORTED', status: 404 }, target)
  }
})

t.test('R234: only a path is a target, and what is no route of a registry is 404', async t => {
  expectRefused(t, 'NAME_INVALID', ['http://edge/v2/', '*', '', 'v2/', 'edge:443'])
  const elsewhere = [
    '/',
    '/v1/search',
    '/v22/',
    '/v2/a',
    '/v2/a/tags',
    '/v2/a/tags/x',
    '/v2/manifests/x',
    '/v2/tags/list',
    '/v2//',
  ]
  for (const target of elsewhere) {
    t.throws(() => parseTarget(target), { code: 'UNSUPPORTED', status: 404 }, target)
  }
})

t.test(
  'R186: a target has a longest length, and uploads only ids that could have been given',
  async t => {
    const long = `/v2/?x=${'a'.repeat(TARGET_MAX_LENGTH)}`
    t.throws(() => parseTarget(long), { code: 'NAME_INVALID', status: 414 })
    expectRefused(t, 'BLOB_UPLOAD_UNKNOWN', ['/v2/a/blobs/uploads/..', '/v2/a/blobs/uploads/%41'])
  },
)

t.test('R19: each end of the specification belongs to one endpoint', async t => {
  const ids = Object.values(ENDPOINTS).flatMap(endpoint => [...endpoint.ids]) as string[]
  t.same(ids.sort(), Array.from({ length: 14 }, (_, index) => `end-${index + 1}`).sort())
})
