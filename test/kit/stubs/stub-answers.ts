// What a stub registry answers to a request when nothing goes wrong: OCI end-1, 2, 3, 8, 12 over
// what it holds, with the habits of its profile. Written against the specification, not with the
// product's parsers, which it is to check.
import { gzipSync } from 'node:zlib'
import type { Content } from '../content.ts'
import { MEDIA_TYPES } from '../image.ts'
import type { StubContent } from './stub-content.ts'
import type { Behaviour } from './stub-profiles.ts'
import type { StubRequest } from './stub-requests.ts'
import { type Answer, type Body, bufferBody } from './stub-sending.ts'

export interface AnswerContext {
  readonly content: StubContent
  readonly behaviour: Behaviour
  /** GETs of manifests so far, for the rate limit's headers. */
  readonly pulls: () => number
}

export function answerFor(context: AnswerContext, request: StubRequest): Answer {
  switch (request.kind) {
    case 'ping':
      return jsonAnswer(200, {}, { 'docker-distribution-api-version': 'registry/2.0' })
    case 'manifest':
      return manifestAnswer(context, request)
    case 'blob':
      return blobAnswer(context, request)
    case 'tags':
      return tagsAnswer(context, request)
    case 'referrers':
      return referrersAnswer(context, request)
    case 'catalog':
      return context.behaviour.catalog
        ? jsonAnswer(200, { repositories: [...context.content.repositories.keys()].sort() })
        : errorAnswer(404, 'UNSUPPORTED')
    case 'token':
    case 'upload':
    case 'other':
      return errorAnswer(404, 'NAME_UNKNOWN')
  }
}

/** The error envelope of the specification. */
export function errorAnswer(status: number, code: string): Answer {
  return jsonAnswer(status, { errors: [{ code, message: `stub: ${code}` }] })
}

function jsonAnswer(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: bufferBody(JSON.stringify(value)),
  }
}

function manifestAnswer(context: AnswerContext, request: StubRequest): Answer {
  const { behaviour, content } = context
  if (request.method === 'HEAD' && behaviour.headManifestStatus !== 200) {
    return errorAnswer(behaviour.headManifestStatus, 'DENIED')
  }
  const found = content.manifest(request.repository, request.reference)
  const { accept = '', 'accept-encoding': encodings = '' } = request.headers
  const hidden = behaviour.strictAccept && found !== undefined && !accept.includes(found.mediaType)
  if (found === undefined || hidden) return errorAnswer(404, 'MANIFEST_UNKNOWN')
  const gzip =
    behaviour.gzipManifests === 'always' ||
    (behaviour.gzipManifests === 'on-request' && /gzip|\*/.test(encodings))
  return {
    status: 200,
    headers: {
      'content-type': found.mediaType,
      etag: `"${found.digest}"`,
      ...(behaviour.omitsDigest ? {} : { 'docker-content-digest': found.digest }),
      ...(gzip ? { 'content-encoding': 'gzip' } : {}),
      ...rateLimitHeaders(context),
    },
    body: bufferBody(gzip ? gzipSync(found.bytes) : found.bytes),
  }
}

function rateLimitHeaders({ behaviour, pulls }: AnswerContext): Record<string, string> {
  if (behaviour.rateLimit === undefined) return {}
  return {
    'ratelimit-limit': `${behaviour.rateLimit};w=21600`,
    'ratelimit-remaining': `${Math.max(0, behaviour.rateLimit - pulls())};w=21600`,
    'docker-ratelimit-source': '192.0.2.1',
  }
}

function blobAnswer({ behaviour, content }: AnswerContext, request: StubRequest): Answer {
  if (request.method === 'HEAD' && behaviour.headBlobStatus !== 200) {
    return errorAnswer(behaviour.headBlobStatus, 'UNAUTHORIZED')
  }
  const blob = content.blob(request.repository, request.reference)
  return blob === undefined
    ? errorAnswer(404, 'BLOB_UNKNOWN')
    : contentAnswer(blob, request, { ranges: behaviour.ranges })
}

/** The content or the range of it that was asked for; notes the range in the request. */
export function contentAnswer(
  blob: Content,
  request: StubRequest,
  { ranges }: { ranges: boolean },
): Answer {
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': blob.digest,
    etag: `"${blob.digest}"`,
    ...(ranges ? { 'accept-ranges': 'bytes' } : {}),
  }
  const asked = ranges && request.method === 'GET' ? request.headers.range : undefined
  const range = asked === undefined ? undefined : rangeOf(asked, blob.sizeBytes)
  if (range === 'unsatisfiable') {
    return {
      ...errorAnswer(416, 'RANGE_INVALID'),
      headers: { 'content-range': `bytes */${blob.sizeBytes}` },
    }
  }
  const [first, last] = range ?? [0, blob.sizeBytes - 1]
  request.range = [first, last]
  const body: Body = {
    sizeBytes: last - first + 1,
    contentOffset: first,
    read: (offset, lengthBytes) => blob.read(first + offset, lengthBytes),
  }
  if (range === undefined) return { status: 200, headers, body }
  const contentRange = `bytes ${first}-${last}/${blob.sizeBytes}`
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body }
}

/** Undefined for what is not one byte range: the whole content is the answer then. */
function rangeOf(
  header: string,
  sizeBytes: number,
): readonly [number, number] | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header)
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const [, from = '', to = ''] = match
  const first = from === '' ? Math.max(0, sizeBytes - Number(to)) : Number(from)
  const last = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1)
  return first > last ? 'unsatisfiable' : [first, last]
}

function tagsAnswer({ content, behaviour }: AnswerContext, request: StubRequest): Answer {
  const repository = content.repositories.get(request.repository)
  if (repository === undefined) return errorAnswer(404, 'NAME_UNKNOWN')
  const { pageMax, cursor, order } = behaviour.tags
  const query = new URLSearchParams(request.query)
  const asked = Number(query.get('n') ?? pageMax)
  const limit = Math.min(Number.isNaN(asked) ? pageMax : asked, pageMax)
  const all = inOrder([...repository.tags.keys()], order)
  const start = startOfPage(all, query)
  const tags = all.slice(start, start + limit)
  const next = start + limit
  const more = limit > 0 && next < all.length
  const place =
    cursor === 'opaque'
      ? `next_page=${Buffer.from(`opaque ${next}`).toString('base64url')}`
      : `last=${encodeURIComponent(tags.at(-1) ?? '')}`
  const path = `${behaviour.basePath}/v2/${request.repository}/tags/list`
  const link = `<${path}?n=${limit}&${place}>; rel="next"`
  return jsonAnswer(200, { name: request.repository, tags }, more ? { link } : {})
}

function inOrder(tags: string[], order: Behaviour['tags']['order']): string[] {
  if (order === 'unsorted') return tags
  const sorted = tags.sort()
  return order === 'sorted' ? sorted : sorted.flatMap(tag => [tag, tag])
}

function startOfPage(all: readonly string[], query: URLSearchParams): number {
  const page = query.get('next_page')
  if (page !== null) {
    return Number(Buffer.from(page, 'base64url').toString().replace('opaque ', ''))
  }
  const last = query.get('last')
  if (last === null) return 0
  const known = all.lastIndexOf(last)
  return known === -1 ? all.filter(tag => tag <= last).length : known + 1
}

function referrersAnswer({ content, behaviour }: AnswerContext, request: StubRequest): Answer {
  if (behaviour.referrers === 'none') {
    // Of Distribution's router, which gives no code, and on whatever it answers the header.
    const body = bufferBody('404 page not found\n')
    const version = { 'docker-distribution-api-version': 'registry/2.0' }
    return { status: 404, headers: { 'content-type': 'text/plain', ...version }, body }
  }
  const wanted = new URLSearchParams(request.query).get('artifactType')
  const filters = wanted !== null && behaviour.referrers === 'filtering'
  const manifests = content
    .referrers(request.repository, request.reference)
    .filter(({ artifactType }) => !filters || artifactType === wanted)
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests },
    {
      'content-type': MEDIA_TYPES.oci.index,
      ...(filters ? { 'oci-filters-applied': 'artifactType' } : {}),
    },
  )
}
