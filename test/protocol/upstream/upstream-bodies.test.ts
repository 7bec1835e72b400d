// Goal: a blob comes whole, or says that it did not, from any offset, at any speed of its reader
// (R87, R148, R150). Method: stub registries that cut, stall and shift, with waits by a clock that
// the test moves.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { failureOf, NAME, openUpstream, readAll, type Teardown } from '../../kit/open-upstream.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { settle } from '../../kit/settle.ts'

const IMAGE = makeImage({ seed: 'outage', layers: [10] })
const BLOB = patternBlob('outage', 1024 * 1024)

async function startFilled(t: Teardown) {
  const stub = await startStub(t)
  stub.addImage(NAME, 'latest', IMAGE)
  stub.addBlob(NAME, BLOB)
  return stub
}

t.test('R149: who waits for a connection waits no longer than for an answer', async t => {
  const stub = await startFilled(t)
  const long = patternBlob('long', 16 * 1024 * 1024)
  stub.addBlob(NAME, long)
  const { upstream, clock } = openUpstream(t, stub.url, { connections: 1 })
  const first = await upstream.getBlob(NAME, long.digest, { offset: 0 })
  const outcomes: unknown[] = []
  const second = upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  second.then(
    () => outcomes.push('answered'),
    error => outcomes.push(error.failure),
  )
  await clock.advance(25_000)
  await settle()
  t.same(outcomes, ['unavailable'])
  await first.body[Symbol.asyncIterator]().return?.()
  await second.catch(() => {})
})

t.test(
  'R150: a blob that stalls is given up after the idle limit, and what came before it is given',
  async t => {
    const stub = await startFilled(t)
    stub.fault({ kind: 'blob' }, { stallAt: 100_000 })
    const { upstream, clock } = openUpstream(t, stub.url)
    const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    let received = 0
    const arrived = Promise.withResolvers<void>()
    const reading = (async () => {
      for await (const chunk of blob.body) {
        received += chunk.length
        if (received === 100_000) arrived.resolve()
      }
    })()
    const failed = failureOf(reading)
    await arrived.promise
    await clock.advance(29_000)
    t.equal(received, 100_000)
    await clock.advance(31_000)
    t.match(await failed, { failure: 'unavailable' })
  },
)

t.test('R150: a reader that takes its time is not taken for a silent peer', async t => {
  const stub = await startFilled(t)
  const { upstream, clock } = openUpstream(t, stub.url)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  const chunks: Uint8Array[] = []
  for await (const chunk of blob.body) {
    chunks.push(chunk)
    await clock.advance(120_000)
  }
  t.ok(Buffer.concat(chunks).equals(BLOB.bytes()))
})

t.test(
  'R87: a body that is cut is an error, with or without a length that was promised',
  async t => {
    for (const fault of [
      { truncateAt: 1000 },
      { resetAt: 1000 },
      { lengthDelta: 10 },
      { chunked: true, truncateAt: 1000 },
    ] as const) {
      const stub = await startFilled(t)
      stub.fault({ kind: 'blob' }, fault)
      const { upstream } = openUpstream(t, stub.url)
      const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
      const error = await failureOf(readAll(blob.body))
      t.equal(error.failure, 'unavailable', JSON.stringify(fault))
      t.equal(upstream.health().lastFailure, error.message, 'and the breaker hears of it')
    }
  },
)

t.test('R93: a body that its reader gives up says nothing about the upstream', async t => {
  const stub = await startFilled(t)
  stub.fault({ kind: 'blob' }, { stallAt: 100_000 })
  const { upstream, clock } = openUpstream(t, stub.url)
  const { body } = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  const bytes = body[Symbol.asyncIterator]()
  for (let received = 0; received < 100_000; ) {
    const piece = await bytes.next()
    received += piece.done ? 0 : piece.value.length
  }
  const waiting = failureOf(bytes.next())
  await bytes.return?.()
  await waiting
  t.equal(upstream.health().lastFailure, undefined)
  t.equal(clock.sleepers, 0, 'no timer is left')
})

t.test('R87: a part that ends before its Content-Range says is cut, too', async t => {
  const stub = await startFilled(t)
  stub.fault({ kind: 'blob' }, { chunked: true, missingBytes: 10 })
  const { upstream } = openUpstream(t, stub.url)
  const blob = await upstream.getBlob(NAME, BLOB.digest, { offset: 100 })
  t.match(await failureOf(readAll(blob.body)), { failure: 'unavailable' })
})

t.test(
  'R87: the rest is asked for with Range and If-Range, and comes from where it was cut',
  async t => {
    const stub = await startFilled(t)
    stub.fault({ kind: 'blob' }, { truncateAt: 300_000 }, { times: 1 })
    const { upstream } = openUpstream(t, stub.url)
    const first = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
    const part: Uint8Array[] = []
    await failureOf(
      (async () => {
        for await (const chunk of first.body) part.push(chunk)
      })(),
    )
    const offset = Buffer.concat(part).length
    const request = {
      offset,
      ...(first.validator === undefined ? {} : { validator: first.validator }),
    }
    const second = await upstream.getBlob(NAME, BLOB.digest, request)
    t.match(second, { offset, totalBytes: BLOB.sizeBytes })
    const whole = Buffer.concat([...part, await readAll(second.body)])
    t.ok(whole.equals(BLOB.bytes()))
    const { headers } = stub.select({ kind: 'blob' })[1] ?? {}
    t.match(headers, { range: `bytes=${offset}-`, 'if-range': first.validator })
  },
)

t.test('R87: a weak validator stands in no If-Range, nor does what is none', async t => {
  const stub = await startFilled(t)
  const { upstream } = openUpstream(t, stub.url)
  for (const validator of ['W/"v1"', 'v1', '']) {
    stub.clear()
    const { body } = await upstream.getBlob(NAME, BLOB.digest, { offset: 100, validator })
    t.equal((await readAll(body)).length, BLOB.sizeBytes - 100)
    const { headers } = stub.select({ kind: 'blob' })[0] ?? {}
    t.equal(headers?.['range'], 'bytes=100-')
    t.equal(headers?.['if-range'], undefined, validator)
  }
})

t.test(
  'R87: a range that starts elsewhere is refused, and a whole blob says that it is one',
  async t => {
    const stub = await startFilled(t)
    const { upstream } = openUpstream(t, stub.url)
    for (const rangeDelta of [5, -5]) {
      stub.fault({ kind: 'blob' }, { rangeDelta }, { times: 1 })
      const wrong = upstream.getBlob(NAME, BLOB.digest, { offset: 100 })
      t.match(await failureOf(wrong), { failure: 'invalid' }, `${rangeDelta}`)
    }
    stub.fault({ kind: 'blob' }, { ignoreRange: true }, { times: 1 })
    const whole = await upstream.getBlob(NAME, BLOB.digest, { offset: 100 })
    t.match(whole, { offset: 0, totalBytes: BLOB.sizeBytes })
    t.ok((await readAll(whole.body)).equals(BLOB.bytes()))
    const past = upstream.getBlob(NAME, BLOB.digest, { offset: BLOB.sizeBytes + 1 })
    t.match(await failureOf(past), { failure: 'invalid', status: 416 })
  },
)

t.test('R148: a part is one range, never several', async t => {
  const stub = await startFilled(t)
  const { upstream } = openUpstream(t, stub.url)
  const part = await upstream.getBlob(NAME, BLOB.digest, { offset: 10, lastByte: 19 })
  t.match(part, { offset: 10, totalBytes: BLOB.sizeBytes })
  t.ok((await readAll(part.body)).equals(BLOB.read(10, 10)))
  t.equal(stub.requests[0]?.headers.range, 'bytes=10-19')
})

t.test(
  'a client that leaves in the middle of a blob ends the connection, with its own reason',
  async t => {
    const stub = await startFilled(t)
    stub.fault({ kind: 'blob' }, { stallAt: 100_000 })
    const { upstream, clock } = openUpstream(t, stub.url)
    const leaving = new AbortController()
    const blob = await upstream.getBlob(
      NAME,
      BLOB.digest,
      { offset: 0 },
      { signal: leaving.signal },
    )
    const reading = readAll(blob.body)
    leaving.abort(new Error('left'))
    await t.rejects(reading, { message: 'left' })
    t.equal(clock.sleepers, 0, 'no timer is left')
  },
)

t.test('breaking out of a body ends it, also before its first byte', async t => {
  const stub = await startFilled(t)
  const { upstream, clock } = openUpstream(t, stub.url, { connections: 1 })
  stub.fault({ kind: 'blob' }, { stallAt: 100_000 }, { times: 2 })
  const first = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  for await (const _ of first.body) break
  const second = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  await second.body[Symbol.asyncIterator]().return?.()
  // With one connection this is answered only if both others are gone.
  const third = await upstream.getBlob(NAME, BLOB.digest, { offset: 0 })
  t.equal((await readAll(third.body)).length, BLOB.sizeBytes)
  t.equal(clock.sleepers, 0)
})
