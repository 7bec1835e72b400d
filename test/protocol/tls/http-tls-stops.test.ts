// Goal: a stop, and a client that does not finish what it began, leave no connection of TLS open.
// Method: the data port with a certificate made for the test; clients are node's TLS, bare sockets,
// and one whose handshake a relay holds up. The clock stands still unless a test moves it.
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectPlain, createServer } from 'node:net'
import { connect } from 'node:tls'
import t from 'tap'
import { drain } from '../../../src/http/drain.ts'
import { HANDSHAKE_MAX_MS } from '../../../src/http/tls/tls.ts'
import { certificate, HOST, listenTls, textOf } from '../../kit/worlds/tls-app.ts'

t.test('R236: a stop ends connections that never spoke, and lets an answer finish', async t => {
  const { port, app, registry, clock } = await listenTls(t)
  const digest = registry.addBlob('docker.io/a/b', Buffer.from('blob'))
  const [asked, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  registry.before = () => {
    asked.resolve()
    return may.promise
  }
  const silent = connectPlain({ host: HOST, port })
  await once(silent, 'connect')
  const busy = connect({ host: HOST, port, ca: certificate.ca })
  busy.write(`GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const text = textOf(busy)
  await asked.promise
  const ended = textOf(silent)
  const drained = drain(app, { timeoutMs: 60_000, clock })
  await ended
  may.resolve()
  t.match(await text, /200 OK.*connection: close.*\r\n\r\nblob$/is)
  t.equal(await drained, 'finished')
})

/** A TLS client that has said the first thing of its handshake; the rest waits until `goOn`. */
async function halfShaken(t: { teardown(fn: () => unknown): unknown }, port: number) {
  const goOn = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const relay = createServer(near => {
    const far = connectPlain({ host: HOST, port })
    let said = 0
    near.on('data', async (piece: Buffer) => {
      said += 1
      if (said > 1) await goOn.promise
      far.write(piece)
    })
    far.on('data', (piece: Buffer) => {
      near.write(piece)
      begun.resolve()
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  relay.listen(0, HOST)
  await once(relay, 'listening')
  t.teardown(() => relay.close())
  const client = connect({
    host: HOST,
    port: (relay.address() as AddressInfo).port,
    ca: certificate.ca,
  })
  const ended = new Promise(resolve => client.on('error', () => {}).once('close', resolve))
  await begun.promise
  return { goOn: goOn.resolve, ended }
}

t.test('R236: a handshake under way when a stop begins holds it up no longer', async t => {
  const { port, app, clock } = await listenTls(t)
  const { goOn, ended } = await halfShaken(t, port)
  const drained = drain(app, { timeoutMs: 60_000, clock })
  goOn()
  t.equal(await drained, 'finished')
  await ended
})

t.test('R236: a handshake that is not done at the limit of a stop is cut', async t => {
  const { port, app, clock } = await listenTls(t)
  const { ended } = await halfShaken(t, port)
  let outcome = 'late'
  void drain(app, { timeoutMs: 1_000, clock }).then(how => (outcome = how))
  await clock.advance(1_000)
  // A handshake has a limit of its own, of ten seconds that no clock of a test moves: far more than
  // these.
  const TURNS = 1_000
  for (let turn = 0; turn < TURNS && outcome === 'late'; turn += 1) {
    await new Promise(setImmediate)
  }
  t.equal(outcome, 'cut')
  await ended
})

t.test('R193: a client that connects and never finishes its handshake is let go', async t => {
  const { port, app } = await listenTls(t)
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const client = connectPlain({ host: HOST, port })
  const [connection] = await connected
  t.equal(connection.timeout, HANDSHAKE_MAX_MS)
  connection.emit('timeout')
  t.ok(connection.destroyed)
  client.destroy()
})
