// Goal: a connection of a listed proxy is who its PROXY header says, with TLS and without, on each
// thread, from memory and by the native sender, and in whatever pieces it comes; a bad header ends
// it, and is told. Method: connections that begin with the bytes of proxies, to the whole edge in
// process, and to the data port with a clock of the test's own.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import tap from 'tap'
import { PROXY_HEADER_MAX_MS } from '../../../src/http/proxies/proxy-headers.ts'
import { readNetwork } from '../../../src/access/network.ts'
import type { ProxySettings } from '../../../src/http/proxies/callers.ts'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { makeCertificate } from '../../kit/certificate.ts'
import { patternBlob } from '../../kit/content.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { binaryFor, binaryHeader, lineFor } from '../../kit/clients/proxy-header.ts'

const [PROXY, OTHER] = ['127.0.0.2', '127.0.0.3']
const [FRIEND, STRANGER] = ['192.0.2.7', '192.0.2.8']
const RULES = [
  { who: `net:${FRIEND}`, match: 'localhost/**', allow: ['pull', 'push'] },
  { who: 'net:2001:db8::7', match: 'localhost/**', allow: ['pull', 'push'] },
]
const PUSH =
  'POST /v2/localhost/app/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>

async function open(
  t: Test,
  protocol: 'optional' | 'required',
  more: { readonly tls?: true; readonly threads?: number } = {},
) {
  const server = makeCertificate()
  const directory = t.testdir({})
  const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  writeFileSync(files.certificate, server.cert)
  writeFileSync(files.key, server.key, { mode: 0o600 })
  const http = {
    addr: '127.0.0.1:0',
    threads: more.threads ?? 1,
    trustedproxies: [PROXY],
    proxyprotocol: protocol,
    ...(more.tls ? { tls: files } : {}),
  }
  const config = { default: 'localhost', http, access: RULES }
  const edge = await startTestEdge(t, { upstreams: {}, config })
  const dial = async (from: string): Promise<Socket> => {
    const port = Number(new URL(edge.url).port)
    const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true })
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  /** What is answered to a push behind `header`, over TLS where the edge speaks that. */
  const pushed = async (from: string, header: Buffer, pieces = 1) => {
    const socket = await dial(from)
    for (let piece = 0; piece < pieces; piece += 1) {
      const [begin, end] = [piece, piece + 1].map(at => Math.floor((at * header.length) / pieces))
      await new Promise(resolve => socket.write(header.subarray(begin, end), resolve))
    }
    if (more.tls === undefined) {
      socket.write(PUSH)
      return statusOf(await textOf(socket))
    }
    const tls = connectTls({ socket, ca: server.ca, servername: 'localhost' })
    tls.on('error', () => {})
    tls.write(PUSH)
    return statusOf(await textOf(tls))
  }
  return { edge, dial, pushed }
}

/** What comes until the connection ends, in whatever way. */
function textOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
  return new Promise(resolve => socket.once('close', () => resolve(text)))
}

/** Empty of a connection that ended without a word. */
function statusOf(text: string): string {
  return /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? ''
}

const NONE = Buffer.alloc(0)
const LOOK = binaryHeader({ command: 0x20, family: 0, rest: NONE })

for (const tls of [undefined, true] as const) {
  const wire = tls ? 'TLS' : 'plain HTTP'
  for (const threads of [1, 4])
    tap.test(`R568: over ${wire}, ${threads} thread(s), a connection is whose it says`, async t => {
      const { edge, pushed } = await open(t, 'required', { threads, ...(tls && { tls }) })
      const times = threads === 1 ? 1 : 6
      for (let time = 0; time < times; time += 1) {
        for (const make of [lineFor, binaryFor]) {
          t.equal(await pushed(PROXY, make(FRIEND)), '202')
          t.equal(await pushed(PROXY, make(STRANGER)), '403')
        }
        t.equal(await pushed(PROXY, lineFor('2001:db8::7'), 7), '202')
      }
      t.equal(await pushed(PROXY, binaryFor(FRIEND), 28), '202')
      t.equal(await pushed(PROXY, LOOK), '403', 'the proxy’s own')
      t.equal(await pushed(PROXY, Buffer.from('PROXY UNKNOWN\r\n')), '403', 'R566')
      t.equal(await pushed(OTHER, NONE), '403', 'who is not listed needs none')
      await edge.stop()
      const clients = edge
        .lines()
        .flatMap(line => (line['endpoint'] === 'uploads' ? [line['client']] : []))
      const all = [FRIEND, STRANGER, '2001:db8::7', PROXY, OTHER, 'unknown']
      t.same(new Set(clients), new Set(all))
    })

  tap.test(`R569: over ${wire}, what is missing or broken ends the connection`, async t => {
    const { edge, pushed } = await open(t, 'required', { ...(tls && { tls }) })
    for (const header of [
      NONE,
      Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 1 65536\r\n'),
      binaryHeader({ command: 0x31, rest: Buffer.alloc(12) }),
    ])
      t.equal(await pushed(PROXY, header), '', JSON.stringify(header.toString('latin1')))
    const told = edge.lines().filter(({ msg }) => msg === 'a PROXY header is not good')
    t.match(told, [{ level: 'warn', proxy: PROXY, why: 'there is none', hint: /proxyprotocol/ }])
    t.equal(told.length, 1, 'once a minute')
    const metrics = await (await fetch(`${edge.adminUrl}/metrics`)).text()
    t.match(metrics, 'entrepot_requests_refused_total{reason="proxy"} 3')
    t.equal(await pushed(OTHER, lineFor(FRIEND)), tls ? '' : '400', 'from who is not listed')
    t.equal(await pushed(OTHER, binaryFor(FRIEND)), tls ? '' : '400')
  })

  tap.test(`R568: over ${wire}, where it is optional what has none is the proxy’s`, async t => {
    const { pushed } = await open(t, 'optional', { ...(tls && { tls }) })
    t.equal(await pushed(PROXY, lineFor(FRIEND)), '202')
    t.equal(await pushed(PROXY, binaryFor(FRIEND)), '202')
    t.equal(await pushed(PROXY, NONE), '403')
    t.equal(await pushed(PROXY, Buffer.from('PROXY TCP9\r\n')), '', 'R569: a broken one is none')
  })
}

tap.test('R568: a large blob goes out by the kernel behind a header, and comes whole', async t => {
  const { edge, dial } = await open(t, 'required')
  const blob = patternBlob('behind a header', 700_000)
  const path = '/v2/localhost/app/blobs'
  const lengthOf = (bytes: number) => `Content-Length: ${bytes}\r\nConnection: close\r\n\r\n`
  const ask = async (header: Buffer, line: string, body: Buffer = NONE) => {
    const socket = await dial(PROXY)
    const head = `${line} HTTP/1.1\r\nHost: localhost\r\n${lengthOf(body.length)}`
    socket.write(Buffer.concat([header, Buffer.from(head), body]))
    return textOf(socket)
  }
  const begin = `POST ${path}/uploads/?digest=${blob.digest}`
  t.equal(statusOf(await ask(binaryFor(FRIEND), begin, blob.bytes())), '201')
  // From the second time on it is sent from memory's word of it.
  for (let time = 0; time < 4; time += 1) {
    const text = await ask(lineFor(FRIEND), `GET ${path}/${blob.digest}`)
    const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1')
    t.ok(body.equals(blob.bytes()))
    t.equal(statusOf(await ask(lineFor(STRANGER), `GET ${path}/${blob.digest}`)), '404')
  }
  const { body } = await askSocket(edge.socket, '/api/v1/status')
  t.match(body, /"sending":\s*"sendfile"/)
})

tap.test('R564: what a header came in front of is from no program of the machine', async t => {
  const config = {
    default: 'localhost',
    http: {
      addr: '127.0.0.1:0',
      trustedproxies: [PROXY],
      proxyprotocol: 'optional',
      localpush: true,
    },
  }
  const edge = await startTestEdge(t, { upstreams: {}, config })
  const port = Number(new URL(edge.url).port)
  for (const [header, status] of [
    [NONE, '202'],
    [lineFor('127.0.0.1'), '403'],
    [LOOK, '403'],
  ] as const) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: PROXY })
    socket.write(Buffer.concat([header, Buffer.from(PUSH)]))
    t.equal(statusOf(await textOf(socket)), status)
  }
})

tap.test('R569: what began before a header was required is nobody’s from then on', async t => {
  let proxies: ProxySettings = { trusted: [listed('127.0.0.1')], protocol: 'none' }
  const { listen, untilCompleted } = createTestApp(t, { proxies: () => proxies })
  const { port } = new URL(await listen())
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  const ping = `GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${FRIEND}\r\n\r\n`
  for (const protocol of ['none', 'optional', 'required'] as const) {
    proxies = { ...proxies, protocol }
    socket.write(ping)
    await once(socket, 'data')
  }
  socket.destroy()
  const clients = (await untilCompleted(3)).map(({ client }) => client)
  t.same(clients, [FRIEND, FRIEND, 'unknown'])
})

function listed(text: string) {
  const read = readNetwork(text)
  if (read.kind !== 'network') throw new Error(text)
  return read.network
}

tap.test('R569: a header that does not come in time ends its connection', async t => {
  const proxies = { trusted: [listed('127.0.0.0/8')], protocol: 'required' } as const
  const { app, clock, lines, listen } = createTestApp(t, { proxies: () => proxies })
  const { port } = new URL(await listen())
  const opened = once(app.server, 'connection')
  const silent = connect({ host: '127.0.0.1', port: Number(port) })
  await opened
  const another = once(app.server, 'connection')
  const slow = connect({ host: '127.0.0.1', port: Number(port) })
  const [taken] = (await another) as [Socket]
  const read = once(taken, 'readable')
  slow.write('PROXY TCP4 ')
  await read
  const texts = [textOf(silent), textOf(slow)]
  await clock.advance(PROXY_HEADER_MAX_MS)
  t.same(await Promise.all(texts), ['', ''])
  const told = lines().filter(({ msg }) => msg === 'a PROXY header is not good')
  t.match(told, [{ why: 'it did not come in time' }])
  t.equal(told.length, 1, 'of who says nothing nothing is told')
  const closing = connect({ host: '127.0.0.1', port: Number(port) })
  await once(app.server, 'connection')
  const text = textOf(closing)
  await app.close()
  t.equal(await text, '', 'nor does it hold up a stop')
})

tap.test('R568: requests come whole behind it, several on one connection', async t => {
  const proxies = { trusted: [listed('127.0.0.1')], protocol: 'required' } as const
  const { listen, untilCompleted } = createTestApp(t, { proxies: () => proxies })
  const url = new URL(await listen())
  const ping = 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n'
  const socket = connect({ host: '127.0.0.1', port: Number(url.port) })
  socket.write(Buffer.concat([binaryFor(FRIEND), Buffer.from(`${ping}\r\n`)]))
  await once(socket, 'data')
  socket.write(`${ping}X-Forwarded-For: ${STRANGER}\r\n\r\n`)
  await once(socket, 'data')
  socket.end(`${ping}Connection: close\r\n\r\n`)
  await textOf(socket)
  const clients = (await untilCompleted(3)).map(({ client }) => client)
  t.same(clients, [FRIEND, FRIEND, FRIEND], 'a client is believed nothing')
})

tap.test('R568: a proxy behind another is believed in turn', async t => {
  const proxies = {
    trusted: [listed('127.0.0.1'), listed('10.0.0.2')],
    protocol: 'required',
  } as const
  const { listen, untilCompleted } = createTestApp(t, { proxies: () => proxies })
  const url = new URL(await listen())
  const socket = connect({ host: '127.0.0.1', port: Number(url.port) })
  const ping = `GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: ${FRIEND}\r\n\r\n`
  socket.write(Buffer.concat([lineFor('10.0.0.2'), Buffer.from(ping)]))
  await textOf(socket)
  t.match(await untilCompleted(1), [{ client: FRIEND }])
})
