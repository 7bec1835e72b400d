// By which name an image of another program's archive is imported: one that is whole in the
// archive, as containers are given it, or the one that the operator says. A tag alone names
// nothing: a file says not where it is from.
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  parseHost,
  parseName,
  type Repository,
  repositoryKey,
  type Tag,
  tagFrom,
} from '../../oci/reference.ts'

export interface ImageName {
  readonly repository: Repository
  readonly tag: Tag
}

/** What the operator said that images are to be called. */
export interface GivenName {
  readonly repository: Repository
  /** Undefined: as each is tagged in the archive. */
  readonly tag: Tag | undefined
}

/** An image as it stands in an archive. */
export interface ArchiveEntry {
  /** As written there: whole names. */
  readonly names: readonly string[]
  /** The tag alone, where that stands there. */
  readonly tag: Tag | undefined
}

const DOCKER_HUB = 'docker.io'
/** It is Docker Hub, since long ago. */
const OLD_HUB = 'index.docker.io'

/**
 * As dockerd and containerd read a name that they were given: without a registry it is Docker
 * Hub's. Undefined for what is no name with a tag.
 */
export function dockerName(text: string): ImageName | undefined {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  const isHost = /[.:]/.test(first) || first === 'localhost'
  const host = !isHost || first === OLD_HUB ? DOCKER_HUB : first
  const path = isHost ? text.slice(slash + 1) : text
  const [named = ''] = path.split('@', 1)
  const colon = named.lastIndexOf(':')
  const tag = colon === -1 ? undefined : tagFrom(named.slice(colon + 1))
  if (tag === undefined) return undefined
  const name = named.slice(0, colon)
  const isShort = host === DOCKER_HUB && !name.includes('/')
  const repository = repositoryFrom(host, isShort ? `library/${name}` : name)
  return repository && { repository, tag }
}

/** Has it a registry, a name and a tag? `alpine:3` is anybody's. */
export function isWholeName(text: string): boolean {
  const first = text.slice(0, Math.max(text.indexOf('/'), 0))
  return (/[.:]/.test(first) || first === 'localhost') && dockerName(text) !== undefined
}

/** @throws BundleFault where nothing says what it is to be called */
export function namesOf(
  { names, tag }: ArchiveEntry,
  given: GivenName | undefined,
): readonly ImageName[] {
  const own = names.map(dockerName).filter(name => name !== undefined)
  if (given === undefined) return own
  if (given.tag !== undefined) return [{ repository: given.repository, tag: given.tag }]
  const tags = new Set([...own.map(name => name.tag), ...(tag === undefined ? [] : [tag])])
  return [...tags].map(each => ({ repository: given.repository, tag: each }))
}

/** One name is of one image. @throws BundleFault */
export function requireOneName(
  images: readonly { readonly names: readonly ImageName[] }[],
  given: GivenName | undefined,
): void {
  if (given?.tag === undefined || images.length <= 1) return
  const key = repositoryKey(given.repository)
  throw new BundleFault(
    `it has ${images.length} images, and --as names one: with "--as ${key}" each keeps its own tag`,
  )
}

/** The command that would do it. */
export function withoutNames(entries: readonly ArchiveEntry[]): BundleFault {
  const tags = entries.flatMap(({ tag }) => (tag === undefined ? [] : [tag]))
  const [tag] = tags
  const form = entries.length > 1 ? 'REGISTRY/NAME' : `REGISTRY/NAME:${tag ?? 'TAG'}`
  const why =
    tag === undefined
      ? 'it says no name of an image'
      : `it says a tag alone, ${tags.slice(0, 5).join(', ')}`
  return new BundleFault(
    `${why}: say what it is with --as ${form}, as in "--as docker.io/library/${tag === undefined ? 'alpine:3' : `alpine${entries.length > 1 ? '' : `:${tag}`}`}"`,
  )
}

function repositoryFrom(host: string, name: string): Repository | undefined {
  try {
    const repository = { registry: parseHost(host), name: parseName(name) }
    return repositoryKey(repository).length <= 255 ? repository : undefined
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}
