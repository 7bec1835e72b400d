// Uploads (R99–R109): a POST that begins one, brings a whole blob in one request, or makes a blob
// of another repository a member of this one (end-4, end-11); then its state, further pieces, its
// end as a blob and its end without one (end-5, end-6, end-13, end-14).
import type { IncomingMessage } from 'node:http'
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestOf,
  parseDigest,
} from '../../oci/digest.ts'
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'
import type { Repository } from '../../oci/reference.ts'
import { type BlobPushed, type UploadChunk, UploadOrderError } from '../../registry/answers.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import { readBody } from '../body/request-body.ts'
import { isAllowed, type NamedContext } from '../context.ts'
import { errorAnswer } from '../error-response.ts'
import { hasBody } from '../exchange.ts'
import { pusherOf } from '../principal.ts'
import { hostOf } from '../proxies/callers.ts'
import { blobLocation, uploadHeaders } from './headers.ts'

type UploadEndpoint = Extract<Endpoint, { kind: 'upload' }>

export interface UploadStart {
  readonly mount: Digest | undefined
  /** As the client wrote it: what is wrong with it is no error (R109). */
  readonly from: string | undefined
  /** With a body: the body is the blob. */
  readonly digest: Digest | undefined
  readonly algorithm: DigestAlgorithm
}

/** @throws RegistryError DIGEST_INVALID */
export function parseUploadStart(query: URLSearchParams): UploadStart {
  const [mount, digest] = [query.get('mount'), query.get('digest')].map(text =>
    text === null ? undefined : parseDigest(text),
  )
  const expected = digest ?? mount
  return {
    mount,
    digest,
    from: query.get('from') ?? undefined,
    algorithm: parseAlgorithm(query.get('digest-algorithm'), expected),
  }
}

function parseAlgorithm(text: string | null, expected: Digest | undefined): DigestAlgorithm {
  if (text === null) return expected === undefined ? 'sha256' : digestAlgorithm(expected)
  if (text === 'sha256' || text === 'sha512') return text
  throw new RegistryError('DIGEST_INVALID', 'digest algorithms here are sha256 and sha512')
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

/** What the head of a request says of the piece that it brings: where it goes, how long it is. */
export type ChunkHead = Omit<UploadChunk, 'body'>

/**
 * @throws RegistryError RANGE_INVALID (416) for a `Content-Range` that is none (R102, R103);
 * whether it fits is the engine's to say.
 */
export function parseChunkHead(request: IncomingMessage): ChunkHead {
  return {
    range: parseUploadRange(request.headers['content-range']),
    lengthBytes: lengthOf(request),
  }
}

/** The specification's own form: no unit and no total, unlike the header of a download. */
const UPLOAD_RANGE = /^([0-9]+)-([0-9]+)$/

function parseUploadRange(header: string | undefined): ByteRange | undefined {
  if (header === undefined) return undefined
  const match = UPLOAD_RANGE.exec(header)
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

export async function answerStart(
  context: NamedContext,
  start: UploadStart,
  head: ChunkHead,
): Promise<Answer> {
  const { exchange, registry, routed } = context
  const mounted = await mount(context, start)
  if (mounted !== undefined) return blobCreated(context, mounted)
  const { digest, algorithm } = start
  const client = pusherOf(exchange.principal)
  const upload = await registry.startUpload(routed.repository, { algorithm, client })
  if (digest === undefined || !bringsContent(digest, head)) {
    return emptyAnswer(202, uploadHeaders(context, upload))
  }
  try {
    return await answerFinish(context, upload, { digest, head })
  } catch (error) {
    // Nobody was told of this upload, so nobody can go on with it. What fails here is left to the
    // purge of old uploads.
    await registry.cancelUpload(routed.repository, upload.id).catch(() => {})
    throw error
  }
}

/**
 * Undefined for whatever speaks against it: the client then sends the blob, and learns nothing of
 * `from` (R182).
 */
async function mount(context: NamedContext, start: UploadStart): Promise<BlobPushed | undefined> {
  const { registry, routed, target, exchange } = context
  if (start.mount === undefined) return undefined
  const host = hostOf(exchange.request, exchange.caller)
  const from = start.from === undefined ? undefined : registry.routeFrom(target, start.from, host)
  const mayRead = (repository: Repository) => isAllowed(context, 'pull', repository)
  if (start.from !== undefined && (from === undefined || !mayRead(from))) return undefined
  return registry.mountBlob(routed.repository, {
    digest: start.mount,
    from,
    mayReadAny: repositories => repositories.some(mayRead),
  })
}

/**
 * A client may name the digest and send the content later; only the empty blob has come with no
 * body.
 */
function bringsContent(digest: Digest, { lengthBytes }: ChunkHead): boolean {
  return lengthBytes !== 0 || digest === digestOf(new Uint8Array(), digestAlgorithm(digest))
}

export async function answerUploadState(
  context: NamedContext,
  { id }: UploadEndpoint,
): Promise<Answer> {
  const state = await context.registry.uploadState(context.routed.repository, id)
  const headers = { ...uploadHeaders(context, state), 'Cache-Control': 'no-store' }
  return { status: 204, headers, body: { kind: 'none' } }
}

export function answerAppend(
  context: NamedContext,
  { id }: UploadEndpoint,
  head: ChunkHead,
): Promise<Answer> {
  const { registry, routed } = context
  return orOutOfOrder(context, async () => {
    const state = await registry.appendUpload(routed.repository, id, chunkOf(context, head))
    return emptyAnswer(202, uploadHeaders(context, state))
  })
}

export interface UploadEnd {
  readonly digest: Digest
  readonly head: ChunkHead
}

export function answerFinish(
  context: NamedContext,
  { id }: Pick<UploadEndpoint, 'id'>,
  { digest, head }: UploadEnd,
): Promise<Answer> {
  const { registry, routed } = context
  return orOutOfOrder(context, async () => {
    const chunk = chunkOf(context, head)
    const pushed = await registry.finishUpload(routed.repository, id, { digest, chunk })
    return blobCreated(context, pushed)
  })
}

export async function answerCancel(context: NamedContext, { id }: UploadEndpoint): Promise<Answer> {
  await context.registry.cancelUpload(context.routed.repository, id)
  return { status: 204, headers: {}, body: { kind: 'none' } }
}

/** Ends well for who may still push once all of it is here: a client can take days for it. */
function chunkOf({ exchange, clock, decideAgain }: NamedContext, head: ChunkHead): UploadChunk {
  const body = readBody(exchange, clock)
  return { ...head, body: thenCheck(body, decideAgain) }
}

/** No generator: one that waits for a piece could not be left. */
function thenCheck(
  body: AsyncIterable<Uint8Array>,
  check: () => Promise<void>,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const pieces = body[Symbol.asyncIterator]()
      const next = async () => {
        const piece = await pieces.next()
        if (piece.done === true) await check()
        return piece
      }
      return pieces.return === undefined ? { next } : { next, return: pieces.return.bind(pieces) }
    },
  }
}

/** A piece out of order is 416 with what the client needs to go on (R102). */
async function orOutOfOrder(context: NamedContext, write: () => Promise<Answer>): Promise<Answer> {
  try {
    return await write()
  } catch (error) {
    if (!(error instanceof UploadOrderError)) throw error
    context.exchange.record.error = error
    return errorAnswer(error, uploadHeaders(context, error.state))
  }
}

/**
 * 201 of a blob that a push made a member of its repository, however it came (R100, R101, R109).
 */
function blobCreated(context: NamedContext, { digest }: BlobPushed): Answer {
  context.exchange.record.reference = digest
  return emptyAnswer(201, {
    Location: blobLocation(context, digest),
    'Docker-Content-Digest': digest,
  })
}
