// Goal: with an image goes what only it lists, wherever it could be read from, and nothing of
// anybody else's; a client that deletes the pieces afterwards hears that each was there. Method:
// the engine over in-memory twins; the catalog is lost and built anew in the end.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { OPEN_LEAST_BYTES } from '../../../../src/registry/reading/open-blobs.ts'
import { createEngine, type Engine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { digested, pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { membershipOf } from '../../../kit/judges/membership.ts'

const app = localOf('team/app')
const other = localOf('team/other')
const unknown = { code: 'BLOB_UNKNOWN', status: 404 }

const image = makeImage({ seed: 'image', layers: [10, 20] })
const [own, shared] = image.layers.map(({ digest }) => digest) as [Digest, Digest]
const config = image.config.digest

/** Which of `digests` a client gets in `repository`; HEAD and GET say the same. */
async function readable(
  { registry }: Pick<Engine, 'registry'>,
  repository: Repository,
  digests: readonly Digest[],
): Promise<Digest[]> {
  const found: Digest[] = []
  for (const digest of digests) {
    const head = await told(registry.headBlob(repository, digest))
    const got = await told(registry.pullBlob(repository, digest).then(readAll))
    if (head !== got) throw new Error(`HEAD says ${head}, GET ${got}`)
    if (got === 'here') found.push(digest)
  }
  return found
}

function told(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => 'here',
    error => String(error.code),
  )
}

const remove = ({ registry }: Pick<Engine, 'registry'>, { manifest }: Image, from = app) =>
  registry.deleteManifest(from, digested(manifest.digest).reference)

t.test('R255: with an image goes what only it lists there, in every way to ask', async t => {
  const engine = createEngine()
  for (const repository of [app, other]) await pushImage(engine.registry, repository, image, 'v1')
  const loose = await pushWhole(engine.registry, app, 'that no manifest lists')
  await remove(engine, image)
  t.same(await readable(engine, app, [own, shared, config, loose]), [loose])
  t.same(await readable(engine, other, [own, shared, config]), [own, shared, config])
  const mounted = pushDocument(engine.registry, app, { document: image.manifest })
  await t.rejects(mounted, { code: 'MANIFEST_BLOB_UNKNOWN' }, 'nor is it there for a push')
  await pushImage(engine.registry, app, image, 'v2')
  t.same(await readable(engine, app, [own, shared, config]), [own, shared, config])
})

t.test('R255: what another manifest there lists stays until that one goes', async t => {
  const engine = createEngine()
  const base = makeImage({ seed: 'image', layers: [10] })
  t.same([base.layers[0]?.digest], [own], 'the first layer is the same')
  for (const each of [image, base]) await pushImage(engine.registry, app, each)
  await remove(engine, image)
  t.same(await readable(engine, app, [own, shared]), [own])
  await remove(engine, base)
  t.same(await readable(engine, app, [own, shared]), [])
})

t.test('R255: children of a deleted index stay until they are deleted themselves', async t => {
  const engine = createEngine()
  const index = makeIndex([image])
  const signature = makeArtifact({ seed: 'signature', subject: image.descriptor })
  for (const each of [index, signature]) await pushImage(engine.registry, app, each)
  await remove(engine, index)
  t.same(await readable(engine, app, [own]), [own])
  await remove(engine, signature)
  t.same(await readable(engine, app, [own]), [own], 'a subject is not what a referrer lists')
  await remove(engine, image)
  t.same(await readable(engine, app, [own]), [])
})

t.test('R118, R255: what went along can be deleted by itself, once', async t => {
  const engine = createEngine()
  await pushImage(engine.registry, app, image)
  await remove(engine, image)
  await engine.registry.deleteBlob(app, own)
  await t.rejects(engine.registry.deleteBlob(app, own), unknown)
  await t.rejects(engine.registry.deleteBlob(other, shared), unknown)
  await pushImage(engine.registry, app, image)
  await engine.registry.deleteBlob(app, shared)
  await t.rejects(
    engine.registry.deleteBlob(app, shared),
    unknown,
    'also when it was brought again',
  )
})

t.test('R255: a catalog that is built anew gives back nothing that went along', async t => {
  const engine = createEngine()
  const base = makeImage({ seed: 'image', layers: [10] })
  for (const each of [image, base]) await pushImage(engine.registry, app, each)
  await remove(engine, image)
  const { catalog } = await rebuilt(engine, everywhere({}))
  const next = createEngine({ after: { ...engine, catalog } })
  const compared = await next.registry.compareFacts(new AbortController().signal)
  t.match(compared, { mended: 0, lost: 0 })
  t.same(await readable(next, app, [own, shared]), [own])
})

t.test('R255: what stays open is gone for who asks next', async t => {
  const engine = createEngine()
  const large = makeImage({ seed: 'large', layers: [OPEN_LEAST_BYTES] })
  const [layer] = large.layers.map(({ digest }) => digest) as [Digest]
  await pushImage(engine.registry, app, large)
  t.same(await readable(engine, app, [layer]), [layer])
  const reading = await engine.registry.pullBlob(app, layer)
  await remove(engine, large)
  t.same(await readable(engine, app, [layer]), [])
  t.equal((await readAll(reading)).length, OPEN_LEAST_BYTES, 'who reads goes on')
})

t.test('R255: a delivery that waits keeps what it carries', async t => {
  const engine = createEngine({
    policies: [{ match: 'docker.io/**', push: 'queue', deletable: true }],
  })
  const proxied = repositoryOf('team/app')
  const base = makeImage({ seed: 'image', layers: [10] })
  for (const each of [image, base]) await pushImage(engine.registry, proxied, each)
  await remove(engine, image, proxied)
  t.equal((await engine.catalog.listDeliveriesOf(repositoryKey(proxied))).length, 1)
  t.equal(await membershipOf(engine.catalog, proxied, own), 'delivered')
  t.equal(await membershipOf(engine.catalog, proxied, shared), undefined)
})
