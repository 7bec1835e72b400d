// Goal: what is pushed in forward mode is at the upstream before its client is told so, sent once
// where all goes well, and what the upstream says of it is the client's answer. Method: the whole
// edge in process, a raw client, and a stub registry that counts and fails on order.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { startPair } from '../../kit/worlds/edge-over-stub.ts'
import { beginUpload, filesIn, pushBlob } from '../../kit/worlds/edge-push.ts'
import { errorCodeOf, withDigest } from '../../kit/clients/raw-push.ts'

const MiB = 1024 * 1024
const big = patternBlob('pushed', 3 * MiB + 17)
const FORWARD = { repositories: [{ match: 'docker.io/**', push: 'forward' }] }
const HUB = 'docker.io/team/app'

t.test('R116, R117: a forwarded blob is at the upstream before its client is told so', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
  const location = await beginUpload(edge, HUB)
  t.equal((await edge.send('PATCH', location, { body: big.read(0, MiB) })).status, 202)
  const body = big.read(MiB, big.sizeBytes - MiB)
  t.equal((await edge.send('PUT', withDigest(location, big.digest), { body })).status, 201)
  t.equal(Buffer.compare(stub.blob('team/app', big.digest)?.bytes() ?? Buffer.of(), big.bytes()), 0)
  t.equal(stub.count({ kind: 'upload', method: 'PATCH' }), 1)
  t.equal(stub.openUploads(), 0)
  t.match(await edge.get(`/v2/${HUB}/blobs/${big.digest}`), {
    status: 200,
    headers: { 'x-entrepot-source': 'hit' },
  })
  t.equal(stub.count({ kind: 'blob', method: 'GET' }), 0)
})

t.test(
  'R117: a client does not notice that the way up broke; the blob is sent from disk',
  async t => {
    const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
    stub.fault({ kind: 'upload', method: 'PATCH' }, { takeCutAt: MiB }, { times: 1 })
    const location = await beginUpload(edge, HUB)
    t.equal((await edge.send('PATCH', location, { body: big.read(0, 2 * MiB) })).status, 202)
    const body = big.read(2 * MiB, big.sizeBytes - 2 * MiB)
    const put = edge.send('PUT', withDigest(location, big.digest), { body })
    t.equal((await edge.settle(put)).status, 201)
    t.equal(
      Buffer.compare(stub.blob('team/app', big.digest)?.bytes() ?? Buffer.of(), big.bytes()),
      0,
    )
  },
)

t.test('R117: what the upstream has is not sent there again', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
  stub.addBlob('team/app', big)
  t.equal((await pushBlob(edge, HUB, big.bytes())).status, 201)
  t.equal(stub.count({ kind: 'upload' }), 0)
})

t.test('R92: an upstream that refuses the push is a 403 that names it, never a 401', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
  for (const status of [401, 403]) {
    stub.fault({ kind: 'upload' }, { status })
    const refused = await edge.settle(pushBlob(edge, HUB, Buffer.from(`refused with ${status}`)))
    t.equal(refused.status, 403)
    t.equal(errorCodeOf(refused), 'DENIED')
    t.match(refused.body.toString(), /docker\.io refused this edge's push to team\/app/)
    stub.clearFaults()
  }
  t.same(await filesIn(edge, 'uploads'), [])
})

t.test('R92: an upstream that is down is 503 for a forwarded push', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
  await stub.stop()
  const refused = await edge.settle(pushBlob(edge, HUB, Buffer.from('nobody there')))
  t.equal(refused.status, 503)
  t.match(refused.body.toString(), /docker\.io cannot be reached/)
  t.ok(Number(refused.headers['retry-after']) > 0)
})

t.test('R109: a forwarded mount is the upstream’s own', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: FORWARD } })
  stub.addBlob('team/base', big)
  const target = `/v2/${HUB}/blobs/uploads/?mount=${big.digest}&from=docker.io/team/base`
  const mounted = await edge.send('POST', target)
  t.match(mounted, { status: 201, headers: { 'docker-content-digest': big.digest } })
  t.ok(stub.blob('team/app', big.digest))
  t.equal((await edge.send('HEAD', `/v2/${HUB}/blobs/${big.digest}`)).status, 200)
})

t.test(
  'R116, R194: a name of an upstream takes no push unless configured, and says what does',
  async t => {
    const { edge, stub } = await startPair(t)
    const refused = await edge.send('POST', '/v2/team/app/blobs/uploads/')
    t.equal(refused.status, 403)
    t.equal(errorCodeOf(refused), 'DENIED')
    t.match(refused.body.toString(), /write localhost\/team\/app /)
    t.equal(stub.count(), 0)
  },
)
