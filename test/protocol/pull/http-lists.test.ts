// Goal: tag lists, referrers and the catalog have the form and the paging that clients follow.
// Method: requests in process over a registry with fixed lists; Link headers are followed as a
// client would.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DIGEST = digestOf(Buffer.from('subject'))

function withTags(test: Parameters<typeof createTestApp>[0], tags: readonly string[]) {
  const { app, registry } = createTestApp(test)
  for (const tag of tags)
    registry.addManifest('docker.io/a/b', { bytes: Buffer.from(tag), mediaType: MANIFEST, tag })
  return { app, registry }
}

/** The target of the one next link, or undefined. */
function nextOf(header: string | string[] | number | undefined): string | undefined {
  return header === undefined ? undefined : /^<(\/[^>]+)>; rel="next"$/.exec(header.toString())?.[1]
}

t.test('R65: a tag list carries the name as the client wrote it', async t => {
  const { app } = withTags(t, ['v1', 'v2'])
  const cases = [
    ['/v2/docker.io/a/b/tags/list', 'docker.io/a/b'],
    ['/v2/a/b/tags/list?ns=docker.io', 'a/b'],
    ['/docker.io/v2/a/b/tags/list', 'a/b'],
  ] as const
  for (const [url, name] of cases) {
    const answer = await app.inject({ url })
    t.same(answer.json(), { name, tags: ['v1', 'v2'] }, url)
    t.equal(answer.headers['content-type'], 'application/json')
  }
  const unknown = await app.inject({ url: '/v2/a/never/tags/list' })
  t.equal(unknown.statusCode, 404)
  t.equal(unknown.json().errors[0].code, 'NAME_UNKNOWN')
})

t.test('R66: n and last', async t => {
  const { app } = withTags(t, ['a', 'b', 'c', 'd'])
  const list = async (query: string) => app.inject({ url: `/v2/a/b/tags/list?${query}` })
  t.same((await list('n=2')).json().tags, ['a', 'b'])
  t.same((await list('n=2&last=b')).json().tags, ['c', 'd'])
  t.equal((await list('n=2&last=b')).headers['link'], undefined, 'nothing follows')
  t.same((await list('last=bb')).json().tags, ['c', 'd'], 'last need not exist')
  const none = await list('n=0')
  t.same(none.json().tags, [])
  t.equal(none.headers['link'], undefined)
  t.same((await list('n=999999999')).json().tags, ['a', 'b', 'c', 'd'])
  for (const n of ['-1', 'x', '1.5', '1e3']) {
    const answer = await list(`n=${n}`)
    t.equal(answer.statusCode, 400, n)
    t.equal(answer.json().errors[0].code, 'PAGINATION_NUMBER_INVALID')
  }
})

t.test('R67: next links are paths that keep prefix and ns, and lead through all tags', async t => {
  const tags = Array.from({ length: 2_500 }, (_, index) => `v${String(index).padStart(5, '0')}`)
  const { app } = withTags(t, tags)
  for (const start of [
    '/v2/docker.io/a/b/tags/list?n=1000',
    '/docker.io/v2/a/b/tags/list?n=1000',
    '/v2/a/b/tags/list?n=1000&ns=docker.io',
  ]) {
    const seen: string[] = []
    const path = start.slice(0, start.indexOf('?'))
    for (let url: string | undefined = start; url !== undefined; ) {
      t.ok(url.startsWith(path), url)
      t.equal(url.includes('ns=docker.io'), start.includes('ns='))
      const answer = await app.inject({ url })
      seen.push(...answer.json().tags)
      url = nextOf(answer.headers['link'])
    }
    t.same(seen, tags)
  }
})

t.test('R71: the catalog is paged, and only of what is here', async t => {
  const { app, registry } = createTestApp(t)
  for (const name of ['a/a', 'a/b', 'a/c']) registry.addBlob(`docker.io/${name}`, Buffer.from(name))
  const first = await app.inject({ url: '/v2/_catalog?n=2' })
  t.same(first.json(), { repositories: ['docker.io/a/a', 'docker.io/a/b'] })
  const next = nextOf(first.headers['link'])
  t.equal(next, '/v2/_catalog?n=2&last=docker.io%2Fa%2Fb')
  t.same((await app.inject({ url: next ?? '' })).json(), { repositories: ['docker.io/a/c'] })
  t.equal((await app.inject({ url: '/v2/_catalog?n=999999999' })).statusCode, 200)
})

t.test('R71: the catalog can be refused by the rules of access', async t => {
  const { app, registry } = createTestApp(t, {
    access: {
      ...ANYBODY,
      decide: ({ resource }) =>
        resource === 'catalog'
          ? { kind: 'denied', reason: 'sign in first' }
          : { kind: 'allowed', anonymously: true },
    },
  })
  const answer = await app.inject({ url: '/v2/_catalog' })
  t.equal(answer.statusCode, 403)
  t.same(registry.calls, [])
})

t.test(
  'R73, R76: referrers are an index of the exact type, also when there are none, with nothing after it',
  async t => {
    const { app } = createTestApp(t)
    const answer = await app.inject({ url: `/v2/a/never/referrers/${DIGEST}` })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['content-type'], INDEX)
    t.equal(answer.body, `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[]}`)
    const malformed = await app.inject({ url: '/v2/a/b/referrers/sha256:short' })
    t.equal(malformed.statusCode, 400)
    t.equal(malformed.json().errors[0].code, 'DIGEST_INVALID')
  },
)

t.test(
  'R74, R75: descriptors stand as the engine gave them, and a filter that was applied is named',
  async t => {
    const { app, registry } = createTestApp(t)
    const descriptors = [
      {
        mediaType: MANIFEST,
        digest: DIGEST,
        size: 7,
        artifactType: 'a/x',
        annotations: { key: 'é' },
      },
    ]
    registry.setReferrers('docker.io/a/b', descriptors)
    const seen: unknown[] = []
    const { listReferrers } = registry
    registry.listReferrers = (repository, digest, types) => {
      seen.push(types)
      registry.filtered = types.length > 0
      return listReferrers(repository, digest, types)
    }
    const url = `/v2/a/b/referrers/${DIGEST}`
    const filtered = await app.inject({ url: `${url}?artifactType=a%2Fx&artifactType=b/y` })
    t.same(filtered.json().manifests, descriptors)
    t.equal(filtered.headers['oci-filters-applied'], 'artifactType')
    const all = await app.inject({ url })
    t.equal(all.headers['oci-filters-applied'], undefined)
    t.same(seen, [['a/x', 'b/y'], []])
  },
)

t.test(
  'R76: 20,000 referrers are paged below 4 MiB, and the links lead through all of them',
  async t => {
    const { app, registry } = createTestApp(t)
    const descriptors = Array.from({ length: 20_000 }, (_, index) => ({
      mediaType: MANIFEST,
      digest: digestOf(Buffer.from(String(index))),
      size: index,
      artifactType: 'application/vnd.example.signature',
      annotations: { note: 'x'.repeat(300) },
    }))
    registry.setReferrers('docker.io/a/b', descriptors)
    const seen = new Set<string>()
    let count = 0
    let pages = 0
    let url: string | undefined = `/docker.io/v2/a/b/referrers/${DIGEST}?artifactType=a/x`
    while (url !== undefined) {
      const answer = await app.inject({ url })
      t.ok(answer.rawPayload.length <= 4 * 1024 * 1024)
      for (const { digest } of answer.json().manifests) {
        seen.add(digest)
        count += 1
      }
      pages += 1
      url = nextOf(answer.headers['link'])
      if (url !== undefined)
        t.match(url, /^\/docker\.io\/v2\/a\/b\/referrers\/sha256:.*artifactType=a%2Fx/)
    }
    t.equal(seen.size, 20_000)
    t.equal(count, 20_000, 'each once')
    t.ok(pages > 1)
  },
)

t.test('R78: a failure of the engine on referrers is passed on, never an empty list', async t => {
  const { app, registry } = createTestApp(t)
  registry.before = async () => {
    throw new Error('boom')
  }
  const answer = await app.inject({ url: `/v2/a/b/referrers/${DIGEST}` })
  t.equal(answer.statusCode, 500)
})
