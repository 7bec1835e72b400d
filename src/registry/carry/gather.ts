// Gathers one image into the plan of an export, by its manifests: what is not here of those is
// brought in by the way that clients take. What is about it, signatures and bills of materials,
// goes along.
import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestFrom, digestHex } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Manifest, parseManifest } from '../../oci/manifest.ts'
import {
  formatImage,
  type Reference,
  type Repository,
  repositoryKey,
  tagFrom,
} from '../../oci/reference.ts'
import type { ManifestAnswer } from '../answers.ts'
import { asRecorded, INDEX_DEPTH_MAX, isBlob } from '../content/edges.ts'
import { nameImage } from '../operator/find-image.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import { isPlatform, type WarmEvent } from '../operator/warm-image.ts'
import type { ExportPlan } from './plan.ts'

export type GatherDeps = Pick<OperatorDeps, 'registry' | 'store' | 'catalog' | 'ownNameIn'>

export interface Gathering {
  readonly image: string
  /** As of WarmRequest. */
  readonly platforms: readonly string[]
  /** Also what is about it. */
  readonly referrers: boolean
}

export type GatherEvent =
  | Extract<WarmEvent, { readonly kind: 'manifest' }>
  /** What whoever exports may want to know, and that stops nothing. */
  | { readonly kind: 'note'; readonly message: string }

interface Walk extends Pick<Gathering, 'platforms' | 'referrers'> {
  readonly deps: GatherDeps
  readonly plan: ExportPlan
  readonly repository: Repository
  /** As it is named in the inventory. */
  readonly image: string
  readonly signal: AbortSignal
  /** What was gathered of it, or is about to be: a list that says a thing often says it once. */
  readonly seen: Set<Digest>
}

/** Builders list their attestations under it, beside the platforms. */
const NO_PLATFORM = 'unknown/unknown'
/** By which such an entry says what it is about. */
const ABOUT = 'vnd.docker.reference.digest'
/** What cosign keeps under tags, where there is no other way. */
const COSIGN_SUFFIXES = ['sig', 'att', 'sbom']

/** @throws RegistryError what a client would be told */
export async function* gatherImage(
  deps: GatherDeps,
  plan: ExportPlan,
  { image, signal, ...how }: Gathering & { readonly signal: AbortSignal },
): AsyncGenerator<GatherEvent> {
  const { repository, reference } = nameImage(deps, image)
  const name = formatImage(repository, reference)
  const seen = new Set<Digest>()
  const walk = { ...how, deps, plan, repository, signal, image: name, seen }
  const found: Digest[] = []
  const digest = yield* gatherManifest(walk, reference, found)
  plan.addImage({ image: walk.image, digest, ...(await placeOfTag(deps, repository, reference)) })
  if (walk.referrers) for (const each of found) yield* gatherReferrers(walk, each, 0)
}

/** What says, of two bundles, which has the newer one under this tag. */
async function placeOfTag({ catalog }: GatherDeps, repository: Repository, reference: Reference) {
  if (reference.kind === 'digest') return {}
  const tag = await catalog.findTag(repository, reference.tag)
  if (tag === undefined) return {}
  return tag.order === undefined ? { changedAtMs: tag.changedAtMs } : { order: tag.order }
}

/**
 * The manifest, of an index those that are wanted of its children, and their blobs; each of them
 * once, however often it is listed. `found` is given each that was gathered now. Returns the first.
 */
async function* gatherManifest(
  walk: Walk,
  reference: Reference,
  found: Digest[],
): AsyncGenerator<GatherEvent, Digest> {
  const root = yield* gatherOne(walk, reference)
  const { digest } = root.answer
  if (walk.seen.has(digest)) return digest
  walk.seen.add(digest)
  found.push(digest)
  let level = planChildren(walk, root.manifest, walk.platforms)
  for (let depth = 1; depth <= INDEX_DEPTH_MAX && level.length > 0; depth += 1) {
    const next: Digest[] = []
    for (const child of level) {
      const { manifest } = yield* gatherOne(walk, { kind: 'digest', digest: child })
      found.push(child)
      next.push(...planChildren(walk, manifest, []))
    }
    level = next
  }
  return digest
}

async function* gatherOne(walk: Walk, reference: Reference) {
  const { deps, plan, repository, signal } = walk
  signal.throwIfAborted()
  if (reference.kind === 'digest') plan.hold([reference.digest])
  const answer = await deps.registry.pullManifest(repository, { reference, accept: [] })
  const { digest, source } = answer
  plan.hold([digest])
  const image = formatImage(repository, reference)
  for (const message of answer.warnings)
    yield { kind: 'note', message: `${image}: ${message}` } as const
  yield { kind: 'manifest', image, digest, source } as const
  const manifest = await planManifest(walk, answer)
  planBlobs(walk, answer, manifest)
  return { answer, manifest }
}

/** Those that are wanted and were not seen yet. */
function planChildren(
  { plan, seen }: Walk,
  manifest: Manifest,
  platforms: readonly string[],
): Digest[] {
  const { wanted, others } = chooseChildren(manifest, platforms)
  for (const { digest: child, sizeBytes, mediaType } of others)
    if (child !== undefined) plan.leaveOut(child, { size: sizeBytes, type: mediaType })
  const fresh = new Set<Digest>()
  for (const { digest: child } of wanted)
    if (child !== undefined && !seen.has(child)) fresh.add(child)
  for (const child of fresh) seen.add(child)
  return [...fresh]
}

/** @throws RegistryError where it could not be kept */
async function planManifest({ deps, plan, repository, image }: Walk, answer: ManifestAnswer) {
  const { digest, mediaType, bytes } = answer
  if (bytes === undefined || (await deps.store.find(digest)) === undefined) throw notKept(digest)
  const manifest = parseManifest(bytes, mediaType)
  plan.addContent(repositoryKey(repository), {
    digest,
    image,
    mediaType,
    sizeBytes: bytes.length,
    subject: manifest.subject?.digest,
    isKept: await isKept(deps, digest),
  })
  return manifest
}

/** Of the length that the manifest says; they are brought in later. */
function planBlobs(
  { plan, repository, image }: Walk,
  { digest: parent, sizeBytes: parentBytes }: ManifestAnswer,
  manifest: Manifest,
): void {
  const blobs = asRecorded(manifest, parent, parentBytes).edges.filter(isBlob)
  plan.hold(blobs.map(({ child }) => child))
  for (const { child: digest, sizeBytes } of blobs)
    plan.addContent(repositoryKey(repository), { digest, image, sizeBytes })
}

async function isKept({ catalog }: GatherDeps, digest: Digest): Promise<boolean> {
  return (await catalog.findContent(digest))?.contentClass === 'kept'
}

/**
 * Those of these platforms, and attestations of those.
 * @throws RegistryError where there is none of these
 */
function chooseChildren({ manifests }: Manifest, platforms: readonly string[]) {
  if (platforms.length === 0 || manifests.length === 0) return { wanted: manifests, others: [] }
  const ofPlatform = manifests.filter(child => platforms.some(each => isPlatform(child, each)))
  if (ofPlatform.length === 0) {
    const offered = manifests.map(({ platform }) => platform).filter(each => each !== undefined)
    const message = `it is for none of the platforms that were asked for, but for ${offered.join(', ')}`
    throw new RegistryError('MANIFEST_UNKNOWN', message)
  }
  const chosen = new Set(ofPlatform.map(({ digestText }) => digestText))
  const isAbout = ({ platform, annotations }: Descriptor) =>
    platform === NO_PLATFORM && chosen.has(annotations?.[ABOUT] ?? '')
  const isWanted = (each: Descriptor) => chosen.has(each.digestText) || isAbout(each)
  return {
    wanted: manifests.filter(isWanted),
    others: manifests.filter(each => !isWanted(each)),
  }
}

/** Signatures may be signed: so deep as indexes go. */
async function* gatherReferrers(
  walk: Walk,
  subject: Digest,
  depth: number,
): AsyncGenerator<GatherEvent> {
  if (depth === INDEX_DEPTH_MAX) return
  const { digests, notes } = await listReferrers(walk, subject)
  yield* notes
  const found: Digest[] = []
  for (const digest of digests)
    if (!walk.seen.has(digest))
      yield* gatherManifest({ ...walk, platforms: [] }, { kind: 'digest', digest }, found)
  yield* gatherCosigned(walk, subject, found)
  for (const each of found) yield* gatherReferrers(walk, each, depth + 1)
}

/** What the upstream has, or where it cannot be asked, what is here. */
async function listReferrers({ deps, repository }: Walk, subject: Digest) {
  try {
    const { manifests } = await deps.registry.listReferrers(repository, subject, [])
    const digests = manifests.map(each => digestFrom(String((each as Listed).digest)))
    return { digests: digests.filter(each => each !== undefined), notes: [] }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const digests = await deps.catalog.listReferrers(repository, subject)
    const image = formatImage(repository, { kind: 'digest', digest: subject })
    const message = `what is about ${image} goes along as far as it is here: ${error.message}`
    return { digests, notes: [{ kind: 'note', message } as const] }
  }
}

interface Listed {
  readonly digest?: unknown
}

/** By the tags that cosign gives what it has no referrers for. */
async function* gatherCosigned(
  walk: Walk,
  subject: Digest,
  found: Digest[],
): AsyncGenerator<GatherEvent> {
  const { deps, repository, plan } = walk
  for (const suffix of COSIGN_SUFFIXES) {
    const tag = tagFrom(`${digestAlgorithm(subject)}-${digestHex(subject)}.${suffix}`)
    // Of a sha512 it would be longer than tags are.
    if (tag === undefined) return
    const reference = { kind: 'tag', tag } as const
    if (!(await isThere(walk, reference))) continue
    const digest = yield* gatherManifest({ ...walk, platforms: [] }, reference, found)
    const image = formatImage(repository, reference)
    plan.addImage({ image, digest, ...(await placeOfTag(deps, repository, reference)) })
  }
}

/** False also where nobody can say so now: `listReferrers` has told of that. */
async function isThere({ deps, repository }: Walk, reference: Reference): Promise<boolean> {
  try {
    await deps.registry.headManifest(repository, { reference, accept: [] })
    return true
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

function notKept(digest: Digest): RegistryError {
  const message = `${digest} was fetched but could not be kept: the log of the server says why`
  return new RegistryError('UNAVAILABLE', message)
}
