// Goal: a push and what else is on its connection do not harm each other: whoever waits for 100
// Continue, who sends what nobody wants, who pipelines, and a process that stops. Method: exact
// bytes over sockets on loopback; the clock stands still unless a test moves it.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { drain } from '../../../src/http/drain.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { APP, openUpload, turn, UPLOADS } from '../../kit/clients/open-upload.ts'
import { inChunks } from '../../kit/clients/raw-push.ts'

t.test(
  'R15: 100 Continue goes out when the body is wanted, and the connection lives on',
  async t => {
    const { socket, until, received, head, registry } = await openUpload(t)
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

t.test('an answer to an unwanted body goes out at once, before the rest of the body', async t => {
  const { listen, clock } = createTestApp(t)
  const { socket, until, received, ended } = await openSocket(await listen())
  socket.write(`POST ${UPLOADS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx`)
  await until('Content-Length: 0')
  await clock.untilSleeping(1_000)
  await clock.advance(1_000)
  await ended
  t.match(received(), /^HTTP\/1\.1 202 [^]*^connection: close\r$/im, 'and it ends the connection')
})

t.test('requests that are pipelined behind an upload have their turn after it', async t => {
  const { socket, received, ended, head, registry } = await openUpload(t)
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
    const { app, socket, head, registry, id, clock, received, ended } = await openUpload(t)
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
    const { app, socket, head, registry, id, clock, ended, untilCompleted } = await openUpload(t)
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
