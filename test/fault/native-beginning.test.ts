// Goal: an answer whose bytes come partly from memory, partly from its file, and partly neither way
// is one answer: the right bytes, the right count, and a head that does not wait for what may take
// long. Method: the data port on a loopback socket over a real file, with the native sender; what
// may be sent from the file is told by the test.
import t from 'tap'
import type { BlobFile } from '../../src/registry/answers.ts'
import { bytesOnDisk } from '../kit/disk/bytes-on-disk.ts'
import { createTestApp, openSocket } from '../kit/worlds/http-app.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get } from '../kit/clients/raw-client.ts'

const sendfile = requireSendfile()
const KiB = 1024
const BYTES = Buffer.from(Array.from({ length: KiB * KiB }, (_, n) => (n * 7) % 251))
const BEGINNING_BYTES = 16 * KiB
const descriptor = bytesOnDisk(t, BYTES)

function withFile(test: Parameters<typeof createTestApp>[0], until: BlobFile['until']) {
  const parts = createTestApp(test, { sendfile })
  const digest = parts.registry.addBlob('docker.io/a/b', BYTES)
  parts.registry.file = { descriptor, readyBytes: 0, until, read: async buffer => buffer.length }
  return { ...parts, target: `/v2/a/b/blobs/${digest}` }
}

t.test('the beginning comes from memory and the rest by the kernel', async t => {
  const { registry, listen, target, untilCompleted } = withFile(t, async (position, last) =>
    position < BEGINNING_BYTES
      ? new Uint8Array(BYTES.subarray(position, Math.min(BEGINNING_BYTES, last + 1)))
      : last + 1,
  )
  registry.readBlob = () => {
    throw new Error('it was read')
  }
  const url = `${await listen()}${target}`
  t.ok((await get(url)).body.equals(BYTES), 'whole')
  const from = BEGINNING_BYTES - 10
  const part = await get(url, { range: `bytes=${from}-${from + 300 * KiB - 1}` })
  t.ok(part.body.equals(BYTES.subarray(from, from + 300 * KiB)), 'a range over the seam')
  const several = await get(url, { range: 'bytes=0-399999,500000-899999' })
  t.ok(several.body.includes(BYTES.subarray(0, 400_000)), 'the first of two ranges')
  t.ok(several.body.includes(BYTES.subarray(500_000, 900_000)), 'the second')
  const [first, second, third] = await untilCompleted(3)
  t.match(first, { sentBytes: BYTES.length, outcome: 'completed' })
  t.match(second, { sentBytes: 300 * KiB, outcome: 'completed' })
  t.match(third, { sentBytes: several.body.length, outcome: 'completed' })
})

t.test('the head does not wait for bytes that come neither way soon', async t => {
  const { registry, listen, target } = withFile(t, async () => undefined)
  const asked = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  registry.readBlob = async function* (bytes) {
    asked.resolve()
    await goOn.promise
    yield bytes
  }
  const { socket, received } = await openSocket(await listen())
  t.teardown(() => socket.destroy())
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await asked.promise
  while (!received().includes('\r\n\r\n')) await new Promise(setImmediate)
  t.match(received(), /^HTTP\/1\.1 200 OK\r\n/)
  goOn.resolve()
  const begin = received().indexOf('\r\n\r\n') + 4
  while (received().length < begin + BYTES.length) await new Promise(setImmediate)
  t.ok(Buffer.from(received().slice(begin), 'latin1').equals(BYTES), 'the body follows')
})
