// Goal: what was deleted is off the disk when its grace and one more pass are over, and nothing
// else is; a dry run tells what the run then does. Method: the engine over in-memory twins, by its
// use cases, once over the file; images that share what they list, made from a seed.
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { GRACE_MS, UNUSED_MS } from '../../../../src/registry/collect/collect.ts'
import type { JobResult } from '../../../../src/registry/job.ts'
import { Loosened } from '../../../../src/registry/leave/loosened.ts'
import type { Pins } from '../../../../src/registry/pins/pins.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { beforeCall } from '../../../kit/worlds/before-call.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { type Image, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushImage } from '../../../kit/clients/push-image.ts'
import { createRandom, seedOf } from '../../../kit/seeded.ts'
import { openCatalog } from '../../../kit/open-catalog.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = localOf('team/app')
const DAY_MS = 24 * GRACE_MS
const YEAR_MS = 365 * DAY_MS

/** One run, a moment after what was done before. */
async function collected({ registry }: Engine, dryRun = false): Promise<JobResult> {
  return registry.collect(quietRun({ dryRun }))
}

/** Digests, also of what is named with its repository. */
const named = ({ gone }: JobResult) =>
  gone.map(({ what }) => what.slice(what.indexOf('@') + 1)).sort()
const partsOf = ({ manifest, config, layers }: Image) =>
  [manifest, config, ...layers].map(({ digest }) => digest)
const onDisk = ({ disk }: Engine) => [...disk.blobs.keys()].sort()

t.test('R311: what was deleted is off the disk after its grace, and no sooner', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'deleted', layers: [10, 20] })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  t.match(await collected(engine), { count: 0 })
  await engine.clock.advance(GRACE_MS)
  t.match(await collected(engine), { count: 0 }, 'a grace is over when it is')
  await engine.clock.advance(1)
  const result = await collected(engine)
  t.strictSame(named(result), partsOf(image).sort())
  t.equal(result.freedBytes, 4 * 4096, 'in blocks, as the disk has them back')
  t.match(result.gone[0], { what: image.manifest.digest, reason: 'nothing needs it any more' })
  t.match(result.gone[1], { reason: `only ${image.manifest.digest} listed it` })
  t.strictSame(onDisk(engine), [])
  t.match(await engine.catalog.totals(), { contentBlocks: 0, leavingBlocks: 0 })
})

t.test('R311: what another image lists stays, and goes with that', async t => {
  const engine = createEngine()
  const one = makeImage({ seed: 'one', layers: [10, 20] })
  const two = { ...makeImage({ seed: 'one', layers: [10, 20, 30] }) }
  await pushImage(engine.registry, app, one, 'one')
  await pushImage(engine.registry, app, two, 'two')
  const shared = partsOf(one).filter(each => partsOf(two).includes(each))
  t.ok(shared.length > 0)
  for (const image of [one, two]) {
    await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
    await engine.clock.advance(GRACE_MS + 1)
    const gone = named(await collected(engine))
    t.equal(
      shared.some(each => gone.includes(each)),
      image === two,
    )
  }
  t.strictSame(onDisk(engine), [])
})

t.test('R624: a file that the disk cannot remove is not told of as gone before it is', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'stuck', layers: [10, 20] })
  const [stuck] = image.layers
  const remove = engine.store.remove.bind(engine.store)
  const broken = new StoreError('io', 'the directory is broken')
  engine.store.remove = each => (each === stuck?.digest ? Promise.reject(broken) : remove(each))
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await engine.clock.advance(GRACE_MS + 1)
  const result = await collected(engine)
  t.strictSame(
    named(result),
    partsOf(image)
      .filter(each => each !== stuck?.digest)
      .sort(),
  )
  t.equal(result.freedBytes, 3 * 4096)
  t.match(result.note, /^one file could not be removed/)
  t.same(onDisk(engine), [stuck?.digest])
})

t.test('many that were deleted leave a few at a time, and others have their turn', async t => {
  const engine = createEngine()
  const layers = Array.from({ length: 40 }, (_, at) => at + 20)
  const images = Array.from({ length: 30 }, (_, at) => makeImage({ seed: `many ${at}`, layers }))
  for (const image of images) {
    await pushImage(engine.registry, app, image, 'v1')
    await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  }
  await engine.clock.advance(GRACE_MS + 1)
  const letGo = engine.catalog.letGo.bind(engine.catalog)
  const taken: number[] = []
  engine.catalog.letGo = record => {
    taken.push(record.digests.length)
    return letGo(record)
  }
  let pauses = 0
  const pause = async () => void pauses++
  const { signal } = new AbortController()
  const result = await engine.registry.collect(quietRun({ signal, pause }))
  t.equal(result.count, 30 * 42)
  t.strictSame(taken, [7, 7, 7, 7, 2], 'of 42 parts each')
  t.ok(pauses > 10, String(pauses))
  t.strictSame(onDisk(engine), [])
})

t.test('R311: what has no tag stays: clients pull it by its digest', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'untagged', layers: [10] })
  await pushImage(engine.registry, app, image)
  await engine.clock.advance(100 * DAY_MS)
  t.match(await collected(engine), { count: 0 })
  const { digest } = image.manifest
  t.match(await engine.registry.pullManifest(app, digested(digest)), { digest })
})

t.test('what a push has left behind goes when the push must be over, and its grace', async t => {
  const engine = createEngine()
  const digest = await pushWhole(engine.registry, app, Buffer.from('left behind'))
  await engine.clock.advance(2 * GRACE_MS)
  t.match(await collected(engine), { count: 0 }, 'a manifest may come for a day')
  await engine.clock.advance(DAY_MS)
  await engine.registry.expirePendingBlobs(new AbortController().signal)
  t.match(await collected(engine), { count: 0 })
  await engine.clock.advance(GRACE_MS + 1)
  t.strictSame(named(await collected(engine)), [digest])
})

t.test('files that were found without a row go when nobody has asked in a week', async t => {
  const engine = createEngine()
  const digest = await pushWhole(engine.registry, app, Buffer.from('found'))
  await engine.registry.deleteBlob(app, digest)
  await engine.clock.advance(GRACE_MS + 1)
  t.match(await collected(engine), { count: 1 })
  const bytes = Buffer.from('found')
  await engine.store.put(digest, bytes, 'cached')
  await engine.catalog.adopt([{ digest, sizeBytes: bytes.length }], engine.clock.nowMs())
  await engine.clock.advance(UNUSED_MS)
  t.match(await collected(engine), { count: 0 })
  await engine.clock.advance(1)
  t.match(await collected(engine), { count: 1, gone: [{ what: digest, reason: /in a week/ }] })
  t.strictSame(onDisk(engine), [])
})

t.test('a run that is ended takes no further page', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'ended', layers: [10] })
  await pushImage(engine.registry, app, image)
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await engine.clock.advance(GRACE_MS + 1)
  const run = quietRun({ signal: AbortSignal.abort() })
  t.match(await engine.registry.collect(run), { count: 0 })
  t.match(await collected(engine), { count: 3 })
})

t.test('R312: a dry run tells what the run then does', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  for (let round = 0; round < 20; round += 1) {
    const engine = createEngine()
    const images = Array.from({ length: 6 }, () =>
      makeImage({ seed: `${random.below(3)}`, layers: [10, 20, 30].slice(0, random.below(4)) }),
    )
    const indexes = [images.slice(0, 2), images.slice(1, 4)].map(each => makeIndex(each))
    const all = [...images, ...indexes]
    for (const image of all) await pushImage(engine.registry, app, image)
    const gone = [...new Set(all.map(({ manifest }) => manifest.digest))].filter(
      () => random.below(2) === 0,
    )
    for (const digest of gone) await engine.registry.deleteManifest(app, digested(digest).reference)
    await engine.clock.advance(GRACE_MS + 1)
    const before = onDisk(engine)
    const told = await collected(engine, true)
    t.strictSame(onDisk(engine), before, 'a dry run changes nothing')
    const did = await collected(engine)
    t.strictSame(did, told)
    const left = before.filter(each => !onDisk(engine).includes(each))
    t.strictSame(named(did), left.sort())
    const { contentBlocks } = await engine.catalog.totals()
    t.equal(before.length * 4096, did.freedBytes + contentBlocks * 4096)
  }
})

t.test('R312: a dry run writes nothing, and knows what leases are over', async t => {
  const directory = t.testdir()
  const { catalog } = await openCatalog(t, directory)
  const engine = createEngine({ catalog: () => catalog })
  const image = makeImage({ seed: 'leased', layers: [10] })
  const { digest } = image.manifest
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(digest).reference)
  const [elsewhere, untilMs] = [localOf('team/base'), engine.clock.nowMs() + 2 * GRACE_MS]
  await catalog.recordMember(elsewhere, digest, engine.clock.nowMs())
  await catalog.lease({ repository: elsewhere, digests: [digest], untilMs })
  const beside = new Sqlite(join(directory, 'catalog.db'), { readonly: true })
  t.teardown(() => beside.close())
  const changes = () => beside.pragma('data_version', { simple: true })
  await engine.clock.advance(2 * GRACE_MS)
  const before = changes()
  t.match(await collected(engine, true), { count: 0 })
  await engine.clock.advance(1)
  const dry = await collected(engine, true)
  t.equal(changes(), before)
  t.strictSame(named(dry), partsOf(image).sort())
  t.strictSame(await collected(engine), dry)
})

t.test('R351: what is pinned by its digest stays, needed or not, and what lists it', async t => {
  const image = makeImage({ seed: 'pinned', layers: [10, 20] })
  const lone = Buffer.from('pinned, and of no image')
  const layer = image.layers[0]?.digest as Digest
  const findContent: Pins['findContent'] = digest =>
    digest === layer || digest === digestOf(lone)
      ? { selector: { kind: 'content', digest }, from: 'command' }
      : undefined
  const engine = createEngine({ pins: { findContent } })
  await pushImage(engine.registry, app, image, 'v1')
  await pushWhole(engine.registry, app, lone)
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await engine.clock.advance(UNUSED_MS + 2 * DAY_MS)
  const { signal } = new AbortController()
  await engine.registry.expirePendingBlobs(signal)
  for (const dryRun of [true, false]) {
    await collected(engine, dryRun)
    await engine.clock.advance(UNUSED_MS)
    t.match(await collected(engine, dryRun), { count: 0 })
  }
  t.strictSame(onDisk(engine), [...partsOf(image), digestOf(lone)].sort())
})

t.test('R351: what is shared with something that a pin keeps here is not told to go', async t => {
  const one = makeImage({ seed: 'one', layers: [10, 20] })
  const two = makeImage({ seed: 'one', layers: [10, 20, 30] })
  const findContent: Pins['findContent'] = digest =>
    digest === one.config.digest
      ? { selector: { kind: 'content', digest }, from: 'command' }
      : undefined
  const engine = createEngine({ pins: { findContent } })
  for (const image of [one, two]) await pushImage(engine.registry, app, image)
  for (const { manifest } of [one, two]) {
    await engine.registry.deleteManifest(app, digested(manifest.digest).reference)
    await engine.clock.advance(1)
  }
  await engine.clock.advance(GRACE_MS)
  const told = await collected(engine, true)
  t.strictSame(
    named(told),
    partsOf(two)
      .filter(each => !partsOf(one).includes(each))
      .sort(),
  )
  t.strictSame(await collected(engine), told)
  t.strictSame(onDisk(engine), partsOf(one).sort())
})

t.test('R388: a clock that was a year ahead holds nothing for longer than a grace', async t => {
  const engine = createEngine()
  const { registry, catalog, clock } = engine
  const deleted = makeImage({ seed: 'deleted', layers: [10, 20] })
  const asked = makeImage({ seed: 'asked', layers: [30] })
  await pushImage(registry, app, deleted, 'v1')
  await pushImage(registry, app, asked, 'v2')
  clock.jump(YEAR_MS)
  await registry.deleteManifest(app, digested(deleted.manifest.digest).reference)
  await registry.headManifest(app, { ...digested(asked.manifest.digest), mayPush: true })
  clock.jump(-YEAR_MS)
  t.match(await collected(engine), { count: 0 })
  await clock.advance(GRACE_MS)
  t.match(await collected(engine), { count: 0 }, 'the clock has gone well for as long by now')
  await clock.advance(GRACE_MS + 1)
  const partsOfDeleted = partsOf(deleted).sort()
  t.strictSame(named(await collected(engine, true)), partsOfDeleted)
  t.strictSame(named(await collected(engine)), partsOfDeleted)
  t.equal(await catalog.leasedUntil(app, asked.manifest.digest), undefined)
})

t.test('R313: a clock that was behind cuts no grace and no lease short', async t => {
  const engine = createEngine()
  const { registry, catalog, clock } = engine
  const [deleted, asked, other] = ['deleted', 'asked', 'other'].map((seed, at) =>
    makeImage({ seed, layers: [10 + at] }),
  ) as [Image, Image, Image]
  for (const [at, image] of [deleted, asked, other].entries())
    await pushImage(registry, app, image, `v${at}`)
  await registry.deleteManifest(app, digested(deleted.manifest.digest).reference)
  await registry.headManifest(app, { ...digested(asked.manifest.digest), mayPush: true })
  clock.jump(-YEAR_MS)
  await collected(engine)
  await registry.deleteManifest(app, digested(other.manifest.digest).reference)
  clock.jump(YEAR_MS)
  await clock.advance(1)
  const left = new Set(named(await collected(engine)))
  t.notOk(partsOf(deleted).some(digest => left.has(digest)))
  t.ok(((await catalog.leasedUntil(app, asked.manifest.digest)) ?? 0) > clock.nowMs())
})

/** Deleted, told to be here, and brought without a manifest so far. */
async function beginGraces({ registry }: Engine) {
  const [deleted, asked] = ['deleted', 'asked'].map((seed, at) =>
    makeImage({ seed, layers: [10 + at] }),
  ) as [Image, Image]
  await pushImage(registry, app, deleted, 'v1')
  await pushImage(registry, app, asked, 'v2')
  await registry.deleteManifest(app, digested(deleted.manifest.digest).reference)
  await registry.headManifest(app, { ...digested(asked.manifest.digest), mayPush: true })
  const blob = await pushWhole(registry, app, Buffer.from('before its manifest'))
  return { deleted, asked, blob }
}

const isLeased = async ({ catalog }: Engine, { manifest }: Image) =>
  (await catalog.leasedUntil(app, manifest.digest)) !== undefined

t.test('R611: a clock that is put ahead ends no grace, no lease and no push', async t => {
  const engine = createEngine()
  const { registry, catalog, clock } = engine
  const { deleted, asked, blob } = await beginGraces(engine)
  const expire = () => registry.expirePendingBlobs(new AbortController().signal)
  await clock.advance(GRACE_MS / 2)
  clock.jump(YEAR_MS)
  t.match(await collected(engine, true), { count: 0 })
  await expire()
  t.match(await collected(engine), { count: 0 })
  t.ok(await isLeased(engine, asked))
  t.ok(await catalog.isPending(app, blob))
  t.ok(((await registry.graceLeftMs()) ?? 0) <= GRACE_MS / 2 + 1, 'and it goes on')
  await registry.deleteManifest(app, digested(asked.manifest.digest).reference)

  await clock.advance(GRACE_MS / 2 + 1)
  t.strictSame(named(await collected(engine, true)), partsOf(deleted).sort())
  t.strictSame(named(await collected(engine)), partsOf(deleted).sort())
  t.notOk(await isLeased(engine, asked))
  await clock.advance(GRACE_MS / 2)
  t.strictSame(named(await collected(engine)), partsOf(asked).sort(), 'deleted after the jump')
  await clock.advance(DAY_MS)
  await expire()
  t.notOk(await catalog.isPending(app, blob))
})

t.test('R611: nor does one that is ahead when the next process starts, or was off', async t => {
  const engine = createEngine()
  const { deleted, asked } = await beginGraces(engine)
  await engine.clock.advance(GRACE_MS / 2)
  await engine.registry.stop()
  engine.clock.jump(YEAR_MS)
  const next = createEngine({ after: engine })
  t.match(await collected(next), { count: 0 })
  t.ok(await isLeased(next, asked))
  await engine.clock.advance(GRACE_MS / 2 + 1)
  t.strictSame(named(await collected(next)), partsOf(deleted).sort())
})

for (const how of ['a clock that is put ahead', 'time off'])
  t.test(`R628: what became loose under a longer grace keeps it through ${how}`, async t => {
    let graceMs = DAY_MS
    const graces = { graceMs: () => graceMs }
    const engine = createEngine(graces)
    const { deleted, asked } = await beginGraces(engine)
    await collected(engine)
    graceMs = GRACE_MS / 60
    await engine.clock.advance(GRACE_MS)
    t.match(await collected(engine), { count: 0 })
    if (how === 'time off') await engine.registry.stop()
    engine.clock.jump(YEAR_MS)
    const next = how === 'time off' ? createEngine({ ...graces, after: engine }) : engine
    for (const ms of [0, 1, GRACE_MS]) {
      await engine.clock.advance(ms)
      t.match(await collected(next), { count: 0 })
    }
    t.ok(await isLeased(next, asked))
    await engine.clock.advance(DAY_MS - 2 * GRACE_MS)
    t.strictSame(named(await collected(next)), partsOf(deleted).sort(), 'and no longer')
  })

for (const isRestarted of [false, true])
  t.test(
    `R683: a grace that a clock ahead saw shortened${isRestarted ? ', and a restart' : ''}`,
    async t => {
      let graceMs = DAY_MS
      const graces = { graceMs: () => graceMs }
      const engine = createEngine(graces)
      const { registry, clock } = engine
      const { deleted } = await beginGraces(engine)
      await collected(engine)
      clock.jump(YEAR_MS)
      graceMs = GRACE_MS
      await collected(engine)
      clock.jump(-YEAR_MS)
      t.match(await collected(engine), { count: 0 })
      await clock.advance(DAY_MS - 2)
      t.match(await collected(engine), { count: 0 }, 'what was deleted before keeps its own')
      await clock.advance(3)
      t.strictSame(named(await collected(engine)), partsOf(deleted).sort())
      if (isRestarted) await registry.stop()
      const next = isRestarted ? createEngine({ ...graces, after: engine }) : engine
      await clock.advance(1)
      const image = makeImage({ seed: 'later', layers: [10] })
      await pushImage(next.registry, app, image, 'v1')
      await next.registry.deleteManifest(app, digested(image.manifest.digest).reference)
      await clock.advance(GRACE_MS)
      t.match(await collected(next), { count: 0 })
      await clock.advance(1)
      t.strictSame(named(await collected(next)), partsOf(image).sort(), 'from now on it is short')
    },
  )

for (const note of [undefined, '{'])
  t.test(`R634: where the note of how long it ran is ${note ?? 'lost'}, a whole grace`, async t => {
    const engine = createEngine()
    const { catalog, clock } = engine
    const { deleted } = await beginGraces(engine)
    await clock.advance(GRACE_MS / 2)
    // As after a kill before the first note, or with a damaged one.
    if (note !== undefined) await catalog.noteJob({ name: 'time run', body: note })
    clock.jump(YEAR_MS)
    const next = createEngine({ after: engine })
    for (const ms of [0, GRACE_MS, 0]) {
      await clock.advance(ms)
      t.match(await collected(next), { count: 0 })
    }
    await clock.advance(1)
    t.strictSame(named(await collected(next)), partsOf(deleted).sort())
  })

t.test('R717: also where no process runs for a whole grace', async t => {
  let graceMs = DAY_MS
  const graces = { graceMs: () => graceMs }
  let engine = createEngine(graces)
  const run = async (ms: number) => {
    for (let ranMs = 0; ranMs < ms; ranMs += GRACE_MS / 4) {
      await engine.clock.advance(GRACE_MS / 4)
      t.match(await collected(engine), { count: 0 })
      await engine.registry.stop()
      engine = createEngine({ ...graces, after: engine })
    }
  }
  await collected(engine)
  engine.clock.jump(YEAR_MS)
  graceMs = GRACE_MS
  await collected(engine)
  engine.clock.jump(-YEAR_MS)
  await run(DAY_MS + GRACE_MS)
  const image = makeImage({ seed: 'later', layers: [10] })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await run(GRACE_MS)
  await engine.clock.advance(1)
  t.strictSame(named(await collected(engine)), partsOf(image).sort())
})

t.test('R388: nor what nobody has a manifest for', async t => {
  const engine = createEngine()
  const { registry, content, store, clock } = engine
  const bytes = Buffer.from('a blob')
  const digest = digestOf(bytes)
  clock.jump(YEAR_MS)
  await store.put(digest, bytes, 'cached')
  await content.recordHere({ repository: app, digest, atMs: clock.nowMs(), hold: 'nothing' })
  clock.jump(-YEAR_MS)
  await clock.advance(GRACE_MS)
  await collected(engine)
  await clock.advance(UNUSED_MS + 1)
  t.strictSame(named(await collected(engine)), [digest])
  t.equal(await registry.headBlob(app, digest).catch(() => 'gone'), 'gone')
})

t.test('R311: what was deleted leaves a disk that takes nothing, too', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'full', layers: [10, 20] })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await engine.clock.advance(GRACE_MS + 1)
  const full = async () => {
    throw new StoreError('full', 'no room')
  }
  engine.catalog.expireLeases = full
  engine.catalog.stampLoose = full
  t.match(await collected(engine), { count: 4 })
  t.strictSame(onDisk(engine), [])
})

t.test('others have their turn while it is worked out what leaves with much else', async t => {
  const digests = Array.from({ length: 7 }, (_, at) => digestOf(Buffer.from(`wide ${at}`)))
  const [root, config] = digests as [Digest, Digest]
  const images = digests.slice(2)
  const wide = Array.from({ length: 10_000 }, () => config)
  const listed = new Map([[root, images], ...images.map(each => [each, wide] as const)])
  const findNeed: Catalog['findNeed'] = async digest => ({
    sizeBytes: 1,
    times: digest === root ? 0 : images.includes(digest) ? 1 : images.length * wide.length,
    isPromised: false,
    lists: listed.get(digest) ?? [],
  })
  const catalog = { findNeed, listUnneededWithout: async () => [] }
  const turns = await turnsDuring(() => new Loosened(catalog).leave(root))
  t.ok(turns >= 50, String(turns))
})

t.test('R490: what a push is told of before it is let go is not told to have gone', async t => {
  const image = makeImage({ seed: 'deleted', layers: [10, 20] })
  const [layer] = image.layers.map(({ digest }) => digest) as [Digest]
  const other = localOf('team/other')
  const engine: Engine = createEngine({
    catalog: beforeCall('letGo', () => engine.registry.headBlob(other, layer, { mayPush: true })),
  })
  const { registry, content, clock } = engine
  await pushImage(registry, app, image, 'v1')
  await content.recordHere({ repository: other, digest: layer, atMs: 1, hold: 'nothing' })
  await registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await clock.advance(GRACE_MS + 1)
  const result = await collected(engine)
  t.strictSame(
    named(result),
    partsOf(image)
      .filter(each => each !== layer)
      .sort(),
  )
  t.equal(result.freedBytes, 3 * 4096)
  t.strictSame(onDisk(engine), [layer])
})

t.test('R490: nor is what was pinned', async t => {
  const image = makeImage({ seed: 'deleted', layers: [10, 20] })
  const [layer] = image.layers.map(({ digest }) => digest) as [Digest]
  const digests = () => new Set([layer])
  const engine = createEngine({ pins: { findContent: () => undefined, digests } })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.registry.deleteManifest(app, digested(image.manifest.digest).reference)
  await engine.clock.advance(GRACE_MS + 1)
  t.match(await collected(engine), { count: 3, freedBytes: 3 * 4096 })
  t.strictSame(onDisk(engine), [layer])
})
