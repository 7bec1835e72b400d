// An image that leaves its repository when there is no room (docs/adr/0030-eviction.md): whether it
// may, and what goes along. What that would be is worked out in footprint.ts and ended-members.ts,
// by the same conditions; the way through them is written there once more, since no table knows
// what has only been thought away.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../../oci/digest.ts'
import type { RepositoryKey } from '../../../oci/reference.ts'
import type { Evicted, Eviction, RepositoryBytes } from '../../../registry/ports/catalog-images.ts'
import type { ContentClass } from '../../../registry/ports/blob-store-content.ts'
import type { Leaves } from '../../../registry/ports/catalog-space.ts'
import type { PageRequest } from '../../../registry/ports/catalog-tags.ts'
import { CLASS_CODES, digestBytes, EDGE_CODES } from '../encoding.ts'
import type { GhostWrites } from './ghosts.ts'
import { FOR_OTHERS } from '../holds.ts'
import type { Ids } from '../ids.ts'
import type { LeavingWrites } from '../leaving.ts'
import {
  ENDS_WITH_LISTERS,
  LIES_ON_UNCLEAR,
  LISTED,
  LISTERS_THERE,
  NEEDED,
  STAYS_A_LISTER,
  UNPROMISED_THERE,
} from '../needed.ts'
import { LIST_ALONE } from '../remove-member.ts'
import { BLOCK_BYTES } from '../schema/schema-space.ts'
import { IS_ASKED } from './uses-by-index.ts'

/** Of the member `m` with the content `c`, an image: its repository keeps it for nobody. */
const IS_UNHELD = (contentClass: ContentClass) =>
  `m.media_type <> '' AND m.holds = 0 AND c.present = 1 AND c.class = ${CLASS_CODES[contentClass]}
  AND NOT EXISTS (SELECT 1 FROM tag t INDEXED BY tag_local_by_content
    WHERE t.content = m.content AND t.repository = m.repository AND t.local = 1)
  AND ${UNPROMISED_THERE}`

/** Nor does another, so it may be purged. */
const IS_PURGEABLE = IS_UNHELD('cached')

/**
 * And its file may leave, unless somebody else needs it: by what is unclear nothing would become
 * free, however much of it left, and whoever pulls it would find nothing.
 */
export const IS_EVICTABLE = `${IS_PURGEABLE} AND c.unclear = 0 AND NOT (${LIES_ON_UNCLEAR('c')})`

/**
 * Manifests that an index lists, and that are here and were given to its repository: it leaves
 * with the last of them. Not those that are kept: who knows one of them could hold what it likes.
 */
export const GIVEN_CHILDREN = (repository: string, index: string) => `
  SELECT g.content FROM edge entry
  CROSS JOIN repository_content g ON g.repository = ${repository} AND g.content = entry.child AND g.media_type <> ''
  CROSS JOIN content gc ON gc.id = g.content AND gc.present = 1 AND gc.class = ${CLASS_CODES.cached}
  WHERE entry.parent = ${index} AND ${IS_ASKED('entry')} AND entry.child <> ${index}`

/** All but subjects: named, so that a blob that very many list is looked up with its lister. */
const LISTED_KINDS = [EDGE_CODES.manifest, EDGE_CODES.config, EDGE_CODES.layer].join(', ')

export function imageReads(database: Database) {
  const listBytes = database.prepare(
    'SELECT key AS repository, blocks FROM repository WHERE key > ? AND blocks > 0 ORDER BY key LIMIT ?',
  )
  const listsThis = database.prepare(
    `SELECT 1 FROM edge e WHERE e.child = (SELECT id FROM content WHERE digest = ?) AND e.kind IN (${LISTED_KINDS})
       AND e.parent = (SELECT id FROM content WHERE digest = ?)`,
  )

  return {
    listsAny: (manifest: Digest, digests: readonly Digest[]) =>
      digests.some(each => listsThis.get(digestBytes(each), digestBytes(manifest)) !== undefined),
    listRepositoryBytes: ({ after = '', limit }: PageRequest): RepositoryBytes[] =>
      (listBytes.all(after, limit) as { repository: RepositoryKey; blocks: number }[]).map(
        ({ repository, blocks }) => ({ repository, bytes: blocks * BLOCK_BYTES }),
      ),
  }
}

interface EvictionParts {
  readonly ids: Ids
  readonly leaving: LeavingWrites
  readonly ghosts: GhostWrites
}

export function imageEviction(database: Database, { ids, leaving, ghosts }: EvictionParts) {
  const sql = prepareEviction(database)

  return {
    evictImage(eviction: Eviction): Evicted {
      const evicted = evict(eviction)
      if (eviction.reason === 'evicted') ghosts.haunt(eviction, evicted)
      return evicted
    },
  }

  function evict({ repository, digest, ...leave }: Eviction): Evicted {
    const [id, content] = [ids.knownRepository(repository), ids.knownContent(digest)]
    const leaves: Leaves[] = []
    if (id === undefined || content === undefined) return { hasLeft: false, leaves }
    const isPurged = leave.reason === 'purged'
    if (isPurged && sql.isForOthers.get(id, content) !== undefined) {
      takeOut(id, content, leave.spared)
      return { hasLeft: true, leaves }
    }
    const mayLeave = isPurged ? sql.isPurgeable : sql.isEvictable
    let hasLeft = false
    const images = [content]
    for (const image of images) {
      const indexes = sql.listIndexes.all(id, image) as number[]
      if (mayLeave.get(id, image) === undefined) continue
      const needed = sql.needed.all(image) as number[]
      takeOut(id, image, leave.spared)
      hasLeft = true
      leaves.push(...leaving.leaveImage(image, needed, leave))
      images.push(...indexes.filter(index => sql.isEmpty.get(id, index) !== undefined))
    }
    return { hasLeft, leaves }
  }

  function takeOut(repository: number, image: number, spared: Eviction['spared']): void {
    sql.deleteTags.run(image, repository)
    sql.forgetPrevious.run(image, repository)
    sql.deleteMember.run(repository, image)
    const gone = [image]
    for (const parent of gone)
      for (const child of sql.listAlone.all(parent, repository) as {
        content: number
        lists: number
      }[]) {
        if (leaving.isSpared(child.content, spared)) continue
        sql.deleteMember.run(repository, child.content)
        if (child.lists === 1) gone.push(child.content)
      }
  }
}

const MEMBERS = 'FROM repository_content m CROSS JOIN content c ON c.id = m.content'

/** Whether an image may leave, and what to go on with. Of a repository and its content. */
export function prepareImages(database: Database) {
  const one = (sql: string) => database.prepare(sql).pluck()
  return {
    isEvictable: one(
      `SELECT 1 ${MEMBERS} WHERE m.repository = ? AND m.content = ? AND ${IS_EVICTABLE}`,
    ),
    isPurgeable: one(
      `SELECT 1 ${MEMBERS} WHERE m.repository = ? AND m.content = ? AND ${IS_PURGEABLE}`,
    ),
    listIndexes: one(
      `SELECT DISTINCT p.content FROM edge e CROSS JOIN repository_content p ON p.content = e.parent
       WHERE p.repository = ? AND e.child = ? AND e.kind = ${EDGE_CODES.manifest} AND p.media_type <> ''
         AND e.child <> e.parent`,
    ),
    needed: one(NEEDED),
  }
}

function prepareEviction(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    ...prepareImages(database),
    isForOthers: row(
      `SELECT 1 ${MEMBERS} WHERE m.repository = ? AND m.content = ? AND ${IS_UNHELD('kept')} AND ${FOR_OTHERS}`,
    ),
    isEmpty: row(
      `SELECT 1 FROM repository_content m WHERE m.repository = ? AND m.content = ? AND NOT EXISTS (${GIVEN_CHILDREN('m.repository', 'm.content')})`,
    ),
    deleteTags: row('DELETE FROM tag WHERE content = ? AND repository = ?'),
    forgetPrevious: row(
      'UPDATE tag SET previous = NULL, previous_checked_at = NULL WHERE previous = ? AND repository = ?',
    ),
    deleteMember: row('DELETE FROM repository_content WHERE repository = ? AND content = ?'),
    listAlone: row(
      `${LIST_ALONE(LISTED, `${LISTERS_THERE} AND ${STAYS_A_LISTER}`)} AND ${ENDS_WITH_LISTERS}`,
    ),
  }
}
