// Blobs: their size without their bytes, and their bytes from an offset on. One request each; a
// body that breaks is resumed by the caller with a new one. Signed targets do not last, so that one
// goes through the registry again, unless it is told of a place that has just answered (R87, R146;
// blob-places.ts).
import type { Digest } from '../../oci/digest.ts'
import { parseContentRange, rangeLength } from '../../oci/range.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import {
  type BlobRequest,
  UpstreamError,
  type UpstreamBlob,
  type UpstreamBlobHead,
} from '../../registry/ports/upstream.ts'
import { answerError } from '../connect/answer-errors.ts'
import type { BlobPlaces } from './blob-places.ts'
import { noteElsewhere } from '../endpoint/elsewhere.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { LACK_MS } from '../endpoint/referrers-ability.ts'
import { contentLength, isEncoded } from '../connect/response-headers.ts'
import type { FinalAnswer, RegistryRequest } from '../endpoint/session.ts'

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
    const { abilities } = endpoint
    const headsFirst = tryHead && clock.monotonicMs() >= abilities.headBlobRefusedUntilMs
    let isAnswered = false
    if (headsFirst) {
      const answer = await sendBlob(endpoint, wanted, {
        method: 'HEAD',
        lane: 'api',
        headers: {},
        signal,
      })
      const isEncodedHead = answer.status === 200 && isEncoded(answer.headers)
      if (answer.status === 200 && !isEncodedHead) {
        await answer.body.drain()
        return { sizeBytes: contentLength(answer.headers) }
      }
      isAnswered = isEncodedHead || MISSING.has(answer.status)
      const error = await failure(answer, clock)
      if (!isAnswered && !HEAD_REFUSED.has(answer.status)) throw error
    }
    // The first byte instead of none: whoever answers 206 names the size, and the connection stays
    // good.
    const headers = { range: 'bytes=0-0' }
    const how = { method: 'GET', lane: 'api', headers, signal } as const
    const head = await sizeFrom(await sendBlob(endpoint, wanted, how), clock)
    // Only now is it known that HEAD was refused and not the blob.
    if (headsFirst && !isAnswered) abilities.headBlobRefusedUntilMs = clock.monotonicMs() + LACK_MS
    return head
  }
}

async function sizeFrom(answer: FinalAnswer, clock: Clock): Promise<UpstreamBlobHead> {
  const range = answer.headers.first('content-range') ?? ''
  if (answer.status === 416 && /^bytes[ \t]+\*\/0$/i.test(range)) {
    await answer.body.drain()
    return { sizeBytes: 0 }
  }
  if (answer.status !== 200 && answer.status !== 206) throw await failure(answer, clock)
  const isPart = answer.status === 206
  const isEncodedAnswer = isEncoded(answer.headers)
  // A whole blob was on its way: its head is all that is wanted of it.
  if (isPart) await answer.body.drain()
  else answer.body.destroy()
  if (isEncodedAnswer) return { sizeBytes: undefined }
  const sizeBytes = isPart ? parseContentRange(range)?.sizeBytes : contentLength(answer.headers)
  return { sizeBytes }
}

export function getBlob(
  wanted: BlobWanted,
  request: BlobRequest,
  { clock, places }: { readonly clock: Clock; readonly places: BlobPlaces },
): Work<UpstreamBlob> {
  return async (endpoint, deadline) => {
    const headers = rangeHeaders(request)
    const { signal } = deadline
    const answer =
      (await places.ask(request.place, { endpoint, digest: wanted.digest }, { headers, signal })) ??
      (await sendBlob(endpoint, wanted, { method: 'GET', lane: 'blob', headers, signal }))
    if (answer.status !== 200 && answer.status !== 206) throw await failure(answer, clock)
    try {
      const blob = readHead(answer, request)
      deadline.lift()
      answer.body.onClose(() => deadline.end())
      const body = bodyOf(answer, endpoint)
      if (!answer.redirected) return { ...blob, body }
      const { scope } = requestAt(endpoint, wanted.name, '')
      const found = { endpoint, digest: wanted.digest, url: answer.url, scope }
      return { ...blob, place: places.remember(found), body }
    } catch (error) {
      answer.body.destroy()
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

/** @throws UpstreamError invalid when the answer is not what was asked for, or in an encoding */
function readHead(answer: FinalAnswer, request: BlobRequest): BlobHead {
  const { headers, url, status } = answer
  if (isEncoded(headers)) {
    throw new UpstreamError('invalid', `${url.host} sent a blob in an encoding`)
  }
  const validator = headers.first('etag')
  const lengthBytes = contentLength(headers)
  if (status === 200) return { offset: 0, totalBytes: lengthBytes, validator }

  const range = parseContentRange(headers.first('content-range') ?? '')
  const isAsked =
    range !== undefined &&
    Object.keys(rangeHeaders(request)).length > 0 &&
    range.first === request.offset &&
    range.last <= (request.lastByte ?? range.last) &&
    (lengthBytes === undefined || lengthBytes === rangeLength(range))
  if (!isAsked)
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
  { body, headers, redirected }: FinalAnswer,
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
): Promise<FinalAnswer> {
  const { signal, ...request } = how
  const at = requestAt(endpoint, name, `blobs/${digest}`)
  return endpoint.send({ call: 'blob', ...request, ...at }, signal)
}

async function failure(answer: FinalAnswer, clock: Clock): Promise<UpstreamError> {
  const { redirected } = answer
  const error = await answerError(answer, { what: 'a blob', nowMs: clock.nowMs(), redirected })
  return redirected ? noteElsewhere(error) : error
}
