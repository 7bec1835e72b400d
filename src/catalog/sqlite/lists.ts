// Answers of upstreams that are kept as text: lists of tags and of referrers.
import type { Database } from 'better-sqlite3'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { RecordedList } from '../../registry/ports/catalog-tags.ts'
import type { Ids } from './ids.ts'

export function listReads(database: Database) {
  const find = database.prepare(
    `SELECT l.body, l.checked_at FROM repository r JOIN list l ON l.repository = r.id
     WHERE r.key = ? AND l.key = ?`,
  )

  return {
    findList(repository: Repository, key: string): RecordedList | undefined {
      const row = find.get(repositoryKey(repository), key) as
        | { body: string; checked_at: number }
        | undefined
      return row === undefined ? undefined : { body: row.body, checkedAtMs: row.checked_at }
    },
  }
}

export function listWrites(database: Database, ids: Ids) {
  const upsert = database.prepare(
    `INSERT INTO list (repository, key, body, checked_at) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET body = excluded.body, checked_at = excluded.checked_at`,
  )
  const remove = database.prepare(
    'DELETE FROM list WHERE repository = (SELECT id FROM repository WHERE key = ?) AND key = ?',
  )

  return {
    forgetList(repository: Repository, key: string): void {
      remove.run(repositoryKey(repository), key)
    },

    recordList(repository: Repository, key: string, { body, checkedAtMs }: RecordedList): void {
      upsert.run(ids.repositoryId(repository), key, body, checkedAtMs)
    },
  }
}
