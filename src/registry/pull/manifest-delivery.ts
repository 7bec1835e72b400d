// What GET and HEAD of a manifest share: whether it can be delivered whole, and what the answer
// says of itself. What each of them gives is in pull-manifest.ts and head-manifest.ts.
import type { ManifestAnswer, Repeatable, Source } from '../answers.ts'
import { isComplete } from '../content/completeness.ts'
import type { Repository } from '../../oci/reference.ts'
import { alwaysFrom, whileWholeFrom } from './freshness.ts'
import {
  type ManifestContent,
  type ManifestContents,
  offline,
  type ReadFrom,
} from './manifest-content.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { NegativeCache } from '../negative-cache.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { UpstreamError } from '../ports/upstream.ts'
import type { SilentRepositories } from './head-before-push.ts'
import type { Leases } from '../content/leases.ts'
import type { Prefetch } from './prefetch.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import type { TagResolver } from './resolve-tag.ts'
import type { ResolvedTag } from './upstream-tags.ts'
import type { Uses } from '../reading/uses.ts'

export interface ManifestDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly namespaces: Namespaces
  readonly negative: NegativeCache
  readonly contents: ManifestContents
  readonly tags: TagResolver
  readonly policies: RepositoryPolicies
  readonly silent: SilentRepositories
  readonly prefetch: Prefetch
  readonly leases: Leases
  readonly uses: Pick<Uses, 'note'>
}

/** The same for one namespace, whose upstream may be asked. */
export type ManifestContext = ManifestDeps & ReadFrom

/**
 * Refuses what could not be delivered whole because nobody can be asked for the rest (R91):
 * `failure` says why not, or the namespace is offline.
 * @throws UpstreamError, RegistryError
 */
export async function assertDeliverable(
  context: ManifestContext,
  repository: Repository,
  { recorded, failure }: { recorded: RecordedManifest; failure?: UpstreamError | undefined },
): Promise<void> {
  if (failure === undefined && !context.namespace.policy.offline) return
  if (await isComplete(context, repository, recorded)) return
  throw failure ?? offline(repository, 'not everything that this manifest names is here')
}

type OutdatedTag = Extract<ResolvedTag, { kind: 'stale' | 'previous' }>

/** As the upstream said before: it failed, or nobody may be asked. */
function isOutdated(resolved: ResolvedTag): resolved is OutdatedTag {
  return resolved.kind === 'stale' || resolved.kind === 'previous'
}

/**
 * Why the upstream could not be asked where the tag points; undefined when it could, or need not.
 */
export function failureOf(resolved: ResolvedTag): UpstreamError | undefined {
  return isOutdated(resolved) ? resolved.failure : undefined
}

/** With its bytes, and nothing to say about a tag. */
export function answer(
  { recorded, bytes, warnings }: ManifestContent,
  source: Source,
): ManifestAnswer {
  const { digest, mediaType, sizeBytes } = recorded
  return { digest, mediaType, sizeBytes, bytes, source, ageMs: undefined, warnings }
}

/** Age, source and warnings that the answer to a tag carries; `source` is that of the document. */
export function tagDetails(
  { clock }: ManifestDeps,
  resolved: ResolvedTag,
  source: Source,
): Pick<ManifestAnswer, 'source' | 'ageMs' | 'warnings' | 'repeatable'> {
  const { kind, warnings, checkedAtMs } = resolved
  // The next one is told that it is here, and not how it came.
  const isHere = resolved.kind === 'local' || resolved.kind === 'known'
  const repeatable = source === 'hit' && isHere ? resolved.repeatable : undefined
  // No upstream ever confirmed it.
  if (kind === 'local') return { source: 'local', ageMs: undefined, warnings, repeatable }
  const ageMs = Math.max(0, clock.nowMs() - checkedAtMs)
  return { source: isOutdated(resolved) ? 'stale' : source, ageMs, warnings, repeatable }
}

/**
 * For how long what is here by digest is given without a look: for ever, but where all of an image
 * has to be here as well.
 */
export function repeatableHere({ namespace, clock }: ManifestContext): Repeatable {
  return namespace.policy.offline ? whileWholeFrom(0, clock.nowMs()) : alwaysFrom()
}

export function withoutBytes(whole: ManifestAnswer): ManifestAnswer {
  return { ...whole, bytes: undefined }
}
