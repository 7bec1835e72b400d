// The port to one upstream namespace: the client side of the distribution protocol. What comes back
// is what the upstream said, unverified except where a MUST says so; the callers in registry/
// verify and keep it.
import type { Digest } from '../../oci/digest.ts'
import type { ErrorCode } from '../../oci/errors.ts'
import type { Reference, RegistryHost, RepositoryName, Tag } from '../../oci/reference.ts'

/**
 * Why an upstream gave no answer, as a closed set; it decides the client's status and whether stale
 * content may be served:
 * - `not-found`: 404 in the registry's own words, or a name that the operator's include/exclude
 *   rules keep out
 * - `denied`: 401 or 403 after authentication was tried; never served stale (R89)
 * - `rate-limited`: 429, with retryAfterMs
 * - `unavailable`: connection, TLS, time limit, stall, 5xx, breaker open, something else that
 *   answered in the registry's place; with retryAfterMs when known
 * - `invalid`: an answer that breaks the protocol or lies about a digest or length
 * - `refused`: our own policy forbade the connection (address, redirect, realm)
 * - `unsupported`: 405, 406 or an endpoint that this upstream lacks
 * - `rejected`: any other 4xx to a write: the registry does not take this content; `code` and
 *   `sanitizedMessage` say why
 */
export type UpstreamFailure =
  | 'not-found'
  | 'denied'
  | 'rate-limited'
  | 'unavailable'
  | 'invalid'
  | 'refused'
  | 'unsupported'
  | 'rejected'

export interface UpstreamErrorOptions {
  /** What the operator can do about it; goes into the log, never to a client. */
  hint?: string
  retryAfterMs?: number
  cause?: unknown
  /** The upstream's HTTP status, when it gave one. */
  status?: number
  /** True when the upstream said NAME_UNKNOWN: the repository, not just the object, is missing. */
  repositoryUnknown?: boolean
  /** The code in the upstream's error body, when it is one of the specification's. */
  code?: ErrorCode
  /**
   * What the upstream's error body said, cut to 200 printable characters, without anything that
   * looks like a URL or a credential (R123).
   */
  sanitizedMessage?: string
}

/**
 * Not safe to show to clients: its message may name hosts. Its text MUST NOT contain credentials or
 * signed URLs (R195).
 */
export class UpstreamError extends Error {
  readonly failure: UpstreamFailure
  readonly hint: string | undefined
  readonly retryAfterMs: number | undefined
  readonly status: number | undefined
  readonly repositoryUnknown: boolean
  readonly code: ErrorCode | undefined
  readonly sanitizedMessage: string | undefined

  constructor(failure: UpstreamFailure, message: string, options: UpstreamErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'UpstreamError'
    this.failure = failure
    this.hint = options.hint
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
    this.repositoryUnknown = options.repositoryUnknown ?? false
    this.code = options.code
    this.sanitizedMessage = options.sanitizedMessage
  }
}

/** What a HEAD on a manifest said; each part undefined when the header was missing or malformed. */
export interface UpstreamManifestHead {
  readonly digest: Digest | undefined
  readonly mediaType: string | undefined
  readonly sizeBytes: number | undefined
  /** Warning texts of the upstream, already validated (R13); usually empty. */
  readonly warnings: readonly string[]
}

export interface UpstreamManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
  /** The `Docker-Content-Digest` header, when there was a valid one. */
  readonly declaredDigest: Digest | undefined
  readonly warnings: readonly string[]
}

export interface UpstreamBlobHead {
  readonly sizeBytes: number | undefined
}

export interface BlobRequest {
  /** First byte wanted. With 0 no Range is sent. */
  readonly offset: number
  /**
   * Last byte wanted, inclusive; only together with an offset or a deliberate part. Default: to the
   * end.
   */
  readonly lastByte?: number
  /** ETag of the answer that gave the first part; sent as If-Range. */
  readonly validator?: string
  /**
   * Where an earlier answer for this blob came from: asked at once, without the way through the
   * registry. What refuses or fails there MUST be asked of the registry, within this call (R146).
   */
  readonly place?: BlobPlace
}

/**
 * A host that the registry led to, for more of the same blob. The URL, which may be signed, stays
 * with the upstream (R195).
 */
export interface BlobPlace {
  readonly host: string
}

export interface UpstreamBlob {
  /**
   * Where `body` begins. MUST be the offset asked for, or 0 when the upstream sent the whole blob
   * instead.
   */
  readonly offset: number
  /**
   * Length of the whole blob, from Content-Length or Content-Range; undefined when the upstream did
   * not say.
   */
  readonly totalBytes: number | undefined
  /**
   * The last byte that `body` gives, when the upstream answered with a part: at most the one asked
   * for. Undefined: it is the whole.
   */
  readonly lastByte?: number
  readonly validator: string | undefined
  /** Where it came from, when that was not the registry's own host. */
  readonly place?: BlobPlace
  /**
   * The bytes from `offset`, in fresh buffers that the reader owns. MUST be read to its end or
   * destroyed by breaking out of the loop, which closes the connection. Throws UpstreamError:
   * `unavailable` when cut or stalled. MUST end normally only when as many bytes came as
   * Content-Length promised.
   */
  readonly body: AsyncIterable<Uint8Array>
}

export interface TagList {
  /** Sorted, without duplicates (R68). */
  readonly tags: readonly Tag[]
}

export interface UpstreamReferrers {
  /** The descriptors of the upstream's image index, unverified JSON objects. */
  readonly manifests: readonly unknown[]
  /**
   * The registry has no referrers API: this is what is listed under the tag, nothing where there is
   * none. Default false.
   */
  readonly byTag?: boolean
}

/**
 * A blob that is on this disk, for sending it; `read` gives it from the start each time it is
 * called.
 */
export interface BlobSource {
  readonly digest: Digest
  readonly sizeBytes: number
  read(): AsyncIterable<Uint8Array>
}

/** A manifest to be sent. */
export interface ManifestSource {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: Digest
  /** Default false. */
  readonly once?: boolean
}

/** What an upstream said when it accepted a manifest. */
export interface ManifestTaken {
  /**
   * Its `OCI-Subject`: it lists the manifest among the referrers of this by itself. Undefined when
   * it said nothing of the kind.
   */
  readonly subject: Digest | undefined
}

/**
 * A blob whose bytes were sent before its digest was known. MUST be ended by finish or cancel,
 * once.
 */
export interface UpstreamStream {
  /** Tells the digest; resolves when the upstream has accepted the blob. @throws UpstreamError */
  finish(digest: Digest): Promise<void>
  /** Gives the upstream's session back as far as it can. Never rejects. */
  cancel(): Promise<void>
}

/** How one question is put. */
export interface ReadOptions {
  /** Ends this call, never one shared with others. */
  readonly signal?: AbortSignal | undefined
  /**
   * `registry`: not its mirrors, which may lag behind it or hold what it lacks: for what is asked
   * before a write. Default `all`: mirrors first.
   */
  readonly endpoints?: 'all' | 'registry' | undefined
  /**
   * `if answered`: for a caller who has another answer to give. What nobody answers is not tried
   * again; what is answered with a failure is. Default `always`.
   */
  readonly retries?: 'always' | 'if answered' | undefined
}

/** `odd content`: it hashes as it should, and may well be what the registry has. */
export type Distrust = 'other bytes' | 'odd content'

/** What `status`, metrics and readiness tell of an upstream. */
export interface UpstreamHealth {
  readonly registry: RegistryHost
  /** `open`: answered from here without asking, until `retryAtMs`. */
  readonly breaker: 'closed' | 'half-open' | 'open'
  readonly retryAtMs: number | undefined
  readonly lastFailure: string | undefined
  /** How the last request went; undefined while nobody has asked it since the start. */
  readonly lastFinding: 'good' | 'failed' | undefined
  /** From the upstream's rate-limit headers, when it sends them. */
  readonly rateLimitRemaining: number | undefined
}

/**
 * One upstream namespace, with its mirrors, credentials, tokens, retries and breaker behind it.
 *
 * Every method MUST throw UpstreamError and nothing else, except the signal's own reason when
 * `signal` aborts; MUST bound what it reads into memory; MUST have a deadline before the first byte
 * (R149: 25 s in all); MUST send nothing when its policy forbids the address (R188).
 */
export interface Upstream {
  readonly registry: RegistryHost
  /**
   * What came for this is not taken. True when a mirror had given it: asking again asks the
   * registry itself. After other bytes than the digest says the mirror is left out for a while.
   */
  distrust(name: RepositoryName, reference: Reference, why: Distrust): boolean
  /**
   * The operator wants the registry itself tried at the next request, whatever was found before;
   * that one finds out.
   */
  letNextThrough(): void
  headManifest(
    name: RepositoryName,
    reference: Reference,
    options?: ReadOptions,
  ): Promise<UpstreamManifestHead>
  /** MUST refuse (`invalid`) a body above the manifest limit without reading on (R42). */
  getManifest(
    name: RepositoryName,
    reference: Reference,
    options?: ReadOptions,
  ): Promise<UpstreamManifest>
  /** MUST NOT download the blob, also where HEAD is refused (R62). */
  headBlob(name: RepositoryName, digest: Digest, options?: ReadOptions): Promise<UpstreamBlobHead>
  /**
   * One attempt chain up to the answer's head; the caller resumes a broken body with a new call.
   */
  getBlob(
    name: RepositoryName,
    digest: Digest,
    request: BlobRequest,
    options?: ReadOptions,
  ): Promise<UpstreamBlob>
  listTags(name: RepositoryName, options?: ReadOptions): Promise<TagList>
  /**
   * MUST fall back to the referrers tag where the API is missing (R77); MUST NOT turn a failure
   * into an empty list (R78).
   */
  listReferrers(
    name: RepositoryName,
    digest: Digest,
    options?: ReadOptions,
  ): Promise<UpstreamReferrers>
  /**
   * Writes go to the authoritative endpoint only, never to a mirror, with `pull,push` as scope; its
   * answers' Location is followed as R117 says. Each has the deadline of reads for every answer it
   * waits for; a body may take as long as it moves.
   *
   * True when the upstream has the blob in `name` now, taken from `from`, which the edge's
   * credentials must be able to read; false when it rather wants the bytes. Leaves no session open.
   * @throws UpstreamError
   */
  mountBlob(
    name: RepositoryName,
    digest: Digest,
    from: RepositoryName,
    signal?: AbortSignal,
  ): Promise<boolean>
  /**
   * Sends a blob whole: POST, then one PUT with Content-Length, which every registry takes. Tried
   * again as reads are, from the start. The caller has asked by headBlob before. @throws
   * UpstreamError
   */
  pushBlob(name: RepositoryName, source: BlobSource, signal?: AbortSignal): Promise<void>
  /**
   * Sends `body` while it comes (POST, then one PATCH) and resolves when the upstream has taken all
   * of it. Pulls on `body` only as fast as the upstream takes it. Never tried again: the caller has
   * the bytes on disk and can use pushBlob. @throws UpstreamError, or what `body` throws
   */
  streamBlob(
    name: RepositoryName,
    body: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<UpstreamStream>
  /**
   * Resolves when the upstream has accepted it. MUST throw `invalid` when the upstream answers with
   * another digest than `digest` (R116). Idempotent, so tried again as reads are, unless `once`:
   * then it is sent a single time, so that whoever keeps the order of tags knows of every request
   * that may arrive late. @throws UpstreamError
   */
  putManifest(
    name: RepositoryName,
    reference: Reference,
    manifest: ManifestSource,
    signal?: AbortSignal,
  ): Promise<ManifestTaken>
  health(): UpstreamHealth
}
