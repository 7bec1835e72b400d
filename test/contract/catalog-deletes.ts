// The part of the catalog contract about what clients delete (R118). Method: only the port is used;
// everything is asked for in the repository that it was deleted from and in one that keeps it.
import type { Test } from 'tap'
import { parseTag, type Repository } from '../../src/oci/reference.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
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
const LAYERS = ['own', 'shared', 'foreign']

async function hold(catalog: Catalog, repository: Repository, names: readonly string[]) {
  const kept = { repository, hold: 'awaited' } as const
  for (const name of names) await catalog.recordBlob(blobOf(name, kept))
}

/** Which of the blobs of these tests are members. */
async function held(catalog: Catalog, repository: Repository): Promise<string[]> {
  const found: string[] = []
  for (const name of [...LAYERS, 'subject', 'never listed'])
    if (await isMemberOf(catalog, repository, digestNamed(name))) found.push(name)
  return found
}

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
    await catalog.recordPush(pushOf('m', { manifest, delivery }))
    await catalog.recordPush(pushOf('m', { manifest, repository: secret }))
    await catalog.recordTag(alpine, stable, manifest.digest, { checkedAtMs: 1 })
    await catalog.recordTag(alpine, parseTag('other'), digestNamed('o'), {
      checkedAtMs: 1,
      previous,
    })
    await catalog.removeMember(alpine, manifest.digest, { dropDeliveries: [delivery.id] })
    t.equal(await catalog.findManifest(alpine, manifest.digest), undefined)
    t.equal(await isMemberOf(catalog, alpine, manifest.digest), false)
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
    t.strictSame(await catalog.findManifest(secret, manifest.digest), manifest)
    t.match(await catalog.findTag(secret, latest), { digest: manifest.digest })
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [])
    t.match(await catalog.totals(), { repositories: 2, tags: 2, manifests: 1 })
    await catalog.deleteTag(alpine, parseTag('other'))
    t.match(await catalog.totals(), { repositories: 1, tags: 1 })
  })

  t.test('R255: a deleted manifest takes along what no other one there lists', async t => {
    const catalog = await makeCatalog(t)
    for (const repository of [alpine, secret]) await hold(catalog, repository, LAYERS)
    await hold(catalog, alpine, ['subject', 'never listed'])
    const first = manifestNamed('first', [
      layerEdge('own'),
      layerEdge('shared'),
      layerEdge('foreign', { distributable: false }),
      layerEdge('subject', { kind: 'subject' }),
    ])
    await catalog.recordPush(pushOf('first', { manifest: first }))
    const second = manifestNamed('second', [layerEdge('shared')])
    await catalog.recordPush(pushOf('second', { manifest: second }))
    await catalog.removeMember(alpine, first.digest)
    t.strictSame(await held(catalog, alpine), ['shared', 'subject', 'never listed'])
    await catalog.removeMember(alpine, second.digest)
    t.strictSame(await held(catalog, alpine), ['subject', 'never listed'])
    t.strictSame(await held(catalog, secret), LAYERS, 'other repositories are not touched')
    t.match(await catalog.findContent(digestNamed('own')), { sizeBytes: 7 }, 'nor are bytes')
  })

  t.test('R255: what is a manifest there stays, and with it what that lists', async t => {
    const catalog = await makeCatalog(t)
    await hold(catalog, alpine, ['own', 'shared'])
    const child = manifestNamed('child', [layerEdge('own')])
    const index = manifestNamed('index', [
      layerEdge('child', { kind: 'manifest' }),
      layerEdge('shared'),
    ])
    await catalog.recordPush(pushOf('child', { manifest: child }))
    await catalog.recordPush(pushOf('index', { manifest: index }))
    await catalog.removeMember(alpine, index.digest)
    t.ok(await catalog.findManifest(alpine, child.digest))
    t.strictSame(await held(catalog, alpine), ['own'])
    await catalog.removeMember(alpine, child.digest)
    t.strictSame(await held(catalog, alpine), [])
  })

  t.test('R255: what an upstream listed goes as far down as it came', async t => {
    const catalog = await makeCatalog(t)
    const child = manifestNamed('child', [layerEdge('own'), layerEdge('shared')])
    const index = manifestNamed('index', [layerEdge('child', { kind: 'manifest' })])
    const other = manifestNamed('other', [layerEdge('shared')])
    await catalog.recordManifest(pullOf(child, { repository: secret }))
    for (const manifest of [index, other]) await catalog.recordManifest(pullOf(manifest))
    t.strictSame(await held(catalog, alpine), ['own', 'shared'])
    await catalog.removeMember(alpine, index.digest)
    t.equal(await isMemberOf(catalog, alpine, child.digest), false, 'it never was a manifest there')
    t.strictSame(await held(catalog, alpine), ['shared'])
    t.strictSame(await held(catalog, secret), ['own', 'shared'])
    await catalog.recordManifest(pullOf(index))
    t.strictSame(await held(catalog, alpine), ['own', 'shared'], 'and comes back with it')
  })

  t.test('R255: a manifest that was brought as a blob takes nothing and keeps nothing', async t => {
    const catalog = await makeCatalog(t)
    const [copied, image] = ['copied', 'image'].map(each => manifestNamed(each, [layerEdge('own')]))
    if (copied === undefined || image === undefined) throw new Error('there are two')
    await catalog.recordPush(pushOf('copied', { manifest: copied, repository: secret }))
    await hold(catalog, alpine, ['own', 'copied'])
    await catalog.removeMember(alpine, copied.digest)
    t.strictSame(await held(catalog, alpine), ['own'])
    await hold(catalog, alpine, ['copied'])
    await catalog.recordPush(pushOf('image', { manifest: image }))
    await catalog.removeMember(alpine, image.digest)
    t.strictSame(await held(catalog, alpine), [])
  })

  t.test(
    'R296: what is pending stays until it expires, and goes then if it was to go before',
    async t => {
      const catalog = await makeCatalog(t)
      const acknowledge = (name: string, acknowledgedAtMs: number) =>
        catalog.recordBlob(blobOf(name, { hold: 'awaited', acknowledgedAtMs }))
      const pending = (name: string, acknowledgedAtMs: number) => ({
        repository: alpine,
        digest: digestNamed(name),
        acknowledgedAtMs,
      })
      const list = (beforeMs: number) => catalog.listPendingBlobs({ beforeMs, limit: 9 })
      for (const [at, name] of ['own', 'shared', 'foreign', 'never listed'].entries())
        await acknowledge(name, 10 + at)
      await acknowledge('shared', 20)
      t.strictSame(await list(99), [
        pending('own', 10),
        pending('foreign', 12),
        pending('never listed', 13),
        pending('shared', 20),
      ])
      t.strictSame(await list(12), [pending('own', 10)])
      t.equal((await catalog.listPendingBlobs({ beforeMs: 99, limit: 1 })).length, 1)
      const edges = [layerEdge('own'), layerEdge('shared')]
      const manifest = manifestNamed('image', edges)
      await catalog.recordPush(pushOf('image', { manifest }))
      t.equal((await list(99)).length, 4, 'not by what is told again')
      await catalog.removeMember(alpine, manifest.digest)
      await catalog.recordPush(pushOf('image', { manifest, completes: true }))
      t.strictSame(
        await list(99),
        [pending('foreign', 12), pending('never listed', 13), pending('shared', 20)],
        'a manifest completes one of each that it lists',
      )
      await catalog.recordPush(pushOf('image', { manifest, completes: true }))
      t.equal((await list(99)).length, 3, 'and only as it comes, not by a second tag')
      await catalog.removeMember(alpine, manifest.digest)
      t.strictSame(await held(catalog, alpine), ['shared', 'foreign', 'never listed'])
      await catalog.expirePendingBlob(pending('shared', 19))
      t.equal((await list(99)).length, 3, 'it was acknowledged again')
      for (const each of await list(99)) await catalog.expirePendingBlob(each)
      t.strictSame(await held(catalog, alpine), ['foreign', 'never listed'])
      t.strictSame(await list(99), [])
      t.ok(await catalog.wasTaken(alpine, digestNamed('shared')))
    },
  )

  t.test('R296: an image that was sent once more, whole, completes that as well', async t => {
    const catalog = await makeCatalog(t)
    const blob = { contentClass: 'kept', acknowledgedAtMs: 5 } as const
    const acknowledge = async (...names: string[]) => {
      for (const name of names) await catalog.recordBlob(blobOf(name, blob))
    }
    const edges = [
      layerEdge('own', { kind: 'config', sizeBytes: 3 }),
      layerEdge('shared'),
      layerEdge('foreign', { distributable: false }),
      layerEdge('subject', { kind: 'subject' }),
    ]
    const manifest = manifestNamed('image', edges)
    const push = () => catalog.recordPush(pushOf('image', { manifest, completes: true }))
    const pending = async () => (await catalog.listPendingBlobs({ beforeMs: 99, limit: 9 })).length
    await acknowledge('own', 'shared')
    await push()
    await acknowledge('shared')
    await push()
    t.equal(await pending(), 1, 'a part of it may be of another push')
    await acknowledge('own', 'foreign', 'never listed')
    await push()
    t.equal(await pending(), 1, 'with what need not be sent, should it have been')
    t.ok(await catalog.isPending(alpine, digestNamed('never listed')))
    await acknowledge('own', 'shared', 'shared')
    await push()
    t.ok(await catalog.isPending(alpine, digestNamed('shared')), 'one push of each, no more')
    t.notOk(await catalog.isPending(alpine, digestNamed('own')))
    await catalog.recordPush(pushOf('image', { manifest, repository: secret, completes: true }))
    t.ok(await catalog.isPending(alpine, digestNamed('shared')), 'of that repository alone')
  })

  t.test('R459: what was sent once more is nobody’s for sure without a configuration', async t => {
    const catalog = await makeCatalog(t)
    const blob = { contentClass: 'kept', acknowledgedAtMs: 5 } as const
    for (const [name, own] of [
      ['empty', layerEdge('own', { kind: 'config', sizeBytes: 2 })],
      ['none', layerEdge('own')],
    ] as const) {
      const manifest = manifestNamed(name, [own, layerEdge('shared')])
      for (const pendingThen of [0, 2]) {
        for (const each of ['own', 'shared']) await catalog.recordBlob(blobOf(each, blob))
        await catalog.recordPush(pushOf(name, { manifest, completes: true }))
        const page = { beforeMs: 99, limit: 9 }
        t.equal((await catalog.listPendingBlobs(page)).length, pendingThen, name)
      }
      await catalog.removeMember(alpine, digestNamed('own'))
      await catalog.removeMember(alpine, digestNamed('shared'))
    }
  })

  t.test('R255: what was taken along is known as that until it is deleted itself', async t => {
    const catalog = await makeCatalog(t)
    const own = digestNamed('own')
    const image = manifestNamed('image', [layerEdge('own')])
    await hold(catalog, alpine, ['own'])
    t.equal(await catalog.wasTaken(alpine, own), false)
    await catalog.recordPush(pushOf('image', { manifest: image }))
    await catalog.removeMember(alpine, image.digest)
    t.equal(await catalog.wasTaken(alpine, own), true)
    t.equal(await catalog.wasTaken(alpine, image.digest), false)
    t.equal(await catalog.wasTaken(secret, own), false)
    t.strictSame(await catalog.listDeliverers(own), [alpine.registry], 'its bytes did come')
    await catalog.removeMember(alpine, own)
    t.equal(await catalog.wasTaken(alpine, own), false)
    t.strictSame(await catalog.listDeliverers(own), [])
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

  t.test('R352: what somebody may count on is not taken out, where that is asked for', async t => {
    const catalog = await makeCatalog(t)
    const names = ['free', 'leased', 'pending', 'kept', 'held elsewhere', 'leased elsewhere']
    const acknowledged = { acknowledgedAtMs: 5 }
    for (const name of names)
      await catalog.recordBlob(
        blobOf(name, {
          repository: alpine,
          hold: ['kept', 'held elsewhere'].includes(name) ? 'awaited' : 'nothing',
          ...(name === 'pending' ? acknowledged : {}),
        }),
      )
    await hold(catalog, secret, ['held elsewhere'])
    const manifest = manifestNamed('elsewhere', [layerEdge('held elsewhere')])
    await catalog.recordPush(pushOf('elsewhere', { manifest, repository: secret }))
    for (const [repository, name] of [
      [alpine, 'leased'],
      [secret, 'leased elsewhere'],
    ] as const)
      await catalog.lease({ repository, digests: [digestNamed(name)], untilMs: 9 })
    const told: string[] = []
    for (const name of names)
      if (!(await catalog.removeMember(alpine, digestNamed(name), { unlessPromised: true })))
        told.push(name)
    const stay: string[] = []
    for (const name of names)
      if (await isMemberOf(catalog, alpine, digestNamed(name))) stay.push(name)
    t.strictSame(stay, ['leased', 'pending', 'kept'])
    t.strictSame(told, stay)
    t.ok(await catalog.isPending(alpine, digestNamed('pending')), 'and still is')
    for (const name of names) await catalog.removeMember(alpine, digestNamed(name))
    t.notOk(await isMemberOf(catalog, alpine, digestNamed('leased')), 'a delete asks nobody')
  })

  t.test('what was deleted below an index comes back with a new parent only', async t => {
    const catalog = await makeCatalog(t)
    const index = manifestNamed('index', [layerEdge('child', { kind: 'manifest' })])
    const isMember = () => isMemberOf(catalog, alpine, digestNamed('child'))
    const recorded = pullOf(index)
    await catalog.recordManifest(recorded)
    await catalog.removeMember(alpine, digestNamed('child'))
    await catalog.recordManifest(recorded)
    await catalog.recordPush(pushOf('index', { manifest: index }))
    await catalog.recordMember(alpine, index.digest, 1)
    t.equal(await isMember(), false)
    const other = manifestNamed('other index', [layerEdge('child', { kind: 'manifest' })])
    await catalog.recordManifest(pullOf(other))
    t.equal(await isMember(), true)
  })
}
