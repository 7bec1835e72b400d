// Goal: a manifest comes by whichever way is left when one is closed. Method: the engine over in-memory twins, with an upstream that
// is written in the test.
import t from 'tap'
import { parseTag } from '../../../src/oci/reference.ts'
import { StoreError } from '../../../src/registry/ports/blob-store.ts'
import { type Upstream, UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { createEngine, repositoryOf } from '../../kit/engine.ts'
import { makeImage } from '../../kit/image.ts'
import { digestFrom } from '../../../src/oci/digest.ts'

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
  const { registry } = createEngine({ upstream: { getManifest, headManifest } })
  await registry.pullManifest(app, byTag)
  t.match(await registry.pullManifest(copy, byDigest), { digest, source: 'miss' })
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
