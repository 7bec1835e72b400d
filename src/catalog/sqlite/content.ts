// Content by its digest, whoever holds it: whether its bytes are here, of what class, and when they
// were last served.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { CatalogTotals, RecordedContent } from '../../registry/ports/catalog-content.ts'
import type { UnverifiedPage, Verified } from '../../registry/ports/catalog-verified.ts'
import type { CountedUses } from '../../registry/ports/catalog-uses.ts'
import { classOf, type SaidHold } from '../../registry/ports/holds.ts'
import { CLASS_CODES, contentClass, digestBytes, digestFromBytes } from './encoding.ts'
import { NEEDS } from './needed.ts'

export interface ContentRow {
  readonly id: number
  readonly digest: Buffer
  readonly size: number
  readonly media_type: string | null
  readonly class: number
  readonly created_at: number
  readonly last_used_at: number
  /** Negative: when it was last found broken. */
  readonly verified_at: number
}

/** Of `content c`; what a ContentRow has. */
export const CONTENT_COLUMNS =
  'c.id, c.digest, c.size, c.media_type, c.class, c.created_at, c.last_used_at, c.verified_at'

/** Before all others where nothing has that digest. */
const ID_OR_NONE = 'coalesce((SELECT id FROM content WHERE digest = ?), -1)'

export function contentReads(database: Database) {
  const findContent = database.prepare(
    `SELECT ${CONTENT_COLUMNS} FROM content c WHERE c.digest = ? AND c.present = 1`,
  )
  const isRecorded = database.prepare('SELECT 1 FROM content WHERE digest = ?')
  const listContent = database.prepare(
    `SELECT ${CONTENT_COLUMNS} FROM content c WHERE c.digest > ? AND c.present = 1
     ORDER BY c.digest LIMIT ?`,
  )
  const listUnverified = database.prepare(
    `SELECT ${CONTENT_COLUMNS} FROM content c
     WHERE c.present = 1 AND c.verified_at < ? AND (c.verified_at, c.id) > (?, ${ID_OR_NONE})
     ORDER BY c.verified_at, c.id LIMIT ?`,
  )
  const listBroken = database.prepare(
    `SELECT ${CONTENT_COLUMNS} FROM content c
     WHERE c.present = 1 AND c.verified_at > ? AND (c.verified_at, c.id) < (?, ${ID_OR_NONE})
     ORDER BY c.verified_at DESC, c.id DESC LIMIT ?`,
  )
  const unverifiedSince = database
    .prepare('SELECT min(verified_at) FROM content WHERE present = 1 AND verified_at >= 0')
    .pluck()
  const countBroken = database
    .prepare('SELECT count(*) FROM content WHERE present = 1 AND verified_at < 0')
    .pluck()
  const totals = database.prepare(
    `SELECT repositories, tags, manifests, blobs, content_bytes AS contentBytes, content_blocks AS contentBlocks,
       kept_blocks AS keptBlocks, leaving_blocks AS leavingBlocks FROM totals`,
  )

  return {
    findContent(digest: Digest): RecordedContent | undefined {
      const row = findContent.get(digestBytes(digest)) as ContentRow | undefined
      return row === undefined ? undefined : contentOf(row)
    },
    isRecorded: (digest: Digest) => isRecorded.get(digestBytes(digest)) !== undefined,
    listContent({ after, limit }: { after?: Digest; limit: number }): RecordedContent[] {
      const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
      return (listContent.all(start, limit) as ContentRow[]).map(contentOf)
    },
    listUnverified({
      broken = false,
      beforeMs,
      limit,
      ...page
    }: UnverifiedPage): RecordedContent[] {
      const from = placeBefore(page, broken)
      const rows = broken
        ? listBroken.all(-beforeMs, ...from, limit)
        : listUnverified.all(beforeMs, ...from, limit)
      return (rows as ContentRow[]).map(contentOf)
    },
    unverifiedSince: () => (unverifiedSince.get() as number | null) ?? undefined,
    countBroken: () => countBroken.get() as number,
    totals: () => totals.get() as CatalogTotals,
  }
}

/** Behind which a page begins: `verified_at`, and a digest or none. */
function placeBefore(
  { fromMs = 0, after }: Pick<UnverifiedPage, 'fromMs' | 'after'>,
  broken: boolean,
): [number, Buffer] {
  if (after === undefined) return [broken ? 1 - Math.max(fromMs, 1) : fromMs, Buffer.alloc(0)]
  const { verifiedAtMs, brokenAtMs, digest } = after
  return [brokenAtMs === undefined ? verifiedAtMs : -brokenAtMs, digestBytes(digest)]
}

function contentOf(row: ContentRow): RecordedContent {
  return {
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    mediaType: row.media_type ?? undefined,
    contentClass: contentClass(row.class),
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at,
    verifiedAtMs: Math.max(0, row.verified_at),
    brokenAtMs: row.verified_at < 0 ? -row.verified_at : undefined,
  }
}

/** Whether the bytes that are recorded have just been hashed: compared with `present`. */
const VERIFIED = { no: 0, 'if new': 1, yes: 2 } as const

/**
 * id, size, media type, class, time, VERIFIED. The first media type stays: it says that this is a
 * manifest for somebody, and which to older versions.
 */
const SET_PRESENT = `
UPDATE content SET
  size = new.size,
  media_type = coalesce(content.media_type, new.media_type),
  class = iif(present, max(content.class, new.class), new.class),
  created_at = iif(present AND created_at > 0, created_at, new.at),
  last_used_at = iif(present, max(last_used_at, new.at), new.at),
  unclear = max(unclear, EXISTS (SELECT 1 FROM meta WHERE key = 'taking stock')),
  verified_at = CASE
    WHEN new.verified > present THEN new.at
    WHEN present = 0 OR (verified_at < 0 AND new.verified > 0) THEN 0
    ELSE verified_at END,
  present = 1
FROM (SELECT ? AS id, ? AS size, ? AS media_type, ? AS class, ? AS at, ? AS verified) AS new
WHERE content.id = new.id`

// What was pushed and belongs to somebody is never forgotten: its bytes may come back, and nothing
// else here says what they were. Nor is a manifest that needs what is here: nothing would need that
// any more, and it would leave for a file of some kilobytes. They leave together.
const FORGET_CONTENT = `
UPDATE content SET present = 0, size = NULL, media_type = NULL, class = NULL, created_at = NULL, last_used_at = NULL,
  unclear = 0
WHERE digest = ? AND present = 1
  AND (class = ${CLASS_CODES.cached} OR NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = content.id))
  AND NOT EXISTS (
    SELECT 1 FROM edge e CROSS JOIN content child ON child.id = e.child AND child.present = 1
    WHERE e.parent = content.id AND ${NEEDS})`

export interface PresentContent {
  readonly sizeBytes: number
  /** Undefined for what is recorded as a blob. */
  readonly mediaType?: string
  readonly hold: SaidHold
  readonly atMs: number
  /** `if new`: what is here already may be another file than that. */
  readonly verified: keyof typeof VERIFIED
}

export function contentWrites(database: Database) {
  const setPresent = database.prepare(SET_PRESENT)
  const forgetContent = database.prepare(FORGET_CONTENT)
  const noteVerified = database.prepare(
    'UPDATE content SET verified_at = ? WHERE digest = ? AND present = 1',
  )
  const noteUse = database.prepare(
    'UPDATE content SET last_used_at = ? WHERE digest = ? AND present = 1 AND last_used_at < ?',
  )

  return {
    setPresent(id: number, content: PresentContent) {
      const { sizeBytes, mediaType = null, hold, atMs, verified } = content
      const contentClass = CLASS_CODES[classOf(hold)]
      setPresent.run(id, sizeBytes, mediaType, contentClass, atMs, VERIFIED[verified])
    },
    forgetContent(digest: Digest): void {
      forgetContent.run(digestBytes(digest))
    },
    noteVerified({ digests, broken, atMs }: Verified): void {
      for (const digest of digests) noteVerified.run(atMs, digestBytes(digest))
      for (const digest of broken) noteVerified.run(-Math.max(1, atMs), digestBytes(digest))
    },
    noteUses(uses: readonly CountedUses[]): void {
      for (const { digest, atMs } of uses) noteUse.run(atMs, digestBytes(digest), atMs)
    },
  }
}

export type ContentWrites = ReturnType<typeof contentWrites>
