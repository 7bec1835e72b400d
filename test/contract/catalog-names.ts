// The part of the catalog contract about tags, lists and the listing of repositories.
// Method: only the port is used; times are made up.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../../src/oci/reference.ts'
import {
  alpine,
  blobOf,
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

export function namesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('a tag keeps the time of its last change while it is only confirmed', async t => {
    const catalog = await makeCatalog(t)
    const [one, two] = [digestNamed('one'), digestNamed('two')]
    await catalog.recordManifest(pullOf(manifestNamed('one'), { tag: latest, atMs: 10 }))
    await catalog.recordTag(alpine, latest, one, { checkedAtMs: 20 })
    t.strictSame(await catalog.findTag(alpine, latest), {
      tag: latest,
      digest: one,
      checkedAtMs: 20,
      changedAtMs: 10,
      previous: undefined,
      local: false,
    })
    await catalog.recordTag(alpine, latest, two, { checkedAtMs: 30 })
    t.match(await catalog.findTag(alpine, latest), {
      digest: two,
      checkedAtMs: 30,
      changedAtMs: 30,
    })
    t.equal(await catalog.findContent(two), undefined, 'a tag may point at what is not here yet')
    t.equal(await isMemberOf(catalog, alpine, two), false, 'and says nothing about membership')
    await catalog.forgetTag(alpine, latest)
    await catalog.forgetTag(alpine, latest)
    t.equal(await catalog.findTag(alpine, latest), undefined)
    t.ok(await catalog.findManifest(alpine, one), 'the manifest stays')
  })

  t.test('a tag remembers what it was told as previous when it moved, and keeps it', async t => {
    const catalog = await makeCatalog(t)
    const [one, two, three] = ['one', 'two', 'three'].map(digestNamed) as [Digest, Digest, Digest]
    const previous = async () => (await catalog.findTag(alpine, latest))?.previous
    const first = { digest: one, checkedAtMs: 10 }
    await catalog.recordTag(alpine, latest, one, { checkedAtMs: 10 })
    t.equal(await previous(), undefined)
    await catalog.recordTag(alpine, latest, two, { checkedAtMs: 20, previous: first })
    t.strictSame(await previous(), first, 'the tag moved')
    const ignored = { digest: three, checkedAtMs: 25 }
    await catalog.recordTag(alpine, latest, two, { checkedAtMs: 30, previous: ignored })
    t.strictSame(await previous(), first, 'the tag was only confirmed')
    await catalog.recordTag(alpine, latest, three, { checkedAtMs: 40 })
    t.strictSame(await previous(), first, 'the tag moved, and nothing better was known')
    const second = { digest: two, checkedAtMs: 30 }
    const record = pullOf(manifestNamed('one'), { tag: latest, atMs: 50 })
    await catalog.recordManifest({ ...record, previous: second })
    t.match(await catalog.findTag(alpine, latest), { digest: one, previous: second }, 'by GET')
    await catalog.recordManifest({ ...record, previous: first })
    t.strictSame(await previous(), second, 'confirmed by GET')
    t.strictSame((await catalog.listTags(alpine, { limit: 1 }))[0]?.previous, second)
    await catalog.forgetTag(alpine, latest)
    await catalog.recordTag(alpine, latest, one, { checkedAtMs: 60 })
    t.equal(await previous(), undefined, 'a tag that was gone upstream begins anew')
  })

  t.test('R68: tags come in ASCII order, page by page', async t => {
    const catalog = await makeCatalog(t)
    for (const name of ['b', 'a', 'B', '1.10', '1.9', '_x'])
      await catalog.recordTag(alpine, parseTag(name), digestNamed(name), { checkedAtMs: 1 })
    await catalog.recordTag(secret, parseTag('aa'), digestNamed('a'), { checkedAtMs: 1 })
    const names = async (after: string | undefined, limit: number) =>
      (await catalog.listTags(alpine, after === undefined ? { limit } : { after, limit })).map(
        ({ tag }) => tag as string,
      )
    t.strictSame(await names(undefined, 10), ['1.10', '1.9', 'B', '_x', 'a', 'b'])
    t.strictSame(await names('1.9', 2), ['B', '_x'])
    t.strictSame(await names('C', 2), ['_x', 'a'], 'the start need not exist')
    t.strictSame(await names('b', 2), [])
    t.strictSame(await names(undefined, 0), [])
  })

  t.test('R71: repositories are listed while they hold a manifest or a tag', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m')
    const repository = (key: string) => parseRepositoryKey(key)
    await catalog.recordBlob(blobOf('b', { repository: repository('x.example/only-a-blob') }))
    await catalog.recordList(repository('x.example/only-a-list'), 'tags', {
      body: '',
      checkedAtMs: 1,
    })
    await catalog.recordTag(repository('x.example/tagged'), latest, manifest.digest, {
      checkedAtMs: 1,
    })
    await catalog.recordManifest(
      pullOf(manifest, { repository: repository('docker.io/library/b') }),
    )
    await catalog.recordMember(repository('docker.io/library/a'), manifest.digest, 1)
    const all = { limit: 10 }
    t.strictSame(await catalog.listRepositories(all), [
      'docker.io/library/a',
      'docker.io/library/b',
      'x.example/tagged',
    ])
    t.strictSame(await catalog.listRepositories({ after: 'docker.io/library/a', limit: 1 }), [
      'docker.io/library/b',
    ])
    await catalog.forgetContent(manifest.digest)
    t.strictSame(await catalog.listRepositories(all), ['x.example/tagged'])
    await catalog.forgetTag(repository('x.example/tagged'), latest)
    t.strictSame(await catalog.listRepositories(all), [])
    t.equal((await catalog.totals()).repositories, 0)
  })

  t.test('R285: a repository that was pushed to is listed, whatever is deleted', async t => {
    const catalog = await makeCatalog(t)
    const pushed = parseRepositoryKey('x.example/pushed')
    const manifest = manifestNamed('m')
    await catalog.recordPush(pushOf('m', { repository: pushed }))
    await catalog.removeMember(pushed, manifest.digest)
    t.strictSame(await catalog.listTags(pushed, { limit: 9 }), [])
    t.strictSame(await catalog.listRepositories({ limit: 9 }), ['x.example/pushed'])
    t.equal(
      (await catalog.totals()).repositories,
      0,
      'and is counted only while it holds something',
    )
  })

  t.test('an upstream list is kept as it was said, by repository and key', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordList(alpine, 'tags', { body: '["a"]', checkedAtMs: 1 })
    await catalog.recordList(alpine, 'tags', { body: '["ä\\u0000"]', checkedAtMs: 2 })
    t.strictSame(await catalog.findList(alpine, 'tags'), { body: '["ä\\u0000"]', checkedAtMs: 2 })
    t.equal(await catalog.findList(alpine, 'referrers'), undefined)
    t.equal(await catalog.findList(secret, 'tags'), undefined)
    await catalog.recordList(alpine, 'referrers', { body: '["b"]', checkedAtMs: 3 })
    await catalog.forgetList(alpine, 'tags')
    await catalog.forgetList(secret, 'tags')
    t.equal(await catalog.findList(alpine, 'tags'), undefined)
    t.match(await catalog.findList(alpine, 'referrers'), { body: '["b"]' })
  })

  t.test('writes take effect in the order of the calls, awaited or not', async t => {
    const catalog = await makeCatalog(t)
    const tags = Array.from({ length: 50 }, (_, n) => digestNamed(`${n}`))
    await Promise.all(
      tags.map((digest, n) => catalog.recordTag(alpine, latest, digest, { checkedAtMs: n })),
    )
    t.match(await catalog.findTag(alpine, latest), { digest: tags.at(-1), checkedAtMs: 49 })
  })

  t.test(
    'what of a repository is here is listed, page by page, and nothing of another',
    async t => {
      const catalog = await makeCatalog(t)
      const image = manifestNamed('image', [layerEdge('layer'), layerEdge('absent')])
      await catalog.recordManifest(pullOf(image))
      await catalog.recordBlob(blobOf('layer', { hold: 'awaited' }))
      await catalog.recordBlob(blobOf('foreign', { repository: secret }))
      const all = await catalog.listMembers(alpine, { limit: 9 })
      t.same(
        [...all].sort((one, other) => Number(other.isManifest) - Number(one.isManifest)),
        [
          { digest: image.digest, isManifest: true, contentClass: 'cached' },
          { digest: digestNamed('layer'), isManifest: false, contentClass: 'kept' },
        ],
      )
      const [first, second] = all
      t.strictSame(await catalog.listMembers(alpine, { limit: 1 }), [first])
      if (first === undefined) return
      t.strictSame(await catalog.listMembers(alpine, { after: first.digest, limit: 9 }), [second])
    },
  )
}
