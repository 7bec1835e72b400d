// Names: registry host, repository name, tag, and the canonical repository that all of them resolve
// to (distribution-spec "Pulling manifests"; R21, R22). Nothing here decides where a name leads:
// see registry/route.
import { type Digest, parseDigest } from './digest.ts'
import { RegistryError } from './errors.ts'

declare const hostBrand: unique symbol
declare const nameBrand: unique symbol
declare const tagBrand: unique symbol
declare const keyBrand: unique symbol

/**
 * A registry's host, lower-case, with a port when it is not the default one: `docker.io`,
 * `10.0.0.1:5000`.
 */
export type RegistryHost = string & { readonly [hostBrand]: true }
/** A repository's name inside its registry: `library/alpine`. */
export type RepositoryName = string & { readonly [nameBrand]: true }
export type Tag = string & { readonly [tagBrand]: true }
/** `host/name` as one key: `docker.io/library/alpine`. */
export type RepositoryKey = string & { readonly [keyBrand]: true }

/** A canonical repository: what every spelling of a client's URL leads to. */
export interface Repository {
  readonly registry: RegistryHost
  readonly name: RepositoryName
}

export type Reference =
  | { readonly kind: 'tag'; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly digest: Digest }

/** Host, slash and name together; the specification's limit, enforced on what is stored (R21). */
export const REPOSITORY_KEY_MAX_LENGTH = 255

/** One part between the slashes of a name. */
export const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
// A DNS name, an IPv4 address or a bracketed IPv6 address; a port is 1 to 5 digits.
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/

/** The one registry that has no upstream: what is kept at this edge and comes from nowhere else. */
export const LOCALHOST = 'localhost' as RegistryHost

export function hostFrom(text: string): RegistryHost | undefined {
  const host = text.toLowerCase()
  if (host.length > REPOSITORY_KEY_MAX_LENGTH || !HOST.test(host)) return undefined
  // `1.2.3.256` and a port of 99999 have the form, and are nowhere.
  return URL.canParse(`https://${host}`) ? (host as RegistryHost) : undefined
}

/** @throws RegistryError NAME_INVALID */
export function parseHost(text: string): RegistryHost {
  const host = hostFrom(text)
  if (host === undefined)
    throw new RegistryError('NAME_INVALID', 'this is not a registry host name')
  return host
}

export function nameFrom(text: string): RepositoryName | undefined {
  return text.length <= REPOSITORY_KEY_MAX_LENGTH && NAME.test(text)
    ? (text as RepositoryName)
    : undefined
}

/** @throws RegistryError NAME_INVALID */
export function parseName(text: string): RepositoryName {
  const name = nameFrom(text)
  if (name !== undefined) return name
  throw new RegistryError(
    'NAME_INVALID',
    'a repository name is lower-case components of letters, digits and . _ - separated by slashes, at most 255 characters',
  )
}

export function tagFrom(text: string): Tag | undefined {
  return TAG.test(text) ? (text as Tag) : undefined
}

/** @throws RegistryError TAG_INVALID */
export function parseTag(text: string): Tag {
  const tag = tagFrom(text)
  if (tag !== undefined) return tag
  throw new RegistryError(
    'TAG_INVALID',
    'a tag is at most 128 letters, digits and _ . - and starts with none of . -',
  )
}

/**
 * A reference that contains a colon is a digest, never a tag (R22).
 * @throws DIGEST_INVALID, TAG_INVALID
 */
export function parseReference(text: string): Reference {
  return text.includes(':')
    ? { kind: 'digest', digest: parseDigest(text) }
    : { kind: 'tag', tag: parseTag(text) }
}

export function formatReference(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest
}

export function repositoryKey(repository: Repository): RepositoryKey {
  return `${repository.registry}/${repository.name}` as RepositoryKey
}

/**
 * The registry that a repository's key begins with, as it stands there: what an entry of the outbox
 * carries as its key may be nothing that can be read.
 */
export function registryOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

/** The inverse of repositoryKey. @throws RegistryError NAME_INVALID */
export function parseRepositoryKey(text: string): Repository {
  const repository = {
    registry: parseHost(registryOf(text)),
    name: parseName(text.slice(text.indexOf('/') + 1)),
  }
  assertKeyLength(repository)
  return repository
}

/**
 * @throws RegistryError NAME_INVALID when host and name together are longer than the specification
 * allows.
 */
export function assertKeyLength(repository: Repository): void {
  const length = repository.registry.length + 1 + repository.name.length
  if (length <= REPOSITORY_KEY_MAX_LENGTH) return
  throw new RegistryError(
    'NAME_INVALID',
    `registry host and repository name together are ${length} characters; the limit is ${REPOSITORY_KEY_MAX_LENGTH}`,
  )
}

/** `docker.io/library/alpine:3.20` or `…@sha256:…`, for people and logs. */
export function formatImage(repository: Repository, reference: Reference): string {
  const separator = reference.kind === 'tag' ? ':' : '@'
  return `${repositoryKey(repository)}${separator}${formatReference(reference)}`
}
