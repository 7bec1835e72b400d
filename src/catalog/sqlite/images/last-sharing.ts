// What a manifest needs no more once the last repository has left that shares: the same as the
// trigger `last_sharing_deleted` does (schema-needs.ts), worked out without doing it.
import type { Database } from 'better-sqlite3'
import type { MemberOf } from '../ended-members.ts'
import { APART_ASKED, CAME_UNDER } from '../schema/schema-needs.ts'

type IsHere = (repository: number) => boolean

export function lastSharing(database: Database) {
  const one = (sql: string) => database.prepare(sql).pluck()
  const isApart = one(
    `SELECT apart FROM repository_content WHERE repository = ? AND content = ? AND media_type <> ''`,
  )
  const listApart = one(
    'SELECT repository FROM repository_content WHERE content = ? AND apart = 1 ORDER BY repository',
  )
  const listSharing = one(
    `SELECT repository FROM repository_content WHERE content = ? AND apart = 0 AND media_type <> ''`,
  )
  const cameUnder = one(`SELECT ${CAME_UNDER('@repository', '@child')}`)

  return {
    /**
     * Those that say what the manifest needs from now on, all of registries apart; none where it
     * needs what it did. `isHere`: of a repository that was given it, and not of this one, which
     * it leaves.
     */
    apartWithout({ repository, content }: MemberOf, isHere: IsHere): readonly number[] {
      if (isApart.get(repository, content) !== 0) return []
      const apart = firstOf(listApart.iterate(content), isHere, APART_ASKED)
      if (apart.length === 0) return []
      return firstOf(listSharing.iterate(content), isHere, 1).length > 0 ? [] : apart
    },
    cameUnderAny: (repositories: readonly number[], child: number) =>
      repositories.some(repository => cameUnder.get({ repository, child }) === 1),
  }
}

/** Of some, the first `limit` that are here. */
function firstOf(found: Iterable<unknown>, isHere: IsHere, limit: number): number[] {
  const first: number[] = []
  for (const each of found as Iterable<number>) {
    if (isHere(each)) first.push(each)
    if (first.length === limit) break
  }
  return first
}
