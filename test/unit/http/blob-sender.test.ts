// Goal: a large blob that the kernel sends never goes past the answer before it on the same
// connection, and costs little memory while its client stands still. Method: answers of node's own,
// and a sender that only counts, or never ends. issue 17, 23
import { IncomingMessage, ServerResponse } from 'node:http'
import { createConnection, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { SENDFILE_MIN_BYTES } from '../../../src/http/limits.ts'
import { BlobSender } from '../../../src/http/send/blob-sender.ts'
import { sendBlob } from '../../../src/http/send/send-blob.ts'
import type { BlobAnswer } from '../../../src/registry/answers.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

t.test('R269: nothing is sent before the answer has its connection', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const connected = once(server, 'connection')
  const client = createConnection(port, '127.0.0.1')
  const [socket] = (await connected) as [Socket]
  t.teardown(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })
  const sent = Promise.withResolvers<void>()
  const orders: number[] = []
  const sending = {
    sentBytes: 0,
    isBusy: false,
    send: async (_from: number, to: number) => {
      orders.push(to)
      sending.sentBytes += to
      sent.resolve()
    },
    close: () => {},
  }
  const response = new ServerResponse(new IncomingMessage(socket))
  response.writeHead(200, { 'Content-Length': '0' })
  const sizeBytes = SENDFILE_MIN_BYTES
  const blob = {
    sizeBytes,
    file: { descriptor: 0, readyBytes: sizeBytes },
    close: async () => {},
  } as unknown as BlobAnswer
  const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
  const one = new BlobSender(
    response,
    { kind: 'blob', blob, segments, sizeBytes },
    { sendfile: { open: () => sending }, readers: { watch: () => () => {}, othersWait: () => {} } },
  )
  void sendBlob(one, { writeHead: () => {}, clock: createManualClock() })
  await new Promise(resolve => setImmediate(resolve))
  t.same(orders, [], 'it waits for its turn')
  response.assignSocket(socket)
  await sent.promise
  t.same(orders, [sizeBytes])
})

/** 1,700 are used; an abort signal for each and two more functions that wait made them 3,000. */
const STANDING_READER_BYTES = 2_300
const READERS = 1_000

t.test('who stands still costs little memory', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const heapBytes = async () => {
    await new Promise(resolve => setImmediate(resolve))
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  let begun = 0
  const sendfile = {
    open: () => ({
      sentBytes: 0,
      isBusy: true,
      send: () => {
        begun += 1
        return new Promise<void>(() => {})
      },
      close: () => {},
    }),
  }
  const sizeBytes = SENDFILE_MIN_BYTES
  const blob = {
    sizeBytes,
    file: { descriptor: 0, readyBytes: sizeBytes },
    close: async () => {},
  } as unknown as BlobAnswer
  const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
  const readers = { watch: () => () => {}, othersWait: () => {} }
  const clock = createManualClock()
  const send = (response: ServerResponse) => {
    const body = { kind: 'blob', blob, segments, sizeBytes } as const
    void sendBlob(new BlobSender(response, body, { sendfile, readers }), {
      writeHead: () => {},
      clock,
    })
  }
  // What is compiled and grown at first is of no sending.
  answers(READERS).forEach(send)
  const responses = answers(READERS)
  const before = await heapBytes()
  responses.forEach(send)
  const eachBytes = ((await heapBytes()) - before) / READERS
  t.equal(begun, 2 * READERS, 'the kernel sends to all of them')
  t.ok(eachBytes < STANDING_READER_BYTES, `${Math.round(eachBytes)} bytes each`)
})

function answers(count: number): readonly ServerResponse[] {
  return Array.from({ length: count }, () => {
    const socket = new Duplex({ read() {}, write: (_bytes, _coding, done) => done() }) as Socket
    const response = new ServerResponse(new IncomingMessage(socket))
    response.assignSocket(socket)
    response.writeHead(200, { 'Content-Length': String(SENDFILE_MIN_BYTES) })
    response.flushHeaders()
    return response
  })
}
