// How the well-known registries behave, as data (section K of the requirements): one record per
// service, from which a stub registry takes its answers. What a service does that is not a lasting
// habit (429, 5xx) is a fault, not a profile.

import { PLAIN_PUSH, type PushBehaviour } from './stub-push-profile.ts'

export interface AuthBehaviour {
  readonly scheme: 'none' | 'basic' | 'bearer'
  /** `service` of the challenge. */
  readonly service: string
  /** Path of the token service on the stub itself. */
  readonly realmPath: string
  /** Names `realm` instead of the stub itself. */
  readonly realm?: string
  /** Without them everybody is let in, with any credentials or none. */
  readonly username?: string
  readonly password?: string
  /**
   * Repositories, by prefix, that need the user; the others give tokens to anybody. Default: all,
   * when there is a user.
   */
  readonly privatePrefix?: string
  /** Repositories, by prefix, that nobody is given a token for. Default none. */
  readonly closedPrefix?: string
  /** Status of what the token service refuses. Default 401. */
  readonly refusalStatus?: number
  /**
   * Scopes of one action that nobody is given, `repository:a/b:push`: tokens leave them out without
   * a word.
   */
  readonly withheld?: readonly string[]
  readonly expiresInSeconds: number | string | undefined
  readonly tokenField: 'token' | 'access_token' | 'both'
  readonly tokenMediaType: string
  /** Status of POST to the token service; 200 when it works. */
  readonly postStatus: number
  /** Requests other than the ping are refused without a challenge (R144). */
  readonly silentRefusal: boolean
}

export interface StorageBehaviour {
  /** Pre-signed URLs refuse a request that also carries Authorization: 400. */
  readonly refusesAuthorization: boolean
  /** Signed for GET: HEAD is refused with 403. */
  readonly refusesHead: boolean
  /** Several ranges in one request: 400. */
  readonly refusesMultiRange: boolean
}

export interface Behaviour {
  /** Before `/v2`: `/artifactory/api/docker/local`. */
  readonly basePath: string
  readonly auth: AuthBehaviour
  readonly blobs: 'direct' | 'redirect'
  readonly manifests: 'direct' | 'redirect'
  readonly redirectStatus: number
  readonly storage: StorageBehaviour
  /** Status of HEAD on blobs and on manifests; 200 when it works. */
  readonly headBlobStatus: number
  readonly headManifestStatus: number
  /** GET of manifests without Docker-Content-Digest. */
  readonly omitsDigest: boolean
  /** 404 when Accept does not name the manifest's media type. */
  readonly strictAccept: boolean
  /** gzip for manifests when the client accepts it, or always. */
  readonly gzipManifests: 'never' | 'on-request' | 'always'
  readonly ranges: boolean
  readonly referrers: 'filtering' | 'ignores-filter' | 'none'
  readonly tags: TagsBehaviour
  readonly catalog: boolean
  /** `ratelimit-limit` and `ratelimit-remaining` on manifests, counted down by GET. */
  readonly rateLimit: number | undefined
  /** Names of one component are moved permanently to `library/NAME`. */
  readonly movesToLibrary: boolean
  readonly push: PushBehaviour
}

export interface TagsBehaviour {
  /** Most that one page has. */
  readonly pageMax: number
  /** `opaque`: the next page's address has a cursor that means nothing to the client. */
  readonly cursor: 'last' | 'opaque'
  readonly order: 'sorted' | 'unsorted' | 'duplicates'
}

const NO_AUTH: AuthBehaviour = {
  scheme: 'none',
  service: 'stub',
  realmPath: '/token',
  expiresInSeconds: 300,
  tokenField: 'token',
  tokenMediaType: 'application/json',
  postStatus: 404,
  silentRefusal: false,
}

const BEARER: AuthBehaviour = { ...NO_AUTH, scheme: 'bearer' }

const PLAIN_STORAGE: StorageBehaviour = {
  refusesAuthorization: false,
  refusesHead: false,
  refusesMultiRange: false,
}

const S3: StorageBehaviour = {
  refusesAuthorization: true,
  refusesHead: true,
  refusesMultiRange: true,
}

/** A registry without quirks, as distribution answers: what a stub is unless told otherwise. */
export const PLAIN: Behaviour = {
  basePath: '',
  auth: NO_AUTH,
  blobs: 'direct',
  manifests: 'direct',
  redirectStatus: 307,
  storage: PLAIN_STORAGE,
  headBlobStatus: 200,
  headManifestStatus: 200,
  omitsDigest: false,
  strictAccept: false,
  gzipManifests: 'never',
  ranges: true,
  referrers: 'filtering',
  tags: { pageMax: 1000, cursor: 'last', order: 'sorted' },
  catalog: true,
  rateLimit: undefined,
  movesToLibrary: false,
  push: PLAIN_PUSH,
}

/** R154 to R164. */
export const PROFILES = {
  'docker.io': {
    auth: { ...BEARER, service: 'registry.docker.io', tokenField: 'both' },
    blobs: 'redirect',
    storage: S3,
    referrers: 'none',
    catalog: false,
    rateLimit: 100,
  },
  'ghcr.io': {
    auth: { ...BEARER, service: 'ghcr.io' },
    blobs: 'redirect',
    storage: { ...S3, refusesMultiRange: false },
    strictAccept: true,
    referrers: 'none',
    catalog: false,
  },
  'quay.io': {
    auth: { ...BEARER, service: 'quay.io', realmPath: '/v2/auth' },
    blobs: 'redirect',
    redirectStatus: 302,
    storage: S3,
    tags: { pageMax: 100, cursor: 'opaque', order: 'unsorted' },
  },
  ecr: {
    auth: { ...NO_AUTH, scheme: 'basic', service: 'ecr.amazonaws.com', username: 'AWS' },
    blobs: 'redirect',
    storage: S3,
    omitsDigest: true,
    catalog: false,
    push: { ...PLAIN_PUSH, patchStatus: 201, createsRepositories: false },
  },
  'ecr-public': {
    auth: { ...BEARER, service: 'public.ecr.aws' },
    blobs: 'redirect',
    storage: S3,
    headBlobStatus: 401,
    catalog: false,
  },
  gcr: {
    auth: { ...BEARER, service: 'gcr.io', realmPath: '/v2/token', silentRefusal: true },
    blobs: 'redirect',
    redirectStatus: 302,
    storage: { ...PLAIN_STORAGE, refusesMultiRange: true },
    referrers: 'none',
  },
  'registry.k8s.io': { manifests: 'redirect', blobs: 'redirect', catalog: false },
  mcr: { blobs: 'redirect', tags: { pageMax: 5000, cursor: 'last', order: 'unsorted' } },
  acr: {
    auth: {
      ...BEARER,
      service: 'stub.azurecr.io',
      realmPath: '/oauth2/token',
      tokenField: 'access_token',
      expiresInSeconds: undefined,
      postStatus: 200,
    },
    blobs: 'redirect',
    storage: S3,
  },
  gitlab: {
    auth: { ...BEARER, service: 'container_registry', realmPath: '/jwt/auth' },
    blobs: 'redirect',
    storage: S3,
    headManifestStatus: 403,
  },
  harbor: {
    auth: { ...BEARER, service: 'harbor-registry', realmPath: '/service/token' },
    gzipManifests: 'on-request',
    movesToLibrary: true,
  },
  artifactory: {
    basePath: '/artifactory/api/docker/local',
    auth: {
      ...BEARER,
      service: 'artifactory',
      realmPath: '/artifactory/api/docker/local/v2/token',
      tokenMediaType: 'application/json;charset=ISO-8859-1',
      postStatus: 401,
      expiresInSeconds: '3600',
    },
    referrers: 'none',
    tags: { pageMax: 1000, cursor: 'last', order: 'duplicates' },
  },
} as const satisfies Record<string, Partial<Behaviour>>

export type ProfileName = keyof typeof PROFILES
