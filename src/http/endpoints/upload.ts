// An upload that has begun: its state, further pieces, its end as a blob, its end without one
// (end-5, end-6, end-13, end-14; R101–R107).
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { UploadOrderError } from '../../registry/answers.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import { blobCreated } from './blob-created.ts'
import type { NamedContext } from '../context.ts'
import { errorAnswer } from '../error-response.ts'
import { uploadHeaders } from './locations.ts'
import { readBody } from '../body/request-body.ts'
import type { ChunkHead } from './upload-chunk.ts'

type UploadEndpoint = Extract<Endpoint, { kind: 'upload' }>

export async function answerUploadState(
  context: NamedContext,
  { id }: UploadEndpoint,
): Promise<Answer> {
  const state = await context.registry.uploadState(context.routed.repository, id)
  const headers = { ...uploadHeaders(context, state), 'Cache-Control': 'no-store' }
  return { status: 204, headers, body: { kind: 'none' } }
}

export async function answerAppend(
  context: NamedContext,
  { id }: UploadEndpoint,
  head: ChunkHead,
): Promise<Answer> {
  const { registry, routed, exchange, clock } = context
  const chunk = { ...head, body: readBody(exchange, clock) }
  try {
    const state = await registry.appendUpload(routed.repository, id, chunk)
    return emptyAnswer(202, uploadHeaders(context, state))
  } catch (error) {
    if (error instanceof UploadOrderError) return refuseOutOfOrder(context, error)
    throw error
  }
}

export async function answerFinish(
  context: NamedContext,
  { id }: UploadEndpoint,
  end: { readonly digest: Digest; readonly head: ChunkHead },
): Promise<Answer> {
  const { registry, routed, exchange, clock } = context
  const chunk = { ...end.head, body: readBody(exchange, clock) }
  try {
    const { digest } = end
    return blobCreated(
      context,
      await registry.finishUpload(routed.repository, id, { digest, chunk }),
    )
  } catch (error) {
    if (error instanceof UploadOrderError) return refuseOutOfOrder(context, error)
    throw error
  }
}

export async function answerCancel(context: NamedContext, { id }: UploadEndpoint): Promise<Answer> {
  await context.registry.cancelUpload(context.routed.repository, id)
  return { status: 204, headers: {}, body: { kind: 'none' } }
}

/**
 * The digest that an upload ends with.
 * @throws RegistryError DIGEST_INVALID, also when there is none
 */
export function parseUploadDigest(query: URLSearchParams): Digest {
  const digest = query.get('digest')
  if (digest !== null) return parseDigest(digest)
  throw new RegistryError(
    'DIGEST_INVALID',
    'an upload ends with ?digest=<digest of the whole blob>',
  )
}

/** 416 with what the client needs to go on (R102). */
export function refuseOutOfOrder(context: NamedContext, error: UploadOrderError): Answer {
  context.exchange.record.error = error
  return errorAnswer(error, uploadHeaders(context, error.state))
}
