// Goal: with a token server of somebody else's, as distribution has it, clients are sent there, and
// a token that it signed allows what it says and what rules say, and no other allows anything.
// Method: the whole edge in process over a stub registry, on one and four threads; tokens signed by
// node's own functions, as token servers do it.
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import tap from 'tap'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import {
  hmacWithPublicKey,
  type IssuerKey,
  keySet,
  makeKey,
  type SigningOptions,
  signToken,
} from '../../kit/stubs/issuer.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

const image = makeImage({ seed: 'token server', layers: [1_000] })
const ACCEPT = { accept: image.manifest.mediaType }
const MINE = '/v2/team/app/manifests/v1'
const OTHERS = '/v2/other/app/manifests/v1'
const REALM = 'https://auth.example.com/token'
const SERVICE = 'edge.example.com'
const ISSUER = 'Acme auth server'
const KEY = makeKey('RS256', 'one')

type Headers = Readonly<Record<string, string>>
type Grants = readonly { type: string; name: string; actions: readonly string[] }[]

const grant = (name: string, ...actions: readonly string[]): Grants => [
  { type: 'repository', name, actions },
]
const bearer = (token: string): Headers => ({ ...ACCEPT, authorization: `Bearer ${token}` })

interface Files {
  readonly roots?: string
  readonly jwks?: string
}

async function open(
  t: Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>,
  {
    files = { jwks: JSON.stringify(keySet([KEY])) },
    access = [],
    threads = 1,
  }: {
    readonly files?: Files
    readonly access?: readonly object[]
    readonly threads?: number
  } = {},
) {
  const stub = await startStub(t)
  for (const name of ['team/app', 'other/app', 'library/one']) stub.addImage(name, 'v1', image)
  const directory = t.testdir({ ...files })
  const token = {
    realm: REALM,
    service: SERVICE,
    issuer: ISSUER,
    ...(files.roots && { rootcertbundle: join(directory, 'roots') }),
    ...(files.jwks && { jwks: join(directory, 'jwks') }),
  }
  const upstreams = {
    'docker.io': { url: stub.url, prefetch: false },
    'quay.io': { url: stub.url, prefetch: false, virtualhosts: ['quay.lan'] },
  }
  const config = { http: { addr: '127.0.0.1:0', threads }, auth: { token }, access }
  const edge = await startTestEdge(t, { upstreams, config })
  const now = Math.floor(edge.clock.nowMs() / 1_000)
  const claims = { iss: ISSUER, aud: SERVICE, sub: 'alice', iat: now, nbf: now, exp: now + 300 }
  return {
    edge,
    now,
    routed: (change: (before: typeof upstreams) => Parameters<typeof edge.reloaded>[0]) =>
      edge.reloaded(change(upstreams), config),
    reloaded: (more: object) => edge.reloaded(upstreams, { ...config, ...more }),
    sign: (access: Grants, over: object = {}, how: SigningOptions = {}) =>
      signToken({ ...claims, access, ...over }, { key: KEY, ...how }),
    status: async (token: string, path = MINE, method = 'GET') =>
      (await edge.send(method, path, { headers: bearer(token) })).status,
  }
}

tap.test('R660: who shows no token is sent to the token server', async t => {
  const { edge, sign } = await open(t)
  const challengeOf = async (path: string, headers: Headers = {}) => {
    const answer = await edge.get(path, headers)
    t.equal(answer.status, 401, path)
    return answer.headers['www-authenticate']
  }
  const begin = `Bearer realm="${REALM}",service="${SERVICE}"`
  t.equal(await challengeOf('/v2/'), begin)
  t.equal(await challengeOf(MINE), `${begin},scope="repository:team/app:pull"`)
  t.equal(
    await challengeOf(MINE, bearer(sign(grant('other/app', 'pull')))),
    `${begin},scope="repository:team/app:pull",error="insufficient_scope"`,
  )
  t.equal(
    await challengeOf(MINE, bearer(sign([], { exp: 1 }))),
    `${begin},scope="repository:team/app:pull",error="invalid_token"`,
  )
  t.equal(await challengeOf('/v2/', { authorization: 'Basic YTpi' }), begin)
})

for (const threads of [1, 4])
  tap.test(`R661: ${threads} thread(s): a token allows what it grants, and no more`, async t => {
    const { edge, sign } = await open(t, { threads })
    const clients = await reachThreads(t, edge.url, threads)
    const expect = async (
      [token, method, path]: readonly [string, string, string],
      status: number,
    ) => {
      for (let time = 0; time < 3; time += 1)
        for (const { send } of clients)
          t.equal((await send(method, path, { headers: bearer(token) })).status, status, path)
    }
    const pull = sign(grant('team/app', 'pull'))
    await expect([pull, 'GET', '/v2/'], 200)
    await expect([pull, 'GET', MINE], 200)
    await expect([pull, 'HEAD', MINE], 200)
    await expect([pull, 'GET', '/v2/docker.io/team/app/manifests/v1'], 200)
    await expect([pull, 'GET', OTHERS], 401)
    await expect([pull, 'GET', '/v2/_catalog'], 401)
    const nowhere = '/v2/nowhere.example.com/a/manifests/v1'
    await expect([pull, 'GET', nowhere], 401)
    await expect([sign(grant('nowhere.example.com/a', 'pull')), 'GET', nowhere], 404)
    await expect([sign(grant('docker.io/team/app', 'pull')), 'GET', MINE], 200)
    await expect([sign(grant('team/app', 'push')), 'GET', MINE], 401)
    await expect([sign(grant('team/*', 'pull')), 'GET', MINE], 401)
    await expect([sign(grant('team/app', '*')), 'GET', MINE], 200)
    await expect([sign([]), 'GET', MINE], 401)
    await expect([sign(grant('team/app', 'pull'), { sub: '' }), 'GET', MINE], 200)
    const uploads = '/v2/mine/blobs/uploads/'
    await expect([sign(grant('mine', 'pull')), 'POST', uploads], 401)
    await expect([sign(grant('mine', 'pull', 'push')), 'POST', uploads], 202)
    await expect([sign(grant('localhost/mine', 'pull', 'push')), 'POST', uploads], 202)
    const catalog = [{ type: 'registry', name: 'catalog', actions: ['*'] }]
    await expect([sign(catalog), 'GET', '/v2/_catalog'], 200)
    await expect(
      [sign([{ type: 'registry', name: 'team/app', actions: ['pull'] }]), 'GET', MINE],
      401,
    )
  })

tap.test('R724: with what the challenge asks for a client gets what it asked', async t => {
  const { edge, sign } = await open(t)
  const ask = (path: string, headers: Headers) => edge.send('GET', path, { headers })
  const seen: string[] = []
  for (const [name, path, host] of [
    ['team/app', MINE],
    ['docker.io/team/app', '/v2/docker.io/team/app/manifests/v1'],
    ['docker.io/library/one', '/v2/docker.io/one/manifests/v1'],
    ['docker.io/team/app', '/v2/index.docker.io/team/app/manifests/v1'],
    ['team/app', `${MINE}?ns=docker.io`],
    ['quay.io/team/app', '/v2/quay.io/team/app/manifests/v1'],
    ['quay.io/team/app', `${MINE}?ns=quay.io`],
    ['quay.io/team/app', MINE, 'quay.lan'],
  ] as const) {
    const how = host === undefined ? ACCEPT : { ...ACCEPT, host }
    const asked = await ask(path, how)
    t.equal(asked.status, 401, path)
    const challenge = String(asked.headers['www-authenticate'])
    const scope = /scope="repository:([^:"]*):pull"/.exec(challenge)?.[1] ?? ''
    t.equal(scope, name, path)
    seen.push(scope)
    const shown = { ...how, ...bearer(sign(grant(scope, 'pull'))) }
    t.equal((await ask(path, shown)).status, 200, `${path} ${host}`)
    const registry = path.includes('ns=quay') || host !== undefined ? 'docker.io' : 'quay.io'
    const other = { ...how, ...bearer(sign(grant(`${registry}/team/app`, 'pull'))) }
    if (!scope.startsWith(registry)) t.equal((await ask(path, other)).status, 401, 'of another')
  }
  for (const [path, host] of [[`${MINE}?ns=quay.io`], [MINE, 'quay.lan']] as const) {
    const how = { ...bearer(sign(grant('team/app', 'pull'))), ...(host && { host }) }
    t.equal((await ask(path, how)).status, 401, 'a name alone is the default registry’s')
  }
})

tap.test('R730: a challenge does not tell which registries there are', async t => {
  const access = [{ who: '*', match: 'docker.io/team/**', allow: ['pull'] }]
  const { edge, sign, routed } = await open(t, { access })
  const forms = [
    `${MINE}?ns=quay.io`,
    '/v2/quay.io/team/app/manifests/v1',
    '/quay.io/v2/team/app/manifests/v1',
    '/v2/secret/app/manifests/v1?ns=quay.io',
    '/v2/quay.io/team/app/manifests/v1?ns=quay.io:443',
    '/v2/team/app/blobs/uploads/?ns=quay.io',
  ]
  const seen = async (headers: Headers) => {
    const answers = forms.map(async path => {
      const method = path.includes('uploads') ? 'POST' : 'GET'
      const { status, headers: told, body } = await edge.send(method, path, { headers })
      const { 'x-request-id': _id, date: _date, ...rest } = told
      return JSON.stringify([path, status, rest, body.toString()])
    })
    return Promise.all(answers)
  }
  const shown = [ACCEPT, bearer(sign([])), bearer(sign(grant('team/app', 'pull')))]
  const all = async () => (await Promise.all(shown.map(seen))).flat()
  const configured = await all()
  t.equal(configured.length, shown.length * forms.length)
  await routed(({ 'quay.io': quay, ...rest }) => ({
    ...rest,
    'quay.io': { ...quay, exclude: ['**'] },
  }))
  t.same(await all(), configured, 'names that are kept out')
  await routed(({ 'quay.io': _quay, ...rest }) => rest)
  t.same(await all(), configured, 'no such registry')
})

tap.test('R662: rules have to allow it as well, as whom the token names', async t => {
  const access = [
    { who: 'alice', match: 'docker.io/team/**', allow: ['pull'] },
    { who: 'anonymous', match: 'docker.io/other/**', allow: ['pull'] },
  ]
  const { edge, sign, status, reloaded } = await open(t, { access })
  const both = [...grant('team/app', 'pull'), ...grant('other/app', 'pull')]
  t.equal(await status(sign(both)), 200)
  t.equal(await status(sign(both), OTHERS), 404)
  t.equal(await status(sign(both, { sub: 'bob' })), 404)
  t.equal(await status(sign(both, { sub: '' })), 401)
  t.equal(await status(sign(both, { sub: '' }), OTHERS), 200)
  t.equal(await status(sign(grant('other/app', 'pull'))), 401, 'a rule alone is not enough')
  t.equal((await edge.get(OTHERS, ACCEPT)).status, 401, 'nor is it for who shows nothing')
  for (const sub of ['robot:ci', 'oidc:ci:x', 'a b', 7])
    t.equal(await status(sign(both, { sub })), 401, String(sub))
  const token = sign(both)
  for (let time = 0; time < 3; time += 1) t.equal(await status(token), 200)
  await reloaded({ access: access.slice(1) })
  t.equal(await status(token), 404)
  await reloaded({ auth: undefined, access: [] })
  t.equal(await status(token, '/v2/'), 401, 'without the token server it is nobody’s')
})

tap.test('R663: a token that its server did not sign for this edge is nobody’s', async t => {
  const { now, sign, status } = await open(t)
  const access = grant('team/app', 'pull')
  const foreign = makeKey('RS256', KEY.kid)
  const jwk = { ...foreign.publicKey.export({ format: 'jwk' }), kid: KEY.kid }
  const none = () => Buffer.alloc(0)
  const rows: Readonly<Record<string, string>> = {
    'alg none': sign(access, {}, { head: { alg: 'none' }, signature: none }),
    'HMAC with the public key': sign(
      access,
      {},
      { head: { alg: 'HS256' }, signature: hmacWithPublicKey },
    ),
    'another key by the same name': sign(access, {}, { key: foreign }),
    'an unknown key': sign(access, {}, { head: { kid: 'two' } }),
    'no name of a key': sign(access, {}, { head: { kid: undefined } }),
    'an embedded jwk': sign(access, {}, { key: foreign, head: { jwk } }),
    'an embedded jku': sign(access, {}, { head: { jku: REALM } }),
    'an embedded x5u': sign(access, {}, { head: { x5u: REALM } }),
    'an x5c without authorities': sign(access, {}, { head: { x5c: ['MIIB'] } }),
    'an empty x5c': sign(access, {}, { head: { x5c: [] } }),
    'a crit': sign(access, {}, { head: { crit: ['exp'] } }),
    'another issuer': sign(access, { iss: 'other' }),
    'another audience': sign(access, { aud: 'other' }),
    'no audience': sign(access, { aud: undefined }),
    expired: sign(access, { exp: now - 61 }),
    'no expiry': sign(access, { exp: undefined }),
    'not yet': sign(access, { nbf: now + 61 }),
    'grants that are no list': sign(access, { access: { type: 'repository' } }),
    'a grant that is none': sign(access, { access: [null] }),
  }
  for (const [what, token] of Object.entries(rows)) t.equal(await status(token), 401, what)
  t.equal(await status(sign(access, { aud: ['other', SERVICE] })), 200)
  t.equal(await status(sign(access, { exp: now - 59 })), 200, 'clocks differ a little')
})

tap.test('R662: what needs a token no cache in front may keep for others', async t => {
  const rule = { who: '*', match: 'docker.io/**', allow: ['pull'] }
  const { edge, sign } = await open(t, { access: [rule] })
  const token = bearer(sign(grant('team/app', 'pull')))
  const path = `/v2/team/app/manifests/${image.manifest.digest}`
  for (let time = 0; time < 3; time += 1) {
    const { status, headers } = await edge.get(path, token)
    t.equal(status, 200)
    t.match(headers['cache-control'], /private/)
  }
})

const derOf = (pem: string) => pem.replaceAll(/-----[^-]+-----|\s/g, '')

/** As libtrust writes it; made here by another way than the edge does it. */
function libtrustName(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
  let bits = BigInt(`0x${hash.subarray(0, 30).toString('hex')}`)
  let text = ''
  for (let at = 0; at < 48; at += 1) {
    text = `${'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number(bits & 31n)]}${text}`
    bits >>= 5n
  }
  return text.replaceAll(/.{4}(?=.)/g, '$&:')
}

tap.test('R664: keys of certificates go by the names that token servers write', async t => {
  const { cert, key } = makeCertificate({})
  const privateKey = createPrivateKey(key)
  const { publicKey } = new X509Certificate(cert)
  const kid = libtrustName(publicKey)
  const { sign, status } = await open(t, { files: { roots: cert } })
  const alg = publicKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256'
  const signer: IssuerKey = { kid, alg, privateKey, publicKey }
  const access = grant('team/app', 'pull')
  t.equal(await status(sign(access, {}, { key: signer })), 200, kid)
  const { crv, kty, x, y, n, e } = publicKey.export({ format: 'jwk' })
  const members = kty === 'EC' ? { crv, kty, x, y } : { e, kty, n }
  const thumbprint = createHash('sha256').update(JSON.stringify(members)).digest('base64url')
  t.equal(await status(sign(access, {}, { key: { ...signer, kid: thumbprint } })), 200)
  t.equal(await status(sign(access, {}, { key: { ...signer, kid: 'x' } })), 401)
})

tap.test('R665: a token brings a certificate that a listed authority signed, or none', async t => {
  const authority = makeAuthority({})
  const [good, foreign] = [makeCertificate({ authority }), makeCertificate({})]
  const expired = makeCertificate({ authority, expired: true })
  const { sign, status } = await open(t, { files: { roots: authority.ca } })
  const access = grant('team/app', 'pull')
  const by = ({ cert, key }: typeof good, chain: readonly string[] = [cert]) => {
    const { publicKey } = new X509Certificate(cert)
    const alg = publicKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256'
    const signer: IssuerKey = { kid: 'any', alg, privateKey: createPrivateKey(key), publicKey }
    return sign(access, {}, { key: signer, head: { x5c: chain.map(derOf) } })
  }
  t.equal(await status(by(good)), 200)
  t.equal(await status(by(good, [good.cert, authority.ca])), 200)
  t.equal(await status(by(foreign)), 401, 'of another authority')
  t.equal(await status(by(foreign, [foreign.cert, good.cert, authority.ca])), 401)
  t.equal(await status(by(foreign, [good.cert])), 401, 'another one’s')
  t.equal(await status(by(expired)), 401)
})

tap.test('R660: also where rules let everybody do everything it takes a token', async t => {
  const allow = ['pull', 'push', 'delete', 'list']
  const { edge } = await open(t, { access: [{ who: '*', match: '**', allow }] })
  t.match(await edge.get('/v2/'), { status: 401, headers: { 'www-authenticate': /^Bearer realm/ } })
})
