// Goal: blobs that clients push are kept, once, under the repositories that they were pushed to,
// whatever becomes of connections, and processes meanwhile. Method: the whole edge in process over
// its real store and catalog, and a raw client.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { patternBlob } from '../../kit/content.ts'
import { beginUpload, filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { breakOff, openConnection } from '../../kit/over-tls.ts'
import { sendRaw } from '../../kit/clients/raw-client.ts'
import { errorCodeOf, locationOf, withDigest } from '../../kit/clients/raw-push.ts'
import { leaveRoom } from '../../kit/storage-limits.ts'

const MiB = 1024 * 1024
const APP = 'localhost/team/app'
const big = patternBlob('pushed', 3 * MiB + 17)

type Test = Parameters<typeof startTestEdge>[0]

const blobOf = (edge: TestEdge, digest: Digest, repository = APP) =>
  edge.get(`/v2/${repository}/blobs/${digest}`)

async function ownDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-push-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Sends a part of what its Content-Length promises, and leaves the connection open. */
async function sendPart(edge: TestEdge, location: string, part: Buffer, lengthBytes: number) {
  const { host } = new URL(edge.url)
  const socket = await openConnection(edge.url)
  const head = `PATCH ${location} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${lengthBytes}\r\n\r\n`
  socket.write(Buffer.concat([Buffer.from(head), part]))
  // Asked until all of it has come through the kernel.
  const arrived = `0-${part.length - 1}`
  while ((await edge.get(location)).headers['range'] !== arrived);
  return socket
}

t.test('R99, R101: a blob that comes in pieces is pulled as it was pushed', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  let location = await beginUpload(edge, APP)
  for (const [first, last] of [
    [0, MiB - 1],
    [MiB, 2 * MiB - 1],
  ] as const) {
    const headers = { 'content-range': `${first}-${last}` }
    const body = big.read(first, last - first + 1)
    const answer = await edge.send('PATCH', location, { headers, body })
    t.match(answer, { status: 202, headers: { range: `0-${last}` } })
    location = locationOf(answer)
  }
  const body = big.read(2 * MiB, big.sizeBytes - 2 * MiB)
  const headers = { 'content-range': `${2 * MiB}-${big.sizeBytes - 1}` }
  const done = await edge.send('PUT', withDigest(location, big.digest), { headers, body })
  t.match(done, { status: 201, headers: { 'docker-content-digest': big.digest } })
  const pulled = await edge.get(locationOf(done))
  t.match(pulled, { status: 200, complete: true, headers: { 'x-entrepot-source': 'local' } })
  t.equal(Buffer.compare(pulled.body, big.bytes()), 0)
  t.same(await filesIn(edge, 'uploads'), [])
})

t.test('R99: an upload goes on in the next process, with nothing in it or much', async t => {
  const directory = await ownDirectory(t)
  const before = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  const empty = await beginUpload(before, APP)
  const begun = await beginUpload(before, APP)
  const half = big.read(0, 2 * MiB)
  t.equal((await before.send('PATCH', begun, { body: half })).status, 202)
  await before.stop()

  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  const small = Buffer.from('small')
  const put = await edge.send('PUT', withDigest(empty, digestOf(small)), { body: small })
  t.equal(put.status, 201)
  t.match(await edge.get(begun), { status: 204, headers: { range: `0-${2 * MiB - 1}` } })
  const rest = big.read(2 * MiB, big.sizeBytes - 2 * MiB)
  t.equal((await edge.send('PUT', withDigest(begun, big.digest), { body: rest })).status, 201)
  t.equal(Buffer.compare((await blobOf(edge, big.digest)).body, big.bytes()), 0)
})

t.test('R110: what came before a connection broke counts, and the client goes on', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const location = await beginUpload(edge, APP)
  const socket = await sendPart(edge, location, big.read(0, 100_000), big.sizeBytes)
  socket.destroy()
  t.match(await edge.get(location), { status: 204, headers: { range: '0-99999' } })
  const headers = { 'content-range': `100000-${big.sizeBytes - 1}` }
  const body = big.read(100_000, big.sizeBytes - 100_000)
  const done = await edge.send('PUT', withDigest(location, big.digest), { headers, body })
  t.equal(done.status, 201)
})

t.test('R110: a client that came back is not kept waiting by its own lost connection', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const location = await beginUpload(edge, APP)
  const lost = await sendPart(edge, location, big.read(0, 100_000), big.sizeBytes)
  const headers = { 'content-range': `100000-${big.sizeBytes - 1}` }
  const body = big.read(100_000, big.sizeBytes - 100_000)
  const done = await edge.send('PUT', withDigest(location, big.digest), { headers, body })
  t.equal(done.status, 201)
  t.equal(Buffer.compare((await blobOf(edge, big.digest)).body, big.bytes()), 0)
  breakOff(lost)
})

t.test(
  'R102, R106: out of order is 416 with the state, on PATCH and PUT, and the upload goes on',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const location = await beginUpload(edge, APP)
    const whole = Buffer.from('0123456789')
    const headers = { 'content-range': '5-9' }
    const late = { headers, body: whole.subarray(5) }
    const state = { headers: { location: /uploads/, range: '0-0' } }
    const refused = await edge.send('PATCH', location, late)
    t.match(refused, { status: 416, ...state })
    t.equal(errorCodeOf(refused), 'BLOB_UPLOAD_INVALID')
    t.match(await edge.send('PUT', withDigest(location, digestOf(whole)), late), { status: 416 })
    const first = { headers: { 'content-range': '0-4' }, body: whole.subarray(0, 5) }
    t.match(await edge.send('PATCH', location, first), { status: 202, headers: { range: '0-4' } })
    t.match(await edge.get(location), { status: 204, headers: { range: '0-4' } })
    t.equal((await edge.send('PUT', withDigest(location, digestOf(whole)), late)).status, 201)
  },
)

t.test('R104: bytes of another digest leave nothing behind', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const location = await beginUpload(edge, APP)
  const digest = digestOf(Buffer.from('announced'))
  const refused = await edge.send('PUT', withDigest(location, digest), { body: 'other' })
  t.equal(refused.status, 400)
  t.equal(errorCodeOf(refused), 'DIGEST_INVALID')
  t.equal((await blobOf(edge, digest)).status, 404)
  t.equal((await edge.get(location)).status, 404)
  t.same([await filesIn(edge, 'uploads'), await filesIn(edge, 'blobs')], [[], []])
})

t.test('R105: sha512 at the end is sha512, declared or not', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const digest = digestOf(big.bytes(), 'sha512')
  for (const query of ['', '?digest-algorithm=sha512']) {
    const location = locationOf(
      await edge.send('POST', `/v2/localhost/team/app${query.length}/blobs/uploads/${query}`),
    )
    await edge.send('PATCH', location, { body: big.read(0, MiB) })
    const body = big.read(MiB, big.sizeBytes - MiB)
    const done = await edge.send('PUT', withDigest(location, digest), { body })
    t.match(done, { status: 201, headers: { 'docker-content-digest': digest } })
    t.equal(Buffer.compare((await edge.get(locationOf(done))).body, big.bytes()), 0)
  }
})

t.test('fifty pushes of one blob into fifty repositories at once are one file', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const body = big.bytes()
  const names = Array.from({ length: 50 }, (_, n) => `localhost/team/app-${n}`)
  const answers = await Promise.all(names.map(name => pushBlob(edge, name, body)))
  t.same(
    answers.map(({ status }) => status),
    names.map(() => 201),
  )
  t.equal((await filesIn(edge, 'blobs')).length, 1)
  t.same(await filesIn(edge, 'uploads'), [])
  for (const name of names) {
    t.equal((await edge.send('HEAD', `/v2/${name}/blobs/${big.digest}`)).status, 200)
  }
})

t.test(
  'R109, R182: a blob is mounted from where it is, named or found, and nowhere else',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const body = Buffer.from('shared')
    const digest = digestOf(body)
    const mount = (repository: string, query: string) =>
      edge.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digest}${query}`)
    t.equal((await mount(APP, '&from=localhost/team/base')).status, 202, 'not there yet')
    await pushBlob(edge, 'localhost/team/base', body)
    t.equal((await mount(APP, '&from=localhost/team/none')).status, 202)
    t.equal((await mount(APP, '&from=team/base')).status, 202, 'of another registry')
    t.equal((await blobOf(edge, digest)).status, 404)
    const mounted = await mount(APP, '&from=localhost/team/base')
    t.match(mounted, { status: 201, headers: { 'docker-content-digest': digest } })
    t.same((await edge.get(locationOf(mounted))).body, body)
    t.equal((await mount('localhost/team/other', '')).status, 201, 'without a name')
    t.match(await blobOf(edge, digest, 'localhost/team/other'), { status: 200 })
  },
)

t.test('R118: a deleted blob is gone at once and for good, from its repository only', async t => {
  const directory = await ownDirectory(t)
  const before = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  const body = Buffer.from('deleted')
  const digest = digestOf(body)
  for (const name of [APP, 'localhost/team/other']) await pushBlob(before, name, body)
  t.equal((await before.send('DELETE', `/v2/${APP}/blobs/${digest}`)).status, 202)
  t.equal((await before.send('DELETE', `/v2/${APP}/blobs/${digest}`)).status, 404)
  t.equal((await blobOf(before, digest)).status, 404)
  await before.stop()
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
  t.equal((await blobOf(edge, digest)).status, 404)
  t.equal((await blobOf(edge, digest, 'localhost/team/other')).status, 200)
  t.equal((await pushBlob(edge, APP, body)).status, 201)
  t.equal((await blobOf(edge, digest)).status, 200)
})

t.test(
  'R126, R15: what the disk has no room for is refused before it is sent; reads go on',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    await leaveRoom(edge, 1024 * 1024, { upstreams: NO_UPSTREAM })
    const kept = Buffer.alloc(600_000, 'kept')
    t.equal((await pushBlob(edge, APP, kept)).status, 201)
    const location = await beginUpload(edge, APP)
    const { host } = new URL(edge.url)
    const head = `PATCH ${location} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 600000\r\nexpect: 100-continue\r\n\r\n`
    const refused = await sendRaw(edge.url, head, { method: 'PATCH' })
    t.equal(refused.status, 507)
    t.notOk('retry-after' in refused.headers, 'waiting is of no use')
    t.match(refused.body.toString(), /"UNAVAILABLE".*disk of this edge is full/)
    const told = await edge.untilLogged('storage failed')
    t.match(told, { failure: 'full', wantedBytes: 600_000 })
    const differs = 1024 * 1024 - 600_000 - Number(told['freeBytes'])
    t.ok(differs >= 0 && differs < 20_000, `what is left, but for ${differs} bytes of other files`)
    t.equal((await blobOf(edge, digestOf(kept))).status, 200)
    const small = Buffer.from('small')
    const done = await edge.send('PUT', withDigest(location, digestOf(small)), { body: small })
    t.equal(done.status, 201, 'and what fits is taken')
  },
)
