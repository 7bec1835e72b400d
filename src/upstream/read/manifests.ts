// Manifests by tag and digest: the head for revalidation, the bytes for keeping. Bytes come back as
// they were sent; that they hash to their digest is for the caller to see.
import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
import { digestFrom } from '../../oci/digest.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { MANIFEST_ACCEPT, parseMediaType } from '../../oci/media-type.ts'
import { formatReference, type Reference, type RepositoryName } from '../../oci/reference.ts'
import { parseWarnings } from '../../oci/warning.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import {
  UpstreamError,
  type UpstreamManifest,
  type UpstreamManifestHead,
} from '../../registry/ports/upstream.ts'
import { answerError } from '../connect/answer-errors.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { contentLength, isEncoded } from '../connect/response-headers.ts'
import type { FinalAnswer } from '../endpoint/session.ts'
import { assertJson } from '../connect/stranger.ts'

const gunzipBounded = promisify(gunzip)

/**
 * Nothing is there, says a HEAD, which has no room for the words that would show who says so: a GET
 * has to tell.
 */
const MISSING = new Set([404, 410])
/** HEAD is refused in these ways by registries whose GET works (R88, R162). */
const HEAD_REFUSED = new Set([400, 403, 405, 501])

export interface ManifestWanted {
  readonly name: RepositoryName
  readonly reference: Reference
}

/** @throws UpstreamError unsupported when HEAD is refused and a GET may not be */
export function headManifest(wanted: ManifestWanted, clock: Clock): Work<UpstreamManifestHead> {
  return async (endpoint, deadline) => {
    const { name, reference } = wanted
    const at = requestAt(endpoint, name, `manifests/${formatReference(reference)}`)
    const headers = { accept: MANIFEST_ACCEPT }
    const answer = await endpoint.send(
      { call: 'manifest', lane: 'api', method: 'HEAD', ...at, headers },
      deadline.signal,
    )
    if (MISSING.has(answer.status)) {
      await answer.body.drain()
      const manifest = await getManifest(wanted, clock)(endpoint, deadline)
      const { declaredDigest: digest, mediaType, bytes, warnings } = manifest
      return { digest, mediaType, sizeBytes: bytes.length, warnings }
    }
    if (answer.status !== 200) {
      const error = await failure(answer, clock)
      if (!HEAD_REFUSED.has(answer.status)) throw error
      throw new UpstreamError('unsupported', error.message, { status: answer.status })
    }
    await answer.body.drain()
    assertJson(answer, 'a manifest')
    return {
      digest: digestFrom(answer.headers.first('docker-content-digest') ?? ''),
      mediaType: parseMediaType(answer.headers.first('content-type')),
      sizeBytes: isEncoded(answer.headers) ? undefined : contentLength(answer.headers),
      warnings: parseWarnings(answer.headers.all('warning')),
    }
  }
}

export function getManifest(wanted: ManifestWanted, clock: Clock): Work<UpstreamManifest> {
  return async (endpoint, { signal }) => {
    const { name, reference } = wanted
    const at = requestAt(endpoint, name, `manifests/${formatReference(reference)}`)
    const headers = { accept: MANIFEST_ACCEPT }
    const answer = await endpoint.send(
      { call: 'manifest', lane: 'api', method: 'GET', ...at, headers },
      signal,
    )
    if (answer.status !== 200) throw await failure(answer, clock)
    return readManifest(answer)
  }
}

async function readManifest(answer: FinalAnswer): Promise<UpstreamManifest> {
  const { headers, url } = answer
  const mediaType = parseMediaType(headers.first('content-type'))
  const bytes = await decoded(answer, await boundedBytes(answer))
  assertJson(answer, 'a manifest')
  if (mediaType === undefined) {
    throw new UpstreamError('invalid', `${url.host} sent a manifest without a media type`)
  }
  return {
    bytes,
    mediaType,
    declaredDigest: digestFrom(headers.first('docker-content-digest') ?? ''),
    warnings: parseWarnings(headers.all('warning')),
  }
}

async function boundedBytes(answer: FinalAnswer): Promise<Uint8Array> {
  const declaredBytes = contentLength(answer.headers)
  if (declaredBytes !== undefined && declaredBytes > MANIFEST_LIMIT_BYTES) {
    answer.body.destroy()
    throw new UpstreamError(
      'invalid',
      `${answer.url.host} announced a manifest of ${declaredBytes} bytes; the limit is ${MANIFEST_LIMIT_BYTES}`,
    )
  }
  return answer.body.readAll(MANIFEST_LIMIT_BYTES)
}

/**
 * Some registries compress manifests unasked (R147); what comes out is still compared with its
 * digest by the caller.
 */
async function decoded(answer: FinalAnswer, bytes: Uint8Array): Promise<Uint8Array> {
  if (!isEncoded(answer.headers)) return bytes
  const encoding = answer.headers.first('content-encoding')?.toLowerCase()
  if (encoding === 'gzip' || encoding === 'x-gzip') {
    try {
      return await gunzipBounded(bytes, { maxOutputLength: MANIFEST_LIMIT_BYTES })
    } catch {
      throw new UpstreamError('invalid', `${answer.url.host} sent a manifest in broken gzip`)
    }
  }
  throw new UpstreamError('invalid', `${answer.url.host} sent a manifest in an unknown encoding`)
}

function failure(answer: FinalAnswer, clock: Clock): Promise<UpstreamError> {
  const { redirected } = answer
  return answerError(answer, { what: 'a manifest', nowMs: clock.nowMs(), redirected })
}
