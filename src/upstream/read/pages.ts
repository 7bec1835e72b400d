// Lists of several pages, followed by the upstream's own Link headers and never by guessing (R68):
// what `last` means differs, and some registries use a cursor of their own.
import { parseLinks } from '../../oci/paging.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { isObject } from '../connect/response-errors.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import { isSameOrigin } from '../connect/redirect.ts'
import type { RegistryResponse, RegistryRequest } from '../endpoint/session.ts'
import { assertJson } from '../connect/not-a-registry.ts'

/**
 * With 1,000 entries on each, more than any repository that was seen; every page costs the client's
 * time.
 */
const PAGES_MAX = 100
/** One page. Registries that do not page send everything at once: 8 MiB is some 100,000 tags. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024

export interface PageResponse {
  readonly response: RegistryResponse
  readonly document: Record<string, unknown>
}

/**
 * The pages, from `first` on, whose answer was 200 already. Later pages that are not 200 go through
 * `failure`.
 * @throws UpstreamError invalid for what is no JSON object, loops or does not end; refused for a
 * page on another host
 */
export async function* readPages(
  endpoint: Endpoint,
  request: RegistryRequest,
  first: RegistryResponse,
  parts: {
    signal: AbortSignal
    failure: (response: RegistryResponse) => Promise<UpstreamError>
    /** Of all pages together. Default: as many pages as there may be. */
    maxBytes?: number
  },
): AsyncGenerator<PageResponse, void> {
  const seen = new Set([request.url.href])
  let response = first
  let leftBytes = parts.maxBytes ?? PAGES_MAX * PAGE_BYTES_MAX
  for (;;) {
    const bytes = await response.body.readAll(Math.min(leftBytes, PAGE_BYTES_MAX))
    leftBytes -= bytes.length
    const document = readDocument(response, bytes)
    yield { response, document }
    const next = nextPage(endpoint, response)
    if (next === undefined) return
    if (seen.has(next.href) || seen.size >= PAGES_MAX) {
      throw new UpstreamError('invalid', `${next.host} gives a list without an end`)
    }
    seen.add(next.href)
    response = await endpoint.send({ ...request, url: next }, parts.signal)
    if (response.status !== 200) throw await parts.failure(response)
  }
}

function readDocument(response: RegistryResponse, bytes: Uint8Array): Record<string, unknown> {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    document = undefined
  }
  if (isObject(document)) return document
  assertJson(response, 'a list')
  throw new UpstreamError('invalid', `${response.url.host} sent a list that is no JSON object`)
}

function nextPage(endpoint: Endpoint, response: RegistryResponse): URL | undefined {
  const links = parseLinks(response.headers.all('link'))
  const link = links.find(({ relations }) => relations.includes('next'))
  if (link === undefined) return undefined
  const next = endpoint.urls.leadsTo(link.target, response.url)
  if (next === undefined) {
    throw new UpstreamError('invalid', `${response.url.host} names a next page that is no URL`)
  }
  if (isSameOrigin(next, endpoint.url)) return next
  throw new UpstreamError(
    'refused',
    `${response.url.host} names a next page on another host, ${next.protocol}//${next.host}`,
    { hint: 'behind a TLS proxy the registry must know its public URL, or send relative links' },
  )
}
