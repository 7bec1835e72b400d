// What the use cases of this room give to whoever speaks to clients: values, and readers of bytes. No HTTP in here.
import type { Digest } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'
import type { Repository } from '../oci/reference.ts'
import type { Target } from '../oci/endpoint.ts'

/**
 * Where an answer came from (`X-Entrepot-Source`): `hit` memory or disk; `joined` a fill that was running already; `miss` the
 * upstream, for this request; `peer`; `stale` past its freshness because the upstream failed; `local` kept here.
 */
export const SOURCES = ['hit', 'joined', 'miss', 'peer', 'stale', 'local'] as const
export type Source = (typeof SOURCES)[number]

export interface ManifestAnswer {
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  /** Absent when only the head was asked for. */
  readonly bytes: Uint8Array | undefined
  readonly source: Source
  /** For tags: milliseconds since the upstream last confirmed it. */
  readonly ageMs: number | undefined
  /** Texts for `Warning: 299`, already valid (R13). */
  readonly warnings: readonly string[]
}

export interface BlobHead {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly source: Source
}

/** An opened blob. MUST be closed exactly once, whatever happened. */
export interface BlobAnswer extends BlobHead {
  /** The file that holds the whole verified blob; undefined while it is still being filled. */
  readonly file: string | undefined
  /**
   * The bytes of `range`, which must lie inside the blob. Chunks are fresh buffers that the reader owns. Follows a running fill and
   * withholds the blob's last bytes until its digest was right; throws when the fill failed, and then MUST NOT be ended normally
   * towards the client (R85, R231).
   */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Takes the memory of a chunk back, so that it is used for a later one. Only for who neither reads it nor has handed it to anybody
   * who still does. Nobody has to: what is not given back is collected.
   */
  giveBack?(chunk: Uint8Array): void
  close(): Promise<void>
}

export interface TagsAnswer {
  readonly tags: readonly string[]
  /** More follow after the last of `tags`. */
  readonly more: boolean
  readonly source: Source
  readonly warnings: readonly string[]
}

export interface ReferrersAnswer {
  /** Descriptors, as they are to stand in the image index (R74). */
  readonly manifests: readonly unknown[]
  readonly filtered: boolean
  readonly source: Source
  readonly warnings: readonly string[]
}

export interface RepositoriesAnswer {
  readonly repositories: readonly string[]
  readonly more: boolean
}

/** Where a request's name leads, and how to write names back to this client. */
export interface Routed {
  readonly repository: Repository
  /** The name as the client wrote it: goes into `name` of tag lists. */
  readonly spelled: string
  /** What stands before `/v2` and after it in this client's URLs: `/docker.io/v2/library/alpine`. For Location and Link (R29). */
  readonly urlPrefix: string
  /** The value for `OCI-Namespace`, when `ns` chose the upstream (R32). */
  readonly namespace: string | undefined
}

/** The registry as one thing, for http/. Every method throws RegistryError for what the client may know, and nothing is changed by a failed read. */
export interface Registry {
  /** @throws RegistryError NAME_UNKNOWN, NAME_INVALID. Pure: asks nothing and nobody. */
  route(target: Target, host: string | undefined): Routed
  headManifest(repository: Repository, request: ManifestRequest): Promise<ManifestAnswer>
  pullManifest(repository: Repository, request: ManifestRequest): Promise<ManifestAnswer>
  headBlob(repository: Repository, digest: Digest): Promise<BlobHead>
  /** Resolves when size and source are known, long before the bytes are. */
  pullBlob(repository: Repository, digest: Digest): Promise<BlobAnswer>
  listTags(repository: Repository, page: ListPage): Promise<TagsAnswer>
  listReferrers(
    repository: Repository,
    digest: Digest,
    artifactTypes: readonly string[],
  ): Promise<ReferrersAnswer>
  listRepositories(page: ListPage): Promise<RepositoriesAnswer>
}

export interface ListPage {
  readonly limit: number
  /** Exclusive; need not exist. */
  readonly after: string | undefined
}

export interface ManifestRequest {
  readonly reference: import('../oci/reference.ts').Reference
  /** All `Accept` header values, in order; empty when there was none (R12, R39). */
  readonly accept: readonly string[]
}
