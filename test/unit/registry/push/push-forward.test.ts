// Goal: in `forward` mode the upstream's word is the client's, and from the answer on the edge says
// what the upstream says. Method: the engine over in-memory twins, with an upstream that is written
// in the test.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { formatReference } from '../../../../src/oci/reference.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import {
  behindMirror,
  createEngine,
  type EngineOptions,
  repositoryOf,
  upstreamOf,
} from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { document, makeArtifact, makeImage } from '../../../kit/image.ts'
import { digested, pushDocument, tagged } from '../../../kit/clients/push-image.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const app = repositoryOf('team/app')
const image = makeImage({ seed: 'forward', layers: [10] })
const newer = makeImage({ seed: 'newer', layers: [10] })
const { manifest } = image
const page = { limit: 99, after: undefined }

/** Takes what it is given, has every blob, and tells of its tags. */
function takingUpstream(subject?: Digest) {
  const puts: string[] = []
  const tags = new Map<string, Digest>()
  const documents = new Map<string, Parameters<Upstream['putManifest']>[2]>()
  const found = (reference: string) => {
    const document = documents.get(reference)
    if (document === undefined) throw new UpstreamError('not-found', 'not here')
    return document
  }
  const upstream: Partial<Upstream> = {
    putManifest: async (_name, reference, pushed) => {
      puts.push(formatReference(reference))
      documents.set(formatReference(reference), pushed).set(pushed.digest, pushed)
      if (reference.kind === 'tag') tags.set(reference.tag, pushed.digest)
      return { subject }
    },
    headBlob: async () => ({ sizeBytes: 10 }),
    headManifest: async (_name, reference) => {
      const { digest, mediaType, bytes } = found(formatReference(reference))
      return { digest, mediaType, sizeBytes: bytes.length, warnings: [] }
    },
    getManifest: async (_name, reference) => {
      const { digest, mediaType, bytes } = found(formatReference(reference))
      return { declaredDigest: digest, mediaType, bytes, warnings: [] }
    },
    listTags: async () => ({ tags: [...tags.keys()].sort() as never }),
  }
  return { upstream, puts, tags, documents }
}

function forwarding(upstream: Partial<Upstream>, options: EngineOptions = {}) {
  const policies = [{ match: 'docker.io/**', push: 'forward' as const }]
  return createEngine({ policies, upstream, ...options })
}

t.test('R116: a forwarded manifest is at the upstream before its client hears of it', async t => {
  const { upstream, puts } = takingUpstream()
  const { registry, catalog, facts } = forwarding(upstream)
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  t.same(puts, ['v1'])
  const { reference } = tagged('v1')
  t.match(await catalog.findTag(app, reference.tag), { digest: manifest.digest, local: false })
  t.match(await catalog.findContent(manifest.digest), { contentClass: 'cached' })
  t.same(await factsOf(facts, 'manifest'), [], 'what the upstream has need not be kept here')
  t.match(await registry.pullManifest(app, tagged('v1')), { source: 'hit', ageMs: 0 })
})

t.test('R112: with further tags the digest goes up first', async t => {
  const { upstream, puts } = takingUpstream()
  const { registry } = forwarding(upstream)
  await pushDocument(registry, app, { document: manifest, tags: ['v1', 'v2', 'v1'] })
  t.same(puts, [manifest.digest, 'v1', 'v2'])
})

t.test('R116: what the upstream refuses is refused, and nothing here has changed', async t => {
  const { upstream } = takingUpstream()
  const { registry, catalog } = forwarding({
    ...upstream,
    putManifest: async () => {
      throw new UpstreamError('denied', 'secret text', { status: 401 })
    },
  })
  const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
  await t.rejects(push, { code: 'DENIED', status: 403, message: /team\/app/ })
  const { reference } = tagged('v1')
  t.equal(await catalog.findTag(app, reference.tag), undefined)
  t.equal(await isMemberOf(catalog, app, manifest.digest), false)
})

t.test('R116: tags that went up before one was refused are known here too', async t => {
  const { upstream } = takingUpstream()
  const { registry, catalog } = forwarding({
    ...upstream,
    putManifest: async (name, reference, pushed) => {
      if (reference.kind === 'tag' && reference.tag === 'v2')
        throw new UpstreamError('rejected', 'v2 is immutable', { status: 409, code: 'DENIED' })
      return upstream.putManifest?.(name, reference, pushed) ?? { subject: undefined }
    },
  })
  const push = pushDocument(registry, app, { document: manifest, tags: ['v1', 'v2'] })
  await t.rejects(push, { code: 'DENIED' })
  const tagOf = (name: string) => catalog.findTag(app, tagged(name).reference.tag)
  t.match(await tagOf('v1'), { digest: manifest.digest, local: false })
  t.equal(await tagOf('v2'), undefined)
})

t.test('R113: what is not here is asked for by HEAD, and nothing is downloaded for it', async t => {
  const asked: string[] = []
  const { upstream, puts } = takingUpstream()
  const has = new Set([image.config.digest])
  const { registry } = forwarding({
    ...upstream,
    headBlob: async (_name, digest) => {
      asked.push(digest)
      if (!has.has(digest)) throw new UpstreamError('not-found', 'not here')
      return { sizeBytes: 1 }
    },
  })
  const push = () => pushDocument(registry, app, { document: manifest, reference: 'v1' })
  const lacking = image.layers.map(({ digest }) => digest)
  await t.rejects(push(), { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: lacking[0] } })
  t.same(asked, [image.config.digest, ...lacking])
  t.same(puts, [])
  for (const digest of lacking) has.add(digest)
  await push()
  t.same(puts, ['v1'])
})

t.test('R113: an upstream that does not answer fails a forwarded push', async t => {
  const unavailable = async () => {
    throw new UpstreamError('unavailable', 'down')
  }
  const { registry } = forwarding({ headBlob: unavailable })
  const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
  await t.rejects(push, { code: 'UNAVAILABLE', status: 503 })
})

t.test('an upstream that is slow to say what it has does not keep the client for ever', async t => {
  const { registry, clock } = forwarding({
    headBlob: (_name, _digest, { signal } = {}) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason))
      }),
  })
  const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
  const refused = t.rejects(push, { code: 'UNAVAILABLE', status: 503 })
  await clock.untilSleeping(20_000)
  await clock.advance(20_000)
  await refused
  t.equal(clock.sleepers, 0)
})

t.test('R115: a 404 that was remembered does not hide what is pushed', async t => {
  const { upstream } = takingUpstream()
  const { registry } = forwarding(upstream, { policy: { ttlMs: 0 } })
  const pulls = [tagged('v1'), digested(manifest.digest)]
  for (const each of pulls) {
    await t.rejects(registry.pullManifest(app, each), { code: 'MANIFEST_UNKNOWN' })
    await t.rejects(registry.headManifest(app, each), { code: 'MANIFEST_UNKNOWN' })
  }
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  for (const each of pulls) {
    t.match(await registry.pullManifest(app, each), { digest: manifest.digest })
    t.match(await registry.headManifest(app, each), { digest: manifest.digest })
  }
})

t.test('R117: HEAD before a push says what the upstream has, and not what is here', async t => {
  const { upstream, documents } = takingUpstream()
  const { registry, store, catalog } = forwarding({
    ...upstream,
    headBlob: async () => Promise.reject(new UpstreamError('not-found', 'gone')),
  })
  const bytes = Buffer.from('here')
  const digest = digestOf(bytes)
  await store.put(digest, bytes, 'cached')
  const record = { repository: app, digest, sizeBytes: 4, hold: 'nothing', atMs: 1 } as const
  await catalog.recordBlob(record)
  t.match(await registry.headBlob(app, digest), { source: 'hit' })
  const asked = registry.headBlob(app, digest, { mayPush: true })
  await t.rejects(asked, { code: 'BLOB_UNKNOWN', status: 404 })

  const empty = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
  await pushDocument(registry, app, { document: empty, reference: 'v1' })
  documents.clear()
  for (const each of [digested(empty.digest), tagged('v1')]) {
    t.match(await registry.headManifest(app, each), { digest: empty.digest })
    const push = registry.headManifest(app, { ...each, mayPush: true })
    await t.rejects(push, { code: 'MANIFEST_UNKNOWN', status: 404 })
  }
})

t.test(
  'HEAD by who may push is answered from here while the upstream is down, as for all who read',
  async t => {
    const { upstream } = takingUpstream()
    let isDown = false
    const orDown = <Args extends unknown[], Answer>(ask?: (...args: Args) => Promise<Answer>) => {
      return (...args: Args) =>
        isDown || ask === undefined
          ? Promise.reject(new UpstreamError('unavailable', 'down'))
          : ask(...args)
    }
    const { registry } = forwarding({
      ...upstream,
      headBlob: orDown(upstream.headBlob),
      headManifest: orDown(upstream.headManifest),
    })
    const empty = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
    await pushDocument(registry, app, { document: empty, reference: 'v1' })
    isDown = true
    for (const each of [digested(empty.digest), tagged('v1')])
      t.match(await registry.headManifest(app, { ...each, mayPush: true }), {
        digest: empty.digest,
      })
    const digest = digestOf(Buffer.from('not here'))
    const absent = registry.headBlob(app, digest, { mayPush: true })
    await t.rejects(absent, { code: 'BLOB_UNKNOWN' })
  },
)

t.test('R119: what was pushed and then deleted here comes from the upstream again', async t => {
  const { upstream } = takingUpstream()
  const { registry } = createEngine({
    policies: [{ match: 'docker.io/**', push: 'forward', deletable: true }],
    upstream,
  })
  const request = digested(manifest.digest)
  await t.rejects(registry.pullManifest(app, request), { code: 'MANIFEST_UNKNOWN' })
  await pushDocument(registry, app, { document: manifest })
  await registry.deleteManifest(app, request.reference)
  t.match(await registry.pullManifest(app, request), { source: 'miss' })
})

t.test('R115: a list that is kept for a moment has a pushed tag at once', async t => {
  const { upstream } = takingUpstream()
  const { registry } = forwarding(upstream)
  await pushDocument(registry, app, { document: manifest, reference: 'v2' })
  t.same((await registry.listTags(app, page)).tags, ['v2'])
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  t.match(await registry.listTags(app, page), { tags: ['v1', 'v2'], source: 'hit' })
})

t.test('R115: a list that was asked for before a push does not take its tag away', async t => {
  const { upstream } = takingUpstream()
  const answer = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let isFirst = true
  const { registry } = forwarding({
    ...upstream,
    listTags: async (name, signal) => {
      const list = await upstream.listTags?.(name, signal)
      if (isFirst) {
        isFirst = false
        asked.resolve()
        await answer.promise
      }
      return list ?? { tags: [] }
    },
  })
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  const early = registry.listTags(app, page)
  await asked.promise
  await pushDocument(registry, app, { document: manifest, reference: 'v2' })
  t.same((await registry.listTags(app, page)).tags, ['v1', 'v2'], 'nobody waits for the old list')
  answer.resolve()
  t.same((await early).tags, ['v1'])
  t.same((await registry.listTags(app, page)).tags, ['v1', 'v2'])
})

t.test('R77, R111: the subject is named only where the upstream lists referrers', async t => {
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  for (const subject of [manifest.digest, undefined]) {
    const { registry } = forwarding(takingUpstream(subject).upstream)
    const pushed = await pushDocument(registry, app, { document: signature.manifest })
    t.equal(pushed.subject, subject)
  }
})

t.test('R115: the referrers of an image have a pushed signature at once', async t => {
  const { upstream } = takingUpstream()
  const { registry } = forwarding({ ...upstream, listReferrers: async () => ({ manifests: [] }) })
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  t.same((await registry.listReferrers(app, manifest.digest, [])).manifests, [])
  await pushDocument(registry, app, { document: signature.manifest })
  const { manifests, source } = await registry.listReferrers(app, manifest.digest, [])
  t.match(manifests, [{ digest: signature.manifest.digest }])
  t.equal(source, 'hit')
})

t.test('R115: a HEAD that was under way when a tag was pushed does not move it back', async t => {
  for (const method of ['headManifest', 'getManifest'] as const) {
    const { upstream, documents } = takingUpstream()
    const answer = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    let isHeld = false
    const ask = upstream[method] as (...args: never[]) => Promise<unknown>
    const { registry, clock, catalog } = forwarding(
      {
        ...upstream,
        ...(method === 'getManifest'
          ? {
              headManifest: async () => Promise.reject(new UpstreamError('unsupported', 'no HEAD')),
            }
          : {}),
        [method]: async (...args: never[]) => {
          const found = await ask(...args)
          if (isHeld) {
            isHeld = false
            asked.resolve()
            await answer.promise
          }
          return found
        },
      },
      { policy: { ttlMs: 0 } },
    )
    await pushDocument(registry, app, { document: manifest, reference: 'v1' })
    await clock.advance(1)
    isHeld = true
    const early = registry.headManifest(app, tagged('v1'))
    await asked.promise
    await pushDocument(registry, app, { document: newer.manifest, reference: 'v1' })
    t.ok(documents.has('v1'))
    const late = await registry.headManifest(app, tagged('v1'))
    t.equal(late.digest, newer.manifest.digest, `${method}: the old question is not shared`)
    answer.resolve()
    t.equal((await early).digest, manifest.digest)
    const { reference } = tagged('v1')
    t.match(await catalog.findTag(app, reference.tag), { digest: newer.manifest.digest }, method)
  }
})

t.test('R126: a full disk is told before the upstream is changed', async t => {
  const { upstream, puts } = takingUpstream()
  const { registry, events } = forwarding(upstream, {
    store: store =>
      Object.assign(store, {
        put: async () => Promise.reject(new StoreError('full', 'no space', { hint: 'free some' })),
      }),
  })
  const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
  await t.rejects(push, { code: 'UNAVAILABLE', status: 507, message: /disk of this edge is full/ })
  t.same(puts, [])
  t.match(events, [{ kind: 'storage failed', failure: 'full', hint: 'free some' }])
})

t.test('a mirror is not asked whether the registry has what is listed', async t => {
  const { upstream, puts } = takingUpstream()
  const asked = async () => Promise.reject(new Error('a mirror was asked'))
  const mirror = { headManifest: asked, headBlob: asked }
  const { registry } = forwarding(behindMirror(upstreamOf(upstream), mirror))
  await pushDocument(registry, app, { document: manifest, reference: 'v1' })
  t.same(puts, ['v1'])
})
