// Why content stays in a repository (docs/storage-format.md, "Holding"): set with a push on the
// manifest and on what is kept below it, taken back when its delivery is done and when it is
// deleted. What nothing holds any more becomes cached.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { LOCALHOST, type Repository, repositoryKey } from '../../oci/reference.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import { type Hold, HOLDS } from '../../registry/ports/holds.ts'
import { CLASS_CODES, digestBytes, HOLD_BITS } from './encoding.ts'
import type { Ids } from './ids.ts'
import { IS_GIVEN, LISTS } from './needed.ts'

/**
 * Of the member `m`, whose content is kept: it is for what others hold alone. What belongs to this
 * edge, or came from an older minor, may have been pushed there without a hold.
 */
export const FOR_OTHERS = `m.holds = 0
  AND EXISTS (SELECT 1 FROM repository_content o WHERE o.content = m.content AND o.holds <> 0)
  AND EXISTS (SELECT 1 FROM repository r WHERE r.id = m.repository AND r.key NOT GLOB '${LOCALHOST}/*'
    AND NOT EXISTS (SELECT 1 FROM outbox d WHERE d.key = r.key
      AND NOT EXISTS (SELECT 1 FROM carried WHERE delivery = d.id)))`

/** Content below one manifest that is held at once; only a graph made to hurt has more. */
const MAX_BELOW = 100_000

export function holdReads(database: Database) {
  const find = database
    .prepare(
      `SELECT holds FROM repository_content WHERE repository = (SELECT id FROM repository WHERE key = ?)
         AND content = (SELECT id FROM content WHERE digest = ?)`,
    )
    .pluck()
  const isForOthers = database.prepare(
    `SELECT 1 FROM content c CROSS JOIN repository_content m ON m.content = c.id
     WHERE c.digest = ? AND m.repository = (SELECT id FROM repository WHERE key = ?)
       AND c.present = 1 AND c.class = ${CLASS_CODES.kept} AND ${FOR_OTHERS}`,
  )

  return {
    isKeptForOthers: (repository: Repository, digest: Digest) =>
      isForOthers.get(digestBytes(digest), repositoryKey(repository)) !== undefined,
    holdsOf(repository: Repository, digest: Digest): Hold[] {
      const bits = (find.get(repositoryKey(repository), digestBytes(digest)) ?? 0) as number
      return HOLDS.filter(hold => (bits & HOLD_BITS[hold]) !== 0)
    },
  }
}

/** A manifest that an entry of the outbox carries. */
interface Carried {
  readonly repository: number
  readonly content: number
}

export interface Removed {
  readonly content: number
  /** A hold or a promise was lost by it: what an older minor made kept had neither. */
  readonly isLost: boolean
}

export function holdWrites(database: Database, ids: Ids) {
  const sql = prepareHolds(database)

  return {
    /** By a push, whose entry of the outbox is recorded already. */
    holdPushed(record: RecordPush): void {
      const { repository, manifest, hold, delivery, durable = [] } = record
      const [id, content] = [ids.repositoryId(repository), ids.contentId(manifest.digest)]
      if (delivery !== undefined) sql.carry.run(delivery.id, id, content)
      if (hold === 'awaited' || hold === 'nothing') return
      for (const digest of durable) sql.keep.run(digestBytes(digest), id)
      sql.hold.run({ repository: id, content, bit: HOLD_BITS[hold] })
    },
    carriedBy: (delivery: number) => sql.carriedBy.all(delivery) as Carried[],
    release,
    releaseAll,
    settleRemoved,
  }

  /**
   * An entry is gone that carried this: so far as nothing else there is undelivered that needs it,
   * it is not undelivered any more.
   */
  function release({ repository, content }: Carried, isKept: boolean): void {
    // Nobody knows what an older minor's entries carry.
    if (sql.hasUnknown.get(repository) === undefined) releaseFrom(repository, [content], isKept)
  }

  /** The last entry of which nobody knew what it carried is gone. */
  function releaseAll(repository: number, isKept: boolean): void {
    if (sql.hasUnknown.get(repository) === undefined)
      releaseFrom(repository, sql.undelivered.all(repository) as number[], isKept)
  }

  function releaseFrom(repository: number, contents: number[], isKept: boolean): void {
    const becomes = isKept ? HOLD_BITS.pushed : 0
    for (const content of contents) {
      if (sql.release.run({ repository, content, becomes }).changes === 0) continue
      sql.demote.run(content)
      contents.push(...(sql.listed.all(content, repository) as number[]))
    }
  }

  /**
   * These are in the repository no more, or were promised there: a blob that they listed is held as
   * by those that still list it, a manifest unless it was undelivered by them alone.
   */
  function settleRemoved(repository: number, removed: readonly Removed[]): void {
    for (const { content, isLost } of removed) if (isLost) sql.demote.run(content)
    for (const parent of removed)
      for (const content of sql.listed.all(parent.content, repository) as number[]) {
        if (sql.holdAsListed.run({ repository, content }).changes > 0) sql.demote.run(content)
        release({ repository, content }, false)
      }
  }
}

export type HoldWrites = ReturnType<typeof holdWrites>

const { undelivered } = HOLD_BITS
/** Manifests of @repository that list @content and are held there, as `p`. */
const LISTERS = `
  FROM edge e CROSS JOIN repository_content p ON p.repository = @repository AND p.content = e.parent
  WHERE e.child = @content AND e.parent <> @content AND ${LISTS} AND p.media_type <> ''`

function heldByListers(bit: number): string {
  return `iif(EXISTS (SELECT 1 ${LISTERS} AND p.holds & ${bit}), ${bit}, 0)`
}

const HOLD = `
WITH RECURSIVE held (id, is_given) AS (
  SELECT @content, 1
  UNION
  SELECT e.child, m.media_type <> '' FROM held h
  CROSS JOIN edge e ON e.parent = h.id AND ${LISTS}
  CROSS JOIN repository_content m ON m.repository = @repository AND m.content = e.child
  CROSS JOIN content c ON c.id = e.child AND c.present = 1 AND c.class = ${CLASS_CODES.kept}
  WHERE h.is_given
  LIMIT ${MAX_BELOW}
)
UPDATE repository_content SET holds = holds | @bit
WHERE repository = @repository AND content IN (SELECT id FROM held) AND holds & @bit = 0`

// What an older minor made kept has no holds: a manifest of its, which is kept, speaks for what it
// lists; and of what belongs to this edge alone, that it was given there.
const DEMOTE = `
UPDATE content AS c SET class = ${CLASS_CODES.cached}
WHERE id = ? AND present = 1 AND class = ${CLASS_CODES.kept}
  AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = c.id AND m.holds <> 0)
  AND NOT EXISTS (SELECT 1 FROM promised p WHERE p.content = c.id)
  AND NOT EXISTS (
    SELECT 1 FROM repository_content m CROSS JOIN repository r ON r.id = m.repository AND r.key GLOB '${LOCALHOST}/*'
    WHERE m.content = c.id AND ${IS_GIVEN('m', 'c')})
  AND NOT EXISTS (
    SELECT 1 FROM edge e CROSS JOIN content p ON p.id = e.parent AND p.present = 1 AND p.class = ${CLASS_CODES.kept}
    WHERE e.child = c.id AND e.parent <> c.id AND ${LISTS})`

function prepareHolds(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => row(sql).pluck()
  return {
    carry: row(
      `INSERT INTO carried (delivery, repository, content) SELECT ?, ?, ? ON CONFLICT DO NOTHING`,
    ),
    carriedBy: row('SELECT repository, content FROM carried WHERE delivery = ?'),
    keep: row(
      `UPDATE content SET class = ${CLASS_CODES.kept}
       WHERE digest = ? AND present = 1 AND class = ${CLASS_CODES.cached}
         AND EXISTS (SELECT 1 FROM repository_content m WHERE m.repository = ? AND m.content = content.id)`,
    ),
    hold: row(HOLD),
    hasUnknown: one(
      `SELECT 1 FROM outbox o WHERE o.key = (SELECT key FROM repository WHERE id = ?)
         AND NOT EXISTS (SELECT 1 FROM carried WHERE delivery = o.id)`,
    ),
    undelivered: one(
      `SELECT content FROM repository_content WHERE repository = ? AND holds & ${undelivered}`,
    ),
    release: row(
      `UPDATE repository_content SET holds = (holds & ~${undelivered}) | @becomes
       WHERE repository = @repository AND content = @content AND holds & ${undelivered}
         AND NOT EXISTS (SELECT 1 FROM carried c WHERE c.repository = @repository AND c.content = @content)
         AND NOT EXISTS (SELECT 1 ${LISTERS} AND p.holds & ${undelivered})`,
    ),
    listed: one(
      `SELECT DISTINCT e.child FROM edge e CROSS JOIN repository_content m ON m.content = e.child
       WHERE e.parent = ? AND m.repository = ? AND ${LISTS} AND m.holds <> 0`,
    ),
    holdAsListed: row(
      `UPDATE repository_content AS m SET holds = holds & (
         ${HOLDS.map(hold => heldByListers(HOLD_BITS[hold])).join(' | ')})
       WHERE repository = @repository AND content = @content AND holds <> 0 AND media_type = ''`,
    ),
    demote: row(DEMOTE),
  }
}
