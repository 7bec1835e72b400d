// The port to one upstream namespace: the client side of the distribution protocol. What comes back
// is what the upstream said, unverified except where a MUST says so; the callers in registry/
// verify and keep it.
import type { Digest } from '../../oci/digest.ts'
import type { ErrorCode } from '../../oci/errors.ts'
import type { Reference, RegistryHost, RepositoryName } from '../../oci/reference.ts'
import type {
  BlobRequest,
  BlobSource,
  ManifestSource,
  ManifestTaken,
  TagList,
  UpstreamBlob,
  UpstreamBlobHead,
  UpstreamManifest,
  UpstreamManifestHead,
  UpstreamReferrers,
  UpstreamStream,
} from './upstream-content.ts'

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

/**
 * Who of an upstream is asked. One may have what the other lacks, or answer when the other does
 * not: an answer of the one is none of the other, neither for who asks now nor for who asks later.
 */
export type AskedEndpoints = 'all' | 'registry'

export const ASKED_ENDPOINTS: readonly AskedEndpoints[] = ['all', 'registry']

/** How one question is put. */
export interface ReadOptions {
  /** Ends this call, never one shared with others. */
  readonly signal?: AbortSignal | undefined
  /**
   * `registry`: not its mirrors, which may lag behind it or hold what it lacks: for what is asked
   * before a write. Default `all`: mirrors first.
   */
  readonly endpoints?: AskedEndpoints | undefined
  /**
   * `if responded`: for a caller who has another answer to give. Where no response came it is not
   * tried again; where a failure was the response it is. Default `always`.
   */
  readonly retries?: 'always' | 'if responded' | undefined
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
  /**
   * `refused`: as such, by the last answer that tells; one repository that is closed to them is
   * another thing. Undefined while it was shown none.
   */
  readonly credentials: 'taken' | 'refused' | undefined
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
  /** Without them what the registry itself says is all that the upstream says. */
  readonly hasMirrors: boolean
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
  /** What is asked next about repositories of these names is asked with new tokens. */
  forgetTokens(isMeant: (name: string) => boolean): void
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
   * again as reads are, from the start. The caller has asked by headBlob before.
   * @throws UpstreamError
   */
  pushBlob(name: RepositoryName, source: BlobSource, signal?: AbortSignal): Promise<void>
  /**
   * Sends `body` while it comes (POST, then one PATCH) and resolves when the upstream has taken all
   * of it. Pulls on `body` only as fast as the upstream takes it. Never tried again: the caller has
   * the bytes on disk and can use pushBlob.
   * @throws UpstreamError, or what `body` throws
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
   * that may arrive late.
   * @throws UpstreamError
   */
  putManifest(
    name: RepositoryName,
    reference: Reference,
    manifest: ManifestSource,
    signal?: AbortSignal,
  ): Promise<ManifestTaken>
  health(): UpstreamHealth
}
