// Goal: the native sender keeps its promises at its edges: connections that go, files that shrink,
// stalled readers, other threads. Method: the sender itself over loopback sockets and a file, and
// the data port over it where node's part of the connection matters.
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { descriptorOf, loadAddon } from '../../src/http/addon.ts'
import { patternBlob } from '../kit/content.ts'
import { BLOBS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { openSocket } from '../kit/worlds/http-app.ts'
import { rejection } from '../kit/engine.ts'

t.setTimeout(300_000)
const MiB = 1024 * 1024
const content = patternBlob('sender', 8 * MiB)
const sendfile = requireSendfile()
const directory = mkdtempSync(join(tmpdir(), 'entrepot-sender-'))
const path = join(directory, 'file')
writeFileSync(path, content.bytes())
const file = openSync(path, 'r')
t.teardown(() => {
  closeSync(file)
  rmSync(directory, { recursive: true })
})

/** A connection: the server's end, and the client's, which reads nothing yet. */
async function connection(t: { teardown(fn: () => unknown): unknown }) {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' })
  const [socket] = (await once(server, 'connection')) as [Socket]
  for (const each of [client, socket]) each.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  return { client, socket }
}

function sendingOn(socket: Socket, descriptor = file) {
  const sending = sendfile.open(socket, descriptor)
  if (sending === undefined) throw new Error('this connection can be sent to')
  return sending
}

async function read(client: Socket, lengthBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of client) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes >= lengthBytes) break
  }
  return Buffer.concat(pieces)
}

/** How many descriptors of this process lead to the file. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  }).length
}

async function untilDescriptors(count: number): Promise<void> {
  while (descriptors() > count) await new Promise(setImmediate)
}

t.test('parts are sent one after another over one connection, again and again', async t => {
  const { client, socket } = await connection(t)
  const expected: Buffer[] = []
  const reading = read(client, 6 * MiB)
  for (let turn = 0; turn < 3; turn += 1) {
    const sending = sendingOn(socket)
    for (const position of [turn, 3 * MiB + 5]) {
      await sending.send(position, MiB)
      expected.push(content.read(position, MiB))
    }
    t.equal(sending.sentBytes, 2 * MiB)
    sending.close()
    sending.close()
    t.equal(sending.sentBytes, 2 * MiB)
  }
  t.equal(Buffer.compare(await reading, Buffer.concat(expected)), 0)
})

t.test('a sending that waits for its client ends when it is closed, and lets go', async t => {
  const { socket } = await connection(t)
  const before = descriptors()
  const sending = sendingOn(socket)
  const sent = rejection(sending.send(0, content.sizeBytes))
  while (sending.sentBytes === 0) await new Promise(setImmediate)
  t.ok(sending.isBusy)
  sending.close()
  t.match(await sent, { message: /was closed/ })
  await untilDescriptors(before)
  t.equal(descriptors(), before)
})

t.test('a number that node has closed, and given to another, is never sent to', async t => {
  const first = await connection(t)
  const sending = sendingOn(first.socket)
  first.socket.destroy()
  await once(first.socket, 'close')
  // The lowest free number: that of the socket which was closed.
  const second = await connection(t)
  const got: Buffer[] = []
  second.client.on('data', (piece: Buffer) => got.push(piece))
  await sending.send(0, 1000)
  sending.close()
  second.socket.end('end')
  await once(second.client, 'end')
  t.equal(Buffer.concat(got).toString(), 'end')
})

t.test('a client that leaves fails what is being sent as the client’s doing', async t => {
  const { client, socket } = await connection(t)
  const sending = sendingOn(socket)
  const sent = rejection(sending.send(0, content.sizeBytes))
  while (sending.sentBytes === 0) await new Promise(setImmediate)
  client.resetAndDestroy()
  t.match(await sent, { name: 'SendfileError', failure: 'client' })
  sending.close()
})

t.test('a client that has closed its half still gets everything', async t => {
  const { client, socket } = await connection(t)
  client.end()
  await once(socket.resume(), 'end')
  const sending = sendingOn(socket)
  const reading = read(client, content.sizeBytes)
  await sending.send(0, content.sizeBytes)
  sending.close()
  t.equal(Buffer.compare(await reading, content.bytes()), 0)
})

t.test('a half that is closed on this side takes no more', async t => {
  const { socket } = await connection(t)
  socket.end()
  await once(socket, 'finish')
  const sending = sendfile.open(socket, file)
  if (sending === undefined) return
  t.match(await rejection(sending.send(0, MiB)), { code: 'EPIPE', failure: 'client' })
  sending.close()
})

t.test('a file that ends too early is a failure of the file', async t => {
  const { client, socket } = await connection(t)
  const short = join(directory, 'short')
  writeFileSync(short, content.bytes())
  const descriptor = openSync(short, 'r')
  const sending = sendingOn(socket, descriptor)
  closeSync(descriptor)
  const sent = rejection(sending.send(0, content.sizeBytes))
  while (sending.sentBytes === 0) await new Promise(setImmediate)
  truncateSync(short, 0)
  client.resume()
  t.match(await sent, { code: 'ENODATA', failure: 'file' })
  sending.close()
})

t.test('what is not open cannot be sent from or to', async t => {
  const { socket } = await connection(t)
  t.equal(sendfile.open(socket, 1_000_000), undefined)
  socket.destroy()
  t.equal(sendfile.open(socket, file), undefined)
})

t.test('a length or a place that is no number of bytes is refused', async t => {
  const addon = loadAddon()
  if (addon === undefined) throw new Error('it is built')
  const { socket } = await connection(t)
  const id = addon.open(descriptorOf(socket) ?? -1, file)
  const { NaN: none, POSITIVE_INFINITY: endless } = Number
  const bad = [
    [0, endless],
    [endless, 1],
    [0, none],
    [none, 1],
    [0, 0],
    [-1, 1],
    [2 ** 53, 1],
    [0, 2 ** 53],
  ] as const
  for (const [position, length] of bad)
    t.throws(() => addon.send(id, position, length), { code: 'EINVAL' }, `${position} ${length}`)
  t.equal(addon.sent(id), 0)
  addon.close(id)
})

t.test('a thread that ends while it sends takes nobody with it', async t => {
  const before = descriptors()
  for (let turn = 0; turn < 5; turn += 1) {
    const { client, socket } = await connection(t)
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    const worker = new Worker(new URL('../kit/threads/native-thread.ts', import.meta.url), {
      workerData: { socket: fd, file, lengthBytes: content.sizeBytes },
    })
    await once(worker, 'message')
    const own = sendingOn((await connection(t)).socket)
    await worker.terminate()
    await own.send(0, 1000)
    own.close()
    client.destroy()
    await untilDescriptors(before)
  }
  t.equal(descriptors(), before)
})

t.test('a client that takes nothing is cut after its time, and noted', async t => {
  const blob = patternBlob('stalled', 12 * MiB)
  const { stub, edge } = await startPair(t)
  stub.addBlob('library/app', blob)
  t.equal((await edge.get(`${BLOBS}/${blob.digest}`)).bodyBytes, blob.sizeBytes)
  const { socket, ended, until } = await openSocket(edge.url)
  socket.write(`GET ${BLOBS}/${blob.digest} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await until('\r\n\r\n')
  socket.pause()
  const completed = edge.untilLogged('request completed', 2)
  const line = await edge.settle(completed, 10 * 60_000)
  t.match(line, { outcome: 'aborted', status: 200 })
  t.ok(Number(line['sentBytes']) < blob.sizeBytes)
  socket.resume()
  await ended
})
