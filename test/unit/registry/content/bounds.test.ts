// Goal: what an upstream may make large costs this edge little. Method: the engine over in-memory
// twins that count what is asked of them.
import t from 'tap'
import { type Digest, digestFrom, digestOf } from '../../../../src/oci/digest.ts'
import { isComplete } from '../../../../src/registry/content/completeness.ts'
import type { Edge, RecordedManifest } from '../../../../src/registry/ports/catalog-content.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { makeArtifact, makeImage } from '../../../kit/image.ts'

const app = repositoryOf('library/app')

t.test('the referrers that are here are read a few at a time', async t => {
  let open = 0
  let most = 0
  const { registry, store, catalog } = createEngine({
    policy: { offline: true },
    store: store =>
      around(store, {
        readVerified: readVerified => async digest => {
          open += 1
          most = Math.max(most, open)
          await new Promise(setImmediate)
          open -= 1
          return readVerified(digest)
        },
      }),
  })
  const { manifest: document, descriptor: subject } = makeImage({ seed: 'subject', layers: [10] })
  const count = 200
  for (let n = 0; n < count; n += 1) {
    const { manifest } = makeArtifact({ seed: `referrer ${n}`, subject, artifactType: 'a/b' })
    const digest = digestOf(manifest.bytes)
    await store.put(digest, manifest.bytes, 'cached')
    const { mediaType, bytes } = manifest
    const edges = [edgeTo(digestOf(document.bytes), 'subject')]
    const fact = { digest, mediaType, sizeBytes: bytes.length, edges }
    await catalog.recordManifest({
      repository: app,
      manifest: fact,
      atMs: 1,
    })
  }
  const answer = await registry.listReferrers(app, digestOf(document.bytes), [])
  t.equal(answer.manifests.length, count)
  t.ok(most <= 16, `${most} at once`)
})

t.test('R186: indexes that name each other many times over are looked at once', async t => {
  const { store, catalog, namespaces } = createEngine()
  const missing = digestFrom(`sha256:${'0'.repeat(64)}`) as Digest
  let below = [edgeTo(missing, 'layer')]
  let top: RecordedManifest | undefined
  for (let depth = 0; depth < 4; depth += 1) {
    const bytes = Buffer.from(`index ${depth}`)
    const digest = digestOf(bytes)
    await store.put(digest, bytes, 'cached')
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    top = { digest, mediaType, sizeBytes: bytes.length, edges: below }
    await catalog.recordManifest({
      repository: app,
      manifest: top,
      atMs: 1,
    })
    below = Array.from({ length: 50 }, () => edgeTo(digest, 'manifest'))
  }
  let asked = 0
  const findManifest = catalog.findManifest.bind(catalog)
  catalog.findManifest = (...wanted) => {
    asked += 1
    return findManifest(...wanted)
  }
  t.notOk(await isComplete({ store, catalog, namespaces }, app, top as RecordedManifest))
  t.equal(asked, 3)
})

function edgeTo(child: Digest, kind: Edge['kind']): Edge {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return { child, kind, sizeBytes: 10, mediaType, platform: undefined, distributable: true }
}
