// Uploads at a registry: begun with POST, addressed by the Location of each response (R117), given
// back when they are not wanted. What is sent into them is in push-blob.ts.
import { type Digest, digestAlgorithm, digestFrom } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { type Deadline, startDeadline } from '../connect/deadline.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import type { Work } from '../endpoint/endpoints.ts'
import { followable, isSameOrigin } from '../connect/redirect.ts'
import type { RequestBody } from '../connect/request-body.ts'
import { pushScope } from '../auth/scopes.ts'
import type { RegistryResponse, RegistryRequest } from '../endpoint/session.ts'
import { writeError } from './write-errors.ts'

/** What registries answer to a step of a push that they took: 201 to PATCH is ECR. */
const TAKEN = new Set([200, 201, 202, 204])
/**
 * Nobody waits longer than this for an upload to be given back: registries forget them by
 * themselves.
 */
const CANCEL_MS = 5_000
/**
 * From a blob's last byte to the response: object stores copy what came in parts, at some hundred
 * MiB/s.
 */
const BLOB_RESPONSE_MS = 120_000

export interface Upload {
  readonly url: URL
  readonly scope: string
  /** Another host is, or chose, `url`: credentials stay away from it for good. */
  readonly withoutCredentials: boolean
}

/** @throws UpstreamError */
export function startUpload(name: RepositoryName, clock: Clock): Work<Upload> {
  return async (endpoint, { signal }) => {
    const url = endpoint.urls.for(name, 'blobs/uploads/')
    const scope = pushScope(endpoint.urls.nameOf(name))
    const request = { call: 'push', lane: 'push', method: 'POST', url, scope, headers: {} } as const
    const response = await endpoint.send(request, signal)
    if (!TAKEN.has(response.status)) throw await uploadError(response, clock, false)
    await response.body.drain()
    return uploadAt(response, endpoint, { scope, withoutCredentials: false })
  }
}

/**
 * The upload that `response` leads to.
 * @throws UpstreamError invalid for a missing or malformed Location; refused for one that leaves
 * https
 */
export function uploadAt(
  response: RegistryResponse,
  endpoint: Endpoint,
  { scope, withoutCredentials }: Pick<Upload, 'scope' | 'withoutCredentials'>,
): Upload {
  const location = response.headers.first('location')
  const target = location === undefined ? undefined : endpoint.urls.leadsTo(location, response.url)
  const url = followable(target, response.url, 'sends an upload')
  return { url, scope, withoutCredentials: withoutCredentials || !isSameOrigin(url, endpoint.url) }
}

/** Appends and changes nothing else: what stands in the query may be signed (R101). */
function withDigest(url: URL, digest: Digest): URL {
  const finished = new URL(url)
  const added = `digest=${encodeURIComponent(digest)}`
  finished.search = url.search === '' ? added : `${url.search}&${added}`
  return finished
}

/** A body, without what this file says of all of them. */
export type Piece = Pick<RequestBody, 'sizeBytes' | 'read' | 'once'>

const NOTHING: Piece = { sizeBytes: 0, read: async function* () {} }

/**
 * Sends a piece into the upload; resolves with where it goes on.
 * @throws UpstreamError; what reading the piece throws
 */
export function patchUpload(upload: Upload, piece: Piece, clock: Clock): Work<Upload> {
  return async (endpoint, deadline) => {
    const response = await send(requestTo(upload, 'PATCH'), piece, { endpoint, deadline })
    // Who answers before it has all cannot have taken all.
    if (!TAKEN.has(response.status) || !response.isSentWhole) {
      throw await uploadError(response, clock, true)
    }
    await response.body.drain()
    // Some leave it out where it stays the same.
    return response.headers.first('location') === undefined
      ? upload
      : uploadAt(response, endpoint, upload)
  }
}

/**
 * Ends the upload with its digest; `piece` is its last or only one, default none.
 * @throws as patchUpload; invalid for another digest
 */
export function endUpload(
  upload: Upload,
  { digest, piece = NOTHING, clock }: { digest: Digest; piece?: Piece; clock: Clock },
): Work<void> {
  return async (endpoint, deadline) => {
    const url = withDigest(upload.url, digest)
    const request = { ...requestTo(upload, 'PUT'), url }
    const response = await send(request, piece, { endpoint, deadline })
    if (!TAKEN.has(response.status)) throw await uploadError(response, clock, true)
    await response.body.drain()
    const accepted = digestFrom(response.headers.first('docker-content-digest') ?? digest)
    const isComparable =
      accepted !== undefined && digestAlgorithm(accepted) === digestAlgorithm(digest)
    if (!isComparable || accepted === digest) return
    throw new UpstreamError('invalid', `${url.host} accepted a blob under another digest`)
  }
}

/**
 * The limit for responses stands still from the first byte on: a body has its own, and so has the
 * response to a blob.
 */
async function send(
  request: RegistryRequest,
  piece: Piece,
  { endpoint, deadline }: { endpoint: Endpoint; deadline: Deadline },
): Promise<RegistryResponse> {
  const headers = { 'content-type': 'application/octet-stream' }
  const body = { ...piece, responseMs: BLOB_RESPONSE_MS, onFirst: () => deadline.pause() }
  try {
    return await endpoint.send({ ...request, headers, body }, deadline.signal)
  } finally {
    deadline.resume()
  }
}

/** Gives an upload back as far as that can be done. Never rejects. */
export async function cancelUpload(
  endpoint: Endpoint,
  upload: Upload,
  clock: Clock,
): Promise<void> {
  const deadline = startDeadline(clock, CANCEL_MS)
  try {
    const response = await endpoint.send(requestTo(upload, 'DELETE'), deadline.signal)
    await response.body.drain()
  } catch {
    // It ends by itself in time; who pushes has nothing from knowing.
  } finally {
    deadline.end()
  }
}

function requestTo(upload: Upload, method: 'PUT' | 'PATCH' | 'DELETE'): RegistryRequest {
  return { call: 'push', lane: 'push', method, ...upload, headers: {} }
}

function uploadError(response: RegistryResponse, clock: Clock, isUpload: boolean) {
  return writeError(response, { what: 'a blob', nowMs: clock.nowMs(), isUpload })
}
