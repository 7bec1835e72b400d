// Goal: whatever clients pushed, mounted and deleted, and whatever was delivered meanwhile, a
// catalog built from the facts answers as the lost one did. Method: random histories over the
// engine; afterwards the catalog is thrown away, and both are asked the same.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { takeOut } from '../../src/delivery/take-out.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { LOCALHOST, parseTag, type Repository, repositoryKey } from '../../src/oci/reference.ts'
import { parseDelivery } from '../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { filterFew } from '../../src/async/few-at-once.ts'
import { createPolicies } from '../../src/registry/routing/repository-policies.ts'
import { seeding } from '../kit/arbitraries.ts'
import { createEngine, type Engine, localOf, repositoryOf } from '../kit/engine.ts'
import {
  type Document,
  document,
  type Image,
  makeArtifact,
  makeImage,
  makeIndex,
} from '../kit/image.ts'
import { pushDocument, pushParts } from '../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../kit/worlds/rebuilt.ts'
import { isMemberOf } from '../kit/judges/membership.ts'

const RUNS = 100

const rules = everywhere({ push: 'queue' })
const repositories = [localOf('a'), localOf('b'), repositoryOf('team/a'), repositoryOf('team/b')]
const shared = makeImage({ seed: 'shared', layers: [3, 4] })
const other = makeImage({ seed: 'other', layers: [3] })
const images: readonly Image[] = [
  shared,
  other,
  makeIndex([shared, other]),
  makeIndex([other]),
  makeArtifact({ seed: 'signature', subject: shared.descriptor }),
]
const blobs = images
  .flatMap(({ config, layers }) => [config, ...layers])
  .map(({ digest }) => digest)
const manifests = images.map(image => image.manifest.digest)
const tags = ['latest', 'v1', 'v2'].map(parseTag)

type Step =
  | { readonly does: 'list'; at: number; image: number }
  | { readonly does: 'push'; at: number; image: number; named: readonly number[] }
  | { readonly does: 'delete tag'; at: number; tag: number }
  | { readonly does: 'delete manifest'; at: number; image: number }
  | { readonly does: 'delete blob'; at: number; blob: number }
  | { readonly does: 'deliver'; at: number }

const at = fc.nat({ max: repositories.length - 1 })
const image = fc.nat({ max: images.length - 1 })
const tag = fc.nat({ max: tags.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant('push' as const),
      at,
      image,
      named: fc.uniqueArray(tag, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('list' as const), at, image }) },
  fc.record({ does: fc.constant('delete tag' as const), at, tag }),
  fc.record({ does: fc.constant('delete manifest' as const), at, image }),
  fc.record({ does: fc.constant('delete blob' as const), at, blob: fc.nat(blobs.length - 1) }),
  fc.record({ does: fc.constant('deliver' as const), at }),
)

function everythingOf({ manifest, config, layers }: Image) {
  return [{ digest: manifest.digest, sizeBytes: manifest.bytes.length }, config, ...layers]
}

/**
 * Lists everything that the image lists as what is fetched from elsewhere: taken, whatever is
 * there.
 */
function foreignTo(image: Image): Document {
  const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
  return document(OCI_MANIFEST, {
    schemaVersion: 2,
    layers: everythingOf(image).map(({ digest, sizeBytes: size }) => ({ mediaType, digest, size })),
  })
}

const foreign = images.map(foreignTo)

/**
 * By repository and image, once it was listed as foreign: what of it was here, at the last time.
 */
type Told = Map<string, readonly Digest[]>

async function carryOut(engine: Engine, step: Step, told: Told): Promise<void> {
  const { registry } = engine
  const repository = repositories[step.at] as Repository
  try {
    switch (step.does) {
      case 'push': {
        const { manifest } = images[step.image] as Image
        await pushParts(registry, repository, images[step.image] as Image)
        const named = step.named.map(each => tags[each] as string)
        const [reference, ...more] = named
        const isOne = reference !== undefined && more.length === 0
        const pushed = isOne ? { reference } : { tags: named }
        await pushDocument(registry, repository, { document: manifest, ...pushed })
        return
      }
      case 'list': {
        const listed = everythingOf(images[step.image] as Image)
        const here = await filterFew(listed, 1, ({ digest }) =>
          isMemberOf(engine.catalog, repository, digest),
        )
        await pushDocument(registry, repository, { document: foreign[step.image] as Document })
        told.set(
          `${repositoryKey(repository)} ${step.image}`,
          here.map(({ digest }) => digest),
        )
        return
      }
      case 'delete tag':
        await registry.deleteManifest(repository, { kind: 'tag', tag: tags[step.tag] as never })
        return
      case 'delete manifest':
        await registry.deleteManifest(repository, {
          kind: 'digest',
          digest: manifests[step.image] as Digest,
        })
        return
      case 'delete blob':
        await registry.deleteBlob(repository, blobs[step.blob] as Digest)
        return
      case 'deliver':
        await deliver(engine, repository)
    }
  } catch (error) {
    // What is not there cannot be deleted.
    if (!(error instanceof RegistryError)) throw error
  }
}

/** As the outbox does once the upstream has the first entry. */
async function deliver(engine: Engine, repository: Repository): Promise<void> {
  const { registry } = engine
  const key = repositoryKey(repository)
  await registry.turns.take(key, async () => {
    const [entry] = await engine.catalog.listDeliveriesOf(key)
    const delivery = entry === undefined ? undefined : parseDelivery(entry.payload)
    if (entry === undefined || delivery === undefined) return
    const settled = {
      repository,
      digest: delivery.digest,
      tags: delivery.tags.map(each => each.tag),
      left: [],
    }
    await takeOut({ ...engine, policies: createPolicies(rules) }, entry, settled)
  })
}

/**
 * What clients were promised: everything that is kept here alone, and what waits to go elsewhere.
 */
async function promised(catalog: Catalog, repository: Repository): Promise<unknown> {
  const isLocal = repository.registry === LOCALHOST
  const local = await catalog.listLocalTags(repository, { limit: 99 })
  const waiting = await catalog.listDeliveriesOf(repositoryKey(repository))
  const entries = waiting.map(({ id, payload }) => ({ id, delivery: parseDelivery(payload) }))
  const undelivered = entries.map(({ delivery }) => delivery?.digest)
  const known: unknown[] = []
  for (const digest of manifests) {
    const isKept = isLocal || undelivered.includes(digest)
    const recorded = isKept ? await catalog.findManifest(repository, digest) : undefined
    const referrers = isKept ? await catalog.listReferrers(repository, digest) : []
    known.push({ digest, recorded, referrers: isLocal ? referrers : [] })
  }
  return {
    tags: local.map(({ tag, digest }) => {
      // An earlier entry may be there for the same; what the last one does is what counts.
      const carriers = entries.filter(
        ({ delivery }) =>
          delivery?.digest === digest && delivery.tags.some(each => each.tag === tag),
      )
      return { tag, digest, carriedBy: carriers.at(-1)?.id }
    }),
    known,
    entries: entries.map(({ id, delivery }) => ({ id, digest: delivery?.digest })),
  }
}

/**
 * Nothing that is not in the old catalog, and of that everything which a manifest lists that is
 * left.
 */
async function assertMembers(
  before: Catalog,
  after: Catalog,
  { repository, told }: { repository: Repository; told: Told },
) {
  for (const digest of [...blobs, ...manifests]) {
    const was = await isMemberOf(before, repository, digest)
    const is = await isMemberOf(after, repository, digest)
    assert.ok(was || !is, `${digest} came back`)
  }
  if (repository.registry !== LOCALHOST) return
  for (const place of images.keys())
    for (const digest of told.get(`${repositoryKey(repository)} ${place}`) ?? [])
      if (await isMemberOf(before, repository, digest))
        assert.ok(
          await isMemberOf(after, repository, digest),
          `${digest}, sent though foreign, was lost`,
        )
  for (const digest of manifests) {
    const recorded = await before.findManifest(repository, digest)
    for (const { child, kind } of recorded?.edges ?? []) {
      if (kind === 'subject' || !(await isMemberOf(before, repository, child))) continue
      assert.ok(await isMemberOf(after, repository, child), `${child} of ${digest} was lost`)
    }
  }
}

t.test('R118: a catalog built from facts says what the lost one said', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async history => {
      const engine = createEngine({ policies: rules })
      const told: Told = new Map()
      // Two pushes of one tag within a millisecond cannot be told apart afterwards.
      for (const each of history)
        await carryOut(engine, each, told).then(() => engine.clock.advance(1))
      const { catalog } = await rebuilt(engine, rules)
      for (const repository of repositories) {
        assert.deepEqual(
          await promised(catalog, repository),
          await promised(engine.catalog, repository),
        )
        await assertMembers(engine.catalog, catalog, { repository, told })
      }
      const largest = (await engine.catalog.listDeliveries({ limit: 99 })).at(-1)?.id ?? 0
      assert.ok(catalog.sequence() > largest)
    }),
    { ...seeding(), numRuns: RUNS },
  )
  t.pass('no counterexample was found')
})

t.test(
  'R264: a catalog that was built without some bytes says it all once they are back',
  async t => {
    const files = [...blobs, ...manifests]
    const gone = fc.uniqueArray(fc.nat(files.length - 1), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 30 }),
        gone,
        async (history, places) => {
          const engine = createEngine({ policies: rules })
          const told: Told = new Map()
          for (const each of history)
            await carryOut(engine, each, told).then(() => engine.clock.advance(1))
          const { disk, clock } = engine
          const away = new Map<Digest, Uint8Array>()
          for (const place of places) {
            const digest = files[place] as Digest
            const bytes = disk.blobs.get(digest)
            if (bytes !== undefined) away.set(digest, bytes)
            disk.blobs.delete(digest)
          }
          const { catalog } = await rebuilt(engine, rules)
          for (const [digest, bytes] of away) disk.blobs.set(digest, bytes)
          const next = createEngine({ policies: rules, after: { disk, clock, catalog } })
          assert.equal((await next.registry.compareFacts(new AbortController().signal)).lost, 0)
          for (const repository of repositories) {
            assert.deepEqual(
              await promised(catalog, repository),
              await promised(engine.catalog, repository),
            )
            await assertMembers(engine.catalog, catalog, { repository, told })
          }
          const again = await next.registry.compareFacts(new AbortController().signal)
          assert.equal(again.mended, 0)
        },
      ),
      { ...seeding(), numRuns: RUNS },
    )
    t.pass('no counterexample was found')
  },
)
