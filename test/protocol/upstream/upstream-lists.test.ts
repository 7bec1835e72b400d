// Goal: tag lists and referrers are complete or an error, never quietly less (R68, R69, R77, R78).
// Method: stub registries that page, shuffle, lack the API or fail.
import t from 'tap'
import { makeArtifact, makeImage, document as makeDocument, MEDIA_TYPES } from '../../kit/image.ts'
import { failureOf, NAME, openUpstream, type Teardown } from '../../kit/open-upstream.ts'
import { type Scripted, startScript } from '../../kit/stubs/scripted-server.ts'
import { failure, tooManyRequests, unauthorized } from '../../kit/stubs/stub-faults.ts'
import { startStub, startStubRegistry, type StubOptions } from '../../kit/stubs/stub-registry.ts'
import { parseName } from '../../../src/oci/reference.ts'
import { referrersTag } from '../../../src/oci/referrers-tag.ts'

const IMAGE = makeImage({ seed: 'lists', layers: [10] })
const SUBJECT = IMAGE.manifest.digest
const SBOM = makeArtifact({ seed: 'sbom', subject: IMAGE.descriptor })
const SIGNATURE = makeArtifact({ seed: 'signature', subject: IMAGE.descriptor })

async function open(t: Teardown, options: StubOptions = {}) {
  const stub = await startStub(t, options)
  return { stub, ...openUpstream(t, stub.url) }
}

t.test('R68: pages are followed by their links, then sorted and made unique', async t => {
  const tags = ['v10', 'v9', 'latest', 'V1', 'a.b', '1', 'v1', 'zz', '_x', 'edge']
  for (const order of ['sorted', 'unsorted', 'duplicates'] as const) {
    for (const cursor of ['last', 'opaque'] as const) {
      const behaviour = { tags: { pageMax: 3, cursor, order } }
      const { stub, upstream } = await open(t, { behaviour })
      for (const tag of tags) stub.addImage(NAME, tag, IMAGE)
      t.same((await upstream.listTags(NAME)).tags, [...tags].sort(), `${order} ${cursor}`)
      t.ok(stub.count({ kind: 'tags' }) >= 4)
    }
  }
})

t.test('R68: several Link headers and several links in one are read', async t => {
  const links = [
    [`<https://other.example/>; rel="first"`, '</v2/x/tags/list?page=2>; rel=next'],
    [
      '</v2/x/tags/list?a=1,2>; rel="prev", </v2/x/tags/list?page=2>; title="a, b"; rel="next last"',
    ],
  ]
  for (const link of links) {
    const server = await startScript(t, ({ target }) =>
      target.includes('page=2')
        ? { body: '{"tags":["b"]}' }
        : { headers: { link }, body: '{"tags":["a"]}' },
    )
    t.same((await openUpstream(t, server.url).upstream.listTags(NAME)).tags, ['a', 'b'])
  }
})

t.test('R68: lists that loop or do not end are errors, not short lists', async t => {
  const loops: readonly ((count: number) => string)[] = [
    () => '/v2/library/alpine/tags/list?n=1000',
    count => `/v2/library/alpine/tags/list?page=${count}`,
  ]
  for (const next of loops) {
    const server = await startScript(t, (_request, count) => ({
      headers: { link: `<${next(count)}>; rel="next"` },
      body: JSON.stringify({ tags: [`t${count}`] }),
    }))
    const error = await failureOf(openUpstream(t, server.url).upstream.listTags(NAME))
    t.equal(error.failure, 'invalid')
    t.ok(server.received.length <= 100)
  }
})

t.test('R68: a failure in the middle is a failure of the whole', async t => {
  const { stub, upstream } = await open(t, {
    behaviour: { tags: { pageMax: 1, cursor: 'last', order: 'sorted' } },
  })
  for (const tag of ['a', 'b', 'c']) stub.addImage(NAME, tag, IMAGE)
  stub.fault({ kind: 'tags' }, failure(403), { after: 1 })
  t.equal((await failureOf(upstream.listTags(NAME))).failure, 'denied')
})

t.test('R69: at most 1,000 are asked for at once', async t => {
  const { stub, upstream } = await open(t)
  stub.addImage(NAME, 'a', IMAGE)
  await upstream.listTags(NAME)
  t.equal(stub.requests[0]?.query, 'n=1000')
})

t.test('R69: 404, 405 and 406 are passed on and not tried again', async t => {
  const cases = [
    [404, 'not-found'],
    [405, 'unsupported'],
    [406, 'unsupported'],
  ] as const
  for (const [status, expected] of cases) {
    const { stub, upstream } = await open(t)
    stub.fault({ kind: 'tags' }, failure(status))
    t.equal((await failureOf(upstream.listTags(NAME))).failure, expected)
    t.equal(stub.count(), 1)
  }
})

t.test('what is no tag is left out, null is empty, and what is no list is invalid', async t => {
  const bodies = [
    ['{"tags":["ok","-no",5,null,"a b",""]}', ['ok']],
    ['{"tags":null}', []],
    ['{"name":"x"}', []],
  ] as const
  for (const [body, tags] of bodies) {
    const server = await startScript(t, () => ({ body }))
    t.same((await openUpstream(t, server.url).upstream.listTags(NAME)).tags, tags)
  }
  for (const body of ['', '<html>', '[]x', '"tags"', 'null']) {
    const server = await startScript(t, () => ({ body }))
    const error = await failureOf(openUpstream(t, server.url).upstream.listTags(NAME))
    t.equal(error.failure, 'invalid', body)
  }
})

const digests = (manifests: readonly unknown[]) =>
  manifests.map(each => (each as { digest: string }).digest).sort()

t.test('R77: referrers come from the API where there is one', async t => {
  const { stub, upstream } = await open(t)
  for (const image of [IMAGE, SBOM, SIGNATURE]) stub.addImage(NAME, undefined, image)
  const { manifests } = await upstream.listReferrers(NAME, SUBJECT)
  t.same(digests(manifests), [SBOM.manifest.digest, SIGNATURE.manifest.digest].sort())
  t.equal(stub.count(), 1)
})

/** An index of referrers under the fallback tag. */
function addFallback(stub: Awaited<ReturnType<typeof startStubRegistry>>): void {
  const index = makeDocument(MEDIA_TYPES.oci.index, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.index,
    manifests: [SBOM.descriptor],
  })
  stub.addDocument(NAME, referrersTag(SUBJECT), index)
}

t.test(
  'R77: without the API they come from the fallback tag, and the API is not asked again',
  async t => {
    const { stub, upstream, clock } = await open(t, { behaviour: { referrers: 'none' } })
    addFallback(stub)
    stub.addImage(NAME, undefined, IMAGE)
    t.same(digests((await upstream.listReferrers(NAME, SUBJECT)).manifests), [SBOM.manifest.digest])
    await upstream.listReferrers(NAME, SUBJECT)
    t.equal(stub.count({ kind: 'referrers' }), 1)
    t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 2)
    t.equal(stub.count({ kind: 'manifest', method: 'HEAD' }), 1, 'whether it has the subject')
    await clock.advance(60 * 60 * 1000)
    await upstream.listReferrers(NAME, SUBJECT)
    t.equal(stub.count({ kind: 'referrers' }), 2, 'until the memory expires')
  },
)

t.test('R77: that the API is missing is forgotten as soon as it answers anywhere', async t => {
  const { stub, upstream } = await open(t)
  const other = parseName('library/other')
  for (const name of [NAME, other])
    for (const image of [IMAGE, SBOM]) stub.addImage(name, undefined, image)
  const missing = stub.fault({ kind: 'referrers' }, failure(405, 'UNSUPPORTED'))
  for (let at = 0; at < 2; at += 1)
    t.same(await upstream.listReferrers(NAME, SUBJECT), { manifests: [], byTag: true })
  t.equal(stub.count({ kind: 'referrers' }), 1)
  missing.remove()
  t.equal((await upstream.listReferrers(other, SUBJECT)).manifests.length, 1)
  t.equal((await upstream.listReferrers(NAME, SUBJECT)).manifests.length, 1)
})

t.test('R77: 405 and a wrong content type mean that there is no API either', async t => {
  const answers = [
    failure(405),
    { mediaType: 'application/json' },
    { mediaType: 'text/html', body: '<p>' },
  ]
  for (const answer of answers) {
    const { stub, upstream, clock } = await open(t)
    addFallback(stub)
    stub.fault({ kind: 'referrers' }, answer)
    const asked = upstream.listReferrers(NAME, SUBJECT)
    // What anything may answer is asked for again.
    if (!('status' in answer)) {
      await clock.untilSleeping(500)
      await clock.advance(500)
    }
    t.same(digests((await asked).manifests), [SBOM.manifest.digest])
  }
})

t.test('R77: no fallback tag means that nobody refers to it', async t => {
  const { stub, upstream } = await open(t, { behaviour: { referrers: 'none' } })
  stub.addImage(NAME, 'latest', IMAGE)
  t.same(await upstream.listReferrers(NAME, SUBJECT), { manifests: [], byTag: true })
})

t.test('R77: one 404 of an API that has answered before is about that digest alone', async t => {
  const { stub, upstream } = await open(t)
  stub.addImage(NAME, undefined, IMAGE)
  stub.addImage(NAME, undefined, SBOM)
  await upstream.listReferrers(NAME, SUBJECT)
  stub.fault({ kind: 'referrers' }, failure(404, 'MANIFEST_UNKNOWN'), { times: 1 })
  t.same(await upstream.listReferrers(NAME, SBOM.manifest.digest), { manifests: [] })
  t.equal((await upstream.listReferrers(NAME, SUBJECT)).manifests.length, 1)
})

t.test('R78: no failure becomes an empty list, at the API or at the fallback tag', async t => {
  const faults = [
    [failure(500), 'unavailable'],
    [failure(503), 'unavailable'],
    [failure(403), 'denied'],
    [unauthorized(null), 'denied'],
    [tooManyRequests('errors', 3600), 'rate-limited'],
    [failure(404, 'NAME_UNKNOWN'), 'not-found'],
    [{ dropConnection: true }, 'unavailable'],
  ] as const
  for (const [fault, expected] of faults) {
    for (const kind of ['referrers', 'manifest'] as const) {
      const referrers = kind === 'manifest' ? 'none' : 'filtering'
      const stub = await startStub(t, { behaviour: { referrers } })
      stub.addImage(NAME, undefined, IMAGE)
      stub.fault({ kind }, fault)
      const { upstream } = openUpstream(t, stub.url, { timeLimits: { chainMs: 900 } })
      const error = await failureOf(upstream.listReferrers(NAME, SUBJECT))
      t.equal(error.failure, expected, `${kind} ${JSON.stringify(fault)}`)
    }
  }
})

t.test('R78: rubbish is no empty list either', async t => {
  const type = { 'content-type': MEDIA_TYPES.oci.index }
  const bodies = ['', '{', '[]', '{"manifests":5}', '{"manifests":["x"]}', '{}']
  for (const body of bodies) {
    const server = await startScript(t, (): Scripted => ({ headers: type, body }))
    const error = await failureOf(openUpstream(t, server.url).upstream.listReferrers(NAME, SUBJECT))
    t.equal(error.failure, 'invalid', body)
  }
  const { stub, upstream } = await open(t, { behaviour: { referrers: 'none' } })
  stub.addDocument(NAME, referrersTag(SUBJECT), IMAGE.manifest)
  t.equal((await failureOf(upstream.listReferrers(NAME, SUBJECT))).failure, 'invalid')
})
