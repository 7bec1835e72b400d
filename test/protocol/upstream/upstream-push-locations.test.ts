// Goal: an upload goes where the upstream says that it goes on, as far as that is safe, and
// credentials reach nobody else (R117, R145, R188, R195). Method: stub registries that write
// Location in every form, and a second host that takes the bytes.
import t from 'tap'
import { parseReference } from '../../../src/oci/reference.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, NAME, openUpstream, textsOf } from '../../kit/open-upstream.ts'
import { piecesOf, settled, sourceOf } from '../../kit/clients/push-source.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const BLOB = patternBlob('located', 300_000)
const PASSWORD = 'canary-password'
const BASIC = { kind: 'basic', username: 'user', password: () => PASSWORD } as const
const IMAGE = makeImage({ seed: 'push locations', layers: [10] })

t.test('R117: every form of Location is followed, and digest is appended to it', async t => {
  for (const location of ['path', 'relative', 'absolute', 'schemeless', 'storage'] as const) {
    for (const state of [true, false]) {
      const stub = await startStub(t, { push: { location, state } })
      const realms = [new URL(stub.storageUrl).host]
      const { upstream } = openUpstream(t, stub.url, { realms })
      await upstream.pushBlob(NAME, sourceOf(BLOB))
      t.ok(stub.blob(NAME, BLOB.digest), location)
      stub.deleteBlob(NAME, BLOB.digest)
      await (await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))).finish(BLOB.digest)
      t.ok(stub.blob(NAME, BLOB.digest), `${location}, in pieces`)
      t.notMatch(stub.requests, [{ status: 404 }])
    }
  }
})

t.test('R164: a Location that leaves out the configured path is completed', async t => {
  const stub = await startStub(t, { profile: 'artifactory', auth: { scheme: 'none' } })
  const base = stub.behaviour.basePath
  stub.fault(
    { kind: 'upload', method: 'POST' },
    { headers: { location: '/v2/library/alpine/blobs/uploads/short' } },
  )
  const { upstream } = openUpstream(t, `${stub.url}${base}`)
  await failureOf(upstream.streamBlob(NAME, piecesOf(BLOB, 10_000)))
  t.equal(
    stub.select({ method: 'PATCH' })[0]?.path,
    `${base}/v2/library/alpine/blobs/uploads/short`,
  )
})

t.test('R145, R195: no credential goes to another host that a Location names', async t => {
  for (const scheme of ['basic', 'bearer'] as const) {
    const stub = await startStub(t, {
      auth: { scheme, username: 'user', password: PASSWORD },
      behaviour: {
        storage: { refusesAuthorization: true, refusesHead: false, refusesMultiRange: false },
      },
      push: { location: 'storage' },
    })
    const options = { credentials: BASIC, realms: [new URL(stub.storageUrl).host] }
    const { upstream, events } = openUpstream(t, stub.url, options)
    await upstream.pushBlob(NAME, sourceOf(BLOB))
    await (await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))).finish(BLOB.digest)
    await (await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))).cancel()
    const elsewhere = stub.select({ host: 'storage' })
    t.same(
      elsewhere.map(({ method }) => method),
      ['PUT', 'PATCH', 'PUT', 'PATCH', 'DELETE'],
    )
    for (const { headers } of elsewhere) {
      t.equal(headers.authorization, undefined)
      t.equal(headers.cookie, undefined)
      t.notMatch(JSON.stringify(headers), /canary/)
    }
    t.notMatch(JSON.stringify(events), /canary/)
  }
})

t.test('R145: a host that got the upload cannot send credentials anywhere with it', async t => {
  const stub = await startStub(t, {
    auth: { scheme: 'basic', username: 'user', password: PASSWORD },
    push: { location: 'storage' },
  })
  const back = `${stub.url}/v2/library/other/blobs/uploads/of-its-choice`
  stub.fault({ host: 'storage', method: 'PATCH' }, { headers: { location: back } })
  const options = { credentials: BASIC, realms: [new URL(stub.storageUrl).host] }
  const { upstream, clock } = openUpstream(t, stub.url, options)
  const begun = await upstream.streamBlob(NAME, piecesOf(BLOB, 10_000))
  await settled(clock, failureOf(begun.finish(BLOB.digest)))
  const [put] = stub.select({ host: 'registry', method: 'PUT' })
  t.equal(put?.repository, 'library/other')
  t.equal(put?.headers.authorization, undefined)
})

t.test('R145, R188: a Location that may not be followed gets nothing', async t => {
  const cases = [
    ['http://[', 'invalid'],
    ['http://user:canary@8.8.8.8/', 'refused'],
    ['ftp://8.8.8.8/upload', 'refused'],
    ['http://169.254.169.254/latest/', 'refused'],
    ['http://10.0.0.1/upload?sig=canary', 'refused'],
    [null, 'invalid'],
  ] as const
  for (const [location, failure] of cases) {
    const stub = await startStub(t)
    stub.fault({ kind: 'upload', method: 'POST' }, { headers: { location } })
    const { upstream } = openUpstream(t, stub.url)
    for (const push of [
      () => upstream.pushBlob(NAME, sourceOf(BLOB)),
      () => upstream.streamBlob(NAME, piecesOf(BLOB, 10_000)),
    ]) {
      const error = await failureOf(push())
      t.equal(error.failure, failure, String(location))
      t.notMatch(textsOf(error), /canary/)
    }
    t.equal(stub.count({ method: 'PUT' }) + stub.count({ method: 'PATCH' }), 0)
  }
})

t.test('R145: what writes is not led elsewhere by a redirect', async t => {
  const stub = await startStub(t)
  stub.fault({}, { redirect: `${stub.storageUrl}/elsewhere` })
  const { upstream } = openUpstream(t, stub.url, { realms: [new URL(stub.storageUrl).host] })
  const failures = [
    await failureOf(upstream.pushBlob(NAME, sourceOf(BLOB))),
    await failureOf(upstream.putManifest(NAME, parseReference('v1'), IMAGE.manifest)),
  ]
  for (const error of failures) t.match(error, { failure: 'invalid', hint: /url/ })
  t.equal(stub.count({ host: 'storage' }), 0)
})
