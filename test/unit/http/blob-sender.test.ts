// Goal: a large blob that the kernel sends never goes past the answer before it on the same
// connection, and costs little memory while its client stands still; whatever fails, the blob is
// closed. Method: answers of node's own, and a sender that only counts, or never ends.
import { createServer as createHttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { createConnection, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { HEAD_HELD_BACK_MS, SENDFILE_MIN_BYTES } from '../../../src/http/limits.ts'
import { BlobSender } from '../../../src/http/send/blob-sender.ts'
import { sendBlob } from '../../../src/http/send/send-blob.ts'
import { SendfileError } from '../../../src/http/send/sendfile.ts'
import type { BlobAnswer } from '../../../src/registry/answers.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { get } from '../../kit/clients/raw-client.ts'

const READERS_NOT_WATCHED = { watch: () => () => {}, othersWait: () => {} }

/** Of which the kernel sends all: it is in a file, and large enough. */
function bodyOfFile() {
  const sizeBytes = SENDFILE_MIN_BYTES
  const blob = {
    sizeBytes,
    file: { descriptor: 0, readyBytes: sizeBytes },
    close: async () => {},
  } as unknown as BlobAnswer
  const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
  return { kind: 'blob', blob, segments, sizeBytes } as const
}

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
  const one = new BlobSender(response, bodyOfFile(), {
    sendfile: { open: () => sending },
    readers: READERS_NOT_WATCHED,
  })
  void sendBlob(one, { writeHead: () => {}, clock: createManualClock() })
  await new Promise(resolve => setImmediate(resolve))
  t.same(orders, [], 'it waits for its turn')
  response.assignSocket(socket)
  await sent.promise
  t.same(orders, [SENDFILE_MIN_BYTES])
})

t.test('R747: what the kernel cannot read of a file is asked of the blob', async t => {
  const sizeBytes = SENDFILE_MIN_BYTES
  const bytes = Buffer.from(Array.from({ length: sizeBytes }, (_, n) => (n * 7) % 251))
  const badAt = 4096
  const closed = Promise.withResolvers<void>()
  const asked: (number | undefined)[] = []
  const blob = {
    sizeBytes,
    file: { descriptor: 0, readyBytes: sizeBytes, isProven: () => true },
    read: async function* (_range: object, _signal: AbortSignal, from?: number) {
      asked.push(from)
      yield bytes.subarray(from)
    },
    close: async () => closed.resolve(),
  } as unknown as BlobAnswer
  const EIO = 5
  const server = createHttpServer((_request, response) => {
    const sending = {
      sentBytes: 0,
      isBusy: false,
      send: async () => {
        await new Promise(resolve => response.socket?.write(bytes.subarray(0, badAt), resolve))
        sending.sentBytes = badAt
        throw new SendfileError(EIO)
      },
      close: () => {},
    }
    const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
    const one = new BlobSender(
      response,
      { kind: 'blob', blob, segments, sizeBytes },
      { sendfile: { open: () => sending }, readers: { watch: () => () => {} } as never },
    )
    const writeHead = () => response.writeHead(200, { 'Content-Length': String(sizeBytes) })
    void sendBlob(one, { writeHead, clock: createManualClock() })
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const answer = await get(`http://127.0.0.1:${port}/`)
  t.ok(answer.complete)
  t.ok(answer.body.equals(bytes))
  t.same(asked, [badAt])
  await closed.promise
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
  const body = bodyOfFile()
  const readers = READERS_NOT_WATCHED
  const clock = createManualClock()
  const send = (response: ServerResponse) => {
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

/** Sends `sizeBytes` by an answer of which no head has gone out, and does not want to. */
function sendInVain(blob: Partial<BlobAnswer> & { sizeBytes: number }, open?: () => never) {
  const socket = new Duplex({ read() {}, write: (_bytes, _coding, done) => done() }) as Socket
  const response = new ServerResponse(new IncomingMessage(socket))
  response.assignSocket(socket)
  let closed = 0
  const close = async () => {
    closed += 1
  }
  const { sizeBytes } = blob
  const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
  const body = {
    kind: 'blob',
    blob: { ...blob, close } as BlobAnswer,
    segments,
    sizeBytes,
  } as const
  const sendfile = open && { open }
  const clock = createManualClock()
  const sent = sendBlob(
    new BlobSender(response, body, { sendfile, readers: READERS_NOT_WATCHED }),
    {
      writeHead: () => {
        throw new Error('no head')
      },
      clock,
    },
  )
  sent.catch(() => {})
  return { sent, clock, response, closed: () => closed }
}

t.test('a blob is closed where the kernel cannot be asked to send it', async t => {
  const sizeBytes = SENDFILE_MIN_BYTES
  const file = { descriptor: 0, readyBytes: sizeBytes } as BlobAnswer['file']
  const { sent, closed } = sendInVain({ sizeBytes, file }, () => {
    throw new Error('no such call')
  })
  await t.rejects(sent, { message: 'no such call' })
  t.equal(closed(), 1)
})

t.test('a blob is closed where its reader cannot be ended', async t => {
  const chunks = {
    next: async () => ({ done: false as const, value: Buffer.from('abc') }),
    return: async () => Promise.reject(new Error('it does not end')),
  }
  const read = () => ({ [Symbol.asyncIterator]: () => chunks })
  const { sent, closed } = sendInVain({ sizeBytes: 3, source: 'hit', read })
  await t.rejects(sent, { message: 'it does not end' })
  t.equal(closed(), 1)
})

t.test('a reader that waits for bytes is told that the client left, though all failed', async t => {
  async function* read(_range: unknown, signal: AbortSignal) {
    await once(signal, 'abort')
    yield Buffer.from('abc')
  }
  const { sent, clock, response, closed } = sendInVain({ sizeBytes: 3, source: 'miss', read })
  await clock.untilSleeping(HEAD_HELD_BACK_MS)
  await clock.advance(HEAD_HELD_BACK_MS)
  await new Promise(setImmediate)
  t.equal(closed(), 0, 'it is read still')
  response.destroy()
  await new Promise(setImmediate)
  t.equal(closed(), 1)
  await t.rejects(sent, { message: 'no head' })
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
