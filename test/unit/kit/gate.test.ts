// Goal: the gate before an upstream stops a blob at the byte that a test names, however the edge
// asks for it. Method: a server with one blob, and GETs of all of it or of parts, through the gate.
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { blobBytes, openGate } from '../../e2e/gate.ts'

const PART_BYTES = 100_000
const BLOB = Buffer.alloc(4 * PART_BYTES, 'blob')
const DIGEST = `sha256:${'0'.repeat(64)}`
const PATH = `/v2/library/app/blobs/${DIGEST}`

async function openBlob(t: Test) {
  const server = createServer(({ headers }, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
    if (range === null) return response.end(BLOB)
    response.writeHead(206)
    return response.end(BLOB.subarray(Number(range[1]), Number(range[2]) + 1))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const gate = await openGate(() => `http://127.0.0.1:${port}`)
  t.teardown(async () => {
    await gate.close()
    server.closeAllConnections()
    server.close()
  })
  const ask = (headers = {}) => {
    const request = get(gate.url + PATH, { agent: false, headers })
    // Whoever leaves hears of it.
    request.on('error', () => {})
    const body = once(request, 'response').then(([answer]) => buffer(answer as IncomingMessage))
    body.catch(() => {})
    return { body, leave: () => request.destroy() }
  }
  return {
    gate,
    all: () => ask(),
    part: (n: number) => ask({ range: `bytes=${n * PART_BYTES}-${(n + 1) * PART_BYTES - 1}` }),
    passedBytes: () => blobBytes(gate.passed(), DIGEST),
  }
}

const first = (reached: Promise<void>, body: Promise<Buffer>) =>
  Promise.race([reached.then(() => 'held'), body.then(() => 'all of it')])

t.test('a GET of all of it is stopped, and goes on when it is released', async t => {
  const { gate, all, passedBytes } = await openBlob(t)
  const hold = gate.hold(DIGEST, 150_000)
  const { body } = all()
  t.equal(await first(hold.reached, body), 'held')
  t.equal(passedBytes(), 150_000)
  hold.release()
  t.ok((await body).equals(BLOB))
  t.ok((await all().body).equals(BLOB), 'it holds once')
})

t.test('parts count together, and each that comes to the place waits', async t => {
  const { gate, part, passedBytes } = await openBlob(t)
  const hold = gate.hold(DIGEST, 250_000)
  const before = [await part(0).body, await part(1).body]
  const third = part(2).body
  t.equal(await first(hold.reached, third), 'held')
  const fourth = part(3).body
  t.equal(passedBytes(), 250_000)
  hold.release()
  t.ok(Buffer.concat([...before, await third, await fourth]).equals(BLOB))
  t.equal(passedBytes(), BLOB.length)
})

t.test('the edge that gives up is seen to do so, and nothing more passes', async t => {
  const { gate, all, passedBytes } = await openBlob(t)
  const hold = gate.hold(DIGEST, 50_000)
  const { leave } = all()
  await hold.reached
  leave()
  await hold.gone
  hold.release()
  t.equal(passedBytes(), 50_000)
})
