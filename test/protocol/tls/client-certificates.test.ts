// Goal: who shows a certificate is who it says, on new connections and resumed sessions of both
// versions of TLS, and nobody else is; other authorities end what was begun by those of before.
// Method: the whole edge in process on real files, with rules, and node's TLS as clients.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import tap from 'tap'
import { type CertificateOptions, makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'

const STATUS_LINE = /HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n([^]*)/
/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
const NONE = { 'quay.io': { url: 'http://127.0.0.1:9' } }
/** A name that is not here: 404 to who may pull it, and 403 to a push of nobody. */
const PUSH = '/v2/localhost/app/blobs/uploads/'

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>

const authority = makeAuthority()
const robot = (more: CertificateOptions = {}) => {
  const names = ['spiffe://site/build-7']
  const { key, cert } = makeCertificate({ authority, usage: 'client', names, ...more })
  return { key, cert }
}

async function open(t: Test, tls: Readonly<Record<string, unknown>> = {}) {
  const server = makeCertificate()
  const directory = t.testdir({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'clients.crt': authority.ca,
  })
  const clients = join(directory, 'clients.crt')
  const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  const config = {
    default: 'quay.io',
    http: {
      addr: '127.0.0.1:0',
      localpush: false,
      tls: { ...files, clientcas: [clients], ...tls },
    },
    access: [
      { who: 'cert:spiffe://site/build-7', match: 'localhost/**', allow: ['pull', 'push'] },
      { who: 'cert:spiffe://team-x.site/a', match: 'localhost/**', allow: ['pull', 'push'] },
      { who: '*', match: 'localhost/**', allow: ['pull'] },
    ],
  }
  const edge = await startTestEdge(t, { upstreams: NONE, config })
  const dial = async (options: ConnectionOptions = {}): Promise<TLSSocket> => {
    const port = Number(new URL(edge.url).port)
    const socket = connect({ host: '127.0.0.1', port, ca: server.ca, ...options })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    return socket
  }
  return { edge, dial, clients, config }
}

/** Of a push that rules let `build-7` begin alone. */
async function push(
  socket: TLSSocket,
  login?: string,
): Promise<{ readonly status: string; readonly body: string }> {
  const shown =
    login === undefined ? '' : `Authorization: Basic ${Buffer.from(login).toString('base64')}\r\n`
  const head = `POST ${PUSH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n`
  socket.write(`${head}${shown}\r\n`)
  const [piece] = (await once(socket, 'data')) as [Buffer]
  const [, status = '', body = ''] = STATUS_LINE.exec(piece.toString('latin1')) ?? []
  return { status, body }
}

type Dial = Awaited<ReturnType<typeof open>>['dial']

async function pushOnce(dial: Dial, options: ConnectionOptions) {
  const socket = await dial(options)
  const answer = await push(socket)
  socket.destroy()
  return answer
}

/** A session as a client keeps it that has sent one request. */
async function begin(dial: Dial, options: ConnectionOptions): Promise<Buffer> {
  const socket = await dial(options)
  let session: Buffer | undefined
  socket.on('session', (given: Buffer) => (session = given))
  await push(socket)
  session ??= socket.getSession()
  socket.destroy()
  if (session === undefined) throw new Error('no session was begun')
  return session
}

tap.test('R545: who shows a certificate is who it says, and nobody has to show one', async t => {
  const { dial } = await open(t)
  for (const maxVersion of VERSIONS) {
    t.equal((await pushOnce(dial, { ...robot(), maxVersion })).status, '202')
    t.equal((await pushOnce(dial, { maxVersion })).status, '403')
    const other = robot({ names: ['spiffe://site/build-8'] })
    t.equal((await pushOnce(dial, { ...other, maxVersion })).status, '403')
  }
})

tap.test('R545: a name counts where the operator looks for it alone', async t => {
  const cn = robot({ names: [], commonName: 'spiffe://site/build-7' })
  const dns = robot({ names: ['build-7.example', 'x@example.com'] })
  const { dial, edge, config } = await open(t, { clientnames: ['uri', 'dns'] })
  t.match(await pushOnce(dial, cn), { status: '403', body: /no name where .*\(uri, dns\)/ })
  t.match(await pushOnce(dial, dns), { status: '403', body: /access rules/ }, 'it is somebody')
  const http = { ...config.http, tls: { ...config.http.tls, clientnames: ['cn'] } }
  await edge.reloaded(NONE, { ...config, http })
  t.equal((await pushOnce(dial, cn)).status, '202')
})

tap.test('R545: a name cannot be made to look like two', async t => {
  const { dial } = await open(t)
  const forged = robot({ names: ['spiffe://x/, URI:spiffe://site/build-7'] })
  t.equal((await pushOnce(dial, forged)).status, '403')
})

tap.test('R549: who signs for some names alone makes nobody any other', async t => {
  const team = makeAuthority({ under: authority, uris: 'team-x.site' })
  const commonName = 'spiffe://site/build-7'
  const of = (names: readonly string[]) => {
    const { key, cert } = robot({ authority: team, names, commonName })
    return { key, cert: cert + team.ca }
  }
  const { dial, edge, config } = await open(t)
  t.equal((await pushOnce(dial, of(['spiffe://team-x.site/a']))).status, '202')
  const other = await pushOnce(dial, of(['spiffe://site/build-7']))
  t.match(other, { status: '403', body: /not of an authority/ })
  const nameless = { status: '403', body: /no name where/ }
  t.match(await pushOnce(dial, of([])), nameless, 'a common name, unless the operator looks there')
  const clientnames = ['uri', 'cn']
  await edge.reloaded(NONE, {
    ...config,
    http: { ...config.http, tls: { ...config.http.tls, clientnames } },
  })
  t.match(await pushOnce(dial, of(['team.example'])), nameless, 'a common name beside others')
  const unusable = await pushOnce(dial, of(['spiffe://team-x.site/\0']))
  t.match(unusable, nameless, 'a common name for one that cannot be used')
  const own = robot({ names: ['spiffe://site/build-7', 'spiffe://site/\0'] })
  t.match(await pushOnce(dial, own), nameless, 'what can be used of several')
})

const BAD: Readonly<Record<string, readonly [CertificateOptions, RegExp]>> = {
  'of another authority': [{ authority: makeAuthority() }, /not of an authority/],
  expired: [{ expired: true }, /has expired: renew it/],
  'for servers': [{ usage: 'server' }, /extendedKeyUsage lacks clientAuth/],
  'without a name': [{ names: ['192.0.2.1'], commonName: '\u0001' }, /has no name where/],
}

for (const [what, [options, reason]] of Object.entries(BAD))
  tap.test(`R546: a certificate that is ${what} is refused, and told why`, async t => {
    const { dial } = await open(t)
    for (const maxVersion of VERSIONS) {
      const answer = await pushOnce(dial, { ...robot(options), maxVersion })
      t.match(answer, { status: '403', body: reason }, maxVersion)
    }
  })

tap.test('R546: no use is said of what a certificate is for: it is not for clients', async t => {
  const { dial } = await open(t)
  const { key, cert } = makeCertificate({ authority, names: ['spiffe://site/build-7'] })
  t.match(await pushOnce(dial, { key, cert }), { status: '403', body: /lacks clientAuth/ })
})

for (const maxVersion of VERSIONS) {
  tap.test(`R547: a session of ${maxVersion} goes on as whoever began it`, async t => {
    const { dial } = await open(t)
    const mine = { ...robot(), maxVersion }
    const resumed = async (session: Buffer, options: ConnectionOptions) => {
      const socket = await dial({ ...options, maxVersion, session })
      t.equal(socket.isSessionReused(), true)
      const { status } = await push(socket)
      socket.destroy()
      return status
    }
    t.equal(await resumed(await begin(dial, mine), mine), '202')
    const nobodys = await begin(dial, { maxVersion })
    t.equal(await resumed(nobodys, {}), '403')
    t.equal(await resumed(nobodys, robot()), '403', 'it was begun without a certificate')
  })

  tap.test(`R548: other authorities end sessions of ${maxVersion} and connections`, async t => {
    const { dial, edge, clients, config } = await open(t)
    const mine = { ...robot(), maxVersion }
    const session = await begin(dial, mine)
    const stays = await dial(mine)
    t.equal((await push(stays)).status, '202')
    const nobody = await dial({ maxVersion })
    t.equal((await push(nobody)).status, '403')
    const others = makeAuthority()
    writeFileSync(clients, others.ca)
    await edge.reloaded(NONE, config)
    const ended = once(stays, 'close')
    stays.write(`POST ${PUSH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`)
    await ended
    t.equal((await push(nobody)).status, '403', 'who showed none keeps the connection')
    nobody.destroy()
    const again = await dial({ ...mine, session })
    t.equal(again.isSessionReused(), false)
    t.match(await push(again), { status: '403', body: /not of an authority/ })
    again.destroy()
    const now = robot({ authority: others })
    t.equal((await pushOnce(dial, { ...now, maxVersion })).status, '202')
  })
}

tap.test('R545: authorities that come and go with a reload', async t => {
  const { dial, edge, config } = await open(t)
  const { clientcas: _, ...files } = config.http.tls
  await edge.reloaded(NONE, { ...config, http: { ...config.http, tls: files } })
  t.equal((await pushOnce(dial, robot())).status, '403', 'no certificate is asked for')
  await edge.reloaded(NONE, config)
  t.equal((await pushOnce(dial, robot())).status, '202')
})

tap.test('R533: status and a metric tell when authorities of clients expire', async t => {
  const { edge, clients, config } = await open(t)
  const told = async () => {
    const { stdout } = await runCli(['status', '--socket', edge.socket])
    return /^authorities +(.*)$/m.exec(stdout)?.[1]
  }
  const metric = async () => {
    const text = await (await fetch(`${edge.adminUrl}/metrics`)).text()
    return Number(/^entrepot_tls_client_authority_expires_seconds (\d+)$/m.exec(text)?.[1])
  }
  t.match(await told(), /signs for clients expires on 2099-01-01, in about \d+ days$/)
  t.equal(await metric(), Date.UTC(2099, 0, 1) / 1_000)
  const soon = new Date(edge.clock.nowMs() + 9 * 86_400_000).toISOString().slice(0, 10)
  writeFileSync(clients, authority.ca + makeAuthority({ validTo: soon }).ca)
  await edge.reloaded(NONE, config)
  t.match(await told(), new RegExp(`expires on ${soon}, in about \\d days: renew it$`))
  // Of ten days the third that is left is some three.
  const dayOf = (days: number) =>
    new Date(edge.clock.nowMs() + days * 86_400_000).toISOString().slice(0, 10)
  const brief = makeCertificate({ validFrom: dayOf(-1), validTo: dayOf(9) })
  writeFileSync(config.http.tls.certificate, brief.cert)
  writeFileSync(config.http.tls.key, brief.key)
  await edge.reloaded(NONE, config)
  const { stdout } = await runCli(['status', '--socket', edge.socket])
  t.match(stdout, new RegExp(`^certificate +expires on ${dayOf(9)}, in about \\d days$`, 'm'))
  const { clientcas: _, ...files } = config.http.tls
  await edge.reloaded(NONE, { ...config, http: { ...config.http, tls: files } })
  t.equal(await told(), undefined)
  t.equal(await metric(), 0)
})

tap.test('R551: people log in by a machine that shows a certificate', async t => {
  const { dial, edge, clients, config } = await open(t)
  const path = join(dirname(clients), 'htpasswd')
  writeFileSync(path, `alice:${HASH}\n`, { mode: 0o600 })
  const alice = { who: 'alice', match: 'localhost/**', allow: ['pull', 'push'] }
  const auth = { htpasswd: { path } }
  await edge.reloaded(NONE, { ...config, auth, access: [...config.access.slice(0, 1), alice] })
  const other = robot({ names: ['spiffe://site/laptop'] })
  t.equal((await pushOnce(dial, robot())).status, '202')
  for (const shown of [other, {}]) {
    const socket = await dial(shown)
    t.equal((await push(socket)).status, '401')
    t.equal((await push(socket, 'alice:wrong')).status, '401')
    t.equal((await push(socket, 'alice:s3cret')).status, '202')
    socket.destroy()
  }
  const socket = await dial(robot())
  t.match((await push(socket, 'alice:wrong')).status, '401', 'wrong credentials are nobody’s')
  socket.destroy()
})

for (const [how, joined] of [
  ['behind a file without a newline at its end', (a: string, b: string) => a.trimEnd() + b],
  ['behind a blank', (a: string, b: string) => `${a} ${b}`],
] as const)
  tap.test(`R690: an authority ${how} counts, and so does the one before it`, async t => {
    const { dial, edge, clients, config } = await open(t)
    const other = makeAuthority({ under: makeAuthority() })
    for (const text of [joined(other.ca, authority.ca), joined(authority.ca, other.ca)]) {
      writeFileSync(clients, text)
      await edge.reloaded(NONE, config)
      t.equal((await pushOnce(dial, robot())).status, '202')
    }
  })
