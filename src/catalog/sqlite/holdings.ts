// What a repository holds as a whole, and what needs some content (ports/catalog-holdings.ts).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { HeldManifest, HoldingReads, Need } from '../../registry/ports/catalog-holdings.ts'
import type { Image } from '../../registry/ports/catalog-images.ts'
import type { AsOf } from '../../registry/ports/catalog-space.ts'
import { digestBytes, digestFromBytes } from './encoding.ts'
import { lastSharing } from './images/last-sharing.ts'
import { READING, UNEXPIRED } from './members.ts'
import { ALL_LEASES, NEEDS, UNPROMISED_AT } from './needed.ts'
import { inOneView } from './images/one-view.ts'

interface HeldRow {
  readonly id: number
  readonly digest: Buffer
  readonly last_used_at: number
}

interface NeedRow {
  readonly id: number
  readonly size: number
  readonly refs: number
  readonly is_promised: number
}

interface NeededRow {
  readonly id: number
  readonly digest: Buffer
}

/** Of what a manifest needs, looked up before others have their turn: a few milliseconds. */
const ROWS_AT_ONCE = 256
/** The first row that there could be has a higher one. */
const BEFORE_ALL = -1

export function holdingReads(database: Database, nowMs: () => number) {
  const listManifests = database.prepare(
    `SELECT c.id, c.digest, c.last_used_at FROM repository_content m
     CROSS JOIN content c ON c.id = m.content AND c.present = 1
     WHERE m.repository = (SELECT id FROM repository WHERE key = ?) AND m.content > ?
       AND ${READING} IS NOT NULL AND ${UNEXPIRED}
     ORDER BY m.content LIMIT ?`,
  )
  const findNeed = database.prepare(
    `SELECT c.id, c.size, c.refs, NOT (${UNPROMISED_AT}) AS is_promised
     FROM content c WHERE c.digest = ? AND c.present = 1`,
  )
  const listNeeded = database.prepare(
    `SELECT c.id, c.digest FROM edge e JOIN content c ON c.id = e.child
     WHERE e.parent = ? AND ${NEEDS} ORDER BY e.position`,
  )
  const sharing = lastSharing(database)
  const one = (sql: string) => database.prepare(sql).pluck()
  const findRepository = one('SELECT id FROM repository WHERE key = ?')
  const findContent = one('SELECT id FROM content WHERE digest = ?')

  return {
    listManifests(
      repository: Repository,
      { after = BEFORE_ALL, limit }: Parameters<HoldingReads['listManifests']>[1],
    ): HeldManifest[] {
      const from = [repositoryKey(repository), after, nowMs(), limit]
      return (listManifests.all(...from) as HeldRow[]).map(row => ({
        position: row.id,
        digest: digestFromBytes(row.digest),
        lastUsedAtMs: row.last_used_at,
      }))
    },
    findNeed(digest: Digest, { leasesOverMs = ALL_LEASES }: AsOf = {}): Need | undefined {
      const row = findNeed.get(digestBytes(digest), { leasesOverMs }) as NeedRow | undefined
      if (row === undefined) return undefined
      const { id, size, refs, is_promised: isPromised } = row
      const lists = neededBy(id).map(({ digest: needed }) => digestFromBytes(needed))
      return { sizeBytes: size, times: refs, isPromised: isPromised === 1, lists }
    },
    listUnneededWithout: (image: Image, left: readonly Repository[]) =>
      inOneView(database, unneededWithout(image, left)),
  }

  function repositoryId(repository: Repository): number | undefined {
    return findRepository.get(repositoryKey(repository)) as number | undefined
  }

  function neededBy(id: number): NeededRow[] {
    return listNeeded.all(id) as NeededRow[]
  }

  function* unneededWithout(
    image: Image,
    left: readonly Repository[],
  ): Generator<void, readonly Digest[]> {
    const repository = repositoryId(image.repository)
    const content = findContent.get(digestBytes(image.digest)) as number | undefined
    if (repository === undefined || content === undefined) return []
    const gone = new Set([repository, ...left.map(repositoryId)])
    const apart = sharing.apartWithout({ repository, content }, each => !gone.has(each))
    if (apart.length === 0) return []
    const unneeded: Digest[] = []
    for (const [at, { id, digest }] of neededBy(content).entries()) {
      if (at % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) yield
      if (!sharing.cameUnderAny(apart, id)) unneeded.push(digestFromBytes(digest))
    }
    return unneeded
  }
}
