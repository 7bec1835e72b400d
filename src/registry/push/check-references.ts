// Is what a pushed manifest lists really there (R113)? It must be in this repository, or its
// upstream must say that it is there, which is asked by HEAD: nothing is downloaded for it. A
// subject may be missing, and so may foreign layers (R64).
import { type Descriptor, isDistributable } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { manifestKind, parseMediaType } from '../../oci/media-type.ts'
import { type Repository, repositoryKey, type RepositoryName } from '../../oci/reference.ts'
import { filterFew, mapFew } from '../../async/few-at-once.ts'
import { withTimeLimit } from '../../async/within.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { type Upstream, UpstreamError } from '../ports/upstream.ts'
import { mayGive } from '../routing/sharing.ts'

export interface CheckDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly namespaces: Namespaces
}

/** Something that a manifest lists and that has to be there. */
export interface Listed {
  readonly digestText: string
  /** Undefined when its algorithm is unknown here: nobody has it then. */
  readonly digest: Digest | undefined
  /** `any`: caches of builds are indexes that list blobs, by types that are no manifest's. */
  readonly as: 'manifest' | 'blob' | 'any'
}

/** Looks at the disk at a time. */
const LOOKS_AT_ONCE = 16
/** Questions to one upstream at a time, beside those of its pulls. */
const ASKED_AT_ONCE = 8
/**
 * For all questions together: clients wait half a minute for the answer to a push (R18), and the
 * push itself comes after this.
 */
const ASKING_TIMEOUT_MS = 15_000
/**
 * Where manifests come without their parts, each that is not here costs a synced file, before the
 * answer and until it comes. Ten times the layers that container tools allow. Others who push wait
 * for as many syncs.
 */
export const SPARSE_MISSING_MAX = 1_000
/**
 * An error's body holds so many entries (R121: 64 KiB); the others turn up when these are mended.
 */
const NAMED_MAX = 100

/** Each once. */
export function listedBy({ config, layers, manifests }: Manifest): readonly Listed[] {
  const listed = [
    ...manifests.map(child => listedAs(child, isManifestType(child) ? 'manifest' : 'any')),
    ...[...(config === undefined ? [] : [config]), ...layers].map(blob => listedAs(blob, 'blob')),
  ].filter(each => each !== undefined)
  return [...new Map(listed.map(each => [`${each.digestText} ${each.as}`, each])).values()]
}

function isManifestType({ mediaType }: Descriptor): boolean {
  const type = parseMediaType(mediaType)
  return type !== undefined && manifestKind(type) !== 'opaque'
}

function listedAs(descriptor: Descriptor, as: Listed['as']): Listed | undefined {
  const { digestText, digest } = descriptor
  return isDistributable(descriptor) ? { digestText, digest, as } : undefined
}

/**
 * Those that are not in this repository with their bytes on disk, and to stay there: a file that is
 * about to be removed is none to count on. Whoever relies on the others MUST have leased them.
 */
export function findMissing(
  deps: Pick<CheckDeps, 'store' | 'catalog' | 'namespaces'>,
  repository: Repository,
  listed: readonly Listed[],
): Promise<readonly Listed[]> {
  return filterFew(listed, LOOKS_AT_ONCE, async ({ digest, as }) => {
    if (digest === undefined) return true
    const isKnown =
      as === 'manifest'
        ? (await deps.catalog.findMember(repository, digest))?.mediaType !== undefined
        : await mayGive(deps, repository, { digest })
    if (!isKnown || (await deps.catalog.findLeaving(digest)) !== undefined) return true
    return (await deps.store.find(digest)) === undefined
  })
}

/**
 * Those of `missing` that the repository's upstream has. `isPatient`: what it gives no answer about
 * counts as missing; otherwise its failure is thrown, for pushes that need it anyway.
 * @throws UpstreamError; RegistryError MANIFEST_BLOB_UNKNOWN
 */
export async function requireAtUpstream(
  deps: CheckDeps,
  repository: Repository,
  { missing, isPatient }: { missing: readonly Listed[]; isPatient: boolean },
): Promise<ReadonlySet<Digest>> {
  const namespace = deps.namespaces.find(repository.registry)
  const isAskable = namespace !== undefined && !namespace.policy.offline
  const { there, failure } = isAskable
    ? await askUpstream(deps, repository, { missing, upstream: namespace.upstream })
    : { there: new Set<Digest>(), failure: undefined }
  if (failure !== undefined && !isPatient) throw failure
  const lacking = missing.filter(({ digest }) => digest === undefined || !there.has(digest))
  if (lacking.length === 0) return there
  const mayBeThere = namespace !== undefined && (!isAskable || failure !== undefined)
  throw notThere(repository, lacking, mayBeThere)
}

/**
 * `missing`: what costs a synced file.
 * @throws RegistryError MANIFEST_BLOB_UNKNOWN when that is more than a manifest may be kept without
 */
export function assertFewMissing(repository: Repository, missing: readonly Digest[]): void {
  const { length } = missing
  if (length <= SPARSE_MISSING_MAX) return
  throw new RegistryError(
    'MANIFEST_BLOB_UNKNOWN',
    `the manifest lists ${length} parts that are not in ${repositoryKey(repository)} and that no manifest there has listed before; it is taken without ${SPARSE_MISSING_MAX} at most: push some of them first`,
  )
}

/** `mayBeThere`: the upstream could not be asked. */
export function notThere(
  repository: Repository,
  lacking: readonly Listed[],
  mayBeThere = false,
): RegistryError {
  const [first = '', ...rest] = lacking.map(({ digestText }) => digestText)
  const others = rest.length > 0 ? ` and ${rest.length} more` : ''
  const also = mayBeThere
    ? `; whether ${repository.registry} has it could not be asked: push that as well, or push again when it answers`
    : ''
  // One entry each, as the specification's format has it: clients print or count them.
  const further = rest.slice(0, NAMED_MAX - 1).map(digest => ({
    message: `nor is ${digest}`,
    detail: { digest },
  }))
  return new RegistryError(
    'MANIFEST_BLOB_UNKNOWN',
    `the manifest lists what is not in ${repositoryKey(repository)}: ${first}${others}${also}`,
    { detail: { digest: first }, further },
  )
}

interface Asking {
  readonly upstream: Upstream
  readonly name: RepositoryName
  readonly signal: AbortSignal
}

/**
 * The first question without an answer is the last one: whoever does not answer one is not asked
 * the next.
 */
async function askUpstream(
  { clock }: CheckDeps,
  { name }: Repository,
  { missing, upstream }: { missing: readonly Listed[]; upstream: Upstream },
): Promise<{ there: ReadonlySet<Digest>; failure: UpstreamError | undefined }> {
  const there = new Set<Digest>()
  let failure: UpstreamError | undefined
  await withTimeLimit(clock, { ms: ASKING_TIMEOUT_MS, late: slow }, signal =>
    mapFew(missing, ASKED_AT_ONCE, async ({ digest, as }) => {
      if (digest === undefined || failure !== undefined) return
      try {
        if (await isThere({ upstream, name, signal }, digest, as)) there.add(digest)
      } catch (error) {
        if (!(error instanceof UpstreamError)) throw error
        failure = error
      }
    }),
  )
  return { there, failure }
}

function slow(): UpstreamError {
  return new UpstreamError('unavailable', 'the upstream is slow to say what it has')
}

/** @throws UpstreamError when there was no answer */
async function isThere(asking: Asking, digest: Digest, as: Listed['as']): Promise<boolean> {
  const { upstream, name, signal } = asking
  // What a mirror has or lacks says nothing about where the push goes.
  const options = { signal, endpoints: 'registry' } as const
  try {
    if (as !== 'manifest') await upstream.headBlob(name, digest, options)
    else {
      const head = await upstream.headManifest(name, { kind: 'digest', digest }, options)
      return head.digest === undefined || head.digest === digest
    }
    return true
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.failure !== 'not-found') throw error
    return as === 'any' ? isThere(asking, digest, 'manifest') : false
  }
}
