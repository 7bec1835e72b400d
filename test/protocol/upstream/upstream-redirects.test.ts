// Goal: redirects are followed as far as they are safe, and no credential goes along to another
// host (R145, R146, R159, R195). Method: servers on loopback that lead to each other.
import t from 'tap'
import { digestFrom } from '../../../src/oci/digest.ts'
import type { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { bytesContent } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, LATEST, NAME, openUpstream, readAll, textsOf } from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST, type Scripted, startScript } from '../../kit/stubs/scripted-server.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const BLOB = bytesContent(Buffer.from('some bytes'))
const IMAGE = makeImage({ seed: 'addresses', layers: [10] })
const PASSWORD = 'canary-password'
const BASIC = { kind: 'basic', username: 'user', password: () => PASSWORD } as const

/** A registry that wants Basic and redirects blobs to `to`; a storage that counts. */
async function redirecting(t: Parameters<typeof startScript>[0], to: (storage: string) => string) {
  const storage = await startScript(t, ({ headers }) =>
    headers.authorization === undefined
      ? { headers: { etag: '"e"' }, body: 'some bytes' }
      : { status: 400, body: 'Only one auth mechanism allowed' },
  )
  const server = await startScript(t, ({ target, headers }): Scripted => {
    if (headers.authorization === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
    }
    if (target.startsWith('/elsewhere')) return { body: 'some bytes' }
    return { status: 307, headers: { location: to(storage.url) } }
  })
  return { storage, server }
}

t.test(
  'R145: no credential goes to another host, and the signature of its URL into no error',
  async t => {
    const { storage, server } = await redirecting(
      t,
      url => `${url}/blob?X-Amz-Signature=canary-signature`,
    )
    const options = { credentials: BASIC, realms: [storage.host] }
    const { upstream, events } = openUpstream(t, server.url, options)
    const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    t.equal(String(await readAll(blob.body)), 'some bytes')
    const [request] = storage.received
    t.equal(request?.headers.authorization, undefined)
    t.equal(request?.headers.cookie, undefined)
    t.equal(request?.headers['user-agent'], 'entrepot/test')
    t.notMatch(JSON.stringify(events), /canary/)
  },
)

t.test('R145: Range and If-Range go along', async t => {
  const { storage, server } = await redirecting(t, url => `${url}/blob`)
  const options = { credentials: BASIC, realms: [storage.host] }
  const { upstream } = openUpstream(t, server.url, options)
  const request = { offset: 4, validator: '"e"' }
  const blob = await upstream.getBlob(NAME, BLOB.digest, request)
  t.match(storage.received[0]?.headers, { range: 'bytes=4-', 'if-range': '"e"' })
  t.equal(blob.offset, 0, 'the storage ignored the range, and that is said')
  t.equal((await readAll(blob.body)).length, 10)
})

t.test(
  'R146: more of a blob is asked of where the redirect led, without the credentials',
  async t => {
    const { storage, server } = await redirecting(t, url => `${url}/blob?X-Amz-Signature=canary`)
    const options = { credentials: BASIC, realms: [storage.host] }
    const { upstream, events } = openUpstream(t, server.url, options)
    const { location, body } = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    await readAll(body)
    t.same(location, { host: storage.host })
    if (location === undefined) return
    const asked = server.received.length
    const request = { offset: 4, validator: '"e"', location }
    const more = await upstream.getBlob(NAME, BLOB.digest, request)
    t.equal((await readAll(more.body)).length, 10)
    t.equal(server.received.length, asked, 'the registry was not asked')
    t.match(storage.received[1], {
      target: '/blob?X-Amz-Signature=canary',
      headers: { range: 'bytes=4-', 'if-range': '"e"' },
    })
    t.equal(storage.received[1]?.headers.authorization, undefined)
    const other = bytesContent(Buffer.from('other bytes')).digest
    await readAll((await upstream.getBlob(NAME, other, { offset: 0, location })).body)
    t.equal(server.received.length, asked + 1, 'a location is of one blob')
    t.notMatch(JSON.stringify(events), /canary/)
  },
)

t.test(
  'R146: a location that refuses or is gone costs a question at the registry, no more',
  async t => {
    for (const refusal of [401, 403, 404, 410, 500]) {
      let isOver = false
      const storage = await startScript(t, ({ target }) => {
        if (!isOver || target === '/2') return { body: 'some bytes' }
        return { status: refusal, body: 'no' }
      })
      let redirects = 0
      const server = await startScript(t, () => {
        redirects += 1
        return { status: 307, headers: { location: `${storage.url}/${redirects}` } }
      })
      const { upstream } = openUpstream(t, server.url, { realms: [storage.host] })
      const { location, body } = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
      await readAll(body)
      if (location === undefined) throw new Error('a redirect leads to a location')
      isOver = true
      const more = await upstream.getBlob(NAME, BLOB.digest, { offset: 0, location })
      t.equal((await readAll(more.body)).length, 10, `${refusal}`)
      t.equal(redirects, 2)
      t.ok(more.location !== undefined && more.location !== location, 'and there is a new location')
    }
  },
)

t.test(
  'R143: an anonymous token for one storage is not sent to another of the same realm',
  async t => {
    let tokens = 0
    const realm = await startScript(t, () => ({
      body: JSON.stringify({ token: `t${(tokens += 1)}` }),
    }))
    const challenge = { 'www-authenticate': `Bearer realm="${realm.url}/token",service="s"` }
    const startStorage = () =>
      startScript(t, ({ headers }) =>
        headers.authorization === undefined
          ? { status: 401, headers: challenge }
          : { body: 'some bytes' },
      )
    const [one, other] = [await startStorage(), await startStorage()]
    let storage = one
    const server = await startScript(t, () => ({
      status: 307,
      headers: { location: `${storage.url}/blob` },
    }))
    const realms = [one.host, other.host, realm.host]
    const { upstream } = openUpstream(t, server.url, { realms })
    const sent = []
    for (storage of [one, other, one]) {
      await readAll((await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })).body)
      sent.push(storage.received.at(-1)?.headers.authorization)
    }
    t.same(sent, ['Bearer t1', 'Bearer t2', 'Bearer t1'])
  },
)

t.test('R145: every redirect with a place is followed, by GET, and no other answer is', async t => {
  for (const status of [301, 302, 303, 307, 308]) {
    const storage = await startScript(t, () => ({ body: 'some bytes' }))
    const headers = { location: `${storage.url}/blob` }
    const server = await startScript(t, () => ({ status, headers }))
    const { upstream } = openUpstream(t, server.url, { realms: [storage.host] })
    const { body } = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    t.equal(String(await readAll(body)), 'some bytes', `${status}`)
    t.match(storage.received, [{ method: 'GET', target: '/blob' }])
  }
  for (const status of [300, 304]) {
    const storage = await startScript(t, () => ({ body: 'some bytes' }))
    const headers = { location: `${storage.url}/blob` }
    const server = await startScript(t, () => ({ status, headers }))
    const { upstream } = openUpstream(t, server.url, { realms: [storage.host] })
    t.ok(await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 })))
    t.same(storage.received, [], `${status}`)
  }
})

t.test('R145: on the same host the credentials stay', async t => {
  const { server } = await redirecting(t, () => '/elsewhere')
  const { upstream } = openUpstream(t, server.url, { credentials: BASIC })
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  t.equal((await readAll(blob.body)).length, 10)
  t.equal(server.received.length, 3, 'refused once, redirected, answered')
})

t.test('R145: a host that was redirected to cannot send the credentials anywhere', async t => {
  const storage = await startScript(t, () => ({
    status: 307,
    headers: { location: `${server.url}/v2/other/secret` },
  }))
  const server = await startScript(t, ({ target, headers }) => {
    if (target.includes('/other/')) return { body: 'some bytes' }
    if (headers.authorization === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
    }
    return { status: 307, headers: { location: `${storage.url}/blob` } }
  })
  const options = { credentials: BASIC, realms: [storage.host] }
  const { upstream } = openUpstream(t, server.url, options)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  await readAll(blob.body)
  t.equal(server.received.at(-1)?.headers.authorization, undefined)
})

t.test('R159: a registry that was redirected to gets an anonymous token, never ours', async t => {
  const region = await startScript(t, ({ target, headers }) => {
    if (target.startsWith('/token')) return { body: '{"token":"regional"}' }
    if (headers.authorization === 'Bearer regional') return GOOD_MANIFEST
    return { status: 401, headers: { 'www-authenticate': `Bearer realm="${region.url}/token"` } }
  })
  const server = await startScript(t, ({ headers }) =>
    headers.authorization === undefined
      ? { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
      : { status: 307, headers: { location: `${region.url}/v2/x/manifests/latest` } },
  )
  const options = { credentials: BASIC, realms: [region.host] }
  const { upstream } = openUpstream(t, server.url, options)
  t.ok(await upstream.getManifest(NAME, LATEST))
  const token = region.received.find(({ target }) => target.startsWith('/token'))
  t.equal(token?.headers.authorization, undefined)
})

t.test('R145: five hops are followed, six are not', async t => {
  const stub = await startStub(t)
  stub.addBlob(NAME, BLOB)
  const { upstream } = openUpstream(t, stub.url, { realms: [new URL(stub.storageUrl).host] })
  // Hops inside the registry, and one more to the storage.
  const five = stub.fault({ kind: 'blob', host: 'registry' }, { redirect: { to: 4 } })
  t.ok(await readAll((await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })).body))
  five.remove()
  stub.fault({ kind: 'blob', host: 'registry' }, { redirect: { to: 5 } })
  t.equal((await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))).failure, 'invalid')
  stub.clearFaults()
  stub.clear()
  stub.fault({ kind: 'blob' }, { redirect: { to: 'loop' } })
  t.equal((await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))).failure, 'invalid')
  t.equal(stub.count(), 6)
})

t.test(
  'R145: Locations that lead nowhere, carry a user or another scheme are not followed',
  async t => {
    const cases = [
      ['http://[', 'invalid'],
      ['http://user:canary@8.8.8.8/', 'refused'],
      ['ftp://8.8.8.8/blob', 'refused'],
      ['file:///etc/passwd', 'refused'],
    ] as const
    for (const [location, failure] of cases) {
      const server = await startScript(t, () => ({ status: 302, headers: { location } }))
      const error = await failureOf(openUpstream(t, server.url).upstream.getManifest(NAME, LATEST))
      t.equal(error.failure, failure, location)
      t.notMatch(textsOf(error), /canary/)
    }
    const server = await startScript(t, () => ({ status: 307 }))
    const error = await failureOf(openUpstream(t, server.url).upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'invalid')
  },
)

t.test(
  'R146: every attempt gets its target from the registry, and an expired one is asked for anew',
  async t => {
    const stub = await startStub(t, { profile: 'docker.io' })
    stub.addImage(NAME, 'latest', IMAGE)
    const digest = digestFrom(IMAGE.layers[0]?.digest ?? '')
    if (digest === undefined) throw new Error('the image has a layer')
    const { upstream, clock } = openUpstream(t, stub.url, {
      realms: [new URL(stub.storageUrl).host],
    })
    stub.fault(
      { kind: 'blob', host: 'registry', method: 'GET' },
      { redirect: { expired: true } },
      { times: 1, after: 1 },
    )
    const blob = upstream.getBlob(NAME, digest, { offset: 0 })
    await clock.untilSleeping(4_000)
    await clock.advance(4_000)
    t.equal((await readAll((await blob).body)).length, 10)
    const signatures = stub.select({ host: 'storage' }).map(({ query }) => query)
    t.equal(new Set(signatures).size, 2)
  },
)

t.test('R195: what fails is named without the user, the query and the password', async t => {
  const server = await startScript(t, () => ({
    status: 307,
    headers: { location: 'http://127.0.0.1:1/blob?sig=canary-signature&token=canary' },
  }))
  const options = { credentials: BASIC, realms: ['127.0.0.1:1'], timeLimits: { chainMs: 500 } }
  const { upstream, events } = openUpstream(t, server.url, options)
  const error: UpstreamError = await failureOf(upstream.getBlob(NAME, BLOB.digest, { offset: 0 }))
  t.equal(error.failure, 'unavailable')
  t.notMatch(textsOf(error), /canary/)
  t.notMatch(JSON.stringify(events), /canary/)
})
