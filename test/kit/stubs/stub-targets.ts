// Reads a request that came to a stub: which endpoint, repository and reference. By the
// specification's URL table, and more lenient than the product: a stub is to see everything that
// was asked.
import type { IncomingMessage } from 'node:http'
import type { Behaviour } from './stub-profiles.ts'
import type { RequestKind, StubHost, StubRequest } from './stub-requests.ts'

const KINDS: Readonly<Record<string, RequestKind>> = {
  manifests: 'manifest',
  blobs: 'blob',
  tags: 'tags',
  referrers: 'referrers',
}

/** More than any token request needs. */
const FORM_MAX_BYTES = 64 * 1024

export function describeRequest(
  host: StubHost,
  message: IncomingMessage,
  behaviour: Behaviour,
): StubRequest {
  const [path = '', query = ''] = (message.url ?? '').split(/\?(.*)/s)
  return {
    host,
    method: message.method ?? '',
    path,
    query,
    ...(host === 'storage' ? storageTarget(path) : registryTarget(path, behaviour)),
    headers: message.headers,
    rawHeaders: message.rawHeaders,
    status: 0,
    bytesSent: 0,
    bytesReceived: 0,
    range: undefined,
    finished: false,
    closed: false,
  }
}

type Target = Pick<StubRequest, 'kind' | 'repository' | 'reference'>

function registryTarget(path: string, { basePath, auth }: Behaviour): Target {
  const nothing = { repository: '', reference: '' }
  if (path === auth.realmPath || path.startsWith('/oauth2/')) return { kind: 'token', ...nothing }
  if (!path.startsWith(`${basePath}/v2`)) return { kind: 'other', ...nothing }
  const rest = path.slice(basePath.length)
  if (rest === '/v2/' || rest === '/v2') return { kind: 'ping', ...nothing }
  if (rest === '/v2/_catalog') return { kind: 'catalog', ...nothing }
  const upload = /^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/.exec(rest)
  if (upload !== null) return uploadTarget(upload)
  const match = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(rest)
  if (match === null) return { kind: 'other', ...nothing }
  const [, repository = '', noun = '', last = ''] = match
  const kind = KINDS[noun] ?? 'other'
  return { kind, repository, reference: kind === 'tags' ? '' : decodeURIComponent(last) }
}

function uploadTarget([, repository = '', reference = '']: readonly string[]): Target {
  return { kind: 'upload', repository, reference }
}

/** `/bucket/REPOSITORY/blobs/DIGEST` and `/uploads/REPOSITORY/ID`. */
function storageTarget(path: string): Target {
  const upload = /^\/uploads\/(.+)\/([^/]+)$/.exec(path)
  if (upload !== null) return uploadTarget(upload)
  const match = /^\/bucket\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path)
  const [, repository = '', noun = '', last = ''] = match ?? []
  return { kind: KINDS[noun] ?? 'other', repository, reference: decodeURIComponent(last) }
}

/** Fields of a POST to the token service; empty for everything else. */
export async function readForm(
  message: IncomingMessage,
  { kind, method }: StubRequest,
): Promise<URLSearchParams> {
  if (kind !== 'token' || method !== 'POST') return new URLSearchParams()
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of message) {
    pieces.push(piece as Buffer)
    sizeBytes += (piece as Buffer).length
    if (sizeBytes > FORM_MAX_BYTES) break
  }
  return new URLSearchParams(Buffer.concat(pieces).toString())
}
