// Goal: a token of an identity provider is good as a password, and is who its claims say, for as
// long as the edge says, on each thread; and no token that its issuer did not sign for this edge
// is anybody's. Method: the whole edge in process over a stub registry, an issuer on loopback that
// signs by itself, one and four threads, with clients on every thread.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import tap from 'tap'
import { GROUPS_MAX_BYTES } from '../../../src/accounts/identities/identities.ts'
import { makeAuthority } from '../../kit/certificate.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import {
  ALGORITHMS,
  hmacWithPublicKey,
  type Issuer,
  keySet,
  makeKey,
  signToken,
  startIssuer,
} from '../../kit/stubs/issuer.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

const image = makeImage({ seed: 'identities', layers: [1_000] })
const ACCEPT = { accept: image.manifest.mediaType }
const MINE = '/v2/team/app/manifests/v1'
const OTHERS = '/v2/other/app/manifests/v1'
const SUBJECT = 'repo:team/app:ref:refs/heads/main'
const MINUTE_MS = 60_000

type Headers = Readonly<Record<string, string>>

const basic = (password: string, name = 'anything'): Headers => ({
  ...ACCEPT,
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const bearer = (token: string): Headers => ({ ...ACCEPT, authorization: `Bearer ${token}` })

interface Opened {
  readonly edge: TestEdge
  readonly issuer: Issuer
  readonly now: () => number
  readonly status: (headers: Headers, path?: string) => Promise<number | undefined>
  readonly reloaded: (provider: Record<string, unknown> | undefined) => Promise<void>
}

async function open(
  t: Parameters<typeof startTestEdge>[0],
  provider: Record<string, unknown> = {},
  { threads = 1, who = `oidc:ci:${SUBJECT}`, path = '' } = {},
): Promise<Opened> {
  const stub = await startStub(t)
  for (const name of ['team/app', 'other/app']) stub.addImage(name, 'v1', image)
  const issuer = await startIssuer(t, { path })
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const configOf = (oidc: Record<string, unknown>) => ({
    http: { addr: '127.0.0.1:0', threads },
    auth: { oidc },
    access: [{ who, match: 'docker.io/team/**', allow: ['pull'] }],
  })
  const ci = { issuer: issuer.url, audiences: ['edge.example.com'], ...provider }
  const edge = await startTestEdge(t, { upstreams, config: configOf({ ci }) })
  return {
    edge,
    issuer,
    now: () => edge.clock.nowMs(),
    status: async (headers, from = MINE) => (await edge.get(from, headers)).status,
    reloaded: async next => {
      const another = { issuer: 'https://another.example', audiences: ['edge.example.com'] }
      await edge.reloaded(
        upstreams,
        configOf(next === undefined ? { another } : { ci: { ...ci, ...next } }),
      )
    },
  }
}

async function buy(edge: TestEdge, password: string, query = '?offline_token=true') {
  const response = await fetch(`${edge.url}/v2/token${query}`, { headers: basic(password) })
  const body = (await response.json()) as Readonly<Record<string, unknown>>
  const { token, refresh_token: refresh, expires_in: seconds } = body
  return { status: response.status, token: String(token), refresh: String(refresh), seconds }
}

async function redeem(edge: TestEdge, refresh: string) {
  const form = { grant_type: 'refresh_token', refresh_token: refresh, access_type: 'offline' }
  const method = 'POST'
  const response = await fetch(`${edge.url}/v2/token`, { method, body: new URLSearchParams(form) })
  const body = (await response.json()) as Readonly<Record<string, unknown>>
  return { status: response.status, token: String(body['token']) }
}

tap.test('R580: a token of the provider is a login, by any user name', async t => {
  const { edge, issuer, now, status } = await open(t)
  const token = issuer.token(now())
  t.equal(await status({ ...ACCEPT }), 401)
  for (const shown of [basic(token), basic(token, 'alice'), bearer(token)]) {
    t.equal(await status(shown), 200)
    t.equal(await status(shown, OTHERS), 404, 'a rule is about its name alone')
    t.equal(await status(shown, '/v2/'), 200)
  }
  const bought = await buy(edge, token)
  t.equal(bought.status, 200)
  t.equal(await status(bearer(bought.token)), 200)
  t.equal(await status(bearer(bought.token), OTHERS), 404)
  t.same(issuer.asked, ['/.well-known/openid-configuration', '/keys'], 'asked once')
  const other = issuer.token(now(), { sub: 'repo:team/app:ref:refs/heads/other' })
  t.equal(await status(basic(other)), 404)
})

tap.test('R580: it may be signed by each of the usual algorithms', async t => {
  for (const path of ['', '/', '/realms/team'])
    for (const alg of path === '' ? ALGORITHMS : (['RS256'] as const)) {
      const { issuer, now, status } = await open(t, {}, { path })
      issuer.use(makeKey(alg))
      t.equal(await status(basic(issuer.token(now()))), 200, `${alg} ${path}`)
    }
})

tap.test('R581: what a token must be: each that is not is nobody’s', async t => {
  const provider = { claims: { repository_owner: ['team', 'friends'] }, groups: 'groups' }
  const { edge, issuer, now, status } = await open(t, provider)
  const claims = { repository_owner: 'team' }
  const seconds = Math.floor(now() / 1_000)
  const { key } = issuer
  const foreign = makeKey('RS256', key.kid)
  const jwk = { ...foreign.publicKey.export({ format: 'jwk' }), kid: 'mine' }
  const make = (over: object, how: Parameters<Issuer['token']>[2] = {}) =>
    issuer.token(now(), { ...claims, ...over }, how)
  t.equal(await status(basic(make({}))), 200, 'what it is otherwise')
  const nothing = () => Buffer.alloc(0)
  const plain = make({})
  const rows: Readonly<Record<string, string>> = {
    'alg none': make({}, { head: { alg: 'none' }, signature: nothing }),
    'alg None': make({}, { head: { alg: 'None' }, signature: nothing }),
    'no signature': make({}, { signature: nothing }),
    'HMAC with the public key': make({}, { head: { alg: 'HS256' }, signature: hmacWithPublicKey }),
    'an algorithm that is not listed': make({}, { head: { alg: 'RS512' } }),
    'an algorithm of another kind of key': make({}, { head: { alg: 'ES256' } }),
    'another key by the same name': make({}, { key: foreign }),
    'an embedded jwk': make({}, { key: foreign, head: { jwk } }),
    'an embedded jwk, and a good signature': make({}, { head: { jwk } }),
    'an embedded jku': make({}, { key: foreign, head: { jku: `${issuer.url}/evil` } }),
    'an embedded x5u': make({}, { key: foreign, head: { x5u: `${issuer.url}/evil` } }),
    'an embedded x5c': make({}, { key: foreign, head: { x5c: ['MIIB'] } }),
    'a crit': make({}, { head: { crit: ['exp'] } }),
    'a crit and b64': make({}, { head: { crit: ['b64'], b64: false } }),
    'a kid that is a list': make({}, { head: { kid: [key.kid] } }),
    'a logout token': make({}, { head: { typ: 'logout+jwt' } }),
    'another issuer': make({ iss: 'https://token.actions.githubusercontent.com' }),
    'the issuer with a slash': make({ iss: `${issuer.url}/` }),
    'no issuer': make({ iss: undefined }),
    'another audience': make({ aud: 'other.example.com' }),
    'a longer audience': make({ aud: 'edge.example.com.evil.example' }),
    'no audience': make({ aud: undefined }),
    expired: make({ exp: seconds - 31 }),
    'no expiry': make({ exp: undefined }),
    'an expiry that is text': make({ exp: '9999999999' }),
    'not yet': make({ nbf: seconds + 31 }),
    'issued in the future': make({ iat: seconds + 31 }),
    'no subject': make({ sub: undefined }),
    'an empty subject': make({ sub: '' }),
    'a subject with a newline': make({ sub: 'a\nb' }),
    'a subject that is no text': make({ sub: 7 }),
    'another owner': make({ repository_owner: 'evil' }),
    'no owner': make({ repository_owner: undefined }),
    'an owner in a map': make({ repository_owner: { name: 'team' } }),
    'groups in a map': make({ groups: { a: 1 } }),
    'more groups than fit': make({ groups: Array.from({ length: 500 }, (_, at) => `group-${at}`) }),
    'a changed claim': [
      plain.split('.')[0],
      make({ sub: 'x' }).split('.')[1],
      plain.split('.')[2],
    ].join('.'),
    'another spelling of the signature': respelled(plain),
    'four parts': `${plain}.x`,
    padding: `${plain}=`,
  }
  for (const [what, token] of Object.entries(rows)) {
    t.equal(await status(basic(token)), 401, `${what}, as a password`)
    t.equal(await status(bearer(token)), 401, `${what}, as a token`)
    t.equal((await buy(edge, token)).status, 401, `${what}, for a token`)
  }
  const said = edge.lines().find(({ reason }) => reason === 'issuer')?.['said']
  t.equal(said, 'https://token.actions.githubusercontent.com', 'whose it was')
  t.equal(await status(basic(make({ exp: seconds - 29 }))), 200, 'clocks differ a little')
  t.equal(await status(basic(make({ nbf: seconds + 29, iat: seconds + 29 }))), 200)
  t.equal(await status(basic(make({ aud: ['other', 'edge.example.com'] }))), 200)
  t.equal(await status(basic(make({ repository_owner: ['x', 'friends'] }))), 200)
  const log = JSON.stringify(edge.lines())
  for (const token of Object.values(rows))
    for (const part of token.split('.').filter(each => each.length > 20))
      t.notOk(log.includes(part), 'no part of a token is in the log')
  t.notMatch(log, /team\/app:ref/, 'nor a subject')
  const refused = edge
    .lines()
    .filter(({ msg }) => msg === 'a token of an identity provider is nobody here')
  t.ok(refused.some(line => line['reason'] === 'audience' && line['issuer'] === issuer.url))
})

/** Base64 has bits to spare at its end, which decoders pass over. */
function respelled(token: string): string {
  const last = token.at(-1) ?? ''
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return `${token.slice(0, -1)}${alphabet[alphabet.indexOf(last) + 1]}`
}

tap.test('R582: groups are those of its claim, of its provider alone', async t => {
  const provider = { groups: 'groups' }
  const inGroup = async (who: string, groups: unknown) => {
    const { edge, issuer, now, status } = await open(t, provider, { who })
    const token = issuer.token(now(), { groups })
    const bought = await buy(edge, token)
    const [direct, later] = [await status(basic(token)), await status(bearer(bought.token))]
    t.equal(direct, later, 'and in what is given for it')
    return direct
  }
  t.equal(await inGroup('group:oidc:ci:devs', ['ops', 'devs']), 200)
  t.equal(await inGroup('group:oidc:ci:devs', 'devs'), 200)
  t.equal(await inGroup('group:oidc:ci:the devs', ['the devs']), 200)
  t.equal(await inGroup('group:oidc:ci:/Büro', ['/Büro', '/Lager']), 200)
  t.equal(await inGroup('group:oidc:ci', undefined), 200, 'anybody of the provider')
  t.equal(await inGroup('group:oidc:ci:devs', ['ops']), 404)
  t.equal(await inGroup('group:oidc:ci:devs', undefined), 404)
  t.equal(await inGroup('group:oidc:cd:devs', ['devs']), 404)
  t.equal(await inGroup('group:devs', ['devs']), 404, 'no group of the configuration')
})

tap.test('R582: the name may be another claim, and an address has to be verified', async t => {
  const who = 'oidc:ci:jane@example.com'
  const { issuer, now, status } = await open(t, { username: 'email' }, { who })
  const email = 'jane@example.com'
  t.equal(await status(basic(issuer.token(now(), { email, email_verified: true }))), 200)
  t.equal(await status(basic(issuer.token(now(), { email, email_verified: false }))), 401)
  t.equal(await status(basic(issuer.token(now(), { email }))), 401)
  t.equal(await status(basic(issuer.token(now()))), 401)
})

tap.test('R583: what is given for it outlasts it, for the session and no longer', async t => {
  const { edge, issuer, now, status } = await open(t, { session: '30m' })
  const shown = issuer.token(now())
  const bought = await buy(edge, shown)
  t.equal(bought.seconds, 1_800)
  await edge.clock.advance(10 * MINUTE_MS)
  t.equal(await status(basic(shown)), 401, 'its own has expired')
  t.equal((await buy(edge, shown)).status, 401)
  t.equal(await status(bearer(bought.token)), 200)
  t.equal(await status(basic(bought.token)), 200, 'clients that keep a password keep this one')
  const [again, redeemed] = [await buy(edge, bought.token), await redeem(edge, bought.refresh)]
  t.equal(again.seconds, 1_200, 'another one ends with it')
  t.equal(await status(bearer(redeemed.token)), 200)
  await edge.clock.advance(20 * MINUTE_MS)
  for (const { token } of [bought, again, redeemed]) {
    t.equal(await status(bearer(token)), 401)
    t.equal(await status(basic(token)), 401)
  }
  t.equal((await redeem(edge, bought.refresh)).status, 401)
  t.equal((await buy(edge, bought.token)).status, 401)
})

tap.test('R723: who is in many groups has a token that is good, or none', async t => {
  const who = 'group:oidc:ci:0-team'
  const { edge, issuer, now, status } = await open(t, { groups: 'groups' }, { who })
  for (const letter of ['a', '"', 'Ж', '語', '😀']) {
    const room = GROUPS_MAX_BYTES - Buffer.byteLength(JSON.stringify(['0-team']))
    const wide = Buffer.byteLength(`,${JSON.stringify(letter.repeat(4))}`)
    const groups = ['0-team', ...Array(Math.floor(room / wide)).fill(letter.repeat(4))]
    // The longest name makes the longest token.
    const sub = '"'.repeat(255)
    const good = issuer.token(now(), { groups, sub })
    t.equal(await status(basic(good)), 200, letter)
    const bought = await buy(edge, good)
    t.equal(bought.status, 200)
    t.equal(await status(bearer(bought.token)), 200)
    t.equal(await status(basic(bought.token)), 200)
    const redeemed = await redeem(edge, bought.refresh)
    t.equal(redeemed.status, 200)
    t.equal(await status(bearer(redeemed.token)), 200, 'in the same groups')
    const more = issuer.token(now(), { groups: [...groups, 'x'.repeat(wide)], sub })
    t.equal((await buy(edge, more)).status, 401)
    t.equal(await status(basic(more)), 401)
  }
  await edge.untilLogged('a token of an identity provider is nobody here', 1)
  t.ok(edge.lines().some(({ reason }) => reason === 'groups'))
})

for (const threads of [1, 4])
  tap.test(`R584: ${threads} thread(s): with its provider its tokens are over`, async t => {
    const opened = await open(t, {}, { threads })
    const { edge, issuer, reloaded } = opened
    const other = await startIssuer(t)
    const clients = await reachThreads(t, edge.url, threads)
    const expect = async (shown: Headers, status: number, what: string) => {
      for (const { send } of clients)
        t.equal((await send('GET', MINE, { headers: shown })).status, status, what)
    }
    const ends: readonly (readonly [string, Record<string, unknown> | undefined])[] = [
      ['its provider', undefined],
      ['another audience', { audiences: ['other.example.com'] }],
      ['another claim', { claims: { repository: ['team/app'] } }],
      ['another name', { username: 'actor' }],
      ['R813: keys of another place', { jwks: `${other.url}/keys` }],
      ['R813: an algorithm that is listed no more', { algorithms: ['ES256'] }],
    ]
    for (const [what, next] of ends) {
      await reloaded({})
      const shown = issuer.token(edge.clock.nowMs())
      const bought = await buy(edge, shown)
      for (let time = 0; time < 3; time += 1) await expect(bearer(bought.token), 200, what)
      await expect(basic(shown), 200, what)
      await reloaded(next)
      await expect(bearer(bought.token), 401, what)
      await expect(basic(shown), 401, what)
      t.equal((await redeem(edge, bought.refresh)).status, 401, what)
      await reloaded({})
      await expect(bearer(bought.token), 401, `R728: ${what}, put back`)
      t.equal((await redeem(edge, bought.refresh)).status, 401, `R728: ${what}, put back`)
      await expect(basic(shown), 200, 'its issuer says what it said')
    }
  })

tap.test('R795: another text that means the same ends nothing that was bought', async t => {
  const { edge, issuer, now, status, reloaded } = await open(t)
  const directory = t.testdir()
  const [one, other] = [makeAuthority().ca, makeAuthority().ca]
  let files = 0
  const caOf = async (text: string) => {
    files += 1
    const path = join(directory, `${files}.pem`)
    await writeFile(path, text)
    return path
  }
  const audiences = ['edge.example.com', 'other.example.com']
  const algorithms = ['RS256', 'ES256']
  const claims = { repository: ['team/app', 'team/other'], actor: ['alice', 'bob'] }
  const first = { audiences, algorithms, claims, ca: await caOf(one + other) }
  await reloaded(first)
  const token = issuer.token(now(), { repository: 'team/app', actor: 'alice' })
  const bought = await buy(edge, token)
  const spelled = `# renewed\r\n${other.replaceAll('\n', '\r\n')}${one}\n\n${one}`
  const same = {
    ca: await caOf(spelled),
    audiences: audiences.toReversed(),
    algorithms: algorithms.toReversed(),
    claims: { actor: ['bob', 'alice', 'bob'], repository: claims.repository },
  }
  for (const [key, value] of Object.entries(same)) {
    await reloaded({ ...first, [key]: value })
    t.equal(await status(bearer(bought.token)), 200, key)
    t.equal(issuer.asked.length, 2, 'its keys are known')
  }
  await reloaded({ ...first, ca: await caOf(one) })
  t.equal(await status(bearer(bought.token)), 401, 'another set of authorities')
})

tap.test(
  'R728: what a provider’s token bought is over also where auth goes as a whole',
  async t => {
    const stub = await startStub(t)
    stub.addImage('team/app', 'v1', image)
    const issuer = await startIssuer(t)
    const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
    const ci = { issuer: issuer.url, audiences: ['edge.example.com'] }
    const config = {
      auth: { oidc: { ci } },
      access: [{ who: 'group:oidc:ci', match: '**', allow: ['pull'] }],
    }
    const edge = await startTestEdge(t, { upstreams, config })
    const bought = await buy(edge, issuer.token(edge.clock.nowMs()))
    const statusAt = async ({ get }: TestEdge) => (await get(MINE, bearer(bought.token))).status
    t.equal(await statusAt(edge), 200)
    await edge.stop()
    const directory = join(edge.dataDirectory, '..')
    const again = await startTestEdge(t, { upstreams, config, directory })
    t.equal(await statusAt(again), 200, 'a restart ends nothing')
    await again.reloaded(upstreams, {})
    await again.reloaded(upstreams, config)
    t.equal(await statusAt(again), 401)
    const other = await buy(again, issuer.token(again.clock.nowMs()))
    await again.stop()
    const without = await startTestEdge(t, { upstreams, directory })
    await without.stop()
    const last = await startTestEdge(t, { upstreams, config, directory })
    t.equal((await last.get(MINE, bearer(other.token))).status, 401, 'a start without it, too')
  },
)

tap.test('R585: of two providers of one issuer the first that fits says who it is', async t => {
  const stub = await startStub(t)
  stub.addImage('team/app', 'v1', image)
  const issuer = await startIssuer(t)
  const one = { issuer: issuer.url, audiences: ['edge.example.com'] }
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url, prefetch: false } },
    config: {
      auth: {
        oidc: { main: { ...one, claims: { ref: ['refs/heads/main'] } }, rest: one },
      },
      access: [{ who: 'group:oidc:main', match: '**', allow: ['pull'] }],
    },
  })
  const status = async (ref: string) =>
    (await edge.get(MINE, basic(issuer.token(edge.clock.nowMs(), { ref })))).status
  t.equal(await status('refs/heads/main'), 200)
  t.equal(await status('refs/heads/other'), 404)
})

tap.test('R586: keys are asked for once for all, and not by whoever makes some up', async t => {
  const { edge, issuer, now, status } = await open(t)
  t.equal(issuer.asked.length, 0, 'nobody asks before there is a token')
  t.equal(await status({}), 401)
  t.equal(await status(basic('a password')), 401)
  t.equal(await status(bearer('eyJhbGciOiJub25lIn0.e30.')), 401)
  t.equal(await status(basic(issuer.token(now(), { aud: 'other' }))), 401)
  t.equal(issuer.asked.length, 0, 'nor for one that cannot be good')
  const tokens = Array.from({ length: 20 }, () => issuer.token(now()))
  const all = await Promise.all(tokens.map(token => status(basic(token))))
  t.same([...new Set(all)], [200])
  t.equal(issuer.asked.length, 2)
  for (let time = 0; time < 50; time += 1) {
    const made = signToken(
      { iss: issuer.url, aud: 'edge.example.com', sub: 'x', exp: 2 ** 33 },
      { key: makeKey('EdDSA') },
    )
    t.equal(await status(basic(made)), time === 0 ? 401 : 503, 'R729: nobody can say')
  }
  t.equal(issuer.asked.length, 4, 'it was asked twice')
  await edge.clock.advance(59_000)
  const another = () => basic(issuer.token(now(), {}, { head: { kid: 'made up' } }))
  t.equal(await status(another()), 503)
  t.equal(issuer.asked.length, 4, 'within a minute')
  await edge.clock.advance(1_000)
  for (let time = 0; time < 20; time += 1) t.equal(await status(another()), 401)
  t.equal(issuer.asked.length, 6)
})

tap.test('R587: a new key is taken, and one that is gone is none', async t => {
  const { edge, issuer, now, status } = await open(t)
  const [before, next] = [issuer.key, makeKey('ES256')]
  t.equal(await status(basic(issuer.token(now()))), 200)
  await edge.clock.advance(MINUTE_MS)
  issuer.use(next)
  t.equal(await status(basic(issuer.token(now()))), 200, 'the new one, at once')
  t.equal(await status(basic(issuer.token(now(), {}, { key: before }))), 401, 'the one of before')
})

tap.test('R729: a key that is new right after a look is taken, or one is told when', async t => {
  const { edge, issuer, now, status } = await open(t)
  t.equal(await status(basic(issuer.token(now()))), 200)
  issuer.use(makeKey('ES256'))
  t.equal(await status(basic(issuer.token(now()))), 200, 'at once')
  issuer.use(makeKey('ES256'))
  const token = issuer.token(now())
  const late = await edge.get(MINE, basic(token))
  t.equal(late.status, 503)
  t.equal(late.headers['retry-after'], '60')
  await edge.clock.advance(60_000)
  t.equal(await status(basic(token)), 200)
})

tap.test('R588: while the issuer is away known keys are good for a while', async t => {
  const { edge, issuer, now, status } = await open(t, { maxstale: '6h' })
  t.equal(await status(basic(issuer.token(now()))), 200)
  issuer.behaviour.away = true
  await edge.clock.advance(5 * 60 * MINUTE_MS)
  t.equal(await status(basic(issuer.token(now()))), 200)
  const unknown = issuer.token(now(), {}, { key: makeKey('RS256') })
  await edge.clock.advance(MINUTE_MS)
  t.equal(await status(basic(unknown)), 503, 'nobody can say whose it is')
  await edge.clock.advance(61 * MINUTE_MS)
  const count = issuer.asked.length
  const late = await edge.get(MINE, basic(issuer.token(now())))
  t.equal(late.status, 503)
  t.match(late.headers, { 'retry-after': /^\d+$/ })
  t.equal(await status(basic(issuer.token(now()))), 503)
  t.equal(issuer.asked.length, count + 1, 'that it is away is remembered')
  issuer.behaviour.away = false
  await edge.clock.advance(MINUTE_MS)
  t.equal(await status(basic(issuer.token(now()))), 200)
})

tap.test('R588: where its keys are the operator may say, at any address', async t => {
  const keys = await startIssuer(t)
  const { issuer, now, status } = await open(t, { jwks: `${keys.url}/keys` })
  keys.use(issuer.key)
  t.equal(await status(basic(issuer.token(now()))), 200)
  t.same([issuer.asked, keys.asked], [[], ['/keys']])
})

tap.test('R796: Kubernetes gives its keys, or what to do is told', async t => {
  const { edge, issuer, now, status } = await open(t)
  const token = () => basic(issuer.token(now()))
  issuer.behaviour.keys = () => ({ status: 403, body: '{}' })
  t.equal(await status(token()), 503)
  const told = await edge.untilLogged('the keys of an identity provider could not be had')
  t.match(told, { err: { hint: /bind the cluster role system:service-account-issuer-discovery/ } })
  issuer.behaviour.keys = accept =>
    accept.includes('application/jwk-set+json')
      ? { body: JSON.stringify(keySet([issuer.key])) }
      : { status: 406, body: '406: Not Acceptable' }
  await edge.clock.advance(MINUTE_MS)
  t.equal(await status(token()), 200)
})

tap.test('R588: an issuer that says what it should not gives no keys', async t => {
  const { edge, issuer, now, status } = await open(t)
  const token = () => basic(issuer.token(now()))
  const metadata = (over: object) => (own: object) => ({
    body: JSON.stringify({ ...own, ...over }),
  })
  const inside = 'http://10.0.0.7/keys'
  // It would give the right ones.
  const other = await startIssuer(t)
  other.use(issuer.key)
  const rows: Readonly<Record<string, Issuer['behaviour']>> = {
    'another issuer': { metadata: metadata({ issuer: 'https://evil.example' }) },
    'no keys': { metadata: metadata({ jwks_uri: undefined }) },
    'an address inside': { metadata: metadata({ jwks_uri: inside }) },
    'a name inside': { metadata: metadata({ jwks_uri: 'https://metadata.internal/keys' }) },
    'another port of loopback': { metadata: metadata({ jwks_uri: `${other.url}/keys` }) },
    'plain http': { metadata: metadata({ jwks_uri: 'http://example.com/keys' }) },
    'a file': { metadata: metadata({ jwks_uri: 'file:///etc/passwd' }) },
    'a redirect inside': { keys: () => ({ status: 302, headers: { location: inside }, body: '' }) },
    'a redirect to another port of loopback': {
      keys: () => ({ status: 302, headers: { location: `${other.url}/keys` }, body: '' }),
    },
    'a loop': { keys: () => ({ status: 302, headers: { location: '/keys' }, body: '' }) },
    'an error': { keys: () => ({ status: 500, body: '{"keys":[]}' }) },
    'no JSON': { keys: () => ({ body: '<html>' }) },
    'too much': { keys: () => ({ body: JSON.stringify({ keys: [], x: 'x'.repeat(300_000) }) }) },
    'too many': { keys: () => ({ body: JSON.stringify({ keys: Array(65).fill({}) }) }) },
  }
  for (const [what, behaviour] of Object.entries(rows)) {
    Object.assign(issuer.behaviour, { metadata: undefined, keys: undefined }, behaviour)
    await edge.clock.advance(MINUTE_MS)
    t.equal(await status(token()), 503, what)
  }
  t.same(other.asked, [], 'nobody asked there')
  const told = edge.lines().map(({ err }) => JSON.stringify(err ?? ''))
  t.ok(
    told.some(each => each.includes('metadata.internal') && each.includes('auth.oidc.ci.jwks')),
    'R731: where the operator may say so',
  )
  Object.assign(issuer.behaviour, { metadata: undefined, keys: undefined, hangs: true })
  await edge.clock.advance(MINUTE_MS)
  t.equal(await edge.settle(status(token())), 503, 'it does not answer')
  issuer.behaviour.hangs = false
  const secret = { kty: 'oct', kid: 's', k: Buffer.from('secret').toString('base64url') }
  issuer.behaviour.keys = () => ({
    body: JSON.stringify({ keys: [secret, ...keySet([issuer.key]).keys] }),
  })
  await edge.clock.advance(MINUTE_MS)
  t.equal(await status(token()), 200, 'a shared secret among its keys is passed over')
})
