// What every catalog must say of what a repository holds, and of what needs some content
// (src/registry/ports/catalog-holdings.ts). Method: only the port is used; each test gets an empty
// catalog.
import type { Test } from 'tap'
import type { HeldManifest } from '../../src/registry/ports/catalog-holdings.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { parseRepositoryKey, type Repository } from '../../src/oci/reference.ts'
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

async function heldIn(catalog: Catalog, repository: Repository, limit = 99) {
  const found: HeldManifest[] = []
  for (;;) {
    const after = found.at(-1)?.position
    const page = { limit, ...(after === undefined ? {} : { after }) }
    const more = await catalog.listManifests(repository, page)
    found.push(...more)
    if (more.length < limit) return found
  }
}

const digestsOf = (held: readonly HeldManifest[]) => held.map(({ digest }) => digest).sort()
const named = (...names: readonly string[]) => names.map(digestNamed).sort()

/** A push of a manifest that lists these layers. */
const pushWith = (name: string, ...layers: readonly string[]) =>
  pushOf(name, {
    manifest: manifestNamed(
      name,
      layers.map(layer => layerEdge(layer)),
    ),
  })

export function holdingsContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('of what a repository holds its manifests are listed, page by page', async t => {
    const catalog = await makeCatalog(t)
    const names = ['a', 'b', 'c', 'd', 'e']
    for (const name of names) await catalog.recordPush(pushWith(name, 'layer'))
    await catalog.recordBlob(blobOf('layer'))
    await catalog.recordPush(pushOf('of another', { repository: secret }))
    const held = await heldIn(catalog, alpine)
    t.strictSame(digestsOf(held), named(...names))
    t.strictSame(await heldIn(catalog, alpine, 2), held)
    const positions = held.map(({ position }) => position)
    t.strictSame(
      positions,
      positions.toSorted((a, b) => a - b),
    )
    await catalog.removeMember(alpine, digestNamed('c'))
    t.strictSame(digestsOf(await heldIn(catalog, alpine)), named('a', 'b', 'd', 'e'))
    t.strictSame(digestsOf(await heldIn(catalog, secret)), named('of another'))
  })

  t.test('of a manifest is said when it was used last', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordPush(pushOf('a'))
    const digest = digestNamed('a')
    t.match(await catalog.listManifests(alpine, { limit: 9 }), [{ digest, lastUsedAtMs: 10 }])
    await catalog.noteUses([{ repository: alpine, digest, count: 1, atMs: 9_000_000 }])
    t.match(await catalog.listManifests(alpine, { limit: 9 }), [{ lastUsedAtMs: 9_000_000 }])
  })

  t.test('content is needed by what lists it, and as a manifest by each repository', async t => {
    const catalog = await makeCatalog(t)
    t.equal(await catalog.findNeed(digestNamed('a')), undefined)
    const push = pushWith('a', 'layer', 'own')
    await catalog.recordPush(push)
    await catalog.recordPush(pushWith('b', 'layer'))
    await catalog.recordBlob(blobOf('layer'))
    const layer = { times: 2, isPromised: false, lists: [], sizeBytes: 7 }
    t.strictSame(await catalog.findNeed(digestNamed('layer')), layer)
    const { sizeBytes } = push.manifest
    const lists = ['layer', 'own'].map(digestNamed)
    t.strictSame(await catalog.findNeed(digestNamed('a')), {
      sizeBytes,
      times: 1,
      isPromised: false,
      lists,
    })
    await catalog.recordPush({ ...push, repository: secret })
    t.match(await catalog.findNeed(digestNamed('a')), { times: 2 })
    await catalog.lease({ repository: alpine, digests: [digestNamed('layer')], untilMs: 99 })
    t.match(await catalog.findNeed(digestNamed('layer')), { isPromised: true })
    t.equal(await catalog.findNeed(digestNamed('own')), undefined, 'which is not here')
    await catalog.recordPush(pushWith('twice', 'layer', 'layer'))
    t.match(await catalog.findNeed(digestNamed('layer')), { times: 4 })
    const twice = await catalog.findNeed(digestNamed('twice'))
    t.strictSame(twice?.lists, ['layer', 'layer'].map(digestNamed))
  })

  t.test('what a manifest needs no more without a repository, as without it in fact', async t => {
    const catalog = await makeCatalog(t)
    const layers = ['own', 'base', 'base'].map(name => layerEdge(name))
    const manifest = manifestNamed('image', layers)
    const { digest } = manifest
    const sibling = parseRepositoryKey('registry.corp.example/team/other')
    const others = ['one', 'two'].map(name => parseRepositoryKey(`docker.io/library/${name}`))
    const [one, two] = others as [Repository, Repository]
    const without = (repository: Repository, ...left: Repository[]) =>
      catalog.listUnneededWithout({ repository, digest }, left)
    t.strictSame(await without(alpine), [], 'of what nobody knows')
    for (const repository of [one, two])
      await catalog.recordPush(pushOf('image', { manifest, repository }))
    await catalog.recordBlob(blobOf('own', { repository: sibling }))
    await catalog.recordBlob(blobOf('base'))
    t.strictSame(await without(one, two), [], 'with the last it leaves itself')
    for (const repository of [secret, alpine])
      await catalog.recordManifest(pullOf(manifest, { repository, apart: true }))
    const base = ['base', 'base'].map(digestNamed)
    t.strictSame(await without(one), [], 'another one shares')
    t.strictSame(await without(one, two, secret), [digestNamed('own')])
    t.strictSame(await without(one, two, alpine), base)
    t.strictSame(await without(secret, one, two), [], 'it never shared')
    t.strictSame(await without(one, two, alpine, secret), [], 'nobody has it any more')
    await catalog.removeMember(alpine, digest)
    await catalog.removeMember(two, digest)
    t.strictSame(await without(one), base)
    await catalog.recordMember(sibling, digest, 10)
    t.strictSame(await without(sibling, one), [], 'which was not given it')
    const before = await catalog.findNeed(digest)
    t.equal(before?.lists.length, 3, 'nothing has changed by it')
    await catalog.removeMember(one, digest)
    t.match(await catalog.findNeed(digest), { lists: [digestNamed('own')] })
    t.match(await catalog.findNeed(digestNamed('base')), { times: 0 })
  })
}
