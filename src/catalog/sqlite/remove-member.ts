// What a delete takes out of a repository: the content itself, the tags that point to it, and, if
// it was a manifest there, what nothing else there lists (R255); what is pending for a push that
// may be under way once that is over (R296).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { PendingBlob, RemoveOptions } from '../../registry/ports/catalog-pushes.ts'
import { CLASS_CODES, REASON_CODES } from './encoding.ts'
import { FOR_OTHERS, type HoldWrites, type Removed } from './holds.ts'
import type { FollowerWrites } from './followers.ts'
import type { Ids } from './ids.ts'
import { ALL_LEASES, IS_GIVEN, IS_LISTER, LISTED, LISTERS_THERE } from './needed.ts'
import type { PendingWrites } from './pending.ts'
import type { TagWrites } from './tags.ts'

interface AloneRow {
  readonly content: number
  /** Its upstream listed it, so what it lists belongs here through it. */
  readonly lists: number
}

interface RemovalParts {
  readonly ids: Ids
  readonly tags: TagWrites
  readonly pending: PendingWrites
  readonly holds: HoldWrites
  readonly followers: FollowerWrites
}

export function memberRemoval(database: Database, parts: RemovalParts) {
  const { ids, tags, pending, holds: settle, followers } = parts
  const sql = prepareRemoval(database)

  return { removeMember, expirePendingBlob }

  /** False when it stays because somebody was told that it is there. */
  function removeMember(
    repository: Repository,
    digest: Digest,
    { unlessPromised = false, unlessLeased, followedSinceMs, deletedAtMs }: RemoveOptions = {},
  ): boolean {
    const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
    if (id === undefined || content === undefined) return true
    const leasesOverMs = unlessLeased?.leasesOverMs ?? ALL_LEASES
    const key = { repository: id, content, leasesOverMs }
    if (unlessPromised && sql.isPromised.get(key) !== undefined) return false
    if (unlessLeased !== undefined && sql.isLeased.get(key) !== undefined) return false
    sql.forgetTaken.run(id, content)
    const wasPending = pending.drop(id, content)
    const isLister = sql.isLister.get(id, content) !== undefined
    const holds = sql.deleteMember.get(id, content)
    if (holds === undefined) return true
    tags.deleteTagsOf(id, content)
    const removed = { digest, followedSinceMs, deletedAtMs, wasHeld: holds !== 0 }
    followers.noteRemoved(key, removed)
    const taken = isLister ? takeBelow(id, [content]) : []
    settle.settleRemoved(id, [{ content, isLost: holds !== 0 || wasPending }, ...taken])
    return true
  }

  /** What a delete has left for it goes now, unless something lists it by now. */
  function expirePendingBlob({ repository, digest, acknowledgedAtMs }: PendingBlob): void {
    const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
    if (id === undefined || content === undefined) return
    const ended = pending.expire(id, content, acknowledgedAtMs)
    if (ended === undefined) return
    const alone = ended.isOwed
      ? (sql.findAlone.get(content, id) as AloneRow | undefined)
      : undefined
    const stays = alone === undefined || pending.deferRemoval(id, content, acknowledgedAtMs)
    const below = alone !== undefined && !stays ? take(id, alone).below : []
    const taken = takeBelow(id, below)
    settle.settleRemoved(id, [{ content, isLost: true }, ...taken])
  }

  /**
   * Returns what was taken out. Not recursive: an upstream's indexes may be nested as deep as it
   * likes.
   */
  function takeBelow(repository: number, gone: number[]): Removed[] {
    const taken: Removed[] = []
    for (const parent of gone) {
      for (const child of sql.listAlone.all(parent, repository) as AloneRow[]) {
        if (pending.deferRemoval(repository, child.content)) continue
        const { below, isLost } = take(repository, child)
        gone.push(...below)
        taken.push({ content: child.content, isLost })
      }
    }
    return taken
  }

  /** Of what it lists the same is to be asked. */
  function take(repository: number, { content, lists }: AloneRow) {
    sql.noteTaken.run(repository, content)
    const isLost = sql.deleteMember.get(repository, content) !== 0
    return { below: lists === 1 ? [content] : [], isLost }
  }
}

// What `children` takes, repository: members among them that are no manifests here, and that no
// member lists any more. A foreign layer counts as listed: a client may have
// brought it.
export const LIST_ALONE = (children: string, listers = LISTERS_THERE) => `
SELECT m.content, m.reason <> ${REASON_CODES.confirmed} AS lists
FROM (${children}) listed
CROSS JOIN repository_content m ON m.content = listed.child AND m.repository = ?
CROSS JOIN content c ON c.id = m.content
WHERE NOT ${IS_GIVEN('m', 'c')} AND NOT EXISTS (${listers})`

function prepareRemoval(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const told = ['promised', 'lease'].map(
    table => `SELECT 1 FROM ${table} WHERE repository = @repository AND content = @content`,
  )
  const isTold = `${told.join(' UNION ALL ')} AND until >= @leasesOverMs`
  return {
    deleteMember: row(
      'DELETE FROM repository_content WHERE repository = ? AND content = ? RETURNING holds',
    ).pluck(),
    isLister: row(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_LISTER('m', 'c')}`,
    ),
    listAlone: row(LIST_ALONE(LISTED)),
    findAlone: row(LIST_ALONE('SELECT ? AS child')),
    noteTaken: row(
      `INSERT INTO taken (repository, content, delivered)
       SELECT repository, content, delivered FROM repository_content WHERE repository = ? AND content = ?
       ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)`,
    ),
    isPromised: row(
      `SELECT 1 FROM content WHERE id = @content AND present = 1 AND class = ${CLASS_CODES.kept}
         AND NOT EXISTS (SELECT 1 FROM repository_content m
           WHERE m.repository = @repository AND m.content = @content AND ${FOR_OTHERS})
       UNION ALL ${isTold}`,
    ),
    isLeased: row(isTold),
    forgetTaken: row('DELETE FROM taken WHERE repository = ? AND content = ?'),
  }
}
