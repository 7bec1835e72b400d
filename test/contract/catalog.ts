// What every catalog must do, whoever keeps the facts (src/registry/ports/catalog.ts).
// Method: only the port is used; each test gets an empty catalog; times are made up.
import type { Test } from 'tap'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../../src/oci/reference.ts'
import type { Catalog, Edge, ManifestFact } from '../../src/registry/ports/catalog.ts'

/** Makes an empty catalog; whatever it needs is removed when `t` ends. */
export type MakeCatalog = (t: Test) => Promise<Catalog>

export const alpine = parseRepositoryKey('docker.io/library/alpine')
export const secret = parseRepositoryKey('registry.corp.example/team/secret')
export const latest = parseTag('latest')

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

export function digestNamed(name: string): Digest {
  return digestOf(Buffer.from(name))
}

export function layerEdge(child: string, overrides: Partial<Edge> = {}): Edge {
  return {
    child: digestNamed(child),
    kind: 'layer',
    sizeBytes: 1000,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    platform: undefined,
    distributable: true,
    ...overrides,
  }
}

/** The fact of a manifest that is called `name` and lists `edges`. */
export function manifestNamed(name: string, edges: readonly Edge[] = []): ManifestFact {
  return { digest: digestNamed(name), mediaType: MANIFEST_TYPE, sizeBytes: 500, edges }
}

export function catalogContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('a recorded manifest is found with all its edges, in order', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('index', [
      layerEdge('amd64', { kind: 'manifest', platform: 'linux/amd64' }),
      layerEdge('foreign', { distributable: false }),
      layerEdge('twice'),
      layerEdge('twice'),
      layerEdge('config', { kind: 'config', sizeBytes: 0 }),
    ])
    await catalog.recordManifest({ repository: alpine, manifest, contentClass: 'cached', atMs: 5 })
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.strictSame(await catalog.findContent(manifest.digest), {
      digest: manifest.digest,
      sizeBytes: 500,
      mediaType: MANIFEST_TYPE,
      contentClass: 'cached',
      createdAtMs: 5,
      lastUsedAtMs: 5,
    })
    t.equal(await catalog.findContent(digestNamed('twice')), undefined, 'a child is only named')
  })

  t.test('recording a manifest again changes nothing', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('a'), layerEdge('b')])
    const record = { repository: alpine, manifest, contentClass: 'cached', atMs: 5 } as const
    await catalog.recordManifest(record)
    const before = [await catalog.findContent(manifest.digest), await catalog.totals()]
    await catalog.recordManifest(record)
    t.strictSame([await catalog.findContent(manifest.digest), await catalog.totals()], before)
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
  })

  t.test('R179: what a manifest lists belongs to its repository and to no other', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    await catalog.recordManifest({ repository: secret, manifest, contentClass: 'kept', atMs: 1 })
    await catalog.recordBlob({
      repository: secret,
      digest: digestNamed('layer'),
      sizeBytes: 1000,
      contentClass: 'kept',
      atMs: 1,
    })
    for (const digest of [manifest.digest, digestNamed('layer')]) {
      t.equal(await catalog.isMember(secret, digest), true)
      t.equal(await catalog.isMember(alpine, digest), false)
      t.equal(await catalog.sizeOf(alpine, digest), undefined)
    }
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
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
        // Only the outermost is recorded in `alpine`; the bytes of the others came by way of another repository.
        for (const manifest of order)
          await catalog.recordManifest({
            repository: manifest === outer ? alpine : secret,
            manifest,
            contentClass: 'cached',
            atMs: 1,
          })
        for (const name of ['outer', 'middle', 'inner', 'layer'])
          t.equal(await catalog.isMember(alpine, digestNamed(name)), true, name)
        t.equal(await catalog.isMember(secret, outer.digest), false)
        t.equal(await catalog.sizeOf(alpine, digestNamed('layer')), 1000)
      }
    },
  )

  t.test('R179: whoever names a subject does not thereby gain it', async t => {
    const catalog = await makeCatalog(t)
    const subject = manifestNamed('subject', [layerEdge('layer')])
    const referrer = manifestNamed('referrer', [layerEdge('subject', { kind: 'subject' })])
    await catalog.recordManifest({
      repository: secret,
      manifest: subject,
      contentClass: 'kept',
      atMs: 1,
    })
    await catalog.recordManifest({
      repository: alpine,
      manifest: referrer,
      contentClass: 'kept',
      atMs: 1,
    })
    t.equal(await catalog.isMember(alpine, subject.digest), false)
    t.equal(await catalog.isMember(alpine, digestNamed('layer')), false)
    t.equal(await catalog.sizeOf(alpine, subject.digest), undefined)
    t.equal(await catalog.findManifest(alpine, subject.digest), undefined)
  })

  t.test('R96: content that an upstream confirmed is a member, and what it lists too', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    await catalog.recordManifest({ repository: secret, manifest, contentClass: 'cached', atMs: 1 })
    await catalog.recordMember(alpine, manifest.digest, 2)
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.equal(await catalog.isMember(alpine, digestNamed('layer')), true)
    await catalog.recordMember(alpine, digestNamed('never seen'), 2)
    t.equal(await catalog.isMember(alpine, digestNamed('never seen')), true)
    t.equal(await catalog.findContent(digestNamed('never seen')), undefined)
  })

  t.test('the size is the one that the own manifest gives, else the recorded one', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('layer')
    await catalog.recordBlob({
      repository: alpine,
      digest,
      sizeBytes: 7,
      contentClass: 'cached',
      atMs: 1,
    })
    t.equal(await catalog.sizeOf(alpine, digest), 7)
    const listing = (sizeBytes: number) => manifestNamed('m', [layerEdge('layer', { sizeBytes })])
    await catalog.recordManifest({
      repository: secret,
      manifest: listing(9),
      contentClass: 'cached',
      atMs: 1,
    })
    t.equal(
      await catalog.sizeOf(alpine, digest),
      7,
      "another repository's manifest says nothing here",
    )
    t.equal(await catalog.sizeOf(secret, digest), 9)
    t.equal(await catalog.sizeOf(alpine, digestNamed('unknown')), undefined)
  })

  t.test(
    'kept content never becomes cached; its use and its beginning stay the true ones',
    async t => {
      const catalog = await makeCatalog(t)
      const blob = { repository: alpine, digest: digestNamed('b'), sizeBytes: 1 }
      await catalog.recordBlob({ ...blob, contentClass: 'cached', atMs: 10 })
      await catalog.recordBlob({ ...blob, contentClass: 'kept', atMs: 20 })
      await catalog.recordBlob({ ...blob, contentClass: 'cached', atMs: 15 })
      t.match(await catalog.findContent(blob.digest), {
        contentClass: 'kept',
        createdAtMs: 10,
        lastUsedAtMs: 20,
        mediaType: undefined,
      })
    },
  )

  t.test('a tag keeps the time of its last change while it is only confirmed', async t => {
    const catalog = await makeCatalog(t)
    const [one, two] = [digestNamed('one'), digestNamed('two')]
    await catalog.recordManifest({
      repository: alpine,
      manifest: manifestNamed('one'),
      contentClass: 'cached',
      tag: latest,
      atMs: 10,
    })
    await catalog.recordTag(alpine, latest, one, 20)
    t.strictSame(await catalog.findTag(alpine, latest), {
      tag: latest,
      digest: one,
      checkedAtMs: 20,
      changedAtMs: 10,
    })
    await catalog.recordTag(alpine, latest, two, 30)
    t.match(await catalog.findTag(alpine, latest), {
      digest: two,
      checkedAtMs: 30,
      changedAtMs: 30,
    })
    t.equal(await catalog.findContent(two), undefined, 'a tag may point at what is not here yet')
    t.equal(await catalog.isMember(alpine, two), false, 'and says nothing about membership')
    await catalog.forgetTag(alpine, latest)
    await catalog.forgetTag(alpine, latest)
    t.equal(await catalog.findTag(alpine, latest), undefined)
    t.ok(await catalog.findManifest(alpine, one), 'the manifest stays')
  })

  t.test('R68: tags come in ASCII order, page by page', async t => {
    const catalog = await makeCatalog(t)
    for (const name of ['b', 'a', 'B', '1.10', '1.9', '_x'])
      await catalog.recordTag(alpine, parseTag(name), digestNamed(name), 1)
    await catalog.recordTag(secret, parseTag('aa'), digestNamed('a'), 1)
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
    const blob = {
      digest: digestNamed('b'),
      sizeBytes: 1,
      contentClass: 'cached',
      atMs: 1,
    } as const
    const repository = (key: string) => parseRepositoryKey(key)
    await catalog.recordBlob({ repository: repository('x.example/only-a-blob'), ...blob })
    await catalog.recordList(repository('x.example/only-a-list'), 'tags', {
      body: '',
      checkedAtMs: 1,
    })
    await catalog.recordTag(repository('x.example/tagged'), latest, manifest.digest, 1)
    await catalog.recordManifest({
      repository: repository('docker.io/library/b'),
      manifest,
      contentClass: 'cached',
      atMs: 1,
    })
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

  t.test('R74: referrers are the manifests of this repository that name the subject', async t => {
    const catalog = await makeCatalog(t)
    const subject = digestNamed('subject')
    const edge = layerEdge('subject', { kind: 'subject' })
    const record = (repository: typeof alpine, name: string) =>
      catalog.recordManifest({
        repository,
        manifest: manifestNamed(name, [edge, layerEdge('layer')]),
        contentClass: 'kept',
        atMs: 1,
      })
    for (const name of ['sbom', 'signature']) await record(alpine, name)
    await record(secret, 'private')
    const expected = [digestNamed('sbom'), digestNamed('signature')].sort()
    t.strictSame(await catalog.listReferrers(alpine, subject), expected)
    t.strictSame(await catalog.listReferrers(alpine, digestNamed('layer')), [])
    await catalog.forgetContent(digestNamed('sbom'))
    t.strictSame(await catalog.listReferrers(alpine, subject), [digestNamed('signature')])
  })

  t.test('an upstream list is kept as it was said, by repository and key', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordList(alpine, 'tags', { body: '["a"]', checkedAtMs: 1 })
    await catalog.recordList(alpine, 'tags', { body: '["ä\\u0000"]', checkedAtMs: 2 })
    t.strictSame(await catalog.findList(alpine, 'tags'), { body: '["ä\\u0000"]', checkedAtMs: 2 })
    t.equal(await catalog.findList(alpine, 'referrers'), undefined)
    t.equal(await catalog.findList(secret, 'tags'), undefined)
  })

  t.test('forgotten content leaves its edges and memberships, and comes back whole', async t => {
    const catalog = await makeCatalog(t)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    const record = { repository: alpine, manifest, contentClass: 'kept', atMs: 1 } as const
    await catalog.recordManifest({ ...record, tag: latest })
    await catalog.forgetContent(manifest.digest)
    await catalog.forgetContent(digestNamed('never here'))
    t.equal(await catalog.findContent(manifest.digest), undefined)
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
    t.equal(await catalog.isMember(alpine, manifest.digest), true)
    t.equal(await catalog.isMember(alpine, digestNamed('layer')), true)
    t.equal((await catalog.findTag(alpine, latest))?.digest, manifest.digest)
    await catalog.recordManifest({ ...record, contentClass: 'cached', atMs: 9 })
    t.strictSame(await catalog.findManifest(alpine, manifest.digest), manifest)
    t.match(await catalog.findContent(manifest.digest), { createdAtMs: 9, contentClass: 'cached' })
  })

  t.test('a use moves the last use forward only, and is there after the next write', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('b')
    await catalog.recordBlob({
      repository: alpine,
      digest,
      sizeBytes: 1,
      contentClass: 'cached',
      atMs: 50,
    })
    for (const atMs of [60, 90, 70]) catalog.noteUse(digest, atMs)
    catalog.noteUse(digestNamed('unknown'), 99)
    await catalog.recordTag(alpine, latest, digest, 1)
    t.equal((await catalog.findContent(digest))?.lastUsedAtMs, 90)
    catalog.noteUse(digest, 40)
    await catalog.recordTag(alpine, latest, digest, 2)
    t.equal((await catalog.findContent(digest))?.lastUsedAtMs, 90)
  })

  t.test('content is listed by key, page by page, both algorithms', async t => {
    const catalog = await makeCatalog(t)
    const digests = ['a', 'b', 'c', 'd'].flatMap(name => [
      digestNamed(name),
      digestOf(Buffer.from(name), 'sha512'),
    ])
    for (const digest of digests)
      await catalog.recordBlob({
        repository: alpine,
        digest,
        sizeBytes: 1,
        contentClass: 'cached',
        atMs: 1,
      })
    const seen: Digest[] = []
    let page = await catalog.listContent({ limit: 3 })
    for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
      seen.push(...page.map(({ digest }) => digest))
      page = await catalog.listContent({ after: after.digest, limit: 3 })
    }
    t.strictSame(seen, digests.sort())
  })

  t.test('totals count what is here', async t => {
    const catalog = await makeCatalog(t)
    const nothing = { repositories: 0, tags: 0, manifests: 0, blobs: 0, contentBytes: 0 }
    t.strictSame(await catalog.totals(), nothing)
    const manifest = manifestNamed('m', [layerEdge('layer')])
    await catalog.recordManifest({
      repository: alpine,
      manifest,
      contentClass: 'cached',
      tag: latest,
      atMs: 1,
    })
    const blob = {
      digest: digestNamed('layer'),
      sizeBytes: 1000,
      contentClass: 'cached',
      atMs: 1,
    } as const
    await catalog.recordBlob({ repository: alpine, ...blob })
    await catalog.recordBlob({ repository: secret, ...blob })
    t.strictSame(await catalog.totals(), {
      repositories: 1,
      tags: 1,
      manifests: 1,
      blobs: 1,
      contentBytes: 1500,
    })
  })

  t.test('writes take effect in the order of the calls, awaited or not', async t => {
    const catalog = await makeCatalog(t)
    const tags = Array.from({ length: 50 }, (_, n) => digestNamed(`${n}`))
    await Promise.all(tags.map((digest, n) => catalog.recordTag(alpine, latest, digest, n)))
    t.match(await catalog.findTag(alpine, latest), { digest: tags.at(-1), checkedAtMs: 49 })
  })

  t.test('after close every call rejects, and a second close does not', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('b')
    await catalog.close()
    await catalog.close()
    catalog.noteUse(digest, 1)
    await t.rejects(catalog.findContent(digest), { name: 'StoreError' })
    await t.rejects(catalog.isMember(alpine, digest), { name: 'StoreError' })
    await t.rejects(catalog.recordMember(alpine, digest, 1), { name: 'StoreError' })
    await t.rejects(catalog.forgetContent(digest), { name: 'StoreError' })
  })

  t.end()
}
