// Goal: in `queue` mode a push is acknowledged when it is durable here with its entry of the
// outbox, whatever the upstream does, and is read here at once under the same name. Method: the
// engine over in-memory twins; deliveries are settled by hand.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import {
  EXPECTED_MAX,
  parseDelivery,
} from '../../../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { NewDelivery } from '../../../../src/registry/ports/outbox.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { PUSH_TAGS_MAX } from '../../../../src/registry/answers.ts'
import { OUTBOX_MAX, OUTBOX_REPOSITORY_MAX } from '../../../../src/registry/push/queue-delivery.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, type EngineOptions, repositoryOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { document, makeArtifact, makeImage } from '../../../kit/image.ts'
import {
  digested,
  pushDocument,
  pushImage,
  pushParts,
  tagged,
} from '../../../kit/clients/push-image.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'

const app = repositoryOf('team/app')
const image = makeImage({ seed: 'queue', layers: [10] })
const { manifest } = image
const page = { limit: 99, after: undefined }
const v1 = tagged('v1').reference.tag

const down = async (): Promise<never> => {
  throw new UpstreamError('unavailable', 'the line is down')
}
const DOWN: Partial<Upstream> = {
  headManifest: down,
  getManifest: down,
  headBlob: down,
  getBlob: down,
  listTags: down,
  listReferrers: down,
}

function queueing(upstream: Partial<Upstream>, options: EngineOptions = {}) {
  const policies = [{ match: 'docker.io/**', push: 'queue' as const, deletable: true }]
  return createEngine({ policies, upstream, ...options })
}

async function deliveriesOf(catalog: Catalog) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(app))
  return entries.map(({ payload }) => parseDelivery(payload))
}

/** As the carrier does once the upstream has it. */
async function settle(catalog: Catalog, atMs: number) {
  const [entry] = await catalog.listDeliveriesOf(repositoryKey(app))
  const delivery = entry === undefined ? undefined : parseDelivery(entry.payload)
  if (entry === undefined || delivery === undefined) throw new Error('nothing is queued')
  const { digest } = delivery
  const tags = delivery.tags.map(({ tag }) => tag)
  await catalog.removeDelivery(entry.id, { repository: app, digest, tags, atMs })
}

t.test(
  'R116: a push is acknowledged with its entry of the outbox while the upstream is down',
  async t => {
    const { registry, catalog, facts, events } = queueing(DOWN)
    await pushImage(registry, app, image, 'v1')
    const { digest, mediaType } = manifest
    const expected = { digest, mediaType, tags: [{ tag: 'v1', expected: [] }] }
    t.same(await deliveriesOf(catalog), [expected])
    const [fact] = await factsOf(facts, 'delivery')
    t.same(parseDelivery(fact?.payload ?? ''), expected)
    t.match(await catalog.findTag(app, v1), { digest, local: true })
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
    t.match(events.at(-1), { kind: 'pushed', what: 'manifest', mode: 'queue' })
  },
)

t.test(
  'R115: what waits to be delivered is read here at once, whatever the upstream says',
  async t => {
    const gone = async () => Promise.reject(new UpstreamError('not-found', 'never heard of it'))
    const nothing = { headManifest: gone, getManifest: gone, listTags: gone, listReferrers: gone }
    for (const [upstream, policy] of [
      [DOWN, {}],
      [nothing, {}],
      [nothing, { ttlMs: 0 }],
      [DOWN, { offline: true }],
    ] as const) {
      const { registry, clock } = queueing(upstream, { policy })
      await pushImage(registry, app, image, 'v1')
      await clock.advance(3_600_000)
      const { digest, bytes } = manifest
      const answer = await registry.pullManifest(app, tagged('v1'))
      t.match(answer, { digest, source: 'local', ageMs: undefined, warnings: [] })
      t.same(answer.bytes, bytes)
      t.match(await registry.headManifest(app, tagged('v1')), { digest, source: 'local' })
      t.match(await registry.pullManifest(app, digested(digest)), { digest })
      t.same((await registry.listTags(app, page)).tags, ['v1'])
      const [layer] = image.layers
      t.match(await registry.headBlob(app, layer?.digest as Digest), { sizeBytes: 10 })
    }
  },
)

t.test('R115: a list of the upstream has what waits here too, in order and once', async t => {
  const listTags: Upstream['listTags'] = async () => ({ tags: ['a', 'v1', 'z'] as never })
  const { registry } = queueing({ listTags })
  await pushImage(registry, app, image, 'v1')
  await pushImage(registry, app, image, 'v2')
  const list = await registry.listTags(app, { limit: 3, after: 'a' })
  t.match(list, { tags: ['v1', 'v2', 'z'], more: false, warnings: [] })
})

t.test('R78: an upstream that fails leaves what was pushed here, with a warning', async t => {
  const { registry } = queueing(DOWN)
  await t.rejects(registry.listTags(app, page), { code: 'UNAVAILABLE' })
  await t.rejects(registry.listReferrers(app, manifest.digest, []), { code: 'UNAVAILABLE' })
  await pushImage(registry, app, image, 'v1')
  const tags = await registry.listTags(app, page)
  t.match(tags, { tags: ['v1'], source: 'local', warnings: [/docker.io failed \(unavailable\)/] })
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  await pushImage(registry, app, signature)
  const referrers = await registry.listReferrers(app, manifest.digest, [])
  t.match(referrers, { source: 'local', warnings: [/docker.io failed/] })
  t.match(referrers.manifests, [{ digest: signature.manifest.digest }])
})

t.test('R115: referrers that wait here join those of the upstream, each once', async t => {
  const other = makeArtifact({ seed: 'other', subject: image.descriptor })
  const listReferrers: Upstream['listReferrers'] = async () => ({ manifests: [other.descriptor] })
  const { registry, catalog, clock } = queueing({ listReferrers })
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  for (const each of [signature, other]) await pushImage(registry, app, each)
  const list = async () => (await registry.listReferrers(app, manifest.digest, [])).manifests
  const digests = (manifests: readonly unknown[]) =>
    manifests.map(each => (each as { digest: Digest }).digest)
  t.same(digests(await list()), [other.manifest.digest, signature.manifest.digest])
  const filtered = await registry.listReferrers(app, manifest.digest, ['application/x.none'])
  t.same(filtered.manifests, [])
  // Delivered, and taken away again at the upstream: then it is the upstream's to say.
  for (let left = 2; left > 0; left--) await settle(catalog, clock.nowMs())
  await clock.advance(60_000)
  t.same(digests(await list()), [other.manifest.digest])
})

t.test('R115: a delivered tag is in the kept lists all the time', async t => {
  const tags: string[] = []
  const listTags: Upstream['listTags'] = async () => ({ tags: [...tags] as never })
  const { registry, catalog, clock } = queueing({
    listTags,
    listReferrers: async () => ({ manifests: [] }),
  })
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  await pushImage(registry, app, signature, 'v1')
  const digest = signature.manifest.digest
  t.same((await registry.listTags(app, page)).tags, ['v1'])
  t.match((await registry.listReferrers(app, manifest.digest, [])).manifests, [{ digest }])
  await registry.delivered(app, { digest, tags: [v1] })
  await settle(catalog, clock.nowMs())
  t.match(await registry.listTags(app, page), { tags: ['v1'], source: 'hit' })
  const referrers = await registry.listReferrers(app, manifest.digest, [])
  t.match(referrers, { manifests: [{ digest }], source: 'hit' })
})

t.test(
  'R113: what is neither here nor confirmed is missing, and the answer says who could not be asked',
  async t => {
    const { registry } = queueing(DOWN)
    const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
    await t.rejects(push, {
      code: 'MANIFEST_BLOB_UNKNOWN',
      message: /docker.io .*could not be asked/,
    })
    const asked = queueing({
      headBlob: async () => Promise.reject(new UpstreamError('not-found', '')),
    })
    const refused = pushDocument(asked.registry, app, { document: manifest, reference: 'v1' })
    await t.rejects(refused, { code: 'MANIFEST_BLOB_UNKNOWN' })
    await refused.catch((error: Error) => t.notMatch(error.message, /could not be asked/))
  },
)

t.test('R113: what the upstream has need not be here', async t => {
  const { registry, catalog, disk } = queueing({ headBlob: async () => ({ sizeBytes: 10 }) })
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  t.same([...disk.blobs.keys()], [manifest.digest])
  t.equal((await deliveriesOf(catalog)).length, 1)
})

t.test(
  'R118: a blob that is deleted while the upstream is asked about others is missing',
  async t => {
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const { registry } = queueing({
      headBlob: async () => {
        asked.resolve()
        await answer.promise
        return { sizeBytes: 10 }
      },
    })
    const { digest } = image.config
    await pushWhole(registry, app, image.config.bytes())
    const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
    await asked.promise
    await registry.deleteBlob(app, digest)
    answer.resolve()
    await t.rejects(push, { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest } })
    await t.rejects(registry.pullManifest(app, tagged('v1')), { code: 'MANIFEST_UNKNOWN' })
  },
)

t.test('R113: content that was only cached is kept once a pushed manifest lists it', async t => {
  const bytes = Buffer.from('cached')
  const config = { mediaType: 'application/x', digest: digestOf(bytes), size: bytes.length }
  const kept: Digest[] = []
  const { registry, store, catalog, facts } = queueing(DOWN, {
    store: store =>
      around(store, {
        keep: keep => digest => {
          kept.push(digest)
          return keep(digest)
        },
      }),
  })
  await store.put(config.digest, bytes, 'cached')
  const record = { repository: app, hold: 'nothing', atMs: 1 } as const
  await catalog.recordBlob({ ...record, digest: config.digest, sizeBytes: bytes.length })
  const child = document(OCI_MANIFEST, { schemaVersion: 2, config, layers: [] })
  await pushDocument(registry, app, { document: child })
  t.same(kept, [config.digest])
  t.match(await catalog.findContent(config.digest), { contentClass: 'kept' })
  await pushDocument(registry, app, { document: child, reference: 'again' })
  t.same(kept, [config.digest], 'what is kept is not kept again')
  t.match(await factsOf(facts, 'manifest'), [{ digest: child.digest }])
})

t.test(
  'R116: an entry says what the upstream’s tag may be: what was known, and what earlier entries make of it',
  async t => {
    const known = digestOf(Buffer.from('known'))
    const { registry, catalog, clock } = queueing(DOWN)
    await catalog.recordTag(app, v1, known, { checkedAtMs: clock.nowMs() })
    const images = [1, 2].map(n => makeImage({ seed: `expected ${n}`, layers: [3] }))
    const [first, second] = images.map(each => each.manifest.digest)
    for (const each of images) await pushImage(registry, app, each, 'v1')
    const expectedOf = async () =>
      (await deliveriesOf(catalog)).map(each => each?.tags[0]?.expected)
    t.same(await expectedOf(), [[known], [known, first]])
    await settle(catalog, clock.nowMs())
    await settle(catalog, clock.nowMs())
    t.match(await catalog.findTag(app, v1), { digest: second, local: false })
    await pushImage(registry, app, image, 'v1')
    t.same(await expectedOf(), [[second]])
  },
)

t.test('R116: of many pushes of one tag the entry knows the last ones', async t => {
  const { registry, catalog } = queueing(DOWN)
  const many = EXPECTED_MAX + 3
  for (let n = 0; n < many; n++)
    await pushImage(registry, app, makeImage({ seed: `many ${n}`, layers: [1] }), 'v1')
  const last = (await deliveriesOf(catalog)).at(-1)
  t.equal(last?.tags[0]?.expected.length, EXPECTED_MAX)
})

t.test('R112: an entry has room for as many tags as a push may have', async t => {
  const { registry, catalog, facts } = queueing(DOWN)
  const tags = Array.from({ length: PUSH_TAGS_MAX }, (_, n) => `${n}`.padStart(128, 'v'))
  for (let n = 0; n < 20; n++) {
    const bytes = Buffer.from(JSON.stringify({ n }))
    const digest = digestOf(bytes, 'sha512')
    const anything = { digest, bytes, mediaType: 'application/vnd.example.anything.v1+json' }
    await pushDocument(registry, app, { document: anything, tags })
  }
  const last = (await deliveriesOf(catalog)).at(-1)
  t.equal(last?.tags.length, PUSH_TAGS_MAX)
  t.ok((last?.tags[0]?.expected.length ?? 0) >= 4)
  t.equal((await factsOf(facts, 'delivery')).length, 20)
})

t.test(
  'R116: a full outbox refuses before anything is written, and says when to come back',
  async t => {
    const queued = { digest: manifest.digest, mediaType: manifest.mediaType, tags: [] }
    const entry = { carrier: 'queue', payload: JSON.stringify(queued), createdAtMs: 1 } as const
    const full: Partial<Record<'outboxTotals' | 'listDeliveriesOf', unknown>>[] = [
      { outboxTotals: async () => [{ carrier: 'queue', waiting: OUTBOX_MAX - 1, parked: 1 }] },
      {
        listDeliveriesOf: async (key: string) =>
          Array.from(
            { length: OUTBOX_REPOSITORY_MAX },
            (_, id): NewDelivery => ({ ...entry, id, key }),
          ),
      },
    ]
    for (const methods of full) {
      const { registry, disk } = queueing(DOWN, {
        catalog: catalog => Object.assign(catalog, methods),
      })
      await pushParts(registry, app, image)
      const before = disk.blobs.size
      const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
      await t.rejects(push, { code: 'UNAVAILABLE', status: 503, retryAfterSeconds: 60 })
      t.equal(disk.blobs.size, before)
      t.same(
        [...disk.facts.values()].filter(text => !text.includes('"deleted"')),
        [],
      )
    }
  },
)

t.test(
  'HEAD before a push into a queue is answered with 404 while the upstream is down; other callers hear the truth',
  async t => {
    const { registry } = queueing(DOWN)
    const digest = digestOf(Buffer.from('to be pushed'))
    const asks = [
      [(mayPush: boolean) => registry.headBlob(app, digest, { mayPush }), 'BLOB_UNKNOWN'],
      [
        (mayPush: boolean) => registry.headManifest(app, { ...digested(digest), mayPush }),
        'MANIFEST_UNKNOWN',
      ],
      [
        (mayPush: boolean) => registry.headManifest(app, { ...tagged('v1'), mayPush }),
        'MANIFEST_UNKNOWN',
      ],
    ] as const
    for (const [ask, code] of asks) {
      await t.rejects(ask(true), { code, status: 404 })
      await t.rejects(ask(false), { code: 'UNAVAILABLE', status: 503 })
    }
    const forwarding = createEngine({
      policies: [{ match: 'docker.io/**', push: 'forward' }],
      upstream: DOWN,
    })
    const absent = forwarding.registry.headBlob(app, digest, { mayPush: true })
    await t.rejects(absent, { code: 'BLOB_UNKNOWN' }, 'the push itself says why it fails')
  },
)

t.test('HEAD before a push does not tell of a blob that is only listed', async t => {
  const asked: Digest[] = []
  const { registry } = queueing({
    headBlob: async (_name, digest) => {
      asked.push(digest)
      return { sizeBytes: 10 }
    },
    getManifest: async () => ({ ...manifest, declaredDigest: manifest.digest, warnings: [] }),
  })
  const reference = { kind: 'digest', digest: manifest.digest } as const
  await registry.pullManifest(app, { reference, accept: [] })
  const { digest } = image.config
  await registry.headBlob(app, digest)
  t.same(asked, [], 'for a reader the manifest’s word is enough')
  await registry.headBlob(app, digest, { mayPush: true })
  t.same(asked, [digest])
})

t.test(
  'proxied names that are kept here: pushed tags and referrers join the upstream’s',
  async t => {
    const listTags: Upstream['listTags'] = async () => ({ tags: ['upstream'] as never })
    const { registry } = createEngine({
      policies: [{ match: 'docker.io/**', push: 'store' }],
      upstream: { listTags },
    })
    const signature = makeArtifact({ seed: 's', subject: image.descriptor })
    await pushImage(registry, app, image, 'v1')
    await pushImage(registry, app, signature)
    t.same((await registry.listTags(app, page)).tags, ['upstream', 'v1'])
    const { manifests } = await registry.listReferrers(app, manifest.digest, [])
    t.match(manifests, [{ digest: signature.manifest.digest }])
    t.match(await registry.pullManifest(app, tagged('v1')), { source: 'local' })
  },
)

t.test(
  'a pushed manifest that is gone from the disk is not replaced by what the upstream calls so',
  async t => {
    const other = makeImage({ seed: 'upstream’s own', layers: [] })
    const { registry, disk, catalog } = queueing({
      getManifest: async (_name, reference) => {
        if (reference.kind === 'digest') throw new UpstreamError('not-found', 'not here')
        const { bytes, mediaType, digest } = other.manifest
        return { bytes, mediaType, declaredDigest: digest, warnings: [] }
      },
    })
    await pushImage(registry, app, image, 'v1')
    disk.blobs.delete(manifest.digest)
    await t.rejects(registry.pullManifest(app, tagged('v1')), { code: 'MANIFEST_UNKNOWN' })
    t.match(await catalog.findTag(app, v1), { digest: manifest.digest, local: true })
  },
)

t.test('the outbox hears of an entry once it is in the catalog', async t => {
  const seen: Promise<number>[] = []
  const { registry, catalog } = queueing(DOWN, {
    queued: () => {
      seen.push(deliveriesOf(catalog).then(({ length }) => length))
    },
  })
  await pushWhole(registry, app, 'a blob alone is no delivery')
  await pushImage(registry, app, image, 'v1')
  t.same(await Promise.all(seen), [1])
})
