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
import type {
  UpstreamManifest,
  UpstreamManifestHead,
} from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { responseError } from '../connect/response-errors.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { contentLength, isEncoded } from '../connect/response-headers.ts'
import type { RegistryResponse } from '../endpoint/session.ts'
import { assertJson } from '../connect/not-a-registry.ts'

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
    const response = await endpoint.send(
      { call: 'manifest', lane: 'api', method: 'HEAD', ...at, headers },
      deadline.signal,
    )
    if (MISSING.has(response.status)) {
      await response.body.drain()
      const manifest = await getManifest(wanted, clock)(endpoint, deadline)
      const { declaredDigest: digest, mediaType, bytes, warnings } = manifest
      return { digest, mediaType, sizeBytes: bytes.length, warnings }
    }
    if (response.status !== 200) {
      const error = await failure(response, clock)
      if (!HEAD_REFUSED.has(response.status)) throw error
      throw new UpstreamError('unsupported', error.message, { status: response.status })
    }
    await response.body.drain()
    assertJson(response, 'a manifest')
    return {
      digest: digestFrom(response.headers.first('docker-content-digest') ?? ''),
      mediaType: parseMediaType(response.headers.first('content-type')),
      sizeBytes: isEncoded(response.headers) ? undefined : contentLength(response.headers),
      warnings: parseWarnings(response.headers.all('warning')),
    }
  }
}

export function getManifest(wanted: ManifestWanted, clock: Clock): Work<UpstreamManifest> {
  return async (endpoint, { signal }) => {
    const { name, reference } = wanted
    const at = requestAt(endpoint, name, `manifests/${formatReference(reference)}`)
    const headers = { accept: MANIFEST_ACCEPT }
    const response = await endpoint.send(
      { call: 'manifest', lane: 'api', method: 'GET', ...at, headers },
      signal,
    )
    if (response.status !== 200) throw await failure(response, clock)
    return readManifest(response)
  }
}

async function readManifest(response: RegistryResponse): Promise<UpstreamManifest> {
  const { headers, url } = response
  const mediaType = parseMediaType(headers.first('content-type'))
  const bytes = await decoded(response, await boundedBytes(response))
  assertJson(response, 'a manifest')
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

async function boundedBytes(response: RegistryResponse): Promise<Uint8Array> {
  const declaredBytes = contentLength(response.headers)
  if (declaredBytes !== undefined && declaredBytes > MANIFEST_LIMIT_BYTES) {
    response.body.destroy()
    throw new UpstreamError(
      'invalid',
      `${response.url.host} announced a manifest of ${declaredBytes} bytes; the limit is ${MANIFEST_LIMIT_BYTES}`,
    )
  }
  return response.body.readAll(MANIFEST_LIMIT_BYTES)
}

/**
 * Some registries compress manifests although nobody asked for that (R147); what comes out is still
 * compared with its digest by the caller.
 */
async function decoded(response: RegistryResponse, bytes: Uint8Array): Promise<Uint8Array> {
  if (!isEncoded(response.headers)) return bytes
  const encoding = response.headers.first('content-encoding')?.toLowerCase()
  if (encoding === 'gzip' || encoding === 'x-gzip') {
    try {
      return await gunzipBounded(bytes, { maxOutputLength: MANIFEST_LIMIT_BYTES })
    } catch {
      throw new UpstreamError('invalid', `${response.url.host} sent a manifest in broken gzip`)
    }
  }
  throw new UpstreamError('invalid', `${response.url.host} sent a manifest in an unknown encoding`)
}

function failure(response: RegistryResponse, clock: Clock): Promise<UpstreamError> {
  const { redirected } = response
  return responseError(response, { what: 'a manifest', nowMs: clock.nowMs(), redirected })
}
