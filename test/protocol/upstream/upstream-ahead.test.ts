// Goal: a pull costs its upstream as few round trips as can be: what one challenge told is not
// asked again, and the connections for blobs are open before the manifest is there. Method: stub
// registries and a bare server on loopback that count; the upstream client alone, and the whole
// edge.
import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { parseName } from '../../../src/oci/reference.ts'
import type { AskedEndpoints } from '../../../src/registry/ports/upstream.ts'
import { startPair } from '../../kit/worlds/edge-over-stub.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import {
  failureOf,
  LATEST,
  NAME,
  openUpstream,
  readAll,
  type Teardown,
} from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST } from '../../kit/stubs/scripted-server.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { listen } from '../../kit/loopback.ts'

const OTHER = parseName('library/other')
const BEARER = { scheme: 'bearer' } as const
const TEN = Array.from({ length: 10 }, (_, n) => 100 + n)
const IMAGE = makeImage({ seed: 'ahead', layers: TEN })

const blobsOf = ({ config, layers }: Image) => [config, ...layers].map(({ digest }) => digest)

t.test('R144: one challenge tells what the other repositories of a host want', async t => {
  const stub = await startStub(t, { auth: BEARER })
  for (const name of [NAME, OTHER]) stub.addImage(name, 'latest', IMAGE)
  const { upstream } = openUpstream(t, stub.url)
  await upstream.getManifest(NAME, LATEST)
  t.equal(stub.requests.length, 3, 'a challenge, a token, the manifest')
  stub.clear()
  await upstream.getManifest(OTHER, LATEST)
  t.equal(stub.requests.length, 2, 'a token, the manifest')
  t.match(stub.select({ kind: 'token' })[0]?.query, 'repository%3Alibrary%2Fother%3Apull')
})

t.test('R144: what is sent at once to a host that nobody knows is refused once', async t => {
  const stub = await startStub(t, { auth: BEARER })
  stub.addImage(NAME, 'latest', IMAGE)
  const { upstream } = openUpstream(t, stub.url)
  const asked = blobsOf(IMAGE).map(digest => upstream.getBlob(NAME, digest, { offset: 0 }))
  for (const { body } of await Promise.all(asked)) await readAll(body)
  t.equal(stub.count({ status: 401 }), 1)
  t.equal(stub.count({ kind: 'token' }), 1)
  t.equal(stub.requests.length, 2 + asked.length)
})

t.test('R144: where the token server refuses what was expected, the registry is asked', async t => {
  const auth = { ...BEARER, username: 'user', password: 'secret', privatePrefix: 'library/other' }
  const stub = await startStub(t, { auth })
  for (const name of [NAME, OTHER]) stub.addImage(name, 'latest', IMAGE)
  const { upstream } = openUpstream(t, stub.url)
  await upstream.getManifest(NAME, LATEST)
  for (const tokens of [2, 1]) {
    stub.clear()
    t.equal((await failureOf(upstream.getManifest(OTHER, LATEST))).failure, 'denied')
    t.equal(stub.count({ kind: 'manifest', status: 401 }), 1)
    t.equal(stub.count({ kind: 'token' }), tokens, 'it is not expected again')
  }
})

t.test('a cold image of ten layers is 14 requests, the next one 13', async t => {
  const { stub, edge } = await startPair(t, { stub: { auth: BEARER } })
  const wanted = [
    { name: 'library/app', image: makeImage({ seed: 'first', layers: TEN }), requests: 14 },
    { name: 'library/next', image: makeImage({ seed: 'next', layers: TEN }), requests: 13 },
  ]
  for (const { name, image, requests } of wanted) {
    stub.addImage(name, 'v1', image)
    stub.clear()
    const manifest = await edge.get(`/v2/${name}/manifests/v1`)
    t.equal(manifest.status, 200)
    const pulled = blobsOf(image).map(digest => edge.get(`/v2/${name}/blobs/${digest}`))
    for (const blob of await Promise.all(pulled)) t.match(blob, { status: 200, complete: true })
    t.equal(stub.requests.length, requests, stub.requests.map(({ kind }) => kind).join(' '))
    for (const digest of blobsOf(image)) t.equal(stub.count({ reference: digest }), 1)
  }
})

t.test(
  'prefetch: what is in the manifest comes before it is asked for, and not by HEAD',
  async t => {
    const { stub, edge } = await startPair(t, { images: { v1: IMAGE } })
    await edge.send('HEAD', '/v2/library/app/manifests/v1')
    await edge.get('/v2/library/app/manifests/v1', {
      'if-none-match': `"${IMAGE.manifest.digest}"`,
    })
    t.equal(stub.count({ kind: 'blob' }), 0)
    await edge.get('/v2/library/app/manifests/v1')
    await stub.untilCount({ kind: 'blob', method: 'GET' }, 11)
    for (const digest of blobsOf(IMAGE)) t.equal(stub.count({ reference: digest }), 1)
  },
)

t.test(
  'prefetch: a manifest from memory whose blobs are gone brings them before they are asked for',
  async t => {
    const { stub, edge } = await startPair(t, { images: { v1: IMAGE } })
    const manifest = `/v2/library/app/manifests/${IMAGE.manifest.digest}`
    for (let n = 0; n < 3; n += 1) t.equal((await edge.get(manifest)).status, 200)
    const pull = () =>
      Promise.all(blobsOf(IMAGE).map(digest => edge.get(`/v2/library/app/blobs/${digest}`)))
    for (const blob of await pull()) t.match(blob, { status: 200, complete: true })
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), 11)
    await edge.untilLogged('fill ended', 11)
    const blobs = join(edge.dataDirectory, 'blobs', 'sha256')
    for (const entry of await readdir(blobs, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) await rm(join(entry.parentPath, entry.name))
    await edge.clock.advance(120_000)
    t.equal((await edge.get(manifest)).status, 200)
    await stub.untilCount({ kind: 'blob', method: 'GET' }, 22)
    t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 1, 'it was given from memory')
    for (const blob of await pull()) t.match(blob, { status: 200, complete: true })
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), 22)
  },
)

/** A bare registry that knows how many connections were ever opened to it. */
async function startCounting(t: Teardown, { isDown = false } = {}) {
  let connections = 0
  const server = createServer((request, response) => {
    const isManifest = request.url?.includes('/manifests/') === true
    if (isDown && request.url?.startsWith('/v2/') === true) {
      request.destroy()
      return
    }
    response.setHeader('content-type', 'application/vnd.oci.image.manifest.v1+json')
    response.end(isManifest ? GOOD_MANIFEST.body : '{}')
  })
  server.on('connection', () => (connections += 1))
  const port = await listen(t, server)
  const url = `http://127.0.0.1:${port}`
  const { upstream, clock } = openUpstream(t, url)
  const getBlob = async (digest: Digest) =>
    readAll((await upstream.getBlob(NAME, digest, { offset: 0 })).body)
  return { server, url, upstream, clock, getBlob, connections: () => connections }
}

t.test('connections for blobs are opened while the manifest is asked for', async t => {
  const { server, upstream, clock, getBlob, connections } = await startCounting(t)
  await upstream.getManifest(NAME, LATEST)
  while (connections() < 13) await once(server, 'connection')
  await Promise.all(blobsOf(IMAGE).map(getBlob))
  t.equal(connections(), 13, 'one for the manifest, twelve that were open already')

  await clock.advance(60_000)
  await upstream.getManifest(NAME, LATEST)
  t.ok(connections() <= 15)
})

t.test('who asks the registry itself for a manifest will ask for no blobs', async t => {
  const { upstream, getBlob, connections } = await startCounting(t)
  await upstream.getManifest(NAME, LATEST, { endpoints: 'registry' })
  await getBlob(IMAGE.config.digest)
  t.equal(connections(), 2)
})

t.test('no connections are opened ahead to a registry that is down', async t => {
  const { url, upstream, connections } = await startCounting(t, { isDown: true })
  const ask = (endpoints: AskedEndpoints) =>
    failureOf(upstream.getManifest(NAME, LATEST, { endpoints, retries: 'if responded' }))
  while (upstream.health().breaker !== 'open') await ask('registry')
  const before = connections()
  t.equal((await ask('all')).failure, 'unavailable')
  await fetch(url)
  t.equal(connections(), before + 1, 'that of the test came next')
})
