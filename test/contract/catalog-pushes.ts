// The part of the catalog contract about what clients push, and about numbers that never come
// twice. Method: only the port is used; times are made up.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { LOCALHOST, parseRepositoryKey, parseTag, type Tag } from '../../src/oci/reference.ts'
import type { NewDelivery } from '../../src/registry/ports/outbox.ts'
import {
  alpine,
  blobOf,
  deliveryNamed,
  digestNamed,
  latest,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

const stable = parseTag('stable')

export function pushesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test(
    'R179: a push is there with everything that follows from it, and again is the same',
    async t => {
      const catalog = await makeCatalog(t)
      const manifest = manifestNamed('m', [layerEdge('layer')])
      const delivery = deliveryNamed(catalog.sequence(), alpine)
      const push = pushOf('m', { manifest, tags: [latest, stable], delivery })
      const seen = async () => ({
        manifest: await catalog.findManifest(alpine, manifest.digest),
        content: await catalog.findContent(manifest.digest),
        elsewhere: await isMemberOf(catalog, secret, manifest.digest),
        tags: await catalog.listTags(alpine, { limit: 9 }),
        deliveries: await catalog.listDeliveries({ limit: 9 }),
        totals: await catalog.totals(),
      })
      await catalog.recordPush(push)
      const once = await seen()
      const tag = { digest: manifest.digest, checkedAtMs: 10, changedAtMs: 10, local: true }
      t.match(once, {
        manifest,
        content: { contentClass: 'kept' },
        elsewhere: false,
        tags: [
          { tag: latest, ...tag, previous: undefined },
          { tag: stable, ...tag, previous: undefined },
        ],
        deliveries: [{ id: delivery.id, state: 'waiting' }],
        totals: { repositories: 1, tags: 2, manifests: 1 },
      })
      await catalog.recordPush(push)
      t.strictSame(await seen(), once)
    },
  )

  t.test('a push by digest alone leaves the tags as they are', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordPush(pushOf('m', { tags: [] }))
    t.strictSame(await catalog.listTags(alpine, { limit: 9 }), [])
    t.ok(await catalog.findManifest(alpine, digestNamed('m')))
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [])
  })

  t.test(
    'a pushed tag forgets what an upstream said: whatever it was, nothing is previous',
    async t => {
      const catalog = await makeCatalog(t)
      const previous = { digest: digestNamed('one'), checkedAtMs: 1 }
      await catalog.recordTag(alpine, latest, digestNamed('one'), { checkedAtMs: 1 })
      await catalog.recordTag(alpine, latest, digestNamed('two'), { checkedAtMs: 2, previous })
      await catalog.recordPush(pushOf('three', { hold: 'nothing' }))
      const recorded = {
        tag: latest,
        digest: digestNamed('three'),
        checkedAtMs: 10,
        changedAtMs: 10,
        previous: undefined,
        local: false,
      }
      t.strictSame(await catalog.findTag(alpine, latest), recorded)
      await catalog.recordPush(pushOf('three', { atMs: 20 }))
      t.strictSame(
        await catalog.findTag(alpine, latest),
        { ...recorded, checkedAtMs: 20, local: true },
        'pushed again, it changed no later than before',
      )
      await catalog.recordPush(pushOf('four', { atMs: 30 }))
      t.match(
        await catalog.findTag(alpine, latest),
        { digest: digestNamed('four'), changedAtMs: 30 },
        'the last push wins over a local tag too',
      )
    },
  )

  t.test('what an upstream answers while a client pushes does not take the push back', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordPush(pushOf('pushed'))
    const before = await catalog.findTag(alpine, latest)
    const upstream = manifestNamed('upstream')
    const previous = { digest: digestNamed('old'), checkedAtMs: 1 }
    await catalog.recordTag(alpine, latest, upstream.digest, { checkedAtMs: 99, previous })
    await catalog.recordTag(alpine, latest, digestNamed('pushed'), { checkedAtMs: 99 })
    await catalog.forgetTag(alpine, latest)
    await catalog.recordManifest(pullOf(upstream, { tag: latest, atMs: 99 }))
    t.strictSame(await catalog.findTag(alpine, latest), before)
    t.strictSame(await catalog.findManifest(alpine, upstream.digest), upstream, 'the rest is kept')
    t.match(await catalog.totals(), { tags: 1, manifests: 2 })
    await catalog.recordTag(secret, latest, upstream.digest, { checkedAtMs: 99 })
    t.match(await catalog.findTag(secret, latest), { digest: upstream.digest, local: false })
  })

  t.test('R335: a tag has the order of the push that pointed it where it is', async t => {
    const catalog = await makeCatalog(t)
    const [first, second] = [1, 2].map(number => ({ edge: 'here', number }))
    const order = async () => (await catalog.findTag(alpine, latest))?.order
    await catalog.recordPush(pushOf('a', first === undefined ? {} : { order: first }))
    t.same(await order(), first)
    await catalog.recordPush(pushOf('a'))
    t.same(await order(), first, 'told again without one it keeps what it had')
    await catalog.recordPush(pushOf('a', second === undefined ? {} : { order: second }))
    t.same(await order(), second)
    await catalog.recordPush(pushOf('b'))
    t.equal(await order(), undefined, 'nobody knows that of the push that moved it')
    await catalog.recordPush(pushOf('b', { hold: 'nothing', ...(first && { order: first }) }))
    await catalog.recordTag(alpine, latest, digestNamed('b'), { checkedAtMs: 99 })
    t.same(await order(), first, 'its upstream says the same')
    await catalog.recordTag(alpine, latest, digestNamed('c'), { checkedAtMs: 99 })
    t.equal(await order(), undefined, 'no push moved it')
  })

  t.test('R68: local tags are listed by themselves, in ASCII order, page by page', async t => {
    const catalog = await makeCatalog(t)
    const tags = ['b', 'a', 'C'].map(parseTag)
    await catalog.recordPush(pushOf('m', { tags }))
    await catalog.recordPush(pushOf('m', { tags: [parseTag('b2')], hold: 'nothing' }))
    await catalog.recordTag(alpine, parseTag('a2'), digestNamed('m'), { checkedAtMs: 1 })
    await catalog.recordPush(pushOf('m', { repository: secret }))
    const names = async (page: { after?: string; limit: number }) =>
      (await catalog.listLocalTags(alpine, page)).map(({ tag }) => tag as string)
    t.strictSame(await names({ limit: 9 }), ['C', 'a', 'b'])
    t.strictSame(await names({ after: 'C', limit: 1 }), ['a'])
    t.strictSame(await names({ after: 'a1', limit: 9 }), ['b'])
    t.strictSame(await catalog.listLocalTags(alpine, { limit: 9 }), [
      await catalog.findTag(alpine, tags[2] as Tag),
      await catalog.findTag(alpine, tags[1] as Tag),
      await catalog.findTag(alpine, tags[0] as Tag),
    ])
  })

  t.test('tags that lead to a manifest are listed by it, page by page', async t => {
    const catalog = await makeCatalog(t)
    const tags = ['c', 'a', 'b'].map(parseTag)
    await catalog.recordPush(pushOf('m', { tags }))
    await catalog.recordPush(pushOf('n', { tags: [parseTag('d')] }))
    await catalog.recordPush(pushOf('m', { repository: secret, tags: [parseTag('e')] }))
    await catalog.recordTag(alpine, parseTag('pulled'), digestNamed('m'), { checkedAtMs: 1 })
    const page = (after: string | undefined, limit: number) =>
      catalog.listTagsTo(alpine, digestNamed('m'), { ...(after && { after }), limit })
    const first = await page(undefined, 2)
    t.strictSame(first, [
      await catalog.findTag(alpine, parseTag('a')),
      await catalog.findTag(alpine, parseTag('b')),
    ])
    t.match(await page('b', 9), [{ tag: 'c' }, { tag: 'pulled' }])
    t.strictSame(await catalog.listTagsTo(alpine, digestNamed('none'), { limit: 9 }), [])
  })

  t.test('R109: holders are the repositories of one registry that have the bytes', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('b')
    const keys = ['localhost/b', 'localhost/a/z', 'localhost:5000/a', 'localhost-x.example/a']
    for (const key of keys)
      await catalog.recordBlob(blobOf('b', { repository: parseRepositoryKey(key) }))
    await catalog.recordMember(parseRepositoryKey('localhost/named'), digestNamed('absent'), 1)
    const holders = (of: Digest, limit = 9) =>
      catalog.listHolders(of, { registry: LOCALHOST, limit })
    t.strictSame(await holders(digest), ['localhost/a/z', 'localhost/b'])
    t.strictSame(await holders(digest, 1), ['localhost/a/z'])
    t.strictSame(await holders(digestNamed('absent')), [], 'nobody has what is only named')
    await catalog.removeMember(parseRepositoryKey('localhost/b'), digest)
    t.strictSame(await holders(digest), ['localhost/a/z'])
    await catalog.forgetContent(digest)
    t.strictSame(await holders(digest), [])
  })

  t.test('numbers rise, and rise above what they are raised to', async t => {
    const catalog = await makeCatalog(t)
    const given = [catalog.sequence(), catalog.sequence()]
    await catalog.raiseSequence(1_000_000)
    given.push(catalog.sequence())
    await catalog.raiseSequence(5)
    given.push(catalog.sequence())
    // Beyond what is reserved at once.
    await catalog.raiseSequence(2 ** 40)
    given.push(catalog.sequence())
    t.strictSame(
      given,
      [...new Set(given)].sort((a, b) => a - b),
    )
    t.ok((given[0] as number) > 0)
    t.ok((given[2] as number) > 1_000_000)
    t.ok((given[4] as number) > 2 ** 40)
  })

  t.test(
    'a catalog that was begun anew is to be rebuilt until somebody says that it was',
    async t => {
      const catalog = await makeCatalog(t)
      t.equal(catalog.rebuilt, false)
      await catalog.markRebuilt(true)
      await catalog.markRebuilt(true)
      t.equal(catalog.rebuilt, true)
    },
  )

  t.test('a push that cannot be recorded leaves nothing of itself', async t => {
    const catalog = await makeCatalog(t)
    const delivery: NewDelivery = {
      ...deliveryNamed(catalog.sequence(), alpine),
      payload: 'ä'.repeat(32 * 1024 + 1),
    }
    await t.rejects(catalog.recordPush(pushOf('m', { delivery })), { name: 'StoreError' })
    t.equal(await catalog.findTag(alpine, latest), undefined)
    t.equal(await isMemberOf(catalog, alpine, digestNamed('m')), false)
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [])
  })
}
