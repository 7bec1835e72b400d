// What GET and HEAD of a blob share: who may be asked about it, and what is written down of the
// answer. What each of them gives is in pull-blob.ts and head-blob.ts.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { bestEffort } from '../best-effort.ts'
import type { Fills } from '../fill/fills.ts'
import type { Flights } from '../../async/flights.ts'
import type { Namespace, Namespaces } from '../routing/namespaces.ts'
import { blobKey, type NegativeCache } from '../negative-cache.ts'
import type { UpstreamBlobHead } from '../ports/upstream-content.ts'
import type { AskedEndpoints, ReadOptions } from '../ports/upstream.ts'
import type { SilentRepositories } from './head-before-push.ts'
import type { OpenBlobs } from '../reading/open-blobs.ts'
import type { OpenBlobDeps } from './open-blob.ts'
import type { Leases } from '../content/leases.ts'
import type { Prefetch } from './prefetch.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'

export interface PullBlobDeps extends OpenBlobDeps {
  readonly namespaces: Namespaces
  readonly negative: NegativeCache
  readonly fills: Fills
  readonly openBlobs: OpenBlobs
  /** The upstreams' HEADs that run now, by repository, digest and who is asked. */
  readonly heads: Flights<UpstreamBlobHead>
  readonly policies: RepositoryPolicies
  readonly silent: SilentRepositories
  readonly prefetch: Prefetch
  readonly leases: Leases
}

/** @throws RegistryError BLOB_UNKNOWN where nobody can be asked */
export function requireUpstream(
  repository: Repository,
  namespace: Namespace | undefined,
): Namespace {
  if (namespace !== undefined && !namespace.policy.offline) return namespace
  const why = namespace === undefined ? 'is kept at this edge alone' : 'is configured offline'
  throw new RegistryError('BLOB_UNKNOWN', `the blob is not here and ${repository.registry} ${why}`)
}

/**
 * Asks the upstream whether this repository has the blob; once for all who want to know of the same
 * endpoints at the same time.
 */
export function confirm(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, namespace, options }: { digest: Digest; namespace: Namespace; options?: ReadOptions },
): Promise<UpstreamBlobHead> {
  const { catalog, clock, note, heads } = deps
  const { endpoints = 'all' } = options ?? {}
  return heads.run(`${endpoints} ${repositoryKey(repository)} ${digest}`, async () => {
    const head = await namespace.upstream.headBlob(repository.name, digest, options)
    await bestEffort(note, () => catalog.recordMember(repository, digest, clock.nowMs()))
    return head
  }).promise
}

/** One question about a blob; a 404 is remembered for a moment. */
export async function asking<Answer>(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, endpoints }: { digest: Digest; endpoints?: AskedEndpoints | undefined },
  ask: () => Promise<Answer>,
): Promise<Answer> {
  return deps.negative.ask(blobKey(repository, digest), endpoints, ask)
}
