// Which images may be evicted, the coldest first (docs/adr/0030-eviction.md): the members that are
// manifests, by their warmth. An image that an index keeps warmer than it is itself comes with the
// warmest of those. There may be very many that may not leave, so each look ends after some rows.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../../oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey, repositoryKey } from '../../../oci/reference.ts'
import type {
  ColdImage,
  ColdPage,
  ColdPlace,
  ImageReads,
} from '../../../registry/ports/catalog-images.ts'
import { digestBytes, digestFromBytes } from '../encoding.ts'
import { GIVEN_CHILDREN, IS_EVICTABLE } from './evict-image.ts'
import { COUNT_ASKED, IS_ASKED, prepareUsesByIndex } from './uses-by-index.ts'

/** Looked up before others have their turn: some two milliseconds, as most manifests are. */
const LOOKED_AT_ONCE = 2_000

/** A manifest of a repository. */
interface MemberRow {
  readonly repository: number
  readonly content: number
  readonly warmth: number
}

interface ImageRow {
  readonly key: RepositoryKey
  readonly digest: Buffer
  readonly warmth: number
  readonly used_at: number
  readonly pulls: number
  readonly is_index: number
}

/** A member that was come by, and the manifest that was looked at for it: itself, or of its own. */
interface Look {
  readonly row: MemberRow
  readonly content: number
  readonly image: ColdImage | undefined
  readonly looked: number
}

/** A place by its ids; 0 for what is gone. */
interface Ids {
  readonly repository: number
  /** The index that was begun. */
  readonly index: number | undefined
  readonly content: number
}

const BEFORE_ALL = [Number.MIN_SAFE_INTEGER, 0, 0]

export function coldReads(database: Database) {
  const coldest = new Coldest(prepareCold(database))
  type Asked = Parameters<ImageReads['listColdest']>[0]
  return { listColdest: database.transaction((page: Asked) => coldest.list(page)) }
}

class Coldest {
  readonly #sql: ReturnType<typeof prepareCold>

  constructor(sql: ReturnType<typeof prepareCold>) {
    this.#sql = sql
  }

  list({ limit, after }: Parameters<ImageReads['listColdest']>[0]): ColdPage {
    const images: ColdImage[] = []
    let sum = 0
    for (const look of this.#looks(after)) {
      if (look.image !== undefined) images.push(look.image)
      sum += look.looked
      if (images.length === limit || sum >= LOOKED_AT_ONCE)
        return { images, next: this.#placeOf(look) }
    }
    return { images, next: undefined }
  }

  /** One manifest after the other, in the order in which they would leave. */
  *#looks(after: ColdPlace | undefined): Generator<Look> {
    const ids = after && this.#idsOf(after)
    for (const row of this.#sql.list.iterate(...startOf(after, ids)) as Iterable<MemberRow>) {
      const children = this.#sql.children.all({ repository: row.repository, index: row.content })
      let looked = 1 + this.#askedOf(row.content)
      for (const content of children.length === 0 ? [row.content] : (children as number[])) {
        if (isBegun(row, ids) && content <= ids.content && content !== row.content) continue
        const look = this.#lookAt(row, content)
        if (content !== row.content) looked += this.#askedOf(content)
        yield { ...look, looked: looked + look.looked }
        looked = 0
      }
    }
  }

  #askedOf(content: number): number {
    return this.#sql.countAsked.get(content) as number
  }

  #lookAt(row: MemberRow, content: number): Look {
    const found = this.#sql.image.get({ repository: row.repository, content }) as
      | ImageRow
      | undefined
    if (found === undefined) return { row, content, image: undefined, looked: 1 }
    const { warmest, usedAt, looked } = this.#sql.usesByIndex(row.repository, content)
    const by = warmest !== undefined && warmest.warmth > found.warmth ? warmest.content : content
    const image = by === row.content ? this.#imageOf(row, content, { found, usedAt }) : undefined
    return { row, content, image, looked: 1 + looked }
  }

  #imageOf(
    row: MemberRow,
    content: number,
    { found, usedAt }: { found: ImageRow; usedAt: number },
  ): ColdImage {
    return {
      repository: parseRepositoryKey(found.key),
      digest: digestFromBytes(found.digest),
      warmthMs: row.warmth,
      usedAtMs: Math.max(found.used_at, usedAt),
      pulls: found.pulls,
      isIndex: found.is_index === 1,
      by: content === row.content ? undefined : this.#digestOf(row.content),
    }
  }

  #placeOf({ row, content, image }: Look): ColdPlace {
    return (
      image ?? {
        repository: parseRepositoryKey(this.#sql.keyOf.get(row.repository) as RepositoryKey),
        digest: this.#digestOf(content),
        warmthMs: row.warmth,
        by: content === row.content ? undefined : this.#digestOf(row.content),
      }
    )
  }

  #digestOf(content: number) {
    return digestFromBytes(this.#sql.digestOf.get(content) as Buffer)
  }

  #idsOf({ repository, digest, by }: ColdPlace): Ids {
    const idOf = (each: Digest) => (this.#sql.idOf.get(digestBytes(each)) ?? 0) as number
    return {
      repository: (this.#sql.repositoryOf.get(repositoryKey(repository)) ?? 0) as number,
      index: by && idOf(by),
      content: idOf(digest),
    }
  }
}

/** Behind the place, but before an index that was begun. */
function startOf(after: ColdPlace | undefined, ids: Ids | undefined): readonly number[] {
  if (after === undefined || ids === undefined) return BEFORE_ALL
  const { repository, index, content } = ids
  return [after.warmthMs, repository, index === undefined ? content : index - 1]
}

function isBegun({ repository, content }: MemberRow, ids: Ids | undefined): ids is Ids {
  return content === ids?.index && repository === ids.repository
}

function prepareCold(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => row(sql).pluck()
  return {
    list: row(
      `SELECT m.repository, m.content, m.warmth FROM repository_content m INDEXED BY member_by_warmth
       WHERE m.media_type <> '' AND m.holds = 0 AND (m.warmth, m.repository, m.content) > (?, ?, ?)
       ORDER BY m.warmth, m.repository, m.content`,
    ),
    countAsked: one(COUNT_ASKED),
    children: one(
      `SELECT DISTINCT content FROM (${GIVEN_CHILDREN('@repository', '@index')}) ORDER BY content`,
    ),
    image: row(
      `SELECT r.key, c.digest, m.warmth, m.used_at, m.pulls,
         EXISTS (SELECT 1 FROM edge e WHERE e.parent = m.content AND ${IS_ASKED('e')}) AS is_index
       FROM repository_content m CROSS JOIN content c ON c.id = m.content CROSS JOIN repository r ON r.id = m.repository
       WHERE m.repository = @repository AND m.content = @content AND ${IS_EVICTABLE}
         AND NOT EXISTS (${GIVEN_CHILDREN('m.repository', 'm.content')})`,
    ),
    usesByIndex: prepareUsesByIndex(database),
    keyOf: one('SELECT key FROM repository WHERE id = ?'),
    digestOf: one('SELECT digest FROM content WHERE id = ?'),
    idOf: one('SELECT id FROM content WHERE digest = ?'),
    repositoryOf: one('SELECT id FROM repository WHERE key = ?'),
  }
}
