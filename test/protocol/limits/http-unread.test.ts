// Goal: an answer that was handed over whole and is never read holds its client's connection for
// minutes, not for ever, whatever it was made from. Method: the port on a loopback socket and a
// client that reads nothing, who asks until the kernel takes no more; node's timer is fired by
// hand.
import type { Socket } from 'node:net'
import t from 'tap'
import { STALLED_READER_MS } from '../../../src/http/limits.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { createTestApp, openSocket, type TestApp } from '../../kit/worlds/http-app.ts'
import { CONNECTED } from '../../kit/over-tls.ts'
import { get } from '../../kit/clients/raw-client.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
/** More than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'large')
/** What memory may hold, and what node takes without asking its writer to wait. */
const SMALL = Buffer.alloc(60 * 1024, 'small')
const ALWAYS = {
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}

interface Answers {
  readonly withMemory: boolean
  /** @returns its path under `/v2/a/b` */
  add(parts: TestApp): string
}

function addManifest({ registry }: TestApp): string {
  registry.addManifest('docker.io/a/b', { bytes: LARGE, mediaType: MANIFEST, tag: 'x' })
  return 'manifests/x'
}

function addBlob({ registry }: TestApp): string {
  return `blobs/${registry.addBlob('docker.io/a/b', SMALL)}`
}

const KINDS: Readonly<Record<string, Answers>> = {
  'a large manifest': { withMemory: false, add: addManifest },
  'the end of a blob': { withMemory: false, add: addBlob },
  'an answer from memory': { withMemory: true, add: addBlob },
}

function completed(parts: TestApp): number {
  return parts.lines().filter(({ msg }) => msg === 'request completed').length
}

/**
 * False as soon as so many requests are over; true when nothing of `connection` has moved for many
 * turns.
 */
async function isStuck(parts: TestApp, connection: Socket, count: number): Promise<boolean> {
  const TURNS = 200
  for (let still = 0, seen = -1; still < TURNS; ) {
    if (completed(parts) >= count) return false
    await new Promise(setImmediate)
    const { bytesWritten, writableLength } = connection
    still = writableLength > 0 && bytesWritten === seen ? still + 1 : 0
    seen = bytesWritten
  }
  return true
}

for (const [what, { withMemory, add }] of Object.entries(KINDS)) {
  t.test(`R193: ${what} that nobody reads is cut after minutes`, async t => {
    const parts = createTestApp(t, withMemory ? { epochs: createEpochs() } : {})
    const { app, registry, metrics, untilCompleted } = parts
    if (withMemory) registry.repeatable = ALWAYS
    const path = `/v2/a/b/${add(parts)}`
    const url = await parts.listen()
    const connected = new Promise<Socket>(resolve => app.server.once(CONNECTED, resolve))
    const { socket, ended } = await openSocket(url)
    const connection = await connected
    socket.pause()
    let asked = 0
    do {
      asked += 1
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    } while (!(await isStuck(parts, connection, asked)))
    t.match((await metrics.render()).text, /entrepot_requests_in_flight 1\n/)
    t.equal(registry.calls.length < asked, withMemory)
    t.equal(connection.timeout, STALLED_READER_MS)
    connection.emit('timeout')
    const lines = await untilCompleted(asked)
    t.match(lines.at(-1), { outcome: 'aborted' })
    t.match((await metrics.render()).text, /entrepot_requests_in_flight 0\n/)
    socket.resume()
    await ended
    t.equal((await get(`${url}${path}`)).status, 200)
  })
}

/**
 * A client that asks for a large blob and for a tunnel behind it, and has read the head of the
 * answer and little more.
 */
async function askBehind(test: Parameters<typeof createTestApp>[0]) {
  const parts = createTestApp(test)
  const digest = parts.registry.addBlob('docker.io/a/b', LARGE)
  const url = await parts.listen()
  const connected = new Promise<Socket>(resolve => parts.app.server.once(CONNECTED, resolve))
  const client = await openSocket(url)
  const connection = await connected
  const asked = new Promise(resolve => parts.app.server.once('connect', resolve))
  const get = `GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`
  client.socket.write(`${get}CONNECT quay.io:443 HTTP/1.1\r\nHost: quay.io:443\r\n\r\n`)
  await Promise.all([asked, client.until('\r\n\r\n')])
  client.socket.pause()
  return { ...parts, ...client, connection }
}

t.test('R193: an answer that a CONNECT came behind is cut after minutes, too', async t => {
  const parts = await askBehind(t)
  const { connection, metrics, socket, ended } = parts
  t.ok(await isStuck(parts, connection, 1))
  t.equal(connection.timeout, STALLED_READER_MS)
  connection.emit('timeout')
  await parts.untilCompleted(1)
  t.match((await metrics.render()).text, /entrepot_requests_in_flight 0\n/)
  socket.resume()
  await ended
})

t.test('an answer that a CONNECT came behind goes out whole to a client that reads', async t => {
  const parts = await askBehind(t)
  t.ok(await isStuck(parts, parts.connection, 1))
  parts.socket.resume()
  await parts.ended
  t.match((await parts.untilCompleted(1))[0], { outcome: 'completed' })
  t.ok(parts.socket.bytesRead > LARGE.length)
})
