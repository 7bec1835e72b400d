// Goal: whatever a client does with the body of its push, the port reads it no faster than the engine does, gives it up when it must,
// and answers whoever still listens. Method: exact bytes over sockets on loopback; the clock stands still unless a test moves it.
import t from 'tap'
import { digestOf } from '../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../src/oci/reference.ts'
import { drain } from '../../src/http/drain.ts'
import { createTestApp, openSocket } from '../kit/http-app.ts'
import { inChunks } from '../kit/raw-push.ts'

const UPLOADS = '/v2/localhost/app/blobs/uploads/'
const APP = parseRepositoryKey('localhost/app')
const IDLE_MS = 60_000

/** An upload that has begun, and a connection to go on with it. */
async function open(test: Parameters<typeof createTestApp>[0]) {
  const app = createTestApp(test)
  const url = await app.listen()
  const { id } = await app.registry.startUpload(APP, {
    algorithm: 'sha256',
  })
  const head = (lines: readonly string[], method = 'PATCH', query = '') =>
    [`${method} ${UPLOADS}${id}${query} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n')
  const connection = await openSocket(url)
  test.teardown(() => connection.socket.destroy())
  return { ...app, ...connection, url, id, head }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

t.test(
  'R15: 100 Continue goes out when the body is wanted, and the connection lives on',
  async t => {
    const { socket, until, received, head, registry } = await open(t)
    const asked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    registry.before = () => {
      asked.resolve()
      return release.promise
    }
    socket.write(head(['Content-Length: 5', 'Expect: 100-continue']))
    await asked.promise
    for (let at = 0; at < 5; at += 1) await turn()
    t.equal(received(), '', 'nothing before the engine wants the body')
    release.resolve()
    await until('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('hello')
    await until('HTTP/1.1 202 Accepted')
    t.match(received(), /Range: 0-4/)
    t.notMatch(received(), /connection: close/i)
    socket.write(head([], 'GET'))
    await until('HTTP/1.1 204 No Content')
  },
)

t.test('R15: whatever refuses the head refuses without 100 Continue', async t => {
  const { listen, registry } = createTestApp(t)
  const url = await listen()
  const digest = digestOf(Buffer.from('x'))
  const requests = [
    ['PATCH /v2/localhost/app/blobs/uploads/unknown', 'localhost', 404],
    [`PUT /v2/localhost/app/blobs/uploads/unknown?digest=${digest}`, 'localhost', 404],
    ['PUT /v2/localhost/app/blobs/uploads/unknown', 'localhost', 400],
    ['PUT /v2/localhost/app/manifests/v1', 'edge.example', 403],
    ['PUT /v2/docker.io/a/b/manifests/v1', 'localhost', 403],
    ['PUT /v2/localhost/app/manifests/v1', 'localhost', 413],
    ['POST /v2/localhost/app/blobs/uploads/', 'localhost', 202],
    ['DELETE /v2/localhost/app/manifests/v1', 'localhost', 404],
  ] as const
  for (const [line, host, status] of requests) {
    const { socket, received, ended } = await openSocket(url)
    socket.write(
      `${line} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n`,
    )
    await ended
    t.match(received(), new RegExp(`^HTTP/1\\.1 ${status} `), line)
    t.match(received(), /connection: close/i)
  }
  t.equal(registry.openUploads(), 1)
})

t.test(
  'R228: a slow body may take for ever; one that brings nothing for a minute is 408',
  async t => {
    const { socket, until, ended, received, head, clock, url, registry, id } = await open(t)
    socket.write(head(['Content-Length: 1000']))
    for (let piece = 1; piece <= 20; piece += 1) {
      await clock.untilSleeping(IDLE_MS)
      socket.write('0123456789')
      const seen = registry.received(id, piece * 10)
      await seen
      await clock.advance(IDLE_MS - 1_000)
      t.equal(received(), '')
    }
    await clock.untilSleeping(1_000)
    await clock.advance(1_000)
    await until('HTTP/1.1 408 Request Timeout')
    await ended
    t.match(received(), /connection: close/i)
    t.match(received(), /"code":"UNSUPPORTED","message":"no byte of the body came for 60 seconds/)
    const next = await openSocket(url)
    next.socket.write(head(['Connection: close'], 'GET'))
    await next.ended
    t.match(next.received(), /Range: 0-199/, 'R110: what came counts')
  },
)

t.test('an engine that takes its time is no silence of the client', async t => {
  const { socket, until, head, clock, registry, id } = await open(t)
  const gate = Promise.withResolvers<void>()
  const appendUpload = registry.appendUpload
  registry.appendUpload = (repository, upload, chunk) =>
    appendUpload(repository, upload, {
      ...chunk,
      body: (async function* () {
        for await (const piece of chunk.body) {
          yield piece
          await gate.promise
        }
      })(),
    })
  socket.write(head(['Content-Length: 10']))
  await clock.untilSleeping(IDLE_MS)
  socket.write('01234')
  await registry.received(id, 5)
  await clock.advance(10 * IDLE_MS)
  gate.resolve()
  socket.write('56789')
  await until('HTTP/1.1 202 Accepted')
  t.pass('the upload went on')
})

t.test(
  'R110: a client that leaves in the middle of a body is not answered; what came counts',
  async t => {
    const { socket, head, url, registry, id, untilCompleted } = await open(t)
    socket.write(`${head(['Content-Length: 100'])}0123456789`)
    await registry.received(id, 10)
    socket.resetAndDestroy()
    const [line] = await untilCompleted(1)
    t.match(line, { outcome: 'aborted', status: 0, receivedBytes: 10, level: 'info' })
    t.equal(line?.['error'], undefined, 'and it is nobody’s failure')
    const next = await openSocket(url)
    next.socket.write(head(['Connection: close'], 'GET'))
    await next.ended
    t.match(next.received(), /Range: 0-9/)
  },
)

t.test(
  'R104: a body that ends too early or breaks off being HTTP is 400, and what came counts',
  async t => {
    for (const [lines, sent, end] of [
      [['Content-Length: 100'], '0123456789', true],
      [['Transfer-Encoding: chunked'], 'a\r\n0123456789\r\n', true],
      [['Transfer-Encoding: chunked'], 'a\r\n0123456789\r\nnonsense\r\n', false],
    ] as const) {
      const { socket, head, until, ended, received, registry, id } = await open(t)
      socket.write(head(lines) + sent)
      await registry.received(id, 10)
      if (end) socket.end()
      await until('HTTP/1.1 400 Bad Request')
      t.match(received(), /"code":"SIZE_INVALID"/)
      await ended
      t.equal(received().match(/HTTP\/1\.1/g)?.length, 1)
      t.equal((await registry.uploadState(APP, id)).sizeBytes, 10)
    }
  },
)

t.test('requests that are pipelined behind an upload have their turn after it', async t => {
  const { socket, received, ended, head, registry } = await open(t)
  const body = 'the content of the blob'
  const digest = digestOf(Buffer.from(body))
  const messages = [
    head([`Content-Length: ${body.length - 4}`]) + body.slice(0, -4),
    head(['Transfer-Encoding: chunked']) + inChunks(Buffer.from(body.slice(-4)), 2).toString(),
    head([], 'PUT', `?digest=${encodeURIComponent(digest)}`),
    `GET /v2/localhost/app/blobs/${digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  ]
  socket.write(messages.join(''))
  await ended
  const statuses = received().match(/HTTP\/1\.1 \d+/g)
  t.same(statuses, ['HTTP/1.1 202', 'HTTP/1.1 202', 'HTTP/1.1 201', 'HTTP/1.1 200'])
  t.ok(received().endsWith(body))
  t.match(registry.calls.slice(-4), [/append/, /append/, /finish/, /pullBlob/])
})

t.test('R193: a body is read no faster than the engine takes it', async t => {
  const { socket, head, registry, until } = await open(t)
  const SIZE = 64 * 1024 * 1024
  const gate = Promise.withResolvers<void>()
  let taken = 0
  registry.appendUpload = async (_repository, upload, { body }) => {
    for await (const piece of body) {
      if (taken === 0) await gate.promise
      taken += piece.length
    }
    return { id: upload, sizeBytes: taken }
  }
  socket.write(head([`Content-Length: ${SIZE}`]))
  let sent = 0
  const piece = Buffer.alloc(1024 * 1024)
  const full = Promise.withResolvers<void>()
  const send = () => {
    while (sent < SIZE) {
      sent += piece.length
      if (!socket.write(piece)) break
    }
    if (sent === SIZE) full.resolve()
  }
  socket.on('drain', send)
  send()
  let before = -1
  // Sending stops when the buffers between are full.
  for (let still = 0; still < 200; still += 1) {
    await turn()
    if (sent !== before) still = 0
    before = sent
  }
  t.ok(sent < SIZE / 2, `${sent} bytes went into buffers while nobody read`)
  gate.resolve()
  await full.promise
  await until(`Range: 0-${SIZE - 1}`)
  t.equal(taken, SIZE)
})

t.test('R15: a client that sends a gigabyte without asking gets to read its refusal', async t => {
  const { listen, clock, untilCompleted } = createTestApp(t)
  const { socket, received, until, ended } = await openSocket(await listen())
  const SIZE = 1024 ** 3
  socket.write(
    `PUT /v2/docker.io/a/b/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${SIZE}\r\n\r\n`,
  )
  const piece = Buffer.alloc(1024 * 1024)
  let sent = 0
  const send = () => {
    while (!socket.destroyed && sent < SIZE) {
      sent += piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', send)
  send()
  await until('"code":"DENIED"')
  t.match(received(), /^HTTP\/1\.1 403 /)
  t.ok(sent < SIZE, 'and long before it has sent everything')
  await clock.untilSleeping(1_000)
  await clock.advance(1_000)
  await ended
  t.match((await untilCompleted(1))[0], { status: 403, outcome: 'completed' })
  t.equal((await untilCompleted(1))[0]?.['receivedBytes'], undefined)
})

t.test(
  'R236: a drain lets a running upload finish, and the connection ends with its answer',
  async t => {
    const { app, socket, head, registry, id, clock, received, ended } = await open(t)
    socket.write(`${head(['Content-Length: 10'])}01234`)
    await registry.received(id, 5)
    const drained = drain(app, { timeoutMs: 30_000, clock })
    while (app.server.listening) await turn()
    socket.write('56789')
    await ended
    t.match(received(), /^HTTP\/1\.1 202 /)
    t.match(received(), /connection: close/i)
    t.equal(await drained, 'finished')
  },
)

t.test(
  'R110, R236: an upload that is not done at the limit is cut, and what came counts',
  async t => {
    const { app, socket, head, registry, id, clock, ended, untilCompleted } = await open(t)
    socket.write(`${head(['Content-Length: 10'])}01234`)
    await registry.received(id, 5)
    const drained = drain(app, { timeoutMs: 30_000, clock })
    await clock.untilSleeping(30_000)
    await clock.advance(30_000)
    t.equal(await drained, 'cut')
    await ended
    t.match((await untilCompleted(1))[0], { outcome: 'aborted', receivedBytes: 5 })
    t.equal((await registry.uploadState(APP, id)).sizeBytes, 5)
  },
)
