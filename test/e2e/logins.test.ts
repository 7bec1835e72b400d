// Goal: on one edge with accounts real clients log in, push and pull by one name, and dockerd pulls
// without a login by another one, as a mirror, also with a login for Docker Hub, of which the edge
// sees nothing. Method: the process that `npm start` starts, with a file of accounts, in front of a
// real registry; both kinds of dockerd, and a dozen other clients.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { CLIENT_LOGINS } from './client-logins.ts'
import { openGate } from './gate.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { containersIn } from './push/podman.ts'
import { goTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const PASSWORD = 's3cret'
/** Of somebody else's registry. */
const CANARY = 'hub-canary-71c5'
/** As clients tell it, in their own words or in those of the edge. */
const REFUSED =
  /not good here|asks for a login|unauthori[sz]ed|authorization|invalid username\/password|\b401\b/i

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'logins', layerBytes: [20_000, 30_000], mediaTypes: 'docker' })
for (const name of ['library/open', 'team/closed'])
  await push(source.url(), image, { name, tag: 'v1' })
const gate = await openGate(() => source.url())
t.teardown(() => gate.close())

const accounts = join(freshDirectory('ht'), 'htpasswd')
writeFileSync(accounts, `alice:${HASH}\n`, { mode: 0o600 })
const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: gate.url, http: true } },
  config: {
    http: { addr: '127.0.0.1:0', threads: 2, anonymous: ['127.0.0.1'] },
    auth: { htpasswd: { path: accounts } },
    access: [
      { who: 'alice', match: '**', allow: ['pull', 'push', 'list'] },
      { who: 'anonymous', match: 'docker.io/library/**', allow: ['pull'] },
    ],
  },
})
t.teardown(() => edge.stop())
/** By which nobody is asked, and by which everybody is: dockerd takes both for insecure. */
const mirror = edge.url
const named = `localhost:${new URL(edge.url).port}`

async function triedPasswords(): Promise<number> {
  const text = await (await fetch(`${edge.adminUrl}/metrics`)).text()
  const tried = text.matchAll(/^entrepot_auth_passwords_total\{.*\} (\d+)$/gm)
  return [...tried].reduce((sum, [, count]) => sum + Number(count), 0)
}

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD]) {
  const slug = daemon.name.replaceAll(/[^a-z0-9]+/g, '-')
  await t.test(`R519: ${daemon.name} pulls by its mirror without the edge's login`, async t => {
    const engine = await startEngine(daemon, { mirror })
    t.teardown(() => engine.stop())
    const before = await triedPasswords()
    const from = edge.logs.length
    engine.useLogin({
      username: 'hub',
      password: CANARY,
      serveraddress: 'https://index.docker.io/v1/',
    })
    await engine.pull('open:v1')
    engine.useLogin(undefined)
    await engine.removeAll()
    await engine.pull('open:v1')
    const pulls = edge.logs.slice(from).filter(line => line.repository === 'docker.io/library/open')
    t.ok(pulls.length > 0, 'it came through the edge')
    t.same([...new Set(pulls.map(({ status }) => status))], [200])
    t.equal((await triedPasswords()) - before, 0, 'and the edge saw no login')
  })
  await t.test(`R509: ${daemon.name} logs in, pushes and pulls by the other name`, async t => {
    const engine = await startEngine(daemon)
    t.teardown(() => engine.stop())
    const alice = { username: 'alice', password: PASSWORD, serveraddress: named }
    await t.rejects(engine.login({ ...alice, password: 'wrong' }), /not good here|unauthorized/i)
    await t.rejects(engine.pull(`${named}/team/closed:v1`), /login|authoriz/i)
    await engine.pull(`${named}/library/open:v1`)
    t.pass('R128: without a login it has what the anonymous may have, by a token')
    t.ok(await engine.login(alice), 'R132: it keeps a token, and no password')
    await engine.pull(`${named}/team/closed:v1`)
    await engine.tag(`${named}/team/closed:v1`, `${named}/localhost/${slug}`)
    await engine.push(`${named}/localhost/${slug}`)
    await engine.removeAll()
    await engine.pull(`${named}/localhost/${slug}:v1`)
    engine.useLogin(undefined)
    await t.rejects(engine.pull(`${named}/localhost/${slug}:v1`))
  })
}

for (const { name, tries } of CLIENT_LOGINS)
  await t.test(`R536: ${name} logs in, pushes and pulls, and is told where it has not`, async t => {
    const repository = `localhost/by-${name.toLowerCase()}`
    const image = `${named}/team/closed:v1`
    const attempt = { authority: named, image, target: `${named}/${repository}` }
    const alice = { username: 'alice', password: PASSWORD }
    await t.rejects(tries({ ...attempt, login: undefined }), REFUSED, 'without a login')
    const wrong = { ...alice, password: 'wrong' }
    await t.rejects(tries({ ...attempt, login: wrong }), REFUSED, 'with a wrong password')
    const isWritten = ({ method, status, repository: where }: (typeof edge.logs)[number]) =>
      method === 'PUT' && Number(status) < 300 && String(where).startsWith(repository)
    t.notOk(edge.logs.some(isWritten), 'nothing was written')
    await tries({ ...attempt, login: alice })
    await edge.untilLogged(isWritten)
    t.pass('it was pushed here')
  })

await t.test('R128: without a login podman and crane have what the anonymous may have', async t => {
  const { podman, policy } = containersIn(freshDirectory('pm'))
  const env = { DOCKER_CONFIG: freshDirectory('cr') }
  for (const authority of [named, new URL(mirror).host]) {
    const open = `${authority}/library/open:v1`
    await podman('pull', '--tls-verify=false', ...policy, open)
    await runCommand(goTool('crane'), ['manifest', '--insecure', open], { env })
    t.pass(authority)
  }
})

t.test('no log line tells a password', async t => {
  t.notMatch(JSON.stringify(edge.logs), new RegExp(`${CANARY}|${PASSWORD}|Basic [A-Za-z0-9]`))
})
