// POST on uploads (end-4, end-11): a new upload; a whole blob in one request (R100); a blob that
// another repository has (R109).
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestOf,
  parseDigest,
} from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import { type BlobPushed, UploadOrderError } from '../../registry/answers.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import { blobCreated } from './blob-created.ts'
import { isAllowed, type NamedContext } from '../context.ts'
import { uploadHeaders } from './locations.ts'
import { readBody } from '../body/request-body.ts'
import type { ChunkHead } from './upload-chunk.ts'
import { refuseOutOfOrder } from './upload.ts'

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

export async function answerStart(
  context: NamedContext,
  start: UploadStart,
  head: ChunkHead,
): Promise<Answer> {
  const { registry, routed } = context
  const mounted = await mount(context, start)
  if (mounted !== undefined) return blobCreated(context, mounted)
  const client = clientOf(context)
  const { algorithm } = start
  const upload = await registry.startUpload(routed.repository, { algorithm, client })
  if (start.digest === undefined || !bringsContent(start.digest, head)) {
    return emptyAnswer(202, uploadHeaders(context, upload))
  }
  return finishAtOnce(context, upload.id, { digest: start.digest, head })
}

/**
 * Who pushes is on this machine and has the address of all who do: what tells them apart is whose
 * the connection is.
 */
function clientOf({ principal: { owner, address } }: NamedContext): string | undefined {
  return owner?.kind === 'user' ? `uid ${owner.uid}` : address
}

/**
 * Undefined for whatever speaks against it: the client then sends the blob, and learns nothing of
 * `from` (R182).
 */
async function mount(context: NamedContext, start: UploadStart): Promise<BlobPushed | undefined> {
  const { registry, routed, target, exchange } = context
  if (start.mount === undefined) return undefined
  const host = exchange.request.headers.host
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

async function finishAtOnce(
  context: NamedContext,
  id: string,
  { digest, head }: { digest: Digest; head: ChunkHead },
): Promise<Answer> {
  const { registry, routed, exchange, clock } = context
  const chunk = { ...head, body: readBody(exchange, clock) }
  try {
    return blobCreated(
      context,
      await registry.finishUpload(routed.repository, id, { digest, chunk }),
    )
  } catch (error) {
    if (error instanceof UploadOrderError) return refuseOutOfOrder(context, error)
    // Nobody was told of this upload, so nobody can go on with it. What fails here is left to the
    // purge of old uploads.
    await registry.cancelUpload(routed.repository, id).catch(() => {})
    throw error
  }
}
