// Goal: what a push waits for is kept with it, whatever is delivered elsewhere meanwhile. Method:
// the engine over in-memory twins; deliveries end right before the catalog records a push.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { pushDocument, pushImage, pushParts } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'

const image = makeImage({ seed: 'child', layers: [10, 20] })
const index = makeIndex([image])
const blobs = [image.config, ...image.layers]

/** A catalog that has `act` done before it records a push to `local`. */
function beforePush(local: Repository, act: () => Promise<void>) {
  return (port: Catalog) =>
    around(port, {
      recordPush: recordPush => async push => {
        if (repositoryKey(push.repository) === repositoryKey(local)) await act()
        await recordPush(push)
      },
    })
}

t.test('what was kept for another queue and is delivered during a push is kept for it', async t => {
  const [first, second] = [repositoryOf('team/first'), repositoryOf('team/second')]
  let deliver = async () => {}
  const { registry, catalog, clock } = createEngine({
    policies: everywhere({ push: 'queue' }),
    catalog: beforePush(second, () => deliver()),
  })
  await pushImage(registry, first, image, 'v1')
  await pushImage(registry, second, image, 'v1')
  const settle = async (repository: Repository) => {
    for (const { id } of await catalog.listDeliveriesOf(repositoryKey(repository)))
      await catalog.removeDelivery(id, {
        repository,
        digest: image.manifest.digest,
        tags: [],
        atMs: clock.nowMs(),
      })
  }
  await settle(second)
  deliver = () => settle(first)
  await pushDocument(registry, second, { document: index.manifest, reference: 'all' })
  for (const { digest } of [image.manifest, ...blobs]) {
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
    t.same(await catalog.holdsOf(second, digest), ['undelivered'])
  }
})

t.test('what is delivered elsewhere during a push stays kept for it', async t => {
  const [local, queued] = [localOf('app'), repositoryOf('team/app')]
  const mine = makeImage({ seed: 'child', layers: [10] })
  const [layer] = mine.layers
  t.ok(layer)
  let delivered = async () => {}
  const { registry, catalog, clock } = createEngine({
    policies: [{ match: 'docker.io/team/**', push: 'queue' }],
    catalog: beforePush(local, () => delivered()),
  })
  await pushImage(registry, queued, image, 'v1')
  await pushParts(registry, local, mine)
  // The push for which it was brought here never ended.
  const pending = { repository: local, acknowledgedAtMs: clock.nowMs() }
  await catalog.expirePendingBlob({ ...pending, digest: layer?.digest as Digest })
  delivered = async () => {
    for (const { id } of await catalog.listDeliveries({ limit: 10 }))
      await catalog.removeDelivery(id, {
        repository: queued,
        digest: image.manifest.digest,
        tags: [],
        atMs: clock.nowMs(),
      })
  }
  await pushDocument(registry, local, { document: mine.manifest })
  t.match(await catalog.findContent(image.manifest.digest), { contentClass: 'cached' })
  t.match(await catalog.findContent(layer?.digest as Digest), { contentClass: 'kept' })
  t.same(await catalog.holdsOf(local, layer?.digest as Digest), ['pushed'])
  t.notOk(await catalog.isPending(local, layer?.digest as Digest), 'and is promised to nobody')
})
