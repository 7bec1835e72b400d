// Goal: a large blob that is open already goes out as it went out the first time, to the last
// header and the line in the log, with nobody asked for it; and what goes wrong on this way is
// told, cut or made good as on the other. Method: the data port on a loopback socket over a real
// file, and the real sender but where the kernel is to refuse; the clock stands still unless a test
// moves it. At the end the whole process, with pushes and deletes.
import t from 'tap'
import { STALLED_READER_MS } from '../../src/http/limits.ts'
import { type FileSending, type Sendfile, SendfileError } from '../../src/http/send/sendfile.ts'
import { createEpochs } from '../../src/registry/epochs.ts'
import { bytesOnDisk } from '../kit/disk/bytes-on-disk.ts'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { createTestApp, type TestApp } from '../kit/worlds/http-app.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get, send } from '../kit/clients/raw-client.ts'

t.setTimeout(300_000)
const sendfile = requireSendfile()
const MiB = 1024 * 1024
const BYTES = Buffer.alloc(6 * MiB, 'kept open, ')
/** More than the kernel takes for a client that has left: four to send, and 32 to receive. */
const LARGE = Buffer.alloc(48 * MiB, 'kept open, ')
/** What the kernel is given in one call at most (native/sender.c). */
const CALL_MAX_BYTES = 4 * MiB
const WHILE_OPEN = {
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}

interface Given {
  readonly bytes?: Buffer
  readonly streams?: number
  readonly sender?: Sendfile
}

async function open(test: Parameters<typeof createTestApp>[0], given: Given = {}) {
  const { bytes = BYTES, streams, sender } = given
  const parts = createTestApp(test, {
    sendfile: sender ?? sendfile,
    epochs: createEpochs(),
    ...(streams === undefined ? {} : { streams }),
  })
  const { registry } = parts
  const digest = registry.addBlob('docker.io/a/b', bytes)
  registry.repeatable = WHILE_OPEN
  registry.isOpen = true
  registry.file = {
    descriptor: bytesOnDisk(test, bytes),
    readyBytes: bytes.length,
    isProven: () => true,
    until: async (_position, last) => last + 1,
    read: async (buffer, position) => bytes.copy(buffer, 0, position),
  }
  const url = `${await parts.listen()}/v2/a/b/blobs/${digest}`
  return { ...parts, url }
}

/** From the third time on it is given without a question. */
async function openHot(test: Parameters<typeof createTestApp>[0], given: Given = {}) {
  const parts = await open(test, given)
  for (let count = 0; count < 2; count += 1) await get(parts.url)
  const { length } = parts.registry.calls
  return { ...parts, asked: () => parts.registry.calls.length - length }
}

function lineOf({ lines }: TestApp, at: number) {
  const completed = lines().filter(({ msg }) => msg === 'request completed')
  const { time: _t, requestId: _i, durationMs: _d, ...rest } = completed[at] ?? {}
  return rest
}

t.test('it is the same answer, and the registry is not asked', async t => {
  const { url, registry, asked, untilCompleted, lines, ...parts } = await openHot(t)
  const answers = []
  for (let count = 0; count < 3; count += 1) answers.push(await get(url))
  const cold = await get(url, { range: 'bytes=0-' })
  await untilCompleted(6)
  for (const { status, body, headers, complete } of answers) {
    t.equal(status, 200)
    t.ok(body.equals(BYTES))
    t.ok(complete)
    const { 'content-length': length, 'docker-content-digest': digest } = headers
    t.same([length, digest], [String(BYTES.length), cold.headers['docker-content-digest']])
  }
  t.equal(asked(), 1, 'for the range alone')
  const all = { ...parts, url, registry, untilCompleted, lines }
  t.same(lineOf(all, 4), lineOf(all, 0))
  t.match((await parts.metrics.render()).text, /entrepot_streams_in_flight 0\n/)
  await registry.drained()
})

/** The real one, which tells what its newest sending has counted. */
function counting() {
  let newest: FileSending | undefined
  const sender: Sendfile = {
    open(socket, file) {
      newest = sendfile.open(socket, file)
      return newest
    },
  }
  return { sender, countedBytes: () => newest?.sentBytes ?? 0 }
}

t.test('a client that leaves is noted with what it was sent, and nothing stays open', async t => {
  const { sender, countedBytes } = counting()
  const parts = await openHot(t, { bytes: LARGE, sender })
  const { url, registry, asked, untilCompleted, metrics } = parts
  // The bytes of a call come while it is under way, and are counted when it returns: whoever leaves
  // in between is noted with fewer than it has. These wait for the count, and take nothing more.
  const onBytes = async (_piece: Buffer, totalBytes: number) => {
    while (countedBytes() < totalBytes) await new Promise(setImmediate)
  }
  for (let count = 0; count < 20; count += 1) {
    const afterBytes = 1 + (count % 10) * 1_000 + (count < 10 ? 0 : CALL_MAX_BYTES)
    const { bodyBytes } = await get(url, {}, { abortAfterBytes: afterBytes, onBytes })
    const { outcome, sentBytes } = (await untilCompleted(3 + count))[2 + count] ?? {}
    t.equal(outcome, 'aborted')
    const noted = Number(sentBytes)
    t.ok(noted >= bodyBytes && noted > 0 && noted < LARGE.length, `${noted} of ${bodyBytes}`)
  }
  t.equal(asked(), 0)
  await registry.drained()
  t.match((await metrics.render()).text, /entrepot_streams_in_flight 0\n/)
  t.ok((await get(url)).body.equals(LARGE))
})

t.test('where no place is free it waits for one as others do', async t => {
  const { url, registry, untilCompleted } = await openHot(t, { streams: 1 })
  const leaving = new AbortController()
  const holds = get(url, {}, { onBytes: () => new Promise(() => {}), signal: leaving.signal })
  while (registry.opened < 3) await new Promise(setImmediate)
  const second = get(url)
  while (registry.calls.length === 0) await new Promise(setImmediate)
  leaving.abort()
  t.ok((await second).body.equals(BYTES))
  holds.catch(() => {})
  await untilCompleted(4)
  await registry.drained()
})

t.test('who takes nothing for minutes is cut', async t => {
  const { url, clock, registry, untilCompleted } = await openHot(t)
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const stalled = get(url, {}, { onBytes: () => new Promise(() => {}), signal: leaving.signal })
  stalled.catch(() => {})
  while (registry.opened < 3) await new Promise(setImmediate)
  for (let looks = 0; looks < 8; looks += 1) await clock.advance(STALLED_READER_MS / 5)
  t.match((await untilCompleted(3))[2], { outcome: 'aborted' })
  await registry.drained()
})

/** Sends as the real one, and then says that the kernel failed so. */
function failing(errorNumber: number, afterBytes: number): Sendfile {
  let opened = 0
  return {
    open(socket, file) {
      const sending = sendfile.open(socket, file)
      opened += 1
      if (sending === undefined || opened < 3) return sending
      return {
        get sentBytes() {
          return sending.sentBytes
        },
        get isBusy() {
          return sending.isBusy
        },
        close: () => sending.close(),
        async send(position) {
          if (afterBytes > 0) await sending.send(position, afterBytes)
          throw new SendfileError(errorNumber)
        },
      }
    },
  }
}

const EINVAL = 22
const EIO = 5

t.test('what the kernel does not send of this file comes the plain way', async t => {
  for (const afterBytes of [0, MiB + 1]) {
    const { url, asked, registry, untilCompleted } = await openHot(t, {
      sender: failing(EINVAL, afterBytes),
    })
    t.ok((await get(url)).body.equals(BYTES), `after ${afterBytes} bytes`)
    t.match((await untilCompleted(3))[2], { outcome: 'completed', sentBytes: BYTES.length })
    t.equal(asked(), 0)
    await registry.drained()
  }
})

t.test(
  'R747: what the kernel cannot read behind the head is read once more, and whole',
  async t => {
    const { url, registry } = await openHot(t, { sender: failing(EIO, MiB) })
    const { status, complete } = await get(url)
    t.equal(status, 200)
    t.equal(complete, true)
    await registry.drained()
  },
)

t.test('a blob that was deleted is gone at the next request, on every thread', async t => {
  const edge = await startEdge({ config: { http: { threads: 2 } } })
  t.teardown(() => edge.stop())
  const blob = patternBlob('kept', 5 * MiB)
  const base = `${edge.url}/v2/localhost/team/app/blobs`
  for (let round = 0; round < 3; round += 1) {
    const pushed = await send(`${base}/uploads/?digest=${blob.digest}`, 'POST', {
      body: blob.bytes(),
    })
    t.equal(pushed.status, 201)
    const all = await Promise.all(Array.from({ length: 24 }, () => get(`${base}/${blob.digest}`)))
    for (const { body } of all) t.ok(body.equals(blob.bytes()))
    t.equal((await send(`${base}/${blob.digest}`, 'DELETE')).status, 202)
    const gone = await Promise.all(Array.from({ length: 8 }, () => get(`${base}/${blob.digest}`)))
    t.same(
      gone.map(({ status }) => status),
      gone.map(() => 404),
    )
  }
})
