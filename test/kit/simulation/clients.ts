// What clients of a simulation do: push images as builders do, trusting what they are told is there
// already; pull what others pushed, tag by tag and blob by blob; delete. Each compares what it sees
// with what was promised to it and to others, and throws `Broken` when a promise was not kept.
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import {
  LOCALHOST,
  parseReference,
  type Reference,
  type Repository,
  repositoryKey,
} from '../../../src/oci/reference.ts'
import { readAll } from '../engine.ts'
import { type Image, MEDIA_TYPES } from '../image.ts'
import { chunkOf } from '../clients/upload-chunks.ts'
import type { Edge, World } from './edge.ts'
import { blobsOf, BYTES, IMAGES, nameOf, PUSHED_IMAGES, TAGS } from './images.ts'
import { drawOperatorDeed } from './operator.ts'
import { CACHED, LOCAL, PUSHED, QUEUED } from './repositories.ts'
import { drawSpaceDeed } from './space.ts'
import { type AcknowledgedRecord, Broken, listedBy } from './record.ts'

const ACCEPT = Object.values(MEDIA_TYPES).flatMap(({ manifest, index }) => [manifest, index])
/** How long a push may take a rest: well within what it was promised. */
const REST_MS = 20 * 60_000

export interface ClientsOf {
  readonly world: World
  readonly edge: Edge
  readonly record: AcknowledgedRecord
}

/** Something that one client does, from beginning to end. */
export interface Deed {
  readonly name: string
  run(clients: ClientsOf): Promise<void>
}

export function drawDeed(world: World): Deed {
  const { hot } = world
  const { random } = world.schedule
  const image = IMAGES[random.oneIn(2) ? hot : random.below(IMAGES.length)] as Image
  const pushedImage = PUSHED_IMAGES.includes(image) ? image : (PUSHED_IMAGES[0] as Image)
  const tag = TAGS[random.below(TAGS.length)] as string
  const pushed = PUSHED[random.below(PUSHED.length)] as Repository
  const named = `${nameOf(pushedImage)} in ${repositoryKey(pushed)}`
  const all = [...PUSHED, ...CACHED]
  const drawn = random.below(100)
  if (drawn < 30)
    return {
      name: `push ${named}:${tag}`,
      run: clients =>
        push(clients, pushed, { image: pushedImage, tag: random.oneIn(4) ? undefined : tag }),
    }
  if (drawn < 48) {
    const repository = all[random.below(all.length)] as Repository
    return {
      name: `pull ${repositoryKey(repository)}`,
      run: clients => pull(clients, repository, random.oneIn(2) ? tag : image.manifest.digest),
    }
  }
  if (drawn < 74) {
    const repository = all[random.below(all.length)] as Repository
    const deleted = `delete ${nameOf(image)} in ${repositoryKey(repository)}`
    if (!random.oneIn(3))
      return { name: deleted, run: each => deleteImage(each, repository, image) }
    const clear = async (each: ClientsOf) => {
      for (const any of IMAGES) await deleteImage(each, repository, any)
    }
    return { name: `delete all in ${repositoryKey(repository)}`, run: clear }
  }
  if (drawn < 78)
    return {
      name: `delete ${tag} in ${repositoryKey(pushed)}`,
      run: each => deleteTag(each, pushed, tag),
    }
  if (drawn < 81) {
    const blobs = blobsOf(image)
    const blob = blobs[random.below(Math.max(1, blobs.length))]?.digest ?? image.manifest.digest
    return { name: `delete a blob of ${named}`, run: each => deleteBlob(each, pushed, blob) }
  }
  if (drawn < 97)
    return world.options.isOperated === true ? drawOperatorDeed(world) : drawSpaceDeed({ world })
  return { name: `move ${tag} upstream`, run: async ({ world }) => moveUpstream(world, tag, image) }
}

function moveUpstream({ model }: World, tag: string, image: Image): void {
  for (const { name } of CACHED) model.repository(name).tags.set(tag, image.manifest.digest)
}

/** Gives up like any client where it is refused for a reason. @throws Broken */
async function push(
  clients: ClientsOf,
  repository: Repository,
  { image, tag }: { image: Image; tag: string | undefined },
): Promise<void> {
  const { record } = clients
  for (const child of image.children)
    if (!(await isThere(clients, repository, child.manifest.digest, 'manifest')))
      await push(clients, repository, { image: child, tag: undefined })
  for (const { digest } of blobsOf(image)) await bring(clients, repository, digest)
  await rest(clients)
  const { manifest } = image
  const { world } = clients
  const { schedule } = world
  const since = record.now()
  const wasCut = cutting(world)
  const { relied, ended } = record.manifestBegun(repository, image, schedule.nowMs)
  // A delete that is under way may take the tag along.
  if (tag !== undefined && record.wasDeleted(repository, manifest.digest, since))
    record.tagBegun(repository, tag, undefined)(false)
  const tagged = tag === undefined ? undefined : record.tagBegun(repository, tag, manifest.digest)
  try {
    await clients.edge.registry.pushManifest(repository, {
      reference: parseReference(tag ?? manifest.digest),
      tags: [],
      mediaType: manifest.mediaType,
      bytes: manifest.bytes,
    })
    record.pushed(repository, image, since)
    tagged?.(!record.wasDeleted(repository, manifest.digest, since))
  } catch (error) {
    tagged?.(false)
    if (!(error instanceof RegistryError)) throw error
    if (error.code !== 'MANIFEST_BLOB_UNKNOWN') return refused(clients, 'push', error)
    const denied = relied().find(
      digest =>
        JSON.stringify([error.message, error.further]).includes(digest) &&
        !record.wasDeleted(repository, digest, since),
    )
    // What only an upstream has nobody can promise while it is not heard.
    const isExcused = repository.registry !== LOCALHOST && wasCut()
    if (denied !== undefined && !isExcused && world.options.areLeased === true)
      throw new Broken(
        `${repositoryKey(repository)} was said to have ${denied}, and a manifest that lists it is refused: ${error.message}`,
      )
  } finally {
    ended()
  }
}

/** Of what no promise speaks; full and slow are no faults. */
function refused({ world }: ClientsOf, what: string, error: RegistryError): void {
  world.schedule.note(`${what} refused: ${error.code} ${error.message}`)
}

async function rest({ world: { schedule } }: ClientsOf): Promise<void> {
  if (schedule.random.oneIn(10)) await schedule.clockOf().sleep(schedule.random.below(REST_MS))
}

async function isThere(
  { edge, record, world }: ClientsOf,
  repository: Repository,
  digest: Digest,
  what: 'blob' | 'manifest',
): Promise<boolean> {
  const asked = { since: record.now(), atMs: world.schedule.nowMs }
  // Builders remember for a while what they were told.
  if (record.wasTold(repository, digest, asked.atMs) && world.schedule.random.oneIn(3)) return true
  const { registry } = edge
  try {
    if (what === 'blob') await registry.headBlob(repository, digest, { mayPush: true })
    else
      await registry.headManifest(repository, {
        reference: { kind: 'digest', digest },
        accept: ACCEPT,
        mayPush: true,
      })
    record.told(repository, digest, asked)
    return true
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

async function bring(clients: ClientsOf, repository: Repository, digest: Digest): Promise<void> {
  const { edge, record, world } = clients
  const { random } = world.schedule
  if (await isThere(clients, repository, digest, 'blob')) return
  const asked = { since: record.now(), atMs: world.schedule.nowMs }
  const bytes = BYTES.get(digest) as Buffer
  try {
    if (random.oneIn(2)) {
      const others = LOCAL.filter(each => each !== repository)
      const from = others[random.below(others.length)]
      const mount = { digest, from: random.oneIn(3) ? undefined : from, mayReadAny: () => true }
      if ((await edge.registry.mountBlob(repository, mount)) !== undefined)
        return record.told(repository, digest, asked)
    }
    const { id } = await edge.registry.startUpload(repository, { algorithm: 'sha256' })
    const half = random.below(bytes.length)
    await edge.registry.appendUpload(repository, id, chunkOf(bytes.subarray(0, half)))
    await rest(clients)
    const end = { since: record.now(), atMs: world.schedule.nowMs }
    await edge.registry.finishUpload(repository, id, {
      digest,
      chunk: chunkOf(bytes.subarray(half)),
    })
    record.told(repository, digest, end)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    refused(clients, 'blob', error)
  }
}

/** @throws Broken */
async function pull(clients: ClientsOf, repository: Repository, named: string): Promise<void> {
  const { record, edge, world } = clients
  const reference = parseReference(named)
  const isJudged = reference.kind === 'tag' && PUSHED.includes(repository)
  const asked = isJudged ? record.tagAsked(repository, named) : () => {}
  const expected = expecting(clients, repository, reference)
  let digest: Digest
  try {
    const answer = await edge.registry.pullManifest(repository, {
      reference,
      accept: ACCEPT,
      client: 'client',
    })
    digest = answer.digest
    sameBytes(digest, answer.bytes)
    asked(digest)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    if (error.code === 'MANIFEST_UNKNOWN') asked(undefined)
    return expected(error)
  }
  const image = IMAGES.find(({ manifest }) => manifest.digest === digest)
  if (image === undefined) throw new Broken(`${digest} is no image that anybody pushed`)
  const { random } = world.schedule
  const child = image.children[random.below(Math.max(1, image.children.length))]
  if (child !== undefined) return pull(clients, repository, child.manifest.digest)
  for (const blob of blobsOf(image))
    await pullBlob(clients, repository, { image, digest: blob.digest })
}

async function pullBlob(
  clients: ClientsOf,
  repository: Repository,
  { image, digest }: { image: Image; digest: Digest },
): Promise<void> {
  const expected = expecting(
    clients,
    repository,
    { kind: 'digest', digest: image.manifest.digest },
    digest,
  )
  try {
    const answer = await clients.edge.registry.pullBlob(repository, digest)
    await rest(clients)
    sameBytes(digest, await readAll(answer))
  } catch (error) {
    if (error instanceof Broken) throw error
    expected(error)
  }
}

/**
 * What is returned throws if a failure breaks a promise: a push that was acknowledged, or an
 * upstream that has it and was heard all the time.
 */
function expecting(
  { record, world }: ClientsOf,
  repository: Repository,
  reference: Reference,
  blob?: Digest,
): (error: unknown) => void {
  const digest = reference.kind === 'digest' ? reference.digest : undefined
  const held = digest === undefined ? undefined : record.held(repository, digest)
  const isHeld = () =>
    held !== undefined && digest !== undefined && record.holdsBlob(held, blob ?? digest)
  const { model, schedule } = world
  const upstream = repository.registry === LOCALHOST ? undefined : model.repository(repository.name)
  const isThere = upstream !== undefined && digest !== undefined && upstream.manifests.has(digest)
  const wasCut = cutting(world)
  return error => {
    const isOwed = isThere ? !wasCut() : isHeld()
    if (!isOwed) return schedule.note(`pull refused: ${String(error)}`)
    const what = `${repositoryKey(repository)}@${digest}${blob === undefined ? '' : `, its blob ${blob}`}`
    throw new Broken(`${what} cannot be pulled: ${String(error)}`)
  }
}

/**
 * Returns what tells whether the line has been cut since, or was shortly before, or whether more
 * time has passed than anybody waits for an answer, or for a download that is joined.
 */
function cutting({ schedule, line }: World): () => boolean {
  const quietStep = schedule.steps - CUT_STEPS
  const beforeMs = schedule.nowMs
  const isLate = () => schedule.nowMs - beforeMs >= PATIENT_MS || schedule.longStep > quietStep
  return () => line.isDown || line.cutStep > quietStep || isLate()
}

/** What a line that was cut made fail may be joined for so long. */
const CUT_STEPS = 1_000
/** A fill gives up on a line on which nothing comes for longer. */
const PATIENT_MS = 2_000

function sameBytes(digest: Digest, bytes: Uint8Array | undefined): void {
  const expected = BYTES.get(digest)
  if (bytes === undefined || expected === undefined || Buffer.compare(bytes, expected) !== 0)
    throw new Broken(`other bytes for ${digest}: ${bytes === undefined ? 'none' : digestOf(bytes)}`)
}

async function deleteImage(clients: ClientsOf, repository: Repository, image: Image) {
  const { edge, record } = clients
  const { digest } = image.manifest
  const tags = record
    .tagsTo(repository, digest)
    .map(tag => record.tagBegun(repository, tag, undefined))
  // What it lists follows it, until it is pushed again.
  const follow = image.children.map(({ manifest }) => manifest.digest)
  const ended = [
    ...[digest, ...follow].map(each => record.deleteBegun(repository, each)),
    ...tags.map(tag => () => tag(false)),
    ...(repository === QUEUED ? [record.tagsUnknown(repository)] : []),
  ]
  await deleting(clients, () =>
    edge.registry.deleteManifest(repository, { kind: 'digest', digest }),
  )
  for (const end of ended) end()
}

async function deleteTag(clients: ClientsOf, repository: Repository, tag: string) {
  const { edge, record } = clients
  const tagged = record.tagBegun(repository, tag, undefined)
  // The upstream may have it.
  const known = repository === QUEUED ? record.tagsUnknown(repository) : () => {}
  tagged(
    await deleting(clients, () => edge.registry.deleteManifest(repository, parseReference(tag))),
  )
  known()
}

async function deleteBlob(clients: ClientsOf, repository: Repository, digest: Digest) {
  const ended = clients.record.deleteBegun(repository, digest)
  await deleting(clients, () => clients.edge.registry.deleteBlob(repository, digest))
  ended()
}

/** Was it done? */
async function deleting(clients: ClientsOf, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    refused(clients, 'delete', error)
    return false
  }
}

/** The upstream has all images, for who pulls. */
export function fillUpstream({ model }: World): void {
  for (const { name } of CACHED) {
    const repository = model.repository(name)
    for (const { manifest, ...image } of IMAGES) {
      const { digest, bytes, mediaType } = manifest
      repository.manifests.set(digest, { bytes, mediaType })
      for (const blob of listedBlobs({ manifest, ...image }))
        repository.blobs.set(blob, BYTES.get(blob) as Buffer)
    }
    for (const tag of TAGS) repository.tags.set(tag, (IMAGES[0] as Image).manifest.digest)
  }
}

function listedBlobs(image: Image): readonly Digest[] {
  return image.children.length > 0 ? [] : listedBy(image)
}
