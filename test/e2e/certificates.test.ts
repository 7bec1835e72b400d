// Goal: clients that show a certificate get what rules say of its name, and people still log in by
// the same machine; who does not know the edge's authority is not let through. Method: the process
// that `npm start` starts, over TLS at an address that no client takes for its own machine; both
// kinds of dockerd with certs.d, podman and curl; a real registry as the upstream.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeAuthority, makeCertificate } from '../kit/certificate.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { openBridge } from './bridge.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { containersIn } from './push/podman.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const PASSWORD = 's3cret'
/** Where dockerd looks, by registry; no option says otherwise. */
const DOCKER_CERTIFICATES = '/etc/docker/certs.d'

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'certs', layerBytes: [20_000, 30_000], mediaTypes: 'docker' })
await push(source.url(), image, { name: 'team/app', tag: 'v1' })

// An address that dockerd does not take for this machine's: there it asks for no authority.
const bridge = openBridge()
t.teardown(() => bridge.remove())
const server = makeCertificate({ names: [bridge.address] })
const clients = makeAuthority()
const files = freshDirectory('tls')
const at = (name: string) => join(files, name)
writeFileSync(at('tls.crt'), server.cert)
writeFileSync(at('tls.key'), server.key, { mode: 0o600 })
writeFileSync(at('clients.crt'), clients.ca)
writeFileSync(at('htpasswd'), `alice:${HASH}\n`, { mode: 0o600 })
const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: source.url(), http: true } },
  config: {
    http: {
      addr: `${bridge.address}:0`,
      threads: 2,
      tls: { certificate: at('tls.crt'), key: at('tls.key'), clientcas: [at('clients.crt')] },
    },
    auth: { htpasswd: { path: at('htpasswd') } },
    access: [
      { who: 'cert:spiffe://site/build-7', match: 'docker.io/team/**', allow: ['pull'] },
      { who: 'alice', match: '**', allow: ['pull', 'push', 'list'] },
    ],
  },
})
t.teardown(() => edge.stop())
const authority = new URL(edge.url).host
const app = `${authority}/team/app`

/** Laid out as docker and podman read it. Without a name: no certificate to show. */
function certificatesIn(directory: string, name?: string): string {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'ca.crt'), server.ca)
  if (name === undefined) return directory
  const own = makeCertificate({ authority: clients, usage: 'client', names: [name] })
  writeFileSync(join(directory, 'client.cert'), own.cert)
  writeFileSync(join(directory, 'client.key'), own.key, { mode: 0o600 })
  return directory
}

const BUILDER = 'spiffe://site/build-7'
/** No rule is about it. */
const OTHER = 'spiffe://site/laptop-3'

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD]) {
  const slug = daemon.name.replaceAll(/[^a-z0-9]+/g, '-')
  await t.test(`R537: ${daemon.name} with certs.d shows a certificate, and logs in`, async t => {
    const directory = join(DOCKER_CERTIFICATES, authority)
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const engine = await startEngine(daemon)
    t.teardown(() => engine.stop())
    const alice = { username: 'alice', password: PASSWORD, serveraddress: authority }
    await t.rejects(engine.pull(`${app}:v1`), /certificate|x509/, 'an authority it does not know')

    certificatesIn(directory)
    await t.rejects(engine.pull(`${app}:v1`), /login|authoriz/i, 'it shows none')
    certificatesIn(directory, BUILDER)
    await engine.pull(`${app}:v1`)
    await engine.tag(`${app}:v1`, `${authority}/localhost/${slug}`)
    await t.rejects(engine.push(`${authority}/localhost/${slug}`), /authoriz|denied|login/i)

    for (const name of [BUILDER, OTHER]) {
      certificatesIn(directory, name)
      engine.useLogin(undefined)
      await t.rejects(engine.push(`${authority}/localhost/${slug}`), name)
      const wrong = engine.login({ ...alice, password: 'wrong' })
      await t.rejects(wrong, /not good here|unauthorized/i, name)
      t.ok(await engine.login(alice), name)
      await engine.push(`${authority}/localhost/${slug}`)
    }
    await engine.removeAll()
    await engine.pull(`${app}:v1`)
    engine.useLogin(undefined)
    await t.rejects(engine.pull(`${authority}/localhost/${slug}:v1`), /login|authoriz/i)
  })
}

await t.test('R537: podman shows a certificate, and logs in', async t => {
  const { podman, policy } = containersIn(freshDirectory('pm'))
  const builder = ['--cert-dir', certificatesIn(freshDirectory('pc'), BUILDER)]
  const other = ['--cert-dir', certificatesIn(freshDirectory('pc'), OTHER)]
  const none = ['--cert-dir', certificatesIn(freshDirectory('pc'))]
  const pull = (how: readonly string[]) => podman('pull', ...how, ...policy, `${app}:v1`)
  const refused = /unauthorized|authentication|login/i
  await t.rejects(pull([]), /certificate|x509/, 'an authority it does not know')
  await t.rejects(pull(none), refused)
  await t.rejects(pull(other), refused)
  await pull(builder)
  const target = `${authority}/localhost/podman:v1`
  const pushAs = (how: readonly string[]) => podman('push', ...how, ...policy, `${app}:v1`, target)
  const logIn = (how: readonly string[], password: string) =>
    podman('login', ...how, '-u', 'alice', '-p', password, authority)
  for (const how of [builder, other]) {
    await t.rejects(pushAs(how), /denied|unauthorized|authentication/i)
    await t.rejects(logIn(how, 'wrong'), /invalid username\/password|unauthorized/i)
    await logIn(how, PASSWORD)
    await pushAs(how)
    await podman('logout', authority)
  }
})

await t.test('R537: curl shows a certificate, and logs in', async t => {
  const curl = async (directory: string, ...args: readonly string[]) => {
    const shown =
      directory === ''
        ? []
        : ['--cert', join(directory, 'client.cert'), '--key', join(directory, 'client.key')]
    const told = ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', at('ca.crt')]
    return runCommand('curl', [...told, ...shown, ...args])
  }
  writeFileSync(at('ca.crt'), server.ca)
  const builder = certificatesIn(freshDirectory('cu'), BUILDER)
  const other = certificatesIn(freshDirectory('cu'), OTHER)
  const manifest = `https://${app}`.replace('/team/', '/v2/team/') + '/manifests/v1'
  const uploads = `https://${authority}/v2/localhost/curl/blobs/uploads/`
  const alice = ['-u', `alice:${PASSWORD}`]
  await t.rejects(runCommand('curl', ['-sS', manifest]), /certificate/)
  t.equal(await curl(builder, manifest), '200')
  t.equal(await curl('', manifest), '401')
  t.equal(await curl(other, manifest), '401')
  for (const directory of [builder, other, '']) {
    t.equal(await curl(directory, '-X', 'POST', uploads), '401', directory)
    t.equal(await curl(directory, '-u', 'alice:wrong', '-X', 'POST', uploads), '401', directory)
    t.equal(await curl(directory, ...alice, '-X', 'POST', uploads), '202', directory)
  }
})
