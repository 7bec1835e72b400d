// Goal: on the wire the port is strict: what is no proper HTTP gets JSON and the door, and a body
// that nobody wants harms nobody. Method: exact bytes over sockets on loopback; the clock stands
// still unless a test moves it.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { CONNECTED } from '../../kit/over-tls.ts'
import { get, type RawAnswer, sendRaw } from '../../kit/clients/raw-client.ts'

function errorCode(answer: RawAnswer): string {
  return (
    (JSON.parse(answer.body.toString()) as { errors: { code: string }[] }).errors[0]?.code ?? ''
  )
}

t.test('R15, R229: a push that waits for 100 Continue gets its refusal and never 100', async t => {
  const { listen } = createTestApp(t)
  const { socket, received, ended } = await openSocket(await listen())
  socket.write(
    'PUT /v2/a/b/manifests/x HTTP/1.1\r\nHost: edge\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  )
  await ended
  t.match(received(), /^HTTP\/1\.1 403 /)
  t.notMatch(received(), /100 Continue/)
  t.match(received(), /connection: close/i)
})

t.test('R229: an unknown expectation is answered like any request', async t => {
  const { listen } = createTestApp(t)
  const answer = await get(`${await listen()}/v2/`, { expect: 'wonders' })
  t.equal(answer.status, 200)
})

t.test(
  'R15: the body of a refused push is read and dropped, so that its sender gets to read why',
  async t => {
    const { listen, untilCompleted } = createTestApp(t)
    const { socket, received, until, ended } = await openSocket(await listen())
    socket.write(
      'PUT /v2/a/b/manifests/x HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    )
    await until('DENIED')
    socket.write('5\r\nworld\r\n0\r\n\r\n')
    await ended
    t.equal(received().match(/HTTP\/1\.1/g)?.length, 1)
    t.match((await untilCompleted(1))[0], { outcome: 'completed', status: 403, method: 'PUT' })
  },
)

t.test('R15: a body that never ends does not hold the connection', async t => {
  const { listen, clock } = createTestApp(t)
  const { socket, until, received, ended } = await openSocket(await listen())
  socket.write(
    'POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\nHost: edge\r\nContent-Length: 1000000\r\n\r\nx',
  )
  await until('DENIED')
  await clock.untilSleeping(1_000)
  await clock.advance(1_000)
  await ended
  t.match(received(), /^HTTP\/1\.1 403 [^]*^connection: close\r$/im)
})

t.test('R56, R227: 64 KiB of headers are accepted, far more are 431 in JSON', async t => {
  const { listen, registry } = createTestApp(t)
  const url = await listen()
  const digest = registry.addBlob('docker.io/a/b', Buffer.alloc(4_000_000))
  const ranges = Array.from(
    { length: 1_024 },
    (_, at) => `${100_000 + at * 3_000}-${100_000 + at * 3_000 + 9}`,
  )
  const partial = await get(`${url}/v2/a/b/blobs/${digest}`, { range: `bytes=${ranges.join(',')}` })
  t.equal(partial.status, 206)
  t.ok(partial.complete)
  t.equal((await get(`${url}/v2/`, { 'x-large': 'x'.repeat(65_536) })).status, 200)
  const tooLarge = await get(`${url}/v2/`, { 'x-large': 'x'.repeat(200_000) })
  t.equal(tooLarge.status, 431)
  t.equal(errorCode(tooLarge), 'UNSUPPORTED')
  t.equal(tooLarge.headers['docker-distribution-api-version'], 'registry/2.0')
})

t.test(
  'R121, R192, R229: what is no proper HTTP is 400 in JSON, and the connection ends',
  async t => {
    const { listen, registry } = createTestApp(t)
    const url = await listen()
    const requests = {
      'no HTTP': 'nonsense\r\n\r\n',
      'both lengths':
        'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'two lengths':
        'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
      'odd coding': 'POST /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
      'negative length': 'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
      'folded header': 'GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\nConnection: close\r\n\r\n',
      'space before colon': 'GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n',
      'bare LF': 'GET /v2/ HTTP/1.1\nHost: x\n\n',
      'no host': 'GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n',
      'two hosts': 'GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n',
      'no host name': 'GET /v2/ HTTP/1.1\r\nHost: a/b@c\r\nConnection: close\r\n\r\n',
      'NUL in header': 'GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n',
    }
    for (const [name, bytes] of Object.entries(requests)) {
      const answer = await sendRaw(url, bytes)
      t.equal(answer.status, 400, name)
      t.equal(answer.headers['content-type'], 'application/json', name)
      t.equal(errorCode(answer), 'UNSUPPORTED', name)
      t.ok(answer.complete)
    }
    t.same(registry.calls, [])
    t.equal((await get(`${url}/v2/`)).status, 200)
  },
)

t.test('R192: a smuggled second request is never answered', async t => {
  const { listen, registry } = createTestApp(t)
  const url = await listen()
  const hidden = 'GET /v2/a/b/manifests/secret HTTP/1.1\r\nHost: x\r\n\r\n'
  const { socket, ended, received } = await openSocket(url)
  socket.write(
    `POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  )
  await ended
  t.equal(received().match(/HTTP\/1\.1/g)?.length, 1)
  t.same(registry.calls, [])
})

t.test(
  'R229: garbage after a good request does not overtake its answer, and ends the connection',
  async t => {
    const { app, listen, registry } = createTestApp(t)
    const url = await listen()
    const asked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    registry.before = () => {
      asked.resolve()
      return release.promise
    }
    const { socket, received, ended } = await openSocket(url)
    socket.write('GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n')
    await asked.promise
    const seen = once(app.server, 'clientError')
    socket.write('garbage\r\n\r\n')
    await seen
    release.resolve()
    await ended
    t.match(received(), /^HTTP\/1\.1 404 /)
    t.equal(received().match(/HTTP\/1\.1/g)?.length, 1)
  },
)

t.test('an upgrade is not taken up, and CONNECT gets nowhere', async t => {
  const { listen } = createTestApp(t)
  const url = await listen()
  const answer = await get(`${url}/v2/`, { connection: 'upgrade', upgrade: 'websocket' })
  t.equal(answer.status, 200)
  const connect = await sendRaw(url, 'CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(connect.status === 200, false)
})

t.test(
  'R121, R228: a head that comes too slowly is 408 in JSON; a connection never used just ends',
  async t => {
    const { app, listen } = createTestApp(t)
    const url = await listen()
    for (const sent of ['GET /v2/ HT', '']) {
      const opened = once(app.server, CONNECTED) as Promise<[Socket]>
      const { socket, received, ended } = await openSocket(url)
      const [connection] = await opened
      if (sent !== '') {
        socket.write(sent)
        while (connection.bytesRead === 0) await new Promise(resolve => setImmediate(resolve))
      }
      // As node tells it when its own timer, ten seconds of real time, has run out.
      const late = Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
      app.server.emit('clientError', late, connection)
      await ended
      if (sent === '') t.equal(received(), '')
      else t.match(received(), /^HTTP\/1\.1 408 Request Timeout[\s\S]*"errors":/)
    }
  },
)

t.test('R19, R121: CONNECT is refused in JSON, and the connection ends', async t => {
  const { listen } = createTestApp(t)
  const { socket, received, ended } = await openSocket(await listen())
  socket.write('CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\nhello')
  await ended
  const [head = '', body = ''] = received().split('\r\n\r\n')
  t.match(head, /^HTTP\/1\.1 405 Method Not Allowed\r\n/)
  t.match(head, /\r\nAllow: GET, HEAD(\r\n|$)/)
  t.match(head, /\r\nConnection: close(\r\n|$)/)
  t.match(JSON.parse(body), { errors: [{ code: 'UNSUPPORTED', message: /no proxy/ }] })
})

t.test('a CONNECT behind another request waits for that answer, which is the last', async t => {
  const { listen, registry } = createTestApp(t)
  const gate = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  registry.before = () => {
    asked.resolve()
    return gate.promise
  }
  const url = await listen()
  const { socket, received, ended } = await openSocket(url)
  socket.write('GET /v2/a/b/tags/list HTTP/1.1\r\nHost: edge\r\n\r\n')
  await asked.promise
  socket.write('CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\n')
  // An own connection that is answered shows that the server has had its turn.
  t.equal((await get(`${url}/v2/`)).status, 200)
  gate.resolve()
  await ended
  t.match(received(), /^HTTP\/1\.1 404 /)
  t.equal(received().match(/HTTP\/1\.1/g)?.length, 1)
})

t.test('a request that would like another protocol is answered in this one', async t => {
  const { listen, registry } = createTestApp(t)
  const url = await listen()
  const digest = registry.addBlob('docker.io/a/b', Buffer.from('hello'))
  for (const protocol of ['websocket', 'h2c', 'TLS/1.3']) {
    const headers = { connection: 'upgrade', upgrade: protocol }
    const answer = await get(`${url}/v2/a/b/blobs/${digest}`, headers)
    t.equal(answer.status, 200, protocol)
    t.equal(answer.body.toString(), 'hello')
  }
})
