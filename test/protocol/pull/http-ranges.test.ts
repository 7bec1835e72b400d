// Goal: every form of Range that clients are known to send gets the answer that they check for.
// Method: requests in process against a blob whose every byte differs from its neighbours;
// multipart bodies are taken apart by a strict reader of this file's own.
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../../kit/arbitraries.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'

const SIZE = 10_000
const BYTES = Buffer.from(Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8)) & 0xff))

function withBlob(test: Parameters<typeof createTestApp>[0], bytes = BYTES) {
  const { app, registry } = createTestApp(test)
  const digest = registry.addBlob('docker.io/a/b', bytes)
  const pull = (range?: string, more: Record<string, string> = {}) =>
    app.inject({
      url: `/v2/a/b/blobs/${digest}`,
      headers: { ...(range === undefined ? {} : { range }), ...more },
    })
  return { app, registry, digest, pull }
}

/** Throws on anything that is not as RFC 2046 and RFC 9110 have it. */
function readParts(body: Buffer, contentType: string) {
  const boundary = /^multipart\/byteranges; boundary=([A-Za-z0-9]{1,70})$/.exec(contentType)?.[1]
  if (boundary === undefined) throw new Error(`boundary in ${contentType}`)
  const parts: { first: number; last: number; size: number; bytes: Buffer }[] = []
  let at = 0
  const expect = (text: string) => {
    if (body.toString('latin1', at, at + text.length) !== text)
      throw new Error(`no ${JSON.stringify(text)} at ${at}`)
    at += text.length
  }
  for (;;) {
    expect(`${parts.length === 0 ? '' : '\r\n'}--${boundary}`)
    if (body.toString('latin1', at, at + 2) === '--') break
    expect('\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ')
    const end = body.indexOf('\r\n\r\n', at)
    const range = /^(\d+)-(\d+)\/(\d+)$/.exec(body.toString('latin1', at, end))
    if (range === null) throw new Error(`content range at ${at}`)
    const [first, last, size] = range.slice(1).map(Number) as [number, number, number]
    at = end + 4
    parts.push({ first, last, size, bytes: body.subarray(at, at + last - first + 1) })
    at += last - first + 1
  }
  expect('--\r\n')
  if (at !== body.length) throw new Error('bytes after the end')
  return parts
}

t.test(
  'R46, R47: a GET without Range is exactly 200 with all bytes, and says that ranges are understood',
  async t => {
    const { pull, digest } = withBlob(t)
    const answer = await pull()
    t.equal(answer.statusCode, 200)
    t.same(answer.rawPayload, BYTES)
    t.equal(answer.headers['accept-ranges'], 'bytes')
    t.equal(answer.headers['content-type'], 'application/octet-stream')
    t.equal(answer.headers['docker-content-digest'], digest)
  },
)

t.test('R46: a blob that is not in the repository is 404 BLOB_UNKNOWN', async t => {
  const { app, digest } = withBlob(t)
  const answer = await app.inject({ url: `/v2/a/other/blobs/${digest}` })
  t.equal(answer.statusCode, 404)
  t.equal(answer.json().errors[0].code, 'BLOB_UNKNOWN')
})

t.test('R48, R49, R51: single ranges are 206 with their exact bytes', async t => {
  const { pull, digest } = withBlob(t)
  const cases = [
    ['bytes=0-', 0, SIZE - 1],
    ['bytes=500-1499', 500, 1499],
    ['bytes=500-', 500, SIZE - 1],
    ['bytes=-500', SIZE - 500, SIZE - 1],
    ['bytes=2000-50000', 2000, SIZE - 1],
    [`bytes=9000-${SIZE}`, 9000, SIZE - 1],
    ['bytes=0-0', 0, 0],
    [`bytes=-${SIZE * 2}`, 0, SIZE - 1],
    ['bytes=0-1', 0, 1],
  ] as const
  for (const [range, first, last] of cases) {
    const answer = await pull(range)
    t.equal(answer.statusCode, 206, range)
    t.equal(answer.headers['content-range'], `bytes ${first}-${last}/${SIZE}`)
    t.equal(answer.headers['content-length'], String(last - first + 1))
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(answer.headers['content-type'], 'application/octet-stream', 'R55: never multipart')
    t.same(answer.rawPayload, BYTES.subarray(first, last + 1))
  }
})

t.test('R50: a range is 206 whatever the source of the blob', async t => {
  const { pull, registry } = withBlob(t)
  for (const source of ['hit', 'joined', 'miss', 'stale'] as const) {
    registry.source = source
    const answer = await pull('bytes=100-')
    t.equal(answer.statusCode, 206, source)
    t.equal(answer.headers['x-entrepot-source'], source)
  }
})

t.test(
  'R53: what cannot be satisfied is 416 with the size and its own JSON; what is malformed is ignored',
  async t => {
    const { pull, registry } = withBlob(t)
    for (const range of [
      `bytes=${SIZE}-`,
      'bytes=500-0',
      `bytes=${SIZE}-,${SIZE + 5}-${SIZE + 9}`,
      'bytes=-0',
    ]) {
      const answer = await pull(range)
      t.equal(answer.statusCode, 416, range)
      t.equal(answer.headers['content-range'], `bytes */${SIZE}`)
      t.equal(answer.headers['content-type'], 'application/json')
      t.equal(answer.headers['content-length'], String(answer.rawPayload.length))
      t.equal(answer.json().errors[0].code, 'RANGE_INVALID')
      t.equal(answer.headers['docker-content-digest'], undefined, 'no header of a success')
    }
    t.equal(registry.opened, registry.closed)
    for (const range of ['octets=0-1', 'bytes=a-b', 'bytes=', 'bytes=5', 'nonsense']) {
      const answer = await pull(range)
      t.equal(answer.statusCode, 200, range)
      t.equal(answer.rawPayload.length, SIZE)
    }
  },
)

t.test('R54, R58: many ranges are one part each, in order, neither merged nor sorted', async t => {
  const { pull } = withBlob(t)
  const answer = await pull('bytes=9000-9099,0-9,5-14,100-100,-10')
  t.equal(answer.statusCode, 206)
  t.equal(answer.headers['content-length'], String(answer.rawPayload.length))
  const parts = readParts(answer.rawPayload, String(answer.headers['content-type']))
  t.same(
    parts.map(({ first, last, size }) => [first, last, size]),
    [
      [9000, 9099, SIZE],
      [0, 9, SIZE],
      [5, 14, SIZE],
      [100, 100, SIZE],
      [SIZE - 10, SIZE - 1, SIZE],
    ],
  )
  for (const { first, last, bytes } of parts) t.same(bytes, BYTES.subarray(first, last + 1))
})

t.test('R54, R56: 1,024 ranges, as a partial pull sends them', async t => {
  const { pull } = withBlob(t)
  const ranges = Array.from({ length: 1_024 }, (_, index) => `${index * 9}-${index * 9 + 4}`)
  const answer = await pull(`bytes=${ranges.join(',')}`)
  const parts = readParts(answer.rawPayload, String(answer.headers['content-type']))
  t.equal(parts.length, 1_024)
  t.ok(parts.every(({ first, last, bytes }) => bytes.equals(BYTES.subarray(first, last + 1))))
})

t.test('R54: whatever ranges are asked for, the parts are those bytes', async t => {
  const { pull } = withBlob(t)
  const range = fc
    .tuple(fc.nat(SIZE - 1), fc.nat(40))
    .map(([first, more]) => [first, Math.min(first + more, SIZE - 1)] as const)
  await fc.assert(
    fc.asyncProperty(fc.array(range, { minLength: 2, maxLength: 30 }), async ranges => {
      const answer = await pull(`bytes=${ranges.map(pair => pair.join('-')).join(',')}`)
      const parts = readParts(answer.rawPayload, String(answer.headers['content-type']))
      const expected = ranges.map(([first, last]) => BYTES.subarray(first, last + 1))
      return (
        answer.rawPayload.length === Number(answer.headers['content-length']) &&
        parts.length === expected.length &&
        parts.every(({ bytes }, index) => bytes.equals(expected[index] ?? Buffer.alloc(0)))
      )
    }),
    { ...seeding(), numRuns: 60 },
  )
})

t.test(
  'R57, R59: too many ranges are 400 and nothing is opened; ranges beyond the size in all are 200',
  async t => {
    const { pull, registry } = withBlob(t)
    const many = await pull(`bytes=${Array.from({ length: 2_049 }, () => '0-0').join(',')}`)
    t.equal(many.statusCode, 400)
    t.same(registry.calls, [])
    const overlapping = await pull('bytes=0-9999,0-9999')
    t.equal(overlapping.statusCode, 200)
    t.same(overlapping.rawPayload, BYTES)
  },
)

t.test('R60: If-Range on the ETag keeps the range, anything else gives the whole', async t => {
  const { pull, digest } = withBlob(t)
  const match = await pull('bytes=1-2', { 'if-range': `"${digest}"` })
  t.equal(match.statusCode, 206)
  for (const other of ['"sha256:00"', `W/"${digest}"`, 'Tue, 24 Nov 2026 08:00:00 GMT']) {
    const answer = await pull('bytes=1-2', { 'if-range': other })
    t.equal(answer.statusCode, 200, other)
    t.equal(answer.rawPayload.length, SIZE)
  }
})

t.test('R62: a blob is opened for what needs its bytes, and not for 416, 304 or HEAD', async t => {
  const { app, pull, registry, digest } = withBlob(t)
  await pull()
  await pull('bytes=0-')
  await pull('bytes=-100')
  await pull('bytes=700-800,3-4')
  t.equal(registry.opened, 4)
  await pull(`bytes=${SIZE}-`)
  await pull(undefined, { 'if-none-match': '*' })
  await app.inject({
    url: `/v2/a/b/blobs/${digest}`,
    method: 'HEAD',
    headers: { range: 'bytes=0-1' },
  })
  t.equal(registry.opened, 4)
})

t.test('R63: empty and tiny blobs are served; a range of an empty blob is 416', async t => {
  const empty = withBlob(t, Buffer.alloc(0))
  const answer = await empty.pull()
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['content-length'], '0')
  const ranged = await empty.pull('bytes=0-')
  t.equal(ranged.statusCode, 416)
  t.equal(ranged.headers['content-range'], 'bytes */0')
  await empty.registry.drained()
  t.equal(empty.registry.opened, empty.registry.closed)
  const tiny = withBlob(t, Buffer.from('{}'))
  t.equal((await tiny.pull()).body, '{}')
})

t.test(
  'a blob that is said to be empty, and whose digest says otherwise, is an error and no empty 200',
  async t => {
    const { pull, registry } = withBlob(t)
    const { pullBlob } = registry
    registry.pullBlob = async (...asked) => ({ ...(await pullBlob(...asked)), sizeBytes: 0 })
    const answer = await pull()
    t.equal(answer.statusCode, 503)
    await registry.drained()
    t.equal(registry.opened, registry.closed)
  },
)
