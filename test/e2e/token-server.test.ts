// Goal: real clients get tokens from a token server of somebody else's, as distribution's do, and
// push and pull with them; and an edge takes the tokens that distribution itself takes. Method: the
// process that `npm start` starts, a token server on loopback that signs as distribution's
// specification says, a dozen clients, both kinds of dockerd, and distribution with the same keys.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { hmacWithPublicKey, keySet, makeKey, signToken } from '../kit/stubs/issuer.ts'
import { closeServer } from '../kit/loopback.ts'
import { CLIENT_LOGINS } from './client-logins.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { goTool } from './tools.ts'
import { registryServer, UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

const PASSWORD = 's3cret'
const SERVICE = 'edge.example.com'
const ISSUER = 'Acme auth server'
const ALICE = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`
const KEY = makeKey('RS256')

interface Grant {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

function tokenOf(access: readonly Grant[], over: Readonly<Record<string, unknown>> = {}): string {
  const now = Math.floor(Date.now() / 1_000)
  const times = { iat: now, nbf: now - 1, exp: now + 300 }
  const claims = { iss: ISSUER, aud: SERVICE, sub: 'alice', ...times, access, ...over }
  return signToken(claims, { key: KEY })
}

/** Type before the first colon, actions behind the last. */
function grantIn(scope: string): Grant {
  const [, type = '', name = '', actions = ''] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? []
  return { type, name, actions: actions.split(',') }
}

/** Grants what it is asked for to who knows the password, and to who shows none nothing. */
const server = createServer((request, response) => {
  const { searchParams, pathname } = new URL(request.url ?? '', 'http://localhost')
  if (request.method !== 'GET' || pathname !== '/token') return void response.writeHead(404).end()
  const { authorization: shown } = request.headers
  if (shown !== undefined && shown !== ALICE) return void response.writeHead(401).end('{}')
  const scopes = searchParams.getAll('scope').flatMap(each => each.split(' '))
  const asked = scopes.filter(each => each !== '').map(grantIn)
  const token = shown === undefined ? tokenOf([], { sub: '' }) : tokenOf(asked)
  const body = { token, access_token: token, expires_in: 300, issued_at: new Date().toISOString() }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
})
await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
t.teardown(() => closeServer(server))
const realm = `http://localhost:${(server.address() as AddressInfo).port}/token`

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'tokens', layerBytes: [20_000], mediaTypes: 'docker' })
await push(source.url(), image, { name: 'team/closed', tag: 'v1' })

const jwks = join(freshDirectory('keys'), 'jwks.json')
writeFileSync(jwks, JSON.stringify(keySet([KEY])))
const token = { realm, service: SERVICE, issuer: ISSUER, jwks }
const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: source.url(), http: true } },
  config: { http: { addr: '127.0.0.1:0', threads: 2 }, auth: { token } },
})
t.teardown(() => edge.stop())
const named = `localhost:${new URL(edge.url).port}`

for (const { name, tries } of CLIENT_LOGINS)
  await t.test(`R660: ${name} gets its tokens from the token server`, async t => {
    const target = `${named}/localhost/by-${name.toLowerCase()}`
    const attempt = { authority: named, image: `${named}/team/closed:v1`, target }
    const alice = { username: 'alice', password: PASSWORD }
    await t.rejects(tries({ ...attempt, login: undefined }), 'without a login')
    await t.rejects(tries({ ...attempt, login: { ...alice, password: 'wrong' } }))
    await tries({ ...attempt, login: alice })
    t.pass('it pulled and pushed')
  })

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD])
  await t.test(`R660: ${daemon.name} gets its tokens from the token server`, async t => {
    const slug = daemon.name.replaceAll(/[^a-z0-9]+/g, '-')
    const engine = await startEngine(daemon)
    t.teardown(() => engine.stop())
    const alice = { username: 'alice', password: PASSWORD, serveraddress: named }
    await t.rejects(engine.login({ ...alice, password: 'wrong' }))
    await engine.login(alice)
    await engine.pull(`${named}/team/closed:v1`)
    await engine.tag(`${named}/team/closed:v1`, `${named}/localhost/${slug}`)
    await engine.push(`${named}/localhost/${slug}`)
  })

await t.test('R661: an edge takes the tokens that distribution takes, and no others', async t => {
  const lines = Object.entries(token).map(([key, value]) => `    ${key}: ${value}\n`)
  const auth = `auth:\n  token:\n${lines.join('')}`
  const other = registryServer('distribution', goTool('distribution'), auth)
  await other.start()
  t.teardown(() => other.stop())
  const now = Math.floor(Date.now() / 1_000)
  const granted = (name: string, ...actions: readonly string[]): readonly Grant[] => [
    { type: 'repository', name, actions },
  ]
  const access = granted('team/app', 'pull')
  const claims = { iss: ISSUER, aud: SERVICE, sub: 'alice', nbf: now, exp: now + 300, access }
  const none = () => Buffer.alloc(0)
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['as it should be', tokenOf(access), true],
    ['everything', tokenOf(granted('team/app', '*')), true],
    ['of nobody', tokenOf(access, { sub: '' }), true],
    ['for others, too', tokenOf(access, { aud: ['other', SERVICE] }), true],
    ['expired a moment ago', tokenOf(access, { exp: now - 20 }), true],
    ['expired', tokenOf(access, { exp: now - 90 }), false],
    ['not yet', tokenOf(access, { nbf: now + 90 }), false],
    ['another issuer', tokenOf(access, { iss: 'other' }), false],
    ['another audience', tokenOf(access, { aud: 'other' }), false],
    ['no grant', tokenOf([]), false],
    ['another repository', tokenOf(granted('team/ap', 'pull')), false],
    ['a pattern', tokenOf(granted('team/*', 'pull')), false],
    ['a push', tokenOf(granted('team/app', 'push')), false],
    ['another type', tokenOf([{ type: 'registry', name: 'team/app', actions: ['pull'] }]), false],
    ['alg none', signToken(claims, { key: KEY, head: { alg: 'none' }, signature: none }), false],
    [
      'HMAC with the public key',
      signToken(claims, { key: KEY, head: { alg: 'HS256' }, signature: hmacWithPublicKey }),
      false,
    ],
    ['another key', signToken(claims, { key: makeKey('RS256', KEY.kid) }), false],
    ['an unknown key', signToken(claims, { key: makeKey('RS256') }), false],
  ]
  for (const [what, shown, isGood] of rows)
    for (const url of [edge.url, other.url()]) {
      const headers = { authorization: `Bearer ${shown}` }
      const { status } = await fetch(`${url}/v2/team/app/tags/list`, { headers })
      t.equal(status !== 401, isGood, `${what}: ${url === edge.url ? 'the edge' : 'distribution'}`)
    }
})

t.test('no log line tells a password or a token', async t => {
  t.notMatch(JSON.stringify(edge.logs), new RegExp(`${PASSWORD}|eyJ`))
})
