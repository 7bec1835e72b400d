// Goal: a pushed manifest gets to its upstream with everything that it needs, in an order in which
// registries take it, and nothing is sent that is there. Method: deliveries over in-memory store,
// catalog and facts, to a registry as a model that refuses what does not fit.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { behindMirror } from '../../kit/engine.ts'
import { createWorld } from '../../kit/worlds/delivery-world.ts'
import { document, makeArtifact, makeImage, makeIndex } from '../../kit/image.ts'

const app = parseRepositoryKey('docker.io/team/app')
const base = parseRepositoryKey('docker.io/team/base')
const image = makeImage({ seed: 'app', layers: [70_000, 10] })
const [large, small] = image.layers
const { digest } = image.manifest

/** Delivers what waits. */
async function deliver(world: ReturnType<typeof createWorld>) {
  const process = world.start()
  await world.clock.advance(0)
  await process.deliveries.stop()
}

t.test('R116: blobs go first, then the manifest by its digest, and tags last', async t => {
  const world = createWorld()
  await world.push(image, { repository: app, tags: ['v1', 'latest'] })
  await deliver(world)
  const written = world.model.told('writes')
  t.same(new Set(written.slice(0, 3)), new Set(blobsOf(image).map(each => `push blob ${each}`)))
  const manifests = [digest, 'v1', 'latest'].map(reference => `put manifest ${reference}`)
  t.same(written.slice(3), manifests)
  const there = world.model.repository('team/app')
  t.same(there.blobs.get(large?.digest ?? digest), large?.bytes())
  t.same(there.manifests.get(digest)?.bytes, image.manifest.bytes)
  t.same(await world.entries(), [])
})

t.test('R77: a registry without the referrers API is given the list as well', async t => {
  const world = createWorld()
  const artifacts = ['first', 'second'].map(seed =>
    makeArtifact({ seed, subject: image.descriptor }),
  )
  await world.push(image, { repository: app })
  for (const each of artifacts) await world.push(each, { repository: app })
  const list = digest.replace(':', '-')
  let cuts = 1
  world.model.fate = ({ does, reference }) =>
    does === 'put manifest' && reference === list && --cuts >= 0 ? { told: 'cut' } : {}
  const { deliveries } = world.start()
  await world.clock.advance(5_000)
  t.match(
    await world.entries(),
    [{ inDoubt: true }, {}],
    'a list that may arrive late is waited for',
  )
  await world.clock.advance(180_000)
  await deliveries.stop()
  t.same(await world.entries(), [])
  const { tags, manifests } = world.model.repository('team/app')
  const { bytes = '' } = manifests.get(tags.get(list) ?? digest) ?? {}
  t.match(JSON.parse(bytes.toString()), {
    manifests: artifacts.map(({ manifest }) => ({ digest: manifest.digest })),
  })
})

t.test('R117: what is there already costs a HEAD and is not sent', async t => {
  const world = createWorld()
  await world.push(image, { repository: app, tags: ['v1'] })
  await deliver(world)
  world.model.calls.length = 0
  await world.push(image, { repository: app, tags: ['v1'] })
  await deliver(world)
  t.same(world.model.told(), [`head manifest ${digest}`, 'head manifest v1'])
})

t.test('R117: blobs that came before the manifest did are not sent again', async t => {
  const world = createWorld()
  await world.push(image, { repository: app })
  world.model.fate = ({ does }) => (does === 'put manifest' ? { error: unavailable() } : {})
  await deliver(world)
  world.model.fate = () => ({})
  world.model.calls.length = 0
  const { deliveries } = world.start()
  await world.clock.advance(1_000)
  await deliveries.stop()
  t.same(world.model.told('writes'), [`put manifest ${digest}`])
})

t.test('R117: a blob that another repository there holds is mounted', async t => {
  const world = createWorld()
  await world.push(image, { repository: base })
  await deliver(world)
  world.model.calls.length = 0
  await world.push(image, { repository: app })
  await deliver(world)
  t.same(
    new Set(world.model.told('writes').slice(0, 3)),
    new Set(blobsOf(image).map(each => `mount ${each}`)),
  )
  t.equal(world.model.repository('team/app').blobs.size, 3)
})

t.test('R117: where a mount is refused or not understood, the bytes are sent', async t => {
  for (const failure of ['denied', 'unsupported', 'rejected'] as const) {
    const world = createWorld()
    await world.push(image, { repository: base })
    await deliver(world)
    world.model.fate = ({ does }) =>
      does === 'mount' ? { error: new UpstreamError(failure, 'no mounts') } : {}
    await world.push(image, { repository: app })
    await deliver(world)
    t.equal(world.model.repository('team/app').manifests.size, 1, failure)
  }
})

t.test('R117: a repository here that the registry does not have is no source', async t => {
  const world = createWorld()
  await world.push(image, { repository: base })
  await world.catalog.removeDelivery(1)
  await world.push(image, { repository: app })
  await deliver(world)
  t.equal(world.model.repository('team/app').manifests.size, 1)
})

t.test('R116: the children of an index go before it, each with its own blobs', async t => {
  const children = ['amd64', 'arm64'].map(architecture =>
    makeImage({ seed: architecture, layers: [10], platform: { architecture, os: 'linux' } }),
  )
  const inner = makeIndex(children)
  const outer = makeIndex([inner, image])
  const world = createWorld()
  await world.push(outer, { repository: app, tags: ['v1'] })
  await deliver(world)
  const put = world.model.told('writes').filter(each => each.startsWith('put'))
  const order = [...children, inner, image, outer].map(each => each.manifest.digest)
  t.same(
    put,
    [...order, 'v1'].map(each => `put manifest ${each}`),
  )
})

t.test('children that are there are not looked into', async t => {
  const child = makeImage({ seed: 'child', layers: [10] })
  const world = createWorld()
  await world.push(child, { repository: app })
  await deliver(world)
  world.model.calls.length = 0
  const index = makeIndex([child])
  await world.push(index, { repository: app })
  await deliver(world)
  t.same(world.model.told(), [
    `head manifest ${index.manifest.digest}`,
    `head manifest ${child.manifest.digest}`,
    `put manifest ${index.manifest.digest}`,
  ])
})

t.test('indexes that are nested too deep are parked', async t => {
  let nested = makeIndex([image])
  for (let depth = 0; depth < 5; depth += 1) nested = makeIndex([nested])
  const world = createWorld()
  await world.push(nested, { repository: app })
  await deliver(world)
  t.match(await world.entries(), [{ state: 'parked', reason: /nested deeper than 4/ }])
})

t.test('an index that lists blobs, as caches of builds do, is delivered with them', async t => {
  const blob = large ?? image.config
  const descriptor = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: blob.digest,
  }
  const cache = makeIndex([{ ...image, descriptor: { ...descriptor, size: blob.sizeBytes } }])
  const world = createWorld()
  await world.push(image, { repository: base })
  await world.push(cache, { repository: app })
  await deliver(world)
  t.ok(world.model.repository('team/app').blobs.has(blob.digest))
  t.ok(world.model.repository('team/app').manifests.has(cache.manifest.digest))
})

t.test('a referrer goes without its subject, which may come later or never', async t => {
  const artifact = makeArtifact({ seed: 'signature', subject: image.descriptor })
  const world = createWorld()
  await world.push(artifact, { repository: app })
  await deliver(world)
  const { manifests } = world.model.repository('team/app')
  t.ok(manifests.has(artifact.manifest.digest))
  t.notOk(manifests.has(digest))
})

t.test('a blob that is neither here nor there parks the entry and names it', async t => {
  const lost = small?.digest ?? digest
  const world = createWorld()
  await world.push(image, { repository: app, without: [lost] })
  await deliver(world)
  const [entry] = await world.entries()
  t.equal(entry?.state, 'parked')
  t.match(entry?.reason, `the blob ${lost} is no longer here`)
  t.match(world.events, [{ outcome: 'parked', hint: /push the image once more/ }])
})

t.test('so does a manifest, or a child of an index', async t => {
  for (const [pushed, lost] of [
    [image, digest],
    [makeIndex([image]), digest],
  ] as const) {
    const world = createWorld()
    await world.push(pushed, { repository: app, without: [lost] })
    await deliver(world)
    const [entry] = await world.entries()
    t.match(entry?.reason, `the manifest ${lost} is no longer here`)
  }
})

t.test('bytes that rotted here are not sent', async t => {
  const world = createWorld()
  await world.push(image, { repository: app })
  world.disk.blobs.set(digest, Buffer.concat([image.manifest.bytes, Buffer.from(' ')]))
  await deliver(world)
  t.match(await world.entries(), [{ state: 'parked' }])
  t.same(world.model.told('writes'), [])
})

t.test(
  'R113: what was taken without its content goes so, and the upstream has the last word',
  async t => {
    const lost = small?.digest ?? digest
    for (const [pushed, without] of [
      [image, lost],
      [makeIndex([image]), digest],
    ] as const) {
      const world = createWorld()
      world.policy.sparse = true
      await world.push(pushed, { repository: app, without: [without] })
      await deliver(world)
      const [entry] = await world.entries()
      t.equal(entry?.state, 'parked')
      t.match(entry?.reason, `docker.io: the registry refused it: ${without} is not here`)
    }
  },
)

for (const failing of ['openRead', 'readVerified'] as const)
  t.test(
    `R767, R912: what ${failing} does not find for a moment is delivered all the same`,
    async t => {
      const world = createWorld()
      world.policy.sparse = true
      await world.push(makeIndex([image]), { repository: app, tags: ['v1'] })
      const real = world.store[failing].bind(world.store)
      // The manifest of the push comes first, and is no child that a sparse one may do without.
      let reads = 0
      const fails = failing === 'openRead' ? 1 : 2
      Object.assign(world.store, {
        [failing]: async (...args: [typeof digest]) =>
          ++reads === fails ? undefined : real(...args),
      })
      await deliver(world)
      const [entry] = await world.entries()
      t.match(entry, {
        state: 'waiting',
        reason: /^the disk here failed: \S+ was gone for a moment$/,
      })
      t.notOk(world.model.repository('team/app').tags.has('v1'))
      const { deliveries } = world.start()
      await world.clock.advance(60_000)
      await deliveries.stop()
      t.same(await world.entries(), [])
      const there = world.model.repository('team/app')
      t.ok(there.tags.has('v1') && there.manifests.has(digest))
      for (const each of blobsOf(image)) t.ok(there.blobs.has(each))
    },
  )

t.test('R179: what is only listed is not taken from another repository', async t => {
  const lost = small?.digest ?? digest
  for (const [pushed, without] of [
    [image, lost],
    [makeIndex([image]), digest],
  ] as const) {
    const world = createWorld()
    world.policy.sparse = true
    await world.push(image, { repository: base })
    await deliver(world)
    await world.push(pushed, { repository: app, without: [without] })
    await deliver(world)
    t.match(await world.entries(), [{ state: 'parked', reason: new RegExp(`${without} is not`) }])
    const there = world.model.repository('team/app')
    t.notOk(there.blobs.has(without) || there.manifests.has(without))
  }
})

t.test('what is listed to be fetched from elsewhere is not sent', async t => {
  const document = JSON.parse(image.manifest.bytes.toString())
  document.layers[0].urls = ['https://example.com/layer']
  const bytes = Buffer.from(JSON.stringify(document))
  const foreign = { ...image, manifest: { ...image.manifest, bytes, digest: digestOf(bytes) } }
  const world = createWorld()
  await world.push(foreign, { repository: app, without: [large?.digest ?? digest] })
  await deliver(world)
  t.same(await world.entries(), [])
  t.notOk(world.model.repository('team/app').blobs.has(large?.digest ?? digest))
})

t.test('three blobs of one entry are on their way at most', async t => {
  const many = makeImage({ seed: 'many', layers: [1, 2, 3, 4, 5, 6, 7] })
  const world = createWorld()
  let now = 0
  let most = 0
  world.model.fate = ({ does }) => {
    if (does !== 'push blob') return {}
    most = Math.max(most, ++now)
    return { arrives: world.clock.sleep(100).then(() => (now -= 1)) }
  }
  await world.push(many, { repository: app })
  const { deliveries } = world.start()
  await world.clock.advance(1_000)
  await deliveries.stop()
  t.equal(most, 3)
  t.same(await world.entries(), [])
})

t.test(
  'a large blob is read in pieces, and its file is closed, also when sending it failed',
  async t => {
    const world = createWorld()
    const big = makeImage({ seed: 'big', layers: [1_000_000] })
    const sizes: number[] = []
    let open = 0
    const { openRead } = world.store
    Object.assign(world.store, {
      openRead: async (...args: Parameters<typeof openRead>) => {
        const opened = await openRead.apply(world.store, args)
        if (opened === undefined) return undefined
        open += 1
        const { handle, blob } = opened
        const read = (buffer: Uint8Array, position: number) => {
          sizes.push(buffer.length)
          return handle.read(buffer, position)
        }
        const close = async () => {
          open -= 1
        }
        return { blob, handle: { descriptor: undefined, read, close } }
      },
    })
    world.model.fate = ({ does }) => (does === 'push blob' ? { error: unavailable() } : {})
    await world.push(big, { repository: app })
    await deliver(world)
    t.equal(open, 0)
    t.ok(sizes.length >= 4)
    t.ok(Math.max(...sizes) <= 256 * 1024)
  },
)

t.test('mirrors are not asked: what they have or lack says nothing about the registry', async t => {
  const world = createWorld()
  const refuse = async () => {
    throw new Error('this is a mirror')
  }
  const { upstream } = world.model
  Object.assign(world.model, {
    upstream: behindMirror(upstream, { headManifest: refuse, headBlob: refuse }),
  })
  await world.push(image, { repository: app, tags: ['v1'] })
  await deliver(world)
  t.same(await world.entries(), [])
})

t.test('an entry that cannot be read is parked', async t => {
  const world = createWorld()
  const common = { carrier: 'queue', createdAtMs: world.clock.nowMs() } as const
  await world.catalog.recordDelivery({ ...common, id: 1, key: 'docker.io/team/app', payload: '{' })
  await world.catalog.recordDelivery({ ...common, id: 2, key: 'Not A Key', payload: '{}' })
  await deliver(world)
  t.match(await world.entries(), [{ state: 'parked' }, { state: 'parked' }])
})

function blobsOf({ config, layers }: typeof image) {
  return [config, ...layers].map(each => each.digest)
}

function unavailable(): UpstreamError {
  return new UpstreamError('unavailable', 'not now')
}

t.test('R430: what was sent for a manifest that is not understood goes before it', async t => {
  const world = createWorld()
  const type = 'application/vnd.cncf.oras.artifact.manifest.v1+json'
  const blobs = image.layers.map(each => ({
    mediaType: 'text/plain',
    digest: each.digest,
    size: each.bytes().length,
  }))
  const absent = { ...blobs[0], digest: digestOf(Buffer.from('never sent')) }
  const artifact = document(type, { mediaType: type, blobs: [...blobs, absent] })
  await world.push({ ...image, manifest: artifact }, { repository: app, tags: ['v1'] })
  await deliver(world)
  t.same(world.model.told('writes').slice(-2), [
    `put manifest ${artifact.digest}`,
    'put manifest v1',
  ])
  const there = world.model.repository('team/app')
  t.ok(blobs.every(each => there.blobs.has(each.digest)))
  t.same(await world.entries(), [])
})
