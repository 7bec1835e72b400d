// Goal: what is pipelined behind an answer waits in bounds, and gives back what it held however its
// connection ends. Method: sockets on loopback; the engine waits where a test says so.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import t from 'tap'
import { createTestApp, openSocket, type TestApp } from '../../kit/worlds/http-app.ts'
import { breakOff, CONNECTED } from '../../kit/over-tls.ts'

const PULL = 'GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n'

/** Within the bound of one head. */
const LARGE_PULL = PULL.replace('\r\n\r\n', `\r\nX-Large: ${'a'.repeat(90_000)}\r\n\r\n`)

const turn = () => new Promise(resolve => setImmediate(resolve))

const connectionsOf = (server: TestApp['app']['server']) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  )

async function gauge({ metrics }: TestApp, name: string): Promise<string | undefined> {
  const { text } = await metrics.render()
  return text.split('\n').find(line => line.startsWith(`${name} `))
}

t.test(
  'one request too many is the last of its connection: what is behind it is not taken',
  async t => {
    const { listen, registry } = createTestApp(t)
    const release = Promise.withResolvers<void>()
    registry.before = () => release.promise
    const { socket, received, ended } = await openSocket(await listen())
    socket.write(PULL.repeat(40))
    while (registry.calls.length === 0) await turn()
    release.resolve()
    await ended
    const answers = [...received().matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status)
    t.same(answers, [...Array.from({ length: 17 }, () => '404'), '503'])
    t.match(received(), /connection: close/i)
    t.equal(registry.calls.length, 17)
  },
)

t.test(
  'a connection that is reset behind an answer that is stuck gives back all it held',
  async t => {
    const test = createTestApp(t)
    const { app, listen, registry } = test
    const release = Promise.withResolvers<void>()
    registry.before = () => release.promise
    const connected = once(app.server, CONNECTED) as Promise<[Socket]>
    const { socket, until } = await openSocket(await listen())
    const [connection] = await connected
    let begun = 0
    const stuck = new Promise<void>(resolve => {
      app.server.on('request', (_, response: ServerResponse) => {
        begun += 1
        // Of what comes after the last answer that was waited for the kernel takes nothing.
        if (begun !== 17) return
        response.prependListener('finish', () => {
          connection._write = () => {}
          connection._writev = () => {}
          resolve()
        })
      })
    })
    socket.write(PULL.repeat(20))
    while (registry.calls.length === 0) await turn()
    release.resolve()
    await stuck
    await until('HTTP/1.1 404 ')
    const asked = once(app.server, 'request')
    socket.write(PULL)
    await asked
    await turn()
    const closed = new Promise(resolve => connection.once('close', resolve))
    breakOff(socket)
    await closed
    await turn()
    t.equal(await gauge(test, 'entrepot_requests_in_flight'), 'entrepot_requests_in_flight 0')
    t.equal(registry.calls.length, 17)
  },
)

t.test('one too many behind an answer that ends its connection is given up once', async t => {
  const { listen, registry, untilCompleted } = createTestApp(t)
  const release = Promise.withResolvers<void>()
  registry.before = () => release.promise
  const { socket, ended } = await openSocket(await listen())
  const body = 'DELETE /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'
  socket.write(`${PULL.repeat(16)}${body}${PULL}`)
  while (registry.calls.length === 0) await turn()
  release.resolve()
  await ended
  await untilCompleted(18)
  await turn()
  t.equal((await untilCompleted(18)).length, 18)
})

t.test('nothing is begun behind an answer that ends its connection', async t => {
  const test = createTestApp(t)
  const { app, listen, registry, untilCompleted } = test
  const release = Promise.withResolvers<void>()
  registry.before = () => (registry.calls.length === 1 ? release.promise : new Promise(() => {}))
  const { socket, received, ended } = await openSocket(await listen())
  socket.write(PULL.repeat(2))
  while (registry.calls.length === 0) await turn()
  const closed = app.close()
  release.resolve()
  await ended
  await closed
  t.match(received(), /connection: close/i)
  t.equal((await untilCompleted(2))[1]?.['outcome'], 'aborted')
  t.equal(await gauge(test, 'entrepot_requests_in_flight'), 'entrepot_requests_in_flight 0')
  t.equal(registry.calls.length, 1)
})

t.test(
  'heads that wait are bounded on a connection: beyond, it ends and holds nothing',
  async t => {
    const test = createTestApp(t)
    const { listen, registry, untilCompleted, metrics } = test
    registry.before = () => new Promise(() => {})
    const { socket, ended } = await openSocket(await listen())
    socket.write(`${PULL}${LARGE_PULL.repeat(16)}`)
    await ended
    const lines = await untilCompleted(3)
    t.equal(lines.length, 3, 'one in turn, and two that waited')
    t.match((await metrics.render()).text, /entrepot_requests_refused_total\{reason="busy"\} 1\n/)
    t.equal(await gauge(test, 'entrepot_requests_in_flight'), 'entrepot_requests_in_flight 0')
  },
)

t.test('what has had its turn waits no more: a connection goes on as long as it likes', async t => {
  const { app, listen, registry } = createTestApp(t)
  const { socket, received, ended } = await openSocket(await listen())
  const answers = () => received().match(/HTTP\/1\.1 404 /g)?.length ?? 0
  let isEnded = false
  void ended.then(() => (isEnded = true))
  let begun = 0
  app.server.on('request', () => (begun += 1))
  for (let round = 1; round <= 4; round += 1) {
    const gate = Promise.withResolvers<void>()
    registry.before = () => gate.promise
    socket.write(`${PULL}${LARGE_PULL}`)
    while (begun < round * 2 && !isEnded) await turn()
    gate.resolve()
    while (answers() < round * 2 && !isEnded) await turn()
    t.equal(answers(), round * 2)
  }
  socket.end()
  await ended
})

t.test('heads that wait are bounded on all connections; small ones wait all the same', async t => {
  // A thirty-second part of 64 MiB: there is room for 22 heads of 90 KB.
  const { app, listen, registry } = createTestApp(t, { options: { threads: 32 } })
  const release = Promise.withResolvers<void>()
  registry.before = () => release.promise
  const url = await listen()
  let begun = 0
  app.server.on('request', () => (begun += 1))
  const clients: Awaited<ReturnType<typeof openSocket>>[] = []
  let ended = 0
  for (let round = 0; round < 30; round += 1) {
    const client = await openSocket(url)
    clients.push(client)
    void client.ended.then(() => (ended += 1))
    client.socket.write(`${PULL}${LARGE_PULL}`)
    while (begun < clients.length * 2) await turn()
  }
  await Promise.all(clients.slice(22).map(client => client.ended))
  t.equal(ended, 8)
  const small = await openSocket(url)
  small.socket.write(PULL.repeat(2))
  while (begun < 62) await turn()
  release.resolve()
  await small.until('HTTP/1.1 404 ')
  small.socket.end()
  await small.ended
  t.equal(small.received().match(/HTTP\/1\.1 404 /g)?.length, 2)
  const first = clients.slice(0, 22)
  for (const { socket } of first) socket.end()
  await Promise.all(first.map(client => client.ended))
  t.ok(first.every(({ received }) => received().match(/HTTP\/1\.1 404 /g)?.length === 2))

  // All of it was given back, by those that had their turn and by those that never do.
  for (const isCut of [true, false]) {
    const gate = Promise.withResolvers<void>()
    registry.before = () => gate.promise
    const before = begun
    const next = await Promise.all(Array.from({ length: 22 }, () => openSocket(url)))
    for (const { socket } of next) socket.write(`${PULL}${LARGE_PULL}`)
    while (begun < before + 44) await turn()
    if (isCut) for (const { socket } of next) breakOff(socket)
    else for (const { socket } of next) socket.end()
    gate.resolve()
    await Promise.all(next.map(client => client.ended))
    while ((await connectionsOf(app.server)) > 0) await turn()
    if (isCut) continue
    t.ok(next.every(({ received }) => received().match(/HTTP\/1\.1 404 /g)?.length === 2))
  }
})
