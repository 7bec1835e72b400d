// Goal: the tokens of every token service are understood, and what it refuses is reported for what
// it is (R142, R155, R161). Method: token services on loopback whose answers the test writes.
import t from 'tap'
import { failureOf, LATEST, NAME, openUpstream, type Teardown } from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST, type Received, startScript } from '../../kit/stubs/scripted-server.ts'
import { BASIC, BEARER, startWithImages } from '../../kit/stubs/guarded-stub.ts'

/** A token service whose answers a test writes, and a registry that takes the token `good`. */
async function tokenServer(
  t: Teardown,
  token: (request: Received) => Parameters<typeof startScript>[1],
) {
  const server = await startScript(t, (request, count) => {
    if (request.target.startsWith('/token')) return token(request)(request, count)
    if (request.headers.authorization === 'Bearer good') return GOOD_MANIFEST
    const challenge = `Bearer realm="${server.url}/token",service="s"`
    return { status: 401, headers: { 'www-authenticate': challenge } }
  })
  return server
}

t.test('R142: token answers of every habit are understood', async t => {
  const answers = [
    { body: '{"token":"good"}' },
    { body: '{"access_token":"good","expires_in":"300"}' },
    { body: '{"token":"","access_token":"good","expires_in":0,"issued_at":"yesterday"}' },
    {
      body: '{"token":"good","expires_in":300}',
      headers: { 'content-type': 'application/json;charset=ISO-8859-1' },
    },
    { body: '{"token":"good"}', headers: { 'content-type': 'text/html' } },
  ]
  for (const answer of answers) {
    const server = await tokenServer(t, () => () => answer)
    const { upstream } = openUpstream(t, server.url)
    t.ok(await upstream.getManifest(NAME, LATEST), answer.body)
  }
})

t.test('R142, R190: token answers that are no token are invalid', async t => {
  const bodies = ['', 'true', '{}', '{"token":5}', '{"token":"a\\r\\nx: y"}', '{"token":"a b"}']
  for (const body of [...bodies, `{"token":"${'x'.repeat(300_000)}"}`]) {
    const server = await tokenServer(t, () => () => ({ body }))
    const { upstream } = openUpstream(t, server.url)
    const error = await failureOf(upstream.getManifest(NAME, LATEST))
    t.equal(error.failure, 'invalid', body.slice(0, 40))
  }
})

t.test('R142: a missing lifetime counts as one minute', async t => {
  const server = await tokenServer(t, () => () => ({ body: '{"token":"good"}' }))
  const { upstream, clock } = openUpstream(t, server.url)
  const tokens = () => server.received.filter(({ target }) => target.startsWith('/token')).length
  await upstream.getManifest(NAME, LATEST)
  await clock.advance(47_000)
  await upstream.getManifest(NAME, LATEST)
  t.equal(tokens(), 1)
  await clock.advance(1_000)
  await upstream.getManifest(NAME, LATEST)
  t.equal(tokens(), 2)
})

const IDENTITY = {
  kind: 'docker-config',
  readText: () =>
    Promise.resolve(JSON.stringify({ auths: { 'r.example': { identitytoken: 'refresh' } } })),
  environment: () => ({}),
} as const

t.test('R142, R161: an identity token is posted as a refresh token', async t => {
  const server = await tokenServer(t, () => () => ({ body: '{"access_token":"good"}' }))
  const { upstream } = openUpstream(t, server.url, { registry: 'r.example', credentials: IDENTITY })
  await upstream.getManifest(NAME, LATEST)
  const [post] = server.received.filter(({ target }) => target.startsWith('/token'))
  t.equal(post?.method, 'POST')
  t.same(Object.fromEntries(new URLSearchParams(post?.body)), {
    grant_type: 'refresh_token',
    refresh_token: 'refresh',
    service: 's',
    scope: 'repository:library/alpine:pull',
    client_id: 'entrepot',
  })
})

t.test('R142: where POST is refused in any of the known ways, GET follows', async t => {
  for (const status of [400, 401, 404, 405]) {
    const server = await tokenServer(
      t,
      ({ method }) =>
        () =>
          method === 'POST' ? { status } : { body: '{"token":"good"}' },
    )
    const options = { registry: 'r.example', credentials: IDENTITY }
    t.ok(await openUpstream(t, server.url, options).upstream.getManifest(NAME, LATEST), `${status}`)
  }
})

t.test('R155: credentials that the token server refuses are reported, not dropped', async t => {
  const stub = await startWithImages(t, {
    auth: { ...BEARER, username: 'user', password: 'other' },
  })
  const { upstream } = openUpstream(t, stub.url, { credentials: BASIC })
  const error = await failureOf(upstream.headManifest(NAME, LATEST))
  t.match(error, { failure: 'denied', status: 401, hint: 'check the credentials of this upstream' })
  t.equal(stub.count({ kind: 'token' }), 1)
})

t.test(
  'R155: private repositories that refuse the token are denied, and never not-found',
  async t => {
    const stub = await startWithImages(t, {
      profile: 'ghcr.io',
      auth: { username: 'u', password: 'p' },
    })
    const { upstream } = openUpstream(t, stub.url)
    t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, 'denied')
  },
)

t.test(
  'R92: a token server that is down or lost is an outage or a wrong answer, no 404',
  async t => {
    const cases = [
      [404, 'unavailable'],
      [429, 'rate-limited'],
      [302, 'invalid'],
    ] as const
    for (const [status, failure] of cases) {
      const headers = { 'retry-after': '60', location: 'https://elsewhere.example/' }
      const server = await tokenServer(t, () => () => ({ status, headers }))
      const { upstream } = openUpstream(t, server.url)
      t.equal((await failureOf(upstream.getManifest(NAME, LATEST))).failure, failure, `${status}`)
    }
  },
)
