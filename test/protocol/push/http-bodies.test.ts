// Goal: whatever a client does with the body of its push, the port reads it no faster than the
// engine does, gives it up when it must, and answers whoever still listens. Method: exact bytes
// over sockets on loopback; the clock stands still unless a test moves it.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { breakOff } from '../../kit/over-tls.ts'
import { APP, openUpload, turn, UPLOADS } from '../../kit/clients/open-upload.ts'

const IDLE_MS = 60_000
/** What is enough in five minutes. */
const LEAST_BYTES = 16 * 1024
/** Other requests that are answered meanwhile: what the port does at once it has done by then. */
const OTHERS = 5

t.test(
  'R228: a slow body may take for ever; one that brings nothing for a minute is 408',
  async t => {
    const { socket, ended, received, head, clock, url, registry, id } = await openUpload(t)
    socket.write(head([`Content-Length: ${10 * LEAST_BYTES}`]))
    for (let piece = 1; piece <= 20; piece += 1) {
      await clock.untilSleeping(IDLE_MS)
      socket.write(Buffer.alloc(LEAST_BYTES / 4))
      await registry.received(id, (piece * LEAST_BYTES) / 4)
      await clock.advance(IDLE_MS - 1_000)
      t.equal(received(), '')
    }
    await clock.untilSleeping(1_000)
    await clock.advance(1_000)
    await others(url)
    if (!t.match(received(), /^HTTP\/1\.1 408 Request Timeout/)) return
    await ended
    t.match(received(), /connection: close/i)
    t.match(received(), /"code":"UNSUPPORTED","message":"no byte of the body came for 60 seconds/)
    const next = await openSocket(url)
    next.socket.write(head(['Connection: close'], 'GET'))
    await next.ended
    t.match(next.received(), `Range: 0-${5 * LEAST_BYTES - 1}`, 'R110: what came counts')
  },
)

t.test(
  'R710: a body that trickles is 408 after five minutes, and goes on where it was',
  async t => {
    const { socket, ended, received, head, clock, url, registry, id, until } = await openUpload(t)
    socket.write(head(['Content-Length: 1000']))
    for (let piece = 1; piece <= 5; piece += 1) {
      await clock.untilSleeping(IDLE_MS)
      socket.write('0')
      await registry.received(id, piece)
      await clock.advance(IDLE_MS - 1_000)
      t.equal(received(), '')
    }
    socket.write('0')
    await registry.received(id, 6)
    await clock.advance(5_000)
    await until('HTTP/1.1 408 Request Timeout')
    await ended
    t.match(received(), /connection: close/i)
    t.match(
      received(),
      /"UNSUPPORTED","message":"less than 16384 bytes of the body came in 300 sec/,
    )
    const next = await openSocket(url)
    next.socket.write(`${head(['Content-Length: 4', 'Content-Range: 6-9'])}6789`)
    await next.until('HTTP/1.1 202 Accepted')
    t.match(next.received(), /Range: 0-9\r\n/, 'what came counts')
    next.socket.destroy()
  },
)

async function others(url: string): Promise<void> {
  for (let count = 0; count < OTHERS; count += 1) {
    const { socket, ended } = await openSocket(url)
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await ended
  }
}

t.test('an engine that takes its time is no silence of the client', async t => {
  const { socket, until, received, head, clock, registry, id } = await openUpload(t)
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
  await until('\r\n\r\n')
  t.match(received(), /^HTTP\/1\.1 202 [^]*^range: 0-9\r$/im, 'with all of it')
})

t.test(
  'R110: a client that leaves in the middle of a body is not answered; what came counts',
  async t => {
    const { socket, head, url, registry, id, untilCompleted } = await openUpload(t)
    const over = Promise.withResolvers<unknown>()
    const { appendUpload } = registry
    registry.appendUpload = (...asked) => {
      const appended = appendUpload(...asked)
      appended.catch(over.resolve)
      return appended
    }
    socket.write(`${head(['Content-Length: 100'])}0123456789`)
    await registry.received(id, 10)
    breakOff(socket)
    t.match(String(await over.promise), /the client left in the middle of the body/)
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
      const { socket, head, until, ended, received, registry, id } = await openUpload(t)
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

t.test('R100: a POST whose content breaks off leaves no upload behind', async t => {
  const { listen, registry } = createTestApp(t)
  const { socket, until } = await openSocket(await listen())
  const target = `${UPLOADS}?digest=${digestOf(Buffer.from('0123456789'))}`
  socket.write(`POST ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234`)
  socket.end()
  await until('"code":"SIZE_INVALID"')
  t.match(registry.calls.at(-1), /^cancelUpload/)
  t.equal(registry.openUploads(), 0)
})

t.test('an engine that leaves a body while it waits for more lets go of it at once', async t => {
  const { socket, head, registry, until, received, ended } = await openUpload(t)
  const result = Promise.withResolvers<unknown>()
  registry.appendUpload = async (_repository, _id, { body }) => {
    const pieces = body[Symbol.asyncIterator]()
    await pieces.next()
    const pending = pieces.next()
    await pieces.return?.()
    result.resolve([await pending, await pieces.next()])
    throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
  }
  socket.write(`${head(['Content-Length: 20'])}0123456789`)
  await until('"code":"BLOB_UPLOAD_UNKNOWN"')
  const done = { done: true, value: undefined }
  t.same(await result.promise, [done, done])
  socket.write('0123456789')
  await ended
  t.equal(received().match(/HTTP\/1\.1/g)?.length, 1, 'and of what was left nobody made a request')
})

t.test('R193: a body is read no faster than the engine takes it', async t => {
  const { socket, head, registry, until } = await openUpload(t)
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

t.test(
  'a client that ends its side in the middle of a body nobody wants is let go at once',
  async t => {
    // The clock stands still: nothing here may wait for it.
    const { listen } = createTestApp(t)
    const { socket, until, ended, received } = await openSocket(await listen())
    const start = 'PUT /v2/localhost/app/manifests/v1 HTTP/1.1'
    socket.write(`${start}\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n01234`)
    await until('HTTP/1.1 403 Forbidden')
    socket.end()
    await ended
    t.match(received(), /"code":"DENIED"/)
  },
)
