// The SQL of the writes, prepared once per connection. What they mean together is told in
// record-content.ts and record-tags.ts.
import type { Database } from 'better-sqlite3'
import { CLASS_CODES, EDGE_CODES, REASON_CODES } from './encoding.ts'

/**
 * Content below one manifest that is made a member at once. Only a graph made to hurt has more;
 * what is left out is asked for at the upstream again.
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

/** In the place of a media type: as a manifest it was not given to this repository. */
const NOT_GIVEN = `''`

/**
 * id, size, media type, class, time. The first media type stays: it says that this is a manifest
 * for somebody, and which to older versions.
 */
const SET_PRESENT = `
UPDATE content SET
  size = new.size,
  media_type = coalesce(content.media_type, new.media_type),
  class = iif(present, max(content.class, new.class), new.class),
  created_at = iif(present, created_at, new.at),
  last_used_at = iif(present, max(last_used_at, new.at), new.at),
  present = 1
FROM (SELECT ? AS id, ? AS size, ? AS media_type, ? AS class, ? AS at) AS new
WHERE content.id = new.id`

// What was pushed and belongs to somebody is never forgotten: its bytes may come back, and nothing
// else here says what they were.
const FORGET_CONTENT = `
UPDATE content SET present = 0, size = NULL, media_type = NULL, class = NULL, created_at = NULL, last_used_at = NULL
WHERE digest = ? AND present = 1
  AND (class = ${CLASS_CODES.cached} OR NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = content.id))`

// parent, repository. A subject is not listed by its referrer: whoever may push a referrer must not
// thereby gain its subject (R179). Nor is what is to be had from elsewhere (R250): an author may
// list any digest as that. It does not go on below what only a client has described.
const INSERT_BELOW = `
WITH RECURSIVE below (id) AS (
  SELECT child FROM edge WHERE parent = ? AND kind <> ${EDGE_CODES.subject} AND distributable = 1
  UNION
  SELECT e.child FROM below b JOIN edge e
    ON e.parent = b.id AND e.kind <> ${EDGE_CODES.subject} AND e.distributable = 1
  WHERE (SELECT claimed FROM content WHERE id = b.id) = 0
  LIMIT ${MAX_BELOW}
)
INSERT INTO repository_content (repository, content, reason, media_type, delivered)
SELECT ?, id, ${REASON_CODES.listed}, ${NOT_GIVEN}, 0 FROM below WHERE true
ON CONFLICT DO UPDATE SET reason = excluded.reason WHERE reason = ${REASON_CODES.confirmed}`

/**
 * Was the member `m` with the content `c` given here as a manifest? Rows that an older minor added
 * have no media type of their own.
 */
const IS_GIVEN = (m: string, c: string) => `coalesce(${m}.media_type, ${c}.media_type, '') <> ''`
/**
 * Does what it lists belong here through it, or did a client list it? A blob lists nothing,
 * whatever it is elsewhere.
 */
const IS_LISTER = (m: string, c: string) =>
  `(${m}.reason <> ${REASON_CODES.confirmed} OR ${IS_GIVEN(m, c)})`

// What `children` takes, repository: members among them that are no manifests here, and that no
// member lists any more. What is to be had from elsewhere counts as listed: a client may have
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

const UPSERT_TAG = `
INSERT INTO tag (repository, name, content, checked_at, changed_at, previous, previous_checked_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  previous = iif(content = excluded.content, previous, coalesce(excluded.previous, previous)),
  previous_checked_at = iif(
    content = excluded.content, previous_checked_at, coalesce(excluded.previous_checked_at, previous_checked_at)),
  changed_at = iif(content = excluded.content, changed_at, excluded.changed_at),
  checked_at = excluded.checked_at,
  content = excluded.content`

// repository, tag, content, checked at, changed at, local, entry of the outbox.
const PUSH_TAG = `
INSERT INTO tag (repository, name, content, checked_at, changed_at, local, delivery) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  changed_at = iif(content = excluded.content, changed_at, excluded.changed_at),
  checked_at = excluded.checked_at,
  content = excluded.content,
  local = excluded.local,
  delivery = excluded.delivery,
  previous = NULL,
  previous_checked_at = NULL`

// now, repository's key, tag, digest, entry of the outbox. Entries are carried in order, so a later
// push of the tag is still to come.
const SETTLE_TAG = `
UPDATE tag SET local = 0, checked_at = ?
WHERE repository = (SELECT id FROM repository WHERE key = ?) AND name = ?
  AND content = (SELECT id FROM content WHERE digest = ?)
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = tag.delivery AND o.id > ?)`

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
    notePushed: row('UPDATE repository SET pushed = 1 WHERE id = ? AND pushed = 0'),
    findContent: one('SELECT id FROM content WHERE digest = ?'),
    insertContent: one('INSERT INTO content (digest) VALUES (?) RETURNING id'),
    setPresent: row(SET_PRESENT),
    forgetContent: row(FORGET_CONTENT),
    noteUse: row(
      'UPDATE content SET last_used_at = ? WHERE digest = ? AND present = 1 AND last_used_at < ?',
    ),
    confirmMember: row(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
       VALUES (?, ?, ${REASON_CODES.confirmed}, ${NOT_GIVEN}, 0) ON CONFLICT DO NOTHING`,
    ),
    bringMember: row(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
       VALUES (?, ?, ${REASON_CODES.confirmed}, ${NOT_GIVEN}, 1)
       ON CONFLICT DO UPDATE SET delivered = 1 WHERE delivered = 0`,
    ),
    pushManifest: row(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
       VALUES (?, ?, ${REASON_CODES.confirmed}, ?, 1)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type, delivered = 1
       WHERE media_type IS NOT excluded.media_type OR delivered = 0`,
    ),
    findReason: one('SELECT reason FROM repository_content WHERE repository = ? AND content = ?'),
    insertManifest: row(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
       VALUES (?, ?, ${REASON_CODES.manifest}, ?, 1)
       ON CONFLICT DO UPDATE SET reason = excluded.reason, media_type = excluded.media_type, delivered = 1
       WHERE reason <> excluded.reason OR media_type IS NOT excluded.media_type OR delivered = 0`,
    ),
    insertBelow: row(INSERT_BELOW),
    findListers: one(
      `SELECT repository FROM repository_content WHERE content = ? AND reason <> ${REASON_CODES.confirmed}`,
    ),
    claim: row('UPDATE content SET claimed = 1 WHERE id = ? AND claimed = 0'),
    prove: row('UPDATE content SET claimed = 0 WHERE id = ? AND claimed = 1'),
    listEdges: row(LIST_EDGES),
    deleteEdges: row('DELETE FROM edge WHERE parent = ?'),
    insertEdge: row(
      `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    upsertTag: row(UPSERT_TAG),
    deleteTag: row(
      'DELETE FROM tag WHERE repository = (SELECT id FROM repository WHERE key = ?) AND name = ?',
    ),
    releaseTag: row('UPDATE tag SET local = 0 WHERE repository = ? AND name = ? AND local = 1'),
    pushTag: row(PUSH_TAG),
    settleTag: row(SETTLE_TAG),
    deleteMember: row('DELETE FROM repository_content WHERE repository = ? AND content = ?'),
    isLister: one(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_LISTER('m', 'c')}`,
    ),
    isGiven: one(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_GIVEN('m', 'c')}`,
    ),
    listAlone: row(
      LIST_ALONE(
        `SELECT DISTINCT child FROM edge WHERE parent = ? AND kind <> ${EDGE_CODES.subject}`,
      ),
    ),
    findAlone: row(LIST_ALONE('SELECT ? AS child')),
    // What was owed before it was brought again is owed no more.
    addPending: row(
      `INSERT INTO promised (repository, content, times, at) VALUES (?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET times = times + 1, at = excluded.at, owed = 0`,
    ),
    completePushes: row(
      `UPDATE promised SET times = times - 1, owed = 0 WHERE repository = ?
       AND content IN (SELECT child FROM edge WHERE parent = ? AND kind <> ${EDGE_CODES.subject})`,
    ),
    dropCompleted: row('DELETE FROM promised WHERE repository = ? AND times = 0'),
    dropPending: row('DELETE FROM promised WHERE repository = ? AND content = ?'),
    deferRemoval: row('UPDATE promised SET owed = 1 WHERE repository = ? AND content = ?'),
    expirePendingBlob: one(
      'DELETE FROM promised WHERE repository = ? AND content = ? AND at = ? RETURNING owed',
    ),
    noteTaken: row(
      `INSERT INTO taken (repository, content, delivered)
       SELECT repository, content, delivered FROM repository_content WHERE repository = ? AND content = ?
       ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)`,
    ),
    forgetTaken: row('DELETE FROM taken WHERE repository = ? AND content = ?'),
    releaseTagsOf: row(
      'UPDATE tag SET local = 0 WHERE content = ? AND repository = ? AND local = 1',
    ),
    deleteTagsOf: row('DELETE FROM tag WHERE content = ? AND repository = ?'),
    reserveSequence: row(
      `INSERT INTO meta (key, value) VALUES ('sequence', CAST(? AS INTEGER))
       ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`,
    ),
    giveBackSequence: row(`UPDATE meta SET value = CAST(? AS INTEGER) WHERE key = 'sequence'`),
    markRebuilt: row(`INSERT INTO meta (key, value) VALUES ('rebuilt', 1) ON CONFLICT DO NOTHING`),
    // By the range of numbers that every start goes beyond: so no start, of whichever version, has
    // to take the mark away.
    markCompared: row(
      `INSERT INTO meta (key, value) SELECT 'facts compared', value FROM meta WHERE key = 'sequence'
       ON CONFLICT DO UPDATE SET value = excluded.value`,
    ),
    markRecovered: row(`DELETE FROM meta WHERE key = 'damaged predecessor'`),
    upsertList: row(
      `INSERT INTO list (repository, key, body, checked_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET body = excluded.body, checked_at = excluded.checked_at`,
    ),
  }
}

export type WriteStatements = ReturnType<typeof prepareWrites>
