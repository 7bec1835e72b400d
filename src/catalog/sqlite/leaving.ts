// Content on its way out: a row becomes absent and an intent stands in its place, in one
// transaction; when its file is gone, so is the intent, and with it what only the row was for. What
// records the digest again takes the intent away by a trigger (schema-space.ts).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryKey } from '../../oci/reference.ts'
import type { Leaves, LeavingContent, LetGo } from '../../registry/ports/catalog-space.ts'
import {
  CLASS_CODES,
  digestBytes,
  digestFromBytes,
  EDGE_CODES,
  LEAVE_CODES,
  leaveReason,
} from './encoding.ts'
import type { Ids } from './ids.ts'
import { LISTED, LISTERS_THERE, NEEDS, UNPROMISED, UNPROMISED_THERE } from './needed.ts'

interface LeavingRow {
  readonly digest: Buffer
  readonly size: number
  readonly reason: number
  readonly at: number
}

const ROWS = 'SELECT l.digest, l.size, l.reason, l.at FROM'

export function leavingReads(database: Database) {
  const list = database.prepare(
    `${ROWS} leaving l CROSS JOIN content c ON c.id = l.content
     WHERE l.digest > ? AND c.present = 0 ORDER BY l.digest LIMIT ?`,
  )
  const find = database.prepare(
    `${ROWS} content c JOIN leaving l ON l.content = c.id WHERE c.digest = ? AND c.present = 0`,
  )
  const stillLeaving = database
    .prepare(
      'SELECT c.present FROM leaving l CROSS JOIN content c ON c.id = l.content WHERE l.digest = ?',
    )
    .pluck()
  const whichLeave = database.transaction(
    (digests: readonly Digest[]): ReadonlySet<Digest> =>
      new Set(digests.filter(digest => stillLeaving.get(digestBytes(digest)) === 0)),
  )
  const listRepositories = database
    .prepare(
      `SELECT key FROM repository WHERE id IN (
         SELECT m.repository FROM leaving l CROSS JOIN repository_content m ON m.content = l.content WHERE l.at = ?)
       LIMIT ?`,
    )
    .pluck()

  return {
    listLeaving({ after, limit }: { after?: Digest; limit: number }): LeavingContent[] {
      const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
      return (list.all(start, limit) as LeavingRow[]).map(leavingOf)
    },
    findLeaving(digest: Digest): LeavingContent | undefined {
      const row = find.get(digestBytes(digest)) as LeavingRow | undefined
      return row === undefined ? undefined : leavingOf(row)
    },
    whichLeave: (digests: readonly Digest[]) => whichLeave(digests),
    listRepositoriesLeft: (atMs: number, limit: number) =>
      listRepositories.all(atMs, limit) as RepositoryKey[],
  }
}

function leavingOf({ digest, size, reason, at }: LeavingRow): LeavingContent {
  return {
    digest: digestFromBytes(digest),
    sizeBytes: size,
    reason: leaveReason(reason),
    atMs: at,
  }
}

type Leave = Omit<LetGo, 'digests'>

/** `between` is called before each content: there may be very much of it in one write. */
export function leavingWrites(database: Database, ids: Ids, between: () => void) {
  const sql = prepareLeaving(database)

  return { letGo, leaveImage, isSpared, finishLeaving }

  function letGo({ digests, ...leave }: LetGo): Leaves[][] {
    return digests.map(digest => {
      const id = ids.knownContent(digest)
      return id === undefined ? [] : leaveAll([{ id }], leave)
    })
  }

  function isSpared(id: number, spared: Leave['spared']): boolean {
    if (spared === undefined || spared.size === 0) return false
    return spared.has(digestOf(id))
  }

  /**
   * A manifest that a repository was given no more: an index that lists it does not need it, of
   * which others may be here. Where it stays for another repository, `needed` may not: what the
   * manifest has needed so far.
   */
  function leaveImage(id: number, needed: readonly number[], leave: Leave): Leaves[] {
    const listedBy = digestOf(id)
    const contents = [{ id }, ...needed.map(each => ({ id: each, listedBy }))]
    return leaveAll(contents, leave, sql.intendImage)
  }

  /** With what becomes loose by it, level by level: a graph may be as deep as it likes. */
  function leaveAll(
    contents: { readonly id: number; readonly listedBy?: Digest }[],
    { reason, atMs, spared }: Leave,
    intendFirst = sql.intend,
  ): Leaves[] {
    const isEvicted = reason === 'evicted' ? 1 : 0
    const leaves: Leaves[] = []
    for (const [at, { id, listedBy }] of contents.entries()) {
      between()
      if (isSpared(id, spared)) continue
      const intend = at === 0 ? intendFirst : sql.intend
      const size = intend.get(LEAVE_CODES[reason], atMs, id, isEvicted) as number | undefined
      if (size === undefined) continue
      const digest = digestOf(id)
      leaves.push({ digest, sizeBytes: size, listedBy })
      const listed = sql.listed.all(id) as number[]
      sql.setAbsent.run(id)
      // No manifest that is here lists it, so they are of nothing.
      sql.dropHolds.run(id)
      for (const child of listed) contents.push({ id: child, listedBy: digest })
    }
    return leaves
  }

  function digestOf(id: number): Digest {
    return digestFromBytes(sql.digestOf.get(id) as Buffer)
  }

  function finishLeaving(digests: readonly Digest[]): void {
    for (const digest of digests) {
      between()
      const id = ids.knownContent(digest)
      if (id === undefined || sql.finish.run(id).changes === 0) continue
      const listed = sql.anyListed.all(id) as number[]
      sql.deleteEdges.run(id)
      sql.deleteMembers.run(id)
      for (const each of [id, ...listed]) sql.dropRow.run(each)
    }
  }
}

export type LeavingWrites = ReturnType<typeof leavingWrites>

// Once more, whatever was counted: what leaves is gone.
const UNGIVEN = `NOT EXISTS (
  SELECT 1 FROM repository_content m WHERE m.content = c.id AND coalesce(m.media_type, '') <> '')`
const UNLISTED = `NOT EXISTS (
  SELECT 1 FROM edge e CROSS JOIN content p ON p.id = e.parent AND p.present = 1
  WHERE e.child = c.id AND ${NEEDS})`

// reason, time, content, is it evicted?
const INTEND = (isLoose: string) => `
INSERT INTO leaving (content, digest, size, reason, at)
SELECT c.id, c.digest, c.size, ?, ? FROM content c
WHERE c.id = ? AND c.present = 1 AND ${isLoose} AND ${UNGIVEN} AND (c.class = ${CLASS_CODES.cached} OR ? = 0) AND ${UNPROMISED}
ON CONFLICT DO UPDATE SET size = excluded.size, reason = excluded.reason, at = excluded.at
RETURNING size`

// Nothing that is named anywhere: numbers are given again.
const NAMED_IN = [
  'edge WHERE parent',
  'edge WHERE child',
  'repository_content WHERE content',
  'tag WHERE content',
  'tag WHERE previous',
  'taken WHERE content',
  'promised WHERE content',
  'lease WHERE content',
  'leaving WHERE content',
  'carried WHERE content',
]

/** Of the content `gone`: nor is it unclear, which it may be before it is here. */
export const UNNAMED = [
  'gone.unclear = 0',
  ...NAMED_IN.map(where => `NOT EXISTS (SELECT 1 FROM ${where} = gone.id)`),
].join(' AND ')

function prepareLeaving(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => row(sql).pluck()
  return {
    intend: one(INTEND(`c.refs = 0 AND ${UNLISTED}`)),
    intendImage: one(
      INTEND(
        `c.refs = (SELECT count(*) FROM edge e CROSS JOIN content p ON p.id = e.parent AND p.present = 1
           WHERE e.child = c.id AND e.kind = ${EDGE_CODES.manifest} AND ${NEEDS})`,
      ),
    ),
    listed: one(LISTED),
    digestOf: one('SELECT digest FROM content WHERE id = ?'),
    setAbsent: row(
      `UPDATE content SET present = 0, size = NULL, media_type = NULL, class = NULL, created_at = NULL, last_used_at = NULL,
         unclear = 0
       WHERE id = ?`,
    ),
    dropHolds: row('UPDATE repository_content SET holds = 0 WHERE content = ? AND holds <> 0'),
    finish: row(
      'DELETE FROM leaving WHERE content = ? AND (SELECT present FROM content WHERE id = leaving.content) = 0',
    ),
    anyListed: one('SELECT DISTINCT child FROM edge WHERE parent = ?'),
    deleteEdges: row('DELETE FROM edge WHERE parent = ?'),
    // As which nobody was given a manifest, nobody was told lately, and no manifest there lists
    // that stays: what leaves along with it is listed by nothing in a moment.
    deleteMembers: row(
      `DELETE FROM repository_content AS m WHERE m.content = ? AND m.holds = 0 AND coalesce(m.media_type, '') = ''
         AND ${UNPROMISED_THERE}
         AND NOT EXISTS (${LISTERS_THERE} AND pc.present = 1)`,
    ),
    dropRow: row(`DELETE FROM content AS gone WHERE id = ? AND present = 0 AND ${UNNAMED}`),
  }
}
