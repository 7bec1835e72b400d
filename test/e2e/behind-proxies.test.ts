// Goal: behind nginx, Caddy and HAProxy, each with TLS and set up as docs/operations.md says, real
// clients log in, push and pull by the proxy's name; rules and the log go by the client's address,
// and no client makes up another one. Method: the real programs as their daemons' users, the
// process that `npm start` starts with two HTTP threads, skopeo and crane with a login, and curl
// from several addresses of loopback.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificate } from '../kit/certificate.ts'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import { freePort } from '../kit/loopback.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { CLASSIC_NGINX, type StartProxy, TCP_HAPROXY, TLS_PROXIES } from './tls-proxies.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const LOGIN = 'alice:s3cret'
/** Who may pull without a login, and who may not. */
const [FRIEND, STRANGER] = ['127.0.0.9', '127.0.0.8']
const NAME = 'localhost/team/app'
/** More than a proxy holds of a body that it passes on, by default. */
const LAYERS = [20_000, 9 * 1024 * 1024]

const certificate = makeCertificate()
const trust = freshDirectory('ca')
const caFile = join(trust, 'ca.crt')
writeFileSync(caFile, certificate.ca)
const policy = join(trust, 'policy.json')
writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
const accounts = join(freshDirectory('ht'), 'htpasswd')
writeFileSync(accounts, `alice:${HASH}\n`, { mode: 0o600 })

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'proxies', layerBytes: LAYERS })
await push(source.url(), image, { name: 'team/app', tag: 'v1' })

interface Scene {
  readonly edge: EdgeProcess
  /** `localhost:PORT` of the proxy. */
  readonly authority: string
}

interface Behind {
  readonly start: StartProxy
  readonly http?: (port: number) => object
  readonly tls?: true
}

async function stage(t: Test, { start, http, tls }: Behind): Promise<Scene> {
  const port = await freePort()
  const directory = freshDirectory('edge')
  if (tls) {
    writeFileSync(join(directory, 'own.crt'), certificate.cert)
    writeFileSync(join(directory, 'own.key'), certificate.key, { mode: 0o600 })
  }
  const own = { certificate: join(directory, 'own.crt'), key: join(directory, 'own.key') }
  const edge = await startEdge({
    directory,
    config: {
      default: 'localhost',
      upstreams: {},
      http: {
        addr: '127.0.0.1:0',
        threads: 2,
        trustedproxies: ['127.0.0.1', '::1'],
        ...(tls ? { tls: own } : {}),
        ...http?.(port),
      },
      auth: { htpasswd: { path: accounts } },
      access: [
        { who: 'alice', match: 'localhost/**', allow: ['pull', 'push', 'list'] },
        { who: `net:${FRIEND}`, match: 'localhost/team/**', allow: ['pull'] },
      ],
    },
  })
  t.teardown(() => edge.stop())
  const edgePort = Number(new URL(edge.url).port)
  t.teardown(await start({ port, edgePort, certificate }))
  return { edge, authority: `localhost:${port}` }
}

const trusting = ['--src-cert-dir', trust, '--dest-cert-dir', trust]

async function pushAndPull(t: Test, { authority }: Scene): Promise<void> {
  const at = `docker://${authority}/${NAME}:v1`
  const copy = ['--policy', policy, 'copy', '--preserve-digests']
  const skopeo = (...args: readonly string[]) =>
    runCommand(packagedTool('skopeo'), [...copy, ...args])
  const from = `docker://${new URL(source.url()).host}/team/app:v1`
  await skopeo('--src-tls-verify=false', '--dest-cert-dir', trust, '--dest-creds', LOGIN, from, at)
  const pulled = `dir:${freshDirectory('pulled')}`
  await skopeo(...trusting, '--src-creds', LOGIN, at, pulled)
  await t.rejects(skopeo(...trusting, '--src-no-creds', at, `dir:${freshDirectory('none')}`))
  const env = { DOCKER_CONFIG: freshDirectory('cr'), SSL_CERT_FILE: caFile }
  const crane = (...args: readonly string[]) => runCommand(goTool('crane'), args, { env })
  await crane('auth', 'login', authority, '-u', 'alice', '-p', 's3cret')
  t.equal((await crane('digest', `${authority}/${NAME}:v1`)).trim(), image.manifest.digest)
  await crane('validate', '--remote', `${authority}/${NAME}:v1`)
}

interface Curled {
  readonly status: string
  readonly head: string
}

async function curl(from: string, url: string, ...more: readonly string[]): Promise<Curled> {
  const args = ['-4', '-sS', '--interface', from, '--cacert', caFile, '--noproxy', '*']
  const show = ['-o', '/dev/null', '-D', '-', '-w', '\n%{http_code}\n']
  const told = await runCommand('curl', [...args, ...show, ...more, url])
  const lines = told.trim().split('\n')
  return { status: lines.at(-1) ?? '', head: lines.slice(0, -1).join('\n') }
}

/** Rules and the log go by the client's address, and no header of a client makes it another. */
async function tellsClients(t: Test, { edge, authority }: Scene): Promise<void> {
  const url = `https://${authority}/v2/${NAME}/manifests/v1`
  const from = edge.logs.length
  // Each thread remembers answers for itself, and the kernel spreads connections.
  for (let time = 0; time < 6; time += 1) {
    t.equal((await curl(FRIEND, url)).status, '200')
    t.equal((await curl(STRANGER, url)).status, '401')
  }
  for (const header of [
    `X-Forwarded-For: ${FRIEND}`,
    `X-Real-IP: ${FRIEND}`,
    `Forwarded: for=${FRIEND}`,
    'Forwarded: for="',
    `X-Forwarded-For: ${FRIEND}, 127.0.0.1`,
    `X-Forwarded-For: ${FRIEND},`,
  ])
    t.match((await curl(STRANGER, url, '-H', header)).status, /^40[01]$/, header)
  const isOf = (client: string) => (line: { readonly [name: string]: unknown }) =>
    line['msg'] === 'request completed' && line['client'] === client
  await edge.untilLogged(isOf(FRIEND), from)
  await edge.untilLogged(isOf(STRANGER), from)
  const isPull = ({ userAgent, status }: { readonly [name: string]: unknown }) =>
    String(userAgent).startsWith('curl') && status === 200
  t.ok(edge.logs.slice(from).filter(isPull).every(isOf(FRIEND)))
}

async function leadsBack(t: Test, { authority }: Scene): Promise<void> {
  const { head } = await curl(STRANGER, `https://${authority}/v2/`)
  t.match(head, `realm="https://${authority}/v2/token"`)
  const uploads = `https://${authority}/v2/${NAME}/blobs/uploads/`
  const begun = await curl(STRANGER, uploads, '-X', 'POST', '-u', LOGIN)
  t.equal(begun.status, '202')
  const location = /^location: (\S+)/im.exec(begun.head)?.[1] ?? ''
  const led = new URL(location, uploads)
  t.equal(led.origin, `https://${authority}`)
  t.equal((await curl(STRANGER, led.href, '-u', LOGIN)).status, '204')
}

async function seen(t: Test, behind: Behind): Promise<void> {
  const scene = await stage(t, behind)
  await leadsBack(t, scene)
  await pushAndPull(t, scene)
  await tellsClients(t, scene)
}

for (const [name, start] of Object.entries(TLS_PROXIES))
  t.test(`R571: behind ${name} with TLS everything goes by who asks it`, t => seen(t, { start }))

t.test('R571: behind nginx as most instructions have it, too, with http.host', async t => {
  await seen(t, { start: CLASSIC_NGINX, http: port => ({ host: `https://localhost:${port}` }) })
})

t.test('R568, R571: behind HAProxy that says by PROXY headers who asks', async t => {
  const http = () => ({ proxyprotocol: 'required' })
  const scene = await stage(t, { start: TCP_HAPROXY, http, tls: true })
  await leadsBack(t, scene)
  await pushAndPull(t, scene)
  await tellsClients(t, scene)
  // Past the proxy there is no header.
  const direct = scene.edge.url
  await t.rejects(runCommand('curl', ['-sS', '--cacert', caFile, `${direct}/v2/`]))
  await scene.edge.untilLogged(({ msg }) => msg === 'a PROXY header is not good')
})
