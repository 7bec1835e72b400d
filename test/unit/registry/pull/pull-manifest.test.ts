// Goal: a manifest comes by whichever way is left when one is closed. Method: the engine over
// in-memory twins, with an upstream that is written in the test.
import t from 'tap'
import { RegistryError } from '../../../../src/oci/errors.ts'
import { parseTag } from '../../../../src/oci/reference.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { createEngine, rejection, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { type Digest, digestFrom } from '../../../../src/oci/digest.ts'

const { manifest } = makeImage({ seed: 'unit', layers: [10] })
const digest = digestFrom(manifest.digest)
if (digest === undefined) throw new Error('an image has a digest')
const byTag = { reference: { kind: 'tag', tag: parseTag('v1') }, accept: [] } as const
const byDigest = { reference: { kind: 'digest', digest }, accept: [] } as const
const app = repositoryOf('library/app')
const copy = repositoryOf('library/copy')

const getManifest: Upstream['getManifest'] = async () => ({
  bytes: manifest.bytes,
  mediaType: manifest.mediaType,
  declaredDigest: digest,
  warnings: [],
})
const headManifest: Upstream['headManifest'] = async () => {
  throw new UpstreamError('unsupported', 'HEAD is refused')
}

t.test('R96: where HEAD is refused, a manifest known elsewhere is asked for by GET', async t => {
  const names: string[] = []
  const asked: Upstream['getManifest'] = (name, reference) => {
    names.push(name)
    return getManifest(name, reference)
  }
  const { registry } = createEngine({ upstream: { getManifest: asked, headManifest } })
  await registry.pullManifest(app, byTag)
  t.match(await registry.pullManifest(copy, byDigest), { digest, source: 'miss' })
  t.same(names, [app.name, copy.name])
})

t.test('R96: where HEAD and GET are refused, a manifest known elsewhere is not given', async t => {
  for (const failure of ['denied', 'not-found', 'unsupported'] as const) {
    const closed: Upstream['getManifest'] = async (name, reference) => {
      if (name === copy.name) throw new UpstreamError(failure, 'GET is refused')
      return getManifest(name, reference)
    }
    const { registry } = createEngine({ upstream: { getManifest: closed, headManifest } })
    await registry.pullManifest(app, byTag)
    // The second question is answered from what the first one left behind.
    for (const round of [1, 2]) {
      const refusal = await rejection(registry.pullManifest(copy, byDigest))
      t.type(refusal, RegistryError, `${failure}, ${round}`)
      t.type(await rejection(registry.headManifest(copy, byDigest)), RegistryError)
    }
    t.match(await registry.pullManifest(app, byDigest), { digest, source: 'hit' })
  }
})

t.test(
  'R126: a catalog that cannot forget what is gone does not keep it from being fetched',
  async t => {
    const { registry, catalog, disk, events } = createEngine({ upstream: { getManifest } })
    await registry.pullManifest(app, byTag)
    disk.blobs.clear()
    catalog.forgetContent = async () => {
      throw new StoreError('full', 'the disk is full')
    }
    t.match(await registry.pullManifest(app, byDigest), { digest, source: 'miss' })
    t.match(events, [{ kind: 'storage failed', failure: 'full' }])
  },
)

t.test('R332: the last files are for pushes: a manifest is given then, and not cached', async t => {
  const files = { free: 0, total: 10_000 }
  const wholeBytes = 640 * 1024 * 1024
  const space = async () => ({ freeBytes: wholeBytes, totalBytes: wholeBytes, files })
  const { registry, catalog, events } = createEngine({
    upstream: { getManifest, headManifest },
    store: memory => Object.assign(memory, { space }),
  })
  const isCached = async () => (await catalog.findContent(digest)) !== undefined
  // A tenth is left to others, and half as many to pushes.
  files.free = 1_500
  t.match(await registry.pullManifest(app, byDigest), { digest, bytes: manifest.bytes })
  t.equal(await isCached(), false)
  t.match(events, [{ kind: 'storage failed', failure: 'full', reason: /no room for more files/ }])
  files.free += 1
  await registry.pullManifest(app, byDigest)
  t.equal(await isCached(), true)
  files.free = 0
  t.match(await registry.pullManifest(app, byDigest), { source: 'hit' })
})

t.test('R332: where few files are left, earlier manifests leave for one that comes', async t => {
  const most = 40
  const wholeBytes = 640 * 1024 * 1024
  const images = Array.from({ length: 100 }, (_, at) => makeImage({ seed: `${at}`, layers: [10] }))
  const engine = createEngine({
    upstream: {
      headManifest,
      getManifest: async (_, reference) => {
        const isWanted = (each: Digest) => reference.kind === 'digest' && each === reference.digest
        const image = images.find(each => isWanted(each.manifest.digest))
        return { ...(image ?? { manifest }).manifest, declaredDigest: undefined, warnings: [] }
      },
    },
    store: memory =>
      Object.assign(memory, {
        space: async () => ({
          freeBytes: wholeBytes,
          totalBytes: wholeBytes,
          files: { free: 1_501 + most - engine.disk.blobs.size, total: 10_000 },
        }),
      }),
  })
  const { registry, disk, events } = engine
  for (const { manifest: each } of images) {
    await registry.pullManifest(app, {
      ...byDigest,
      reference: { ...byDigest.reference, digest: each.digest },
    })
    t.ok(disk.blobs.has(each.digest))
    t.ok(disk.blobs.size <= most + 1)
  }
  t.same(
    events.filter(({ kind }) => kind === 'storage failed'),
    [],
  )
})
