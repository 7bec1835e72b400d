// Goal: each fault switch of the stub registry is seen from outside, as the fault it is named for
// (R241). Method: one fault, one request by the raw client, and what the wire showed.
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { get, type RawRequest } from '../../kit/clients/raw-client.ts'
import {
  createBarrier,
  type Fault,
  failure,
  tooManyRequests,
  unauthorized,
} from '../../kit/stubs/stub-faults.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const SIZE_BYTES = 300_000
const blob = patternBlob('faults', SIZE_BYTES)
const image = makeImage({ seed: 'faults' })
const stub = await startStub(t)
stub.addBlob('a/b', blob)
stub.addImage('a/b', 'v1', image)
const blobUrl = `${stub.url}/v2/a/b/blobs/${blob.digest}`
const manifestUrl = `${stub.url}/v2/a/b/manifests/v1`

/** One request for the blob under one fault that strikes once. */
async function withFault(
  fault: Fault,
  headers: Record<string, string> = {},
  request: RawRequest = {},
) {
  stub.clearFaults()
  stub.fault({ kind: 'blob' }, fault, { times: 1 })
  return await get(blobUrl, headers, request)
}

t.test('truncation promises all and ends early, politely or with a reset', async t => {
  for (const fault of [{ truncateAt: 200_000 }, { resetAt: 200_000 }]) {
    const answer = await withFault(fault)
    t.equal(answer.headers['content-length'], String(SIZE_BYTES))
    t.equal(answer.complete, false)
    t.ok(answer.bodyBytes <= 200_000)
  }
  const polite = await withFault({ truncateAt: 200_000 })
  t.same(polite.body, blob.read(0, 200_000), 'up to the cut the bytes are right')
  t.equal((await withFault({ truncateAt: 0 })).bodyBytes, 0)
})

t.test(
  'a fault that strikes once leaves the next answer alone, and HEAD does not use it up',
  async t => {
    stub.clearFaults()
    const handle = stub.fault(
      { kind: 'blob', digest: blob.digest },
      { truncateAt: 1 },
      { times: 1 },
    )
    t.equal((await get(blobUrl, {}, { method: 'HEAD' })).status, 200)
    t.equal((await get(blobUrl)).complete, false)
    t.equal((await get(blobUrl)).complete, true)
    t.equal(handle.hits, 1)
    const late = stub.fault({ kind: 'blob' }, { truncateAt: 1 }, { after: 1 })
    t.equal((await get(blobUrl)).complete, true)
    t.equal((await get(blobUrl)).complete, false)
    late.remove()
    t.equal((await get(blobUrl)).complete, true)
  },
)

t.test('a flipped byte is flipped wherever the range that shows it begins', async t => {
  const whole = await withFault({ flipAt: 1000 })
  t.equal(whole.complete, true)
  const right = blob.bytes()
  t.same(differences(whole.body, right), [1000])
  const range = await withFault({ flipAt: 1000 }, { range: 'bytes=900-1100' })
  t.same(differences(range.body, right.subarray(900, 1101)), [100])
})

t.test('lengths that lie', async t => {
  const longer = await withFault({ lengthDelta: 10 })
  t.equal(longer.headers['content-length'], String(SIZE_BYTES + 10))
  t.equal(longer.bodyBytes, SIZE_BYTES)
  t.equal(longer.complete, false)
  const shorter = await withFault({ lengthDelta: -10 })
  t.equal(shorter.bodyBytes, SIZE_BYTES - 10)
  t.equal(shorter.complete, true)
  const extra = await withFault({ extraBytes: 7 })
  t.equal(extra.bodyBytes, SIZE_BYTES + 7)
  const missing = await withFault({ missingBytes: 7 })
  t.equal(missing.bodyBytes, SIZE_BYTES - 7)
  t.equal(missing.complete, true)
})

t.test('bodies without a length: chunked, until the connection ends, without end', async t => {
  const chunked = await withFault({ chunked: true })
  t.equal(chunked.headers['transfer-encoding'], 'chunked')
  t.equal(chunked.headers['content-length'], undefined)
  t.equal(chunked.bodyBytes, SIZE_BYTES)
  t.equal(chunked.complete, true)
  const cut = await withFault({ chunked: true, truncateAt: 1000 })
  t.equal(cut.complete, false)
  const untilClose = await withFault({ untilClose: true })
  t.equal(untilClose.headers['transfer-encoding'], undefined)
  t.equal(untilClose.headers['content-length'], undefined)
  t.equal(untilClose.bodyBytes, SIZE_BYTES)
  const endless = await withFault({ endless: true }, {}, { abortAfterBytes: 2 * SIZE_BYTES })
  t.ok(endless.bodyBytes >= 2 * SIZE_BYTES)
})

t.test('gzip, whatever was accepted', async t => {
  const answer = await withFault({ gzip: true }, { 'accept-encoding': 'identity' })
  t.equal(answer.headers['content-encoding'], 'gzip')
  t.same(gunzipSync(answer.body), blob.bytes())
})

t.test('heads that lie or say nothing: digest, media type, range', async t => {
  const digest = `sha256:${'0'.repeat(64)}`
  t.equal((await withFault({ digestHeader: digest })).headers['docker-content-digest'], digest)
  t.equal((await withFault({ digestHeader: null })).headers['docker-content-digest'], undefined)
  t.equal((await withFault({ mediaType: 'text/html' })).headers['content-type'], 'text/html')
  t.equal((await withFault({ mediaType: null })).headers['content-type'], undefined)
  const repeated = await withFault({ headers: { 'x-twice': ['1', '2'] } })
  t.equal(repeated.headers['x-twice'], '1, 2')
  t.equal((await withFault({ ignoreRange: true }, { range: 'bytes=5-9' })).status, 200)
  const shifted = await withFault({ rangeDelta: 1 }, { range: 'bytes=5-9' })
  t.equal(shifted.headers['content-range'], `bytes 6-10/${SIZE_BYTES}`)
})

t.test(
  'refusals: 401 in a loop or without a challenge, 403, 404, 405, 429 in three forms, 5xx',
  async t => {
    const loop = await withFault(unauthorized('Bearer realm="http://elsewhere.example/token"'))
    t.equal(loop.status, 401)
    t.match(loop.headers['www-authenticate'], /elsewhere/)
    t.equal((await withFault(unauthorized(null))).headers['www-authenticate'], undefined)
    for (const status of [403, 404, 405, 500, 502, 503]) {
      t.equal((await withFault(failure(status, 'DENIED'))).status, status)
    }
    t.equal((await withFault(failure(405), {}, { method: 'HEAD' })).status, 405)
    const errors = await withFault(tooManyRequests('errors', 30))
    t.equal(errors.headers['retry-after'], '30')
    t.equal(JSON.parse(errors.body.toString()).errors[0].code, 'TOOMANYREQUESTS')
    t.ok(JSON.parse((await withFault(tooManyRequests('message'))).body.toString()).message)
    const text = await withFault(tooManyRequests('text', 'Wed, 21 Oct 2026 07:28:00 GMT'))
    t.equal(text.headers['content-type'], 'text/plain')
    t.match(text.headers['retry-after'], /GMT/)
  },
)

t.test('connections that say nothing: dropped, head withheld, body withheld', async t => {
  t.equal((await withFault({ dropConnection: true })).status, 0)
  const silent = new AbortController()
  stub.clear()
  const pending = withFault({ stallHeaders: true }, {}, { signal: silent.signal })
  await stub.untilCount({ kind: 'blob' }, 1)
  silent.abort()
  t.equal((await pending).status, 0)
  const stalled = new AbortController()
  const answer = await withFault(
    { stallAt: 1000 },
    {},
    {
      signal: stalled.signal,
      onBytes: (_, totalBytes) => {
        if (totalBytes === 1000) stalled.abort()
      },
    },
  )
  t.equal(answer.bodyBytes, 1000)
  t.equal(answer.complete, false)
})

t.test('latency and trickle slow the answer down and change nothing in it', async t => {
  t.equal((await withFault({ latencyMs: 5 })).complete, true)
  const pieces: number[] = []
  const slow = await withFault(
    { bytesPerSecond: 1_000_000 },
    {},
    {
      onBytes: piece => {
        pieces.push(piece.length)
      },
    },
  )
  t.equal(slow.complete, true)
  t.ok(pieces.length >= 3, `${pieces.length} pieces`)
})

t.test('a barrier holds answers at its byte until it is released', async t => {
  const barrier = createBarrier(100_000)
  let gotBytes = 0
  const pending = withFault(
    { barrier },
    {},
    {
      onBytes: (_, totalBytes) => {
        gotBytes = totalBytes
      },
    },
  )
  await barrier.reached
  t.equal(stub.bytesSent(blob.digest) > 0, true)
  t.ok(gotBytes <= 100_000)
  barrier.release()
  t.equal((await pending).complete, true)
  t.equal(gotBytes, SIZE_BYTES)
})

t.test('redirects: storage, self, chain, loop, elsewhere, expired', async t => {
  const to = async (redirect: Fault['redirect'] & {}) => {
    const answer = await withFault({ redirect })
    t.equal(answer.status, 307)
    return answer.headers['location'] ?? ''
  }
  const storage = await to({ to: 'storage' })
  t.ok(storage.startsWith(stub.storageUrl))
  t.same((await get(storage)).body, blob.bytes())
  t.equal((await get(storage, { range: 'bytes=1-2' })).status, 206)
  t.equal((await get(await to({ to: 'storage', expired: true }))).status, 403)
  stub.expireSignatures()
  t.equal((await get(storage)).status, 403)
  t.same((await get(await to({ to: 'self' }))).body, blob.bytes())
  t.equal(await to({ to: 'loop' }), blobUrl)
  t.equal(await to('http://10.0.0.1/blob'), 'http://10.0.0.1/blob')
  let next = await to({ to: 3 })
  let hops = 1
  for (; next.startsWith(stub.url); hops += 1) next = (await get(next)).headers['location'] ?? ''
  t.ok(next.startsWith(stub.storageUrl))
  t.equal(hops, 4)
})

t.test('manifests take the same faults, and a body of any bytes', async t => {
  stub.clearFaults()
  stub.fault({ kind: 'manifest', reference: 'v1' }, { body: '{"schemaVersion":2}' }, { times: 1 })
  t.equal((await get(manifestUrl)).body.toString(), '{"schemaVersion":2}')
  t.same((await get(manifestUrl)).body, image.manifest.bytes)
})

function differences(a: Buffer, b: Buffer): number[] {
  return [...a.keys()].filter(index => a[index] !== b[index])
}
