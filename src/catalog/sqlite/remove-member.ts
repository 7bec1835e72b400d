// What a delete takes out of a repository: the content itself, the tags that point to it, and, if
// it was a manifest there, what nothing else there lists (R255); what is pending for a push that
// may be under way once that is over (R296).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { PendingBlob } from '../../registry/ports/catalog-pushes.ts'
import { EDGE_CODES, REASON_CODES } from './encoding.ts'
import type { Ids } from './ids.ts'
import { IS_GIVEN } from './members.ts'
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
}

export function memberRemoval(database: Database, { ids, tags, pending }: RemovalParts) {
  const sql = prepareRemoval(database)

  return { removeMember, expirePendingBlob }

  function removeMember(repository: Repository, digest: Digest): void {
    const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
    if (id === undefined || content === undefined) return
    sql.forgetTaken.run(id, content)
    pending.drop(id, content)
    const isLister = sql.isLister.get(id, content) !== undefined
    if (sql.deleteMember.run(id, content).changes === 0) return
    tags.deleteTagsOf(id, content)
    if (isLister) takeBelow(id, [content])
  }

  /** What a delete has left for it goes now, unless something lists it by now. */
  function expirePendingBlob({ repository, digest, acknowledgedAtMs }: PendingBlob): void {
    const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
    if (id === undefined || content === undefined) return
    if (!pending.expire(id, content, acknowledgedAtMs)) return
    const alone = sql.findAlone.get(content, id) as AloneRow | undefined
    if (alone !== undefined) takeBelow(id, take(id, alone))
  }

  /** Not recursive: an upstream's indexes may be nested as deep as it likes. */
  function takeBelow(repository: number, gone: number[]): void {
    for (const parent of gone) {
      for (const child of sql.listAlone.all(parent, repository) as AloneRow[])
        if (!pending.deferRemoval(repository, child.content)) gone.push(...take(repository, child))
    }
  }

  /** Of what it lists the same is to be asked. */
  function take(repository: number, { content, lists }: AloneRow): number[] {
    sql.noteTaken.run(repository, content)
    sql.deleteMember.run(repository, content)
    return lists === 1 ? [content] : []
  }
}

/**
 * Does what it lists belong here through it, or did a client list it? A blob lists nothing,
 * whatever it is elsewhere.
 */
const IS_LISTER = (m: string, c: string) =>
  `(${m}.reason <> ${REASON_CODES.confirmed} OR ${IS_GIVEN(m, c)})`

// What `children` takes, repository: members among them that are no manifests here, and that no
// member lists any more. A foreign layer counts as listed: a client may have
// brought it.
const LIST_ALONE = (children: string) => `
SELECT m.content, m.reason <> ${REASON_CODES.confirmed} AS lists
FROM (${children}) e
CROSS JOIN repository_content m ON m.content = e.child AND m.repository = ?
CROSS JOIN content c ON c.id = m.content
WHERE NOT ${IS_GIVEN('m', 'c')} AND NOT EXISTS (
  SELECT 1 FROM edge other
  CROSS JOIN repository_content p ON p.content = other.parent AND p.repository = m.repository
  CROSS JOIN content pc ON pc.id = p.content
  WHERE other.child = m.content AND other.kind <> ${EDGE_CODES.subject} AND ${IS_LISTER('p', 'pc')})`

function prepareRemoval(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    deleteMember: row('DELETE FROM repository_content WHERE repository = ? AND content = ?'),
    isLister: row(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_LISTER('m', 'c')}`,
    ),
    listAlone: row(
      LIST_ALONE(
        `SELECT DISTINCT child FROM edge WHERE parent = ? AND kind <> ${EDGE_CODES.subject}`,
      ),
    ),
    findAlone: row(LIST_ALONE('SELECT ? AS child')),
    noteTaken: row(
      `INSERT INTO taken (repository, content, delivered)
       SELECT repository, content, delivered FROM repository_content WHERE repository = ? AND content = ?
       ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)`,
    ),
    forgetTaken: row('DELETE FROM taken WHERE repository = ? AND content = ?'),
  }
}
