// The part of the catalog contract about what clients delete (R118).
// Method: only the port is used; everything is asked for in the repository that it was deleted from and in one that keeps it.
import type { Test } from 'tap'
import { parseTag } from '../../src/oci/reference.ts'
import {
  alpine,
  deliveryNamed,
  digestNamed,
  latest,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pushOf,
  secret,
} from './catalog-samples.ts'

const stable = parseTag('stable')

export function deletesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test(
    'R118: a tag that a client deletes goes, local or not, and its delivery with it',
    async t => {
      const catalog = await makeCatalog(t)
      const delivery = deliveryNamed(catalog.sequence(), alpine)
      await catalog.recordPush(pushOf('m', { delivery }))
      await catalog.recordTag(alpine, stable, digestNamed('m'), { checkedAtMs: 1 })
      await catalog.deleteTag(secret, latest)
      await catalog.deleteTag(alpine, stable)
      t.match(await catalog.listTags(alpine, { limit: 9 }), [{ tag: latest }])
      t.ok(await catalog.findDelivery(delivery.id))
      await catalog.deleteTag(alpine, latest, { dropDeliveries: [delivery.id, 999] })
      t.strictSame(await catalog.listTags(alpine, { limit: 9 }), [])
      t.equal(await catalog.findDelivery(delivery.id), undefined)
      t.ok(await catalog.findManifest(alpine, digestNamed('m')), 'the manifest stays')
      await catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 50 })
      t.match(await catalog.findTag(alpine, latest), { digest: digestNamed('x'), local: false })
    },
  )

  t.test('R118: a delete leaves its other work to an entry, at once or not at all', async t => {
    const catalog = await makeCatalog(t)
    const [first, second] = [catalog.sequence(), catalog.sequence()]
    for (const id of [first, second])
      await catalog.recordPush(pushOf(`m${id}`, { delivery: deliveryNamed(id, alpine) }))
    const rest = (payload: string) => ({ changeDeliveries: [{ id: first, payload }] })
    await t.rejects(catalog.deleteTag(alpine, latest, rest('x'.repeat(70_000))), {
      name: 'StoreError',
    })
    t.ok(await catalog.findTag(alpine, latest), 'a payload that is too long is refused, and all')
    await catalog.deleteTag(alpine, latest, { ...rest('a'), dropDeliveries: [second] })
    t.match(await catalog.findDelivery(first), { payload: 'a', state: 'waiting' })
    t.equal(await catalog.findDelivery(second), undefined)
    await catalog.removeMember(alpine, digestNamed('nothing'), rest('b'))
    t.match(await catalog.findDelivery(first), { payload: 'b' })
  })

  t.test('R118: content is taken out of one repository with the tags that point to it', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    const delivery = deliveryNamed(catalog.sequence(), alpine)
    const previous = { digest: manifest.digest, checkedAtMs: 1 }
    const elsewhere = [digestNamed('layer')]
    await catalog.recordPush(pushOf('m', { manifest, delivery, elsewhere }))
    await catalog.recordPush(pushOf('m', { manifest, repository: secret }))
    await catalog.recordTag(alpine, stable, manifest.digest, { checkedAtMs: 1 })
    await catalog.recordTag(alpine, parseTag('other'), digestNamed('o'), {
      checkedAtMs: 1,
      previous,
    })
    await catalog.removeMember(alpine, manifest.digest, { dropDeliveries: [delivery.id] })
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
    t.equal(await catalog.isMember(alpine, manifest.digest), false)
    t.strictSame(await catalog.listTags(alpine, { limit: 9 }), [
      {
        tag: parseTag('other'),
        digest: digestNamed('o'),
        checkedAtMs: 1,
        changedAtMs: 1,
        previous,
        local: false,
      },
    ])
    t.equal(await catalog.isMember(alpine, digestNamed('layer')), true, 'what it lists stays')
    t.strictSame(await catalog.findManifest(secret, manifest.digest), manifest)
    t.match(await catalog.findTag(secret, latest), { digest: manifest.digest })
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [])
    t.match(await catalog.totals(), { repositories: 2, tags: 2, manifests: 1 })
    await catalog.deleteTag(alpine, parseTag('other'))
    t.match(await catalog.totals(), { repositories: 1, tags: 1 })
  })

  t.test('removing what is no member changes nothing', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordTag(alpine, latest, digestNamed('m'), { checkedAtMs: 1 })
    const delivery = deliveryNamed(catalog.sequence(), alpine)
    await catalog.recordDelivery(delivery)
    await catalog.removeMember(alpine, digestNamed('m'), { dropDeliveries: [delivery.id] })
    await catalog.removeMember(secret, digestNamed('never seen'))
    t.ok(await catalog.findTag(alpine, latest))
    t.equal(await catalog.findDelivery(delivery.id), undefined, 'but for the deliveries')
  })

  t.test('what was deleted below an index comes back with a new parent only', async t => {
    const catalog = await makeCatalog(t)
    const index = manifestNamed('index', [layerEdge('child', { kind: 'manifest' })])
    const record = { repository: alpine, contentClass: 'kept', atMs: 1 } as const
    const isMember = () => catalog.isMember(alpine, digestNamed('child'))
    await catalog.recordManifest({ ...record, manifest: index })
    await catalog.removeMember(alpine, digestNamed('child'))
    await catalog.recordManifest({ ...record, manifest: index })
    await catalog.recordPush(pushOf('index', { manifest: index }))
    await catalog.recordMember(alpine, index.digest, 1)
    t.equal(await isMember(), false)
    const other = manifestNamed('other index', [layerEdge('child', { kind: 'manifest' })])
    await catalog.recordManifest({ ...record, manifest: other })
    t.equal(await isMember(), true)
  })
}
