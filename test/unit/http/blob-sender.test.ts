// Goal: a large blob that the kernel sends never goes past the answer before it on the same
// connection. Method: an answer of node's own that has no connection yet, and a sender that only
// counts. issue 17, 23
import { IncomingMessage, ServerResponse } from 'node:http'
import { createConnection, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
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
