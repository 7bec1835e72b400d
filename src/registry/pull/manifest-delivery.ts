// What GET and HEAD of a manifest share: where its tag or digest leads, who may be asked for it,
// whether it can be delivered whole, and what the answer says of itself. What each of them gives is
// in pull-manifest.ts and head-manifest.ts.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { ManifestAnswer, Repeatable, Source } from '../answers.ts'
import { isComplete } from '../completeness.ts'
import { alwaysFrom, whileWholeFrom } from './freshness.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from '../namespaces.ts'
import type { NegativeCache } from '../negative-cache.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { ManifestFact } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { type ReadOptions, UpstreamError } from '../ports/upstream.ts'
import type { SilentRepositories } from '../push/head-before-push.ts'
import type { Prefetch } from './prefetch.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'
import type { TagResolver } from './resolve-tag.ts'
import { isOnlyKnown, type ResolvedTag } from './resolved-tag.ts'

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
}

/** The same for one namespace, whose upstream may be asked; as `options` say, default as ever. */
export type ManifestContext = ManifestDeps & {
  readonly namespace: Namespace
  readonly options?: ReadOptions
}

/**
 * Finds out where the tag points and gives that to `use`. What was only known here may be gone
 * upstream before its document came: then the upstream is asked where the tag points now. Where
 * nobody can tell or give it, what was whole before stands in (R91).
 */
export async function resolving(
  context: ManifestContext,
  repository: Repository,
  { tag, ...wanted }: { tag: Tag; wantsBytes: boolean; mustAsk?: boolean },
  use: (resolved: ResolvedTag) => Promise<ManifestAnswer>,
): Promise<ManifestAnswer> {
  const { tags, namespace, options } = context
  const resolved = await tags.resolve(repository, tag, { namespace, options, ...wanted })
  const useOrAskAnew = async () => {
    try {
      return await use(resolved)
    } catch (error) {
      const isGone = error instanceof UpstreamError && error.failure === 'not-found'
      if (!isGone || !isOnlyKnown(resolved)) throw error
      return use(await tags.fetch(repository, tag, { namespace, options }))
    }
  }
  try {
    return await useOrAskAnew()
  } catch (error) {
    const previous = await tags.standIn(repository, tag, { namespace, error })
    if (previous === undefined) throw error
    return use(previous)
  }
}

/** Age, source and warnings that a tag's answer carries. */
export function tagStory(
  deps: ManifestDeps,
  resolved: ResolvedTag,
  source: Source,
): Pick<ManifestAnswer, 'source' | 'ageMs' | 'warnings' | 'repeatable'> {
  const { warnings } = resolved
  // The next one is told that it is here, and not how it came.
  const repeatable = source === 'hit' ? resolved.repeatable : undefined
  // No upstream ever confirmed it.
  if (resolved.source === 'local')
    return { source: 'local', ageMs: undefined, warnings, repeatable }
  return {
    source: resolved.source === 'stale' ? 'stale' : source,
    ageMs: Math.max(0, deps.clock.nowMs() - resolved.checkedAtMs),
    warnings,
    repeatable,
  }
}

/** By digest, from here or from the upstream. @throws UpstreamError, RegistryError */
export async function get(
  context: ManifestContext,
  repository: Repository,
  digest: Digest,
): Promise<{ content: ManifestContent; source: Source }> {
  const { contents, namespace, options } = context
  if (!namespace.policy.offline) return contents.get(repository, digest, { namespace, options })
  const here = await contents.here(repository, digest)
  if (here === undefined) throw offline(repository, 'the manifest is not here')
  return { content: here, source: 'hit' }
}

/**
 * Refuses what could not be delivered whole because nobody can be asked for the rest (R91):
 * `failure` says why not, or the namespace is offline. @throws UpstreamError, RegistryError
 */
export async function assertDeliverable(
  context: ManifestContext,
  repository: Repository,
  fact: ManifestFact,
  failure?: UpstreamError,
): Promise<void> {
  if (failure === undefined && !context.namespace.policy.offline) return
  if (await isComplete(context, repository, fact)) return
  throw failure ?? offline(repository, 'not everything that this manifest names is here')
}

/** The configuration forbids asking: said as it is, not as if the registry had been asked. */
export function offline(repository: Repository, what: string): RegistryError {
  return new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repository.registry} is configured offline, and ${what}`,
  )
}

/** With its bytes, and nothing to say about a tag. */
export function answer({ fact, bytes, warnings }: ManifestContent, source: Source): ManifestAnswer {
  const { digest, mediaType, sizeBytes } = fact
  return { digest, mediaType, sizeBytes, bytes, source, ageMs: undefined, warnings }
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
