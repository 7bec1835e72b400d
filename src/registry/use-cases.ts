// What whoever speaks to clients may ask of this room: the registry as one thing. No HTTP in here.
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { Target } from '../oci/endpoint.ts'
import type { Reference, Repository } from '../oci/reference.ts'
import type {
  BlobAnswer,
  BlobHead,
  BlobPushed,
  BlobRead,
  ManifestAnswer,
  ManifestPush,
  ManifestPushed,
  ReferrersAnswer,
  RepositoriesAnswer,
  TagsAnswer,
  UploadChunk,
  UploadState,
} from './answers.ts'
import type { CountedUses, Used } from './ports/catalog-uses.ts'
import type { RepositoryPolicy } from './routing/repository-policy.ts'
import type { Routed } from './routing/route.ts'
import type { NoteUse } from './reading/uses.ts'

/**
 * The registry as one thing, for http/. Every method throws RegistryError for what the client may
 * know, and nothing is changed by a failed read.
 */
export interface Registry {
  /**
   * Pure: asks nothing and nobody. `how`: see Route.
   * @throws RegistryError NAME_UNKNOWN, NAME_INVALID
   */
  route(target: Target, host: string | undefined, how?: 'anywhere'): Routed
  headManifest(repository: Repository, request: ManifestRequest): Promise<ManifestAnswer>
  pullManifest(repository: Repository, request: ManifestRequest): Promise<ManifestAnswer>
  /**
   * `mayPush`: the caller may push here, and does not send what this says is there. In a `queue`
   * repository a blob that is not here is then 404 while the upstream cannot be asked; for others
   * it is 503, since a 404 would be a lie. In a `forward` repository the upstream is asked also for
   * what is here.
   */
  headBlob(
    repository: Repository,
    digest: Digest,
    options?: { readonly mayPush: boolean },
  ): Promise<BlobHead>
  /** Resolves when size and source are known, long before the bytes are. */
  pullBlob(repository: Repository, digest: Digest): Promise<BlobAnswer>
  /**
   * As `pullBlob`, where it is still open for somebody who asked a moment ago; undefined otherwise.
   * Asks and tells nobody.
   */
  findOpen(repository: Repository, digest: Digest): BlobAnswer | undefined
  /**
   * The whole blob at once, to be kept in memory. Undefined when it is not here for this
   * repository, not right, or too large. Asks nobody.
   */
  readWholeBlob(
    repository: Repository,
    digest: Digest,
    options: { readonly maxBytes: number },
  ): Promise<BlobRead | undefined>
  /**
   * For who gives this from a memory of answers, where nothing here is asked: to be called each
   * time.
   */
  createNoteUse(used: Used): NoteUse
  /** What another thread counted so. Cheap, and never throws. */
  noteUses(uses: readonly CountedUses[]): void
  /**
   * `client`, as in `pullManifest`, was given this manifest from a memory of answers. What it lists
   * may be asked for next, and need not be here any more. Cheap where it is known to be here, and
   * never throws.
   */
  notePull(repository: Repository, digest: Digest, client: string): void
  /**
   * Somebody reads this blob by an opening that another one had asked for. Cheap, and never throws.
   */
  noteRead(repository: Repository, digest: Digest): void
  listTags(repository: Repository, page: ListPage): Promise<TagsAnswer>
  listReferrers(
    repository: Repository,
    digest: Digest,
    artifactTypes: readonly string[],
  ): Promise<ReferrersAnswer>
  /** Fewer than `limit`, and even none, where the next ones would be a longer search. */
  listRepositories(page: ListPage): Promise<RepositoriesAnswer>

  /** Pure: what the configuration says about this repository. */
  policyOf(repository: Repository): RepositoryPolicy
  /**
   * Where `from` leads, written as `target` writes its own name (R109): same prefix, same `ns`.
   * Undefined when it leads nowhere.
   */
  routeFrom(target: Target, from: string, host: string | undefined): Repository | undefined
  /**
   * @throws RegistryError DENIED, TOOMANYREQUESTS when too many uploads are open, UNAVAILABLE when
   * the disk is full
   */
  startUpload(
    repository: Repository,
    options: { readonly algorithm: DigestAlgorithm; readonly client?: string | undefined },
  ): Promise<UploadState>
  /**
   * Makes `digest` a member of `repository` without its bytes being sent. `from`: another
   * repository of the same registry that the caller may read; undefined: any repository under
   * `localhost` that it may read, only for targets under `localhost`. `mayReadAny` tells whether
   * the caller may read at least one of these; asked once at most. Undefined when that cannot be:
   * the caller then begins an upload.
   */
  mountBlob(
    repository: Repository,
    mount: {
      readonly digest: Digest
      readonly from: Repository | undefined
      readonly mayReadAny: (repositories: readonly Repository[]) => boolean | Promise<boolean>
    },
  ): Promise<BlobPushed | undefined>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN, also for an upload of another repository */
  uploadState(repository: Repository, id: string): Promise<UploadState>
  /**
   * What arrived before a client went away counts (R110). A newer request for the same upload ends
   * an older one.
   * @throws UploadOrderError; RegistryError BLOB_UPLOAD_UNKNOWN, SIZE_INVALID, UNAVAILABLE; what
   * `body` throws
   */
  appendUpload(repository: Repository, id: string, chunk: UploadChunk): Promise<UploadState>
  /**
   * Appends the last piece and turns the upload into a blob: durable, recorded and (forward mode)
   * accepted by the upstream when this resolves. A wrong digest ends the upload.
   * @throws as appendUpload; DIGEST_INVALID; DENIED when the upstream refused
   */
  finishUpload(
    repository: Repository,
    id: string,
    end: { readonly digest: Digest; readonly chunk: UploadChunk },
  ): Promise<BlobPushed>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  cancelUpload(repository: Repository, id: string): Promise<void>
  /**
   * Durable, and with its outbox entry, when this resolves.
   * @throws RegistryError, in the order of the protocol's appendix C
   */
  pushManifest(repository: Repository, push: ManifestPush): Promise<ManifestPushed>
  /**
   * A tag alone, or a manifest with all its tags (R118). Never reaches an upstream (R119).
   * @throws RegistryError MANIFEST_UNKNOWN, UNSUPPORTED, DENIED
   */
  deleteManifest(repository: Repository, reference: Reference): Promise<void>
  /** Out of this repository. @throws RegistryError BLOB_UNKNOWN, UNSUPPORTED, DENIED */
  deleteBlob(repository: Repository, digest: Digest): Promise<void>
}

export interface ListPage {
  readonly limit: number
  /** Exclusive; need not exist. */
  readonly after: string | undefined
}

export interface ManifestRequest {
  readonly reference: Reference
  /** All `Accept` header values, in order; empty when there was none (R12, R39). */
  readonly accept: readonly string[]
  /** Of HEAD, as for `headBlob`. Default false. */
  readonly mayPush?: boolean
  /**
   * Who asks, as far as it tells clients apart. Of GET: what they will most likely ask for next is
   * fetched ahead; of HEAD: the manifest, should it not be here. Not given: nothing is, as for who
   * has the manifest already.
   */
  readonly client?: string
}
