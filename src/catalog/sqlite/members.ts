// What belongs to which repository, and by whose word (docs/adr/0004-membership.md). How a manifest
// brings what it lists is manifests.ts, how a delete takes it along remove-member.ts.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import {
  type RegistryHost,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../../oci/reference.ts'
import type { ListedMember, Member, RecordBlob } from '../../registry/ports/catalog-content.ts'
import type { PageRequest } from '../../registry/ports/catalog-tags.ts'
import { MAX_DELIVERERS } from '../bounds.ts'
import type { ContentWrites } from './content.ts'
import { contentClass, digestBytes, digestFromBytes, REASON_CODES } from './encoding.ts'
import type { Ids } from './ids.ts'
import { LISTS } from './needed.ts'
import type { PendingWrites } from './pending.ts'

// Nothing that is written today expires; a file that a later version wrote may hold what does.
/** Of a member `m`; takes now. */
export const UNEXPIRED = '(m.expires IS NULL OR m.expires > ?)'
/**
 * The member `m` that `memberKey` names. Scalar look-ups instead of a join: 4 µs against 11,
 * measured.
 */
export const MEMBER = `
FROM repository_content m
WHERE m.repository = (SELECT id FROM repository WHERE key = ?)
  AND m.content = (SELECT id FROM content WHERE digest = ?)
  AND ${UNEXPIRED}`

/** What MEMBER takes. */
export function memberKey(repository: Repository, digest: Digest, nowMs: number) {
  return [repositoryKey(repository), digestBytes(digest), nowMs]
}

/**
 * As which manifest the member `m` with the content `c` was given here; NULL when it was not. Rows
 * that an older minor added have none of their own (schema-trust.ts).
 */
export const READING = `nullif(coalesce(m.media_type, c.media_type), '')`
/** In the place of a media type: as a manifest it was not given to this repository. */
export const NOT_GIVEN = `''`

interface MemberRow {
  readonly delivered: number
  readonly reading: string | null
}

interface ListedRow {
  readonly digest: Buffer
  readonly class: number
  readonly reading: string | null
}

export function memberReads(database: Database, nowMs: () => number) {
  const one = (sql: string) => database.prepare(sql).pluck()
  // Content that is not here is a manifest to nobody.
  const findMember = database.prepare(
    `SELECT m.delivered, iif(c.present = 1, ${READING}, NULL) AS reading
     FROM (SELECT m.content, m.media_type, m.delivered ${MEMBER}) m CROSS JOIN content c ON c.id = m.content`,
  )
  const lister = one(
    `SELECT 1 FROM edge e CROSS JOIN repository_content p ON p.content = e.parent
     WHERE e.child = (SELECT id FROM content WHERE digest = ?) AND ${LISTS}
       AND p.repository = (SELECT id FROM repository WHERE key = ?) LIMIT 1`,
  )
  const taken = one(
    `SELECT 1 FROM taken WHERE repository = (SELECT id FROM repository WHERE key = ?)
       AND content = (SELECT id FROM content WHERE digest = ?)`,
  )
  const listDeliverers = one(
    `SELECT DISTINCT substr(r.key, 1, instr(r.key, '/') - 1) AS registry FROM (
       SELECT m.repository FROM repository_content m
       WHERE m.content = (SELECT id FROM content WHERE digest = ?) AND m.delivered = 1 AND ${UNEXPIRED}
       UNION ALL
       SELECT repository FROM taken WHERE content = (SELECT id FROM content WHERE digest = ?) AND delivered = 1
     ) JOIN repository r ON r.id = repository
     ORDER BY registry LIMIT ${MAX_DELIVERERS}`,
  )
  const listHolders = one(
    `SELECT r.key FROM repository_content m JOIN repository r ON r.id = m.repository
     WHERE m.content = (SELECT id FROM content WHERE digest = ? AND present = 1)
       AND r.key > ? AND r.key < ? AND ${UNEXPIRED}
     ORDER BY r.key LIMIT ?`,
  )
  const listRepositoriesOf = one(
    `SELECT r.key FROM repository_content m JOIN repository r ON r.id = m.repository
     WHERE m.content = (SELECT id FROM content WHERE digest = ?) LIMIT ?`,
  )
  const listRepositories = one(
    'SELECT key FROM repository WHERE (held > 0 OR pushed = 1) AND key > ? ORDER BY key LIMIT ?',
  )

  return {
    findMember(repository: Repository, digest: Digest): Member | undefined {
      const row = findMember.get(...memberKey(repository, digest, nowMs())) as MemberRow | undefined
      return row && { delivered: row.delivered === 1, mediaType: row.reading ?? undefined }
    },
    isListed: (repository: Repository, digest: Digest) =>
      lister.get(digestBytes(digest), repositoryKey(repository)) !== undefined,
    wasTaken: (repository: Repository, digest: Digest) =>
      taken.get(repositoryKey(repository), digestBytes(digest)) !== undefined,
    listDeliverers(digest: Digest): RegistryHost[] {
      const bytes = digestBytes(digest)
      return listDeliverers.all(bytes, nowMs(), bytes) as RegistryHost[]
    },
    listHolders(
      digest: Digest,
      { registry, limit }: { registry: RegistryHost; limit: number },
    ): RepositoryKey[] {
      // Keys of the registry are those between `host/` and the text that follows all of them.
      const range = [`${registry}/`, `${registry}0`]
      return listHolders.all(digestBytes(digest), ...range, nowMs(), limit) as RepositoryKey[]
    },
    listRepositoriesOf: (digest: Digest, limit: number) =>
      listRepositoriesOf.all(digestBytes(digest), limit) as RepositoryKey[],
    listRepositories: ({ after = '', limit }: PageRequest) =>
      listRepositories.all(after, limit) as RepositoryKey[],
  }
}

export function memberListing(database: Database, nowMs: () => number) {
  const listMembers = database.prepare(
    `SELECT c.digest, c.class, ${READING} AS reading FROM repository_content m
     CROSS JOIN content c ON c.id = m.content AND c.present = 1
     WHERE m.repository = (SELECT id FROM repository WHERE key = ?)
       AND m.content > coalesce((SELECT id FROM content WHERE digest = ?), -1) AND ${UNEXPIRED}
     ORDER BY m.content LIMIT ?`,
  )

  return {
    listMembers(
      repository: Repository,
      { after, limit }: { after?: Digest; limit: number },
    ): ListedMember[] {
      const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
      const rows = listMembers.all(repositoryKey(repository), start, nowMs(), limit)
      return (rows as ListedRow[]).map(row => ({
        digest: digestFromBytes(row.digest),
        isManifest: row.reading !== null,
        contentClass: contentClass(row.class),
      }))
    },
  }
}

interface MemberWriteParts {
  readonly ids: Ids
  readonly content: ContentWrites
  readonly pending: PendingWrites
}

export function memberWrites(database: Database, { ids, content, pending }: MemberWriteParts) {
  const confirm = database.prepare(
    `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
     VALUES (?, ?, ${REASON_CODES.confirmed}, ${NOT_GIVEN}, 0) ON CONFLICT DO NOTHING`,
  )
  const bring = database.prepare(
    `INSERT INTO repository_content (repository, content, reason, media_type, delivered)
     VALUES (?, ?, ${REASON_CODES.confirmed}, ${NOT_GIVEN}, 1)
     ON CONFLICT DO UPDATE SET delivered = 1 WHERE delivered = 0`,
  )

  return {
    recordMember(repository: Repository, digest: Digest): void {
      const id = ids.contentId(digest)
      confirm.run(ids.repositoryId(repository), id)
    },
    /** Nothing below it: as a blob it lists nothing, whatever it is as a manifest. */
    confirm(repository: number, id: number): void {
      confirm.run(repository, id)
    },
    recordBlob(record: RecordBlob): void {
      const repository = ids.repositoryId(record.repository)
      const id = ids.contentId(record.digest)
      const { sizeBytes, hold, atMs, acknowledgedAtMs, isVerified = false } = record
      content.setPresent(id, { sizeBytes, hold, atMs, verified: isVerified ? 'yes' : 'no' })
      bring.run(repository, id)
      if (acknowledgedAtMs !== undefined) pending.add(repository, id, acknowledgedAtMs)
    },
  }
}

export type MemberWrites = ReturnType<typeof memberWrites>
