// The media types of manifests (image-spec media-types.md; R37), and what a client's Accept headers
// say about them (R12, R39). Whether a document is what its type claims is decided in manifest.ts.
import { splitQuoted } from './header-list.ts'

/**
 * What a manifest is to a cache: `image` has a config and blobs, `index` has manifests, `artifact`
 * has blobs alone, `opaque` is kept and served without being understood.
 */
export type ManifestKind = 'image' | 'index' | 'artifact' | 'opaque'

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

/**
 * Every manifest type that is understood, in the order in which they are asked for upstream (R38).
 */
export const MANIFEST_TYPES: ReadonlyMap<string, ManifestKind> = new Map([
  [OCI_INDEX, 'index'],
  [DOCKER_LIST, 'index'],
  [OCI_MANIFEST, 'image'],
  [DOCKER_MANIFEST, 'image'],
  [OCI_ARTIFACT, 'artifact'],
])

/** Docker schema 1: its digest is not that of its bytes, so it is never kept (R41). */
export const SCHEMA_1_TYPES: readonly string[] = [
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
]

/** The `Accept` of every manifest request to an upstream, whatever the client sent (R38). */
export const MANIFEST_ACCEPT = [...MANIFEST_TYPES.keys(), '*/*'].join(', ')

/** RFC 6838 allows 127 characters on each side of the slash. */
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/
const PRINTABLE = /^[\t\x20-\x7e]*$/

export function manifestKind(mediaType: string): ManifestKind {
  return MANIFEST_TYPES.get(mediaType) ?? 'opaque'
}

/**
 * A `Content-Type` without its parameters, lower-case (R9); undefined when it is missing or
 * malformed (R190).
 */
export function parseMediaType(header: string | undefined): string | undefined {
  if (header === undefined || !PRINTABLE.test(header)) return undefined
  const [type = ''] = header.split(';', 1)
  const mediaType = type.trim().toLowerCase()
  return MEDIA_TYPE.test(mediaType) ? mediaType : undefined
}

/**
 * Do these `Accept` values, in any number of headers, allow `mediaType`? No header allows
 * everything. The most specific range that matches decides, and `q=0` forbids (RFC 9110 §12.5.1);
 * other weights do not matter here.
 */
export function accepts(acceptHeaders: readonly string[], mediaType: string): boolean {
  const ranges = acceptHeaders.flatMap(header => splitQuoted(header, ','))
  if (ranges.length === 0) return true
  const wildcard = `${mediaType.slice(0, mediaType.indexOf('/'))}/*`
  let specificity = 0
  let allowed = false
  for (const range of ranges) {
    const [type = '', ...parameters] = splitQuoted(range, ';')
    const match = [undefined, '*/*', wildcard, mediaType].lastIndexOf(type.toLowerCase())
    if (match <= specificity) continue
    allowed = !parameters.some(parameter => /^q[ \t]*=[ \t]*0(?:\.0*)?$/i.test(parameter))
    specificity = match
  }
  return allowed
}
