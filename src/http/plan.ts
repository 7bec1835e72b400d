// What a request is about to do, found before anybody asks whether it may: the right that it takes,
// and the handler, with what the request's query and headers say already parsed, so that faults of
// grammar are told first.
import type { IncomingMessage } from 'node:http'
import type { Action, MovedTags } from '../access/access.ts'
import type { Endpoint, Target } from '../oci/endpoint.ts'
import type { Answer } from './answer.ts'
import type { NamedContext } from './context.ts'
import { answerBlob, answerDeleteBlob } from './endpoints/blob.ts'
import { answerTags } from './endpoints/tags.ts'
import {
  answerDeleteManifest,
  answerManifest,
  answerPutManifest,
  parsePushTags,
} from './endpoints/manifest.ts'
import { answerReferrers } from './endpoints/referrers.ts'
import {
  answerAppend,
  answerCancel,
  answerFinish,
  answerStart,
  answerUploadState,
  parseChunkHead,
  parseUploadDigest,
  parseUploadStart,
} from './endpoints/upload.ts'

export interface Plan {
  readonly action: Exclude<Action, 'list'>
  /** Of a push or a delete. Default: none. */
  readonly moves?: MovedTags
  readonly handle: (context: NamedContext) => Answer | Promise<Answer>
}

/** Endpoints that carry a repository's name. */
export type NamedEndpoint = Exclude<Endpoint, { kind: 'ping' | 'extension' | 'token' | 'catalog' }>

interface ParsedRequest {
  readonly endpoint: NamedEndpoint
  /** One that the endpoint has. */
  readonly request: IncomingMessage
  readonly target: Target
}

/** @throws RegistryError for what is wrong with the query or the headers of a write */
export function planOf(parsed: ParsedRequest): Plan {
  const { endpoint, request } = parsed
  switch (endpoint.kind) {
    case 'manifest':
      return request.method === 'PUT' || request.method === 'DELETE'
        ? planManifestWrite(parsed, endpoint)
        : { action: 'pull', handle: context => answerManifest(context, endpoint) }
    case 'blob':
      return request.method === 'DELETE'
        ? { action: 'delete', moves: 'any', handle: context => answerDeleteBlob(context, endpoint) }
        : { action: 'pull', handle: context => answerBlob(context, endpoint) }
    case 'tags':
      return { action: 'pull', handle: answerTags }
    case 'referrers':
      return { action: 'pull', handle: context => answerReferrers(context, endpoint) }
    case 'uploads':
      return planStart(parsed)
    case 'upload':
      return planUpload(parsed, endpoint)
  }
}

function planManifestWrite(
  { request, target }: ParsedRequest,
  endpoint: Extract<Endpoint, { kind: 'manifest' }>,
): Plan {
  const { reference } = endpoint
  const named = reference.kind === 'tag' ? [reference.tag] : undefined
  if (request.method === 'DELETE') {
    // Whatever tags lead to a manifest go with it.
    const handle = (context: NamedContext) => answerDeleteManifest(context, endpoint)
    return { action: 'delete', moves: named ?? 'any', handle }
  }
  const tags = parsePushTags(endpoint, target.query)
  const handle = (context: NamedContext) => answerPutManifest(context, endpoint, tags)
  return { action: 'push', moves: named ?? tags, handle }
}

function planStart({ request, target }: ParsedRequest): Plan {
  const start = parseUploadStart(target.query)
  const head = parseChunkHead(request)
  return { action: 'push', handle: context => answerStart(context, start, head) }
}

function planUpload(
  { request, target }: ParsedRequest,
  endpoint: Extract<Endpoint, { kind: 'upload' }>,
): Plan {
  const action = 'push'
  switch (request.method) {
    case 'PATCH': {
      const head = parseChunkHead(request)
      return { action, handle: context => answerAppend(context, endpoint, head) }
    }
    case 'PUT': {
      const end = { digest: parseUploadDigest(target.query), head: parseChunkHead(request) }
      return { action, handle: context => answerFinish(context, endpoint, end) }
    }
    case 'DELETE':
      return { action, handle: context => answerCancel(context, endpoint) }
    default:
      return { action, handle: context => answerUploadState(context, endpoint) }
  }
}
