// Pending blobs: acknowledged to a client, and no manifest has come for them so far (R296). What
// becomes of what a delete would have taken along meanwhile is remove-member.ts.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../oci/reference.ts'
import {
  type PendingBlob,
  EMPTY_CONFIG_BYTES,
  type PendingPage,
  PUSH_MAX_MS,
} from '../../registry/ports/catalog-pushes.ts'
import type { PutBack } from '../../registry/ports/catalog-space.ts'
import { digestBytes, digestFromBytes, EDGE_CODES } from './encoding.ts'
import { LISTED, LISTS } from './needed.ts'

interface PendingRow {
  readonly key: string
  readonly digest: Buffer
  readonly at: number
}

export function pendingReads(database: Database) {
  // In the order of the index: after a catalog was built anew all that is kept is due at once,
  // and is not sorted for every page of it.
  const listBefore = database.prepare(
    `SELECT r.key, c.digest, p.at FROM promised p
     CROSS JOIN repository r ON r.id = p.repository CROSS JOIN content c ON c.id = p.content
     WHERE p.at < ? ORDER BY p.at, r.key, c.digest LIMIT ?`,
  )
  const isPending = database.prepare(
    `SELECT 1 FROM promised WHERE repository = (SELECT id FROM repository WHERE key = ?)
       AND content = (SELECT id FROM content WHERE digest = ?)`,
  )

  return {
    isPending: (repository: Repository, digest: Digest): boolean =>
      isPending.get(repositoryKey(repository), digestBytes(digest)) !== undefined,
    listPendingBlobs: ({ beforeMs, limit }: PendingPage): PendingBlob[] =>
      (listBefore.all(beforeMs, limit) as PendingRow[]).map(pendingOf),
  }
}

function pendingOf({ key, digest, at }: PendingRow): PendingBlob {
  return {
    repository: parseRepositoryKey(key),
    digest: digestFromBytes(digest),
    acknowledgedAtMs: at,
  }
}

// May some of what the manifest lists be pending for another push? What is to be had from elsewhere
// nobody has to send. Without a configuration of its own, all of it may be another's.
const MAY_BE_OF_OTHERS = `SELECT 1 WHERE NOT EXISTS (
   SELECT 1 FROM edge e WHERE e.parent = @manifest AND e.kind = ${EDGE_CODES.config} AND e.size > ${EMPTY_CONFIG_BYTES})
 UNION ALL
 SELECT 1 FROM edge e WHERE e.parent = @manifest AND ${LISTS} AND e.distributable = 1
   AND NOT EXISTS (SELECT 1 FROM promised p WHERE p.repository = @repository AND p.content = e.child)
 LIMIT 1`

/** All by the numbers of repository and content. */
export function pendingWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  // What was to be taken along before it was brought again is not any more.
  const add = row(
    `INSERT INTO promised (repository, content, times, at) VALUES (?, ?, 1, ?)
     ON CONFLICT DO UPDATE SET times = times + 1, at = excluded.at, owed = 0`,
  )
  const complete = row(
    `UPDATE promised SET times = times - 1, owed = 0 WHERE repository = ?
     AND content IN (${LISTED})`,
  )
  const mayBeOfOthers = row(MAY_BE_OF_OTHERS)
  const dropCompleted = row('DELETE FROM promised WHERE repository = ? AND times = 0')
  const drop = row('DELETE FROM promised WHERE repository = ? AND content = ?')
  const defer = row('UPDATE promised SET owed = 1 WHERE repository = ? AND content = ?')
  // As if it had been acknowledged so long before its end.
  const deferLeased = row(
    `INSERT INTO promised (repository, content, times, at, owed)
     SELECT repository, content, 1, until - ${PUSH_MAX_MS}, 1 FROM lease
     WHERE repository = ? AND content = ? AND until - ${PUSH_MAX_MS} > ?`,
  )
  const putBack = row('UPDATE promised SET at = @atMs WHERE at > @atMs')
  const expire = row(
    'DELETE FROM promised WHERE repository = ? AND content = ? AND at = ? RETURNING owed',
  ).pluck()

  return {
    add(repository: number, content: number, atMs: number): void {
      add.run(repository, content, atMs)
    },
    /** A manifest has come for what it lists, for each once. */
    complete(repository: number, manifest: number): void {
      if (complete.run(repository, manifest).changes > 0) dropCompleted.run(repository)
    },
    /**
     * All that the manifest lists was acknowledged, and no manifest has come for it since; and its
     * configuration is its own.
     */
    wasSentWhole: (repository: number, manifest: number) =>
      mayBeOfOthers.get({ repository, manifest }) === undefined,
    /** None lasts longer from now on than one of now, or a lease that begins now. */
    putPendingBack({ nowMs, longestMs }: PutBack): void {
      putBack.run({ atMs: nowMs + Math.max(0, longestMs - PUSH_MAX_MS) })
    },
    /** Was it pending? */
    drop: (repository: number, content: number) => drop.run(repository, content).changes > 0,
    /**
     * It goes when it is pending no more. False when it is not pending, nor leased for longer than
     * what was acknowledged at `afterMs` was pending.
     */
    deferRemoval: (repository: number, content: number, afterMs = Number.MIN_SAFE_INTEGER) =>
      defer.run(repository, content).changes > 0 ||
      deferLeased.run(repository, content, afterMs).changes > 0,
    /**
     * It is pending no more, if `atMs` is when it was last acknowledged; undefined when it is not.
     * `isOwed`: a delete would have taken it along meanwhile.
     */
    expire(repository: number, content: number, atMs: number) {
      const owed = expire.get(repository, content, atMs)
      return owed === undefined ? undefined : { isOwed: owed === 1 }
    },
  }
}

export type PendingWrites = ReturnType<typeof pendingWrites>
