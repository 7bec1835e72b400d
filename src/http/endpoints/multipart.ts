// `multipart/byteranges` (RFC 9110 §14.6; R54, R58): one part per range, in the order asked for,
// with its length known before the first byte is read.
import { type ByteRange, formatContentRange, rangeLength } from '../../oci/range.ts'
import type { Segment } from '../answer.ts'

export interface Multipart {
  readonly contentType: string
  readonly segments: readonly Segment[]
  readonly sizeBytes: number
}

/** `boundary`: letters and digits only, and not to be guessed, or content could contain it. */
export function createMultipart(
  ranges: readonly ByteRange[],
  blob: { readonly sizeBytes: number; readonly contentType: string },
  boundary: string,
): Multipart {
  const segments = ranges.flatMap((range, index): Segment[] => {
    const head = [
      `${index === 0 ? '' : '\r\n'}--${boundary}`,
      `Content-Type: ${blob.contentType}`,
      `Content-Range: ${formatContentRange(range, blob.sizeBytes)}`,
      '\r\n',
    ].join('\r\n')
    return [{ bytes: Buffer.from(head) }, { range }]
  })
  segments.push({ bytes: Buffer.from(`\r\n--${boundary}--\r\n`) })
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    segments,
    sizeBytes: segments.reduce((sum, segment) => sum + segmentLength(segment), 0),
  }
}

function segmentLength(segment: Segment): number {
  return 'bytes' in segment ? segment.bytes.length : rangeLength(segment.range)
}
