// Goal: what a client is given, or told that it has already, is a use of it in its repository, by
// the tag that it was asked for by (R360); what the edge does by itself, and what a push looks for,
// is none. Method: the engine over in-memory twins, and what it has told its catalog when it stops.
import t from 'tap'
import { formatReference, type Reference, repositoryKey } from '../../../../src/oci/reference.ts'
import type { CountedUses } from '../../../../src/registry/ports/catalog-uses.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import type { Registry } from '../../../../src/registry/use-cases.ts'
import {
  blobAnswer,
  createEngine,
  type EngineOptions,
  localOf,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const client = '192.0.2.7'
const index = makeIndex(
  ['amd64', 'arm64'].map(architecture =>
    makeImage({ seed: architecture, layers: [10], platform: { architecture, os: 'linux' } }),
  ),
)
const [child = index] = index.children
const every = [index, ...index.children]
const accept = [index.manifest.mediaType, child.manifest.mediaType]
const BY_TAG = tagged('v1', accept)
const BY_DIGEST = digested(index.manifest.digest, accept)
const CHILD = digested(child.manifest.digest, accept)

const manifestOf = (reference: Reference) => {
  const digest = reference.kind === 'tag' ? index.manifest.digest : formatReference(reference)
  const image = every.find(({ manifest }) => manifest.digest === digest)
  if (image === undefined) throw new UpstreamError('not-found', 'no such manifest')
  return image.manifest
}
const UPSTREAM: Partial<Upstream> = {
  getManifest: async (_name, reference) => {
    const { bytes, mediaType, digest } = manifestOf(reference)
    return { bytes, mediaType, declaredDigest: digest, warnings: [] }
  },
  headManifest: async (_name, reference) => {
    const { bytes, mediaType, digest } = manifestOf(reference)
    return { digest, mediaType, sizeBytes: bytes.length, warnings: [] }
  },
  getBlob: async (_name, digest) => {
    const blobs = every.flatMap(({ config, layers }) => [config, ...layers])
    const blob = blobs.find(each => each.digest === digest)
    if (blob === undefined) throw new UpstreamError('not-found', 'no such blob')
    return blobAnswer([blob.bytes()])
  },
}

/** What the catalog is told of while `act` runs, as `REPOSITORY TAG DIGEST TIMES`. */
async function usesOf(
  act: (engine: ReturnType<typeof createEngine>) => Promise<unknown>,
  options: EngineOptions = {},
): Promise<string[]> {
  const uses: CountedUses[] = []
  const engine = createEngine({
    upstream: UPSTREAM,
    ...options,
    catalog: catalog => ({
      ...catalog,
      noteUses: async each => {
        uses.push(...each)
        await catalog.noteUses(each)
      },
    }),
  })
  await act(engine)
  await settle()
  await engine.registry.stop()
  return uses.map(({ repository, digest, tag, count }) => {
    const image = every.findIndex(({ manifest }) => manifest.digest === digest)
    const what = image < 0 ? 'other' : image === 0 ? 'index' : `child ${image}`
    return `${repositoryKey(repository)} ${tag ?? '-'} ${what} ${count}`
  })
}

const NAME = 'docker.io/library/app'
const asked = (...ask: readonly ((registry: Registry) => Promise<unknown>)[]) =>
  usesOf(async ({ registry }) => {
    for (const each of ask) await each(registry)
  })

t.test('R360: the first pull is a use, and each that follows', async t => {
  const pull = (registry: Registry) => registry.pullManifest(app, { ...BY_TAG, client })
  t.same(await asked(pull), [`${NAME} v1 index 1`])
  t.same(await asked(pull, pull, pull), [`${NAME} v1 index 3`])
})

t.test('R360: a pull by digest is a use, of an index and of one of its children', async t => {
  t.same(
    await asked(
      registry => registry.pullManifest(app, BY_DIGEST),
      registry => registry.pullManifest(app, CHILD),
    ),
    [`${NAME} - index 1`, `${NAME} - child 1 1`],
  )
})

t.test('R360: a HEAD is a use: a client that has the image sends nothing else', async t => {
  t.same(
    await asked(
      registry => registry.headManifest(app, BY_TAG),
      registry => registry.pullManifest(app, BY_TAG),
      registry => registry.headManifest(app, BY_TAG),
      registry => registry.headManifest(app, CHILD),
    ),
    [`${NAME} v1 index 3`, `${NAME} - child 1 1`],
  )
})

t.test('R360: what could not be given is no use', async t => {
  const missing = digested(makeImage({ seed: 'missing' }).manifest.digest, accept)
  await t.rejects(asked(registry => registry.pullManifest(app, missing)))
  const refused = async (registry: Registry) => {
    await t.rejects(registry.pullManifest(app, missing))
    await t.rejects(registry.headManifest(app, missing))
  }
  t.same(await asked(refused), [])
})

t.test('R360: what is kept here alone is used as well', async t => {
  const image = makeImage({ seed: 'kept', layers: [10] })
  const uses = await usesOf(async ({ registry }) => {
    await pushImage(registry, localOf('kept'), image, 'v1')
    await registry.headManifest(localOf('kept'), { ...tagged('v1'), mayPush: true })
    await registry.pullManifest(localOf('kept'), tagged('v1'))
  })
  t.same(uses, ['localhost/kept v1 other 2'])
})

t.test('R360: a push looks for manifests by digest, and that is no use', async t => {
  const uses = (push: 'deny' | 'store') =>
    usesOf(
      async ({ registry }) => {
        await registry.headManifest(app, { ...CHILD, mayPush: true })
        await registry.headManifest(app, { ...BY_TAG, mayPush: true })
      },
      { policies: everywhere({ push }) },
    )
  t.same(await uses('store'), [`${NAME} v1 index 1`])
  t.same(await uses('deny'), [`${NAME} - child 1 1`, `${NAME} v1 index 1`], 'nobody pushes there')
})

t.test('R360: what is fetched ahead, confirmed or listed is not used by that', async t => {
  const uses = await usesOf(
    async ({ registry, clock, catalog }) => {
      await registry.pullManifest(app, { ...BY_TAG, client })
      await registry.pullManifest(app, { ...CHILD, client })
      await settle()
      const ahead = child.layers.map(({ digest }) => catalog.findContent(digest))
      t.notOk((await Promise.all(ahead)).includes(undefined), 'its blobs were fetched ahead')
      // In its grace: the upstream is asked once more.
      await clock.advance(301_000)
      await registry.listReferrers(app, child.manifest.digest, []).catch(() => {})
      await registry.listTags(app, { after: undefined, limit: 10 }).catch(() => {})
    },
    { prefetch: true },
  )
  t.same(uses, [`${NAME} v1 index 1`, `${NAME} - child 1 1`])
})

t.test('a blob that is read from disk is used, in its repository', async t => {
  const [layer] = child.layers
  const uses = await usesOf(async ({ registry }) => {
    await registry.pullManifest(app, CHILD)
    const digest = layer?.digest ?? child.config.digest
    for (let times = 0; times < 2; times += 1) await readAll(await registry.pullBlob(app, digest))
    await registry.settled(digest)
    await readAll(await registry.pullBlob(app, digest))
  })
  t.match(uses, [`${NAME} - child 1 1`, /^docker.io\/library\/app - other [12]$/])
})
