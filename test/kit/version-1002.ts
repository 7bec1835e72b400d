// Version 1002 of the catalog, as it was released: its tables, and what it wrote, with its
// statements word for word.
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import { CLASS_CODES, digestBytes, EDGE_CODES } from '../../src/catalog/sqlite/encoding.ts'
import { MIGRATIONS } from '../../src/catalog/sqlite/schema/schema.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../src/oci/reference.ts'
import type { ContentClass } from '../../src/registry/ports/blob-store-content.ts'
import type { Edge, RecordedManifest } from '../../src/registry/ports/catalog-content.ts'

const VERSION = 1002

const SET_PRESENT = `
UPDATE content SET
  size = new.size,
  media_type = coalesce(new.media_type, content.media_type),
  class = iif(present, max(content.class, new.class), new.class),
  created_at = iif(present, created_at, new.at),
  last_used_at = iif(present, max(last_used_at, new.at), new.at),
  present = 1
FROM (SELECT ? AS id, ? AS size, ? AS media_type, ? AS class, ? AS at) AS new
WHERE content.id = new.id`

const INSERT_BELOW = `
WITH RECURSIVE below (id, size) AS (
  SELECT child, iif(distributable, size, NULL) FROM edge WHERE parent = ? AND kind <> 3
  UNION
  SELECT e.child, iif(e.distributable, e.size, NULL) FROM below b JOIN edge e ON e.parent = b.id AND e.kind <> 3
  WHERE (SELECT claimed FROM content WHERE id = b.id) = 0
  LIMIT 100000
)
INSERT INTO repository_content (repository, content, reason, size)
SELECT ?, id, 0, size FROM below WHERE true
ON CONFLICT DO UPDATE SET size = coalesce(size, excluded.size), reason = iif(reason = 1, excluded.reason, reason)
WHERE size IS NULL OR reason = 1`

export type Version1002 = ReturnType<typeof writesOf>

/**
 * Opens the catalog of `directory` as version 1002 would, for as long as `work` takes; begins one
 * where none is.
 */
export function asVersion1002(directory: string, work: (old: Version1002) => void): void {
  const database = new Sqlite(join(directory, 'catalog.db'))
  if (database.pragma('user_version', { simple: true }) === 0) {
    for (const { version, sql } of MIGRATIONS) if (version <= VERSION) database.exec(sql)
    database.pragma(`user_version = ${VERSION}`)
  }
  database.pragma('foreign_keys = ON')
  work(writesOf(database))
  database.close()
}

function writesOf(database: Database) {
  const run = (sql: string, ...values: unknown[]) => database.prepare(sql).run(...values)
  const id = (table: string, column: string, value: unknown) =>
    (database.prepare(`SELECT id FROM ${table} WHERE ${column} = ?`).pluck().get(value) ??
      database
        .prepare(`INSERT INTO ${table} (${column}) VALUES (?) RETURNING id`)
        .pluck()
        .get(value)) as number
  const repositoryId = (repository: Repository) =>
    id('repository', 'key', repositoryKey(repository))
  const contentId = (digest: Digest) => id('content', 'digest', digestBytes(digest))

  const setPresent = (digest: Digest, row: readonly unknown[]) =>
    run(SET_PRESENT, contentId(digest), ...row, 1)

  const confirmMember = (repository: Repository, digest: Digest) =>
    run(
      `INSERT INTO repository_content (repository, content, reason) VALUES (?, ?, 1)
       ON CONFLICT DO NOTHING`,
      repositoryId(repository),
      contentId(digest),
    )

  function setManifest(manifest: RecordedManifest, contentClass: ContentClass): number {
    const { digest, sizeBytes, mediaType, edges } = manifest
    setPresent(digest, [sizeBytes, mediaType, CLASS_CODES[contentClass]])
    run('DELETE FROM edge WHERE parent = ?', contentId(digest))
    edges.forEach((edge, position) => insertEdge(contentId(digest), position, edge))
    return contentId(digest)
  }

  const insertEdge = (parent: number, position: number, edge: Edge) =>
    run(
      `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      parent,
      position,
      contentId(edge.child),
      EDGE_CODES[edge.kind],
      edge.sizeBytes,
      edge.mediaType,
      edge.platform ?? null,
      edge.distributable ? 1 : 0,
    )

  return {
    /** As an upstream gave it. */
    recordManifest(repository: Repository, manifest: RecordedManifest): void {
      const content = setManifest(manifest, 'cached')
      run('UPDATE content SET claimed = 0 WHERE id = ? AND claimed = 1', content)
      run(
        `INSERT INTO repository_content (repository, content, reason) VALUES (?, ?, 2)
         ON CONFLICT DO UPDATE SET reason = excluded.reason WHERE reason <> excluded.reason`,
        repositoryId(repository),
        content,
      )
      run(INSERT_BELOW, content, repositoryId(repository))
    },
    recordPushed(repository: Repository, manifest: RecordedManifest): void {
      const content = setManifest(manifest, 'kept')
      run('UPDATE content SET claimed = 1 WHERE id = ? AND claimed = 0', content)
      confirmMember(repository, manifest.digest)
    },
    recordBlob(
      repository: Repository,
      digest: Digest,
      contentClass: ContentClass,
      sizeBytes = 1000,
    ): void {
      setPresent(digest, [sizeBytes, null, CLASS_CODES[contentClass]])
      confirmMember(repository, digest)
    },
    /** As an upstream has just said. */
    recordTag: (repository: Repository, tag: string, digest: Digest, atMs: number) =>
      run(
        'INSERT INTO tag (repository, name, content, checked_at, changed_at) VALUES (?, ?, ?, ?, ?)',
        repositoryId(repository),
        tag,
        contentId(digest),
        atMs,
        atMs,
      ),
    /** By the upstream's HEAD alone. */
    confirmMember,
    /** A delete of the last that was there. */
    removeMember: (repository: Repository, digest: Digest) =>
      run(
        'DELETE FROM repository_content WHERE repository = ? AND content = ?',
        repositoryId(repository),
        contentId(digest),
      ),
    addDelivery: (number: number, repository: Repository, atMs: number) =>
      run(
        `INSERT INTO outbox (id, carrier, key, payload, created_at, next_at) VALUES (?, 'forward', ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
        number,
        repositoryKey(repository),
        `${number}`,
        atMs,
        atMs,
      ),
  }
}
