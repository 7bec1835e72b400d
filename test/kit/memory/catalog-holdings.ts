// What a repository of the catalog in memory holds as a whole, and what needs some content there.
import type { Digest } from '../../../src/oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../../src/oci/reference.ts'
import type {
  HeldManifest,
  HoldingReads,
  Need,
} from '../../../src/registry/ports/catalog-holdings.ts'
import type { Image } from '../../../src/registry/ports/catalog-images.ts'
import type { AsOf } from '../../../src/registry/ports/catalog-space.ts'
import type { MemoryRepositories } from './catalog-repositories.ts'
import type { MemorySpace } from './catalog-space.ts'

/** Of a digest: the same whatever comes and goes, and as good as unique. */
const POSITION_DIGITS = 12

export function listManifests(
  all: MemoryRepositories,
  repository: Repository,
  { after = -1, limit }: Parameters<HoldingReads['listManifests']>[1],
): HeldManifest[] {
  const members = all.find(repository)?.members ?? new Map()
  const held = [...members].flatMap(([digest, { mediaType }]) => {
    const content = all.contents.get(digest)
    if (mediaType === undefined || content === undefined) return []
    return [{ position: positionOf(digest), digest, lastUsedAtMs: content.lastUsedAtMs }]
  })
  return held
    .filter(({ position }) => position > after)
    .sort((a, b) => a.position - b.position)
    .slice(0, limit)
}

function positionOf(digest: Digest): number {
  const hex = digest.slice(digest.indexOf(':') + 1)
  return Number.parseInt(hex.slice(0, POSITION_DIGITS), 16)
}

export function findNeed(
  all: MemoryRepositories,
  space: MemorySpace,
  digest: Digest,
  asOf?: AsOf,
): Need | undefined {
  const content = all.contents.get(digest)
  if (content === undefined) return undefined
  return {
    sizeBytes: content.sizeBytes,
    times: all.refs().get(digest) ?? 0,
    isPromised: space.isPromised(digest, asOf),
    lists: all.needs(digest),
  }
}

export function listUnneededWithout(
  all: MemoryRepositories,
  { repository, digest }: Image,
  left: readonly Repository[],
): Digest[] {
  const given = new Map(
    all.all().flatMap(([key, { members }]) => {
      const member = members.get(digest)
      return member?.mediaType === undefined ? [] : [[key, member.apart === true] as const]
    }),
  )
  for (const each of left) given.delete(repositoryKey(each))
  const isShared = given.get(repositoryKey(repository)) === false
  given.delete(repositoryKey(repository))
  if (!isShared || given.size === 0 || [...given.values()].includes(false)) return []
  const keep = [...given.keys()].map(key => parseRepositoryKey(key).registry)
  return all
    .needs(digest)
    .filter(
      child =>
        !all
          .all()
          .some(
            ([key, { members }]) =>
              members.get(child)?.delivered === true &&
              keep.includes(parseRepositoryKey(key).registry),
          ),
    )
}
