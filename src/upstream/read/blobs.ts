// Blobs: their size without their bytes, and their bytes from an offset on. One request each; a
// body that breaks is resumed by the caller with a new one. Signed targets do not last, so that one
// goes through the registry again, unless it is told of a location that has just answered (R87,
// R146; blob-locations.ts).
import type { Digest } from '../../oci/digest.ts'
import { parseContentRange, rangeLength } from '../../oci/range.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type {
  BlobRequest,
  UpstreamBlob,
  UpstreamBlobHead,
} from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { responseError } from '../connect/response-errors.ts'
import type { BlobLocations } from './blob-locations.ts'
import { markRedirectedHost } from '../endpoint/failure-marks.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { LACK_MS } from '../endpoint/referrers-support.ts'
import { contentLength, isEncoded } from '../connect/response-headers.ts'
import type { RegistryResponse, RegistryRequest } from '../endpoint/session.ts'

/**
 * HEAD of a blob is refused in these ways where GET works: 401 by ECR Public, 403 by signed storage
 * (R62).
 */
const HEAD_REFUSED = new Set([400, 401, 403, 405, 501])

/**
 * Nothing is there, says a HEAD, which has no room for the words that would show who says so: a GET
 * has to tell.
 */
const MISSING = new Set([404, 410])

export interface BlobWanted {
  readonly name: RepositoryName
  readonly digest: Digest
}

/** `headBlob`: false where HEAD is known to be refused. */
export function headBlob(
  wanted: BlobWanted,
  clock: Clock,
  tryHead: boolean,
): Work<UpstreamBlobHead> {
  return async (endpoint, { signal }) => {
    const { capabilities } = endpoint
    const headsFirst = tryHead && clock.monotonicMs() >= capabilities.headBlobRefusedUntilMs
    let isAnswered = false
    if (headsFirst) {
      const response = await sendBlob(endpoint, wanted, {
        method: 'HEAD',
        lane: 'api',
        headers: {},
        signal,
      })
      const isEncodedHead = response.status === 200 && isEncoded(response.headers)
      if (response.status === 200 && !isEncodedHead) {
        await response.body.drain()
        return { sizeBytes: contentLength(response.headers) }
      }
      isAnswered = isEncodedHead || MISSING.has(response.status)
      const error = await failure(response, clock)
      if (!isAnswered && !HEAD_REFUSED.has(response.status)) throw error
    }
    // The first byte instead of none: whoever answers 206 names the size, and the connection stays
    // good.
    const headers = { range: 'bytes=0-0' }
    const how = { method: 'GET', lane: 'api', headers, signal } as const
    const head = await sizeFrom(await sendBlob(endpoint, wanted, how), clock)
    // Only now is it known that HEAD was refused and not the blob.
    if (headsFirst && !isAnswered)
      capabilities.headBlobRefusedUntilMs = clock.monotonicMs() + LACK_MS
    return head
  }
}

async function sizeFrom(response: RegistryResponse, clock: Clock): Promise<UpstreamBlobHead> {
  const range = response.headers.first('content-range') ?? ''
  if (response.status === 416 && /^bytes[ \t]+\*\/0$/i.test(range)) {
    await response.body.drain()
    return { sizeBytes: 0 }
  }
  if (response.status !== 200 && response.status !== 206) throw await failure(response, clock)
  const isPart = response.status === 206
  const isEncodedResponse = isEncoded(response.headers)
  // A whole blob was on its way: its head is all that is wanted of it.
  if (isPart) await response.body.drain()
  else response.body.destroy()
  if (isEncodedResponse) return { sizeBytes: undefined }
  const sizeBytes = isPart ? parseContentRange(range)?.sizeBytes : contentLength(response.headers)
  return { sizeBytes }
}

export function getBlob(
  wanted: BlobWanted,
  request: BlobRequest,
  { clock, locations }: { readonly clock: Clock; readonly locations: BlobLocations },
): Work<UpstreamBlob> {
  return async (endpoint, deadline) => {
    const headers = rangeHeaders(request)
    const { signal } = deadline
    const response =
      (await locations.ask(
        request.location,
        { endpoint, digest: wanted.digest },
        { headers, signal },
      )) ?? (await sendBlob(endpoint, wanted, { method: 'GET', lane: 'blob', headers, signal }))
    if (response.status !== 200 && response.status !== 206) throw await failure(response, clock)
    try {
      const blob = readHead(response, request)
      deadline.lift()
      response.body.onClose(() => deadline.end())
      const body = bodyOf(response, endpoint)
      if (!response.redirected) return { ...blob, body }
      const { scope } = requestAt(endpoint, wanted.name, '')
      const found = { endpoint, digest: wanted.digest, url: response.url, scope }
      return { ...blob, location: locations.remember(found), body }
    } catch (error) {
      response.body.destroy()
      throw error
    }
  }
}

function rangeHeaders({ offset, lastByte, validator }: BlobRequest): Record<string, string> {
  if (offset === 0 && lastByte === undefined) return {}
  return {
    range: `bytes=${offset}-${lastByte ?? ''}`,
    // A weak validator may not stand in If-Range (RFC 9110 §13.1.5); the digest guards the result
    // anyway.
    ...(validator?.startsWith('"') ? { 'if-range': validator } : {}),
  }
}

type BlobHead = Omit<UpstreamBlob, 'body'>

/** @throws UpstreamError invalid when the response is not what was asked for, or in an encoding */
function readHead(response: RegistryResponse, request: BlobRequest): BlobHead {
  const { headers, url, status } = response
  if (isEncoded(headers)) {
    throw new UpstreamError('invalid', `${url.host} sent a blob in an encoding`)
  }
  const validator = headers.first('etag')
  const lengthBytes = contentLength(headers)
  if (status === 200) return { offset: 0, totalBytes: lengthBytes, validator }

  const range = parseContentRange(headers.first('content-range') ?? '')
  const isRequested =
    range !== undefined &&
    Object.keys(rangeHeaders(request)).length > 0 &&
    range.first === request.offset &&
    range.last <= (request.lastByte ?? range.last) &&
    (lengthBytes === undefined || lengthBytes === rangeLength(range))
  if (!isRequested)
    throw new UpstreamError('invalid', `${url.host} sent another part of a blob than was asked for`)
  return {
    offset: range.first,
    lastByte: range.last,
    totalBytes: range.sizeBytes,
    validator,
  }
}

/**
 * Breaking out of the loop ends the connection, also before the first piece; so does `return` while
 * a piece is waited for.
 */
function bodyOf(
  { body, headers, redirected }: RegistryResponse,
  { breaker }: Endpoint,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const bytes = body.read(
        contentLength(headers) ?? lengthOfRange(headers.first('content-range')),
      )
      let isGivenUp = false
      return {
        next: async () => {
          try {
            return await bytes.next()
          } catch (error) {
            const counts = error instanceof UpstreamError && !isGivenUp && !redirected
            if (counts) breaker.bodyFailed(error)
            throw error
          }
        },
        return: async () => {
          // What a piece fails with that is waited for says nothing about the upstream then.
          isGivenUp = true
          body.destroy()
          return bytes.return()
        },
      }
    },
  }
}

function lengthOfRange(header: string | undefined): number | undefined {
  const range = header === undefined ? undefined : parseContentRange(header)
  return range === undefined ? undefined : rangeLength(range)
}

function sendBlob(
  endpoint: Endpoint,
  { name, digest }: BlobWanted,
  how: Pick<RegistryRequest, 'method' | 'lane' | 'headers'> & { signal: AbortSignal },
): Promise<RegistryResponse> {
  const { signal, ...request } = how
  const at = requestAt(endpoint, name, `blobs/${digest}`)
  return endpoint.send({ call: 'blob', ...request, ...at }, signal)
}

async function failure(response: RegistryResponse, clock: Clock): Promise<UpstreamError> {
  const { redirected } = response
  const error = await responseError(response, { what: 'a blob', nowMs: clock.nowMs(), redirected })
  return redirected ? markRedirectedHost(error) : error
}
