// Goal: of every image somebody can say whether it is pinned, and by what. Method: the engine over
// in-memory twins, filled by pushes.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseTag } from '../../../../src/oci/reference.ts'
import { parseSelector } from '../../../../src/config/selectors.ts'
import { formatSelector } from '../../../../src/registry/pins/selectors.ts'
import { Pins } from '../../../../src/registry/pins/pins.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { makeArtifact, makeImage, makeIndex } from '../../../kit/image.ts'
import { pushDocument, pushImage } from '../../../kit/clients/push-image.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'

const app = localOf('app')
const amd64 = makeImage({ seed: 'amd64', layers: [10] })
const arm64 = makeImage({ seed: 'arm64', layers: [20] })
const index = makeIndex([amd64, arm64])
const lone = makeImage({ seed: 'lone', layers: [30] })

async function createWorld() {
  const engine = createEngine()
  await pushImage(engine.registry, app, index, 'v1')
  await pushImage(engine.registry, app, lone, 'nightly')
  const pins = new Pins(engine)
  const findIn = async (repository: typeof app, digest: string) => {
    const pin = await pins.find(repository, digest as typeof lone.manifest.digest)
    return pin && formatSelector(pin.selector)
  }
  const find = (digest: string) => findIn(app, digest)
  return { ...engine, pins, find, findIn }
}

t.test('R351: a tag holds what it leads to, its children and what refers to them', async t => {
  const { pins, registry, find } = await createWorld()
  const signature = makeArtifact({ seed: 'signature', subject: arm64.descriptor })
  await pushImage(registry, app, signature)
  t.equal(await pins.pin(parseSelector('localhost/*:v*')), true)
  t.equal(await pins.pin(parseSelector('localhost/*:v*')), false, 'it is pinned already')
  for (const { manifest } of [index, amd64, arm64, signature])
    t.equal(await find(manifest.digest), 'localhost/*:v*')
  t.equal(await find(lone.manifest.digest), undefined)
})

t.test('R351: a tag that moves takes the pin along', async t => {
  const { pins, registry, find } = await createWorld()
  await pins.pin(parseSelector('localhost/app:v1'))
  t.ok(await find(amd64.manifest.digest))
  await pushDocument(registry, app, { document: lone.manifest, reference: 'v1' })
  t.equal(await find(amd64.manifest.digest), undefined)
  t.ok(await find(lone.manifest.digest))
})

t.test(
  'R351: a digest is held with what it lists, in its repositories or wherever it is',
  async t => {
    const { pins, registry, find, findIn } = await createWorld()
    const other = localOf('other')
    await pushImage(registry, other, index, 'v1')
    await pins.pin(parseSelector(`localhost/app@${index.manifest.digest}`))
    t.ok(await find(amd64.manifest.digest))
    t.equal(await findIn(other, amd64.manifest.digest), undefined)
    await pins.pin(parseSelector(index.manifest.digest))
    t.equal(await findIn(other, amd64.manifest.digest), index.manifest.digest)
    t.ok(pins.findContent(index.manifest.digest))
  },
)

t.test('R351: a blob is held by its digest, and holds nothing that lists it', async t => {
  const { pins, find } = await createWorld()
  const blobs = [lone.layers[0]?.digest as Digest, arm64.config.digest]
  t.strictSame(blobs.map(pins.findContent.bind(pins)), [undefined, undefined])
  for (const what of [blobs[0], `localhost/app@${blobs[1]}`])
    await pins.pin(parseSelector(what ?? ''))
  t.same(pins.digests(), new Set(blobs))
  for (const digest of blobs) t.ok(pins.findContent(digest))
  for (const { manifest } of [lone, arm64]) {
    t.equal(await find(manifest.digest), undefined)
    t.ok(await pins.findWithListed(app, manifest.digest), 'which takes it out of the repository')
  }
  t.equal(await pins.findWithListed(app, amd64.manifest.digest), undefined)
})

t.test('R351: pins of the catalog hold after a start, and until they are taken away', async t => {
  const world = await createWorld()
  await world.pins.pin(parseSelector('localhost/app'))
  const again = new Pins(world)
  t.equal(await again.find(app, lone.manifest.digest), undefined)
  await again.load()
  t.match(await again.find(app, lone.manifest.digest), { from: 'command' })
  again.replaceConfigured([parseSelector('localhost/**')])
  t.match(await again.find(app, lone.manifest.digest), { from: 'configuration' })
  again.replaceConfigured([])
  t.equal(await again.unpin(parseSelector('localhost/app')), true)
  t.equal(await again.unpin(parseSelector('localhost/app')), false)
  t.equal(await again.find(app, lone.manifest.digest), undefined)
})

t.test('R351: a child that came by its digest alone is held within moments', async t => {
  const { pins, clock, catalog, find } = await createWorld()
  await pins.pin(parseSelector('localhost/app:nightly'))
  t.equal(await find(amd64.manifest.digest), undefined)
  const signature = makeArtifact({ seed: 'late', subject: lone.descriptor }).manifest
  const edges = [
    {
      child: lone.manifest.digest,
      kind: 'subject',
      sizeBytes: 1,
      mediaType: 'x/y',
      platform: undefined,
      distributable: true,
    } as const,
  ]
  const manifest = { ...signature, sizeBytes: signature.bytes.length, edges }
  await catalog.recordManifest({ repository: app, manifest, atMs: 1 })
  await clock.advance(10_000)
  t.ok(await find(signature.digest))
})

t.test('others have their turn while it is looked up what a pin of tags holds', async t => {
  const names = Array.from({ length: 20 }, (_, at) => parseTag(`v${at}`))
  const edge = {
    child: lone.config.digest,
    kind: 'layer',
    sizeBytes: 1,
    mediaType: 'x/y',
    platform: undefined,
    distributable: true,
  } as const
  const { catalog, clock } = createEngine()
  catalog.listTags = async () =>
    names.map(tag => {
      const digest = digestOf(Buffer.from(tag))
      return { tag, digest, checkedAtMs: 1, changedAtMs: 1, previous: undefined, local: true }
    })
  catalog.findManifest = async (_repository, digest) => {
    return {
      digest,
      mediaType: 'x/y',
      sizeBytes: 1,
      edges: Array.from({ length: 1_000 }, () => edge),
    }
  }
  const pins = new Pins({ catalog, clock })
  pins.replaceConfigured([parseSelector('localhost/app:v*')])
  const turns = await turnsDuring(() => pins.find(app, lone.manifest.digest))
  t.ok(turns >= names.length - 1, String(turns))
})
