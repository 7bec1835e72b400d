// Loose content, which nothing needs (registry/ports/catalog-space.ts): what there is of it, since
// when, and for whom it is leased. That it is loose is counted by triggers (schema-space.ts).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type {
  FoundFile,
  Lease,
  LooseContent,
  PutBack,
  SpaceReads,
} from '../../registry/ports/catalog-space.ts'
import type { ContentWrites } from './content.ts'
import { CLASS_CODES, contentClass, digestBytes, digestFromBytes } from './encoding.ts'
import type { Ids } from './ids.ts'
import { ALL_LEASES, LIES_ON_UNCLEAR, UNPROMISED, UNPROMISED_AT } from './needed.ts'

interface LooseRow {
  readonly digest: Buffer
  readonly size: number
  readonly class: number
  readonly last_used_at: number
  readonly loose_at: number | null
}

const COLUMNS = 'c.digest, c.size, c.class, c.last_used_at, c.loose_at'
const FIRST = Buffer.alloc(0)
/** Some 20 ms of the thread that writes. */
const CLEARED_AT_ONCE = 2_000

type LoosePage = Parameters<SpaceReads['listLoose']>[0]
type LooseSincePage = Parameters<SpaceReads['listLooseSince']>[0]

export function looseReads(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const listLoose = row(
    `SELECT ${COLUMNS} FROM content c INDEXED BY content_loose
     WHERE c.present = 1 AND c.refs = 0 AND c.class = ${CLASS_CODES.cached}
       AND (c.last_used_at, c.id) > (?, coalesce((SELECT id FROM content WHERE digest = ?), -1)) AND ${UNPROMISED_AT}
     ORDER BY c.last_used_at, c.id LIMIT ?`,
  )
  const listLooseSince = row(
    `SELECT ${COLUMNS} FROM content c INDEXED BY content_loose_since
     WHERE c.loose_at IS NOT NULL AND c.loose_at < ?
       AND (c.loose_at, c.id) > (?, coalesce((SELECT id FROM content WHERE digest = ?), -1)) AND ${UNPROMISED_AT}
     ORDER BY c.loose_at, c.id LIMIT ?`,
  )
  const firstLooseAt = row(
    `SELECT c.loose_at FROM content c INDEXED BY content_loose_since
     WHERE c.loose_at IS NOT NULL AND c.loose_at >= max(?, 1) AND ${UNPROMISED} ORDER BY c.loose_at LIMIT 1`,
  ).pluck()
  const leasedUntil = row(
    `SELECT until FROM lease WHERE repository = (SELECT id FROM repository WHERE key = ?)
       AND content = (SELECT id FROM content WHERE digest = ?)`,
  ).pluck()
  const isUnclear = row(
    `SELECT 1 FROM content c
     WHERE c.digest = ? AND c.present = 1 AND (c.unclear = 1 OR (${LIES_ON_UNCLEAR('c')}))`,
  )

  return {
    listLoose({ limit, after, leasesOverMs = ALL_LEASES }: LoosePage): LooseContent[] {
      const from = [
        after?.lastUsedAtMs ?? -1,
        after === undefined ? FIRST : digestBytes(after.digest),
      ]
      return (listLoose.all(...from, limit, { leasesOverMs }) as LooseRow[]).map(looseOf)
    },
    /** What is not stamped yet stands under 0, and comes after it. */
    listLooseSince(page: LooseSincePage): LooseContent[] {
      const { beforeMs, limit, after, leasesOverMs = ALL_LEASES } = page
      const from = [after?.looseAtMs ?? 1, after === undefined ? FIRST : digestBytes(after.digest)]
      const rows = listLooseSince.all(beforeMs, ...from, limit, { leasesOverMs })
      return (rows as LooseRow[]).map(looseOf)
    },
    firstLooseAt: (fromMs: number) => firstLooseAt.get(fromMs) as number | undefined,
    isUnclear: (digest: Digest) => isUnclear.get(digestBytes(digest)) !== undefined,
    leasedUntil: (repository: Repository, digest: Digest) =>
      leasedUntil.get(repositoryKey(repository), digestBytes(digest)) as number | undefined,
  }
}

function looseOf(row: LooseRow): LooseContent {
  return {
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    contentClass: contentClass(row.class),
    lastUsedAtMs: row.last_used_at,
    looseAtMs: row.loose_at || undefined,
  }
}

interface LooseParts {
  readonly ids: Ids
  readonly content: ContentWrites
}

export function looseWrites(database: Database, { ids, content }: LooseParts) {
  const row = (sql: string) => database.prepare(sql)
  const stamp = row('UPDATE content SET loose_at = ? WHERE loose_at = 0 AND unclear = 0')
  const putBack = row('UPDATE content SET loose_at = @atMs WHERE loose_at > @atMs AND unclear = 0')
  const putUseBack = row(
    `UPDATE content INDEXED BY content_loose SET last_used_at = @atMs
     WHERE present = 1 AND refs = 0 AND class = ${CLASS_CODES.cached} AND unclear = 0
       AND last_used_at > @atMs`,
  )
  const lease = row(
    `INSERT INTO lease (repository, content, until)
     SELECT repository, content, ? FROM repository_content WHERE repository = ? AND content = ?
     ON CONFLICT DO UPDATE SET until = excluded.until WHERE until < excluded.until`,
  )
  const endListed = row(
    `DELETE FROM lease WHERE repository = ?
       AND content IN (SELECT child FROM edge WHERE parent = ? UNION ALL SELECT ?)`,
  )
  const expire = row('DELETE FROM lease WHERE until < ?')
  const shorten = row('UPDATE lease SET until = @untilMs WHERE until > @untilMs')
  const setAdopted = row(
    'UPDATE content SET created_at = 0, unclear = max(unclear, ?) WHERE id = ?',
  )
  const endStock = row(`DELETE FROM meta WHERE key = 'taking stock'`)
  const setUnclear = row('UPDATE content SET unclear = 1 WHERE id = ?')
  const setClear = row(
    `UPDATE content SET unclear = 0 WHERE id IN (
       SELECT id FROM content WHERE unclear = 1 LIMIT ${CLEARED_AT_ONCE})`,
  )
  const isPresent = row('SELECT 1 FROM content WHERE id = ? AND present = 1')

  return {
    stampLoose(atMs: number): void {
      stamp.run(atMs)
    },
    lease({ repository, digests, untilMs }: Lease): void {
      const id = ids.knownRepository(repository)
      for (const digest of digests) lease.run(untilMs, id, ids.knownContent(digest))
    },
    /** What a manifest lists is needed by it, and so it is itself. */
    endLeases(repository: Repository, manifest: Digest): void {
      const content = ids.contentId(manifest)
      endListed.run(ids.repositoryId(repository), content, content)
    },
    expireLeases(beforeMs: number): void {
      expire.run(beforeMs)
    },
    putLooseBack({ nowMs, longestMs }: PutBack): void {
      putBack.run({ atMs: nowMs })
      putUseBack.run({ atMs: nowMs })
      shorten.run({ untilMs: nowMs + longestMs })
    },
    noteStock(isAllFound: boolean, butFor: readonly Digest[] = []): boolean {
      for (const digest of butFor) setUnclear.run(ids.contentId(digest))
      endStock.run()
      return isAllFound && setClear.run().changes === CLEARED_AT_ONCE
    },
    adopt(files: readonly FoundFile[], atMs: number, isUnclear = false): void {
      for (const { digest, sizeBytes } of files) {
        const id = ids.contentId(digest)
        if (isPresent.get(id) !== undefined) continue
        content.setPresent(id, { sizeBytes, hold: 'nothing', atMs, verified: 'no' })
        setAdopted.run(isUnclear ? 1 : 0, id)
      }
    },
  }
}
