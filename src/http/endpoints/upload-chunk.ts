// What the head of a request says about the piece of an upload that it brings (R102, R103): where
// it goes, and how long it is.
import type { IncomingMessage } from 'node:http'
import { RegistryError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { UploadChunk } from '../../registry/answers.ts'
import { hasBody } from '../exchange.ts'

/** The specification's own form: no unit and no total, unlike the header of a download. */
const RANGE = /^([0-9]+)-([0-9]+)$/

export type ChunkHead = Omit<UploadChunk, 'body'>

/**
 * @throws RegistryError RANGE_INVALID (416) for a `Content-Range` that is none; whether it fits is
 * the engine's to say.
 */
export function parseChunkHead(request: IncomingMessage): ChunkHead {
  return {
    range: parseUploadRange(request.headers['content-range']),
    lengthBytes: lengthOf(request),
  }
}

function parseUploadRange(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined
  const match = RANGE.exec(header)
  const range = { first: Number(match?.[1]), last: Number(match?.[2]) }
  if (match !== null && Number.isSafeInteger(range.last) && range.first <= range.last) return range
  throw new RegistryError(
    'RANGE_INVALID',
    'the Content-Range of an upload is <first byte>-<last byte>, such as 0-1023',
  )
}

/** Undefined when only the end of the body will tell. */
function lengthOf(request: IncomingMessage): number | undefined {
  if (!hasBody(request)) return 0
  const length = request.headers['content-length']
  return length === undefined ? undefined : Number(length)
}
