// Goal: what one client makes up or holds costs no other client anything: lists of referrers are
// bounded and leave no rows, and memory for manifests is shared and not held for ever (R273, R274).
// Method: the whole edge in process before a stub registry; its catalog is looked into from beside,
// and crowds come from where everybody pushes from, 127.0.0.1.
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { SPARSE_MISSING_MAX } from '../../../src/registry/push/check-references.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { queryBeside } from '../../kit/open-catalog.ts'
import type { RawAnswer } from '../../kit/clients/raw-client.ts'
import { errorCodeOf } from '../../kit/clients/raw-push.ts'

const MiB = 1024 * 1024
const INDEX = 'application/vnd.oci.image.index.v1+json'

function someDigest(): string {
  return `sha256:${randomBytes(32).toString('hex')}`
}

function rows(edge: TestEdge, table: string): unknown {
  return queryBeside(edge.dataDirectory, `SELECT count(*) FROM ${table}`)[0]
}

function descriptor(more: object = {}) {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return { mediaType, digest: someDigest(), size: 7, ...more }
}

function listOf(manifests: readonly object[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })
}

t.test('R273: empty lists, random digests and names that nobody has leave no row', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: makeImage({ seed: 'rows' }) } })
  for (let count = 0; count < 5; count += 1) {
    const path = `/v2/library/app/referrers/${someDigest()}`
    for (const source of ['miss', 'hit'])
      t.match(await edge.get(path), { status: 200, headers: { 'x-entrepot-source': source } })
  }
  t.equal(stub.count({ kind: 'referrers' }), 5, 'and are remembered all the same')
  t.equal(rows(edge, 'list'), 0)
  for (let count = 0; count < 5; count += 1) {
    const name = `library/fuzz-${count}`
    for (const path of ['tags/list', 'manifests/v1', `blobs/${someDigest()}`])
      await edge.settle(edge.get(`/v2/${name}/${path}`))
    await edge.settle(edge.get(`/v2/${name}/referrers/${someDigest()}`))
  }
  t.equal(rows(edge, 'repository'), 0)
  t.equal(rows(edge, 'content'), 0)
  await edge.get(`${MANIFESTS}/v1`)
  t.equal(rows(edge, 'repository'), 1, 'of what there is there is one')
})

t.test('R273: a list of referrers that is far too long is refused, and not kept', async t => {
  const { edge, stub } = await startPair(t)
  const subject = someDigest()
  const path = `/v2/library/app/referrers/${subject}`
  const long = Array.from({ length: 5 }, () => descriptor({ annotations: { a: 'x'.repeat(MiB) } }))
  const link = (page: number) => ({
    'content-type': INDEX,
    link: `<${path}?page=${page}>; rel="next"`,
  })
  for (const page of [1, 2])
    stub.fault(
      { kind: 'referrers' },
      { status: 200, body: listOf(long), headers: link(page) },
      { times: 1 },
    )
  const answer = await edge.settle(edge.get(path))
  t.equal(answer.status, 502)
  t.equal(rows(edge, 'list'), 0)
})

t.test('R273: what an upstream lists is kept as descriptors, and nothing else of it', async t => {
  const { edge, stub } = await startPair(t)
  const path = `/v2/library/app/referrers/${someDigest()}`
  const one = descriptor({ artifactType: 'application/x', annotations: { a: 'b' } })
  const body = listOf([{ ...one, junk: 'x'.repeat(MiB) }])
  stub.fault(
    { kind: 'referrers' },
    { status: 200, body, headers: { 'content-type': INDEX } },
    { times: 1 },
  )
  const answer = await edge.get(path)
  t.same((JSON.parse(answer.body.toString()) as { manifests: unknown }).manifests, [one])
  t.same(JSON.parse(String(queryBeside(edge.dataDirectory, 'SELECT body FROM list')[0])), [one])
})

/** More of the largest manifests than there is room for. */
const SLOW = 20

/** Begins to push a manifest of the largest size and sends a byte of it. */
function beginSlowly(edge: TestEdge): Promise<Socket> {
  const { hostname, port } = new URL(edge.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  const head = [
    'PUT /v2/localhost/slow/manifests/v1 HTTP/1.1',
    `host: ${hostname}:${port}`,
    'content-type: application/vnd.oci.image.manifest.v1+json',
    `content-length: ${4 * MiB}`,
  ]
  return new Promise(resolve => {
    socket.once('connect', () =>
      socket.write(`${head.join('\r\n')}\r\n\r\n{`, () => resolve(socket)),
    )
  })
}

t.test('R274: who pushes manifests a byte a minute keeps nobody else from pushing', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const image = makeImage({ seed: 'honest' })
  for (const blob of [image.config, ...image.layers])
    await pushBlob(edge, 'localhost/app', blob.bytes())
  const answered: string[] = []
  const sockets = await Promise.all(Array.from({ length: SLOW }, () => beginSlowly(edge)))
  for (const socket of sockets)
    socket.on('data', (data: Buffer) => answered.push(data.toString().slice(9, 12)))
  const { mediaType, bytes } = image.manifest
  const push = () =>
    edge.send('PUT', '/v2/localhost/app/manifests/v1', {
      headers: { 'content-type': mediaType },
      body: bytes,
    })
  t.equal((await push()).status, 201)
  t.same(answered, [], 'a byte takes no more room than that')
  const closed = sockets.map(async socket => {
    if (!socket.destroyed) await new Promise(resolve => socket.once('close', resolve))
  })
  await edge.settle(Promise.all(closed), 900_000)
  t.same(
    answered,
    Array.from({ length: SLOW }, () => '408'),
    'and not for ever',
  )
})

/** A manifest of the largest size, for each tag another one. */
function largeIndex(tag: string): string {
  const start = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [], tag })
  return start.padEnd(4 * MiB, ' ')
}

t.test(
  'R274: large manifests that wait for a silent upstream keep no ordinary one out',
  async t => {
    const FORWARD = { repositories: [{ match: 'docker.io/**', push: 'forward' }] }
    const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
    const put = (name: string, body: string) =>
      edge.send('PUT', `/v2/${name}/manifests/v1`, { headers: { 'content-type': INDEX }, body })
    t.equal((await put('docker.io/large/first', largeIndex('first'))).status, 201)
    stub.fault({ kind: 'manifest', method: 'PUT' }, { stallHeaders: true })
    const waiting: Promise<unknown>[] = []
    let refusal: RawAnswer | undefined
    while (refusal === undefined) {
      const repository = `large/app-${waiting.length}`
      const answer = put(`docker.io/${repository}`, largeIndex(repository))
      const whole = stub.untilCount({ method: 'PUT', repository }, 1)
      refusal = await Promise.race([answer, whole.then(() => undefined)])
      if (refusal === undefined) waiting.push(answer)
    }
    t.match(refusal, { status: 503, headers: { 'retry-after': '1' } }, 'one too many')
    t.equal(errorCodeOf(refusal), 'UNAVAILABLE')
    for (let count = 0; count < 10; count += 1) {
      const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [], count })
      t.equal((await put(`localhost/small-${count}`, body)).status, 201)
    }
    await stub.stop()
    await edge.settle(Promise.all(waiting))
  },
)

t.test('R274: a manifest that comes without its parts costs others no endless wait', async t => {
  const edge = await startTestEdge(t, {
    upstreams: NO_UPSTREAM,
    config: { repositories: [{ match: 'localhost/sparse', push: 'store', sparse: true }] },
  })
  const put = (parts: number) => {
    const body = listOf(Array.from({ length: parts }, () => descriptor()))
    const headers = { 'content-type': INDEX }
    return edge.send('PUT', '/v2/localhost/sparse/manifests/v1', { headers, body })
  }
  const refused = await put(SPARSE_MISSING_MAX + 1)
  t.equal(refused.status, 400)
  t.equal(errorCodeOf(refused), 'MANIFEST_BLOB_UNKNOWN')
  t.match(refused.body.toString(), /1001 parts .* without 1000 at most: push some of them first/)
  t.same(await filesIn(edge, 'facts'), [], 'and nothing of it is kept')
  t.equal((await put(3)).status, 201)
  t.equal((await filesIn(edge, 'facts')).length, 5, 'the manifest, its tag, and what is not here')
})
