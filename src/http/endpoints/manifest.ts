// GET, HEAD, PUT and DELETE of a manifest (end-3, end-7, end-9; R5, R8–R12, R111, R112, R118). Its
// bytes are taken in whole, and go out as they came in.
import { matchesIfNoneMatch } from '../../oci/conditional.ts'
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { parseTag, type Tag } from '../../oci/reference.ts'
import { type ManifestAnswer, PUSH_TAGS_MAX } from '../../registry/answers.ts'
import { usedBy } from '../../registry/reading/uses.ts'
import { type Answer, type AnswerBody, emptyAnswer } from '../answer.ts'
import { giveUpBody, readWholeBody } from '../body/request-body.ts'
import { mayPush, type NamedContext } from '../context.ts'
import {
  cacheByDigest,
  contentHeaders,
  manifestLocation,
  REVALIDATE,
  warningLines,
} from './headers.ts'
import { ageText } from '../send/send-answer.ts'

type ManifestEndpoint = Extract<Endpoint, { kind: 'manifest' }>

export async function answerManifest(
  context: NamedContext,
  endpoint: ManifestEndpoint,
): Promise<Answer> {
  const { exchange, registry, routed, headOnly } = context
  const { accept, 'if-none-match': ifNoneMatch } = exchange.request.headers
  const { reference } = endpoint

  const client = headOnly || isPulling(context) ? exchange.principal.address : undefined
  const request = {
    reference,
    accept: accept === undefined ? [] : [accept],
    ...(client === undefined ? {} : { client }),
  }
  const manifest = headOnly
    ? await registry.headManifest(routed.repository, { ...request, mayPush: mayPush(context) })
    : await registry.pullManifest(routed.repository, request)
  exchange.record.source = manifest.source

  const headers = {
    ...contentHeaders(manifest.digest, manifest.source),
    'Cache-Control': reference.kind === 'digest' ? cacheByDigest(context.anonymously) : REVALIDATE,
    Age: manifest.ageMs === undefined ? undefined : ageText(manifest.ageMs),
    Warning: warningLines(manifest.warnings),
  }
  const { digest, repeatable } = manifest
  const pulledFrom = !headOnly && isPulling(context) ? routed.repository : undefined
  // A HEAD that is none, a push's, is not remembered either.
  const used = usedBy(routed.repository, { reference, digest })
  const content = { digest, repeatable, pulledFrom, used }
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

/** Whoever names a manifest that it has looks whether there is another one, and has its blobs. */
function isPulling({ exchange }: NamedContext): boolean {
  return exchange.request.headers['if-none-match'] === undefined
}

function bodyOf({ bytes, sizeBytes }: ManifestAnswer): AnswerBody {
  return bytes === undefined ? { kind: 'length', sizeBytes } : { kind: 'bytes', bytes }
}

/**
 * Tags that the query asks for, each once; a query belongs to a digest, beside a tag it means
 * nothing (R19).
 * @throws RegistryError TAG_INVALID, with status 414 for too many
 */
export function parsePushTags({ reference }: ManifestEndpoint, query: URLSearchParams): Tag[] {
  const texts = reference.kind === 'digest' ? new Set(query.getAll('tag')) : []
  const tags = Array.from(texts, parseTag)
  if (tags.length <= PUSH_TAGS_MAX) return tags
  const message = `at most ${PUSH_TAGS_MAX} tags with one manifest; send the others by themselves`
  throw new RegistryError('TAG_INVALID', message, { status: 414 })
}

export async function answerPutManifest(
  context: NamedContext,
  { reference }: ManifestEndpoint,
  tags: readonly Tag[],
): Promise<Answer> {
  const { exchange, clock, registry, routed, memory, decideAgain } = context
  const { 'content-length': length, 'content-type': mediaType = '' } = exchange.request.headers
  const mostBytes = length === undefined ? MANIFEST_LIMIT_BYTES : Number(length)
  if (mostBytes > MANIFEST_LIMIT_BYTES) throw tooLarge()
  const giveUp = (error: RegistryError) => giveUpBody(exchange, error)
  return memory.hold(giveUp, async held => {
    const came = (bytes: number) => held.add(bytes)
    const bytes = await readWholeBody(exchange, clock, { mostBytes, tooLarge, came })
    held.whole()
    await decideAgain()
    const pushed = await registry.pushManifest(routed.repository, {
      reference,
      tags,
      mediaType,
      bytes,
    })
    return emptyAnswer(201, {
      Location: manifestLocation(context, pushed.digest),
      'Docker-Content-Digest': pushed.digest,
      'OCI-Subject': pushed.subject,
      'OCI-Tag': pushed.tags,
      Warning: warningLines(pushed.warnings),
    })
  })
}

function tooLarge(): RegistryError {
  const message = `a manifest has at most ${MANIFEST_LIMIT_BYTES} bytes`
  return new RegistryError('MANIFEST_INVALID', message, { status: 413 })
}

export async function answerDeleteManifest(
  { registry, routed }: NamedContext,
  { reference }: ManifestEndpoint,
): Promise<Answer> {
  await registry.deleteManifest(routed.repository, reference)
  return emptyAnswer(202, {})
}
