// Uses of images and their tags: what of them is written, and asked for. The first one is written
// by a trigger, when a repository is given the manifest (schema-space.ts). What an index lists has
// no part in what is written (uses-by-index.ts).
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../../oci/reference.ts'
import type { Image, ImageUsage, TagUsage } from '../../../registry/ports/catalog-images.ts'
import type { PageRequest } from '../../../registry/ports/catalog-tags.ts'
import type { CountedUses } from '../../../registry/ports/catalog-uses.ts'
import { COOLED_MS, usedAgain, warmestMs } from '../../warmth.ts'
import { digestBytes, digestFromBytes, EDGE_CODES } from '../encoding.ts'
import type { Ids } from '../ids.ts'
import { IS_ASKED, prepareUsesByIndex } from './uses-by-index.ts'

interface UsageRow {
  readonly repository: number
  readonly content: number
  readonly used_at: number
  readonly counted_at: number
  readonly pulls: number
  readonly warmth: number
}

interface TagUsageRow {
  readonly name: Tag
  readonly digest: Buffer
  readonly pushed_at: number | null
  readonly pulled_at: number | null
  readonly pulls: number
}

/**
 * Put right with each batch of uses, the warmest first. A day in a wrong year may have used every
 * image that is here, which is over in hours; and a machine that begins years behind, until it has
 * asked for the time, spoils few of them.
 */
const PUT_RIGHT_AT_ONCE = 100

/**
 * Of what lists an image in its repository, the newest, and of their tags: some milliseconds of
 * work. They are found among what lists it anywhere, of which the newest are looked at: others may
 * list it as often as they like.
 */
const LISTERS_ASKED = 256
const LISTERS_LOOKED_AT = 1_024
const TAGS_ASKED = 10_000

/**
 * Of tags that lead to an image, themselves or by an index there that lists it. By content, in the
 * order of their names: a repository may have very many tags, and very many may be of one image.
 */
const TAGS_OF = (what: string, page: string) => `
SELECT * FROM (
  SELECT ${what} FROM tag INDEXED BY tag_by_content WHERE content = @image AND repository = @repository ${page})
UNION
SELECT * FROM (
  SELECT ${what}
  FROM (
    SELECT p.content
    FROM (SELECT parent FROM edge WHERE child = @image AND kind = ${EDGE_CODES.manifest}
      ORDER BY parent DESC LIMIT ${LISTERS_LOOKED_AT}) e
    CROSS JOIN repository_content p ON p.content = e.parent AND p.repository = @repository AND p.media_type <> ''
    LIMIT ${LISTERS_ASKED}) i
  CROSS JOIN tag t INDEXED BY tag_by_content ON t.content = i.content AND t.repository = @repository
  LIMIT ${TAGS_ASKED})`

const USAGE = `SELECT m.repository, m.content, m.used_at, m.counted_at, m.pulls, m.warmth FROM repository_content m`

const TAG_USAGE = `
SELECT t.name, c.digest, t.pushed_at, t.pulled_at, t.pulls FROM tag t JOIN content c ON c.id = t.content
WHERE t.repository = (SELECT id FROM repository WHERE key = ?)`

export function usageReads(database: Database) {
  const usesByIndex = prepareUsesByIndex(database)
  const find = database.prepare(
    `${USAGE} WHERE m.repository = (SELECT id FROM repository WHERE key = ?)
       AND m.content = (SELECT id FROM content WHERE digest = ?) AND m.media_type <> ''`,
  )
  const findTag = database.prepare(`${TAG_USAGE} AND t.name = ?`)
  const listTags = database.prepare(`${TAG_USAGE} AND t.name > ? ORDER BY t.name LIMIT ?`)

  const listTagsOf = database.prepare(
    `SELECT name FROM (${TAGS_OF('name', 'ORDER BY name LIMIT @limit')}) ORDER BY name LIMIT @limit`,
  )
  const findImage = database.prepare(
    `SELECT (SELECT id FROM repository WHERE key = ?) AS repository, id AS image FROM content WHERE digest = ?`,
  )

  return {
    listTagsOf({ repository, digest }: Image, limit: number): Tag[] {
      const image = findImage.get(repositoryKey(repository), digestBytes(digest)) as object
      return image === undefined ? [] : (listTagsOf.pluck().all({ ...image, limit }) as Tag[])
    },
    usageOf(repository: Repository, digest: Digest): ImageUsage | undefined {
      const key = [repositoryKey(repository), digestBytes(digest)]
      const row = find.get(...key) as UsageRow | undefined
      if (row === undefined) return undefined
      const { warmest, usedAt } = usesByIndex(row.repository, row.content)
      const warmthMs = Math.max(row.warmth, warmest?.warmth ?? row.warmth)
      return { usedAtMs: Math.max(row.used_at, usedAt), pulls: row.pulls, warmthMs }
    },
    listTagUsage: (repository: Repository, { after = '', limit }: PageRequest): TagUsage[] =>
      (listTags.all(repositoryKey(repository), after, limit) as TagUsageRow[]).map(tagUsageFrom),
    tagUsageOf(repository: Repository, tag: Tag): TagUsage | undefined {
      const row = findTag.get(repositoryKey(repository), tag) as TagUsageRow | undefined
      return row && tagUsageFrom(row)
    },
  }
}

function tagUsageFrom(row: TagUsageRow): TagUsage {
  return {
    tag: row.name,
    digest: digestFromBytes(row.digest),
    pushedAtMs: row.pushed_at ?? undefined,
    pulledAtMs: row.pulled_at ?? undefined,
    pulls: row.pulls,
  }
}

export function usageWrites(database: Database, ids: Ids) {
  const sql = prepareUsage(database)

  return { noteUsesOfImages, cool }

  function noteUsesOfImages(uses: readonly CountedUses[]): void {
    for (const { repository, digest, tag, count, atMs } of uses) {
      const id = ids.knownRepository(repository)
      if (id === undefined) continue
      const row = sql.find.get(id, ids.knownContent(digest)) as UsageRow | undefined
      if (row !== undefined) touch(row, { count, atMs })
      if (tag !== undefined) sql.notePull.run(atMs, count, id, tag)
    }
    if (uses.length > 0) putRight(Math.max(...uses.map(({ atMs }) => atMs)))
  }

  /** What a clock that was ahead has made warm, and nobody has used since. */
  function putRight(atMs: number): void {
    sql.putRight.run({ atMs, warmestMs: warmestMs(atMs) })
  }

  function touch(row: UsageRow, { count, atMs }: { count: number; atMs: number }): void {
    const before = { usedAtMs: row.used_at, countedAtMs: row.counted_at, warmthMs: row.warmth }
    const { usedAtMs, countedAtMs, warmthMs } = usedAgain(before, atMs)
    const key = [row.repository, row.content]
    sql.update.run(usedAtMs, countedAtMs, row.pulls + count, warmthMs, ...key)
  }

  /**
   * A tag has left this image; another may still point to it, or to an index that lists it. Of an
   * index those of its manifests cool as well that it keeps warm.
   */
  function cool(repository: number, content: number): void {
    const children = sql.listGiven.all(repository, content) as number[]
    for (const image of [content, ...children])
      if (sql.isTagged.get({ repository, image }) === undefined)
        sql.cool.run(COOLED_MS, repository, image)
  }
}

export type UsageWrites = ReturnType<typeof usageWrites>

function prepareUsage(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    find: row(`${USAGE} WHERE m.repository = ? AND m.content = ? AND m.media_type <> ''`),
    listGiven: row(
      `SELECT m.content FROM repository_content m
       WHERE m.repository = ? AND m.media_type <> '' AND m.content IN (
         SELECT child FROM edge WHERE parent = ? AND ${IS_ASKED('edge')} AND child <> parent)`,
    ).pluck(),
    update: row(
      `UPDATE repository_content SET used_at = ?, counted_at = ?, pulls = ?, warmth = ?
       WHERE repository = ? AND content = ?`,
    ),
    putRight: row(
      `UPDATE repository_content SET used_at = @atMs, counted_at = @atMs, warmth = @atMs
       WHERE (repository, content) IN (
         SELECT repository, content FROM repository_content INDEXED BY member_by_warmth
         WHERE media_type <> '' AND holds = 0 AND warmth > @warmestMs
         ORDER BY warmth DESC LIMIT ${PUT_RIGHT_AT_ONCE})`,
    ),
    notePull: row(
      `UPDATE tag SET pulled_at = max(coalesce(pulled_at, 0), ?), pulls = pulls + ? WHERE repository = ? AND name = ?`,
    ),
    cool: row(
      `UPDATE repository_content SET warmth = warmth - ?, counted_at = 0
       WHERE repository = ? AND content = ? AND media_type <> ''`,
    ),
    isTagged: row(`${TAGS_OF('1', 'LIMIT 1')} LIMIT 1`),
  }
}
