// The part of the catalog contract about what belongs to which repository (R96, R179). Method: only
// the port is used; everything is asked for in a repository that must have it and in one that must
// not.
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../src/oci/reference.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  layerEdge,
  type MakeCatalog,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from './catalog-samples.ts'
import { isMemberOf, membershipOf } from '../kit/judges/membership.ts'

export function membershipContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('R179: what a manifest lists belongs to its repository and to no other', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    const repository = secret
    await catalog.recordManifest(pullOf(manifest, { repository }))
    await catalog.recordBlob(blobOf('layer', { repository, hold: 'awaited', sizeBytes: 1000 }))
    for (const digest of [manifest.digest, digestNamed('layer')]) {
      t.equal(await isMemberOf(catalog, secret, digest), true)
      t.equal(await isMemberOf(catalog, alpine, digest), false)
      t.equal(await catalog.sizeOf(alpine, digest), undefined)
    }
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
  })

  t.test('what a member lists is told, be it here or not, and not what it is about', async t => {
    const catalog = await makeCatalog(t)
    const edges = [layerEdge('layer'), layerEdge('subject', { kind: 'subject' })]
    const manifest = manifestNamed('m', edges)
    await catalog.recordPush(pushOf('m', { repository: secret, manifest }))
    const layer = digestNamed('layer')
    await catalog.removeMember(secret, layer)
    t.equal(await catalog.isListed(secret, layer), true)
    t.equal(await catalog.isListed(alpine, layer), false)
    t.equal(await catalog.isListed(secret, digestNamed('subject')), false)
    await catalog.removeMember(secret, digestNamed('m'))
    t.equal(await catalog.isListed(secret, layer), false)
  })

  t.test(
    'R179: membership goes down through indexes, in whatever order they are recorded',
    async t => {
      const inner = manifestNamed('inner', [layerEdge('layer')])
      const middle = manifestNamed('middle', [layerEdge('inner', { kind: 'manifest' })])
      const outer = manifestNamed('outer', [layerEdge('middle', { kind: 'manifest' })])
      const orders = [
        [inner, middle, outer],
        [outer, middle, inner],
        [middle, outer, inner],
      ]
      for (const order of orders) {
        const catalog = await makeCatalog(t)
        // Only the outermost is recorded in `alpine`; the bytes of the others came by way of
        // another repository.
        for (const manifest of order) {
          const repository = manifest === outer ? alpine : secret
          await catalog.recordManifest(pullOf(manifest, { repository }))
        }
        for (const name of ['outer', 'middle', 'inner', 'layer'])
          t.equal(await isMemberOf(catalog, alpine, digestNamed(name)), true, name)
        t.equal(await isMemberOf(catalog, secret, outer.digest), false)
        t.equal(await catalog.sizeOf(alpine, digestNamed('layer')), 1000)
      }
    },
  )

  t.test('R179: whoever names a subject does not thereby gain it', async t => {
    const catalog = await makeCatalog(t)
    const subject = manifestNamed('subject', [layerEdge('layer')])
    const referrer = manifestNamed('referrer', [layerEdge('subject', { kind: 'subject' })])
    await catalog.recordManifest(pullOf(subject, { repository: secret }))
    await catalog.recordManifest(pullOf(referrer))
    t.equal(await isMemberOf(catalog, alpine, subject.digest), false)
    t.equal(await isMemberOf(catalog, alpine, digestNamed('layer')), false)
    t.equal(await catalog.sizeOf(alpine, subject.digest), undefined)
    t.equal(await catalog.findManifest(alpine, subject.digest), undefined)
  })

  t.test('R250: what a manifest lists as not to be had from here is no member by that', async t => {
    const catalog = await makeCatalog(t)
    const foreign = layerEdge('foreign', { distributable: false })
    const image = manifestNamed('image', [foreign, layerEdge('layer')])
    const index = manifestNamed('index', [layerEdge('image', { kind: 'manifest' })])
    for (const manifest of [index, image]) await catalog.recordManifest(pullOf(manifest))
    t.equal(await isMemberOf(catalog, alpine, digestNamed('layer')), true)
    t.equal(await isMemberOf(catalog, alpine, foreign.child), false)
    await catalog.recordBlob(blobOf('foreign'))
    t.equal(await isMemberOf(catalog, alpine, foreign.child), true, 'but where it was delivered')
    await catalog.recordBlob(blobOf('listed', { repository: secret }))
    const both = [layerEdge('listed', { distributable: false }), layerEdge('listed')]
    await catalog.recordManifest(pullOf(manifestNamed('both', both)))
    t.equal(
      await isMemberOf(catalog, alpine, digestNamed('listed')),
      true,
      'or is listed as any other',
    )
  })

  t.test(
    'R96: content that an upstream confirmed is a member, and nothing that it lists',
    async t => {
      const catalog = await makeCatalog(t)
      const manifest = manifestNamed('m', [layerEdge('layer')])
      await catalog.recordManifest(pullOf(manifest, { repository: secret }))
      await catalog.recordMember(alpine, manifest.digest, 2)
      t.equal(await isMemberOf(catalog, alpine, manifest.digest), true)
      t.equal(await catalog.findManifest(alpine, manifest.digest), undefined, 'not as a manifest')
      t.equal((await catalog.findMember(alpine, manifest.digest))?.mediaType, undefined)
      t.equal(await isMemberOf(catalog, alpine, digestNamed('layer')), false)
      await catalog.recordManifest(pullOf(manifest, { atMs: 2 }))
      t.equal(
        await isMemberOf(catalog, alpine, digestNamed('layer')),
        true,
        'as a manifest it does',
      )
      await catalog.recordMember(alpine, digestNamed('never seen'), 2)
      t.equal(await isMemberOf(catalog, alpine, digestNamed('never seen')), true)
      t.equal(await catalog.findContent(digestNamed('never seen')), undefined)
    },
  )

  t.test(
    'R251, R635: a manifest has in each repository the media type that it was given there',
    async t => {
      const catalog = await makeCatalog(t)
      const of = (name: string, mediaType: string) => ({
        ...manifestNamed(name, [layerEdge('subject', { kind: 'subject' })]),
        mediaType,
      })
      await catalog.recordManifest(pullOf(of('m', 'x/pulled')))
      await catalog.recordPush(pushOf('m', { repository: secret, manifest: of('m', 'x/pushed') }))
      const other = parseRepositoryKey('localhost/other')
      await catalog.recordBlob(blobOf('m', { repository: other, sizeBytes: 500 }))
      t.strictSame(await catalog.findManifest(alpine, digestNamed('m')), of('m', 'x/pulled'))
      t.strictSame(await catalog.findManifest(secret, digestNamed('m')), of('m', 'x/pushed'))
      t.equal(await catalog.findManifest(other, digestNamed('m')), undefined, 'brought as a blob')
      const types = () =>
        Promise.all(
          [alpine, secret, other].map(
            async each => (await catalog.findMember(each, digestNamed('m')))?.mediaType,
          ),
        )
      t.strictSame(await types(), ['x/pulled', 'x/pushed', undefined])
      const subject = digestNamed('subject')
      t.strictSame(await catalog.listReferrers(secret, subject), [digestNamed('m')])
      t.strictSame(await catalog.listReferrers(other, subject), [])
      await catalog.recordManifest(pullOf(of('m', 'x/later')))
      t.strictSame(await types(), ['x/later', 'x/pushed', undefined], 'what was given last')
      t.match(await catalog.findContent(digestNamed('m')), { mediaType: 'x/pulled' })
      const theirs = pullOf(of('m', 'x/theirs'), { repository: secret })
      await catalog.recordManifest(theirs)
      t.strictSame(await types(), ['x/later', 'x/pushed', undefined], 'as it was pushed')
      const index = manifestNamed('index', [layerEdge('m', { kind: 'manifest' })])
      await catalog.recordManifest(pullOf(index, { repository: other }))
      t.strictSame(await types(), ['x/later', 'x/pushed', undefined], 'listed, and not given')
    },
  )

  t.test(
    'R252: it is known under which repositories bytes came, and which only name them',
    async t => {
      const catalog = await makeCatalog(t)
      const pushed = parseRepositoryKey('localhost/pushed')
      const manifest = manifestNamed('m', [layerEdge('layer')])
      const of = (repository: Repository, name: string) =>
        membershipOf(catalog, repository, digestNamed(name))
      await catalog.recordManifest(pullOf(manifest))
      t.strictSame([await of(alpine, 'm'), await of(alpine, 'layer')], ['delivered', 'named'])
      t.strictSame(await catalog.listDeliverers(digestNamed('layer')), [])
      const other = parseRepositoryKey('localhost/other')
      const bring = (repository: Repository) =>
        catalog.recordBlob(blobOf('layer', { repository, sizeBytes: 1000 }))
      for (const repository of [secret, pushed, other]) await bring(repository)
      t.strictSame(await catalog.listDeliverers(digestNamed('layer')), [
        'localhost',
        'registry.corp.example',
      ])
      t.equal(await of(alpine, 'layer'), 'named', 'that others have it says nothing')
      await bring(alpine)
      await catalog.recordMember(alpine, digestNamed('layer'), 2)
      await catalog.recordManifest(pullOf(manifest))
      t.equal(await of(alpine, 'layer'), 'delivered', 'and stays so')
      await catalog.recordMember(secret, digestNamed('m'), 2)
      t.equal(await of(secret, 'm'), 'named')
      await catalog.recordPush(
        pushOf('m', { repository: secret, manifest, confirmed: [digestNamed('e')] }),
      )
      t.strictSame([await of(secret, 'm'), await of(secret, 'e')], ['delivered', 'named'])
      t.equal(await of(secret, 'never seen'), undefined)
      await catalog.removeMember(alpine, digestNamed('layer'))
      t.equal(await of(alpine, 'layer'), undefined)
    },
  )

  t.test('content has the repositories that know it as theirs, here or not', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    for (const repository of [alpine, secret])
      await catalog.recordManifest(pullOf(manifest, { repository }))
    const pushed = parseRepositoryKey('localhost/pushed')
    await catalog.recordPush(pushOf('m', { manifest, repository: pushed }))
    const of = async (name: string, limit = 9) =>
      [...(await catalog.listRepositoriesOf(digestNamed(name), limit))].sort()
    const [own, others, kept] = [alpine, secret, pushed].map(repositoryKey)
    t.strictSame(await of('m'), [own, kept, others])
    t.strictSame(await of('layer'), [own, others], 'named by an upstream; a client proves nothing')
    t.equal((await of('m', 2)).length, 2)
    t.strictSame(await of('unknown'), [])
    await catalog.recordBlob(blobOf('layer'))
    await catalog.forgetContent(digestNamed('layer'))
    t.strictSame(await of('layer'), [own, others], 'forgotten')
    await catalog.removeMember(alpine, manifest.digest)
    t.strictSame(await of('m'), [kept, others])
  })

  t.test('the size is the one that the own manifest gives, else the recorded one', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('layer')
    await catalog.recordBlob(blobOf('layer'))
    t.equal(await catalog.sizeOf(alpine, digest), 7)
    const listing = (sizeBytes: number) => manifestNamed('m', [layerEdge('layer', { sizeBytes })])
    await catalog.recordManifest(pullOf(listing(9), { repository: secret }))
    t.equal(
      await catalog.sizeOf(alpine, digest),
      7,
      "another repository's manifest says nothing here",
    )
    t.equal(await catalog.sizeOf(secret, digest), 9)
    t.equal(await catalog.sizeOf(alpine, digestNamed('unknown')), undefined)
  })

  t.test('R120: who lists it are the manifests of this repository, page by page', async t => {
    const catalog = await makeCatalog(t)
    const layer = digestNamed('layer')
    const listing = (name: string) => manifestNamed(name, [layerEdge('layer'), layerEdge('layer')])
    for (const name of ['a', 'b', 'c']) await catalog.recordManifest(pullOf(listing(name)))
    await catalog.recordManifest(pullOf(listing('elsewhere'), { repository: secret }))
    const subject = layerEdge('layer', { kind: 'subject' })
    await catalog.recordManifest(pullOf(manifestNamed('signature', [subject])))
    const expected = ['a', 'b', 'c'].map(digestNamed).sort()
    const first = await catalog.listListers(alpine, layer, { limit: 2 })
    t.strictSame(first, expected.slice(0, 2))
    const [, after] = first as [Digest, Digest]
    t.strictSame(await catalog.listListers(alpine, layer, { limit: 2, after }), expected.slice(2))
    t.strictSame(await catalog.listListers(secret, digestNamed('a'), { limit: 9 }), [])
  })

  t.test('R74: referrers are the manifests of this repository that name the subject', async t => {
    const catalog = await makeCatalog(t)
    const subject = digestNamed('subject')
    const edge = layerEdge('subject', { kind: 'subject' })
    const naming = (name: string) => manifestNamed(name, [edge, layerEdge('layer')])
    for (const name of ['sbom', 'signature']) await catalog.recordManifest(pullOf(naming(name)))
    await catalog.recordManifest(pullOf(naming('private'), { repository: secret }))
    const expected = [digestNamed('sbom'), digestNamed('signature')].sort()
    t.strictSame(await catalog.listReferrers(alpine, subject), expected)
    t.strictSame(await catalog.listReferrers(alpine, digestNamed('layer')), [])
    await catalog.forgetContent(digestNamed('sbom'))
    t.strictSame(await catalog.listReferrers(alpine, subject), [digestNamed('signature')])
  })
}
