// Goal: a manifest is taken when it is what it is called and what it lists is there, in the order
// of refusals that clients rely on; and is there for everybody from its answer on. Method: the
// engine over in-memory twins.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { MANIFEST_LIMIT_BYTES } from '../../../../src/oci/manifest.ts'
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { parseReference } from '../../../../src/oci/reference.ts'
import { PUSH_TAGS_MAX } from '../../../../src/registry/answers.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { type Document, document, makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import {
  digested,
  pushDocument,
  pushImage,
  pushParts,
  tagged,
} from '../../../kit/clients/push-image.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'

const app = localOf('team/app')
const image = makeImage({ seed: 'push', layers: [10, 20] })
const { manifest } = image
const blobOf = (bytes: Buffer) => ({
  mediaType: 'application/octet-stream',
  digest: digestOf(bytes),
  size: bytes.length,
})
const imageOf = (members: object) => document(OCI_MANIFEST, { schemaVersion: 2, ...members })

t.test('R111: a pushed manifest is there byte for byte, by tag and by digest', async t => {
  const { registry, disk, events } = createEngine()
  await pushParts(registry, app, image)
  t.same(await pushDocument(registry, app, { document: manifest, reference: 'v1' }), {
    digest: manifest.digest,
    subject: undefined,
    tags: [],
    warnings: [],
  })
  for (const request of [tagged('v1'), digested(manifest.digest)]) {
    const answer = await registry.pullManifest(app, request)
    const { digest, mediaType } = manifest
    t.match(answer, { digest, mediaType, source: 'local', ageMs: undefined })
    t.same(answer.bytes, manifest.bytes)
    t.match(await registry.headManifest(app, request), { digest, sizeBytes: manifest.bytes.length })
  }
  t.same((await registry.listTags(app, { limit: 10, after: undefined })).tags, ['v1'])
  const held = await registry.listRepositories({ limit: 10, after: undefined })
  t.same(held.repositories, ['localhost/team/app'])
  t.equal([...disk.facts.values()].filter(text => text.includes('"kind":"tag"')).length, 1)
  const sizeBytes = manifest.bytes.length
  t.match(events.at(-1), { kind: 'pushed', what: 'manifest', mode: 'store', sizeBytes })
})

t.test('R111: what was pushed under a sha512 digest is there under it', async t => {
  const { registry } = createEngine()
  await pushParts(registry, app, image)
  const digest = digestOf(manifest.bytes, 'sha512')
  const pushed = { document: { ...manifest, digest }, tags: ['v1'] }
  t.match(await pushDocument(registry, app, pushed), { digest, tags: ['v1'] })
  t.match(await registry.pullManifest(app, tagged('v1')), { digest })
  t.match(await registry.pullManifest(app, digested(digest)), { digest })
})

t.test('R111: bytes that do not hash to the digest in the path are refused', async t => {
  const { registry, disk } = createEngine()
  await pushParts(registry, app, image)
  const others = disk.blobs.size
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = digestOf(Buffer.from('another'), algorithm)
    const push = pushDocument(registry, app, { document: { ...manifest, digest } })
    await t.rejects(push, { code: 'DIGEST_INVALID', status: 400 })
  }
  t.equal(disk.blobs.size, others)
})

t.test('R112: a manifest is given many tags by one request, and not any number', async t => {
  const { registry } = createEngine()
  await pushParts(registry, app, image)
  const tags = Array.from({ length: PUSH_TAGS_MAX }, (_, n) => `v${n}`)
  t.ok(tags.length >= 10)
  const pushed = await pushDocument(registry, app, { document: manifest, tags })
  t.same(pushed.tags, tags)
  t.same((await registry.listTags(app, { limit: 99, after: undefined })).tags, [...tags].sort())
  const more = pushDocument(registry, app, { document: manifest, tags: [...tags, 'one-more'] })
  await t.rejects(more, { code: 'TAG_INVALID', status: 414 })
  const both = pushDocument(registry, app, { document: manifest, reference: 'v1', tags: ['v2'] })
  await t.rejects(both, { code: 'TAG_INVALID', status: 400 })
})

t.test(
  'R113: what a manifest lists must be in this repository, and all that is not is told',
  async t => {
    const { registry } = createEngine()
    await pushImage(registry, localOf('team/other'), image, 'v1')
    const digests = [image.config, ...image.layers].map(({ digest }) => digest)
    const push = () => pushDocument(registry, app, { document: manifest, reference: 'v1' })
    const refusal = (digests: readonly string[]) => ({
      status: 400,
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: { digest: digests[0] },
      further: digests.slice(1).map(digest => ({ detail: { digest } })),
    })
    await t.rejects(push(), refusal(digests))
    await pushWhole(registry, app, image.config.bytes())
    await t.rejects(push(), refusal(digests.slice(1)))
    await t.rejects(registry.pullManifest(app, tagged('v1')), { code: 'MANIFEST_UNKNOWN' })
    t.match(await registry.listTags(localOf('team/other'), { limit: 9, after: undefined }), {
      tags: ['v1'],
    })
  },
)

t.test('R113: a blob whose file is gone does not count, whatever the catalog says', async t => {
  const { registry, disk } = createEngine()
  await pushParts(registry, app, image)
  const [layer] = image.layers
  disk.blobs.delete(layer?.digest as Digest)
  const push = pushDocument(registry, app, { document: manifest, reference: 'v1' })
  await t.rejects(push, { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: layer?.digest } })
})

t.test('R113: an index needs its manifests as manifests, and may list blobs as blobs', async t => {
  const { registry } = createEngine()
  const index = makeIndex([image])
  const push = () => pushDocument(registry, app, { document: index.manifest, reference: 'v1' })
  await pushWhole(registry, app, manifest.bytes)
  await t.rejects(push(), { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: manifest.digest } })
  await pushImage(registry, app, image)
  await push()
  t.match(await registry.pullManifest(app, digested(manifest.digest)), { digest: manifest.digest })

  const layer = Buffer.from('a layer of a build')
  const cache = document(OCI_INDEX, { schemaVersion: 2, manifests: [blobOf(layer)] })
  const early = pushDocument(registry, app, { document: cache })
  await t.rejects(early, { code: 'MANIFEST_BLOB_UNKNOWN' })
  await pushWhole(registry, app, layer)
  await pushDocument(registry, app, { document: cache })
})

t.test('R113: a missing subject and layers from elsewhere stand in nobody’s way', async t => {
  const { registry } = createEngine()
  const subject = { ...blobOf(Buffer.from('nowhere')), mediaType: OCI_MANIFEST }
  const { config } = image
  const foreign = {
    ...blobOf(Buffer.from('elsewhere')),
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  }
  await pushWhole(registry, app, config.bytes())
  const pushed = imageOf({ config: blobOf(config.bytes()), layers: [foreign], subject })
  t.match(await pushDocument(registry, app, { document: pushed }), { subject: subject.digest })
  const { manifests } = await registry.listReferrers(app, subject.digest, [])
  t.match(manifests, [{ digest: pushed.digest, size: pushed.bytes.length }])
  await t.rejects(registry.headBlob(app, foreign.digest), { code: 'BLOB_UNKNOWN' })
})

t.test('R113: sparse repositories take manifests without what they list', async t => {
  const { registry } = createEngine({
    policies: [{ match: 'localhost/sparse', push: 'store', sparse: true }],
  })
  const sparse = localOf('sparse')
  await pushImage(registry, sparse, makeIndex([]), 'empty')
  const index = makeIndex([image])
  await pushDocument(registry, sparse, { document: index.manifest, reference: 'v1' })
  t.match(await registry.pullManifest(sparse, tagged('v1')), { digest: index.manifest.digest })
  const child = registry.pullManifest(sparse, digested(manifest.digest))
  await t.rejects(child, { code: 'MANIFEST_UNKNOWN' })
})

t.test('R114, R289: data in a descriptor that is other content is warned of', async t => {
  const { registry } = createEngine()
  const bytes = Buffer.from('{}')
  await pushWhole(registry, app, bytes)
  const withData = (data: unknown) => {
    const described = { ...blobOf(bytes), data }
    return pushDocument(registry, app, { document: imageOf({ config: described, layers: [] }) })
  }
  t.same((await withData(bytes.toString('base64'))).warnings, [])
  t.same((await withData(null)).warnings, [])
  for (const stale of ['', 'W10=', 'e30gIA=='])
    t.match((await withData(stale)).warnings, [/^data of config /], JSON.stringify(stale))
  for (const wrong of ['e30', 'e31=', 'e30=\n', 'e3 0=', 7, { a: 1 }])
    await t.rejects(
      withData(wrong),
      { code: 'MANIFEST_INVALID', status: 400 },
      JSON.stringify(wrong),
    )
})

t.test(
  'R114: empty indexes, manifests without layers and members that nobody knows are taken',
  async t => {
    const { registry } = createEngine()
    await pushWhole(registry, app, '{}')
    const config = blobOf(Buffer.from('{}'))
    const taken: Document[] = [
      document(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }),
      imageOf({ config, layers: [] }),
      imageOf({ config, layers: [], 'org.example.custom': { a: [1] } }),
      document('application/vnd.example.anything.v1+json', { any: 'thing' }),
    ]
    for (const each of taken) {
      await pushDocument(registry, app, { document: each })
      const answer = await registry.pullManifest(app, digested(each.digest))
      t.equal(answer.mediaType, each.mediaType)
      t.same(answer.bytes, each.bytes)
    }
  },
)

t.test('R185: what is no manifest, or another than its Content-Type says, is refused', async t => {
  const { registry, disk } = createEngine()
  await pushParts(registry, app, image)
  const before = disk.blobs.size
  const push = (bytes: Buffer, mediaType: string) =>
    registry.pushManifest(app, { reference: parseReference('v1'), tags: [], mediaType, bytes })
  const invalid = { code: 'MANIFEST_INVALID', status: 400 }
  await t.rejects(push(manifest.bytes, ''), invalid)
  await t.rejects(push(manifest.bytes, 'text/plain'), invalid)
  await t.rejects(push(manifest.bytes, DOCKER_MANIFEST), invalid)
  await t.rejects(push(Buffer.from('{'), OCI_MANIFEST), invalid)
  await t.rejects(push(Buffer.from('{"schemaVersion":1}'), OCI_MANIFEST), invalid)
  const large = push(Buffer.alloc(MANIFEST_LIMIT_BYTES + 1, ' '), OCI_MANIFEST)
  await t.rejects(large, { code: 'MANIFEST_INVALID', status: 413 })
  t.equal(disk.blobs.size, before)
})

t.test(
  'appendix C: the rules are asked before the content, and the content before what it lists',
  async t => {
    const { registry } = createEngine()
    const broken = {
      ...manifest,
      bytes: Buffer.from('{'),
      digest: digestOf(Buffer.from('another')),
    }
    const denied = pushDocument(registry, repositoryOf('team/app'), { document: broken })
    await t.rejects(denied, { code: 'DENIED', status: 403, message: /localhost\/team\/app/ })
    await t.rejects(pushDocument(registry, app, { document: broken }), { code: 'DIGEST_INVALID' })
    const digest = digestOf(broken.bytes)
    const invalid = pushDocument(registry, app, { document: { ...broken, digest } })
    await t.rejects(invalid, { code: 'MANIFEST_INVALID' })
  },
)

t.test('R111: a referrer is listed with its subject, and the answer names the subject', async t => {
  const { registry } = createEngine()
  await pushImage(registry, app, image, 'v1')
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  await pushParts(registry, app, signature)
  const pushed = await pushDocument(registry, app, { document: signature.manifest })
  t.equal(pushed.subject, manifest.digest)
  const { manifests } = await registry.listReferrers(app, manifest.digest, [])
  t.match(manifests, [
    { digest: signature.manifest.digest, artifactType: 'application/vnd.example.sbom.v1' },
  ])
})

t.test('R77: the tag that stands for referrers is a tag like any other', async t => {
  const { registry } = createEngine()
  await pushImage(registry, app, image, 'v1')
  const tag = manifest.digest.replace(':', '-')
  await pushImage(registry, app, makeIndex([image]), tag)
  t.same((await registry.listTags(app, { limit: 9, after: undefined })).tags, [tag, 'v1'])
})

t.test('R115: a tag moves with each push, and its old manifest stays', async t => {
  const { registry } = createEngine()
  const newer = makeImage({ seed: 'newer', layers: [5] })
  await pushImage(registry, app, image, 'v1')
  await pushImage(registry, app, newer, 'v1')
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: newer.manifest.digest })
  t.match(await registry.pullManifest(app, digested(manifest.digest)), { digest: manifest.digest })
})

t.test('R115: of racing pushes of one tag the last answered is what everybody sees', async t => {
  let waits = 8
  const { registry, catalog, facts } = createEngine({
    // The first writes take longest: what is in order afterwards was kept in order.
    facts: facts =>
      around(facts, {
        write:
          write =>
          async (...args) => {
            for (let turns = waits--; turns > 0; turns--)
              await new Promise(resolve => setImmediate(resolve))
            await write(...args)
          },
      }),
  })
  const images = Array.from({ length: 8 }, (_, n) => makeImage({ seed: `race ${n}`, layers: [4] }))
  for (const each of images) await pushParts(registry, app, each)
  const answered: Digest[] = []
  await Promise.all(
    images.map(async each => {
      await pushDocument(registry, app, { document: each.manifest, reference: 'v1' })
      answered.push(each.manifest.digest)
    }),
  )
  const last = answered.at(-1)
  t.equal(last, images.at(-1)?.manifest.digest, 'they took turns')
  t.match(await registry.headManifest(app, tagged('v1')), { digest: last })
  const { reference } = tagged('v1')
  t.match(await catalog.findTag(app, reference.tag), { digest: last, local: true })
  t.match(await factsOf(facts, 'tag'), [{ tag: 'v1', digest: last }])
})

t.test(
  'a repository with manifests and no tag has an empty list; one without anything has none',
  async t => {
    const { registry } = createEngine()
    const page = { limit: 9, after: undefined }
    await pushImage(registry, app, image)
    t.same((await registry.listTags(app, page)).tags, [])
    for (const never of ['team/ap', 'team/app2', 'team/apq', 'team'])
      await t.rejects(registry.listTags(localOf(never), page), {
        code: 'NAME_UNKNOWN',
        status: 404,
      })
  },
)
