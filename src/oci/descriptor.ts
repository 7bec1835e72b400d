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

const MEMBERS = byAnyCase(['mediaType', 'digest', 'size', 'urls', 'platform', 'artifactType'])

/** @throws RegistryError MANIFEST_INVALID */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  const object = requireObject(value, where)
  refuse(descriptorFault(object, where))
  const digestText = readText(object, 'digest', where) ?? ''
  return {
    mediaType: readText(object, 'mediaType', where) ?? '',
    digestText,
    digest: digestFrom(digestText),
    sizeBytes: object['size'] as number,
    urls: readList(object, 'urls', where).filter(url => typeof url === 'string'),
    artifactType: readText(object, 'artifactType', where),
    annotations: readAnnotations(object, where),
    platform: readPlatform(object),
    data: object['data'] ?? undefined,
  }
}

/**
 * Whether it can be parsed as one. Throws nothing: an exception takes as long as a hundred of these
 * answers, and a stranger chooses how many entries are no descriptors.
 */
export function isDescriptor(value: unknown): boolean {
  return isObject(value) && descriptorFault(value, '') === undefined
}

/** Why it is none; undefined when it is one. */
function descriptorFault(object: JsonObject, where: string): string | undefined {
  return (
    caseFault(object, MEMBERS, where) ??
    textFault(object, 'digest', where) ??
    digestFault(object, where) ??
    sizeFault(object, where) ??
    textFault(object, 'mediaType', where) ??
    listFault(object, 'urls', where) ??
    textFault(object, 'artifactType', where) ??
    annotationsFault(object, where)
  )
}

function digestFault({ digest }: JsonObject, where: string): string | undefined {
  const text = typeof digest === 'string' ? digest : ''
  const isKnown = digestFrom(text) !== undefined
  if (isKnown || (isDigestText(text) && !/^sha(?:256|512):/.test(text))) return undefined
  return `${where} has no valid digest`
}

function sizeFault({ size }: JsonObject, where: string): string | undefined {
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return undefined
  return `${where} has no valid size`
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
  if (isObject(value)) return value
  throw invalid(`${where} is not an object`)
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Undefined when missing, null or empty.
 * @throws RegistryError MANIFEST_INVALID when not a short text.
 */
export function readText(object: JsonObject, member: string, where: string): string | undefined {
  refuse(textFault(object, member, where))
  return (object[member] as string | null | undefined) || undefined
}

function textFault(object: JsonObject, member: string, where: string): string | undefined {
  const value = object[member]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string' && value.length <= TEXT_MAX_LENGTH) return undefined
  return `${where} has no valid ${member}`
}

/**
 * Empty when missing or null, which is how Go writes an empty list.
 * @throws RegistryError MANIFEST_INVALID
 */
export function readList(object: JsonObject, member: string, where: string): readonly unknown[] {
  refuse(listFault(object, member, where))
  return (object[member] as readonly unknown[] | null | undefined) ?? []
}

function listFault(object: JsonObject, member: string, where: string): string | undefined {
  const value = object[member]
  if (value === undefined || value === null || Array.isArray(value)) return undefined
  return `${member} of ${where} is not a list`
}

/**
 * @throws RegistryError MANIFEST_INVALID when a value is not a text: Go clients can not read those.
 */
export function readAnnotations(
  object: JsonObject,
  where: string,
): Readonly<Record<string, string>> | undefined {
  refuse(annotationsFault(object, where))
  return (object['annotations'] as Record<string, string> | null | undefined) ?? undefined
}

function annotationsFault({ annotations }: JsonObject, where: string): string | undefined {
  if (annotations === undefined || annotations === null) return undefined
  if (!isObject(annotations)) return `annotations of ${where} is not an object`
  if (Object.values(annotations).every(value => typeof value === 'string')) return undefined
  return `annotations of ${where} are not all texts`
}

/** The members that are understood, each by itself in one case. */
type MembersByAnyCase = ReadonlyMap<string, string>

/** Once for all documents: entries are many, and what they may have is always the same. */
export function byAnyCase(members: readonly string[]): MembersByAnyCase {
  return new Map(members.map(member => [foldCase(member), member]))
}

/**
 * Refuses `Layers` where `layers` is meant: Go clients would read it, this code would not, and
 * content that clients want would belong to nothing (R185).
 * @throws RegistryError MANIFEST_INVALID
 */
export function refuseOtherCase(
  object: JsonObject,
  members: MembersByAnyCase,
  where: string,
): void {
  refuse(caseFault(object, members, where))
}

function caseFault(
  object: JsonObject,
  members: MembersByAnyCase,
  where: string,
): string | undefined {
  for (const name of Object.keys(object)) {
    const member = members.get(foldCase(name))
    if (member !== undefined && member !== name) return `${where} writes ${member} in another case`
  }
  return undefined
}

function refuse(fault: string | undefined): void {
  if (fault !== undefined) throw invalid(fault)
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
