// Goal: what a pushed index needs is kept with it, whoever brought it here and wherever it was cut
// off. Method: the engine over in-memory twins; images come from an upstream, then a client pushes
// an index of them.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import {
  createEngine,
  type EngineOptions,
  localOf,
  repositoryOf,
  blobAnswer,
  readAll,
} from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import {
  digested,
  pushDocument,
  pushImage,
  pushParts,
  tagged,
} from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const app = repositoryOf('team/app')
const image = makeImage({ seed: 'child', layers: [10, 20] })
const inner = makeIndex([image])
const outer = makeIndex([inner])
const blobs = [image.config, ...image.layers]
const rules = everywhere({ push: 'store' })

/** The image and the index over it were pulled. */
async function pulled(options: Partial<EngineOptions> = {}) {
  const documents = new Map([image, inner].map(({ manifest }) => [manifest.digest, manifest]))
  let isAway = false
  const engine = createEngine({
    policies: rules,
    upstream: {
      getManifest: async (_name, reference) => {
        const found = reference.kind === 'digest' ? documents.get(reference.digest) : undefined
        if (found === undefined || isAway) throw new UpstreamError('not-found', 'not here')
        return { ...found, declaredDigest: found.digest, warnings: [] }
      },
      getBlob: async (_name, digest) => {
        const found = blobs.find(each => each.digest === digest)
        if (found === undefined) throw new UpstreamError('not-found', 'not here')
        return blobAnswer([found.bytes()])
      },
    },
    ...options,
  })
  for (const { manifest } of [inner, image])
    await engine.registry.pullManifest(app, digested(manifest.digest))
  for (const { digest } of blobs) {
    await readAll(await engine.registry.pullBlob(app, digest))
    await engine.registry.settled(digest)
  }
  isAway = true
  return engine
}

t.test('R267: a pushed index keeps its children, their children, and all their blobs', async t => {
  const engine = await pulled()
  const { catalog, registry, facts } = engine
  t.match(await catalog.findContent(blobs[0]?.digest as never), { contentClass: 'cached' })
  await pushDocument(registry, app, { document: outer.manifest, reference: 'v1' })
  for (const { digest } of [...blobs, image.manifest, inner.manifest])
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  const told = (await factsOf(facts, 'manifest')).map(({ digest }) => digest).toSorted()
  t.same(told, [image, inner, outer].map(({ manifest }) => manifest.digest).toSorted())
  const next = await rebuilt(engine, rules)
  const after = createEngine({ after: { ...engine, catalog: next.catalog }, policies: rules })
  t.match(await after.registry.pullManifest(app, tagged('v1')), { digest: outer.manifest.digest })
  for (const { digest } of blobs) t.ok(await after.registry.headBlob(app, digest))
})

t.test('R267: a pushed index keeps what another repository has kept before it', async t => {
  const engine = await pulled()
  const other = repositoryOf('team/other')
  const contents = [
    { digest: image.manifest.digest, sizeBytes: image.manifest.bytes.length },
    ...blobs.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
  ]
  for (const content of contents)
    await engine.catalog.recordBlob({
      repository: other,
      ...content,
      hold: 'awaited',
      atMs: 1,
    })
  await pushDocument(engine.registry, app, { document: outer.manifest, reference: 'v1' })
  const ofApp = (await factsOf(engine.facts, 'manifest')).filter(
    ({ repository }) => repository === repositoryKey(app),
  )
  t.equal(ofApp.length, 3)
})

for (const { manifest } of [image, inner])
  t.test(
    `R267: so it does below a ${manifest === image.manifest ? 'manifest' : 'nested index'} that a sparse repository has kept alone`,
    async t => {
      const sparse = { match: 'localhost/**', push: 'store', sparse: true } as const
      const engine = await pulled({ policies: [sparse, ...rules] })
      const { catalog, registry, facts } = engine
      await pushDocument(registry, localOf('alone'), { document: manifest })
      t.match(await catalog.findContent(manifest.digest), { contentClass: 'kept' })
      t.match(await catalog.findContent(blobs[0]?.digest as never), { contentClass: 'cached' })
      await pushDocument(registry, app, { document: outer.manifest, reference: 'v1' })
      for (const { digest } of [...blobs, image.manifest, inner.manifest])
        t.match(await catalog.findContent(digest), { contentClass: 'kept' })
      const told = (await factsOf(facts, 'manifest')).filter(
        ({ repository }) => repository === repositoryKey(app),
      )
      t.equal(told.length, 3, 'and facts say whose they are')
    },
  )

const child = makeImage({ seed: 'lost', layers: [30] })
const parent = makeIndex([child])
const lost = child.layers[0]?.digest as Digest

/** An image was pushed, and the file of its layer is gone. */
async function withLostLayer(repository: Repository, options: Partial<EngineOptions> = {}) {
  const engine = createEngine(options)
  await pushImage(engine.registry, repository, child, 'v1')
  engine.disk.blobs.delete(lost)
  return engine
}

const UNKNOWN = { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: lost } }

for (const [push, repository] of [
  ['store', localOf('team/app')],
  ['store', app],
  ['queue', app],
] as const) {
  const where = `${repositoryKey(repository)} by ${push}`
  t.test(`R113: an index over an image that lost a layer is not taken in ${where}`, async t => {
    const { registry } = await withLostLayer(repository, { policies: everywhere({ push }) })
    const index = () =>
      pushDocument(registry, repository, { document: parent.manifest, reference: 'all' })
    await t.rejects(index(), UNKNOWN)
    await t.rejects(registry.pullManifest(repository, tagged('all')), { code: 'MANIFEST_UNKNOWN' })
    await pushParts(registry, repository, child)
    t.match(await index(), { digest: parent.manifest.digest }, 'and is, once that is back')
  })

  t.test(`R113: nor is an image that loses one as it is pushed to ${where}`, async t => {
    let looks = 0
    const engine = createEngine({
      policies: everywhere({ push }),
      store: store =>
        around(store, {
          find:
            find =>
            async (...args) => {
              const stored = await find(...args)
              // Before its turn the push looks for what it lists, and once more in it.
              if (args[0] === lost && ++looks === 2) engine.disk.blobs.delete(lost)
              return stored
            },
        }),
    })
    await pushParts(engine.registry, repository, child)
    const image = { document: child.manifest, reference: 'v1' }
    await t.rejects(pushDocument(engine.registry, repository, image), UNKNOWN)
  })
}

t.test('R113: the layer that is lost here may be at the upstream', async t => {
  const headBlob: Upstream['headBlob'] = async (_name, digest) =>
    ({ digest, sizeBytes: 30 }) as never
  const { registry } = await withLostLayer(app, { policies: rules, upstream: { headBlob } })
  const index = { document: parent.manifest, reference: 'all' }
  t.match(await pushDocument(registry, app, index), { digest: parent.manifest.digest })
})

t.test('R113: a sparse repository takes the index without it', async t => {
  const sparse = [{ match: 'localhost/**', push: 'store', sparse: true }] as const
  const { registry } = await withLostLayer(localOf('team/app'), { policies: sparse })
  const index = { document: parent.manifest, reference: 'all' }
  const pushed = await pushDocument(registry, localOf('team/app'), index)
  t.match(pushed, { digest: parent.manifest.digest })
})

for (const how of BREAKS)
  t.test(
    `wherever the push is cut off, what is kept has nothing below it that is not, ${how}`,
    async t => {
      for (let at = 0; ; at++) {
        const breaking = createBreaking()
        const engine = await pulled(breaking)
        const push = () =>
          pushDocument(engine.registry, app, { document: outer.manifest, reference: 'v1' })
        breaking.arm(at, how)
        await push().catch(() => {})
        breaking.disarm()
        const isKept = async (digest: typeof image.manifest.digest) =>
          (await engine.catalog.findContent(digest))?.contentClass === 'kept'
        const below = await Promise.all(blobs.map(({ digest }) => isKept(digest)))
        t.ok(below.every(Boolean) || !(await isKept(image.manifest.digest)), `at ${at}`)
        await push()
        for (const { digest } of [...blobs, image.manifest])
          t.ok(await isKept(digest), `at ${at} again`)
        if (!breaking.isBroken) return
      }
    },
  )

for (const how of BREAKS)
  t.test(`wherever a push is cut off, nothing is kept that nothing holds, ${how}`, async t => {
    for (let at = 0; ; at++) {
      const breaking = createBreaking()
      const { catalog, registry } = await pulled(breaking)
      breaking.arm(at, how)
      const index = { document: outer.manifest, reference: 'v1' }
      await pushDocument(registry, app, index).catch(() => {})
      for (const { digest, contentClass } of await catalog.listContent({ limit: 99 })) {
        const holds = await catalog.holdsOf(app, digest)
        t.equal(contentClass === 'kept', holds.length > 0, `at ${at}`)
        t.notOk(await catalog.isPending(app, digest), `at ${at}`)
      }
      if (!breaking.isBroken) return
    }
  })
