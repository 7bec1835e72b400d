// GET and HEAD of a manifest, by tag or digest (end-3; R5, R8–R12). Its bytes go out as they came
// in.
import type { Endpoint } from '../../oci/endpoint.ts'
import { matchesIfNoneMatch } from '../../oci/conditional.ts'
import type { ManifestAnswer } from '../../registry/answers.ts'
import type { Answer, AnswerBody } from '../answer.ts'
import {
  ageSeconds,
  cacheByDigest,
  contentHeaders,
  REVALIDATE,
  warningLines,
} from './content-headers.ts'
import { mayPush, type NamedContext } from '../context.ts'

type ManifestEndpoint = Extract<Endpoint, { kind: 'manifest' }>

export async function answerManifest(
  context: NamedContext,
  endpoint: ManifestEndpoint,
): Promise<Answer> {
  const { exchange, registry, routed, headOnly } = context
  const { accept, 'if-none-match': ifNoneMatch } = exchange.request.headers
  const { reference } = endpoint

  const request = {
    reference,
    accept: accept === undefined ? [] : [accept],
    ...clientOf(context),
  }
  const manifest = headOnly
    ? await registry.headManifest(routed.repository, { ...request, mayPush: mayPush(context) })
    : await registry.pullManifest(routed.repository, request)
  exchange.record.source = manifest.source

  const headers = {
    ...contentHeaders(manifest.digest, manifest.source),
    'Cache-Control': reference.kind === 'digest' ? cacheByDigest(context.anonymously) : REVALIDATE,
    Age: ageSeconds(manifest.ageMs),
    Warning: warningLines(manifest.warnings),
  }
  const { digest, repeatable } = manifest
  const pulledFrom = !headOnly && isPulling(context) ? routed.repository : undefined
  const content = { digest, repeatable, pulledFrom }
  if (matchesIfNoneMatch(ifNoneMatch, digest)) {
    return { status: 304, headers, body: { kind: 'none' }, content }
  }
  return {
    status: 200,
    headers: { ...headers, 'Content-Type': manifest.mediaType },
    body: bodyOf(manifest),
    content,
  }
}

function clientOf(context: NamedContext): { readonly client?: string } {
  const { address } = context.principal
  const isTold = context.headOnly || isPulling(context)
  return address === undefined || !isTold ? {} : { client: address }
}

/** Whoever names a manifest that it has looks whether there is another one, and has its blobs. */
function isPulling({ exchange }: NamedContext): boolean {
  return exchange.request.headers['if-none-match'] === undefined
}

function bodyOf({ bytes, sizeBytes }: ManifestAnswer): AnswerBody {
  return bytes === undefined ? { kind: 'length', sizeBytes } : { kind: 'bytes', bytes }
}
