// PUT of a manifest (end-7; R111, R112): its bytes are taken in whole and handed on as they came.
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { parseTag, type Tag } from '../../oci/reference.ts'
import { PUSH_TAGS_MAX } from '../../registry/answers.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import { warningLines } from './content-headers.ts'
import type { NamedContext } from '../context.ts'
import { manifestLocation } from './locations.ts'
import type { Held } from '../body/memory-budget.ts'
import { giveUpBody, limitBody, readBody } from '../body/request-body.ts'

type ManifestEndpoint = Extract<Endpoint, { kind: 'manifest' }>

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
  const { exchange, registry, routed, memory } = context
  const { 'content-length': length, 'content-type': mediaType = '' } = exchange.request.headers
  const mostBytes = length === undefined ? MANIFEST_LIMIT_BYTES : Number(length)
  if (mostBytes > MANIFEST_LIMIT_BYTES) throw tooLarge()
  const giveUp = (error: RegistryError) => giveUpBody(exchange, error)
  return memory.hold(giveUp, async held => {
    const bytes = await readManifest(context, held, mostBytes)
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

async function readManifest(
  { exchange, clock }: NamedContext,
  held: Held,
  mostBytes: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  const inTime = limitBody(exchange, clock, mostBytes)
  try {
    for await (const piece of readBody(exchange, clock)) {
      sizeBytes += piece.length
      if (sizeBytes > MANIFEST_LIMIT_BYTES) throw tooLarge()
      held.add(piece.length)
      pieces.push(piece)
    }
    held.whole()
  } finally {
    inTime()
  }
  return Buffer.concat(pieces)
}

function tooLarge(): RegistryError {
  const message = `a manifest has at most ${MANIFEST_LIMIT_BYTES} bytes`
  return new RegistryError('MANIFEST_INVALID', message, { status: 413 })
}
