// Goal: when as many blobs are being sent as may be, further ones wait their turn, nothing else
// does, and nobody holds a place without using it. Method: the port on a loopback socket with one
// or two places; the test's own reader of bytes holds them, and the clock stands still unless a
// test moves it.
import { openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadSendfile } from '../../../src/http/send/sendfile.ts'
import { STALLED_WHILE_OTHERS_WAIT_MS } from '../../../src/http/send/stalled-readers.ts'
import { WAITING_TICK_MS, PLACE_WAIT_MAX_MS } from '../../../src/http/places/waiting-room.ts'
import type { BlobFile } from '../../../src/registry/answers.ts'
import { createTestApp, openSocket, type TestApp } from '../../kit/worlds/http-app.ts'
import { CONNECTED } from '../../kit/over-tls.ts'
import { get, type RawAnswer } from '../../kit/clients/raw-client.ts'
import { readFromMemory } from '../../kit/worlds/registry-double.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
/** More than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'large')
const SMALL = Buffer.from('small')

async function withBlobs(test: Parameters<typeof createTestApp>[0], places: number) {
  const parts = createTestApp(test, { places, sendfile: loadSendfile() })
  const { registry } = parts
  const large = registry.addBlob('docker.io/a/b', LARGE)
  const small = registry.addBlob('docker.io/a/b', SMALL)
  registry.addManifest('docker.io/a/b', {
    bytes: Buffer.from('{}'),
    mediaType: MANIFEST,
    tag: 'x',
  })
  const url = await parts.listen()
  return {
    ...parts,
    url,
    large: `${url}/v2/a/b/blobs/${large}`,
    small: `${url}/v2/a/b/blobs/${small}`,
  }
}

/** The next blob holds its place until `release`; those after it are read as ever. */
function holdNext({ registry }: Pick<TestApp, 'registry'>) {
  const reading = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const read = readFromMemory()
  registry.readBlob = async function* (bytes, range, signal) {
    registry.readBlob = read
    reading.resolve()
    await released.promise
    yield* read(bytes, range, signal)
  }
  return { reading: reading.promise, release: () => released.resolve() }
}

/** Resolves when so many requests wait for a place. */
function untilWaiting(parts: Pick<TestApp, 'metrics'>, count: number): Promise<void> {
  return untilCounted(parts, `entrepot_streams_waiting ${count}`)
}

async function untilCounted({ metrics }: Pick<TestApp, 'metrics'>, line: string): Promise<void> {
  while (!(await metrics.render()).text.includes(`${line}\n`)) await new Promise(setImmediate)
}

/** Resolves when the kernel has taken all that it takes for a client that does not read. */
async function untilFull(connection: Socket): Promise<void> {
  const TURNS = 2_000
  for (let still = 0, seenBytes = -1; still < TURNS; ) {
    await new Promise(resolve => setImmediate(resolve))
    const { bytesWritten } = connection
    still = bytesWritten === seenBytes ? still + 1 : 0
    seenBytes = bytesWritten
  }
}

t.test('waiting room: a blob beyond the limit waits, and manifests and heads do not', async t => {
  const parts = await withBlobs(t, 1)
  const { url, small, registry, metrics } = parts
  const { reading, release } = holdNext(parts)
  const first = get(small)
  await reading
  const second = get(small)
  await untilWaiting(parts, 1)
  t.equal(registry.opened, 1, 'nothing is opened for who waits')
  t.equal((await get(`${url}/v2/a/b/manifests/x`)).status, 200)
  t.equal((await get(`${url}/v2/a/b/manifests/x`, {}, { method: 'HEAD' })).status, 200)
  t.equal((await get(`${url}/v2/a/b/tags/list`)).status, 200)
  t.equal((await get(small, {}, { method: 'HEAD' })).status, 200)
  t.equal((await get(`${url}/v2/`)).status, 200)
  const upload = await get(
    `${url}/v2/localhost/a/blobs/uploads/`,
    { 'content-length': '0' },
    { method: 'POST' },
  )
  t.equal(upload.status, 202)
  release()
  for (const answer of await Promise.all([first, second])) t.ok(answer.body.equals(SMALL))
  await registry.drained()
  // The last byte goes to the kernel a moment after the blob was closed.
  await untilCounted(parts, 'entrepot_streams_in_flight 0')
  t.match((await metrics.render()).text, /entrepot_stream_wait_seconds_count 1\n/)
})

t.test('waiting room: R18, R124: who gets no turn is told so, with 503 and a time', async t => {
  const parts = await withBlobs(t, 1)
  const { small, clock, registry, metrics, untilCompleted } = parts
  const { reading, release } = holdNext(parts)
  const first = get(small)
  await reading
  const second = get(small)
  await untilWaiting(parts, 1)
  await clock.advance(PLACE_WAIT_MAX_MS)
  const refused = await second
  t.equal(refused.status, 503)
  t.match(refused.headers['retry-after'], /^[3-8]$/)
  t.match(JSON.parse(String(refused.body)), {
    errors: [{ code: 'UNAVAILABLE', message: /as many blobs as it can.*20 seconds.*try again/ }],
  })
  const [line] = await untilCompleted(1)
  t.match(line, { error: { cause: { hint: /http\.streams/ } } })
  release()
  t.equal((await first).status, 200)
  t.equal((await get(small)).status, 200, 'and there is room again')
  t.equal(registry.opened, 2)
  t.match((await metrics.render()).text, /entrepot_streams_refused_total\{reason="late"\} 1\n/)
})

t.test('waiting room: a client that leaves while it waits asks for nothing more', async t => {
  const parts = await withBlobs(t, 1)
  const { small, registry, leave, untilCompleted } = parts
  const { reading, release } = holdNext(parts)
  const first = get(small)
  await reading
  const leaving = new AbortController()
  void get(small, {}, { signal: leaving.signal })
  await untilWaiting(parts, 1)
  await leave(() => leaving.abort())
  await untilWaiting(parts, 0)
  t.match((await untilCompleted(1))[0], { outcome: 'aborted', level: 'info', error: undefined })
  release()
  await first
  t.equal(registry.opened, 1)
})

t.test('waiting room: answers without a body of a blob give their place back, too', async t => {
  const parts = await withBlobs(t, 1)
  const { url, small, registry } = parts
  const missing = `${url}/v2/a/b/blobs/sha256:${'0'.repeat(64)}`
  for (let n = 0; n < 3; n += 1) {
    t.equal((await get(missing)).status, 404)
    t.equal((await get(small, { range: 'bytes=100-' })).status, 416)
    await get(small, {}, { abortAfterBytes: 1 })
  }
  registry.readBlob = () => ({
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('no file')) }),
  })
  t.equal((await get(small)).status, 500)
  registry.readBlob = readFromMemory()
  t.equal((await get(small)).status, 200)
})

/** Open for as long as the tests run, and not read: its bytes are not to come from there. */
const DESCRIPTOR = openSync(fileURLToPath(import.meta.url), 'r')

const FILES: Readonly<Record<string, BlobFile | undefined>> = {
  'in memory': undefined,
  'with a file that its bytes do not come from': {
    descriptor: DESCRIPTOR,
    readyBytes: 0,
    until: async () => undefined,
    read: async () => 0,
  },
}

for (const [where, file] of Object.entries(FILES)) {
  t.test(
    `waiting room: R193: a reader that takes nothing while others wait loses its place, ${where}`,
    async t => {
      const parts = await withBlobs(t, 1)
      const { app, url, large, small, clock, registry, metrics, untilCompleted } = parts
      registry.file = file
      const connected = new Promise<Socket>(resolve => app.server.once(CONNECTED, resolve))
      const { socket, until, ended } = await openSocket(url)
      const connection = await connected
      socket.write(`GET ${new URL(large).pathname} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await until('\r\n\r\n')
      socket.pause()
      await untilFull(connection)
      await clock.advance(STALLED_WHILE_OTHERS_WAIT_MS * 3)
      t.notOk(socket.destroyed, 'not while nobody waits')
      const second = get(small)
      await untilWaiting(parts, 1)
      await clock.advance(WAITING_TICK_MS)
      await clock.advance(STALLED_WHILE_OTHERS_WAIT_MS + WAITING_TICK_MS)
      t.ok((await second).body.equals(SMALL))
      const [line] = await untilCompleted(1)
      t.match(line, { outcome: 'failed', error: { message: /took nothing/ } })
      t.match((await metrics.render()).text, /entrepot_streams_cut_total 1\n/)
      socket.resume()
      await ended
      t.ok(socket.bytesRead < LARGE.length, 'the cut shows')
    },
  )
}

t.test('waiting room: a slow reader that goes on taking keeps its place', async t => {
  const parts = await withBlobs(t, 1)
  const { large, small, clock } = parts
  let second: Promise<RawAnswer> | undefined
  const first = await get(
    large,
    {},
    {
      // The kernel takes megabytes at a time: in between the client seems to stand still, and does
      // not.
      onBytes: async piece => {
        second ??= get(small)
        // A megabyte a second.
        await clock.advance(piece.length / 1_000)
      },
    },
  )
  t.equal(first.bodyBytes, LARGE.length)
  t.equal((await second)?.status, 503, 'it took far longer than others wait')
})
