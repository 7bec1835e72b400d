// What a kept manifest lists is kept too, down to the last blob: content that was only cached
// becomes durable before the push is recorded, which says that it is kept, and of manifests it is
// written down that they belong here.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { type CheckDeps, type Listed, requireAtUpstream } from './check-references.ts'
import { isListed } from '../content/edges.ts'
import { mapFew } from '../../async/few-at-once.ts'
import type { StoredContent } from '../content/content.ts'
import type { ContentClass } from '../ports/blob-store-content.ts'
import type { Fact, FactStore } from '../ports/facts.ts'
import { pushedManifestFact } from '../facts/kept-manifest.ts'
import { mayGive } from '../routing/sharing.ts'

/** Each syncs a file; more of them share the same disk. */
const SYNCED_AT_ONCE = 8

export interface BecomesKept {
  readonly digest: Digest
  /** Of a manifest: to be written with the push. */
  readonly fact: Fact | undefined
}

export interface KeepListedDeps extends CheckDeps {
  readonly content: StoredContent
  readonly facts: FactStore
}

interface ToKeep {
  readonly listed: readonly Listed[]
  /** Of what is listed: not here, and the upstream has just said that it has it. */
  readonly confirmed: ReadonlySet<Digest>
  /** The repository takes manifests without what they list. */
  readonly sparse: boolean
  readonly atMs: number
  /** Of `StoredContent`: is given all that is kept from this push on, also what was kept before. */
  readonly durable: Set<Digest>
}

/**
 * Of what is listed, and of what that lists in turn, and in this repository with its bytes here:
 * what was not kept before.
 * @throws StoreError; RegistryError MANIFEST_BLOB_UNKNOWN for what was here, has lost its file, and
 * can be brought by nobody; MANIFEST_INVALID as `pushedManifestFact`
 */
export async function keepListed(
  deps: KeepListedDeps,
  repository: Repository,
  { listed, ...how }: ToKeep,
): Promise<readonly BecomesKept[]> {
  return keepAll({ ...deps, ...how, repository, seen: new Set() }, listed)
}

interface Keeping extends KeepListedDeps, Omit<ToKeep, 'listed'> {
  readonly repository: Repository
  readonly seen: Set<Digest>
}

/** Manifests one after the other, each with what is below it; blobs a few at once. */
async function keepAll(keeping: Keeping, listed: readonly Listed[]): Promise<BecomesKept[]> {
  const becoming: BecomesKept[] = []
  const blobs: Listed[] = []
  for (const each of listed) {
    const { digest } = each
    if (digest === undefined || keeping.seen.has(digest)) continue
    keeping.seen.add(digest)
    const below = await listedBelow(keeping, digest)
    if (below === undefined) blobs.push(each)
    else becoming.push(...(await keepAll(keeping, below)), ...(await keepOne(keeping, each)))
  }
  const kept = await mapFew(blobs, SYNCED_AT_ONCE, each => keepOne(keeping, each))
  return [...becoming, ...kept.flat()]
}

/**
 * What a manifest lists; undefined for what is no manifest here. Also of one that is kept: by way
 * of a repository that takes manifests without what they list, it says nothing of that.
 */
async function listedBelow(
  { catalog, repository }: Keeping,
  digest: Digest,
): Promise<readonly Listed[] | undefined> {
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) return undefined
  return manifest.edges
    .filter(isListed)
    .map(({ child }) => ({ digestText: child, digest: child, as: 'any' }))
}

/** None or one. */
async function keepOne(keeping: Keeping, listed: Listed): Promise<readonly BecomesKept[]> {
  const { content, catalog, facts, repository, atMs, durable } = keeping
  const { digest } = listed
  if (digest === undefined || !(await mayGive(keeping, repository, { digest }))) return []
  const manifest = await catalog.findManifest(repository, digest)
  const { kind, was } = await content.keepHere(
    { repository, digest, atMs, hold: 'nothing' },
    durable,
  )
  if (kind === 'missing') {
    await requireElsewhere(keeping, listed, { digest, contentClass: was })
    return []
  }
  const isKept = was === 'kept'
  if (manifest === undefined) return isKept ? [] : [{ digest, fact: undefined }]
  const identity = { kind: 'manifest', repository: repositoryKey(repository), digest } as const
  // Kept by way of another repository, it has its fact there alone.
  if (isKept && (await facts.has(identity))) return []
  return [
    {
      digest,
      fact: await pushedManifestFact(catalog, repository, { manifest, atMs, isImported: false }),
    },
  ]
}

/**
 * What belongs to the repository has no file. Where there is an upstream, it has what was not kept;
 * of what was kept it is asked, for that may have been brought to this edge alone.
 * @throws RegistryError MANIFEST_BLOB_UNKNOWN
 */
async function requireElsewhere(
  keeping: Keeping,
  listed: Listed,
  { digest, contentClass }: { digest: Digest; contentClass: ContentClass | undefined },
): Promise<void> {
  const { repository, namespaces, confirmed, sparse } = keeping
  if (sparse || confirmed.has(digest)) return
  const hasUpstream = namespaces.find(repository.registry) !== undefined
  if (contentClass !== 'kept' && hasUpstream) return
  await requireAtUpstream(keeping, repository, { missing: [listed], isPatient: true })
}
