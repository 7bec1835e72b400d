// What a stub registry answers to what writes: OCI end-4 to 7, 11, 13 and 14, with the habits of
// its profile. Takes effect only when the request came whole. Written against the specification,
// not with the product's parsers, which it is to check.
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Digest } from '../../../src/oci/digest.ts'
import { bytesContent } from '../content.ts'
import { errorAnswer } from './stub-answers.ts'
import { type Members, membersOf, type StubContent } from './stub-content.ts'
import type { Fault } from './stub-faults.ts'
import type { Behaviour } from './stub-profiles.ts'
import type { StubRequest } from './stub-requests.ts'
import { type Answer, bufferBody } from './stub-sending.ts'
import { takeBody } from './stub-taking.ts'
import type { Upload, Uploads } from './stub-uploads.ts'

export interface PushContext {
  readonly content: StubContent
  readonly behaviour: Behaviour
  readonly uploads: Uploads
}

export function isPush({ kind, method }: StubRequest): boolean {
  return (
    kind === 'upload' || ((kind === 'manifest' || kind === 'blob') && /^(?!GET|HEAD)/.test(method))
  )
}

/** Undefined when the connection is gone before there is an answer. */
export async function pushAnswer(
  context: PushContext,
  request: StubRequest,
  { message, fault }: { message: IncomingMessage; fault: Fault },
): Promise<Answer | undefined> {
  const { uploads } = context
  if (fault.expireUpload === true) uploads.end(request.reference)
  const upload = uploads.find(request)
  const pieces: Buffer[] = []
  const isPatch = upload !== undefined && request.method === 'PATCH' && fault.status === undefined
  const keep = (piece: Buffer): void => {
    if (isPatch) uploads.append(upload, piece)
    else pieces.push(piece)
  }
  const taken = await takeBody(message, request, { fault, keep })
  if (taken === 'gone') return undefined
  // What is refused has no effect; the fault says what is answered.
  if (taken === 'partly' || fault.status !== undefined) return errorAnswer(500, 'UNKNOWN')
  await fault.hold?.wait()
  const body = Buffer.concat(pieces)
  if (request.kind === 'manifest' && request.method === 'PUT') {
    return putManifest(context, request, body)
  }
  if (request.kind !== 'upload') return errorAnswer(405, 'UNSUPPORTED')
  if (request.method === 'POST') return startUpload(context, request, body)
  return upload === undefined
    ? errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN')
    : continueUpload(context, request, { upload, body })
}

function startUpload(
  context: PushContext,
  { repository, query }: StubRequest,
  body: Buffer,
): Answer {
  const { content, behaviour, uploads } = context
  const { push } = behaviour
  const parameters = new URLSearchParams(query)
  const mount = parameters.get('mount')
  if (!push.createsRepositories && !content.repositories.has(repository)) {
    return errorAnswer(404, 'NAME_UNKNOWN')
  }
  if (mount !== null && typeof push.mounts === 'number') {
    return errorAnswer(push.mounts, 'UNSUPPORTED')
  }
  const blob = content.blob(parameters.get('from') ?? '', mount ?? '')
  if (blob !== undefined && push.mounts === 'yes') {
    content.addBlob(repository, blob)
    return blobCreated(context, repository, blob.digest)
  }
  const upload = uploads.start(repository)
  const digest = parameters.get('digest')
  if (digest !== null) {
    uploads.append(upload, body)
    return endUpload(context, upload, digest)
  }
  return { status: 202, headers: uploads.headers(upload), body: bufferBody('') }
}

function continueUpload(
  context: PushContext,
  request: StubRequest,
  { upload, body }: { upload: Upload; body: Buffer },
): Answer {
  const { behaviour, uploads } = context
  const answer = (status: number): Answer => {
    return { status, headers: uploads.headers(upload), body: bufferBody('') }
  }
  switch (request.method) {
    case 'GET':
      return answer(204)
    case 'DELETE':
      uploads.end(upload.id)
      return { status: 204, headers: {}, body: bufferBody('') }
    case 'PATCH':
      return answer(behaviour.push.patchStatus)
    case 'PUT':
      uploads.append(upload, body)
      return endUpload(context, upload, new URLSearchParams(request.query).get('digest') ?? '')
    default:
      return errorAnswer(405, 'UNSUPPORTED')
  }
}

/** A wrong digest ends the upload, too. */
function endUpload(context: PushContext, upload: Upload, digest: string): Answer {
  context.uploads.end(upload.id)
  const bytes = Buffer.concat(upload.pieces)
  if (!isDigestOf(bytes, digest)) return errorAnswer(400, 'DIGEST_INVALID')
  const algorithm = digest.startsWith('sha512:') ? 'sha512' : 'sha256'
  context.content.addBlob(upload.repository, bytesContent(bytes, algorithm))
  return blobCreated(context, upload.repository, digest)
}

function blobCreated({ behaviour }: PushContext, repository: string, digest: string): Answer {
  const location = `${behaviour.basePath}/v2/${repository}/blobs/${digest}`
  return {
    status: behaviour.push.blobStatus,
    headers: { location, 'docker-content-digest': digest },
    body: bufferBody(''),
  }
}

function putManifest(context: PushContext, request: StubRequest, bytes: Buffer): Answer {
  const { content, behaviour } = context
  const { repository, reference, headers } = request
  const mediaType = headers['content-type']
  if (mediaType === undefined) return errorAnswer(400, 'MANIFEST_INVALID')
  const isTag = !reference.includes(':')
  if (!isTag && !isDigestOf(bytes, reference)) return errorAnswer(400, 'DIGEST_INVALID')
  const members = membersOf(bytes)
  const named = members && referencesIn(members)
  if (named === undefined) return errorAnswer(400, 'MANIFEST_INVALID')
  const isHere = (digest: string): boolean =>
    content.blob(repository, digest) !== undefined ||
    content.manifest(repository, digest) !== undefined
  if (behaviour.push.checksReferences && !named.every(isHere)) {
    return errorAnswer(400, 'MANIFEST_BLOB_UNKNOWN')
  }
  const subject = members?.subject?.digest
  const digest = (isTag ? `sha256:${hex(bytes, 'sha256')}` : reference) as Digest
  content.addDocument(repository, isTag ? reference : undefined, { digest, mediaType, bytes })
  return {
    status: behaviour.push.manifestStatus,
    headers: {
      location: `${behaviour.basePath}/v2/${repository}/manifests/${digest}`,
      ...(behaviour.omitsDigest ? {} : { 'docker-content-digest': digest }),
      ...(subject === undefined || behaviour.referrers === 'none'
        ? {}
        : { 'oci-subject': subject }),
    },
    body: bufferBody(''),
  }
}

/** Digests of everything that a manifest needs. */
function referencesIn({ config, layers = [], manifests = [] }: Members): readonly string[] {
  return [...(config === undefined ? [] : [config]), ...layers, ...manifests].map(
    ({ digest }) => digest,
  )
}

function isDigestOf(bytes: Buffer, digest: string): boolean {
  const [algorithm = '', encoded] = digest.split(':')
  return /^sha(256|512)$/.test(algorithm) && hex(bytes, algorithm) === encoded
}

function hex(bytes: Buffer, algorithm: string): string {
  return createHash(algorithm).update(bytes).digest('hex')
}
