// The SQL of the reads, prepared once per connection: each a few look-ups by key. What they are for
// is told in reader.ts.
import type { Database } from 'better-sqlite3'
import { MAX_DELIVERERS, MAX_REFERRERS } from '../bounds.ts'
import { EDGE_CODES, REASON_CODES } from './encoding.ts'

// Nothing that is written today expires; a file that a later version wrote may hold what does.
const UNEXPIRED = '(m.expires IS NULL OR m.expires > ?)'
/**
 * Takes repository key, digest, now. Scalar look-ups instead of a join: 4 µs against 11, measured.
 */
const MEMBER = `
FROM repository_content m
WHERE m.repository = (SELECT id FROM repository WHERE key = ?)
  AND m.content = (SELECT id FROM content WHERE digest = ?)
  AND ${UNEXPIRED}`

const CONTENT_COLUMNS =
  'c.id, c.digest, c.size, c.media_type, c.class, c.created_at, c.last_used_at'
/** A layer of a base image is listed by thousands, and those that were asked agree. */
const LISTERS_ASKED = 64

/**
 * As which manifest the member `m` with the content `c` was given here; NULL when it was not. Rows
 * that an older minor added have none of their own (schema-trust.ts).
 */
const READING = `nullif(coalesce(m.media_type, c.media_type), '')`
const TAG_COLUMNS = `t.name, c.digest, t.checked_at, t.changed_at,
  (SELECT digest FROM content WHERE id = t.previous) AS previous, t.previous_checked_at, t.local`
const TAG_TABLES =
  'FROM repository r JOIN tag t ON t.repository = r.id JOIN content c ON c.id = t.content'

/** Statements by what they read. */
export function prepareReads(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => database.prepare(sql).pluck()
  return {
    findManifest: row(
      `SELECT ${CONTENT_COLUMNS}, ${READING} AS reading
       FROM (SELECT m.content, m.media_type ${MEMBER}) m CROSS JOIN content c ON c.id = m.content AND c.present = 1`,
    ),
    // Content that is not here is a manifest to nobody.
    findMember: row(
      `SELECT m.delivered, iif(c.present = 1, ${READING}, NULL) AS reading
       FROM (SELECT m.content, m.media_type, m.delivered ${MEMBER}) m CROSS JOIN content c ON c.id = m.content`,
    ),
    listEdges: row(
      `SELECT c.digest, e.kind, e.size, e.media_type, e.platform, e.distributable
       FROM edge e JOIN content c ON c.id = e.child WHERE e.parent = ? ORDER BY e.position`,
    ),
    findContent: row(
      `SELECT ${CONTENT_COLUMNS} FROM content c WHERE c.digest = ? AND c.present = 1`,
    ),
    taken: one(
      `SELECT 1 FROM taken WHERE repository = (SELECT id FROM repository WHERE key = ?)
         AND content = (SELECT id FROM content WHERE digest = ?)`,
    ),
    listDeliverers: one(
      `SELECT DISTINCT substr(r.key, 1, instr(r.key, '/') - 1) AS registry FROM (
         SELECT m.repository FROM repository_content m
         WHERE m.content = (SELECT id FROM content WHERE digest = ?) AND m.delivered = 1 AND ${UNEXPIRED}
         UNION ALL
         SELECT repository FROM taken WHERE content = (SELECT id FROM content WHERE digest = ?) AND delivered = 1
       ) JOIN repository r ON r.id = repository
       ORDER BY registry LIMIT ${MAX_DELIVERERS}`,
    ),
    // A forgotten row has no size of its own.
    sized: row(
      `SELECT m.repository, m.delivered, c.id, c.size FROM (SELECT m.repository, m.content, m.delivered ${MEMBER}) m
       CROSS JOIN content c ON c.id = m.content`,
    ),
    // What its upstream's manifests say, two when they do not agree; what clients have pushed says
    // nothing here (R253).
    listedSizes: one(
      `SELECT DISTINCT size FROM (
         SELECT e.size FROM edge e
         CROSS JOIN repository_content p ON p.content = e.parent AND p.repository = ? AND p.reason <> ${REASON_CODES.confirmed}
         WHERE e.child = ? AND e.kind <> ${EDGE_CODES.subject} AND e.distributable = 1
         LIMIT ${LISTERS_ASKED})
       LIMIT 2`,
    ),
    findTag: row(`SELECT ${TAG_COLUMNS} ${TAG_TABLES} WHERE r.key = ? AND t.name = ?`),
    listTags: row(
      `SELECT ${TAG_COLUMNS} ${TAG_TABLES} WHERE r.key = ? AND t.name > ? ORDER BY t.name LIMIT ?`,
    ),
    // Named, because the planner takes the primary key, which holds the other tags too.
    listLocalTags: row(
      `SELECT ${TAG_COLUMNS} FROM tag t INDEXED BY tag_local JOIN content c ON c.id = t.content
       WHERE t.repository = (SELECT id FROM repository WHERE key = ?) AND t.local = 1 AND t.name > ?
       ORDER BY t.name LIMIT ?`,
    ),
    listHolders: one(
      `SELECT r.key FROM repository_content m JOIN repository r ON r.id = m.repository
       WHERE m.content = (SELECT id FROM content WHERE digest = ? AND present = 1)
         AND r.key > ? AND r.key < ? AND ${UNEXPIRED}
       ORDER BY r.key LIMIT ?`,
    ),
    listRepositoriesOf: one(
      `SELECT r.key FROM repository_content m JOIN repository r ON r.id = m.repository
       WHERE m.content = (SELECT id FROM content WHERE digest = ?) LIMIT ?`,
    ),
    listRepositories: one(
      'SELECT key FROM repository WHERE (held > 0 OR pushed = 1) AND key > ? ORDER BY key LIMIT ?',
    ),
    listReferrers: one(
      `SELECT DISTINCT c.digest FROM edge e
       CROSS JOIN repository_content m ON m.content = e.parent
         AND m.repository = (SELECT id FROM repository WHERE key = ?)
       CROSS JOIN content c ON c.id = e.parent AND c.present = 1 AND ${READING} IS NOT NULL
       WHERE e.child = (SELECT id FROM content WHERE digest = ?) AND e.kind = ${EDGE_CODES.subject}
         AND ${UNEXPIRED}
       ORDER BY c.digest LIMIT ${MAX_REFERRERS}`,
    ),
    listPendingBlobs: row(
      `SELECT r.key, c.digest, p.at FROM promised p
       JOIN repository r ON r.id = p.repository JOIN content c ON c.id = p.content
       WHERE p.at < ? OR p.at > ? ORDER BY p.at, r.key, c.digest LIMIT ?`,
    ),
    findList: row(
      `SELECT l.body, l.checked_at FROM repository r JOIN list l ON l.repository = r.id
       WHERE r.key = ? AND l.key = ?`,
    ),
    listContent: row(
      `SELECT ${CONTENT_COLUMNS} FROM content c WHERE c.digest > ? AND c.present = 1
       ORDER BY c.digest LIMIT ?`,
    ),
    totals: row(
      `SELECT repositories, tags, manifests, blobs, content_bytes AS contentBytes FROM totals`,
    ),
    sequence: one(`SELECT value FROM meta WHERE key = 'sequence'`),
    identity: one(`SELECT value FROM meta WHERE key = 'identity'`),
    rebuilt: one(`SELECT 1 FROM meta WHERE key = 'rebuilt'`),
    compared: one(
      `SELECT 1 FROM meta mark JOIN meta sequence ON sequence.key = 'sequence' AND sequence.value = mark.value
       WHERE mark.key = 'facts compared'`,
    ),
    damaged: one(`SELECT value FROM meta WHERE key = 'damaged predecessor'`),
  }
}
