// Goal: manifests come in as they are, with all their tags, and who may not push learns why before
// anything is read. Method: requests over loopback sockets to the real port over a registry in
// memory.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { manifestBodiesBounds } from '../../../src/http/body/memory-budget.ts'
import { MANIFEST_LIMIT_BYTES } from '../../../src/oci/manifest.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { createSend, errorCodeOf, locationOf } from '../../kit/clients/raw-push.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const BYTES = Buffer.from('{"schemaVersion":2,  "odd": "spacing"}\n')
const DIGEST = digestOf(BYTES)
const TYPED = { 'content-type': MANIFEST }
const NAME = '/v2/localhost/team/app'

async function open(
  test: Parameters<typeof createTestApp>[0],
  options?: Parameters<typeof createTestApp>[1],
) {
  const app = createTestApp(test, options)
  return { ...app, send: createSend(await app.listen()) }
}

t.test('R111: a manifest is kept byte for byte, by tag and by digest', async t => {
  const { send, untilCompleted } = await open(t)
  const digest512 = digestOf(BYTES, 'sha512')
  for (const [reference, digest] of [
    ['v1', DIGEST],
    [DIGEST, DIGEST],
    [encodeURIComponent(DIGEST), DIGEST],
    [digest512, digest512],
  ] as const) {
    const target = `${NAME}/manifests/${reference}`
    const answer = await send('PUT', target, { headers: TYPED, body: BYTES })
    t.equal(answer.status, 201, reference)
    t.equal(locationOf(answer), `${NAME}/manifests/${digest}`)
    t.equal(answer.headers['docker-content-digest'], digest)
    t.equal(answer.headers['content-length'], '0')
    t.equal(answer.headers['oci-subject'], undefined)
    t.equal(answer.headers['oci-tag'], undefined)
    for (const got of [await send('GET', target), await send('GET', locationOf(answer))]) {
      t.same(got.body, BYTES)
      t.equal(got.headers['content-type'], MANIFEST)
    }
  }
  t.match((await untilCompleted(1))[0], {
    endpoint: 'manifest',
    reference: 'v1',
    receivedBytes: BYTES.length,
  })
})

t.test('R111: without a length, in chunks, it is the same', async t => {
  const { send } = await open(t)
  const target = `${NAME}/manifests/v1`
  const answer = await send('PUT', target, { headers: TYPED, body: BYTES, chunked: true })
  t.equal(answer.status, 201)
  t.same((await send('GET', target)).body, BYTES)
})

t.test('R29, R111: Location keeps the form of the request', async t => {
  const { send } = await open(t)
  for (const [target, location] of [
    ['/v2/app/manifests/v1', `/v2/app/manifests/${DIGEST}`],
    ['/localhost/v2/app/manifests/v1', `/localhost/v2/app/manifests/${DIGEST}`],
    ['/v2/team/app/manifests/v1?ns=localhost', `/v2/team/app/manifests/${DIGEST}?ns=localhost`],
  ] as const) {
    const answer = await send('PUT', target, { headers: TYPED, body: BYTES })
    t.equal(locationOf(answer), location)
    t.equal((await send('GET', locationOf(answer))).status, 200)
  }
})

t.test('R111: the subject that a manifest refers to is named in the answer', async t => {
  const { send } = await open(t)
  const body = JSON.stringify({ schemaVersion: 2, subject: { digest: DIGEST } })
  const answer = await send('PUT', `${NAME}/manifests/x`, { headers: TYPED, body })
  t.equal(answer.headers['oci-subject'], DIGEST)
})

t.test('R112: tags of the query are all set, each with a header of its own', async t => {
  const { send } = await open(t)
  const tags = Array.from({ length: 12 }, (_, at) => `tag${at}`)
  const query = [...tags, 'tag3'].map(tag => `tag=${tag}`).join('&')
  const answer = await send('PUT', `${NAME}/manifests/${DIGEST}?${query}`, {
    headers: TYPED,
    body: BYTES,
  })
  t.equal(answer.status, 201)
  const lines = answer.rawHeaders.filter((_, at, all) => all[at - 1]?.toLowerCase() === 'oci-tag')
  t.same(lines, tags)
  for (const tag of tags) {
    t.same((await send('GET', `${NAME}/manifests/${tag}`)).body, BYTES)
  }
})

t.test(
  'R112: too many tags are 414, a tag that is none is 400; beside a tag they mean nothing',
  async t => {
    const { send, registry } = await open(t)
    const put = (reference: string, query: string) =>
      send('PUT', `${NAME}/manifests/${reference}?${query}`, { headers: TYPED, body: BYTES })
    const many = (count: number) => Array.from({ length: count }, (_, at) => `tag=t${at}`).join('&')
    for (const count of [51, 64, 65, 1_000]) t.equal((await put(DIGEST, many(count))).status, 414)
    for (const tag of ['.x', '', 'a%2Fb', 'x'.repeat(129)]) {
      const answer = await put(DIGEST, `tag=${tag}`)
      t.equal(answer.status, 400)
      t.equal(errorCodeOf(answer), 'TAG_INVALID')
    }
    t.same(registry.calls, [], 'and nothing was pushed')
    t.equal((await put(DIGEST, many(50))).status, 201)
    const byTag = await put('v1', 'tag=v2')
    t.equal(byTag.status, 201)
    t.equal(byTag.headers['oci-tag'], undefined)
    t.equal((await send('GET', `${NAME}/manifests/v2`)).status, 404)
  },
)

t.test('R22, R23: a reference that is none is 400 before anything is read', async t => {
  const { send, registry } = await open(t)
  for (const [reference, code] of [
    ['.x', 'TAG_INVALID'],
    ['sha256:baddigeststring', 'DIGEST_INVALID'],
    ['md5:00', 'DIGEST_INVALID'],
  ] as const) {
    const answer = await send('PUT', `${NAME}/manifests/${reference}`, { body: BYTES })
    t.equal(answer.status, 400, reference)
    t.equal(errorCodeOf(answer), code)
  }
  t.same(registry.calls, [])
})

t.test('R42, R126: a manifest over the limit is 413, by its length before it is read', async t => {
  const { send, registry } = await open(t)
  const target = `${NAME}/manifests/v1`
  const exact = Buffer.alloc(MANIFEST_LIMIT_BYTES, ' ')
  exact.write('{}')
  t.equal((await send('PUT', target, { headers: TYPED, body: exact })).status, 201)
  registry.calls.length = 0
  const large = Buffer.alloc(MANIFEST_LIMIT_BYTES + 1, ' ')
  for (const chunked of [false, true]) {
    const answer = await send('PUT', target, { headers: TYPED, body: large, chunked })
    t.equal(answer.status, 413, chunked ? 'in chunks' : 'with a length')
    t.equal(errorCodeOf(answer), 'MANIFEST_INVALID')
  }
  const told = await send('PUT', target, {
    headers: { 'content-length': '9999999999', expect: '100-continue' },
    body: '',
  })
  t.equal(told.status, 413)
  t.same(registry.calls, [])
})

t.test(
  'R126, R193: large manifests that would take too much memory together are told to come back',
  async t => {
    const { send, registry } = await open(t)
    const most = manifestBodiesBounds(1).largeMaxBytes / MANIFEST_LIMIT_BYTES
    const release = Promise.withResolvers<void>()
    const full = Promise.withResolvers<void>()
    registry.before = () => {
      if (registry.calls.length === most) full.resolve()
      return release.promise
    }
    const put = (body: Buffer | string = BYTES) =>
      send('PUT', `${NAME}/manifests/v1`, { headers: TYPED, body, chunked: true })
    const largest = Buffer.alloc(MANIFEST_LIMIT_BYTES, ' ')
    largest.write('{}')
    const running = Array.from({ length: most }, () => put(largest))
    await full.promise
    const refused = await put(largest)
    t.equal(refused.status, 503)
    t.equal(refused.headers['retry-after'], '1')
    const small = send('PUT', `${NAME}/manifests/v1`, { headers: TYPED, body: BYTES })
    release.resolve()
    for (const { status } of await Promise.all([...running, small])) t.equal(status, 201)
    t.equal((await put(largest)).status, 201, 'there is room again')
  },
)
