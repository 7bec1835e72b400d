// What follows a deleted manifest (registry/ports/catalog-followers.ts): since when stands with its
// membership, and goes with that. A trigger sees to it that its grace begins anew when a tag is
// taken from it (schema-space.ts).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import {
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../../oci/reference.ts'
import type { Follower, FollowerReads } from '../../registry/ports/catalog-followers.ts'
import type { Image } from '../../registry/ports/catalog-images.ts'
import { MAX_REFERRERS } from '../bounds.ts'
import { digestBytes, digestFromBytes, EDGE_CODES } from './encoding.ts'
import type { Ids } from './ids.ts'
import { IS_GIVEN, LISTS } from './needed.ts'

interface FollowerRow {
  readonly key: RepositoryKey
  readonly digest: Buffer
  readonly since: number
}

/** What is not stamped so far stands under 0. */
const STAMPED = 1

export function followerReads(database: Database) {
  const list = database.prepare(
    `SELECT r.key, c.digest, m.follows_at AS since
     FROM repository_content m INDEXED BY member_following
     CROSS JOIN repository r ON r.id = m.repository CROSS JOIN content c ON c.id = m.content
     WHERE m.follows_at IS NOT NULL AND m.follows_at < ? AND (m.follows_at, m.repository, m.content) > (?,
       coalesce((SELECT id FROM repository WHERE key = ?), -1), coalesce((SELECT id FROM content WHERE digest = ?), -1))
     ORDER BY m.follows_at, m.repository, m.content LIMIT ?`,
  )
  const first = database
    .prepare(
      `SELECT follows_at FROM repository_content INDEXED BY member_following
       WHERE follows_at IS NOT NULL AND follows_at >= max(?, ${STAMPED}) ORDER BY follows_at LIMIT 1`,
    )
    .pluck()
  const find = database
    .prepare(
      `SELECT follows_at FROM repository_content WHERE repository = (SELECT id FROM repository WHERE key = ?)
         AND content = (SELECT id FROM content WHERE digest = ?)`,
    )
    .pluck()

  const deletedAt = database.prepare('SELECT deleted_at FROM content WHERE digest = ?').pluck()

  return {
    listFollowers({
      beforeMs,
      limit,
      after,
    }: Parameters<FollowerReads['listFollowers']>[0]): Follower[] {
      const from =
        after === undefined
          ? [STAMPED, '', Buffer.alloc(0)]
          : [after.sinceMs, repositoryKey(after.repository), digestBytes(after.digest)]
      return (list.all(beforeMs, ...from, limit) as FollowerRow[]).map(row => ({
        repository: parseRepositoryKey(row.key),
        digest: digestFromBytes(row.digest),
        sinceMs: row.since,
      }))
    },
    firstFollowsAt: (fromMs: number) => first.get(fromMs) as number | undefined,
    deletedAt: (digest: Digest) =>
      (deletedAt.get(digestBytes(digest)) ?? undefined) as number | undefined,
    followsSince: (repository: Repository, digest: Digest) =>
      (find.get(repositoryKey(repository), digestBytes(digest)) ?? undefined) as number | undefined,
  }
}

// The manifests of @repository that @content lists or that are about it, by a tag as well: from
// @tag on up to what comes after all that begin so and go on with a dot.
const FOLLOWERS = `
  SELECT e.child FROM edge e WHERE e.parent = @content AND ${LISTS}
  UNION SELECT parent FROM (
    SELECT e.parent FROM edge e WHERE e.child = @content AND e.kind = ${EDGE_CODES.subject} LIMIT ${MAX_REFERRERS})
  UNION SELECT content FROM (
    SELECT t.content FROM tag t WHERE t.repository = @repository AND t.name >= @tag AND t.name < @tag || '/'
    LIMIT ${MAX_REFERRERS})`

interface RemovedManifest {
  readonly digest: Digest
  /** Of RemoveOptions. */
  readonly followedSinceMs: number | undefined
  readonly deletedAtMs: number | undefined
  readonly wasHeld: boolean
}

export function followerWrites(database: Database, ids: Ids) {
  const row = (sql: string) => database.prepare(sql)
  // The later grace counts, and one that is yet to begin. What is held has no other home, and does
  // not go for what its upstream gives again.
  const follow = row(
    `UPDATE repository_content AS m SET follows_at = iif(m.follows_at = 0, 0, max(coalesce(m.follows_at, 0), @sinceMs))
     WHERE m.repository = @repository AND m.content IN (${FOLLOWERS}) AND m.content <> @content
       AND (m.holds = 0 OR @wasHeld = 1)
       AND (SELECT ${IS_GIVEN('m', 'c')} FROM content c WHERE c.id = m.content)`,
  )
  const noteDeleted = row(
    'UPDATE content SET deleted_at = @sinceMs WHERE id = @content AND coalesce(deleted_at, 0) < @sinceMs',
  )
  const endBy = row(
    `UPDATE repository_content SET follows_at = NULL WHERE repository = @repository
       AND content IN (SELECT @content UNION ALL SELECT e.child FROM edge e WHERE e.parent = @content AND ${LISTS})
       AND follows_at IS NOT NULL`,
  )
  const end = row(
    'UPDATE repository_content SET follows_at = NULL WHERE repository = ? AND content = ? AND follows_at IS NOT NULL',
  )
  const stamp = row('UPDATE repository_content SET follows_at = ? WHERE follows_at = 0')
  const putBack = row('UPDATE repository_content SET follows_at = @atMs WHERE follows_at > @atMs')

  return {
    /** By their numbers. The tags that are about it stand as they were. */
    noteRemoved(
      { repository, content }: { repository: number; content: number },
      { digest, followedSinceMs: sinceMs, deletedAtMs, wasHeld }: RemovedManifest,
    ): void {
      if (deletedAtMs !== undefined) noteDeleted.run({ content, sinceMs: deletedAtMs })
      if (sinceMs === undefined) return
      const tag = digest.replace(':', '-')
      follow.run({ repository, content, sinceMs, tag, wasHeld: wasHeld ? 1 : 0 })
    },
    /** A client has pushed it. */
    endFollowingBy(repository: Repository, manifest: Digest): void {
      endBy.run({ repository: ids.repositoryId(repository), content: ids.contentId(manifest) })
    },
    endFollowing({ repository, digest }: Image): void {
      const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
      if (id !== undefined && content !== undefined) end.run(id, content)
    },
    stampFollowers(atMs: number): void {
      stamp.run(atMs)
    },
    putFollowersBack(atMs: number): void {
      putBack.run({ atMs })
    },
  }
}

export type FollowerWrites = ReturnType<typeof followerWrites>
