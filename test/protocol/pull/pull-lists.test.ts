// Goal: tag lists, referrers and the catalog through the whole edge: kept briefly, never invented,
// never another's (R65–R81). Method: a counting stub registry, the edge in process, a clock that
// the test moves.
import t from 'tap'
import { MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeArtifact, makeImage } from '../../kit/image.ts'
import { failure } from '../../kit/stubs/stub-faults.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const image = makeImage({ seed: 'listed', layers: [10] })
const TAGS = '/v2/library/app/tags/list'
const HOUR_MS = 3_600_000

const jsonOf = (answer: { body: Buffer }) =>
  JSON.parse(answer.body.toString()) as Record<string, unknown>

t.test('R65: a proxied tag list is sorted, and names the repository as the client did', async t => {
  const { edge } = await startPair(t, { images: { v2: image, 'v1.10': image, Z: image } })
  t.same(jsonOf(await edge.get(TAGS)), { name: 'library/app', tags: ['Z', 'v1.10', 'v2'] })
  t.match(jsonOf(await edge.get('/v2/docker.io/library/app/tags/list')), {
    name: 'docker.io/library/app',
  })
})

t.test('R65: a repository that nobody has is 404 NAME_UNKNOWN', async t => {
  const { edge } = await startPair(t)
  t.match(jsonOf(await edge.get('/v2/team/none/tags/list')), { errors: [{ code: 'NAME_UNKNOWN' }] })
  t.equal((await edge.get('/v2/localhost/none/tags/list')).status, 404)
})

t.test('R66: pages of a proxied list are cut here, and Link leads through all of them', async t => {
  const tags = Array.from({ length: 25 }, (_, index) => `t${String(index).padStart(2, '0')}`)
  const { edge, stub } = await startPair(t, {
    images: Object.fromEntries(tags.map(tag => [tag, image])),
  })
  const seen: unknown[] = []
  let path: string | undefined = `${TAGS}?n=10`
  while (path !== undefined) {
    const answer = await edge.get(path)
    seen.push(...(jsonOf(answer)['tags'] as string[]))
    path = /<([^>]+)>/.exec(answer.headers['link'] ?? '')?.[1]
    t.ok(
      path === undefined || path.startsWith('/v2/library/app/tags/list?'),
      'R67: a path of the same form',
    )
  }
  t.same(seen, tags)
  t.equal(stub.count({ kind: 'tags' }), 1, 'asked once for all pages')
})

t.test('R70: a list is fresh for a minute at most, and concurrent clients ask once', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image }, entry: { ttl: '1h' } })
  await Promise.all(Array.from({ length: 10 }, () => edge.get(TAGS)))
  t.equal(stub.count({ kind: 'tags' }), 1)
  stub.addImage('library/app', 'v2', image)
  await edge.clock.advance(61_000)
  t.same(jsonOf(await edge.get(TAGS))['tags'], ['v1', 'v2'])
})

t.test(
  'R70: while the upstream fails the old list comes with a warning; a refusal does not bring it',
  async t => {
    const { edge, stub } = await startPair(t, { images: { v1: image } })
    await edge.get(TAGS)
    await edge.clock.advance(HOUR_MS)
    const outage = stub.fault({ kind: 'tags' }, failure(503))
    t.match(await edge.settle(edge.get(TAGS)), {
      status: 200,
      headers: { warning: /^299 - "stale/ },
    })
    outage.remove()
    stub.fault({ kind: 'tags' }, failure(403, 'DENIED'))
    await edge.clock.advance(HOUR_MS)
    t.equal((await edge.settle(edge.get(TAGS))).status, 403)
  },
)

t.test('R70: offline the list is what is known here', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  await edge.get('/v2/library/app/manifests/v1')
  await edge.settle(edge.stop())
  const directory = edge.dataDirectory.slice(0, -'/data'.length)
  const offline = await startPair(t, {
    entry: { url: stub.url, offline: true },
    edge: { directory },
  })
  t.same(jsonOf(await offline.edge.get(TAGS)), { name: 'library/app', tags: ['v1'] })
})

t.test('R71: the catalog lists what is here, never what the upstream has', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  stub.addImage('library/other', 'v1', image)
  t.same(jsonOf(await edge.get('/v2/_catalog')), { repositories: [] })
  await edge.get('/v2/library/app/manifests/v1')
  t.same(jsonOf(await edge.get('/v2/_catalog')), { repositories: ['docker.io/library/app'] })
  t.equal(stub.count({ kind: 'catalog' }), 0)
})

const signature = makeArtifact({
  seed: 's',
  subject: image.descriptor,
  artifactType: 'application/x.signature',
})
const sbom = makeArtifact({
  seed: 'b',
  subject: image.descriptor,
  artifactType: 'application/x.sbom',
})
const REFERRERS = `/v2/library/app/referrers/${image.manifest.digest}`

t.test('R75: referrers are filtered here, also when the upstream ignores the filter', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  for (const each of [signature, sbom]) stub.addImage('library/app', undefined, each)
  const all = await edge.get(REFERRERS)
  t.equal((jsonOf(all)['manifests'] as unknown[]).length, 2)
  t.equal(all.headers['oci-filters-applied'], undefined)
  const some = await edge.get(`${REFERRERS}?artifactType=application%2Fx.sbom`)
  t.match(jsonOf(some), {
    manifests: [{ digest: sbom.manifest.digest, artifactType: 'application/x.sbom' }],
  })
  t.equal((jsonOf(some)['manifests'] as unknown[]).length, 1)
  t.equal(some.headers['oci-filters-applied'], 'artifactType')
})

t.test('R73: referrers of what nobody knows are an empty index', async t => {
  const { edge } = await startPair(t)
  for (const repository of ['library/app', 'localhost/mine']) {
    const answer = await edge.get(`/v2/${repository}/referrers/sha256:${'1'.repeat(64)}`)
    t.match(
      answer,
      { status: 200, headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' } },
      repository,
    )
    t.same(jsonOf(answer)['manifests'], [])
  }
})

t.test('R77: where the upstream lacks the referrers API its fallback tag is read', async t => {
  const { edge } = await startPair(t, { stub: { behaviour: { referrers: 'none' } } })
  t.equal((await edge.get(REFERRERS)).status, 200)
})

t.test('R78: a failing upstream is no empty list', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  stub.fault({ kind: 'referrers' }, failure(503))
  t.equal((await edge.settle(edge.get(REFERRERS))).status, 503)
})

t.test('R81: a signature is seen half a minute after it was pushed', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  t.same(jsonOf(await edge.get(REFERRERS))['manifests'], [])
  stub.addImage('library/app', undefined, signature)
  await edge.clock.advance(31_000)
  t.match(jsonOf(await edge.get(REFERRERS)), { manifests: [{ digest: signature.manifest.digest }] })
})

t.test(
  'R188: an upstream that a client names may not be a private address, however "*" is set',
  async t => {
    const stub = await startStub(t)
    stub.addImage('library/app', 'v1', image)
    const edge = await startTestEdge(t, {
      upstreams: {
        'docker.io': { url: stub.url },
        '*': { url: undefined as never, http: undefined },
      },
    })
    for (const ns of [stub.host, '127.0.0.1', '169.254.169.254', '10.0.0.5:5000']) {
      const answer = await edge.settle(edge.get(`/v2/library/app/manifests/v1?ns=${ns}`))
      t.ok(answer.status === 502 || answer.status === 404, `${ns}: ${answer.status}`)
    }
    for (const host of ['1.2.3.256', 'registry.example:99999']) {
      for (const path of [`/v2/${host}/x/manifests/v1`, `/v2/a/x/manifests/v1?ns=${host}`])
        t.ok([400, 404].includes((await edge.get(path)).status), path)
    }
    t.equal(stub.requests.length, 0)
  },
)

t.test('R94: that there is no tag called tags says nothing about the list of tags', async t => {
  const { edge } = await startPair(t, { images: { v1: image } })
  t.equal((await edge.get(`${MANIFESTS}/tags`)).status, 404)
  t.equal((await edge.get(TAGS)).status, 200)
})
