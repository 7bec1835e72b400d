// Goal: TLS is spoken as clients expect it, a session goes on across threads, and whoever comes
// without TLS is told. Method: the data port with a certificate made for the test; clients are
// node's TLS with each option that matters, and bare sockets.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { LINGER_MS } from '../../../src/http/limits.ts'
import type { TlsOptions } from '../../../src/http/tls/tls.ts'
import {
  rotateTicketKeys,
  TICKET_KEYS_BYTES,
  TICKET_KEYS_MAX_AGE_MS,
} from '../../../src/http/tls/tls.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { testCertificate } from '../../kit/over-tls.ts'
import { certificate, HOST, listenTls, textOf } from '../../kit/worlds/tls-app.ts'

/** So many connections to the same one of two threads are no chance. */
const TRIES_MAX = 100
const PING = 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** Everything that a TLS client sees of one request; an error when the handshake fails. */
async function ping(port: number, options: ConnectionOptions = {}) {
  const socket = connect({ host: HOST, port, ca: certificate.ca, ...options })
  let session: Buffer | undefined
  socket.on('session', (given: Buffer) => (session = given))
  await once(socket, 'secureConnect')
  const facts = factsOf(socket)
  socket.write(PING)
  const text = await textOf(socket)
  return { ...facts, text, session }
}

function factsOf(socket: TLSSocket) {
  return {
    version: socket.getProtocol(),
    cipher: socket.getCipher()?.name,
    protocol: socket.alpnProtocol,
    reused: socket.isSessionReused(),
  }
}

t.test('R4: TLS 1.3 and 1.2 with forward secrecy, and HTTP/1.1 by ALPN', async t => {
  const { port } = await listenTls(t)
  const newest = await ping(port, { ALPNProtocols: ['h2', 'http/1.1'] })
  t.match(newest, { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', protocol: 'http/1.1' })
  t.match(newest.text, /^HTTP\/1\.1 200 OK/)
  const older = await ping(port, { maxVersion: 'TLSv1.2' })
  t.match(older, { version: 'TLSv1.2', cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
  const small = { ciphers: 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256' }
  t.match(await ping(port, small), { cipher: 'TLS_CHACHA20_POLY1305_SHA256' })
})

t.test('TLS below the configured version is refused, and counted', async t => {
  const { port, own } = await listenTls(t, { minimumVersion: 'TLSv1.3' })
  await t.rejects(ping(port, { maxVersion: 'TLSv1.2' }))
  t.match(await ping(port), { version: 'TLSv1.3' })
  t.match((await own.render()).text, /entrepot_tls_failures_total 1\n/)
  const weak = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const
  await t.rejects(ping((await listenTls(t)).port, weak))
})

t.test(
  'TLS: a session goes on at another server with the same keys, until they change',
  async t => {
    const ticketKeys = randomBytes(TICKET_KEYS_BYTES)
    const [first, second] = [await listenTls(t, { ticketKeys }), await listenTls(t, { ticketKeys })]
    const { session } = await ping(first.port)
    t.ok(session)
    const again = (port: number) => ping(port, session === undefined ? {} : { session })
    t.equal((await again(second.port)).reused, true)
    t.equal((await again((await listenTls(t)).port)).reused, false, 'not where keys are others')
    second.transport.setTicketKeys(randomBytes(TICKET_KEYS_BYTES))
    const fresh = await again(second.port)
    t.match(fresh, { reused: false, text: /^HTTP\/1\.1 200 OK/ }, 'it begins anew')
  },
)

t.test('TLS: a session goes on between the first thread and another one, both ways', async t => {
  const ticketKeys = randomBytes(TICKET_KEYS_BYTES)
  const first = await listenTls(t, { ticketKeys })
  const { cert, key } = certificate
  const options: TlsOptions = {
    certificates: [{ certificate: cert, key, names: [] }],
    minimumVersion: 'TLSv1.2',
    ticketKeys,
  }
  const entry = new URL('../../kit/threads/tls-thread.ts', import.meta.url)
  const thread = new Worker(entry, { workerData: options })
  t.teardown(() => thread.terminate())
  const [further] = (await once(thread, 'message')) as [number]
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [from, to] of [
      [first.port, further],
      [further, first.port],
    ] as const) {
      const { session } = await ping(from, { maxVersion })
      const again = await ping(to, { maxVersion, ...(session && { session }) })
      t.match(again, { version: maxVersion, reused: true })
    }
  }
})

t.test('TLS: a session goes on at another thread after the keys were replaced, too', async t => {
  const { cert, key } = testCertificate()
  const directory = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  const tls = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  const http = { addr: '127.0.0.1:0', threads: 2, tls }
  const edge = await startTestEdge(t, { upstreams: {}, config: { http, default: 'localhost' } })
  const { ca } = testCertificate()
  const threadOf = ({ text }: { text: string }) => /x-request-id: ([0-9a-f]+)-/i.exec(text)?.[1]
  const ask = (options: ConnectionOptions = {}) =>
    ping(Number(new URL(edge.url).port), { ca, maxVersion: 'TLSv1.2', ...options })
  const isReused = async () => {
    const begun = await ask()
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const again = await ask(begun.session && { session: begun.session })
      if (threadOf(again) !== threadOf(begun)) return again.reused
    }
    throw new Error('no other thread answers')
  }
  t.equal(await isReused(), true)
  await edge.clock.advance(TICKET_KEYS_MAX_AGE_MS)
  // Asks every thread, after it was told of them.
  await (await fetch(`${edge.adminUrl}/metrics`)).text()
  t.equal(await isReused(), true)
})

t.test('TLS: ticket keys are replaced twice a day, and no more after the stop', async t => {
  const clock = createManualClock()
  const used: string[] = []
  const stopping = new AbortController()
  const over = rotateTicketKeys({
    clock,
    randomBytes,
    use: keys => void used.push(keys.toString('hex')),
    signal: stopping.signal,
  })
  await clock.advance(2 * TICKET_KEYS_MAX_AGE_MS)
  t.equal(new Set(used).size, 2)
  t.ok(used.every(keys => keys.length === 2 * TICKET_KEYS_BYTES))
  stopping.abort()
  await over
  t.equal(used.length, 2)
})

t.test('TLS: plain HTTP is told to use TLS, however much of it comes', async t => {
  const { port, own } = await listenTls(t)
  for (const sent of [PING, 'G', `POST / HTTP/1.1\r\n\r\n${'x'.repeat(1_000_000)}`]) {
    const socket = connectPlain({ host: HOST, port })
    socket.write(sent)
    const text = await textOf(socket)
    t.match(text, /^HTTP\/1\.1 400 Bad Request\r\n.*connection: close/is)
    t.match(JSON.parse(text.slice(text.indexOf('{'))), {
      errors: [{ code: 'UNSUPPORTED', message: /speaks TLS and got plain HTTP.*https/ }],
    })
  }
  t.match((await own.render()).text, /entrepot_requests_refused_total\{reason="plain"\} 3\n/)
})

t.test('TLS: plain HTTP that never ends its side is ended', async t => {
  const { port, app, tlsClock } = await listenTls(t)
  const socket = connectPlain({ host: HOST, port, allowHalfOpen: true })
  socket.write(PING)
  const [[connection]] = await Promise.all([
    once(app.server, 'connection') as Promise<[Socket]>,
    once(socket.resume(), 'end'),
  ])
  t.notOk(connection.destroyed)
  const closed = once(connection, 'close')
  await tlsClock.advance(LINGER_MS)
  await closed
  socket.destroy()
})

t.test('TLS: bytes of neither kind and a handshake that breaks off leave nothing open', async t => {
  const { port, app } = await listenTls(t)
  const noise = connectPlain({ host: HOST, port })
  noise.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5]))
  await textOf(noise)
  const zero = connectPlain({ host: HOST, port })
  zero.write(Buffer.alloc(300))
  await textOf(zero)
  const part = connectPlain({ host: HOST, port })
  part.write(Buffer.from([0x16]))
  part.end()
  await textOf(part)
  const nothing = connectPlain({ host: HOST, port })
  await once(nothing, 'connect')
  nothing.end()
  await textOf(nothing)
  const open = await new Promise(resolve => app.server.getConnections((_, count) => resolve(count)))
  t.equal(open, 0)
  t.match(await ping(port), { text: /200 OK/ })
})
