// GET and HEAD of a blob (end-2; R46–R63): whole, one range, many ranges; and its DELETE (end-10;
// R118). What is decided here is decided before the first byte; the bytes themselves are
// send-blob.ts.
import { randomBytes } from 'node:crypto'
import { matchesIfNoneMatch, matchesIfRange } from '../../oci/conditional.ts'
import { type Digest, digestAlgorithm, digestOf } from '../../oci/digest.ts'
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  type ByteRange,
  formatContentRange,
  formatUnsatisfiedRange,
  parseRange,
  RANGES_MAX,
  type RequestedRange,
  rangeLength,
} from '../../oci/range.ts'
import type { BlobAnswer, BlobHead } from '../../registry/answers.ts'
import { type Answer, type AnswerHeaders, emptyAnswer, type Segment, TO_NOBODY } from '../answer.ts'
import { mayPush, type NamedContext } from '../context.ts'
import { errorAnswer } from '../error-response.ts'
import { HOT_BODY_MAX_BYTES } from '../limits.ts'
import { cacheByDigest, contentHeaders } from './headers.ts'

type BlobEndpoint = Extract<Endpoint, { kind: 'blob' }>

const OCTETS = 'application/octet-stream'
const BOUNDARY_BYTES = 24
const FROM_THE_START = /^bytes=0-[0-9]*$/

export async function answerBlob(context: NamedContext, { digest }: BlobEndpoint): Promise<Answer> {
  const { exchange, registry, routed, headOnly, anonymously } = context
  const { headers } = exchange.request
  // Ranges are of GET alone (RFC 9110 §14.2), and only of this very content (R60).
  const sameContent = matchesIfRange(headers['if-range']?.toString(), digest)
  const range = !headOnly && sameContent ? headers.range : undefined
  if (parseRange(range, Number.MAX_SAFE_INTEGER).kind === 'too-many') throw tooManyRanges()

  // A download is not begun for what can be said without one: 304, 416, a HEAD. A range that may
  // lie behind the end needs the size first.
  const conditional = headers['if-none-match'] !== undefined
  if (headOnly || conditional || (range !== undefined && !FROM_THE_START.test(range))) {
    const options = headOnly ? { mayPush: mayPush(context) } : undefined
    const head = await registry.headBlob(routed.repository, digest, options)
    exchange.record.source = head.source
    if (matchesIfNoneMatch(headers['if-none-match'], digest)) {
      return { ...partsOf(head, anonymously), status: 304, body: { kind: 'none' } }
    }
    if (headOnly) return answerHead(head, anonymously)
    if (parseRange(range, head.sizeBytes).kind === 'unsatisfiable') return unsatisfiable(head)
  }
  const whole = range === undefined ? await answerWhole(context, digest) : undefined
  return whole ?? answerContent(context, digest, range)
}

function answerHead(head: BlobHead, anonymously: boolean): Answer {
  const { headers, content } = partsOf(head, anonymously)
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': OCTETS },
    body: { kind: 'length', sizeBytes: head.sizeBytes },
    content,
  }
}

/**
 * Of a small blob that was given before: in memory, to be kept there. Undefined when it is not
 * here.
 */
async function answerWhole(
  { exchange, registry, routed, anonymously }: NamedContext,
  digest: Digest,
): Promise<Answer | undefined> {
  if (exchange.hot?.isSmall !== true) return undefined
  const options = { maxBytes: HOT_BODY_MAX_BYTES }
  const blob = await registry.readWholeBlob(routed.repository, digest, options)
  if (blob === undefined) return undefined
  exchange.record.source = blob.source
  const { headers, content } = partsOf(blob, anonymously)
  const used = { repository: routed.repository, digest }
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': OCTETS },
    body: { kind: 'bytes', bytes: blob.bytes },
    content: { ...content, used },
  }
}

async function answerContent(
  { exchange, registry, routed, anonymously, takePlace, decideAgain }: NamedContext,
  digest: Digest,
  range: string | undefined,
): Promise<Answer> {
  if ((await takePlace(exchange)) === 'gone') return TO_NOBODY
  await decideAgain()
  const blob = await registry.pullBlob(routed.repository, digest)
  exchange.record.source = blob.source
  try {
    refuseFalseEmptiness(blob)
    const requested = parseRange(range, blob.sizeBytes)
    if (requested.kind === 'unsatisfiable') {
      await blob.close()
      return unsatisfiable(blob)
    }
    const answer = contentAnswer(blob, requested, anonymously)
    if (answer.status !== 200) return answer
    const { repeatable } = blob
    const { repository } = routed
    const used = { repository, digest }
    return { ...answer, content: { digest, repeatable, readFrom: repository, used } }
  } catch (error) {
    await blob.close()
    throw error
  }
}

function contentAnswer(blob: BlobAnswer, requested: RequestedRange, anonymously: boolean): Answer {
  const { sizeBytes } = blob
  const headers = blobHeaders(blob, anonymously)
  const ranges = requested.kind === 'ranges' ? requested.ranges : []
  const [range] = ranges
  if (range === undefined) {
    const segments = sizeBytes === 0 ? [] : [{ range: { first: 0, last: sizeBytes - 1 } }]
    return {
      status: 200,
      headers: { ...headers, 'Content-Type': OCTETS },
      body: { kind: 'blob', blob, segments, sizeBytes },
    }
  }
  if (ranges.length === 1) {
    return {
      status: 206,
      headers: {
        ...headers,
        'Content-Type': OCTETS,
        'Content-Range': formatContentRange(range, sizeBytes),
      },
      body: { kind: 'blob', blob, segments: [{ range }], sizeBytes: rangeLength(range) },
    }
  }
  const boundary = randomBytes(BOUNDARY_BYTES).toString('hex')
  const multipart = createMultipart(ranges, { sizeBytes, contentType: OCTETS }, boundary)
  return {
    status: 206,
    headers: { ...headers, 'Content-Type': multipart.contentType },
    body: { kind: 'blob', blob, segments: multipart.segments, sizeBytes: multipart.sizeBytes },
  }
}

function partsOf(head: BlobHead, anonymously: boolean) {
  const { digest, repeatable } = head
  return { headers: blobHeaders(head, anonymously), content: { digest, repeatable } }
}

function blobHeaders(head: BlobHead, anonymously: boolean): AnswerHeaders {
  return {
    ...contentHeaders(head.digest, head.source),
    'Cache-Control': cacheByDigest(anonymously),
    'Accept-Ranges': 'bytes',
  }
}

function unsatisfiable({ sizeBytes }: BlobHead): Answer {
  const error = new RegistryError('RANGE_INVALID', `the blob has ${sizeBytes} bytes`)
  return errorAnswer(error, {
    'Accept-Ranges': 'bytes',
    'Content-Range': formatUnsatisfiedRange(sizeBytes),
  })
}

/** 400 makes a client ask for fewer ranges; any other status makes it give up (R57). */
function tooManyRanges(): RegistryError {
  return new RegistryError('RANGE_INVALID', `at most ${RANGES_MAX} ranges in one request`, {
    status: 400,
  })
}

/**
 * Of an empty answer no byte is read, so nobody downstream would notice that the content was not
 * empty.
 */
function refuseFalseEmptiness({ digest, sizeBytes }: BlobHead): void {
  if (sizeBytes > 0 || digest === digestOf(new Uint8Array(), digestAlgorithm(digest))) return
  throw new RegistryError(
    'UNAVAILABLE',
    'the upstream says that this blob is empty, and its digest says that it is not',
  )
}

export async function answerDeleteBlob(
  { registry, routed }: NamedContext,
  { digest }: BlobEndpoint,
): Promise<Answer> {
  await registry.deleteBlob(routed.repository, digest)
  return emptyAnswer(202, {})
}

interface Multipart {
  readonly contentType: string
  readonly segments: readonly Segment[]
  readonly sizeBytes: number
}

/**
 * `multipart/byteranges` (RFC 9110 §14.6; R54, R58): one part per range, in the order of the
 * request, with its length known before the first byte is read. `boundary`: letters and digits
 * only, and not to be guessed, or content could contain it.
 */
function createMultipart(
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
