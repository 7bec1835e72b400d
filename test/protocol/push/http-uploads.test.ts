// Goal: blobs come in by every way that the specification has, and each answer lets a client go on.
// Method: requests over loopback sockets to the real port over a registry in memory; every Location
// that is given out is used.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { createSend, errorCodeOf, locationOf, withDigest } from '../../kit/clients/raw-push.ts'

const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const KEY = 'localhost/team/app'
const BLOB = Buffer.from('a blob that is pushed')
const DIGEST = digestOf(BLOB)
const DIGEST_512 = digestOf(BLOB, 'sha512')

async function open(test: Parameters<typeof createTestApp>[0]) {
  const app = createTestApp(test)
  return { ...app, send: createSend(await app.listen()) }
}

t.test('R99: a new upload has a path to go on at, an id and nothing in it', async t => {
  const { send } = await open(t)
  for (const target of [UPLOADS, UPLOADS.slice(0, -1)]) {
    const answer = await send('POST', target)
    t.equal(answer.status, 202)
    const id = answer.headers['docker-upload-uuid']
    t.equal(locationOf(answer), `${UPLOADS}${id}`, 'a path, without a host')
    t.equal(answer.headers['range'], '0-0')
    t.equal(answer.headers['content-length'], '0')
    t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
    t.equal(answer.headers['oci-chunk-min-length'], undefined, 'R108: there is no minimum')
  }
})

t.test('R29, R99, R101: prefix and ns stay in every Location, with ? and & and %3A', async t => {
  const { send, registry } = await open(t)
  const forms = [
    ['/v2/localhost/team/app', ''],
    ['/localhost/v2/team/app', ''],
    ['/v2/team/app', '?ns=localhost'],
    ['/v2/localhost:5000/team/app', ''],
    ['/v2/team/app', '?ns=localhost%3A5000'],
  ] as const
  for (const [prefix, query] of forms) {
    const started = await send('POST', `${prefix}/blobs/uploads/${query}`)
    t.equal(started.status, 202, prefix)
    t.ok(locationOf(started).startsWith(`${prefix}/blobs/uploads/upload-`))
    t.ok(locationOf(started).endsWith(query))
    const appended = await send('PATCH', locationOf(started), { body: BLOB.subarray(0, 5) })
    t.equal(locationOf(appended), locationOf(started))
    const target = withDigest(locationOf(appended), encodeURIComponent(DIGEST))
    const finished = await send('PUT', target, { body: BLOB.subarray(5) })
    t.equal(finished.status, 201)
    t.equal(locationOf(finished), `${prefix}/blobs/${DIGEST}${query}`)
    t.same((await send('GET', locationOf(finished))).body, BLOB)
  }
  t.ok(registry.calls.every(call => call.includes(KEY)))
})

t.test('R100: one POST with digest and content is the blob', async t => {
  const { send } = await open(t)
  for (const digest of [DIGEST, DIGEST_512]) {
    const answer = await send('POST', withDigest(UPLOADS, digest), { body: BLOB })
    t.equal(answer.status, 201)
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(answer.headers['content-length'], '0')
    t.same((await send('GET', locationOf(answer))).body, BLOB)
  }
  const empty = digestOf(Buffer.alloc(0))
  const answer = await send('POST', withDigest(UPLOADS, empty), { body: '' })
  t.equal(answer.status, 201, 'the empty blob comes with no body')
})

t.test('R100: a POST that names the digest and brings no content begins an upload', async t => {
  const { send } = await open(t)
  const started = await send('POST', withDigest(UPLOADS, DIGEST))
  t.equal(started.status, 202)
  const finished = await send('PUT', withDigest(locationOf(started), DIGEST), { body: BLOB })
  t.equal(finished.status, 201)
})

t.test('R100: a POST whose content is wrong leaves no upload behind', async t => {
  const { send, registry } = await open(t)
  const answer = await send('POST', withDigest(UPLOADS, digestOf(Buffer.from('other'))), {
    body: BLOB,
  })
  t.equal(answer.status, 400)
  t.equal(errorCodeOf(answer), 'DIGEST_INVALID')
  t.equal(registry.openUploads(), 0)
})

t.test('R100: digest-algorithm declares what the upload will end with', async t => {
  const { send, registry } = await open(t)
  for (const [query, algorithm] of [
    ['', 'sha256'],
    ['?digest-algorithm=sha256', 'sha256'],
    ['?digest-algorithm=sha512', 'sha512'],
    [`?digest=${DIGEST_512}`, 'sha512'],
    [`?mount=${DIGEST_512}&from=localhost%2Fnothing`, 'sha512'],
  ] as const) {
    t.equal((await send('POST', UPLOADS + query)).status, 202, query)
    t.equal(registry.calls.at(-1), `startUpload ${algorithm} ${KEY}`)
  }
  const refused = await send('POST', `${UPLOADS}?digest-algorithm=md5`)
  t.equal(refused.status, 400)
  t.equal(errorCodeOf(refused), 'DIGEST_INVALID')
})

t.test(
  'R101, R105: an upload ends with all, some or none of the content, in both algorithms',
  async t => {
    const { send } = await open(t)
    for (const digest of [DIGEST, DIGEST_512]) {
      for (const cut of [0, 7, BLOB.length]) {
        let target = locationOf(await send('POST', UPLOADS))
        if (cut > 0)
          target = locationOf(await send('PATCH', target, { body: BLOB.subarray(0, cut) }))
        const rest = cut === BLOB.length ? {} : { body: BLOB.subarray(cut) }
        const finished = await send('PUT', withDigest(target, digest), rest)
        t.equal(finished.status, 201, `${cut} bytes before the end`)
        t.equal(finished.headers['docker-content-digest'], digest)
        t.same((await send('GET', locationOf(finished))).body, BLOB)
      }
    }
  },
)

t.test('R104: a length or a digest that is wrong is 400, and there is no blob', async t => {
  const { send } = await open(t)
  let target = locationOf(await send('POST', UPLOADS))
  const short = await send('PATCH', target, {
    headers: { 'content-range': '0-9' },
    body: BLOB.subarray(0, 5),
  })
  t.equal(short.status, 400)
  t.equal(errorCodeOf(short), 'SIZE_INVALID')
  target = locationOf(await send('POST', UPLOADS))
  const wrong = await send('PUT', withDigest(target, DIGEST), { body: `${BLOB.toString()}!` })
  t.equal(wrong.status, 400)
  t.equal(errorCodeOf(wrong), 'DIGEST_INVALID')
  t.equal((await send('GET', `/v2/localhost/team/app/blobs/${DIGEST}`)).status, 404)
  t.equal((await send('GET', target)).status, 404, 'and no upload')
})

t.test(
  'R101, R104: an end without a digest, or with one that is none, is 400 and changes nothing',
  async t => {
    const { send } = await open(t)
    const target = locationOf(await send('POST', UPLOADS, {}))
    for (const query of [
      '',
      '?digest=',
      '?digest=sha256:00',
      '?digest=md5:00',
      '?digest=sha256%3Axyz',
    ]) {
      const answer = await send('PUT', target + query, { body: BLOB })
      t.equal(answer.status, 400, query)
      t.equal(errorCodeOf(answer), 'DIGEST_INVALID')
    }
    t.equal((await send('PUT', withDigest(target, DIGEST), { body: BLOB })).status, 201)
  },
)

t.test('R107: a cancelled upload is gone', async t => {
  const { send, registry } = await open(t)
  const target = locationOf(await send('POST', UPLOADS))
  await send('PATCH', target, { body: BLOB })
  const answer = await send('DELETE', target)
  t.equal(answer.status, 204)
  t.equal(answer.headers['content-length'], undefined)
  t.equal((await send('GET', target)).status, 404)
  t.equal((await send('DELETE', target)).status, 404)
  t.equal(registry.openUploads(), 0)
})

t.test(
  'the log line of an upload tells how much came, and never the id of an upload that goes on',
  async t => {
    const { send, lines, untilCompleted } = await open(t)
    const target = locationOf(await send('POST', UPLOADS))
    await send('PATCH', target, { body: BLOB.subarray(0, 5) })
    await send('PUT', withDigest(target, DIGEST), { body: BLOB.subarray(5) })
    const [, append, finish] = await untilCompleted(3)
    t.match(append, { endpoint: 'upload', method: 'PATCH', repository: KEY, receivedBytes: 5 })
    t.match(finish, { status: 201, reference: DIGEST, receivedBytes: BLOB.length - 5 })
    t.notMatch(JSON.stringify(lines()), /upload-1/)
  },
)
