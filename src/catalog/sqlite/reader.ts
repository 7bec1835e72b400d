// The reads of the catalog port, on the calling thread: one read-only connection, statements prepared once, each a few
// look-ups by key. Synchronous on purpose; the port's promises are made in catalog.ts.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import {
  type RegistryHost,
  type Repository,
  type RepositoryKey,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import type {
  CatalogTotals,
  ContentFact,
  ListFact,
  ManifestFact,
  Page,
  TagFact,
} from '../../registry/ports/catalog.ts'
import { MAX_DELIVERERS, MAX_REFERRERS } from '../bounds.ts'
import { digestBytes, digestFromBytes, EDGE_CODES, REASON_CODES } from './encoding.ts'
import { OutboxReader } from './outbox-reader.ts'
import { type ContentRow, contentOf, edgeOf, type TagRow, tagOf } from './rows.ts'
import type { EdgeRow } from './write-statements.ts'

// Nothing that is written today expires; a file that a later version wrote may hold what does.
const UNEXPIRED = '(m.expires IS NULL OR m.expires > ?)'
/** Takes repository key, digest, now. Scalar look-ups instead of a join: 4 µs against 11, measured. */
const MEMBER = `
FROM repository_content m
WHERE m.repository = (SELECT id FROM repository WHERE key = ?)
  AND m.content = (SELECT id FROM content WHERE digest = ?)
  AND ${UNEXPIRED}`

const CONTENT_COLUMNS =
  'c.id, c.digest, c.size, c.media_type, c.class, c.created_at, c.last_used_at'
/** A layer of a base image is listed by thousands, and those that were asked agree. */
const LISTERS_ASKED = 64

interface SizedRow {
  readonly repository: number
  readonly delivered: number
  readonly id: number
  readonly size: number | null
}

/**
 * As which manifest the member `m` with the content `c` was given here; NULL when it was not. Rows of older versions have none of their own
 * (schema-readings.ts).
 */
const READING = `nullif(coalesce(m.media_type, c.media_type), '')`
const TAG_COLUMNS = `t.name, c.digest, t.checked_at, t.changed_at,
  (SELECT digest FROM content WHERE id = t.previous) AS previous, t.previous_checked_at, t.local`
const TAG_TABLES =
  'FROM repository r JOIN tag t ON t.repository = r.id JOIN content c ON c.id = t.content'

export class Reader {
  readonly outbox: OutboxReader
  readonly #database: Database
  readonly #sql: ReturnType<typeof prepareReads>
  readonly #nowMs: () => number

  constructor(database: Database, nowMs: () => number) {
    this.outbox = new OutboxReader(database)
    this.#database = database
    this.#sql = prepareReads(database)
    this.#nowMs = nowMs
  }

  findManifest(repository: Repository, digest: Digest): ManifestFact | undefined {
    const row = this.#sql.findManifest.get(...this.#member(repository, digest)) as
      | (ContentRow & { readonly reading: string | null })
      | undefined
    if (row?.reading == null) return undefined
    const edges = this.#sql.listEdges.all(row.id) as EdgeRow[]
    return { digest, mediaType: row.reading, sizeBytes: row.size, edges: edges.map(edgeOf) }
  }

  mediaTypeOf(repository: Repository, digest: Digest): string | undefined {
    const reading = this.#sql.mediaTypeOf.get(...this.#member(repository, digest))
    return typeof reading === 'string' ? reading : undefined
  }

  findContent(digest: Digest): ContentFact | undefined {
    const row = this.#sql.findContent.get(digestBytes(digest)) as ContentRow | undefined
    return row === undefined ? undefined : contentOf(row)
  }

  isMember(repository: Repository, digest: Digest): boolean {
    return this.#sql.isMember.get(...this.#member(repository, digest)) !== undefined
  }

  membershipOf(repository: Repository, digest: Digest): 'delivered' | 'named' | undefined {
    const delivered = this.#sql.delivered.get(...this.#member(repository, digest))
    return delivered === undefined ? undefined : delivered === 1 ? 'delivered' : 'named'
  }

  listDeliverers(digest: Digest): RegistryHost[] {
    return this.#sql.listDeliverers.all(digestBytes(digest), this.#nowMs()) as RegistryHost[]
  }

  sizeOf(repository: Repository, digest: Digest): number | undefined {
    const row = this.#sql.sized.get(...this.#member(repository, digest)) as SizedRow | undefined
    if (row === undefined) return undefined
    const listed =
      row.delivered === 1 && row.size !== null
        ? []
        : (this.#sql.listedSizes.all(row.repository, row.id) as number[])
    if (listed.length > 1) return undefined
    return listed[0] ?? row.size ?? undefined
  }

  findTag(repository: Repository, tag: Tag): TagFact | undefined {
    const row = this.#sql.findTag.get(repositoryKey(repository), tag) as TagRow | undefined
    return row === undefined ? undefined : tagOf(row)
  }

  listTags(repository: Repository, { after = '', limit }: Page): TagFact[] {
    const rows = this.#sql.listTags.all(repositoryKey(repository), after, limit) as TagRow[]
    return rows.map(tagOf)
  }

  listLocalTags(repository: Repository, { after = '', limit }: Page): TagFact[] {
    const rows = this.#sql.listLocalTags.all(repositoryKey(repository), after, limit) as TagRow[]
    return rows.map(tagOf)
  }

  listHolders(
    digest: Digest,
    { registry, limit }: { registry: RegistryHost; limit: number },
  ): RepositoryKey[] {
    // Keys of the registry are those between `host/` and the text that follows all of them.
    const range = [`${registry}/`, `${registry}0`]
    const found = this.#sql.listHolders.all(digestBytes(digest), ...range, this.#nowMs(), limit)
    return found as RepositoryKey[]
  }

  listRepositoriesOf(digest: Digest, limit: number): RepositoryKey[] {
    return this.#sql.listRepositoriesOf.all(digestBytes(digest), limit) as RepositoryKey[]
  }

  listRepositories({ after = '', limit }: Page): RepositoryKey[] {
    return this.#sql.listRepositories.all(after, limit) as RepositoryKey[]
  }

  listReferrers(repository: Repository, digest: Digest): Digest[] {
    const rows = this.#sql.listReferrers.all(...this.#member(repository, digest)) as Buffer[]
    return rows.map(digestFromBytes)
  }

  findList(repository: Repository, key: string): ListFact | undefined {
    const row = this.#sql.findList.get(repositoryKey(repository), key) as
      | { body: string; checked_at: number }
      | undefined
    return row === undefined ? undefined : { body: row.body, checkedAtMs: row.checked_at }
  }

  listContent({ after, limit }: { after?: Digest; limit: number }): ContentFact[] {
    const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
    return (this.#sql.listContent.all(start, limit) as ContentRow[]).map(contentOf)
  }

  totals(): CatalogTotals {
    return this.#sql.totals.get() as CatalogTotals
  }

  /** The end of the last range of numbers that was reserved. */
  reservedSequence(): number {
    return (this.#sql.sequence.get() as number | undefined) ?? 0
  }

  identity(): string {
    return this.#sql.identity.get() as string
  }

  isRebuilt(): boolean {
    return this.#sql.rebuilt.get() !== undefined
  }

  /** Has the process that reserved the last range ended with `mark compared`? */
  isCompared(): boolean {
    return this.#sql.compared.get() !== undefined
  }

  /** Where a damaged predecessor was moved, until someone says that recovery is done. */
  damagedPredecessor(): string | undefined {
    return this.#sql.damaged.get() as string | undefined
  }

  close(): void {
    this.#database.close()
  }

  #member(repository: Repository, digest: Digest) {
    return [repositoryKey(repository), digestBytes(digest), this.#nowMs()]
  }
}

function prepareReads(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => database.prepare(sql).pluck()
  return {
    findManifest: row(
      `SELECT ${CONTENT_COLUMNS}, ${READING} AS reading
       FROM (SELECT m.content, m.media_type ${MEMBER}) m CROSS JOIN content c ON c.id = m.content AND c.present = 1`,
    ),
    mediaTypeOf: one(
      `SELECT ${READING} FROM (SELECT m.content, m.media_type ${MEMBER}) m
       CROSS JOIN content c ON c.id = m.content AND c.present = 1`,
    ),
    listEdges: row(
      `SELECT c.digest, e.kind, e.size, e.media_type, e.platform, e.distributable
       FROM edge e JOIN content c ON c.id = e.child WHERE e.parent = ? ORDER BY e.position`,
    ),
    findContent: row(
      `SELECT ${CONTENT_COLUMNS} FROM content c WHERE c.digest = ? AND c.present = 1`,
    ),
    isMember: one(`SELECT 1 ${MEMBER}`),
    delivered: one(`SELECT m.delivered ${MEMBER}`),
    listDeliverers: one(
      `SELECT DISTINCT substr(r.key, 1, instr(r.key, '/') - 1) AS registry
       FROM repository_content m JOIN repository r ON r.id = m.repository
       WHERE m.content = (SELECT id FROM content WHERE digest = ?) AND m.delivered = 1 AND ${UNEXPIRED}
       ORDER BY registry LIMIT ${MAX_DELIVERERS}`,
    ),
    // A forgotten row has no size of its own.
    sized: row(
      `SELECT m.repository, m.delivered, c.id, c.size FROM (SELECT m.repository, m.content, m.delivered ${MEMBER}) m
       CROSS JOIN content c ON c.id = m.content`,
    ),
    // What its upstream's manifests say, two when they do not agree; what clients have pushed says nothing here (R253).
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
