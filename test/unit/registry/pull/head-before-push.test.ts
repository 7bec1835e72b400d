// Goal: who pushes while the upstream cannot be reached gets to the push, which says what to do,
// and does not wait; who only reads hears the truth, and what is here is given to both. Method: the
// engine over in-memory twins, with an upstream that is written in the test.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { formatReference } from '../../../../src/oci/reference.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import {
  type ReadOptions,
  type Upstream,
  UpstreamError,
} from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { digested, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'

const app = repositoryOf('team/app')
const digest = digestOf(Buffer.from('a layer'))
const down = async () => Promise.reject(new UpstreamError('unavailable', 'down'))
const RULES = ['deny', 'store', 'forward', 'queue'] as const

type Registry = ReturnType<typeof createEngine>['registry']
const asks = (registry: Registry, mayPush: boolean) => [
  () => registry.headBlob(app, digest, { mayPush }),
  () => registry.headManifest(app, { ...digested(digest), mayPush }),
  () => registry.headManifest(app, { ...tagged('v1'), mayPush }),
]

for (const push of RULES)
  t.test(`R270: ${push}: HEAD by who may push is 404 where nobody answers`, async t => {
    const calls: string[] = []
    const ask = async (_name: unknown, _what: unknown, options?: ReadOptions) => {
      calls.push(options?.retries === 'if responded' ? 'in haste' : 'patient')
      return down()
    }
    const policies = everywhere({ push })
    const upstream = { headManifest: ask, headBlob: ask, getManifest: ask }
    const { registry } = createEngine({ policies, upstream })
    for (const ask of asks(registry, true))
      await t.rejects(ask(), { code: /^(?:BLOB|MANIFEST)_UNKNOWN$/ })
    t.same(calls, ['in haste', 'in haste', 'in haste'], 'nothing is tried again')
    for (const ask of asks(registry, false)) await t.rejects(ask(), { code: 'UNAVAILABLE' })
  })

t.test('R270: an upstream that is silent is not waited for long', async t => {
  const silent = () => new Promise<never>(() => {})
  const policies = everywhere({ push: 'deny' })
  const { registry, clock } = createEngine({
    policies,
    upstream: { headManifest: silent, headBlob: silent },
  })
  for (const ask of asks(registry, true)) {
    const asked = ask()
    asked.catch(() => {})
    await clock.advance(6_000)
    await t.rejects(asked, { code: /^(?:BLOB|MANIFEST)_UNKNOWN$/ })
  }
})

for (const push of RULES.filter(rule => rule !== 'deny'))
  t.test(
    `R270: ${push}: a silent upstream is waited for once, not by each HEAD of a push`,
    async t => {
      const silent = () => new Promise<never>(() => {})
      const other = digestOf(Buffer.from('another layer'))
      const upstream: Partial<Upstream> = {
        headManifest: silent,
        headBlob: async (_name, wanted) => (wanted === other ? { sizeBytes: 7 } : silent()),
      }
      const { registry, clock } = createEngine({ policies: everywhere({ push }), upstream })
      const [blob, ...manifests] = asks(registry, true)
      const isOver = async (ask: (() => Promise<unknown>) | undefined, afterMs: number) => {
        let isSettled = false
        const asked = ask?.().then(
          () => (isSettled = true),
          () => (isSettled = true),
        )
        await clock.advance(afterMs)
        await new Promise(setImmediate)
        if (isSettled) await asked
        return isSettled
      }
      t.ok(await isOver(blob, 6_000))
      for (const ask of manifests) t.ok(await isOver(ask, 1_000), 'nothing here could be told of')
      t.ok(await isOver(() => registry.headBlob(app, other, { mayPush: true }), 0), 'it answers')
      for (const ask of manifests) t.notOk(await isOver(ask, 5_000), 'and has its time again')
    },
  )

const SLOW_MS = 3_000

for (const [what, push, hanging] of [
  ['where nothing may be pushed', 'deny', { repository: app, isManifest: false }],
  ['in another repository', 'store', { repository: repositoryOf('team/other'), isManifest: false }],
  ['in a pull', 'store', { repository: app, isManifest: true }],
] as const)
  t.test(`R270: ${what}, one HEAD that hangs takes nobody else's time`, async t => {
    const { manifest } = makeImage({ seed: 'slow', layers: [] })
    const head = { digest: manifest.digest, mediaType: manifest.mediaType, sizeBytes: 1 }
    const silent = () => new Promise<never>(() => {})
    const { registry, clock } = createEngine({
      policies: everywhere({ push }),
      upstream: {
        headBlob: silent,
        headManifest: async (_name, reference) => {
          if (formatReference(reference) === 'hangs') return silent()
          await clock.sleep(SLOW_MS)
          return { ...head, warnings: [] }
        },
      },
    })
    const { repository, isManifest } = hanging
    const hangs = isManifest
      ? registry.headManifest(repository, { ...tagged('hangs'), mayPush: true })
      : registry.headBlob(repository, digest, { mayPush: true })
    hangs.catch(() => {})
    await clock.advance(6_000)
    await t.rejects(hangs, { code: /^(?:BLOB|MANIFEST)_UNKNOWN$/ })
    const asked = registry.headManifest(app, { ...tagged('v1'), mayPush: true })
    asked.catch(() => {})
    await clock.advance(SLOW_MS)
    t.match(await asked, { digest: manifest.digest })
  })

t.test('R270: a wait of a second leaves the half minute as it was', async t => {
  const silent = () => new Promise<never>(() => {})
  const { registry, clock } = createEngine({
    policies: everywhere({ push: 'store' }),
    upstream: { headBlob: silent },
  })
  const isOverAfter = async (ms: number) => {
    let isOver = false
    registry.headBlob(app, digest, { mayPush: true }).catch(() => (isOver = true))
    await clock.advance(ms)
    await new Promise(setImmediate)
    return isOver
  }
  t.ok(await isOverAfter(6_000))
  await clock.advance(28_000)
  t.ok(await isOverAfter(1_000))
  await clock.advance(2_000)
  t.notOk(await isOverAfter(5_000), 'half a minute is over')
})

t.test('R270: what is here under a tag is told of also while others do not wait', async t => {
  const { manifest: given, config } = makeImage({ seed: 'stale', layers: [] })
  let answers = true
  const silent = () => new Promise<never>(() => {})
  const head = { digest: given.digest, mediaType: given.mediaType, sizeBytes: 1, warnings: [] }
  const { registry, clock } = createEngine({
    policies: everywhere({ push: 'forward' }),
    upstream: {
      headBlob: silent,
      getBlob: async () => blobAnswer([config.bytes()]),
      headManifest: async () => (answers ? head : silent()),
      getManifest: async () => ({ ...given, declaredDigest: given.digest, warnings: [] }),
    },
  })
  await registry.pullManifest(app, { ...tagged('v1') })
  await readAll(await registry.pullBlob(app, config.digest))
  await registry.settled(config.digest)
  answers = false
  const blob = registry.headBlob(app, digest, { mayPush: true })
  blob.catch(() => {})
  await clock.advance(6_000)
  await t.rejects(blob, { code: 'BLOB_UNKNOWN' })
  const asked = registry.headManifest(app, { ...tagged('v1'), mayPush: true })
  asked.catch(() => {})
  await clock.advance(6_000)
  t.match(await asked, { digest: given.digest, source: 'stale' })
})

t.test('R270: forward: what is here is given while the upstream is silent', async t => {
  const image = makeImage({ seed: 'here' })
  const given = image.manifest
  let answers = true
  const silent = () => new Promise<never>(() => {})
  const head = { digest: given.digest, mediaType: given.mediaType, sizeBytes: 1, warnings: [] }
  const { registry, clock } = createEngine({
    policies: everywhere({ push: 'forward' }),
    upstream: {
      headManifest: async () => (answers ? head : silent()),
      getManifest: async () => ({ ...given, declaredDigest: given.digest, warnings: [] }),
    },
  })
  await registry.pullManifest(app, { ...digested(given.digest) })
  answers = false
  const asked = registry.headManifest(app, { ...digested(given.digest), mayPush: true })
  asked.catch(() => {})
  await clock.advance(6_000)
  t.match(await asked, { digest: given.digest })
})

t.test('what an upstream says is told: that it has it, and that it denies it', async t => {
  const policies = everywhere({ push: 'deny' })
  const has = createEngine({ policies, upstream: { headBlob: async () => ({ sizeBytes: 7 }) } })
  t.match(await has.registry.headBlob(app, digest, { mayPush: true }), { sizeBytes: 7 })
  const denies = createEngine({
    policies,
    upstream: {
      headBlob: async () => Promise.reject(new UpstreamError('denied', 'no', { status: 401 })),
    },
  })
  await t.rejects(denies.registry.headBlob(app, digest, { mayPush: true }), { code: 'DENIED' })
})

t.test('R772: where the catalog fails nobody is told that a manifest is gone', async t => {
  const { registry, catalog } = createEngine({ policies: everywhere({ push: 'store' }) })
  const failed = new StoreError('io', 'the catalog failed')
  Object.assign(catalog, { findTag: () => Promise.reject(failed) })
  for (const mayPush of [true, false])
    await t.rejects(registry.headManifest(localOf('app'), { ...tagged('v1'), mayPush }), failed)
})

t.test('R768: nor where it fails once, or at the manifest alone', async t => {
  const { registry, catalog } = createEngine({ policies: everywhere({ push: 'store' }) })
  const image = makeImage({ seed: 'kept', layers: [] })
  await pushImage(registry, localOf('app'), image, 'v1')
  const failed = new StoreError('io', 'the catalog failed')
  const { findManifest, findTag, findContent } = catalog
  for (const [name, operation] of Object.entries({ findManifest, findTag, findContent }))
    for (const times of [1, Number.POSITIVE_INFINITY])
      for (const reference of [tagged('v1'), digested(image.manifest.digest)]) {
        let calls = 0
        const failing = (...args: never[]) =>
          ++calls <= times ? Promise.reject(failed) : Reflect.apply(operation, catalog, args)
        Object.assign(catalog, { [name]: failing })
        const head = registry.headManifest(localOf('app'), { ...reference, mayPush: true })
        const told = await head.catch((error: unknown) => error)
        t.notMatch(told, { code: 'MANIFEST_UNKNOWN' }, `${name} ${times}`)
        Object.assign(catalog, { findManifest, findTag, findContent })
      }
})
