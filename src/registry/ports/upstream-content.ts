// What is asked of an upstream and sent to it, and what it says: the values of the port in
// upstream.ts.
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'

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
  readonly location?: BlobLocation
}

/**
 * A host that the registry led to, for more of the same blob. The URL, which may be signed, stays
 * with the upstream (R195).
 */
export interface BlobLocation {
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
  readonly location?: BlobLocation
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
