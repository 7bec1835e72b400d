// Goal: real clients log in with a token of an identity provider as their password, push and pull
// as whom it says, and are refused with one that is for somebody else. Method: the process that
// `npm start` starts, an issuer on loopback, a dozen clients and both kinds of dockerd.
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { startIssuer } from '../kit/stubs/issuer.ts'
import { CLIENT_LOGINS } from './client-logins.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

/** As clients tell it, in their own words or in those of the edge. */
const REFUSED =
  /not good here|asks for a login|unauthori[sz]ed|authorization|invalid username\/password|\b401\b/i

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'identities', layerBytes: [20_000], mediaTypes: 'docker' })
await push(source.url(), image, { name: 'team/closed', tag: 'v1' })

const issuer = await startIssuer(t)
const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: source.url(), http: true } },
  config: {
    http: { addr: '127.0.0.1:0', threads: 2 },
    auth: {
      oidc: { ci: { issuer: issuer.url, audiences: ['edge.example.com'], groups: 'repository' } },
    },
    access: [
      { who: 'group:oidc:ci:team/app', match: '**', allow: ['pull', 'push', 'list'] },
      { who: 'group:oidc:ci', match: 'localhost/open/**', allow: ['pull'] },
    ],
  },
})
t.teardown(() => edge.stop())
const named = `localhost:${new URL(edge.url).port}`

const tokenOf = (claims: Readonly<Record<string, unknown>>) => issuer.token(Date.now(), claims)
const loginOf = (claims: Readonly<Record<string, unknown>>) => ({
  username: 'oidc',
  password: tokenOf(claims),
})

for (const { name, tries } of CLIENT_LOGINS)
  await t.test(`R580: ${name} logs in with a token of an identity provider`, async t => {
    const target = `${named}/localhost/by-${name.toLowerCase()}`
    const attempt = { authority: named, image: `${named}/team/closed:v1`, target }
    const expired = loginOf({ repository: 'team/app', exp: Math.floor(Date.now() / 1_000) - 60 })
    await t.rejects(tries({ ...attempt, login: expired }), REFUSED, 'one that has expired')
    await t.rejects(tries({ ...attempt, login: loginOf({ repository: 'evil' }) }), 'of others')
    await tries({ ...attempt, login: loginOf({ repository: 'team/app' }) })
    t.pass('it pulled and pushed')
  })

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD])
  await t.test(`R583: ${daemon.name} keeps what is given for such a token`, async t => {
    const slug = daemon.name.replaceAll(/[^a-z0-9]+/g, '-')
    const engine = await startEngine(daemon)
    t.teardown(() => engine.stop())
    const login = { ...loginOf({ repository: 'team/app' }), serveraddress: named }
    t.ok(await engine.login(login), 'it keeps a token, and no password')
    await engine.pull(`${named}/team/closed:v1`)
    await engine.tag(`${named}/team/closed:v1`, `${named}/localhost/${slug}`)
    await engine.push(`${named}/localhost/${slug}`)
  })

t.test('no log line tells a part of a token', async t => {
  t.notMatch(JSON.stringify(edge.logs), /eyJ|ert_|refs\/heads/)
})
