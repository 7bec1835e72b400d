// Goal: requests have their turn and their bounds, and a stop cuts nobody short. Method: sockets on
// loopback; the engine waits where a test says so, and the clock stands still unless a test moves
// it.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { drain } from '../../../src/http/drain.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { CONNECTED } from '../../kit/over-tls.ts'
import { get } from '../../kit/clients/raw-client.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

t.test('pipelined requests are answered in order, one at a time', async t => {
  const { listen, registry } = createTestApp(t)
  const digests = ['one', 'two', 'three'].map(text =>
    registry.addBlob('docker.io/a/b', Buffer.from(text)),
  )
  let running = 0
  let most = 0
  const { pullBlob } = registry
  registry.pullBlob = async (...asked) => {
    running += 1
    most = Math.max(most, running)
    await new Promise(resolve => setImmediate(resolve))
    running -= 1
    return pullBlob(...asked)
  }
  const { socket, received, ended } = await openSocket(await listen())
  const head = (digest: string, last: boolean) =>
    `GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
  socket.write(digests.map((digest, index) => head(digest, index === 2)).join(''))
  await ended
  t.equal(most, 1)
  t.same(
    received()
      .split('\r\n\r\n')
      .slice(1)
      .map(part => part.replace(/HTTP\/1\.1[\s\S]*/, '')),
    ['one', 'two', 'three'],
  )
})

t.test('pipelined requests whose client leaves are noted, and take no place for ever', async t => {
  const { listen, registry, leave, untilCompleted, metrics } = createTestApp(t)
  const asked = Promise.withResolvers<void>()
  registry.before = () => {
    asked.resolve()
    return new Promise(() => {})
  }
  const { socket } = await openSocket(await listen())
  socket.write('GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3))
  await asked.promise
  await leave(() => socket.destroy())
  const lines = await untilCompleted(3)
  t.ok(lines.every(({ outcome }) => outcome === 'aborted'))
  t.equal(registry.calls.length, 1, 'nothing is begun for a client that has left')
  t.match((await metrics.render()).text, /entrepot_requests_in_flight 0/)
})

t.test('a flood of pipelined requests is answered 503 beyond the bound, not queued', async t => {
  const { listen, registry } = createTestApp(t)
  const release = Promise.withResolvers<void>()
  registry.before = () => release.promise
  const { socket, until, received } = await openSocket(await listen())
  socket.write('GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20))
  while (registry.calls.length === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(registry.calls.length, 1)
  release.resolve()
  await until('HTTP/1.1 503 ')
  t.match(received(), /retry-after: 1/i)
  socket.destroy()
})

t.test(
  'R124: more requests at once than the process takes are 503 with Retry-After; pings are answered',
  async t => {
    const { listen, registry, metrics } = createTestApp(t, { options: { requestsMax: 2 } })
    const url = await listen()
    const release = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    registry.before = () => {
      if (registry.calls.length === 2) entered.resolve()
      return release.promise
    }
    const running = [get(`${url}/v2/a/b/manifests/x`), get(`${url}/v2/a/b/manifests/x`)]
    await entered.promise
    const refused = await get(`${url}/v2/a/b/manifests/x`)
    t.equal(refused.status, 503)
    t.equal(refused.headers['retry-after'], '1')
    t.equal((await get(`${url}/v2/`)).status, 200)
    t.equal((await get(`${url}/livez`)).status, 200)
    release.resolve()
    await Promise.all(running)
    t.equal((await get(`${url}/v2/a/b/manifests/x`)).status, 404, 'there is room again')
    t.match((await metrics.render()).text, /entrepot_requests_refused_total\{reason="busy"\} 1/)
  },
)

t.test('a connection too many is closed without a word, and counted', async t => {
  const { app, listen, metrics } = createTestApp(t)
  const url = await listen()
  app.server.maxConnections = 1
  const first = await openSocket(url)
  const { hostname, port } = new URL(url)
  const second = connect({ host: hostname, port: Number(port) })
  await once(second.resume(), 'close')
  t.equal(second.bytesRead, 0)
  const refused = /entrepot_requests_refused_total\{reason="connections"\} 1\n/
  t.match((await metrics.render()).text, refused)
  first.socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
  await first.until('200 OK')
})

t.test(
  'R236: a drain lets an answer finish, closes its connection, and takes no new ones',
  async t => {
    const { app, registry, clock, listen } = createTestApp(t)
    const release = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    registry.addManifest('docker.io/a/b', {
      bytes: Buffer.from('{}'),
      mediaType: MANIFEST,
      tag: 'x',
    })
    registry.before = () => {
      asked.resolve()
      return release.promise
    }
    const url = await listen()
    const idle = await openSocket(url)
    const { socket, received, ended } = await openSocket(url)
    socket.write('GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n')
    await asked.promise
    const drained = drain(app, { timeoutMs: 30_000, clock })
    await idle.ended
    await t.rejects(get(url), 'no new connection')
    release.resolve()
    await ended
    t.match(received(), /^HTTP\/1\.1 200 OK/)
    t.match(received(), /connection: close/i)
    t.equal(await drained, 'finished')
  },
)

t.test('R236: an answer whose head went out before the drain ends its connection, too', async t => {
  const { app, registry, clock, listen } = createTestApp(t)
  const digest = registry.addBlob('docker.io/a/b', Buffer.alloc(2_000))
  const release = Promise.withResolvers<void>()
  registry.readBlob = async function* (bytes) {
    yield bytes.subarray(0, 1_000)
    await release.promise
    yield bytes.subarray(1_000)
  }
  const { socket, until, ended } = await openSocket(await listen())
  socket.write(`GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await until('\r\n\r\n')
  const drained = drain(app, { timeoutMs: 30_000, clock })
  while (app.server.listening) await new Promise(resolve => setImmediate(resolve))
  release.resolve()
  t.equal(await drained, 'finished')
  await ended
  t.ok(socket.bytesRead > 2_000)
})

t.test('R236: what is not finished at the limit is cut, and has its line by then', async t => {
  const { app, registry, clock, listen, lines } = createTestApp(t)
  const asked = Promise.withResolvers<void>()
  registry.before = () => {
    asked.resolve()
    return new Promise(() => {})
  }
  const { socket, ended } = await openSocket(await listen())
  socket.write('GET /v2/a/b/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n')
  await asked.promise
  const drained = drain(app, { timeoutMs: 30_000, clock })
  await clock.untilSleeping(30_000)
  await clock.advance(30_000)
  t.equal(await drained, 'cut')
  t.equal(lines().filter(({ msg }) => msg === 'request completed').length, 1)
  await ended
})

t.test('R236: what node has let go of for a tunnel is cut at the limit, too', async t => {
  const { app, registry, clock, listen, untilCompleted } = createTestApp(t)
  const digest = registry.addBlob('docker.io/a/b', Buffer.alloc(32 * 1024 * 1024))
  const { socket, until, ended } = await openSocket(await listen())
  const handedOver = once(app.server, 'connect')
  const tunnel = 'CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\n'
  socket.write(`GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n${tunnel}`)
  await Promise.all([handedOver, until('\r\n\r\n')])
  socket.pause()
  const drained = drain(app, { timeoutMs: 30_000, clock })
  await clock.untilSleeping(30_000)
  await clock.advance(30_000)
  t.equal(await drained, 'cut')
  t.match((await untilCompleted(1))[0], { outcome: 'aborted' })
  socket.resume()
  await ended
})

t.test(
  'R228: the port keeps idle connections longer than clients do, and never limits a whole request',
  async t => {
    const { app, listen } = createTestApp(t)
    await listen()
    t.ok(app.server.keepAliveTimeout > 90_000)
    t.equal(app.server.requestTimeout, 0)
    t.equal(app.server.headersTimeout, 10_000)
  },
)

t.test('a reader that takes nothing for minutes is cut', async t => {
  const { app, registry, listen, untilCompleted } = createTestApp(t)
  const digest = registry.addBlob('docker.io/a/b', Buffer.alloc(32 * 1024 * 1024))
  const server = new Promise<Socket>(resolve => app.server.once(CONNECTED, resolve))
  const { socket, ended } = await openSocket(await listen())
  socket.pause()
  socket.write(`GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const connection = await server
  while (connection.timeout !== 300_000) await new Promise(resolve => setImmediate(resolve))
  // The kernel's timer, fired by hand: five minutes without a byte either way.
  connection.emit('timeout')
  t.match((await untilCompleted(1))[0], { outcome: 'aborted' })
  socket.resume()
  await ended
  await registry.drained()
  t.same([registry.opened, registry.closed], [1, 1])
})
