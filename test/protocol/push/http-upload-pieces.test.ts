// Goal: an upload in pieces cannot go wrong unnoticed, and after a fault the client knows where to
// go on. Method: requests over loopback sockets to the real port over a registry in memory.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { createTestApp, type TestAppOptions } from '../../kit/worlds/http-app.ts'
import { createSend, errorCodeOf, locationOf, withDigest } from '../../kit/clients/raw-push.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const BLOB = Buffer.from('a blob that is pushed')
const DIGEST = digestOf(BLOB)

async function open(test: Parameters<typeof createTestApp>[0], options: TestAppOptions = {}) {
  const app = createTestApp(test, options)
  return { ...app, send: createSend(await app.listen()) }
}

t.test(
  'R102: pieces with Content-Range go where they belong, and the answer says how far it is',
  async t => {
    const { send } = await open(t)
    let target = locationOf(await send('POST', UPLOADS))
    for (const [first, last] of [
      [0, 0],
      [1, 9],
    ] as const) {
      const answer = await send('PATCH', target, {
        headers: { 'content-range': `${first}-${last}` },
        body: BLOB.subarray(first, last + 1),
      })
      t.equal(answer.status, 202)
      t.equal(answer.headers['range'], `0-${last}`)
      t.equal(answer.headers['content-length'], '0')
      target = locationOf(answer)
    }
    const finished = await send('PUT', withDigest(target, DIGEST), {
      headers: { 'content-range': `10-${BLOB.length - 1}` },
      body: BLOB.subarray(10),
    })
    t.equal(finished.status, 201)
  },
)

t.test(
  'R102: a piece out of order is 416 with the state, on PATCH and PUT, and the upload goes on',
  async t => {
    const { send, untilCompleted } = await open(t)
    let target = locationOf(await send('POST', UPLOADS))
    const early = await send('PATCH', target, {
      headers: { 'content-range': '5-9' },
      body: BLOB.subarray(5, 10),
    })
    t.equal(early.status, 416)
    t.equal(early.headers['range'], '0-0')
    target = locationOf(await send('PATCH', locationOf(early), { body: BLOB.subarray(0, 5) }))
    for (const method of ['PATCH', 'PUT']) {
      const answer = await send(method, withDigest(target, DIGEST), {
        headers: { 'content-range': '0-4' },
        body: BLOB.subarray(0, 5),
      })
      t.equal(answer.status, 416, method)
      t.equal(errorCodeOf(answer), 'BLOB_UPLOAD_INVALID')
      t.equal(answer.headers['range'], '0-4')
      t.equal(locationOf(answer), target)
      t.ok(target.endsWith(answer.headers['docker-upload-uuid'] ?? 'none'))
    }
    const finished = await send('PUT', withDigest(target, DIGEST), { body: BLOB.subarray(5) })
    t.equal(finished.status, 201)
    const lines = await untilCompleted(6)
    t.match(lines[1], { status: 416, errorCode: 'BLOB_UPLOAD_INVALID' })
  },
)

t.test('R102, R287: a Content-Range that is none is 416, and nothing is taken in', async t => {
  const { send, registry } = await open(t)
  const target = locationOf(await send('POST', UPLOADS))
  const calls = registry.calls.length
  const malformed = [
    'bytes 0-4/21',
    'bytes=0-4',
    '0-',
    '-4',
    '4-0',
    'x',
    '0-4, 5-9',
    '0-99999999999999999999',
  ]
  for (const range of malformed) {
    const answer = await send('PATCH', target, {
      headers: { 'content-range': range },
      body: BLOB.subarray(0, 5),
    })
    t.equal(answer.status, 416, range)
    t.equal(errorCodeOf(answer), 'RANGE_INVALID')
  }
  t.equal(registry.calls.length, calls)
})

t.test('R103: content that comes in chunks of unknown length is appended', async t => {
  const { send } = await open(t)
  let target = locationOf(await send('POST', UPLOADS))
  const headers = { 'content-type': 'application/octet-stream' }
  for (const [first, last] of [
    [0, 9],
    [10, BLOB.length - 1],
  ] as const) {
    const body = BLOB.subarray(first, last + 1)
    const answer = await send('PATCH', target, { headers, body, chunked: true })
    t.equal(answer.status, 202)
    t.equal(answer.headers['range'], `0-${last}`)
    target = locationOf(answer)
  }
  t.equal((await send('PUT', withDigest(target, DIGEST))).status, 201)
})

t.test('R103: the type of the content says nothing, and its encoding changes nothing', async t => {
  // Who pushes without an account sends no such header.
  const decide = () => ({ kind: 'allowed', anonymously: true }) as const
  const { send } = await open(t, { access: { ...ANYBODY, decide } })
  for (const type of ['application/json', 'text/plain; charset=x', 'no media type', '']) {
    const target = locationOf(await send('POST', UPLOADS, { headers: { 'content-type': type } }))
    const headers = { 'content-type': type, 'content-encoding': 'gzip' }
    const answer = await send('PUT', withDigest(target, DIGEST), { headers, body: BLOB })
    t.equal(answer.status, 201, type)
    t.same((await send('GET', locationOf(answer))).body, BLOB)
  }
})

t.test(
  'R106: the state of an upload is told, that of an unknown or finished one is 404',
  async t => {
    const { send } = await open(t)
    const target = locationOf(await send('POST', UPLOADS))
    for (const [body, range] of [
      ['', '0-0'],
      ['a', '0-0'],
      ['bc', '0-2'],
    ] as const) {
      if (body !== '') await send('PATCH', target, { body })
      const answer = await send('GET', target)
      t.equal(answer.status, 204)
      t.equal(answer.headers['range'], range)
      t.equal(locationOf(answer), target)
      t.ok(target.endsWith(answer.headers['docker-upload-uuid'] ?? 'none'))
      t.equal(answer.headers['content-length'], undefined)
      t.equal(answer.headers['cache-control'], 'no-store')
    }
    await send('PUT', withDigest(target, digestOf(Buffer.from('abc'))))
    for (const gone of [target, `${UPLOADS}never-given-out`, `${UPLOADS}no.id`]) {
      for (const method of ['GET', 'DELETE', 'PATCH', 'PUT']) {
        const answer = await send(method, withDigest(gone, DIGEST))
        t.equal(answer.status, 404, `${method} ${gone}`)
        t.equal(errorCodeOf(answer), 'BLOB_UPLOAD_UNKNOWN')
      }
    }
  },
)

t.test('R106, R179: an upload belongs to its repository', async t => {
  const { send } = await open(t)
  const target = locationOf(await send('POST', UPLOADS)).replace('team/app', 'team/other')
  t.equal((await send('GET', target)).status, 404)
})
