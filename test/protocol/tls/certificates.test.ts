// Goal: a renewed certificate is shown by every thread from the moment that somebody was told so,
// no connection is dropped for it, and a faulty one changes nothing. Method: the whole edge in
// process on real files, one to four threads, and node's TLS as clients, of which one stays.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import tap from 'tap'
import { systemClock } from '../../../src/server/clock.ts'
import { type Certificate, makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'

const STATUS_LINE = /HTTP\/1\.1 (\d{3})/
/** The kernel spreads connections: all of these seldom miss one of four threads. */
const CONNECTIONS = 8
/** It signed none of them: node would read all that the system trusts for each connection. */
const AUTHORITY = makeCertificate().ca
const RENEWED = 'other certificates are in force'
const FAULTY = 'a certificate or its key is faulty'

const NONE = { 'quay.io': { url: 'http://127.0.0.1:9' } }

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>

async function open(t: Test, threads = 1) {
  const first = makeCertificate()
  const directory = t.testdir({ 'tls.crt': first.cert, 'tls.key': first.key })
  const tls = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  const config = { default: 'quay.io', http: { addr: '127.0.0.1:0', threads, tls } }
  // Files change when the disk says so: looks are as often as they are.
  const edge = await startTestEdge(t, { upstreams: NONE, config, clock: systemClock })
  return {
    directory,
    edge,
    first,
    config,
    write(part: 'certificate' | 'key', text: string) {
      writeFileSync(tls[part], text)
    },
  }
}

async function dial(edge: TestEdge, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const port = Number(new URL(edge.url).port)
  const trust = { ca: AUTHORITY, rejectUnauthorized: false }
  const socket = connect({ host: '127.0.0.1', port, ...trust, ...options })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

async function ping(socket: TLSSocket): Promise<string | undefined> {
  socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [piece] = (await once(socket, 'data')) as [Buffer]
  return STATUS_LINE.exec(piece.toString('latin1'))?.[1]
}

const markOf = ({ cert }: Certificate) => new X509Certificate(cert).fingerprint256

/** What clients of all threads are shown that come now. */
async function shown(edge: TestEdge, options: ConnectionOptions = {}): Promise<readonly string[]> {
  const found = new Set<string>()
  for (let count = 0; count < CONNECTIONS; count += 1) {
    const socket = await dial(edge, options)
    found.add(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
    socket.destroy()
  }
  return [...found]
}

/** Two looks find that a file has changed and stands still; then threads are told. */
async function metric(edge: TestEdge, name: string): Promise<number> {
  const text = await (await fetch(`${edge.adminUrl}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

for (const threads of [1, 4])
  tap.test(
    `R541: after a reload ${threads} thread(s) show the renewed certificate, and connections stay`,
    async t => {
      const { edge, first, config, write } = await open(t, threads)
      t.same(await shown(edge), [markOf(first)])
      const stays = await dial(edge)
      t.equal(await ping(stays), '200')
      const second = makeCertificate({ validTo: '2050-01-01' })
      write('certificate', second.cert)
      write('key', second.key)
      await edge.reloaded(NONE, config)
      t.same(await shown(edge), [markOf(second)], 'whoever comes once the reload is over')
      t.equal(await ping(stays), '200', 'on the connection of before')
      t.equal(stays.getPeerX509Certificate()?.fingerprint256, markOf(first))
      const expires = await metric(edge, 'entrepot_tls_certificate_expires_seconds')
      t.equal(expires, Date.UTC(2050, 0, 1) / 1000)
      stays.destroy()
    },
  )

tap.test('R540: a changed pair is taken up by itself, by every thread', async t => {
  const { edge, write } = await open(t, 4)
  const second = makeCertificate({ names: ['edge.example.com'] })
  write('certificate', second.cert)
  write('key', second.key)
  const line = await edge.untilLogged(RENEWED)
  t.same([line['names'], line['expires']], [['edge.example.com'], '2099-01-01T00:00:00.000Z'])
  t.same(await shown(edge), [markOf(second)])
})

tap.test('R542: a pair that does not match leaves the old in force, and is told', async t => {
  const { directory, edge, first, config, write } = await open(t)
  const second = makeCertificate()
  write('certificate', second.cert)
  const { fault, hint } = await edge.untilLogged(FAULTY)
  t.match(fault, /tls\.key is the key of another certificate than the one in .*tls\.crt/)
  t.match(hint, /of before stay in force/)
  t.equal(await metric(edge, 'entrepot_tls_certificate_faulty'), 1)
  t.same(await shown(edge), [markOf(first)])
  const file = join(directory, 'config.yaml')
  writeFileSync(file, JSON.stringify({ admin: { socket: edge.socket } }))
  const status = await runCli(['status', '--config', file])
  t.match(
    status.stdout,
    /\ncertificate +expires on 2099-01-01, in .*files have changed and are faulty/,
  )
  await t.rejects(
    edge.reloaded(NONE, config),
    /is the key of another certificate/,
    'nor by a reload',
  )
  t.same(await shown(edge), [markOf(first)])
  for (const [at, half] of ['', second.key.slice(0, 60)].entries()) {
    write('key', half)
    await edge.untilLogged(FAULTY, at + 2)
    t.same(await shown(edge), [markOf(first)])
  }
  write('key', second.key)
  await edge.untilLogged(RENEWED)
  t.same(await shown(edge), [markOf(second)])
  await edge.untilLogged('the certificates are good again')
  t.equal(await metric(edge, 'entrepot_tls_certificate_faulty'), 0)
})

tap.test('R799: what is put back as it was is told to be good again', async t => {
  const { edge, first, write } = await open(t)
  write('key', 'nothing')
  await edge.untilLogged(FAULTY)
  write('key', first.key)
  await edge.untilLogged('the certificates are good again')
  t.equal(await metric(edge, 'entrepot_tls_certificate_faulty'), 0)
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
  tap.test(`R541: a session of ${maxVersion} goes on behind a renewed certificate`, async t => {
    const { edge, config, write } = await open(t)
    const before = await dial(edge, { maxVersion })
    let session: Buffer | undefined
    before.on('session', (given: Buffer) => (session = given))
    await ping(before)
    // In TLS 1.2 it was told before anybody listened.
    session ??= before.getSession()
    before.destroy()
    const second = makeCertificate()
    write('certificate', second.cert)
    write('key', second.key)
    await edge.reloaded(NONE, config)
    const again = await dial(edge, { maxVersion, ...(session && { session }) })
    t.equal(again.isSessionReused(), true)
    t.equal(await ping(again), '200')
    again.destroy()
  })

tap.test('R543: a client is shown the certificate for the name that it calls', async t => {
  const names = [['first.example'], ['*.example.com'], ['edge.example.com', 'first.example']]
  const made = names.map(each => makeCertificate({ names: each }))
  const directory = t.testdir(
    Object.fromEntries(
      made.flatMap(({ cert, key }, at) => [
        [`${at}.crt`, cert],
        [`${at}.key`, key],
      ]),
    ),
  )
  const pairs = made.map((_, at) => ({
    certificate: join(directory, `${at}.crt`),
    key: join(directory, `${at}.key`),
  }))
  const [first, ...certificates] = pairs
  const http = (further: readonly unknown[]) => ({
    default: 'quay.io',
    http: { addr: '127.0.0.1:0', tls: { ...first, certificates: further } },
  })
  const edge = await startTestEdge(t, { upstreams: NONE, config: http([]) })
  const marks = made.map(markOf)
  const numberFor = async (servername: string, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') => {
    const socket = await dial(edge, { servername, maxVersion })
    t.equal(await ping(socket), '200')
    const mark = socket.getPeerX509Certificate()?.fingerprint256
    socket.destroy()
    return marks.indexOf(mark ?? '')
  }
  t.equal(await numberFor('team.example.com'), 0)
  await edge.reloaded(NONE, http(certificates))
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    t.equal(await numberFor('team.example.com', maxVersion), 1)
    t.equal(await numberFor('EDGE.example.com', maxVersion), 2, 'the name itself before a pattern')
  }
  t.equal(await numberFor('a.b.example.com'), 0, 'a pattern is for one part')
  t.equal(await numberFor('example.com'), 0)
  t.equal(await numberFor('first.example'), 0, 'the first of two')
  t.equal(await numberFor('unknown.example'), 0)
  t.equal(await numberFor(''), 0, 'or no name at all')
  await edge.reloaded(NONE, http(certificates.slice(1)))
  t.equal(await numberFor('team.example.com'), 0)
})

tap.test('R690: what signed a certificate is sent wherever it stands in its line', async t => {
  const { edge, config, write } = await open(t)
  const root = makeAuthority()
  const between = makeAuthority({ under: root })
  const { cert, key } = makeCertificate({ authority: between })
  write('key', key)
  for (const chain of [cert.trimEnd() + between.ca, `${cert} ${between.ca}`]) {
    write('certificate', chain)
    await edge.reloaded(NONE, config)
    const socket = await dial(edge, { ca: root.ca })
    t.equal(socket.authorized, true, String(socket.authorizationError))
    socket.destroy()
  }
})
