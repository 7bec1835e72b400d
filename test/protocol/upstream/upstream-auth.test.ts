// Goal: the edge authenticates to every registry as that registry wants it, and its credentials
// reach nobody else (R140–R144, R155, R157, R161). Method: stub registries on loopback with token
// services of each habit; requests are counted.
import t from 'tap'
import { failureOf, LATEST, NAME, openUpstream, textsOf } from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST, startScript } from '../../kit/stubs/scripted-server.ts'
import { unauthorized } from '../../kit/stubs/stub-faults.ts'
import type { StubOptions } from '../../kit/stubs/stub-registry.ts'
import { BASIC, BEARER, PASSWORD, startWithImages } from '../../kit/stubs/guarded-stub.ts'

t.test('R142: a challenge costs one token, and the token serves until it ends', async t => {
  const stub = await startWithImages(t, { auth: { ...BEARER, expiresInSeconds: 100 } })
  const { upstream, clock } = openUpstream(t, stub.url)
  await upstream.getManifest(NAME, LATEST)
  await upstream.getManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'token' }), 1)
  t.equal(stub.count({ kind: 'manifest', status: 401 }), 1, 'only the first request goes bare')
  await clock.advance(79_000)
  await upstream.getManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'token' }), 1)
  await clock.advance(1_000)
  await upstream.getManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'token' }), 2, 'renewed at 80 % of its life')
  t.equal(stub.count({ kind: 'manifest', status: 401 }), 1, 'and without a refusal')
})

t.test('R143: concurrent requests share one token request', async t => {
  const stub = await startWithImages(t, { auth: BEARER })
  const { upstream } = openUpstream(t, stub.url)
  await Promise.all(Array.from({ length: 20 }, () => upstream.headManifest(NAME, LATEST)))
  t.equal(stub.count({ kind: 'token' }), 1)
})

t.test('R143: one client that gives up does not end the token request of the others', async t => {
  const stub = await startWithImages(t, { auth: BEARER })
  const { upstream } = openUpstream(t, stub.url)
  const leaving = new AbortController()
  const first = upstream.headManifest(NAME, LATEST, { signal: leaving.signal })
  const second = upstream.headManifest(NAME, LATEST)
  await stub.untilCount({ kind: 'token' }, 1)
  leaving.abort(new Error('left'))
  await t.rejects(first, { message: 'left' })
  await second
  t.equal(stub.count({ kind: 'token' }), 1)
})

t.test('R143: repositories and credentials have tokens of their own', async t => {
  const stub = await startWithImages(t, { auth: BEARER })
  const anonymous = openUpstream(t, stub.url).upstream
  const user = openUpstream(t, stub.url, { credentials: BASIC }).upstream
  for (const upstream of [anonymous, user]) {
    await upstream.headManifest(NAME, LATEST)
    await upstream.headManifest('library/other' as typeof NAME, LATEST)
  }
  t.equal(stub.count({ kind: 'token' }), 4)
  const tokens = stub.select({ kind: 'manifest', status: 200 }).map(r => r.headers.authorization)
  t.equal(new Set(tokens).size, 4)
  t.equal(stub.select({ kind: 'token' }).filter(r => r.headers.authorization).length, 2)
})

t.test('R143: other credentials on the same upstream have other tokens', async t => {
  let password = 'one'
  const stub = await startWithImages(t, { auth: BEARER })
  const credentials = { kind: 'basic', username: 'user', password: () => password } as const
  const { upstream } = openUpstream(t, stub.url, { credentials })
  await upstream.headManifest(NAME, LATEST)
  password = 'two'
  await upstream.headManifest(NAME, LATEST)
  const [first, second] = stub.select({ kind: 'token' }).map(({ headers }) => headers.authorization)
  t.ok(first !== undefined && second !== undefined && first !== second)
})

t.test('R144: a token that is refused is replaced once, and the request repeated', async t => {
  const stub = await startWithImages(t, { auth: BEARER })
  const { upstream } = openUpstream(t, stub.url)
  await upstream.headManifest(NAME, LATEST)
  stub.expireTokens()
  await upstream.headManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'token' }), 2)
})

t.test('R144: a registry that refuses every token is given up after two', async t => {
  const stub = await startWithImages(t, { auth: BEARER })
  const challenge = `Bearer realm="${stub.url}/token",service="stub",scope="repository:library/alpine:pull"`
  stub.fault({ kind: 'manifest' }, unauthorized(challenge))
  const { upstream } = openUpstream(t, stub.url)
  const error = await failureOf(upstream.headManifest(NAME, LATEST))
  t.match(error, { failure: 'denied', status: 401 })
  t.ok(stub.count({ kind: 'token' }) <= 2, 'no loop')
  t.equal(stub.count({ kind: 'manifest' }), 3)
})

t.test('R144: a refusal without a challenge is answered with the one of /v2/', async t => {
  const stub = await startWithImages(t, { auth: { ...BEARER, silentRefusal: true } })
  const { upstream } = openUpstream(t, stub.url)
  await upstream.headManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'ping' }), 1)
  await upstream.headManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'ping' }), 1, 'and remembered')
})

t.test('R144: for a larger scope the one that the challenge names is asked for', async t => {
  const scopes: string[] = []
  const server = await startScript(t, ({ target, headers }) => {
    const { pathname, searchParams } = new URL(target, 'http://x')
    if (pathname === '/token') {
      scopes.push(searchParams.getAll('scope').join(' '))
      return { body: JSON.stringify({ token: `token-${scopes.length}` }) }
    }
    if (headers.authorization === 'Bearer token-2') return GOOD_MANIFEST
    const scope = headers.authorization === undefined ? 'a:b:pull' : 'z:z:pull a:b:pull'
    const challenge = `Bearer realm="${server.url}/token",error="insufficient_scope",scope="${scope}"`
    return { status: 401, headers: { 'www-authenticate': challenge } }
  })
  const { upstream } = openUpstream(t, server.url)
  await upstream.getManifest(NAME, LATEST)
  t.same(scopes, ['a:b:pull', 'a:b:pull z:z:pull'])
})

t.test('R140: Bearer is preferred to Basic, wherever the two stand', async t => {
  const orders = (url: string) => [
    ['Basic realm="x"', `Bearer realm="${url}/token"`],
    [`BEARER realm="${url}/token", basic realm="x, y"`],
  ]
  for (const order of [0, 1]) {
    const server = await startScript(t, ({ target, headers }) => {
      if (target.startsWith('/token')) return { body: '{"access_token":"abc"}' }
      if (headers.authorization === 'Bearer abc') return GOOD_MANIFEST
      const challenges = orders(server.url)[order] ?? []
      return { status: 401, headers: { 'www-authenticate': challenges } }
    })
    const { upstream } = openUpstream(t, server.url, { credentials: BASIC })
    await upstream.getManifest(NAME, LATEST)
    t.equal(server.received.length, 3)
  }
})

t.test('R140: Basic is answered with the credentials, and from then on sent at once', async t => {
  const stub = await startWithImages(t, {
    auth: { scheme: 'basic', username: 'user', password: PASSWORD },
  })
  const { upstream } = openUpstream(t, stub.url, { credentials: BASIC })
  await upstream.headManifest(NAME, LATEST)
  await upstream.headManifest(NAME, LATEST)
  t.equal(stub.count({ kind: 'manifest', status: 401 }), 1)
  const anonymous = openUpstream(t, stub.url).upstream
  t.match(await failureOf(anonymous.headManifest(NAME, LATEST)), { failure: 'denied' })
})

t.test(
  'R157: a password that has expired is asked for again, and the request repeated',
  async t => {
    let password = 'old'
    let reads = 0
    const stub = await startWithImages(t, {
      auth: { scheme: 'basic', username: 'AWS', password: 'new' },
    })
    const readText = () => {
      reads += 1
      const auth = Buffer.from(`AWS:${password}`).toString('base64')
      return Promise.resolve(JSON.stringify({ auths: { [stub.host]: { auth } } }))
    }
    const { upstream, clock } = openUpstream(t, stub.url, {
      credentials: { kind: 'docker-config', readText, environment: () => ({}) },
    })
    t.equal((await failureOf(upstream.headManifest(NAME, LATEST))).failure, 'denied')
    password = 'new'
    await clock.advance(10_000)
    await upstream.headManifest(NAME, LATEST)
    t.equal(reads, 2)
  },
)

t.test('R141: a realm on another host receives no credentials, and the error names it', async t => {
  const thief = await startScript(t, () => ({ body: '{"token":"good"}' }))
  const realm = `http://localhost:${thief.port}/token`
  const server = await startScript(t, () => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="${realm}"` },
  }))
  const options = { credentials: BASIC, privateAddresses: true }
  const { upstream } = openUpstream(t, server.url, options)
  const error = await failureOf(upstream.getManifest(NAME, LATEST))
  t.equal(error.failure, 'refused')
  t.match(error.message, `localhost:${thief.port}`)
  t.match(error.hint, 'realms')
  t.same(thief.received, [])
  t.notMatch(textsOf(error), PASSWORD)
})

t.test("R141: a realm on the operator's list receives them", async t => {
  const realm = await startScript(t, () => ({ body: '{"token":"good"}' }))
  const server = await startScript(t, ({ headers }) =>
    headers.authorization === 'Bearer good'
      ? GOOD_MANIFEST
      : {
          status: 401,
          headers: { 'www-authenticate': `Bearer realm="http://localhost:${realm.port}/token"` },
        },
  )
  const options = { credentials: BASIC, realms: [`localhost:${realm.port}`] }
  const { upstream } = openUpstream(t, server.url, options)
  await upstream.getManifest(NAME, LATEST)
  t.match(realm.received[0]?.headers.authorization, /^Basic /)
})

t.test('R14: every request says who asks, and asks for bytes as they are', async t => {
  const stub = await startWithImages(t, { auth: BEARER, blobs: 'direct' } as StubOptions)
  const { upstream } = openUpstream(t, stub.url)
  await upstream.getManifest(NAME, LATEST)
  for (const { headers } of stub.requests) {
    t.equal(headers['user-agent'], 'entrepot/test')
    t.equal(headers['accept-encoding'], 'identity')
  }
})
