// Goal: pushed content whose file is gone is missed aloud, is not there for who pushes, and is
// served again once its bytes are back. Method: the engine over in-memory twins; files are taken
// away behind its back.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { aroundFills } from '../../../kit/around.ts'
import { blobAnswer, createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { digested, pushImage, tagged } from '../../../kit/clients/push-image.ts'

const app = localOf('team/app')
const proxied = repositoryOf('team/app')
const image = makeImage({ seed: 'lost', layers: [10] })
const { manifest, config } = image

t.test(
  'a pull of pushed content that is gone tells the operator, and nothing is forgotten',
  async t => {
    const { registry, disk, events, catalog } = createEngine()
    await pushImage(registry, app, image, 'v1')
    const left = new Map(disk.blobs)
    disk.blobs.clear()
    events.length = 0
    const told = (digest: string) => [
      { kind: 'storage failed', failure: 'corrupt', reason: digest },
    ]
    await t.rejects(registry.pullManifest(app, tagged('v1')), { code: 'MANIFEST_UNKNOWN' })
    t.match(events.splice(0), told(manifest.digest))
    await t.rejects(registry.pullBlob(app, config.digest), { code: 'BLOB_UNKNOWN' })
    t.match(events.splice(0), told(config.digest))
    await t.rejects(registry.headBlob(app, config.digest), { code: 'BLOB_UNKNOWN' })
    t.ok(await catalog.findManifest(app, manifest.digest))
    for (const [digest, bytes] of left) disk.blobs.set(digest, bytes)
    t.same((await registry.pullManifest(app, tagged('v1'))).bytes, manifest.bytes)
    t.match(await registry.pullManifest(app, digested(manifest.digest)), {
      digest: manifest.digest,
    })
  },
)

t.test('R792: what is asked for while the disk cannot look is there once it can', async t => {
  const outage = { is: false }
  const { registry, disk, catalog } = createEngine({
    upstream: {
      getManifest: async () => {
        if (outage.is) throw new UpstreamError('unavailable', 'not now')
        return { ...manifest, declaredDigest: manifest.digest, warnings: [] }
      },
      getBlob: async () => {
        if (outage.is) throw new UpstreamError('unavailable', 'not now')
        return blobAnswer([config.bytes()])
      },
    },
  })
  const pull = async () => {
    t.same((await registry.pullManifest(proxied, digested(manifest.digest))).bytes, manifest.bytes)
    await (await registry.pullBlob(proxied, config.digest)).close()
    await registry.settled(config.digest)
  }
  await pull()
  outage.is = true
  disk.isUnreadable = true
  const unavailable = { code: 'UNAVAILABLE' }
  await t.rejects(registry.pullManifest(proxied, digested(manifest.digest)), unavailable)
  await t.rejects(registry.pullBlob(proxied, config.digest), unavailable)
  disk.isUnreadable = false
  for (const { digest } of [manifest, config]) t.ok(await catalog.findContent(digest), 'its row')
  await pull()
  t.same(await catalog.listLoose({ limit: 9 }), [])
})

t.test('R12: a push brings back what was gone', async t => {
  const { registry, disk } = createEngine()
  await pushImage(registry, app, image, 'v1')
  disk.blobs.clear()
  await pushImage(registry, app, image, 'v1')
  t.same((await registry.pullManifest(app, tagged('v1'))).bytes, manifest.bytes)
  await (await registry.pullBlob(app, config.digest)).close()
})

t.test('pushed content that an upstream gives back is as durable as it was', async t => {
  const bytes = Buffer.from('pushed here, and there upstream')
  const digest = digestOf(bytes)
  const classes: string[] = []
  const watched = (store: BlobStore): BlobStore =>
    aroundFills(store, {
      commit: commit => contentClass => {
        classes.push(contentClass)
        return commit(contentClass)
      },
    })
  const { registry, disk, catalog, store } = createEngine({
    store: watched,
    upstream: { getBlob: async () => blobAnswer([bytes]) },
  })
  const blob = { repository: proxied, digest, sizeBytes: bytes.length, atMs: 1 } as const
  await store.put(digest, bytes, 'kept')
  await catalog.recordBlob({ ...blob, hold: 'awaited' })
  disk.blobs.clear()
  const answer = await registry.pullBlob(proxied, digest)
  for await (const _ of answer.read(
    { first: 0, last: bytes.length - 1 },
    new AbortController().signal,
  ));
  await answer.close()
  await registry.settled(digest)
  t.same(classes, ['kept'])
  t.ok(disk.blobs.get(digest))
})
