// Goal: a push has the token that it needs before bytes are on their way, a pull's token is not
// taken for it, and one that ends in between is replaced (R117, R143, R144, R182). Method: stub
// registries with a token service; requests are counted.
import t from 'tap'
import { parseName, parseReference } from '../../../src/oci/reference.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, LATEST, NAME, openUpstream, type Teardown } from '../../kit/open-upstream.ts'
import { piecesOf, settled, sourceOf } from '../../kit/clients/push-source.ts'
import { startScript } from '../../kit/stubs/scripted-server.ts'
import { unauthorized } from '../../kit/stubs/stub-faults.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'

const BLOB = patternBlob('authorized', 300_000)
const OTHER = parseName('library/other')
const V1 = parseReference('v1')
const IMAGE = makeImage({ seed: 'push auth', layers: [10] })
const BEARER = { scheme: 'bearer' } as const

async function startWithTokens(t: Teardown, auth: StubOptions['auth'] = BEARER) {
  const stub = await startStub(t, {
    auth: { ...BEARER, ...auth },
    push: { checksReferences: false },
  })
  stub.addImage(NAME, 'latest', IMAGE)
  return stub
}

t.test('R117: a push has a token of its own, for pull and push, and one for all of it', async t => {
  const stub = await startWithTokens(t)
  const { upstream } = openUpstream(t, stub.url)
  await upstream.headManifest(NAME, LATEST)
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  await begun.finish(BLOB.digest)
  await upstream.putManifest(NAME, V1, IMAGE.manifest)
  await upstream.headManifest(NAME, LATEST)
  t.same(
    stub.select({ kind: 'token' }).map(({ query }) => new URLSearchParams(query).getAll('scope')),
    [['repository:library/alpine:pull'], ['repository:library/alpine:pull,push']],
  )
  t.equal(stub.count({ kind: 'upload', status: 401 }), 1, 'only the first request goes bare')
  t.equal(
    stub.select({ status: 401 }).every(({ bytesReceived }) => bytesReceived === 0),
    true,
  )
})

t.test('R117: a registry that challenges for less is asked for what a push needs', async t => {
  const stub = await startWithTokens(t)
  const challenge = `Bearer realm="${stub.url}/token",service="stub",scope="repository:library/alpine:pull"`
  stub.fault({ kind: 'upload', method: 'POST' }, unauthorized(challenge), { times: 1 })
  const { upstream } = openUpstream(t, stub.url)
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  t.equal(stub.count({ kind: 'token' }), 1)
})

t.test('R144: a registry that challenges only at /v2/ is pushed to as well', async t => {
  const stub = await startWithTokens(t, { silentRefusal: true })
  const { upstream } = openUpstream(t, stub.url)
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  t.ok(stub.blob(NAME, BLOB.digest))
})

t.test('R117: a mount asks for both repositories, and reads nothing that it may not', async t => {
  const stub = await startWithTokens(t, { withheld: ['repository:library/secret:pull'] })
  const { upstream } = openUpstream(t, stub.url)
  stub.addBlob(OTHER, BLOB)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, OTHER), true)
  t.same(new URLSearchParams(stub.select({ kind: 'token' })[0]?.query).getAll('scope'), [
    'repository:library/alpine:pull,push',
    'repository:library/other:pull',
  ])
  stub.addBlob('library/secret', BLOB)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, parseName('library/secret')), false)
})

t.test('R182: a token server that refuses the other repository stops no push', async t => {
  const auth = { username: 'user', password: 'right', privatePrefix: 'library/secret' }
  const stub = await startWithTokens(t, auth)
  const { upstream } = openUpstream(t, stub.url)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, parseName('library/secret')), false)
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  t.ok(stub.blob(NAME, BLOB.digest))
})

t.test('R117: who may not push is told so, and before the bytes are sent', async t => {
  const stub = await startWithTokens(t, { withheld: ['repository:library/alpine:push'] })
  const { upstream } = openUpstream(t, stub.url)
  let pulled = 0
  async function* body() {
    pulled += 1
    yield BLOB.bytes()
  }
  for (const push of [
    () => upstream.pushBlob(NAME, sourceOf(BLOB)),
    () => upstream.streamBlob(NAME, body()),
    () => upstream.putManifest(NAME, V1, IMAGE.manifest),
  ]) {
    t.match(await failureOf(push()), { failure: 'denied', status: 401, hint: /push/ })
  }
  t.equal(pulled, 0)
  t.equal(stub.count({ method: 'PATCH' }), 0)
  t.equal(await upstream.mountBlob(NAME, BLOB.digest, OTHER), false, 'the next call finds out')
})

t.test(
  'R144: a token that ends in between is replaced, and a body that can be sent again is',
  async t => {
    const stub = await startWithTokens(t)
    const { upstream } = openUpstream(t, stub.url)
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    stub.clear()
    const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
    stub.expireTokens()
    await begun.finish(BLOB.digest)
    t.equal(stub.count({ kind: 'token' }), 1)

    stub.expireTokens()
    await upstream.putManifest(NAME, V1, IMAGE.manifest)
    t.same(stub.manifest(NAME, 'v1'), IMAGE.manifest)

    stub.clear()
    const challenge = `Bearer realm="${stub.url}/token",service="stub"`
    stub.fault({ method: 'PUT' }, unauthorized(challenge), { times: 1 })
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    t.same(
      stub.select({ kind: 'upload' }).map(({ method, status }) => [method, status]),
      [
        ['POST', 202],
        ['PUT', 401],
        ['PUT', 201],
      ],
    )
  },
)

t.test(
  'R117: a body that cannot be sent again ends with an outage, not with a refusal',
  async t => {
    const stub = await startWithTokens(t)
    const { upstream } = openUpstream(t, stub.url)
    const challenge = `Bearer realm="${stub.url}/token",service="stub"`
    const fault = stub.fault({ method: 'PATCH' }, unauthorized(challenge))
    const error = await failureOf(upstream.streamBlob(NAME, piecesOf(BLOB, 10_000)))
    t.match(error, { failure: 'unavailable', status: 401 })
    t.equal(fault.hits, 1)
    t.equal(upstream.health().breaker, 'closed')
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    t.ok(stub.blob(NAME, BLOB.digest), 'the way that is left')
  },
)

t.test('R142: a token is renewed before a body, when little is left of it', async t => {
  const stub = await startWithTokens(t, { expiresInSeconds: 100 })
  const { upstream, clock } = openUpstream(t, stub.url)
  await upstream.pushBlob(NAME, sourceOf(BLOB))
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  await clock.advance(80_000)
  await begun.finish(BLOB.digest)
  t.equal(stub.count({ kind: 'token' }), 2)
  t.equal(stub.count({ kind: 'upload', status: 401 }), 1, 'and without a refusal')
})

t.test('R140: with Basic the credentials go with every step', async t => {
  const stub = await startWithTokens(t, { scheme: 'basic', username: 'user', password: 'right' })
  const right = { kind: 'basic', username: 'user', password: () => 'right' } as const
  const { upstream } = openUpstream(t, stub.url, { credentials: right })
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  await begun.finish(BLOB.digest)
  await upstream.putManifest(NAME, V1, IMAGE.manifest)
  t.equal(stub.count({ status: 401 }), 1)
  const wrong = { kind: 'basic', username: 'user', password: () => 'wrong' } as const
  const other = openUpstream(t, stub.url, { credentials: wrong }).upstream
  t.equal((await failureOf(other.pushBlob(NAME, sourceOf(BLOB)))).failure, 'denied')
})

t.test('R159: what another host refuses is an outage, not a verdict of the registry', async t => {
  const storage = await startScript(t, () => ({ status: 403, body: 'AccessDenied' }))
  const server = await startScript(t, () => ({
    status: 202,
    headers: { location: `${storage.url}/upload?sig=canary` },
  }))
  const { upstream, clock } = openUpstream(t, server.url, { realms: [storage.host] })
  const error = await settled(clock, failureOf(upstream.pushBlob(NAME, sourceOf(BLOB))))
  t.match(error, { failure: 'unavailable', status: 403 })
})
