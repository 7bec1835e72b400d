// What uses of an index are to the manifests that it lists (docs/adr/0030-eviction.md). Nothing of
// them is written: an index may list tens of thousands, and whoever may pull can ask for it. Who
// asks how warm an image is looks at the indexes there that list it.
import type { Database } from 'better-sqlite3'
import { EDGE_CODES } from '../encoding.ts'

/**
 * Entries of an index that are looked at for manifests that are here: it has one for each platform
 * and is as long as its author likes, and who lists images looks at many. One whose first so many
 * are not here counts as one of which none is.
 */
const ENTRIES_ASKED = 256
/** Of the indexes in its repository that list a manifest, the newest. */
const LISTERS_ASKED = 256
/**
 * Of all that list it, where others may list it as often as they like: as many rows as one look for
 * the coldest takes.
 */
const LISTERS_LOOKED = 2_000

/** Of the edge `edge`: it leads to a manifest, and is looked at. */
export const IS_ASKED = (edge: string) =>
  `${edge}.kind = ${EDGE_CODES.manifest} AND ${edge}.position < ${ENTRIES_ASKED}`

/** Entries of the manifest `?` that are looked at, of whatever kind: how many. */
export const COUNT_ASKED = `SELECT count(*) FROM edge WHERE parent = ? AND position < ${ENTRIES_ASKED}`

interface ListerRow {
  readonly content: number | null
  readonly warmth: number
  readonly used_at: number
  readonly holds: number
}

export interface UsesByIndex {
  /** The warmest that is not held: what is held never comes by among those that may leave. */
  readonly warmest: { readonly content: number; readonly warmth: number } | undefined
  /** 0 for what no index lists. */
  readonly usedAt: number
  /** Rows that were looked at. */
  readonly looked: number
}

export function prepareUsesByIndex(database: Database) {
  const list = database.prepare(
    `SELECT p.content, p.warmth, p.used_at, p.holds
     FROM (SELECT parent, position, child, kind FROM edge WHERE child = @content AND kind = ${EDGE_CODES.manifest}
       ORDER BY parent DESC LIMIT ${LISTERS_LOOKED}) e
     LEFT JOIN repository_content p
       ON p.repository = @repository AND p.content = e.parent AND p.media_type <> '' AND ${IS_ASKED('e')} AND e.parent <> e.child`,
  )

  return (repository: number, content: number): UsesByIndex => {
    let warmest: UsesByIndex['warmest']
    let usedAt = 0
    let looked = 0
    let asked = 0
    const rows = list.iterate({ repository, content }) as Iterable<ListerRow>
    for (const { content: index, warmth, used_at, holds } of rows) {
      looked += 1
      if (index === null) continue
      asked += 1
      usedAt = Math.max(usedAt, used_at)
      if (holds === 0 && isWarmer({ content: index, warmth }, warmest))
        warmest = { content: index, warmth }
      if (asked === LISTERS_ASKED) break
    }
    return { warmest, usedAt, looked }
  }
}

/** Of equals one, always the same. */
function isWarmer(
  index: NonNullable<UsesByIndex['warmest']>,
  than: UsesByIndex['warmest'],
): boolean {
  if (than === undefined || index.warmth !== than.warmth)
    return index.warmth > (than?.warmth ?? Number.NEGATIVE_INFINITY)
  return index.content > than.content
}
