// Goal: of one answer the kernel and node send parts by turns, and a client that takes nothing is
// found out whichever of them waits for it. Method: the data port on a loopback socket over a real
// file. What the kernel takes for the connection is filled up beneath node before the request is
// whole, so that the head of the answer is what waits in node; the clock stands still unless a test
// moves it.
import { writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import t from 'tap'
import { descriptorOf } from '../../src/http/addon.ts'
import { STALLED_READER_MS } from '../../src/http/limits.ts'
import { STALLED_WHILE_OTHERS_WAIT_MS } from '../../src/http/send/stalled-readers.ts'
import { WAITING_TICK_MS } from '../../src/http/places/waiting-room.ts'
import { bytesOnDisk } from '../kit/disk/bytes-on-disk.ts'
import { createTestApp } from '../kit/worlds/http-app.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { openConnection } from '../kit/over-tls.ts'
import { get } from '../kit/clients/raw-client.ts'

const sendfile = requireSendfile()
const BYTES = Buffer.alloc(1024 * 1024, 'stalled')
const FILLER = Buffer.alloc(256 * 1024, 'filler')
const descriptor = bytesOnDisk(t, BYTES)

/**
 * Gives the kernel as much for `connection` as it takes, until it has taken nothing for many turns.
 */
async function fill(connection: Socket): Promise<void> {
  const TURNS = 20
  const socket = descriptorOf(connection)
  if (socket === undefined) throw new Error('a plain connection')
  for (let still = 0; still < TURNS; still += 1) {
    if (take(socket)) still = 0
    await new Promise(setImmediate)
  }
}

function take(socket: number): boolean {
  try {
    return writeSync(socket, FILLER) > 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return false
    throw error
  }
}

/** Asked by a client that takes nothing; the answer's head waits in node, and its body for that. */
async function stall(test: Parameters<typeof createTestApp>[0]) {
  const parts = createTestApp(test, { places: 1, sendfile })
  const { app, registry } = parts
  const digest = registry.addBlob('docker.io/a/b', BYTES)
  registry.file = {
    descriptor,
    readyBytes: 0,
    until: async (_position, last) => last + 1,
    read: async buffer => buffer.length,
  }
  const url = await parts.listen()
  const connected = new Promise<Socket>(resolve => app.server.once('connection', resolve))
  const client = await openConnection(url)
  test.teardown(() => client.destroy())
  const connection = await connected
  // The kernel may take more with each byte that comes from the client, until it has come to the
  // most that it ever takes.
  client.setNoDelay(true)
  for (const each of `GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r`) {
    client.write(each)
    await fill(connection)
  }
  client.write('\n')
  while (connection.writableLength === 0) await new Promise(setImmediate)
  return { ...parts, connection, blob: `${url}/v2/a/b/blobs/${digest}` }
}

t.test('R193: who takes nothing of what node has loses the place when others wait', async t => {
  const { blob, clock, metrics, untilCompleted } = await stall(t)
  const second = get(blob)
  const waiting = 'entrepot_streams_waiting 1\n'
  while (!(await metrics.render()).text.includes(waiting)) await new Promise(setImmediate)
  await clock.advance(WAITING_TICK_MS)
  await clock.advance(STALLED_WHILE_OTHERS_WAIT_MS + WAITING_TICK_MS)
  t.ok((await second).body.equals(BYTES))
  t.match((await untilCompleted(1))[0], { outcome: 'failed', error: { message: /took nothing/ } })
  t.match((await metrics.render()).text, /entrepot_streams_cut_total 1\n/)
})

t.test(
  'R193: who takes nothing of what node has is cut after minutes where nobody waits',
  async t => {
    const { connection, registry, untilCompleted } = await stall(t)
    while (connection.timeout !== STALLED_READER_MS) await new Promise(setImmediate)
    // The kernel's timer, fired by hand: five minutes without a byte either way.
    connection.emit('timeout')
    t.match((await untilCompleted(1))[0], { outcome: 'aborted' })
    await registry.drained()
  },
)

t.test('R193: a timer that runs out while nothing waits for the client begins anew', async t => {
  const { app, registry, listen } = createTestApp(t, { sendfile })
  const digest = registry.addBlob('docker.io/a/b', BYTES)
  const [asked, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const until = async (_position: number, last: number) => {
    asked.resolve()
    await may.promise
    return last + 1
  }
  registry.file = { descriptor, readyBytes: 0, until, read: async buffer => buffer.length }
  const connected = new Promise<Socket>(resolve => app.server.once('connection', resolve))
  const answer = get(`${await listen()}/v2/a/b/blobs/${digest}`)
  const connection = await connected
  await asked.promise
  connection.emit('timeout')
  t.equal(connection.timeout, STALLED_READER_MS)
  may.resolve()
  t.ok((await answer).body.equals(BYTES))
})
