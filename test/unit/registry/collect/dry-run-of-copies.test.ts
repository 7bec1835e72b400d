// Goal: a dry run tells what goes also where others have a copy of a manifest: what is needed for
// none of those that stay, and once all copies go, the whole. Method: the engine over in-memory
// twins; a pushed image, of which another registry gave the manifest, as a rule one that does not
// share; told, done, and off the disk, compared.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey, type Repository } from '../../../../src/oci/reference.ts'
import { GRACE_MS } from '../../../../src/registry/collect/collect.ts'
import type { JobResult } from '../../../../src/registry/job.ts'
import { onDiskBytes } from '../../../../src/registry/ports/blob-store.ts'
import type { Selector } from '../../../../src/registry/pins/selectors.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { type Image, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushImage } from '../../../kit/clients/push-image.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
const [one, two] = ['team/one', 'team/two'].map(localOf) as [Repository, Repository]
const stranger = parseRepositoryKey('made-up.example/x')
const image = makeImage({ seed: 'pushed', layers: [5_000, 9_000] })
const blobs = [image.config, ...image.layers]
const noTag = { ...ANY_TAG, patterns: ['none'] }
const policies = [
  {
    repositories: ['localhost/**'],
    deleteUntagged: true,
    deleteReferrers: false,
    keepTags: [noTag],
  },
]

const collected = ({ registry }: Engine, dryRun = false): Promise<JobResult> =>
  registry.collect(quietRun({ dryRun }))
const retained = ({ registry }: Engine, dryRun: boolean): Promise<JobResult> =>
  registry.retain(() => ({ delayMs: DAY_MS, policies }), quietRun({ dryRun }))
const purged = ({ registry }: Engine, selector: Selector, dryRun: boolean) =>
  registry.purge(selector, { ...quietRun({ dryRun }), kept: true })
const bytesOf = (parts: readonly { readonly sizeBytes: number }[]) =>
  parts.reduce((sum, { sizeBytes }) => sum + onDiskBytes(sizeBytes), 0)
const bytesOn = ({ disk }: Engine) =>
  [...disk.blobs.values()].reduce((sum, { length }) => sum + onDiskBytes(length), 0)

/** Another registry gave it as well, and of what it lists the `delivered`. */
async function giveStranger(
  { catalog, clock }: Engine,
  { manifest }: Image,
  delivered: readonly { readonly digest: Digest; readonly sizeBytes: number }[] = [],
  apart = true,
): Promise<void> {
  const found = await catalog.findManifest(one, manifest.digest)
  if (found === undefined) throw new Error('it is pushed')
  const atMs = clock.nowMs()
  await catalog.recordManifest({ repository: stranger, manifest: found, atMs, apart })
  for (const { digest, sizeBytes } of delivered)
    await catalog.recordBlob({ repository: stranger, digest, sizeBytes, atMs, hold: 'nothing' })
}

for (const [count, delivered] of [
  ['nothing', []],
  ['a layer', image.layers.slice(0, 1)],
  ['all', blobs],
] as const)
  t.test(
    `R342: a dry run of retention tells what goes beside a copy of a registry that does not share, which has delivered ${count}`,
    async t => {
      const engine = createEngine()
      // The same in two repositories: with the last of them.
      for (const repository of [one, two]) await pushImage(engine.registry, repository, image, 'v1')
      await giveStranger(engine, image, delivered)
      await engine.clock.advance(2 * DAY_MS)
      const before = bytesOn(engine)
      const dry = await retained(engine, true)
      t.strictSame(await retained(engine, false), dry)
      await engine.clock.advance(GRACE_MS + 1)
      await collected(engine)
      t.equal(dry.freedBytes, before - bytesOn(engine))
      t.equal(dry.freedBytes, bytesOf(blobs) - bytesOf(delivered))
      t.ok(engine.disk.blobs.has(image.manifest.digest), 'the stranger has it still')
    },
  )

t.test('R352: so does one of a purge, and the bytes are free when that ends', async t => {
  const engine = createEngine()
  for (const repository of [one, two]) await pushImage(engine.registry, repository, image, 'v1')
  await giveStranger(engine, image, image.layers.slice(0, 1))
  // Long enough for no push to be promised anything.
  await engine.clock.advance(2 * DAY_MS)
  const before = bytesOn(engine)
  const selector = { kind: 'repositories', repositories: 'localhost/**' } as const
  const dry = await purged(engine, selector, true)
  const wet = await purged(engine, selector, false)
  t.strictSame({ ...wet, forgotten: 0 }, dry)
  t.equal(dry.freedBytes, before - bytesOn(engine))
  t.equal(dry.freedBytes, bytesOf(blobs) - bytesOf(image.layers.slice(0, 1)))
})

t.test('R384: so does one of a collection, of what follows a deleted index', async t => {
  const engine = createEngine()
  const index = makeIndex([image])
  await pushImage(engine.registry, one, index, 'v1')
  await giveStranger(engine, image, image.layers.slice(0, 1))
  await engine.registry.deleteManifest(one, digested(index.manifest.digest).reference)
  await engine.clock.advance(GRACE_MS + 1)
  const before = bytesOn(engine)
  const dry = await collected(engine, true)
  t.strictSame(await collected(engine), dry)
  t.equal(dry.freedBytes, before - bytesOn(engine))
  t.match(dry.gone.at(-1), { reason: `only ${image.manifest.digest} listed it` })
  t.match(await collected(engine, true), { count: 0 })
})

for (const apart of [true, false])
  t.test(
    `R352: so does one of a purge of all copies, with one of a registry that ${apart ? 'does not share' : 'shares'}`,
    async t => {
      const engine = createEngine()
      await pushImage(engine.registry, one, image, 'v1')
      await giveStranger(engine, image, image.layers.slice(0, 1), apart)
      await engine.clock.advance(2 * DAY_MS)
      const before = bytesOn(engine)
      const selector = { kind: 'content', digest: image.manifest.digest } as const
      const dry = await purged(engine, selector, true)
      t.strictSame(await purged(engine, selector, false), dry)
      t.equal(dry.freedBytes, before - bytesOn(engine))
      t.ok(dry.freedBytes > bytesOf(blobs))
    },
  )

t.test('R352: so does one of a purge of what was pulled and pushed and shares layers', async t => {
  const engine = createEngine()
  const other = makeImage({ seed: 'pushed', layers: [5_000, 9_000, 100] })
  await pushImage(engine.registry, one, image, 'v1')
  await giveStranger(engine, image, blobs, false)
  await purged(engine, { kind: 'repositories', repositories: 'localhost/**' }, false)
  await pushImage(engine.registry, two, other, 'v1')
  await engine.clock.advance(2 * DAY_MS)
  const before = bytesOn(engine)
  const selector = { kind: 'repositories', repositories: '**' } as const
  const dry = await purged(engine, selector, true)
  t.strictSame({ ...(await purged(engine, selector, false)), forgotten: 0 }, dry)
  t.equal(dry.freedBytes, before)
  t.equal(bytesOn(engine), 0)
})
