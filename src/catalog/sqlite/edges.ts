// What manifests list, an entry a row; and which of it they need (schema-needs.ts).
import type { Database } from 'better-sqlite3'
import type { Edge } from '../../registry/ports/catalog-content.ts'
import { digestFromBytes, EDGE_CODES, edgeKind } from './encoding.ts'
import type { Ids } from './ids.ts'
import { CAME_APART } from './schema/schema-needs.ts'

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

export function edgeReads(database: Database) {
  const list = database.prepare(LIST_EDGES)

  return { listEdges: (parent: number): Edge[] => (list.all(parent) as EdgeRow[]).map(edgeOf) }
}

export function edgeWrites(database: Database, ids: Ids) {
  const sql = prepareEdges(database)

  return {
    /**
     * True when they are not what was there. Edges follow from the bytes, so a second recording
     * rarely changes any. `apart`: what of it is needed is known once its repository is recorded.
     */
    record(parent: number, edges: readonly Edge[], apart = false): boolean {
      const before = sql.list.all(parent) as EdgeRow[]
      if (before.length === edges.length && before.every((row, at) => isSameEdge(row, edges[at])))
        return false
      const needs = !apart || sql.isShared.get(parent) !== undefined
      sql.delete.run(parent)
      for (const [position, edge] of edges.entries())
        sql.insert.run(
          parent,
          position,
          ids.contentId(edge.child),
          EDGE_CODES[edge.kind],
          edge.sizeBytes,
          edge.mediaType,
          edge.platform ?? null,
          edge.distributable ? 1 : 0,
          needs || edge.kind === 'subject' ? 1 : 0,
        )
      return true
    },
    /** Where a repository that does not share had been given it with other edges. */
    findNeeds(parent: number): void {
      sql.findNeeds.run(parent)
    },
  }
}

function prepareEdges(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    list: row(LIST_EDGES),
    delete: row('DELETE FROM edge WHERE parent = ?'),
    insert: row(
      `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable, needs)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    isShared: row(
      `SELECT 1 FROM repository_content WHERE content = ? AND apart = 0 AND media_type <> ''`,
    ),
    findNeeds: row(
      `UPDATE edge SET needs = 1 WHERE parent = ? AND needs = 0 AND ${CAME_APART('edge.parent', 'edge.child')}`,
    ),
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
