// Manifests with what they list: recorded as an upstream gives them, or as a client pushes them;
// and what follows from either for membership (docs/adr/0004-membership.md).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { RecordedManifest, RecordManifest } from '../../registry/ports/catalog-content.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import { MAX_REFERRERS } from '../bounds.ts'
import {
  CONTENT_COLUMNS,
  type ContentRow,
  type ContentWrites,
  type PresentContent,
} from './content.ts'
import { digestBytes, digestFromBytes, EDGE_CODES, REASON_CODES } from './encoding.ts'
import { edgeReads, edgeWrites } from './edges.ts'
import type { Ids } from './ids.ts'
import { MEMBER, memberKey, type MemberWrites, NOT_GIVEN, READING, UNEXPIRED } from './members.ts'
import { IS_GIVEN, LISTS } from './needed.ts'
import type { PendingWrites } from './pending.ts'

/**
 * Content below one manifest that is made a member at once. Only a graph made to hurt has more;
 * what is left out is asked for at the upstream again.
 */
const MAX_BELOW = 100_000
/** A layer of a base image is listed by thousands, and those that were asked agree. */
const LISTERS_ASKED = 64

interface SizedRow {
  readonly repository: number
  readonly delivered: number
  readonly id: number
  readonly size: number | null
}

export function manifestReads(database: Database, nowMs: () => number) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => database.prepare(sql).pluck()
  const findManifest = row(
    `SELECT ${CONTENT_COLUMNS}, ${READING} AS reading
     FROM (SELECT m.content, m.media_type ${MEMBER}) m CROSS JOIN content c ON c.id = m.content AND c.present = 1`,
  )
  const { listEdges } = edgeReads(database)
  // A forgotten row has no size of its own.
  const sized = row(
    `SELECT m.repository, m.delivered, c.id, c.size FROM (SELECT m.repository, m.content, m.delivered ${MEMBER}) m
     CROSS JOIN content c ON c.id = m.content`,
  )
  // What its upstream's manifests say, two when they do not agree; what clients have pushed says
  // nothing here (R253).
  const listedSizes = one(
    `SELECT DISTINCT size FROM (
       SELECT e.size FROM edge e
       CROSS JOIN repository_content p ON p.content = e.parent AND p.repository = ? AND p.reason <> ${REASON_CODES.confirmed}
       WHERE e.child = ? AND ${LISTS} AND e.distributable = 1
       LIMIT ${LISTERS_ASKED})
     LIMIT 2`,
  )

  return {
    findManifest(repository: Repository, digest: Digest): RecordedManifest | undefined {
      const found = findManifest.get(...memberKey(repository, digest, nowMs())) as
        | (ContentRow & { readonly reading: string | null })
        | undefined
      if (found?.reading == null) return undefined
      const edges = listEdges(found.id)
      return { digest, mediaType: found.reading, sizeBytes: found.size, edges }
    },
    sizeOf(repository: Repository, digest: Digest): number | undefined {
      const found = sized.get(...memberKey(repository, digest, nowMs())) as SizedRow | undefined
      if (found === undefined) return undefined
      const listed =
        found.delivered === 1 && found.size !== null
          ? []
          : (listedSizes.all(found.repository, found.id) as number[])
      if (listed.length > 1) return undefined
      return listed[0] ?? found.size ?? undefined
    },
    ...aboveReads(database, nowMs),
  }
}

/** Manifests of a repository that name it. */
function aboveReads(database: Database, nowMs: () => number) {
  const prepare = (kind: string, page: string) =>
    database
      .prepare(
        `SELECT DISTINCT c.digest FROM edge e
         CROSS JOIN repository_content m ON m.content = e.parent
           AND m.repository = (SELECT id FROM repository WHERE key = ?)
         CROSS JOIN content c ON c.id = e.parent AND c.present = 1 AND ${READING} IS NOT NULL
         WHERE e.child = (SELECT id FROM content WHERE digest = ?) AND ${kind} AND ${UNEXPIRED} ${page}`,
      )
      .pluck()
  const listReferrers = prepare(
    `e.kind = ${EDGE_CODES.subject}`,
    `ORDER BY c.digest LIMIT ${MAX_REFERRERS}`,
  )
  const listListers = prepare(LISTS, 'AND c.digest > ? ORDER BY c.digest LIMIT ?')

  return {
    listReferrers(repository: Repository, digest: Digest): Digest[] {
      const rows = listReferrers.all(...memberKey(repository, digest, nowMs())) as Buffer[]
      return rows.map(digestFromBytes)
    },
    listListers(
      repository: Repository,
      digest: Digest,
      { after, limit }: { after?: Digest; limit: number },
    ): Digest[] {
      const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
      const of = memberKey(repository, digest, nowMs())
      return (listListers.all(...of, start, limit) as Buffer[]).map(digestFromBytes)
    },
  }
}

// parent, repository. A subject is not listed by its referrer: whoever may push a referrer must not
// thereby gain its subject (R179). Nor is a foreign layer (R250): an author may list any digest as
// that. It does not go on below what only a client has described.
const INSERT_BELOW = `
WITH RECURSIVE below (id) AS (
  SELECT e.child FROM edge e WHERE e.parent = ? AND ${LISTS} AND e.distributable = 1
  UNION
  SELECT e.child FROM below b JOIN edge e
    ON e.parent = b.id AND ${LISTS} AND e.distributable = 1
  WHERE (SELECT claimed FROM content WHERE id = b.id) = 0
  LIMIT ${MAX_BELOW}
)
INSERT INTO repository_content (repository, content, reason, media_type, delivered)
SELECT ?, id, ${REASON_CODES.listed}, ${NOT_GIVEN}, 0 FROM below WHERE true
ON CONFLICT DO UPDATE SET reason = excluded.reason WHERE reason = ${REASON_CODES.confirmed}`

interface ManifestWriteParts {
  readonly ids: Ids
  readonly content: ContentWrites
  readonly members: MemberWrites
  readonly pending: PendingWrites
}

/** What a push and an upstream's answer say of a manifest alike. */
type ManifestContent = Pick<RecordPush, 'repository' | 'manifest' | 'hold' | 'atMs'> &
  Pick<PresentContent, 'verified'>

export function manifestWrites(database: Database, parts: ManifestWriteParts) {
  const { ids, content, members, pending } = parts
  const sql = prepareManifestWrites(database)
  const edges = edgeWrites(database, ids)

  return { recordManifest, recordPushed }

  /**
   * As an upstream says: what the manifest lists is a member, too, and so wherever an upstream
   * lists the manifest (R179).
   */
  function recordManifest(record: RecordManifest): void {
    const { repository, id } = setManifest({ ...record, hold: 'nothing', verified: 'yes' })
    const { manifest, apart = false } = record
    const edgesChanged = edges.record(id, manifest.edges, apart)
    const isNews = sql.prove.run(id).changes === 1 || edgesChanged
    const reason = sql.findReason.get(repository, id)
    sql.insertManifest.run(repository, id, manifest.mediaType, apart ? 1 : 0)
    if (edgesChanged && apart) edges.findNeeds(id)
    if (reason === undefined || reason === REASON_CODES.confirmed) addBelow(repository, id)
    // Another repository may have listed this manifest before its bytes, and so its children, were
    // known.
    if (isNews) for (const lister of sql.findListers.all(id)) addBelow(lister as number, id)
  }

  /** As a client says, which proves nothing of what is below: neither here nor at an upstream. */
  function recordPushed(record: RecordPush): void {
    const { manifest, confirmed = [], completes = false } = record
    const { repository, id } = setManifest({ ...record, verified: 'if new' })
    if (edges.record(id, manifest.edges)) sql.claim.run(id)
    sql.notePushed.run(repository)
    // A second tag, or a PUT that is repeated, sends no blob: what is pending by then is of others,
    // unless it is all that an image lists. Then that was sent once more, whole.
    const isNew = sql.isGiven.get(repository, id) === undefined
    sql.pushManifest.run(repository, id, manifest.mediaType)
    if (completes && (isNew || pending.wasSentWhole(repository, id)))
      pending.complete(repository, id)
    for (const member of confirmed) members.confirm(repository, ids.contentId(member))
  }

  function setManifest({ repository, manifest, ...how }: ManifestContent) {
    const id = ids.contentId(manifest.digest)
    const { sizeBytes, mediaType } = manifest
    content.setPresent(id, { ...how, sizeBytes, mediaType })
    return { repository: ids.repositoryId(repository), id }
  }

  function addBelow(repository: number, parent: number): void {
    sql.insertBelow.run(parent, repository)
  }
}

function prepareManifestWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => database.prepare(sql).pluck()
  return {
    notePushed: row('UPDATE repository SET pushed = 1 WHERE id = ? AND pushed = 0'),
    pushManifest: row(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
       VALUES (?, ?, ${REASON_CODES.confirmed}, ?, 1)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type, delivered = 1, apart = 0
       WHERE media_type IS NOT excluded.media_type OR delivered = 0 OR apart = 1`,
    ),
    findReason: one('SELECT reason FROM repository_content WHERE repository = ? AND content = ?'),
    // What was pushed, and is held for that, stays what it was pushed as.
    insertManifest: row(
      `INSERT INTO repository_content AS m (repository, content, reason, media_type, delivered, apart)
       VALUES (?, ?, ${REASON_CODES.manifest}, ?, 1, ?)
       ON CONFLICT DO UPDATE SET reason = excluded.reason, delivered = 1,
         media_type = iif(m.holds <> 0 AND m.media_type <> '', m.media_type, excluded.media_type),
         apart = iif(m.media_type <> '', min(m.apart, excluded.apart), excluded.apart)
       WHERE m.reason <> excluded.reason OR m.media_type IS NOT excluded.media_type OR m.delivered = 0
         OR m.apart > excluded.apart`,
    ),
    insertBelow: row(INSERT_BELOW),
    findListers: one(
      `SELECT repository FROM repository_content WHERE content = ? AND reason <> ${REASON_CODES.confirmed}`,
    ),
    claim: row('UPDATE content SET claimed = 1 WHERE id = ? AND claimed = 0'),
    prove: row('UPDATE content SET claimed = 0 WHERE id = ? AND claimed = 1'),
    isGiven: one(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_GIVEN('m', 'c')}`,
    ),
  }
}
