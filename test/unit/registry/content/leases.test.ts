// Goal: what a client that may push was told is here, its manifest does not miss, whatever leaves
// meanwhile. Method: before each call that a push makes to its ports, one after the other, all that
// may leave does: the coldest images, what is loose, what is to be collected. The same once more
// without leases has to fail.
import t from 'tap'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { GRACE_MS } from '../../../../src/registry/collect/collect.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import type { RunningRegistry } from '../../../../src/registry/running-registry.ts'
import { everyCall } from '../../../kit/around.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  localOf,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { type Image, makeImage } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'

const before = makeImage({ seed: 'shared', layers: [10, 20] })
/** It lists what `before` does, and a layer that nobody has. */
const next = makeImage({ seed: 'shared', layers: [10, 20, 30] })
const DAY_MS = 24 * GRACE_MS

interface Scene {
  readonly name: string
  readonly repository: Repository
  readonly push: 'store' | 'queue'
  /** What the edge has when the push begins, and nothing needs for long. */
  begin(engine: Engine): Promise<void>
  /** The upstream, which has `before`, answers during the push. Default false. */
  readonly isHeard?: boolean
}

async function pullBefore({ registry }: Engine): Promise<void> {
  const repository = repositoryOf('team/app')
  await registry.pullManifest(repository, digested(before.manifest.digest))
  for (const { digest } of [before.config, ...before.layers])
    await readAll(await registry.pullBlob(repository, digest))
}

const SCENES: readonly Scene[] = [
  {
    name: 'blobs that were pushed a day ago, and no manifest since',
    repository: localOf('team/app'),
    push: 'store',
    begin: async ({ registry, clock }) => {
      for (const blob of [before.config, ...before.layers])
        await pushWhole(registry, localOf('team/app'), blob.bytes())
      await clock.advance(DAY_MS + 1)
      await registry.expirePendingBlobs(new AbortController().signal)
    },
  },
  {
    name: 'an image that was pulled, and may be evicted',
    repository: repositoryOf('team/app'),
    push: 'queue',
    begin: pullBefore,
  },
  {
    name: 'at the upstream, and of an image that was let go, whose files are still there',
    repository: repositoryOf('team/app'),
    push: 'queue',
    begin: async engine => {
      await pullBefore(engine)
      const { digest } = before.manifest
      const image = { repository: repositoryOf('team/app'), digest, atMs: engine.clock.nowMs() }
      await engine.catalog.evictImage({ ...image, reason: 'evicted' })
    },
    isHeard: true,
  },
]

/** An edge whose `squeeze` is called before each call that a push makes. */
function makeEngine({ push }: Scene, { areLeased = true } = {}) {
  const calls = { count: 0, at: Number.POSITIVE_INFINITY }
  const line = { isDown: false }
  let squeeze = async () => {}
  let isBusy = false
  const counted = <Port extends object>(port: Port): Port =>
    everyCall(port, (call, args, name) => {
      if (['sequence', 'noteUses', 'mayResume', 'list'].includes(name)) return call(...args)
      if (isBusy || calls.count++ !== calls.at) return call(...args)
      isBusy = true
      return squeeze().then(() => {
        isBusy = false
        return call(...args)
      })
    })
  let bare: Catalog | undefined
  const engine = createEngine({
    policies: everywhere({ push }),
    store: counted,
    catalog: catalog => {
      if (!areLeased) catalog.lease = async () => {}
      bare = catalog
      return counted(catalog)
    },
    upstream: upstreamOf(line),
  })
  squeeze = () => letAllGo(engine, bare as Catalog)
  return { engine, calls, line }
}

function upstreamOf(line: { readonly isDown: boolean }) {
  const assertUp = () => {
    if (line.isDown) throw new UpstreamError('unavailable', 'the line is down')
  }
  const blobs = new Map([before.config, ...before.layers].map(blob => [blob.digest, blob]))
  return {
    getManifest: async () => {
      assertUp()
      const { bytes, mediaType, digest } = before.manifest
      return { bytes, mediaType, declaredDigest: digest, warnings: [] } as never
    },
    getBlob: async (_name: unknown, digest: Image['config']['digest']) => {
      assertUp()
      return blobAnswer([blobs.get(digest)?.bytes() ?? Buffer.alloc(0)])
    },
    headBlob: async (_name: unknown, digest: Image['config']['digest']) => {
      assertUp()
      const blob = blobs.get(digest)
      if (blob !== undefined) return { sizeBytes: blob.sizeBytes }
      throw new UpstreamError('not-found', 'it has nothing')
    },
  }
}

/** Whatever may leave does: its rows at once, its files as soon as they can. */
async function letAllGo({ registry, clock }: Engine, catalog: Catalog): Promise<void> {
  const atMs = clock.nowMs()
  for (const { repository, digest } of (await catalog.listColdest({ limit: 99 })).images)
    await catalog.evictImage({ repository, digest, reason: 'evicted', atMs })
  await catalog.stampLoose(atMs)
  const loose = await catalog.listLoose({ limit: 99 })
  const since = await catalog.listLooseSince({ beforeMs: atMs + 1, limit: 99 })
  const digests = [...loose, ...since].map(({ digest }) => digest)
  await catalog.letGo({ digests, reason: 'collected', atMs })
  void registry.leaving.finish()
}

/** As clients push: what they are told is there they do not send. */
async function push(registry: RunningRegistry, repository: Repository): Promise<number> {
  let relied = 0
  for (const blob of [next.config, ...next.layers]) {
    const isThere = await registry.headBlob(repository, blob.digest, { mayPush: true }).then(
      () => true,
      () => false,
    )
    if (isThere) relied += 1
    else await pushWhole(registry, repository, blob.bytes())
  }
  await pushDocument(registry, repository, { document: next.manifest, reference: 'v1' })
  return relied
}

/** What went wrong when all left before call `at`; undefined when nothing did. */
async function pushAt(scene: Scene, at: number, options = {}) {
  const { engine, calls, line } = makeEngine(scene, options)
  const { registry, store, catalog } = engine
  await scene.begin(engine)
  line.isDown = scene.isHeard !== true
  Object.assign(calls, { count: 0, at })
  let failure: unknown
  const relied = await push(registry, scene.repository).catch((error: unknown) => {
    failure = error
    return 0
  })
  calls.at = Number.POSITIVE_INFINITY
  const isOver = calls.count <= at
  await registry.leaving.finish()
  const missing: string[] = []
  // What the upstream was heard to have need not be here.
  if (failure === undefined && scene.isHeard !== true)
    for (const { digest } of [next.manifest, next.config, ...next.layers])
      if ((await store.find(digest)) === undefined || !(await catalog.findContent(digest)))
        missing.push(digest)
  if (failure === undefined && missing.length === 0)
    await registry.pullManifest(scene.repository, tagged('v1'))
  return { failure, missing, relied, isOver }
}

for (const scene of SCENES) {
  t.test(`R313: what a pusher is told is here stays for its push: ${scene.name}`, async t => {
    let relied = 0
    let at = 0
    for (let isOver = false; !isOver; at += 1) {
      const outcome = await pushAt(scene, at)
      isOver = outcome.isOver
      relied += outcome.relied
      t.equal(outcome.failure, undefined, `at ${at}`)
      t.strictSame(outcome.missing, [], `at ${at}`)
    }
    t.ok(at > 20, `${at} calls`)
    t.ok(relied > 0, 'some were not sent')
  })

  // What an upstream has as well needs none.
  if (scene.isHeard === true) continue
  t.test(`without leases a push fails: ${scene.name}`, async t => {
    for (let at = 0; ; at += 1) {
      const { failure, isOver } = await pushAt(scene, at, { areLeased: false })
      if (isOver) return t.fail('nothing went wrong')
      if (failure === undefined) continue
      return t.match(failure, { code: 'MANIFEST_BLOB_UNKNOWN' })
    }
  })
}

t.test('R313: a manifest that a pusher is told of stays as well, and what it lists', async t => {
  const engine = createEngine()
  const { registry, catalog, clock } = engine
  const app = localOf('team/app')
  await pushImage(registry, app, before, 'v1')
  const { digest } = before.manifest
  await registry.headManifest(app, { ...digested(digest), mayPush: true })
  const untilMs = await catalog.leasedUntil(app, digest)
  t.equal(untilMs, clock.nowMs() + GRACE_MS)
  await clock.advance(GRACE_MS / 5)
  await registry.headManifest(app, { ...tagged('v1'), mayPush: true })
  t.equal(await catalog.leasedUntil(app, digest), untilMs, 'it is not written for each who asks')
  await clock.advance(GRACE_MS / 5)
  await registry.headManifest(app, { ...tagged('v1'), mayPush: true })
  t.equal(await catalog.leasedUntil(app, digest), clock.nowMs() + GRACE_MS)
})

t.test('R313: a manifest that leaves as a pusher looks for it is not said to be here', async t => {
  const scene = SCENES.find(({ push }) => push === 'queue') as Scene
  const { digest } = before.manifest
  let told = 0
  for (let at = 0; ; at += 1) {
    const { engine, calls, line } = makeEngine(scene)
    await scene.begin(engine)
    line.isDown = true
    Object.assign(calls, { count: 0, at })
    const head = engine.registry.headManifest(scene.repository, {
      ...digested(digest),
      mayPush: true,
    })
    const isThere = await head.then(
      () => true,
      () => false,
    )
    if (calls.count <= at) break
    if (!isThere) continue
    told += 1
    t.ok(await engine.catalog.findManifest(scene.repository, digest), `at ${at}`)
  }
  t.ok(told > 0)
})

t.test('who only pulls leases nothing, and nothing is leased that is not here', async t => {
  const { registry, catalog } = createEngine()
  const app = localOf('team/app')
  await pushImage(registry, app, before, 'v1')
  await registry.headManifest(app, tagged('v1'))
  const { digest } = before.config
  await registry.headBlob(app, digest)
  const other = next.layers[2]?.digest ?? digest
  await t.rejects(registry.headBlob(app, other, { mayPush: true }), { code: 'BLOB_UNKNOWN' })
  for (const each of [before.manifest.digest, digest, other])
    t.equal(await catalog.leasedUntil(app, each), undefined)
})

const other = makeImage({ seed: 'of others', layers: [40, 50] })

/** What a push leases that is refused, where others have what `other` lists. */
async function refused(
  image: Image,
  { sparse, reference }: { sparse: boolean; reference: string },
) {
  const [team, mine] = [repositoryOf('team/app'), repositoryOf('mine/app')]
  const { registry, catalog, content, store } = createEngine({
    policies: everywhere({ push: 'queue', sparse, immutable: ['v*'] }),
  })
  for (const layer of other.layers) {
    await store.put(layer.digest, layer.bytes(), 'cached')
    await content.recordHere({ repository: team, digest: layer.digest, atMs: 1, hold: 'nothing' })
  }
  await pushImage(registry, mine, before, 'v1')
  const pushed = pushDocument(registry, mine, { document: image.manifest, reference })
  const [{ status, reason }] = (await Promise.allSettled([pushed])) as [PromiseRejectedResult]
  const leased: string[] = []
  for (const { digest } of [image.config, ...image.layers])
    if ((await catalog.leasedUntil(mine, digest)) !== undefined) leased.push(digest)
  return { status, reason: reason as unknown, leased }
}

t.test('a push that is refused has nothing stay, of its own or of others', async t => {
  const whole = await refused(other, { sparse: false, reference: 'latest' })
  t.match(whole, { status: 'rejected', reason: { code: 'MANIFEST_BLOB_UNKNOWN' } })
  t.strictSame(whole.leased, [])
  const sparse = await refused(next, { sparse: true, reference: 'v1' })
  t.match(sparse, { status: 'rejected', reason: { code: 'DENIED' } })
  t.strictSame(sparse.leased, [])
})

t.test('R389: as much is leased as is there, however much is asked for', async t => {
  const rows = new Set<string>()
  const engine = createEngine({
    catalog: catalog => {
      const lease = catalog.lease.bind(catalog)
      catalog.lease = async record => {
        await lease(record)
        for (const digest of record.digests)
          if ((await catalog.leasedUntil(record.repository, digest)) !== undefined)
            rows.add(`${repositoryKey(record.repository)} ${digest}`)
      }
      return catalog
    },
  })
  const { registry } = engine
  const app = localOf('team/app')
  await pushImage(registry, app, before, 'v1')
  const all = [before.config, ...before.layers, ...next.layers, ...other.layers]
  for (const name of ['team/app', 'team/a', 'team/b'])
    for (const { digest } of all)
      await registry.headBlob(localOf(name), digest, { mayPush: true }).catch(() => {})
  const there = [before.config, ...before.layers].map(
    ({ digest }) => `localhost/team/app ${digest}`,
  )
  t.strictSame([...rows].sort(), there.sort())
})
