// Goal: a manifest of a type that is not understood, such as the artifacts of older ORAS clients,
// is kept with what its client sent for it, and gives nobody what he had not. Method: the engine
// over in-memory twins; every promise runs out, and the collection runs.
import t, { type Test } from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import type { Repository } from '../../../../src/oci/reference.ts'
import { filterFew } from '../../../../src/async/few-at-once.ts'
import { FOREIGN_NAMED_MAX } from '../../../../src/registry/ports/facts.ts'
import { GRACE_MS } from '../../../../src/registry/collect/collect.ts'
import { PUSH_MAX_MS } from '../../../../src/registry/ports/catalog-pushes.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { document, makeImage } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const TYPE = 'application/vnd.cncf.oras.artifact.manifest.v1+json'
const app = localOf('app')
const run = quietRun()

const SBOM = 'a bill of materials'
const sbom = digestOf(Buffer.from(SBOM))
const described = (digest: Digest, size: number) => ({ mediaType: 'text/plain', digest, size })
const artifact = document(TYPE, {
  mediaType: TYPE,
  artifactType: 'sbom/example',
  blobs: [described(sbom, SBOM.length)],
})

/** All that was promised is over, and what nothing needs is gone. */
async function passDays({ registry, clock }: Engine): Promise<void> {
  await clock.advance(PUSH_MAX_MS + 1)
  await registry.expirePendingBlobs(run.signal)
  await registry.collect(run)
  await clock.advance(GRACE_MS + 1)
  await registry.collect(run)
}

async function assertGiven(t: Test, { registry }: Engine, repository: Repository): Promise<void> {
  t.match(await registry.pullManifest(repository, tagged('v1', [TYPE])), {
    digest: artifact.digest,
  })
  t.match(await registry.headBlob(repository, sbom), { digest: sbom })
}

t.test('R430: the blobs of a manifest that is not understood stay as it does', async t => {
  const engine = createEngine()
  await pushWhole(engine.registry, app, SBOM)
  await pushDocument(engine.registry, app, { document: artifact, reference: 'v1' })
  await passDays(engine)
  await assertGiven(t, engine, app)
  t.match(await engine.catalog.totals(), { blobs: 1 })

  await engine.registry.deleteManifest(app, digested(artifact.digest).reference)
  await passDays(engine)
  t.equal(engine.disk.blobs.has(sbom), false, 'and go with it')
})

t.test('R430: so do manifests that it names', async t => {
  const engine = createEngine()
  const image = makeImage({ seed: 'named', layers: [10] })
  const index = document(TYPE, { mediaType: TYPE, manifests: [image.descriptor] })
  await pushImage(engine.registry, app, image)
  await pushDocument(engine.registry, app, { document: index, reference: 'v1' })
  const policy = { repositories: ['localhost/**'], deleteUntagged: true, deleteReferrers: true }
  await passDays(engine)
  const rules = { delayMs: 0, policies: [{ ...policy, keepTags: [] }] }
  await engine.registry.retain(() => rules, run)
  t.match(await engine.catalog.findManifest(app, image.manifest.digest), {}, 'not untagged')
})

t.test('R430: they are found again after a lost catalog', async t => {
  const engine = createEngine()
  await pushWhole(engine.registry, app, SBOM)
  await pushDocument(engine.registry, app, { document: artifact, reference: 'v1' })
  const { catalog } = await rebuilt(engine, everywhere({ push: 'store' }))
  const next = createEngine({ after: { ...engine, catalog } })
  await passDays(next)
  await assertGiven(t, next, app)
})

const texts = (count: number, what = 'file') =>
  Array.from({ length: count }, (_, at) => `${what} ${at}`)
const digestOfText = (text: string) => digestOf(Buffer.from(text))
const artifactOf = (files: readonly string[]) =>
  document(TYPE, {
    mediaType: TYPE,
    blobs: files.map(text => described(digestOfText(text), text.length)),
  })

t.test('R601: however many they are', async t => {
  const engine = createEngine()
  const [sent, others] = [texts(FOREIGN_NAMED_MAX + 1), texts(10, 'not sent')]
  for (const text of sent) await pushWhole(engine.registry, app, text)
  for (const text of others) await pushWhole(engine.registry, localOf('secret'), text)
  const many = artifactOf([...others, ...sent])
  await pushDocument(engine.registry, app, { document: many, reference: 'v1' })
  const { catalog } = await rebuilt(engine, everywhere({ push: 'store' }))
  const next = createEngine({ after: { ...engine, catalog } })
  await passDays(next)
  const given = (files: readonly string[]) =>
    filterFew(files, 1, text =>
      next.registry.headBlob(app, digestOfText(text)).then(
        () => true,
        () => false,
      ),
    )
  t.equal((await given(sent)).length, sent.length)
  t.same(await given(others), [], 'R250: and nobody else’s')
})

t.test('R601: what no fact has room for is refused, and changes nothing', async t => {
  const engine = createEngine()
  const count = FOREIGN_NAMED_MAX + 1
  for (const text of texts(count)) await pushWhole(engine.registry, app, text)
  const mixed = artifactOf([...texts(count), ...texts(count, 'not sent')])
  await t.rejects(pushDocument(engine.registry, app, { document: mixed, reference: 'v1' }), {
    code: 'MANIFEST_INVALID',
  })
  t.equal((await engine.catalog.findManifest(app, mixed.digest))?.digest, undefined)
  t.equal((await factsOf(engine.facts, 'manifest')).length, 0)
})

t.test('R250, R430: to be named by what is not understood is no right', async t => {
  const engine = createEngine()
  await pushWhole(engine.registry, localOf('secret'), SBOM)
  await pushDocument(engine.registry, app, { document: artifact, reference: 'v1' })
  await t.rejects(engine.registry.headBlob(app, sbom), { code: 'BLOB_UNKNOWN' })
  // As earlier versions wrote it, which did not know what it names.
  for (const { foreign: _, ...fact } of await factsOf(engine.facts, 'manifest'))
    await engine.facts.write([fact])
  const { catalog } = await rebuilt(engine, everywhere({ push: 'store' }))
  const next = createEngine({ after: { ...engine, catalog } })
  t.match(await next.registry.pullManifest(app, tagged('v1', [TYPE])), {})
  await t.rejects(next.registry.headBlob(app, sbom), { code: 'BLOB_UNKNOWN' })
})
