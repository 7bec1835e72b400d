// Goal: a streamed blob is whole or visibly cut, never goes faster than its client, and is let go
// of in every outcome. Method: the port on a loopback socket; the reader of bytes is the test's own
// and stops, fails or waits where the test says.
import type { Socket } from 'node:net'
import t from 'tap'
import type { ByteRange } from '../../../src/oci/range.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { CONNECTED } from '../../kit/over-tls.ts'
import { get, sendRaw } from '../../kit/clients/raw-client.ts'
import { readFromMemory } from '../../kit/worlds/registry-double.ts'

const SIZE = 8 * 1024 * 1024
const BYTES = Buffer.alloc(SIZE)
for (let at = 0; at < SIZE; at += 4) BYTES.writeUInt32BE(at, at)
const CHUNK_BYTES = 64 * 1024

async function withBlob(test: Parameters<typeof createTestApp>[0]) {
  const parts = createTestApp(test)
  const digest = parts.registry.addBlob('docker.io/a/b', BYTES)
  const url = await parts.listen()
  return {
    ...parts,
    digest,
    url,
    path: `/v2/a/b/blobs/${digest}`,
    blobUrl: `${url}/v2/a/b/blobs/${digest}`,
  }
}

function request(path: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ Host: 'edge', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Rejects as a reader does whose client has left. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error)),
  )
}

t.test('R7, R47: eight megabytes arrive whole, with their length told before', async t => {
  const { blobUrl, registry, untilCompleted } = await withBlob(t)
  const answer = await get(blobUrl)
  t.ok(answer.complete)
  t.ok(answer.body.equals(BYTES))
  t.equal(answer.headers['content-length'], String(SIZE))
  const [line] = await untilCompleted(1)
  t.match(line, {
    outcome: 'completed',
    status: 200,
    sentBytes: SIZE,
    source: 'hit',
    endpoint: 'blob',
    repository: 'docker.io/a/b',
  })
  await registry.drained()
  t.same([registry.opened, registry.closed], [1, 1])
})

t.test(
  'R85, R231: when the reading fails after the head, the connection is cut and nothing looks complete',
  async t => {
    const { blobUrl, registry, untilCompleted, metrics } = await withBlob(t)
    registry.readBlob = async function* (bytes, range) {
      yield bytes.subarray(range.first, range.first + CHUNK_BYTES)
      throw new Error('digest was wrong')
    }
    const answer = await get(blobUrl)
    t.equal(answer.status, 200)
    t.equal(answer.complete, false)
    const [line] = await untilCompleted(1)
    t.match(line, { outcome: 'failed', level: 'warn', error: { message: 'digest was wrong' } })
    t.same([registry.opened, registry.closed], [1, 1])
    t.match(
      (await metrics.render()).text,
      /entrepot_requests_total\{endpoint="blob",method="GET",status="200",source="hit",outcome="failed"\} 1/,
    )
  },
)

t.test('R231: a reader that ends too early is a cut, too, in each kind of answer', async t => {
  const { blobUrl, registry, untilCompleted } = await withBlob(t)
  registry.readBlob = async function* (bytes, range) {
    if (range.last - range.first > 10) yield bytes.subarray(range.first, range.last)
  }
  const ranges = [undefined, 'bytes=100-999', 'bytes=100-999,2000-2999']
  for (const [index, range] of ranges.entries()) {
    const answer = await get(blobUrl, range === undefined ? {} : { range })
    t.equal(answer.complete, false, String(range))
    t.match((await untilCompleted(index + 1))[index], { outcome: 'failed' })
  }
  t.equal(registry.closed, 3)
})

t.test(
  'a reading that fails before its first byte is an error answer without the headers of a success',
  async t => {
    const { blobUrl, registry, untilCompleted } = await withBlob(t)
    for (const source of ['hit', 'miss'] as const) {
      registry.source = source
      registry.readBlob = () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('no file')) }),
      })
      const answer = await get(blobUrl)
      t.equal(answer.status, 500)
      t.ok(answer.complete)
      t.equal(answer.headers['docker-content-digest'], undefined)
      t.equal(answer.headers['content-type'], 'application/json')
    }
    t.match((await untilCompleted(2))[1], { status: 500, level: 'error', source: 'none' })
    t.same([registry.opened, registry.closed], [2, 2])
  },
)

t.test(
  'R18, R49: a cold blob whose bytes are slow gets its head after a moment all the same',
  async t => {
    const { url, path, registry, clock } = await withBlob(t)
    registry.source = 'miss'
    const bytesMayCome = Promise.withResolvers<void>()
    registry.readBlob = async function* (bytes, range) {
      await bytesMayCome.promise
      yield new Uint8Array(bytes.subarray(range.first, range.last + 1))
    }
    const { socket, until, ended } = await openSocket(url)
    socket.write(request(path, { Range: 'bytes=0-', Connection: 'close' }))
    await clock.untilSleeping(2_000)
    await clock.advance(2_000)
    await until('HTTP/1.1 206 Partial Content')
    bytesMayCome.resolve()
    await ended
    t.equal(socket.bytesRead > SIZE, true)
  },
)

t.test(
  'R52: a client that leaves ends the reading at once, is no error, and its unread bytes are not counted',
  async t => {
    const { blobUrl, registry, untilCompleted } = await withBlob(t)
    let yielded = 0
    const stopped = Promise.withResolvers<unknown>()
    registry.readBlob = async function* (bytes, range, signal) {
      try {
        for await (const chunk of readFromMemory(CHUNK_BYTES)(bytes, range, signal)) {
          yielded += chunk.length
          yield chunk
        }
      } finally {
        stopped.resolve(undefined)
      }
    }
    await get(blobUrl, {}, { abortAfterBytes: 100_000 })
    await stopped.promise
    const [line] = await untilCompleted(1)
    t.match(line, { outcome: 'aborted', level: 'info', error: undefined })
    t.ok(Number(line?.['sentBytes']) <= yielded)
    t.ok(yielded < SIZE, 'it did not read on')
    await registry.drained()
    t.same([registry.opened, registry.closed], [1, 1])
  },
)

t.test(
  'R52: a client that leaves while the bytes are awaited: the signal tells the reader',
  async t => {
    const { url, path, registry, leave, untilCompleted } = await withBlob(t)
    const reading = Promise.withResolvers<AbortSignal>()
    registry.readBlob = async function* (bytes, range, signal) {
      yield bytes.subarray(range.first, range.first + 10)
      reading.resolve(signal)
      await aborted(signal)
    }
    const { socket, until } = await openSocket(url)
    socket.write(request(path))
    await until('\r\n\r\n')
    const signal = await reading.promise
    t.equal(signal.aborted, false)
    await leave(() => socket.destroy())
    t.match((await untilCompleted(1))[0], { outcome: 'aborted' })
    await registry.drained()
    t.equal(signal.aborted, true)
    t.same([registry.opened, registry.closed], [1, 1])
  },
)

t.test(
  'R52: a client that leaves before the blob is opened: it is closed when it comes',
  async t => {
    const { url, path, registry, leave, untilCompleted } = await withBlob(t)
    const asked = Promise.withResolvers<void>()
    const may = Promise.withResolvers<void>()
    registry.before = async () => {
      asked.resolve()
      await may.promise
    }
    const { socket } = await openSocket(url)
    socket.write(request(path))
    await asked.promise
    await leave(() => socket.destroy())
    const [line] = await untilCompleted(1)
    t.match(line, { outcome: 'aborted', status: 0 })
    may.resolve()
    await registry.drained()
    t.same([registry.opened, registry.closed], [1, 1])
  },
)

t.test(
  'R52: 500 ranges opened and left: every blob is closed, and the port still answers',
  async t => {
    const { blobUrl, url, registry, untilCompleted } = await withBlob(t)
    registry.readBlob = async function* (bytes, range, signal) {
      yield bytes.subarray(range.first, range.first + CHUNK_BYTES)
      await aborted(signal)
    }
    for (let round = 0; round < 50; round += 1) {
      const first = round * 1_000
      await Promise.all(
        Array.from({ length: 10 }, () =>
          get(blobUrl, { range: `bytes=${first}-` }, { abortAfterBytes: 1 }),
        ),
      )
    }
    const lines = await untilCompleted(500)
    t.equal(lines.filter(({ level }) => level !== 'info').length, 0)
    await registry.drained()
    t.same([registry.opened, registry.closed], [500, 500])
    t.equal((await get(`${url}/v2/`)).status, 200)
  },
)

t.test('R193: for a reader that stops, no more than two chunks are held in memory', async t => {
  const { app, registry, listen } = createTestApp(t)
  const digest = registry.addBlob('docker.io/a/b', BYTES)
  const server = new Promise<Socket>(resolve => app.server.once(CONNECTED, resolve))
  const held: number[] = []
  registry.readBlob = async function* (bytes, range, signal) {
    const { writableLength } = await server
    held.push(writableLength)
    for await (const chunk of readFromMemory(CHUNK_BYTES)(bytes, range, signal)) {
      yield chunk
      held.push((await server).writableLength)
    }
  }
  const { socket, ended } = await openSocket(await listen())
  socket.pause()
  socket.write(request(`/v2/a/b/blobs/${digest}`, { Connection: 'close' }))
  const connection = await server
  // As long as the kernel takes bytes there is nothing to see; it stops well before the blob's end.
  while (!connection.writableNeedDrain) await new Promise(resolve => setImmediate(resolve))
  socket.resume()
  await ended
  t.ok(socket.bytesRead > SIZE, 'it went on when the client did')
  t.ok(Math.max(...held) <= 2 * CHUNK_BYTES, `held ${Math.max(...held)}`)
})

t.test('R54: a multipart answer on the wire has exactly its length', async t => {
  const { blobUrl } = await withBlob(t)
  const answer = await get(blobUrl, { range: 'bytes=0-99999,5000000-5000010,-7' })
  t.equal(answer.status, 206)
  t.ok(answer.complete)
  t.equal(answer.bodyBytes, Number(answer.headers['content-length']))
  t.ok(answer.body.includes(BYTES.subarray(SIZE - 7)))
})

t.test(
  'R5: HEAD of a blob sends no body on the wire, so the next answer follows at once',
  async t => {
    const { url, path } = await withBlob(t)
    const head = `HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const { socket, received, ended } = await openSocket(url)
    socket.write(head + request('/v2/', { Connection: 'close' }))
    await ended
    const answers = received().split('HTTP/1.1 200 OK')
    t.equal(answers.length, 3)
    t.match(answers[1], new RegExp(`content-length: ${SIZE}`, 'i'))
    t.ok(answers[1]?.endsWith('\r\n\r\n'))
  },
)

t.test('HTTP/1.0 gets an answer and the end of the connection', async t => {
  const { url, path } = await withBlob(t)
  const wanted: ByteRange = { first: 0, last: 9 }
  const answer = await sendRaw(
    url,
    `GET ${path} HTTP/1.0\r\nRange: bytes=${wanted.first}-${wanted.last}\r\n\r\n`,
  )
  t.equal(answer.status, 206)
  t.ok(answer.complete)
})
