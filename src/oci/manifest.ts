// Manifests (image-spec manifest.md, image-index.md; Docker's schema 2 and list): what a cache
// needs to know of one. The bytes are never written again from what is parsed here (R35); members
// that are not understood are left alone.
import {
  byAnyCase,
  type Descriptor,
  invalid,
  isDescriptor,
  type JsonObject,
  parseDescriptor,
  readAnnotations,
  readList,
  readText,
  refuseOtherCase,
  requireObject,
} from './descriptor.ts'
import type { Digest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { parsePlainJson } from './json-text.ts'
import { type ManifestKind, manifestKind, parseMediaType, SCHEMA_1_TYPES } from './media-type.ts'

/**
 * What containerd, container-libs and oras read at most; the conformance suite pushes one of 3.9 MB
 * (R42).
 */
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024

/**
 * The largest image known has some hundred layers, signatures of one image up to 1,000; ten times
 * that (R186).
 */
export const DESCRIPTORS_MAX = 10_000

export interface Manifest {
  /** As it is served: without parameters. */
  readonly mediaType: string
  readonly kind: ManifestKind
  /** Of an image. */
  readonly config?: Descriptor
  /** Of an image its layers, of an artifact its blobs. */
  readonly layers: readonly Descriptor[]
  /** Of an index. */
  readonly manifests: readonly Descriptor[]
  /**
   * Of what is not understood, what stands where others list: nobody says that it is to be there.
   */
  readonly named: Readonly<Record<'manifests' | 'blobs', readonly Descriptor[]>>
  readonly subject?: Descriptor
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** An entry of the referrers list (R74), as it stands in the image index. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

const MEMBERS = byAnyCase([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'config',
  'layers',
  'blobs',
  'fsLayers',
  'manifests',
  'subject',
  'annotations',
])

/**
 * `mediaType` is the Content-Type that came with the bytes. Bounded by MANIFEST_LIMIT_BYTES,
 * JSON_DEPTH_MAX and DESCRIPTORS_MAX.
 * @throws RegistryError MANIFEST_INVALID for what is no manifest, or could be read as two different
 * ones (R185); MANIFEST_UNKNOWN for Docker schema 1, whose digest is not that of its bytes (R41)
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest {
  if (bytes.length > MANIFEST_LIMIT_BYTES) {
    throw new RegistryError(
      'MANIFEST_INVALID',
      `the manifest is larger than ${MANIFEST_LIMIT_BYTES} bytes`,
      { status: 413 },
    )
  }
  const type = parseMediaType(mediaType) ?? ''
  if (SCHEMA_1_TYPES.includes(type)) throw schema1()
  if (!type.endsWith('+json')) throw invalid('the Content-Type is not that of a manifest')
  const document = requireObject(parsePlainJson(decodeUtf8(bytes)), 'the manifest')
  refuseOtherCase(document, MEMBERS, 'the manifest')
  const kind = manifestKind(type)
  checkType(document, type, kind)
  return readManifest(document, type, kind)
}

function readManifest(document: JsonObject, mediaType: string, kind: ManifestKind): Manifest {
  const understood = kind !== 'opaque'
  const config = understood ? readDescriptor(document, 'config') : undefined
  const subject = understood ? readDescriptor(document, 'subject') : undefined
  const artifactType = understood ? readText(document, 'artifactType', 'the manifest') : undefined
  const annotations = understood ? readAnnotations(document, 'the manifest') : undefined
  return {
    mediaType,
    kind,
    layers: understood ? readDescriptors(document, kind === 'artifact' ? 'blobs' : 'layers') : [],
    manifests: kind === 'index' ? readDescriptors(document, 'manifests') : [],
    named: understood ? NOTHING_NAMED : readNamed(document),
    ...(config && { config }),
    ...(subject && { subject }),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  }
}

const NOTHING_NAMED = { manifests: [], blobs: [] }

function readNamed(document: JsonObject): Manifest['named'] {
  const blobs = ['config', 'layers', 'blobs'].flatMap(member => readWhatIsOne(document, member))
  return { manifests: readWhatIsOne(document, 'manifests'), blobs }
}

/** What is no descriptor may mean anything, in a document that is not understood. */
function readWhatIsOne(document: JsonObject, member: string): readonly Descriptor[] {
  const value = document[member]
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  assertFew(values, member)
  return values.filter(isDescriptor).map(each => parseDescriptor(each, member))
}

/**
 * One document, one reading: not an index for one client and an image for another (R185). So what
 * it lists follows from its bytes alone, whatever Content-Type somebody gives them (R251).
 */
function checkType(document: JsonObject, mediaType: string, kind: ManifestKind): void {
  if (document['schemaVersion'] === 1) throw schema1()
  const own = readText(document, 'mediaType', 'the manifest')
  if (own !== undefined && own !== mediaType) {
    throw invalid('the mediaType of the manifest is not its Content-Type')
  }
  const has = (member: string) => document[member] !== undefined && document[member] !== null
  if (own === undefined && LISTING[kind].some(has)) {
    throw invalid('the manifest has no mediaType, and lists what its Content-Type does not know of')
  }
  const isImage = has('config') || has('layers') || has('fsLayers')
  if (has('manifests') && isImage) throw invalid('the manifest is image and index at once')
  if (kind === 'index' && isImage) throw invalid('the index has members of an image')
  if (kind === 'image' && has('manifests')) throw invalid('the image has members of an index')
  if (kind === 'artifact' && (isImage || has('manifests'))) {
    throw invalid('the artifact has members of an image or index')
  }
  const versioned = kind === 'image' || kind === 'index'
  if (versioned && document['schemaVersion'] !== 2) throw invalid('the schemaVersion is not 2')
}

/**
 * What makes a document without a `mediaType` of its own another one, for whoever goes by its
 * members.
 */
const LISTING: Readonly<Record<ManifestKind, readonly string[]>> = {
  image: ['blobs'],
  index: ['blobs'],
  artifact: [],
  opaque: ['config', 'layers', 'fsLayers', 'manifests', 'blobs', 'subject'],
}

function readDescriptor(document: JsonObject, member: string): Descriptor | undefined {
  const value = document[member]
  return value === undefined || value === null ? undefined : parseDescriptor(value, member)
}

function readDescriptors(document: JsonObject, member: string): readonly Descriptor[] {
  const values = readList(document, member, 'the manifest')
  assertFew(values, member)
  return values.map((value, index) => parseDescriptor(value, `${member}[${index}]`))
}

function assertFew({ length }: readonly unknown[], member: string): void {
  if (length > DESCRIPTORS_MAX)
    throw invalid(`the manifest has more than ${DESCRIPTORS_MAX} ${member}`)
}

/** A byte order mark stays in, and then is no JSON: Go clients refuse it as well. */
function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', 'the manifest is not UTF-8', { cause })
  }
}

function schema1(): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', 'Docker schema 1 is not supported')
}

/** How `manifest` is listed among the referrers of its subject (R74). */
export function referrerDescriptor(
  manifest: Manifest,
  digest: Digest,
  sizeBytes: number,
): ReferrerDescriptor {
  const artifactType = manifest.artifactType ?? manifest.config?.mediaType
  return {
    mediaType: manifest.mediaType,
    digest,
    size: sizeBytes,
    ...(artifactType && { artifactType }),
    ...(manifest.annotations && { annotations: manifest.annotations }),
  }
}
