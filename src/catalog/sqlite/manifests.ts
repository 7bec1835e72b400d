// Manifests with what they list: recorded as an upstream gives them, or as a client pushes them;
// and what follows from either for membership (docs/adr/0004-membership.md).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type {
  Edge,
  RecordedManifest,
  RecordManifest,
} from '../../registry/ports/catalog-content.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import { MAX_REFERRERS } from '../bounds.ts'
import { CONTENT_COLUMNS, type ContentRow, type ContentWrites } from './content.ts'
import { digestFromBytes, EDGE_CODES, edgeKind, REASON_CODES } from './encoding.ts'
import type { Ids } from './ids.ts'
import {
  IS_GIVEN,
  MEMBER,
  memberKey,
  type MemberWrites,
  NOT_GIVEN,
  READING,
  UNEXPIRED,
} from './members.ts'
import type { PendingWrites } from './pending.ts'

/**
 * Content below one manifest that is made a member at once. Only a graph made to hurt has more;
 * what is left out is asked for at the upstream again.
 */
const MAX_BELOW = 100_000
/** A layer of a base image is listed by thousands, and those that were asked agree. */
const LISTERS_ASKED = 64

interface EdgeRow {
  readonly digest: Buffer
  readonly kind: number
  readonly size: number
  readonly media_type: string
  readonly platform: string | null
  readonly distributable: number
}

const LIST_EDGES = `
SELECT c.digest, e.kind, e.size, e.media_type, e.platform, e.distributable
FROM edge e JOIN content c ON c.id = e.child WHERE e.parent = ? ORDER BY e.position`

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
  const listEdges = row(LIST_EDGES)
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
       WHERE e.child = ? AND e.kind <> ${EDGE_CODES.subject} AND e.distributable = 1
       LIMIT ${LISTERS_ASKED})
     LIMIT 2`,
  )
  const listReferrers = one(
    `SELECT DISTINCT c.digest FROM edge e
     CROSS JOIN repository_content m ON m.content = e.parent
       AND m.repository = (SELECT id FROM repository WHERE key = ?)
     CROSS JOIN content c ON c.id = e.parent AND c.present = 1 AND ${READING} IS NOT NULL
     WHERE e.child = (SELECT id FROM content WHERE digest = ?) AND e.kind = ${EDGE_CODES.subject}
       AND ${UNEXPIRED}
     ORDER BY c.digest LIMIT ${MAX_REFERRERS}`,
  )

  return {
    findManifest(repository: Repository, digest: Digest): RecordedManifest | undefined {
      const found = findManifest.get(...memberKey(repository, digest, nowMs())) as
        | (ContentRow & { readonly reading: string | null })
        | undefined
      if (found?.reading == null) return undefined
      const edges = listEdges.all(found.id) as EdgeRow[]
      return { digest, mediaType: found.reading, sizeBytes: found.size, edges: edges.map(edgeOf) }
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
    listReferrers(repository: Repository, digest: Digest): Digest[] {
      const rows = listReferrers.all(...memberKey(repository, digest, nowMs())) as Buffer[]
      return rows.map(digestFromBytes)
    },
  }
}

function edgeOf(row: EdgeRow): Edge {
  return {
    child: digestFromBytes(row.digest),
    kind: edgeKind(row.kind),
    sizeBytes: row.size,
    mediaType: row.media_type,
    platform: row.platform ?? undefined,
    distributable: row.distributable === 1,
  }
}

// parent, repository. A subject is not listed by its referrer: whoever may push a referrer must not
// thereby gain its subject (R179). Nor is a foreign layer (R250): an author may list any digest as
// that. It does not go on below what only a client has described.
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

interface ManifestWriteParts {
  readonly ids: Ids
  readonly content: ContentWrites
  readonly members: MemberWrites
  readonly pending: PendingWrites
}

/** What a push and an upstream's answer say of a manifest alike. */
type ManifestContent = Pick<RecordManifest, 'repository' | 'manifest' | 'contentClass' | 'atMs'>

export function manifestWrites(database: Database, parts: ManifestWriteParts) {
  const { ids, content, members, pending } = parts
  const sql = prepareManifestWrites(database)

  return { recordManifest, recordPushed }

  /**
   * As an upstream says: what the manifest lists is a member, too, and so wherever an upstream
   * lists the manifest (R179).
   */
  function recordManifest(record: ManifestContent): void {
    const { repository, id } = setManifest(record)
    const edgesChanged = replaceEdges(id, record.manifest.edges)
    const isNews = sql.prove.run(id).changes === 1 || edgesChanged
    const reason = sql.findReason.get(repository, id)
    sql.insertManifest.run(repository, id, record.manifest.mediaType)
    if (reason === undefined || reason === REASON_CODES.confirmed) addBelow(repository, id)
    // Another repository may have listed this manifest before its bytes, and so its children, were
    // known.
    if (isNews) for (const lister of sql.findListers.all(id)) addBelow(lister as number, id)
  }

  /** As a client says, which proves nothing of what is below: neither here nor at an upstream. */
  function recordPushed(record: ManifestContent & Pick<RecordPush, 'confirmed' | 'completes'>) {
    const { manifest, confirmed = [], completes = false } = record
    const { repository, id } = setManifest(record)
    if (replaceEdges(id, manifest.edges)) sql.claim.run(id)
    sql.notePushed.run(repository)
    // A second tag, or a PUT that is repeated, sends no blob: what is pending by then is of others.
    const isNew = sql.isGiven.get(repository, id) === undefined
    sql.pushManifest.run(repository, id, manifest.mediaType)
    if (completes && isNew) pending.complete(repository, id)
    for (const member of confirmed) members.confirm(repository, ids.contentId(member))
  }

  function setManifest({ repository, manifest, contentClass, atMs }: ManifestContent) {
    const id = ids.contentId(manifest.digest)
    const { sizeBytes, mediaType } = manifest
    content.setPresent(id, { sizeBytes, mediaType, contentClass, atMs })
    return { repository: ids.repositoryId(repository), id }
  }

  function addBelow(repository: number, parent: number): void {
    sql.insertBelow.run(parent, repository)
  }

  /**
   * True when they are not what was there. Edges follow from the bytes, so a second recording
   * rarely changes any.
   */
  function replaceEdges(parent: number, edges: readonly Edge[]): boolean {
    const before = sql.listEdges.all(parent) as EdgeRow[]
    if (before.length === edges.length && before.every((row, at) => isSameEdge(row, edges[at])))
      return false
    sql.deleteEdges.run(parent)
    edges.forEach((edge, position) =>
      sql.insertEdge.run(
        parent,
        position,
        ids.contentId(edge.child),
        EDGE_CODES[edge.kind],
        edge.sizeBytes,
        edge.mediaType,
        edge.platform ?? null,
        edge.distributable ? 1 : 0,
      ),
    )
    return true
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
    isGiven: one(
      `SELECT 1 FROM repository_content m JOIN content c ON c.id = m.content
       WHERE m.repository = ? AND m.content = ? AND ${IS_GIVEN('m', 'c')}`,
    ),
    listEdges: row(LIST_EDGES),
    deleteEdges: row('DELETE FROM edge WHERE parent = ?'),
    insertEdge: row(
      `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
  }
}

function isSameEdge(row: EdgeRow, edge: Edge | undefined): boolean {
  return (
    edge !== undefined &&
    digestFromBytes(row.digest) === edge.child &&
    row.kind === EDGE_CODES[edge.kind] &&
    row.size === edge.sizeBytes &&
    row.media_type === edge.mediaType &&
    row.platform === (edge.platform ?? null) &&
    row.distributable === (edge.distributable ? 1 : 0)
  )
}
