// Goal: a client that ends its side of the connection gets what it asked for, and holds nothing of
// what does not come. Method: the port on a loopback socket; the reader of bytes is the test's own,
// and the clock stands still unless a test moves it.
import t from 'tap'
import { ENDED_WAIT_MS } from '../../../src/http/limits.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'
import { openConnection } from '../../kit/over-tls.ts'
import { readFromMemory } from '../../kit/worlds/registry-double.ts'

/** More than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(24 * 1024 * 1024, 'large')
/** Four steps of a reader. */
const SMALL = Buffer.from('aaaabbbbccccdddd')
const STEP_BYTES = 4

async function withBlob(test: Parameters<typeof createTestApp>[0], bytes: Buffer) {
  const parts = createTestApp(test)
  const digest = parts.registry.addBlob('docker.io/a/b', bytes)
  const url = await parts.listen()
  return { ...parts, url, request: `GET /v2/a/b/blobs/${digest} HTTP/1.1\r\nHost: edge\r\n\r\n` }
}

/** A read that gives one step, and each further one when `next` is called. */
function readInSteps({ registry }: Pick<Awaited<ReturnType<typeof withBlob>>, 'registry'>) {
  let more = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<AbortSignal>()
  registry.readBlob = async function* (bytes, range, signal) {
    const leaving = new Promise<never>((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    )
    for (let at = range.first; at <= range.last; at += STEP_BYTES) {
      reading.resolve(signal)
      yield bytes.subarray(at, at + STEP_BYTES)
      await Promise.race([more.promise, leaving])
      more = Promise.withResolvers()
    }
  }
  return { reading: reading.promise, next: () => more.resolve() }
}

t.test('half-closed: behind its requests, and both answers come whole, then the end', async t => {
  const { url, request, untilCompleted } = await withBlob(t, LARGE)
  const socket = await openConnection(url)
  socket.end(request + request)
  let bytes = 0
  let last: Buffer = Buffer.alloc(0)
  for await (const piece of socket) {
    bytes += (piece as Buffer).length
    last = piece as Buffer
  }
  t.ok(bytes > 2 * LARGE.length && bytes < 2 * LARGE.length + 4_096, `${bytes} bytes`)
  t.equal(last.at(-1), LARGE.at(-1))
  const lines = await untilCompleted(2)
  for (const line of lines) t.match(line, { outcome: 'completed', sentBytes: LARGE.length })
})

t.test('half-closed: bytes that go on coming are sent, however long it takes', async t => {
  const parts = await withBlob(t, SMALL)
  const { clock, url, request, untilCompleted } = parts
  const { next } = readInSteps(parts)
  const { socket, until } = await openSocket(url)
  socket.end(request)
  await until('aaaa')
  await clock.untilSleeping(ENDED_WAIT_MS)
  for (const step of ['bbbb', 'cccc', 'dddd']) {
    next()
    await until(step)
    // One look at each step.
    await clock.advance(ENDED_WAIT_MS)
  }
  next()
  t.match((await untilCompleted(1))[0], { outcome: 'completed', sentBytes: SMALL.length })
})

t.test('half-closed: what does not come is not waited for, and the reader is told', async t => {
  const parts = await withBlob(t, SMALL)
  const { clock, registry, url, request, untilCompleted } = parts
  const { reading } = readInSteps(parts)
  const { socket, ended, until } = await openSocket(url)
  socket.end(request)
  await until('aaaa')
  const signal = await reading
  await clock.untilSleeping(ENDED_WAIT_MS)
  t.equal(signal.aborted, false)
  // At the first look its own bytes may still wait for it.
  for (let look = 0; look < 3; look += 1) await clock.advance(ENDED_WAIT_MS)
  t.match((await untilCompleted(1))[0], { outcome: 'aborted', level: 'info' })
  await ended
  await registry.drained()
  t.equal(signal.aborted, true)
  t.equal(clock.sleepers, 0, 'and nobody looks any more')
})

t.test('half-closed: who takes its bytes late is waited for', async t => {
  const { clock, registry, url, request, untilCompleted } = await withBlob(t, LARGE)
  registry.readBlob = readFromMemory()
  const socket = await openConnection(url)
  socket.end(request)
  await clock.untilSleeping(ENDED_WAIT_MS)
  for (let look = 0; look < 5; look += 1) await clock.advance(ENDED_WAIT_MS)
  let bytes = 0
  for await (const piece of socket) bytes += (piece as Buffer).length
  t.ok(bytes > LARGE.length, `${bytes} bytes`)
  t.match((await untilCompleted(1))[0], { outcome: 'completed', sentBytes: LARGE.length })
})
