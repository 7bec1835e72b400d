// The reads of the catalog port, on the calling thread: one read-only connection, statements
// prepared once, each a few look-ups by key. Synchronous on purpose; the port's promises are made
// in catalog.ts.
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
  ManifestFact,
  Member,
} from '../../registry/ports/catalog-content.ts'
import type { PendingBlob, PendingPage } from '../../registry/ports/catalog-pushes.ts'
import type { ListFact, Page, TagFact } from '../../registry/ports/catalog-tags.ts'
import { digestBytes, digestFromBytes } from './encoding.ts'
import { OutboxReader } from './outbox-reader.ts'
import { prepareReads } from './read-statements.ts'
import {
  type ContentRow,
  contentOf,
  edgeOf,
  type PendingRow,
  pendingOf,
  type TagRow,
  tagOf,
} from './rows.ts'
import type { EdgeRow } from './write-statements.ts'

interface MemberRow {
  readonly delivered: number
  readonly reading: string | null
}

interface SizedRow {
  readonly repository: number
  readonly delivered: number
  readonly id: number
  readonly size: number | null
}

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

  findContent(digest: Digest): ContentFact | undefined {
    const row = this.#sql.findContent.get(digestBytes(digest)) as ContentRow | undefined
    return row === undefined ? undefined : contentOf(row)
  }

  findMember(repository: Repository, digest: Digest): Member | undefined {
    const row = this.#sql.findMember.get(...this.#member(repository, digest)) as
      | MemberRow
      | undefined
    return row && { delivered: row.delivered === 1, mediaType: row.reading ?? undefined }
  }

  wasTaken(repository: Repository, digest: Digest): boolean {
    return this.#sql.taken.get(repositoryKey(repository), digestBytes(digest)) !== undefined
  }

  listDeliverers(digest: Digest): RegistryHost[] {
    const bytes = digestBytes(digest)
    return this.#sql.listDeliverers.all(bytes, this.#nowMs(), bytes) as RegistryHost[]
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

  listPendingBlobs({ beforeMs, afterMs, limit }: PendingPage): PendingBlob[] {
    const rows = this.#sql.listPendingBlobs.all(beforeMs, afterMs, limit) as PendingRow[]
    return rows.map(pendingOf)
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
