// Descriptors (image-spec descriptor.md): what a manifest says about other content. Data from a
// stranger (R187): checked for shape, believed for nothing until the content itself was verified.
import { type Digest, digestFrom, isDigestText } from './digest.ts'
import { RegistryError } from './errors.ts'
import { foldCase } from './json-text.ts'

export interface Descriptor {
  /** As written, which is whatever the author liked; empty when missing. */
  readonly mediaType: string
  /** By the general grammar, maybe of an algorithm that is unknown here (R23). */
  readonly digestText: string
  /** Undefined when the algorithm is unknown here; such content can be named but not fetched. */
  readonly digest: Digest | undefined
  readonly sizeBytes: number
  readonly urls: readonly string[]
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>> | undefined
  /** `os/architecture[/variant]`, of a child of an index. */
  readonly platform: string | undefined
  /** The content itself, as written; undefined when missing. See embedded-data.ts. */
  readonly data: unknown
}

/**
 * Longer than any digest or media type there is (sha512: 135); what is longer is no honest
 * descriptor.
 */
const TEXT_MAX_LENGTH = 1_024
const PLATFORM_PART = /^[A-Za-z0-9._+-]{1,64}$/

export type JsonObject = Readonly<Record<string, unknown>>

/** @throws RegistryError MANIFEST_INVALID */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  const object = requireObject(value, where)
  refuseOtherCase(
    object,
    ['mediaType', 'digest', 'size', 'urls', 'platform', 'artifactType'],
    where,
  )
  const digestText = readText(object, 'digest', where) ?? ''
  const digest = digestFrom(digestText)
  if (digest === undefined && (!isDigestText(digestText) || /^sha(?:256|512):/.test(digestText))) {
    throw invalid(`${where} has no valid digest`)
  }
  const { size } = object
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where} has no valid size`)
  }
  return {
    mediaType: readText(object, 'mediaType', where) ?? '',
    digestText,
    digest,
    sizeBytes: size,
    urls: readList(object, 'urls', where).filter(url => typeof url === 'string'),
    artifactType: readText(object, 'artifactType', where),
    annotations: readAnnotations(object, where),
    platform: readPlatform(object),
    data: object['data'] ?? undefined,
  }
}

/**
 * Is this content to be had from the registry? Layers with foreign URLs are not (R64): their
 * absence does not make an image incomplete.
 */
export function isDistributable(descriptor: Descriptor): boolean {
  return (
    descriptor.urls.length === 0 && !/\.foreign\.|\.nondistributable\./.test(descriptor.mediaType)
  )
}

/** @throws RegistryError MANIFEST_INVALID */
export function requireObject(value: unknown, where: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject
  }
  throw invalid(`${where} is not an object`)
}

/**
 * Undefined when missing, null or empty.
 * @throws RegistryError MANIFEST_INVALID when not a short text.
 */
export function readText(object: JsonObject, member: string, where: string): string | undefined {
  const value = object[member]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string' && value.length <= TEXT_MAX_LENGTH) return value
  throw invalid(`${where} has no valid ${member}`)
}

/**
 * Empty when missing or null, which is how Go writes an empty list.
 * @throws RegistryError MANIFEST_INVALID
 */
export function readList(object: JsonObject, member: string, where: string): readonly unknown[] {
  const value = object[member]
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value
  throw invalid(`${member} of ${where} is not a list`)
}

/**
 * @throws RegistryError MANIFEST_INVALID when a value is not a text: Go clients can not read those.
 */
export function readAnnotations(
  object: JsonObject,
  where: string,
): Readonly<Record<string, string>> | undefined {
  const { annotations } = object
  if (annotations === undefined || annotations === null) return undefined
  const values = Object.values(requireObject(annotations, `annotations of ${where}`))
  if (values.every(value => typeof value === 'string')) return annotations as Record<string, string>
  throw invalid(`annotations of ${where} are not all texts`)
}

/**
 * Refuses `Layers` where `layers` is meant: Go clients would read it, this code would not, and
 * content that clients want would belong to nothing (R185).
 * @throws RegistryError MANIFEST_INVALID
 */
export function refuseOtherCase(
  object: JsonObject,
  members: readonly string[],
  where: string,
): void {
  const known = new Map(members.map(member => [foldCase(member), member]))
  for (const name of Object.keys(object)) {
    const member = known.get(foldCase(name))
    if (member !== undefined && member !== name) {
      throw invalid(`${where} writes ${member} in another case`)
    }
  }
}

/**
 * Undefined when it is not the plain words that platforms are made of: it goes into logs and
 * commands.
 */
function readPlatform(object: JsonObject): string | undefined {
  const { platform } = object
  if (typeof platform !== 'object' || platform === null) return undefined
  const { os, architecture, variant } = platform as JsonObject
  const parts =
    variant === undefined || variant === '' ? [os, architecture] : [os, architecture, variant]
  const plain = parts.every(part => typeof part === 'string' && PLATFORM_PART.test(part))
  return plain ? parts.join('/') : undefined
}

export function invalid(reason: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', reason)
}
