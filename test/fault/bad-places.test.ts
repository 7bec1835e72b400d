// Goal: a disk with bad places costs what lies on them, and nothing else: the edge starts, fetches
// anew what can be fetched, and takes a push of what was pushed. Method: the store, and the whole
// edge in process, on an ext4 of which single files are spoiled while nobody has it open, so that
// the kernel itself fails to look at them or to read them.
import t, { type Test } from 'tap'
import { join } from 'node:path'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { type Content, patternBlob } from '../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import type { LogLine } from '../kit/worlds/http-app.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { manifestOver } from '../kit/clients/push-client.ts'
import { mountSmallDisk, type SmallDisk } from '../kit/disk/small-disk.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { isSameFile, openRegularFile } from '../../src/store/filesystem/read-handle.ts'
import { blobPath, digestBy, storeDirectory } from '../kit/disk/store-directory.ts'

/** Room for a catalog with its log, and a few blobs. */
const DISK_MIB = 96
const APP = '/v2/localhost/app/blobs'

async function mount(t: Test): Promise<SmallDisk> {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  return disk
}

t.test('R749: a listing passes over a file that cannot be looked at, and tells of it', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  const store = await directory.open()
  const digests = []
  for (let count = 0; count < 20; count += 1) {
    const bytes = Buffer.from(`blob ${count}`)
    digests.push(digestBy('sha256', bytes))
    await store.put(digestBy('sha256', bytes), bytes, 'cached')
  }
  const [bad, ...good] = digests
  if (bad === undefined) throw new Error('there are twenty')
  await disk.spoil([directory.blobPath(bad)], 'file')
  const listed = []
  for await (const { digest } of (await directory.open()).list()) listed.push(digest)
  t.same(listed.sort(), good.sort())
  const told = { kind: 'storage failed', failure: 'io', reason: bad, hint: /dmesg/ }
  t.match(directory.events, [told])
})

t.test('R746: what a file cannot say that lies in the way of a start is passed over', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  await directory.open()
  const inTheWay = ['tmp/left', 'fills/left', 'uploads/left', 'quarantine/left', 'facts/left']
  for (const name of inTheWay) writeFileSync(join(directory.root, name), 'left')
  await disk.spoil(
    inTheWay.map(name => join(directory.root, name)),
    'file',
  )
  await directory.open()
  for (const name of inTheWay.slice(0, 3))
    t.ok(
      directory.events.some(event => 'reason' in event && event.reason?.includes(name)),
      name,
    )
})

t.test('R746: an edge starts though the disk cannot look at one of its files', async t => {
  const disk = await mount(t)
  const first = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  const [lost, left] = [patternBlob('lost', 5_000), patternBlob('left', 5_000)]
  for (const blob of [lost, left]) await pushBlob(first, 'localhost/app', blob.bytes())
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, lost.digest)], 'file')
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  t.ok((await edge.get(`${APP}/${left.digest}`)).body.equals(left.bytes()))
  t.equal((await edge.get(`${APP}/${lost.digest}`)).status, 503, 'nobody says that it is gone')
  t.equal((await edge.send('HEAD', `${APP}/${lost.digest}`)).status, 404)
  const told = edge.lines().filter(({ msg }) => msg === 'storage failed')
  t.match(told, [{ reason: lost.digest, failure: 'io' }, { reason: lost.digest }])
  t.not((await pushBlob(edge, 'localhost/app', lost.bytes())).status, 201, 'it cannot be replaced')
})

t.test('R746: what was cached there is given from its upstream, and nothing is kept', async t => {
  const disk = await mount(t)
  const { edge: first, stub } = await startPair(t, { edge: { directory: disk.path } })
  const blob = patternBlob('cached', 50_000)
  stub.addBlob('library/app', blob)
  await first.get(`${BLOBS}/${blob.digest}`)
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, blob.digest)], 'file')
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, directory: disk.path })
  for (let count = 0; count < 3; count += 1) {
    const answer = await edge.get(`${BLOBS}/${blob.digest}`)
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(blob.bytes()))
  }
})

/** Kept in memory once asked for twice; sent by reading; sent by the kernel, and open still. */
const SIZES = { small: 700, middling: 30_000, large: 6 * 1024 * 1024 }

interface Spoilt {
  readonly digests: readonly string[]
  readonly what?: 'file' | 'bytes'
  readonly config?: Readonly<Record<string, unknown>>
  readonly isCatalogLost?: boolean
}

/** An edge that has pulled it, and starts again once the disk cannot read it any more. */
async function pulledAndSpoilt(
  t: Test,
  image: Image,
  { digests, what = 'bytes', config = {}, isCatalogLost = false }: Spoilt,
) {
  const disk = await mount(t)
  const entry = { prefetch: false }
  const images = { v1: image }
  const { edge: first, stub } = await startPair(t, {
    images,
    entry,
    edge: { directory: disk.path },
  })
  await first.get(`${MANIFESTS}/v1`)
  for (const { digest } of [image.config, ...image.layers]) await first.get(`${BLOBS}/${digest}`)
  await first.stop()
  await disk.spoil(
    digests.map(digest => blobPath(first.dataDirectory, digest)),
    what,
  )
  if (isCatalogLost)
    for (const name of readdirSync(first.dataDirectory))
      if (name.startsWith('catalog.db')) rmSync(join(first.dataDirectory, name))
  const upstreams = { 'docker.io': { url: stub.url, ...entry } }
  const options = { upstreams, directory: disk.path, config }
  return { disk, stub, options, edge: await startTestEdge(t, options) }
}

t.test('R747: cached content that cannot be read is fetched again, for who asks', async t => {
  const image = makeImage({ seed: 'bad', layers: Object.values(SIZES) })
  const all = [...image.layers, image.manifest].map(({ digest }) => digest)
  const { edge, stub } = await pulledAndSpoilt(t, image, { digests: all })
  for (let count = 0; count < 3; count += 1) {
    const manifest = await edge.get(`${MANIFESTS}/v1`)
    t.match(manifest, { status: 200, complete: true })
    t.ok(manifest.body.equals(image.manifest.bytes))
    for (const { digest, bytes } of image.layers) {
      const answer = await edge.get(`${BLOBS}/${digest}`)
      t.match(answer, { status: 200, complete: true })
      t.ok(answer.body.equals(bytes()), digest)
    }
  }
  // Once before, and once for all three times.
  t.equal(stub.count({ kind: 'blob', method: 'GET' }), 7)
  t.equal((await filesIn(edge, 'quarantine')).length, 4)
  t.equal(edge.lines().filter(line => isTold(line, all)).length, 1, 'one line a minute')
})

t.test('R747: a range of it, too, from where the client wants it', async t => {
  const image = makeImage({ seed: 'bad range', layers: [SIZES.large, SIZES.large] })
  const all = image.layers.map(({ digest }) => digest)
  const { edge } = await pulledAndSpoilt(t, image, { digests: all })
  const ranges = ['bytes=1000000-', 'bytes=2000000-2000010']
  for (const [at, { digest, bytes }] of image.layers.entries()) {
    const [first = '', last] = (ranges[at] ?? '').slice('bytes='.length).split('-')
    // It is far ahead of the fill, which is waited for before.
    const asked = edge.get(`${BLOBS}/${digest}`, { range: ranges[at] ?? '' })
    const answer = await edge.settle(asked)
    t.match(answer, { status: 206, complete: true })
    const end = last ? Number(last) + 1 : undefined
    t.ok(answer.body.equals(bytes().subarray(Number(first), end)))
  }
})

t.test('R747: without its upstream it is an error, and no half of it', async t => {
  const image = makeImage({ seed: 'bad alone', layers: [SIZES.large] })
  const [layer] = image.layers as [Content]
  const { edge, stub } = await pulledAndSpoilt(t, image, { digests: [layer.digest] })
  await stub.stop()
  const answer = await edge.settle(edge.get(`${BLOBS}/${layer.digest}`))
  t.ok(answer.status >= 500, `${answer.status}`)
})

for (const [size, sizeBytes] of Object.entries(SIZES))
  t.test(`R748: a ${size} pushed blob that could not be read is pushed anew`, async t => {
    const disk = await mount(t)
    const options = { upstreams: NO_UPSTREAM, directory: disk.path }
    const first = await startTestEdge(t, options)
    const image = makeImage({ seed: `kept ${size}`, layers: [sizeBytes] })
    const [layer] = image.layers as [Content]
    const push = async (edge: TestEdge) => {
      const { mediaType, bytes } = image.manifest
      const headers = { 'content-type': mediaType }
      return edge.send('PUT', '/v2/localhost/app/manifests/v1', { headers, body: bytes })
    }
    for (const blob of [image.config, layer]) await pushBlob(first, 'localhost/app', blob.bytes())
    t.equal((await push(first)).status, 201)
    await first.stop()
    await disk.spoil([blobPath(first.dataDirectory, layer.digest)], 'bytes')
    const edge = await startTestEdge(t, options)
    const path = `${APP}/${layer.digest}`
    t.equal((await edge.settle(edge.get(path))).status, 503, 'nobody else has it')
    t.ok(edge.lines().some(line => isTold(line, [layer.digest])))
    t.same(await filesIn(edge, 'quarantine'), [], 'the disk may have failed for a moment')
    t.equal((await edge.settle(edge.get(path))).status, 503)
    t.equal((await edge.send('HEAD', path)).status, 404)
    const mounting = `/v2/localhost/other/blobs/uploads/?mount=${layer.digest}&from=localhost/app`
    t.equal((await edge.send('POST', mounting)).status, 202, 'it cannot be mounted')
    const refused = await push(edge)
    t.match(refused, { status: 400 })
    t.match(refused.body.toString(), /MANIFEST_BLOB_UNKNOWN/)
    t.equal((await pushBlob(edge, 'localhost/app', layer.bytes())).status, 201)
    t.equal((await push(edge)).status, 201)
    t.equal((await edge.send('HEAD', path)).status, 200)
    t.ok((await edge.get(path)).body.equals(layer.bytes()))
    // The next process reads it from the disk as well.
    await edge.stop()
    const next = await startTestEdge(t, options)
    t.ok((await next.get(path)).body.equals(layer.bytes()))
  })

t.test('R791: nor is a push told that cached content is here which could not be read', async t => {
  // More than are moved out of the way in a minute.
  const image = makeImage({
    seed: 'many',
    layers: Array.from({ length: 10 }, (_, at) => 5_000 + at),
  })
  const digests = image.layers.map(({ digest }) => digest)
  const config = { repositories: [{ match: 'docker.io/**', push: 'queue' }] }
  const { edge, stub } = await pulledAndSpoilt(t, image, { digests, config })
  await stub.stop()
  for (const digest of digests) await edge.settle(edge.get(`${BLOBS}/${digest}`))
  t.equal((await filesIn(edge, 'quarantine')).length, 8, 'two stay where they are')
  const last = image.layers[9] as Content
  t.not((await edge.settle(edge.send('HEAD', `${BLOBS}/${last.digest}`))).status, 200)
  const small = patternBlob('config', 20)
  t.equal((await pushBlob(edge, 'docker.io/library/app', small.bytes())).status, 201)
  const manifest = manifestOver(small.bytes(), [last.bytes()])
  const put = () =>
    edge.send('PUT', `${MANIFESTS}/v2`, {
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
    })
  t.match((await edge.settle(put())).body.toString(), /MANIFEST_BLOB_UNKNOWN/)
  t.equal((await pushBlob(edge, 'docker.io/library/app', last.bytes())).status, 201)
  t.equal((await edge.settle(put())).status, 201)
  t.ok((await edge.get(`${BLOBS}/${last.digest}`)).body.equals(last.bytes()))
})

t.test('R792: a start while the disk cannot look at anything forgets nothing', async t => {
  const image = makeImage({ seed: 'hiccup', layers: [4_000, 5_000] })
  const { manifest, layers } = image
  const all = [image.config, ...layers].map(({ digest }) => digest)
  const { disk, edge, stub, options } = await pulledAndSpoilt(t, image, {
    digests: [manifest.digest, ...all],
    what: 'file',
  })
  await stub.stop()
  const failed = await edge.settle(edge.get(`${MANIFESTS}/${manifest.digest}`))
  t.ok(failed.status >= 500, `${failed.status}`)
  await edge.stop()
  await disk.heal()
  const next = await startTestEdge(t, options)
  const path = `${MANIFESTS}/${manifest.digest}`
  t.ok((await next.settle(next.get(path))).body.equals(manifest.bytes))
  for (const { digest, bytes } of layers)
    t.ok((await next.get(`${BLOBS}/${digest}`)).body.equals(bytes()), digest)
  t.match(
    next.lines().find(({ msg }) => msg === 'storage failed'),
    undefined,
  )
})

t.test('R792: a file without a row is counted once the disk can look at it', async t => {
  const image = makeImage({ seed: 'adopted late', layers: [4_000] })
  const [layer] = image.layers as [Content]
  const { disk, edge, options } = await pulledAndSpoilt(t, image, {
    digests: [layer.digest],
    what: 'file',
    isCatalogLost: true,
  })
  t.match(await edge.untilLogged('files without rows were not adopted'), { hint: /not counted/ })
  await edge.stop()
  await disk.heal()
  const next = await startTestEdge(t, options)
  t.match(await next.untilLogged('files without rows were adopted'), { files: 1 })
})

t.test('R748: a file in the inode of one that could not be read is another file', async t => {
  const { path } = await mount(t)
  const file = join(path, 'blob')
  const opened = async (text: string) => {
    writeFileSync(file, text)
    const found = await openRegularFile(file)
    await found?.file.close()
    if (found === undefined) throw new Error('it was written')
    return found.identity
  }
  const before = await opened('cannot be read')
  t.ok(isSameFile(before, await opened('the same, written over')))
  rmSync(file)
  const behind = await opened('pushed anew')
  t.equal(behind.ino, before.ino, 'ext4 gives its number out again')
  t.notOk(isSameFile(before, behind))
})

t.test('R748: a pushed manifest, too', async t => {
  const disk = await mount(t)
  const options = { upstreams: NO_UPSTREAM, directory: disk.path }
  const first = await startTestEdge(t, options)
  const { config, layers, manifest } = makeImage({ seed: 'kept manifest', layers: [10] })
  const { digest, mediaType, bytes } = manifest
  for (const blob of [config, ...layers]) await pushBlob(first, 'localhost/app', blob.bytes())
  const path = `/v2/localhost/app/manifests/${digest}`
  const push = (edge: TestEdge) =>
    edge.send('PUT', path, { headers: { 'content-type': mediaType }, body: bytes })
  t.equal((await push(first)).status, 201)
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, digest)], 'bytes')
  const edge = await startTestEdge(t, options)
  t.equal((await edge.get(path)).status, 503)
  t.equal((await push(edge)).status, 201)
  t.ok((await edge.get(path)).body.equals(bytes))
})

/** By a name at which nobody pushes. */
const STRANGER = { host: 'edge.example:5000' }

t.test(
  'R772: HEAD of what cannot be read lets a push through, and tells others no lie',
  async t => {
    const disk = await mount(t)
    const options = { upstreams: NO_UPSTREAM, directory: disk.path }
    const first = await startTestEdge(t, options)
    const { config, layers, manifest } = makeImage({ seed: 'head first', layers: [SIZES.middling] })
    const [layer] = layers as [Content]
    for (const blob of [config, layer]) await pushBlob(first, 'localhost/app', blob.bytes())
    const path = '/v2/localhost/app/manifests/v1'
    const pushed = { headers: { 'content-type': manifest.mediaType }, body: manifest.bytes }
    t.equal((await first.send('PUT', path, pushed)).status, 201)
    await first.stop()
    const bad = [manifest, layer].map(({ digest }) => blobPath(first.dataDirectory, digest))
    await disk.spoil(bad, 'bytes')
    const edge = await startTestEdge(t, options)
    const byDigest = `/v2/localhost/app/manifests/${manifest.digest}`
    const status = async (method: string, at: string, headers = {}) =>
      (await edge.settle(edge.send(method, at, { headers }))).status
    for (const at of [path, byDigest, `${APP}/${layer.digest}`])
      t.equal(await status('GET', at), 503, 'nobody else has it')
    for (const at of [path, byDigest, `${APP}/${layer.digest}`]) {
      t.equal(await status('HEAD', at), 404, 'whoever may push it is to do so')
      t.not(await status('HEAD', at, STRANGER), 404, 'it is not gone')
    }
    // As clients do that ask first.
    t.equal((await pushBlob(edge, 'localhost/app', layer.bytes())).status, 201)
    t.equal((await edge.send('PUT', path, pushed)).status, 201)
    for (const at of [path, byDigest, `${APP}/${layer.digest}`])
      for (const headers of [{}, STRANGER]) t.equal(await status('HEAD', at, headers), 200)
    t.ok((await edge.get(path)).body.equals(manifest.bytes))
  },
)

const UNLOOKED = makeImage({ seed: 'unlooked', layers: [SIZES.middling] })
for (const [of, path] of Object.entries({
  'this edge': 'localhost/app',
  Hub: 'docker.io/team/app',
}))
  t.test(
    `R766: what was pushed to ${of}, and cannot be looked at, is 503 to who pulls`,
    async t => {
      const disk = await mount(t)
      const { config, layers, manifest } = UNLOOKED
      const [layer] = layers as [Content]
      // The upstream does not have it, and says so.
      const stub = await startStub(t)
      const upstreams = { 'docker.io': { url: stub.url } }
      const stored = { repositories: [{ match: 'docker.io/**', push: 'store' }] }
      const options = { upstreams, directory: disk.path, config: stored }
      const first = await startTestEdge(t, options)
      for (const blob of [config, layer]) await pushBlob(first, path, blob.bytes())
      const headers = { 'content-type': manifest.mediaType }
      const put = { headers, body: manifest.bytes }
      t.equal((await first.send('PUT', `/v2/${path}/manifests/v1`, put)).status, 201)
      await first.stop()
      const bad = [manifest, layer].map(({ digest }) => blobPath(first.dataDirectory, digest))
      await disk.spoil(bad, 'file')
      const edge = await startTestEdge(t, options)
      const all = ['manifests/v1', `manifests/${manifest.digest}`, `blobs/${layer.digest}`]
      const statuses = async (method: string, asked = {}) => {
        const found = []
        for (const each of all)
          found.push(
            (await edge.settle(edge.send(method, `/v2/${path}/${each}`, { headers: asked })))
              .status,
          )
        return found
      }
      t.same(await statuses('GET'), [503, 503, 503])
      t.same(await statuses('GET', STRANGER), [503, 503, 503])
      t.same(await statuses('HEAD'), [404, 404, 404], 'whoever may push it is to do so')
      t.notOk((await statuses('HEAD', STRANGER)).includes(404), 'it is not gone')
      const asManifest = `/v2/${path}/manifests/${layer.digest}`
      t.equal((await edge.settle(edge.get(asManifest))).status, 404, 'it never was one')
      const elsewhere = `/v2/${path}-2/blobs/${layer.digest}`
      t.equal((await edge.settle(edge.get(elsewhere))).status, 404, 'it never was there')
    },
  )

function isTold({ msg, failure, reason }: LogLine, digests: readonly string[]): boolean {
  const isUnread = msg === 'storage failed' && failure === 'io'
  return isUnread && digests.some(digest => String(reason).startsWith(`${digest} cannot be read`))
}

t.test('R783: a cached manifest that cannot be read is 503 while its upstream is away', async t => {
  const image = makeImage({ seed: 'bad', layers: [700] })
  const { edge, stub } = await pulledAndSpoilt(t, image, { digests: [image.manifest.digest] })
  stub.fault({}, { dropConnection: true })
  for (const reference of ['v1', image.manifest.digest]) {
    const answer = await edge.settle(edge.get(`${MANIFESTS}/${reference}`))
    t.match(answer, { status: 503, headers: { 'retry-after': /^\d+$/ } })
    t.match(answer.body.toString(), /UNAVAILABLE.*cannot be reached/)
  }
  stub.clearFaults()
  await edge.pass(120_000)
  t.equal((await edge.settle(edge.get(`${MANIFESTS}/v1`))).status, 200)
})
