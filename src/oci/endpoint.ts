// Endpoints: end-1 … end-14 of the distribution specification, parsed from the raw request target,
// from the right (R21–R25, R29, R30, R234). No URL parser is involved: those collapse `..` and
// decode `%2f` before anyone can object. Where a name leads is decided in registry/route; whether a
// method is allowed, in http/.
import { type Digest, parseDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import {
  COMPONENT,
  hostFrom,
  nameFrom,
  parseReference,
  type Reference,
  REPOSITORY_KEY_MAX_LENGTH,
} from './reference.ts'

declare const pathBrand: unique symbol
/**
 * A repository as it stands in a URL: a name that may begin with a registry's host and port,
 * `library/alpine` or `10.0.0.1:5000/team/app`. Valid by the grammar, at most 255 characters, not
 * yet resolved.
 */
export type NamePath = string & { readonly [pathBrand]: true }

export type Endpoint =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'extension' }
  /** Of no specification of OCI: where clients get tokens of this registry (R131). */
  | { readonly kind: 'token' }
  | { readonly kind: 'manifest'; readonly path: NamePath; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly path: NamePath; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly path: NamePath }
  | { readonly kind: 'upload'; readonly path: NamePath; readonly id: string }
  | { readonly kind: 'tags'; readonly path: NamePath }
  | { readonly kind: 'referrers'; readonly path: NamePath; readonly digest: Digest }

export type EndpointKind = Endpoint['kind']

/**
 * Per endpoint: its ids in the specification, how it is written, and the methods that the
 * specification knows.
 */
export const ENDPOINTS = {
  ping: { ids: ['end-1'], route: '/v2/', methods: ['GET', 'HEAD'] },
  catalog: { ids: [], route: '/v2/_catalog', methods: ['GET', 'HEAD'] },
  extension: { ids: [], route: '/v2/_oci/ext/discover', methods: ['GET', 'HEAD'] },
  token: { ids: [], route: '/v2/token', methods: ['GET', 'POST'] },
  manifest: {
    ids: ['end-3', 'end-7', 'end-9'],
    route: '/v2/<name>/manifests/<reference>',
    methods: ['GET', 'HEAD', 'PUT', 'DELETE'],
  },
  blob: {
    ids: ['end-2', 'end-10'],
    route: '/v2/<name>/blobs/<digest>',
    methods: ['GET', 'HEAD', 'DELETE'],
  },
  uploads: { ids: ['end-4', 'end-11'], route: '/v2/<name>/blobs/uploads/', methods: ['POST'] },
  upload: {
    ids: ['end-5', 'end-6', 'end-13', 'end-14'],
    route: '/v2/<name>/blobs/uploads/<id>',
    methods: ['GET', 'PATCH', 'PUT', 'DELETE'],
  },
  tags: { ids: ['end-8'], route: '/v2/<name>/tags/list', methods: ['GET', 'HEAD'] },
  referrers: {
    ids: ['end-12'],
    route: '/v2/<name>/referrers/<digest>',
    methods: ['GET', 'HEAD'],
  },
} as const satisfies Record<
  EndpointKind,
  { ids: readonly string[]; route: string; methods: readonly string[] }
>

/** A parsed request target. */
export interface Target {
  readonly endpoint: Endpoint
  /**
   * What stands before `/v2`, without slashes around it, when a client was given a URL with a path
   * (R29 b): `docker.io`, `10.0.0.1:5000`, `quay.io/team`. Grammar as for NamePath, except that a
   * host may stand alone.
   */
  readonly leading: string | undefined
  readonly query: URLSearchParams
}

/**
 * Two names of 255, a sha512 digest and a handful of query parameters come to under 2 KiB; tags in
 * a query to a few more.
 */
export const TARGET_MAX_LENGTH = 8_192

const HOST_WITH_PORT = new RegExp(`^(?:${COMPONENT}|\\[[0-9a-f:.]+\\])(?::[0-9]{1,5})?$`)
const UPLOAD_ID = /^[A-Za-z0-9_-]{1,128}$/
const PRINTABLE = /^[\x21-\x7e]*$/

/**
 * @throws RegistryError NAME_INVALID (400; 414 when the target is too long), TAG_INVALID,
 * DIGEST_INVALID, BLOB_UPLOAD_UNKNOWN for an id that was never given out, and UNSUPPORTED with
 * status 404 for what is no route of a registry: NAME_UNKNOWN would tell clients that a repository
 * is missing.
 */
export function parseTarget(rawTarget: string): Target {
  if (rawTarget.length > TARGET_MAX_LENGTH) {
    throw new RegistryError(
      'NAME_INVALID',
      `a request target has at most ${TARGET_MAX_LENGTH} characters`,
      {
        status: 414,
      },
    )
  }
  const question = rawTarget.indexOf('?')
  const path = question < 0 ? rawTarget : rawTarget.slice(0, question)
  if (!path.startsWith('/') || !PRINTABLE.test(rawTarget) || /[\\#]/.test(rawTarget)) {
    throw new RegistryError('NAME_INVALID', 'a request target is a path of printable characters')
  }
  const segments = path.slice(1).split('/')
  const version = segments.indexOf('v2')
  if (version < 0) throw noRoute()
  return {
    leading: version === 0 ? undefined : parseLeading(segments.slice(0, version)),
    endpoint: parseEndpoint(segments.slice(version + 1)),
    query: new URLSearchParams(question < 0 ? '' : rawTarget.slice(question + 1)),
  }
}

/**
 * The last segments decide, so that a repository may have components named `manifests`, `blobs` or
 * `tags` (R24).
 */
function parseEndpoint(segments: readonly string[]): Endpoint {
  const last = segments.at(-1) ?? ''
  const word = segments.at(-2)
  const isRoot = segments.length === 0 || (segments.length === 1 && last === '')
  if (isRoot) return { kind: 'ping' }
  if (segments.length === 1 && last === '_catalog') return { kind: 'catalog' }
  if (segments.length === 1 && last === 'token') return { kind: 'token' }
  if (segments.slice(-3).join('/') === '_oci/ext/discover') return parseExtension(segments)
  // A component never starts with an underscore: such names are reserved for extensions (R72).
  if (segments[0]?.startsWith('_')) throw noRoute()

  if (word === 'manifests') {
    return {
      kind: 'manifest',
      path: parsePath(segments, 2),
      reference: parseReference(decode(last)),
    }
  }
  if (word === 'blobs' && last === 'uploads') {
    return { kind: 'uploads', path: parsePath(segments, 2) }
  }
  if (word === 'blobs') {
    return { kind: 'blob', path: parsePath(segments, 2), digest: parseDigest(decode(last)) }
  }
  if (word === 'uploads' && segments.at(-3) === 'blobs') {
    const path = parsePath(segments, 3)
    return last === ''
      ? { kind: 'uploads', path }
      : { kind: 'upload', path, id: parseUploadId(last) }
  }
  if (word === 'tags' && last === 'list') return { kind: 'tags', path: parsePath(segments, 2) }
  if (word === 'referrers') {
    return { kind: 'referrers', path: parsePath(segments, 2), digest: parseDigest(decode(last)) }
  }
  throw noRoute()
}

function parseExtension(segments: readonly string[]): Endpoint {
  if (segments.length > 3) parsePath(segments, 3)
  return { kind: 'extension' }
}

/** The name in front of the `cut` last segments. */
function parsePath(segments: readonly string[], cut: number): NamePath {
  const components = segments.slice(0, -cut)
  if (components.length === 0) throw noRoute()
  return parseNamePath(components.join('/'))
}

/** @throws RegistryError NAME_INVALID */
export function parseNamePath(text: string): NamePath {
  const slash = text.indexOf('/')
  const host = text.slice(0, slash)
  const valid =
    nameFrom(text) !== undefined ||
    (slash > 0 && isHost(host) && nameFrom(text.slice(slash + 1)) !== undefined)
  if (valid && text.length <= REPOSITORY_KEY_MAX_LENGTH) return text as NamePath
  throw new RegistryError(
    'NAME_INVALID',
    'a repository name is lower-case components of letters, digits and . _ - separated by slashes, at most 255 characters, after a registry host if any',
  )
}

function parseLeading(segments: readonly string[]): string {
  const [host = '', ...rest] = segments
  const leading = segments.join('/')
  if (isHost(host) && (rest.length === 0 || nameFrom(rest.join('/')) !== undefined)) {
    if (leading.length <= REPOSITORY_KEY_MAX_LENGTH) return leading
  }
  throw new RegistryError(
    'NAME_INVALID',
    'before /v2/ stands the host name of a registry or nothing',
  )
}

function isHost(text: string): boolean {
  return HOST_WITH_PORT.test(text) && hostFrom(text) !== undefined
}

function parseUploadId(text: string): string {
  if (UPLOAD_ID.test(text)) return text
  throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
}

/**
 * Decoded once (R25); what comes out is checked by its own grammar, which knows neither slashes nor
 * `%`.
 */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function noRoute(): RegistryError {
  return new RegistryError('UNSUPPORTED', 'this is no path of a registry; those begin with /v2/', {
    status: 404,
  })
}
