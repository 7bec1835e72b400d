// Goal: bytes that one registry delivered are given under another's names only on a word that can
// be trusted (R252). Method: the engine over in-memory twins before several upstreams: one that the
// operator named, a private one, and one that only a client named and that says of everything that
// it has it.
import t, { type Test } from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import {
  parseRepositoryKey,
  type RegistryHost,
  type Repository,
} from '../../../../src/oci/reference.ts'
import { isComplete } from '../../../../src/registry/content/completeness.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { asRecorded } from '../../../../src/registry/content/edges.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { blobAnswer, createEngine, readAll, repositoryOf, upstreamOf } from '../../../kit/engine.ts'
import { document, MEDIA_TYPES } from '../../../kit/image.ts'

const secret = Buffer.alloc(200_000, 'a layer of somebody ')
const digest = digestOf(secret)
const [hub, corp, quay, anybody] = [
  repositoryOf('library/app'),
  ...['registry.corp.example/app', 'quay.io/app', 'anybody.example/app'].map(parseRepositoryKey),
] as const
if (corp === undefined || quay === undefined || anybody === undefined) throw new Error('no names')

const listing = document(MEDIA_TYPES.oci.manifest, {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.oci.manifest,
  config: { mediaType: 'application/json', digest, size: secret.length },
  layers: [],
})

/**
 * Says that it has every blob, lists them in its manifest, and gives those that `has` says; counts
 * what it is asked to give.
 */
interface Has {
  bytes: boolean
  /** Before that it gives nothing. */
  ready?: Promise<void>
  /** Where its answer breaks off for good. */
  cutAt?: number
}

function upstreamNamed(host: RegistryHost, has: Has) {
  const asked: number[] = []
  const given: Partial<Upstream> = {
    registry: host,
    headBlob: async () => ({ sizeBytes: secret.length }),
    getManifest: async () => ({ ...listing, declaredDigest: listing.digest, warnings: [] }),
    getBlob: async (_name, _digest, { offset }) => {
      asked.push(offset)
      await has.ready
      if (!has.bytes) throw new UpstreamError('not-found', 'it only said so')
      const answer = blobAnswer([secret.subarray(offset, has.cutAt)], { offset })
      return { ...answer, totalBytes: secret.length, body: cut(answer.body, has) }
    },
  }
  return { asked, has, upstream: upstreamOf(given) }
}

async function* cut(body: AsyncIterable<Uint8Array>, { cutAt }: Has) {
  yield* body
  if (cutAt !== undefined) throw new UpstreamError('denied', 'no more')
}

function createWorld(owner: 'docker.io' | 'registry.corp.example') {
  const [ofHub, ofCorp, ofQuay, ofAnybody] = [hub, corp, quay, anybody].map(repository =>
    upstreamNamed((repository ?? hub).registry, { bytes: repository?.registry === owner }),
  )
  if (!ofHub || !ofCorp || !ofQuay || !ofAnybody) throw new Error('four of them')
  const engine = createEngine({
    upstream: ofHub.upstream,
    beside: [
      { upstream: ofCorp.upstream, shares: false },
      { upstream: ofQuay.upstream },
      { upstream: ofAnybody.upstream, shares: false },
    ],
  })
  const has = { hub: ofHub, corp: ofCorp, quay: ofQuay, anybody: ofAnybody }
  return { ...engine, has }
}

type World = ReturnType<typeof createWorld>

async function pull({ registry }: World, repository = hub): Promise<Buffer> {
  const bytes = await readAll(await registry.pullBlob(repository, digest))
  await registry.settled(digest)
  return bytes
}

/** A pull that fails for good, however often it is tried again. */
async function failing(t: Test, world: World): Promise<void> {
  let isOver = false
  const pulled = t.rejects(pull(world)).then(() => (isOver = true))
  for (let pauses = 0; !isOver && pauses < 100; pauses += 1) {
    await world.clock.advance(10_000)
    await new Promise(setImmediate)
  }
  await pulled
  await world.registry.settled(digest)
}

/** What it comes to without anybody else's doing. More turns than anything in memory takes. */
async function soon(work: Promise<unknown>): Promise<unknown> {
  let outcome: unknown = 'still waiting'
  work.then(
    value => (outcome = value),
    (error: unknown) => (outcome = error),
  )
  for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate)
  return outcome
}

const byDigest = { reference: { kind: 'digest', digest: listing.digest }, accept: [] } as const
const REFUSED = { code: 'BLOB_UNKNOWN' }

t.test('R252: a registry that only a client named does not get bytes by a HEAD', async t => {
  const world = createWorld('docker.io')
  await pull(world)
  await t.rejects(pull(world, anybody), REFUSED)
  t.strictSame(world.has.anybody.asked, [0], 'it was asked for them')
  t.equal(await world.registry.readWholeBlob(anybody, digest, { maxBytes: 1e6 }), undefined)
  await world.clock.advance(60_000)
  t.ok(await world.registry.headBlob(anybody, digest), 'what it says of them is its own word')
  await t.rejects(pull(world, anybody), REFUSED, 'nor later')
})

t.test('R252: a registry that only a client named gets no bytes by listing them', async t => {
  const world = createWorld('docker.io')
  await pull(world)
  await world.registry.pullManifest(anybody, byDigest)
  await t.rejects(pull(world, anybody), REFUSED)
  const recorded = asRecorded(
    parseManifest(listing.bytes, listing.mediaType),
    listing.digest,
    listing.bytes.length,
  )
  t.equal(await isComplete(world, anybody, recorded), false, 'and it has no whole image by that')
})

t.test(
  'R252: a registry that only a client named gives what it delivered in all its repositories',
  async t => {
    const world = createWorld('docker.io')
    await pull(world)
    world.has.anybody.has.bytes = true
    t.same(await pull(world, anybody), secret)
    t.strictSame(world.has.anybody.asked, [0])
    t.same(await pull(world, anybody), secret)
    const other = parseRepositoryKey('anybody.example/other')
    t.same(await pull(world, other), secret)
    t.strictSame(world.has.anybody.asked, [0], 'once')
  },
)

t.test('R252: a private registry shares with nobody, in neither direction', async t => {
  const world = createWorld('registry.corp.example')
  await pull(world, corp)
  await t.rejects(pull(world), REFUSED)
  await world.registry.pullManifest(hub, byDigest)
  await t.rejects(pull(world), REFUSED, 'nor by a manifest')
  t.ok(world.has.hub.asked.length > 0)
  t.same(await pull(world, corp), secret)

  const reversed = createWorld('docker.io')
  await pull(reversed)
  await t.rejects(pull(reversed, corp), REFUSED)
})

t.test('R383: what one that does not share lists of others stays for them alone', async t => {
  const world = createWorld('docker.io')
  await pull(world)
  const needs = async (repository: Repository) => {
    await world.registry.pullManifest(repository, byDigest)
    const need = await world.catalog.findNeed(listing.digest)
    return need?.lists.includes(digest)
  }
  t.equal(await needs(anybody), false)
  t.equal(await needs(corp), false)
  t.equal(await needs(quay), true)
})

t.test('R252: bytes of which nobody knows who delivered them are given on no word', async t => {
  const world = createWorld('docker.io')
  await pull(world)
  await world.catalog.removeMember(hub, digest)
  t.same(await world.catalog.listDeliverers(digest), [])
  await t.rejects(pull(world, anybody), REFUSED)
  t.strictSame(world.has.anybody.asked, [0], 'it was asked for them')
})

t.test('R96, R252: among registries that the operator named a HEAD is enough', async t => {
  const world = createWorld('docker.io')
  await pull(world)
  t.same(await pull(world, quay), secret)
  t.strictSame(world.has.quay.asked, [])
})

t.test('R84, R252: what is on its way for another registry is not joined by a HEAD', async t => {
  const world = createWorld('docker.io')
  const held = Promise.withResolvers<void>()
  world.has.hub.has.ready = held.promise
  const own = pull(world)
  const others = world.registry.pullBlob(anybody, digest).then(readAll)
  others.catch(() => {})
  t.match(await soon(others), REFUSED, 'at once, by its own upstream')
  t.strictSame(world.has.anybody.asked, [0])
  held.resolve()
  t.same(await own, secret)
})

t.test('R252, R276: nor waited for: whoever may not join it has the blob at once', async t => {
  const world = createWorld('docker.io')
  const held = Promise.withResolvers<void>()
  Object.assign(world.has.anybody.has, { bytes: true, ready: held.promise })
  const strangers = pull(world, anybody)
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
  t.strictSame(world.has.anybody.asked, [0], 'it has the one file')
  const twice = [world.registry.pullBlob(hub, digest), world.registry.pullBlob(quay, digest)]
  t.same(await soon(Promise.resolve(twice[0]).then(answer => answer && readAll(answer))), secret)
  t.match(await soon(Promise.resolve(twice[1]).then(answer => answer && readAll(answer))), REFUSED)
  t.equal(await world.store.find(digest), undefined, 'passed on, and not kept')
  held.resolve()
  t.same(await strangers, secret)
  t.same(await pull(world), secret)
  t.strictSame(world.has.hub.asked, [0, 0], 'once the file is free it is kept')
  t.same(await pull(world), secret)
  t.strictSame(world.has.hub.asked, [0, 0])
})

t.test('R252: the beginning that another registry delivered is not gone on with', async t => {
  const world = createWorld('docker.io')
  world.has.hub.has.cutAt = 150_000
  await failing(t, world)
  world.has.anybody.has.bytes = true
  t.same(await pull(world, anybody), secret)
  t.strictSame(world.has.anybody.asked, [0])

  const alike = createWorld('docker.io')
  alike.has.hub.has.cutAt = 150_000
  await failing(t, alike)
  alike.has.quay.has.bytes = true
  t.same(await pull(alike, quay), secret)
  t.strictSame(alike.has.quay.asked, [150_000], 'but for those that share')
})
