// The SQL of the writes, prepared once per connection. What they mean together is told in operations.ts.
import type { Database } from 'better-sqlite3'
import { EDGE_CODES, REASON_CODES } from './encoding.ts'

/**
 * Content below one manifest that is made a member at once. Only a graph made to hurt has more; what is left out is
 * asked for at the upstream again.
 */
const MAX_BELOW = 100_000

export interface EdgeRow {
  readonly digest: Buffer
  readonly kind: number
  readonly size: number
  readonly media_type: string
  readonly platform: string | null
  readonly distributable: number
}

const SET_PRESENT = `
UPDATE content SET
  size = @size,
  media_type = coalesce(@mediaType, media_type),
  class = iif(present, max(class, @class), @class),
  created_at = iif(present, created_at, @atMs),
  last_used_at = iif(present, max(last_used_at, @atMs), @atMs),
  present = 1
WHERE id = @id`

const FORGET_CONTENT = `
UPDATE content SET present = 0, size = NULL, media_type = NULL, class = NULL, created_at = NULL, last_used_at = NULL
WHERE digest = ? AND present = 1`

// A subject is not listed by its referrer: whoever may push a referrer must not thereby gain its subject (R179).
const INSERT_BELOW = `
WITH RECURSIVE below (id, size) AS (
  SELECT child, size FROM edge WHERE parent = @parent AND kind <> ${EDGE_CODES.subject}
  UNION
  SELECT e.child, e.size FROM below b JOIN edge e ON e.parent = b.id AND e.kind <> ${EDGE_CODES.subject}
  LIMIT ${MAX_BELOW}
)
INSERT INTO repository_content (repository, content, reason, size)
SELECT @repository, id, ${REASON_CODES.listed}, size FROM below WHERE true
ON CONFLICT DO UPDATE SET size = excluded.size WHERE size IS NULL`

const UPSERT_TAG = `
INSERT INTO tag (repository, name, content, checked_at, changed_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  changed_at = iif(content = excluded.content, changed_at, excluded.changed_at),
  checked_at = excluded.checked_at,
  content = excluded.content`

const LIST_EDGES = `
SELECT c.digest, e.kind, e.size, e.media_type, e.platform, e.distributable
FROM edge e JOIN content c ON c.id = e.child WHERE e.parent = ? ORDER BY e.position`

/** Statements by what they do. */
export function prepareWrites(database: Database) {
  const one = (sql: string) => database.prepare(sql).pluck()
  const row = (sql: string) => database.prepare(sql)
  return {
    findRepository: one('SELECT id FROM repository WHERE key = ?'),
    insertRepository: one('INSERT INTO repository (key) VALUES (?) RETURNING id'),
    findContent: one('SELECT id FROM content WHERE digest = ?'),
    insertContent: one('INSERT INTO content (digest) VALUES (?) RETURNING id'),
    setPresent: row(SET_PRESENT),
    forgetContent: row(FORGET_CONTENT),
    noteUse: row(
      'UPDATE content SET last_used_at = ? WHERE digest = ? AND present = 1 AND last_used_at < ?',
    ),
    insertMember: row(
      'INSERT INTO repository_content (repository, content, reason) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    strengthenMember: row(
      'UPDATE repository_content SET reason = @reason WHERE repository = @repository AND content = @content AND reason < @reason',
    ),
    insertBelow: row(INSERT_BELOW),
    findHolders: one('SELECT repository FROM repository_content WHERE content = ?'),
    listEdges: row(LIST_EDGES),
    deleteEdges: row('DELETE FROM edge WHERE parent = ?'),
    insertEdge: row(
      `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable)
       VALUES (@parent, @position, @child, @kind, @size, @mediaType, @platform, @distributable)`,
    ),
    upsertTag: row(UPSERT_TAG),
    deleteTag: row(
      'DELETE FROM tag WHERE repository = (SELECT id FROM repository WHERE key = ?) AND name = ?',
    ),
    markRecovered: row(`DELETE FROM meta WHERE key = 'damaged predecessor'`),
    upsertList: row(
      `INSERT INTO list (repository, key, body, checked_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET body = excluded.body, checked_at = excluded.checked_at`,
    ),
  }
}
