// Goal: a purge that takes its time takes nothing along that a client has been told of meanwhile.
// Method: the engine over in-memory twins; a push comes between what is planned and what is done.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-type.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../../kit/engine.ts'
import { document } from '../../kit/image.ts'
import { digested, pushDocument } from '../../kit/push-image.ts'
import { pushWhole } from '../../kit/upload-chunks.ts'

const app = repositoryOf('team/app')
const mine = localOf('mine/app')
const bytes = 'a layer that was here before'
const digest = digestOf(Buffer.from(bytes))

function how(dryRun = false) {
  const { signal } = new AbortController()
  return { kept: false, dryRun, signal, progress: () => {}, pause: async () => {} }
}

/** Before each call of `name` `work` runs, once. */
function before(name: keyof Catalog, work: () => Promise<unknown>) {
  let isDone = false
  return (catalog: Catalog): Catalog =>
    new Proxy(catalog, {
      get: (target, called) => {
        const value: unknown = Reflect.get(target, called, target)
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          if (called === name && !isDone) {
            isDone = true
            await work()
          }
          return Reflect.apply(value, target, args) as unknown
        }
      },
    })
}

async function purgedMeanwhile(name: keyof Catalog, work: (engine: Engine) => Promise<unknown>) {
  const policies = [{ match: 'docker.io/**', push: 'queue' as const }]
  const engine = createEngine({ policies, catalog: before(name, () => work(engine)) })
  const { registry, store, content } = engine
  await store.put(digest, Buffer.from(bytes), 'cached')
  await content.recordHere({ repository: app, digest, atMs: 1, hold: 'nothing' })
  return { ...engine, result: await registry.purge({ kind: 'content', digest }, how()) }
}

t.test('R352: a blob that is pushed during a purge stays, as the client was told', async t => {
  const { result, catalog, store } = await purgedMeanwhile('findNeed', ({ registry }) =>
    pushWhole(registry, app, bytes),
  )
  t.match(result.held, [{ reason: /a push under way/ }])
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  t.ok(await catalog.findMember(app, digest))
  t.ok(await store.find(digest))
})

t.test('R352: so does one of which a client is told that it is there', async t => {
  const { result, registry, store } = await purgedMeanwhile('removeMember', ({ registry }) =>
    registry.headBlob(app, digest, { mayPush: true }),
  )
  t.match(result.held, [{ reason: /a push under way/ }])
  t.match(await registry.headBlob(app, digest, { mayPush: true }), { source: 'hit' })
  t.ok(await store.find(digest))
})

t.test('R352: so does a manifest that is pushed there, for which nobody was leased it', async t => {
  const empty = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
  const policies = [{ match: 'docker.io/**', push: 'queue' as const }]
  const push = (): Promise<unknown> => pushDocument(engine.registry, app, { document: empty })
  const engine: Engine = createEngine({
    policies,
    catalog: before('evictImage', push),
    upstream: {
      getManifest: async () => ({ ...empty, declaredDigest: empty.digest, warnings: [] }),
    },
  })
  const { registry, catalog } = engine
  await registry.pullManifest(app, digested(empty.digest))
  const selector = { kind: 'content', digest: empty.digest } as const
  t.match(await registry.purge(selector, how()), {
    count: 0,
    held: [{ reason: /it was pushed here/ }],
  })
  t.same(await catalog.holdsOf(app, empty.digest), ['undelivered'])
})

t.test('R352: a blob leaves where it was only pulled, and stays where it was pushed', async t => {
  const { registry, content, catalog, store } = createEngine({})
  await pushWhole(registry, mine, bytes)
  const layers = [{ mediaType: 'application/octet-stream', digest, size: bytes.length }]
  const listing = document(OCI_MANIFEST, { schemaVersion: 2, layers })
  await pushDocument(registry, mine, { document: listing, reference: 'v1' })
  await content.recordHere({ repository: app, digest, atMs: 1, hold: 'nothing' })
  const selector = { kind: 'content', digest } as const
  for (const dryRun of [true, false])
    t.match(await registry.purge(selector, how(dryRun)), {
      gone: [{ what: /team\/app@/, bytes: 0 }],
      held: [{ what: /^localhost/, reason: /it was pushed here/ }],
    })
  t.equal(await catalog.findMember(app, digest), undefined)
  t.ok(await catalog.findMember(mine, digest))
  t.ok(await store.find(digest))
})
