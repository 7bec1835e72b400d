// Tags: where they point, and what points, settles or removes them. Tags that are `local` are
// guarded by triggers of the tables: an upstream's word passes them by without effect; what a
// client says takes `local` from them first.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import { isLocalBy } from '../../registry/ports/holds.ts'
import type { PageRequest, TagCheck, RecordedTag } from '../../registry/ports/catalog-tags.ts'
import type { SettledTags } from '../../registry/ports/outbox.ts'
import { digestBytes, digestFromBytes } from './encoding.ts'
import type { Ids } from './ids.ts'
import type { UsageWrites } from './images/uses-of-images.ts'

interface TagRow {
  readonly name: Tag
  readonly digest: Buffer
  readonly checked_at: number
  readonly changed_at: number
  readonly previous: Buffer | null
  readonly previous_checked_at: number | null
  readonly local: number
  readonly order_edge: string | null
  readonly order_number: number | null
}

const COLUMNS = `t.name, c.digest, t.checked_at, t.changed_at,
  (SELECT digest FROM content WHERE id = t.previous) AS previous, t.previous_checked_at, t.local, t.order_edge, t.order_number`
const TABLES =
  'FROM repository r JOIN tag t ON t.repository = r.id JOIN content c ON c.id = t.content'

export function tagReads(database: Database) {
  const find = database.prepare(`SELECT ${COLUMNS} ${TABLES} WHERE r.key = ? AND t.name = ?`)
  const list = database.prepare(
    `SELECT ${COLUMNS} ${TABLES} WHERE r.key = ? AND t.name > ? ORDER BY t.name LIMIT ?`,
  )
  // Named, because the planner takes the primary key, which holds the other tags too.
  const listLocal = database.prepare(
    `SELECT ${COLUMNS} FROM tag t INDEXED BY tag_local JOIN content c ON c.id = t.content
     WHERE t.repository = (SELECT id FROM repository WHERE key = ?) AND t.local = 1 AND t.name > ?
     ORDER BY t.name LIMIT ?`,
  )
  // Named for the same reason.
  const listTo = database.prepare(
    `SELECT ${COLUMNS} FROM tag t INDEXED BY tag_by_content JOIN content c ON c.id = t.content
     WHERE t.content = (SELECT id FROM content WHERE digest = ?)
       AND t.repository = (SELECT id FROM repository WHERE key = ?) AND t.name > ?
     ORDER BY t.name LIMIT ?`,
  )

  return {
    findTag(repository: Repository, tag: Tag): RecordedTag | undefined {
      const row = find.get(repositoryKey(repository), tag) as TagRow | undefined
      return row === undefined ? undefined : tagOf(row)
    },
    listTags: (repository: Repository, { after = '', limit }: PageRequest): RecordedTag[] =>
      (list.all(repositoryKey(repository), after, limit) as TagRow[]).map(tagOf),
    listLocalTags: (repository: Repository, { after = '', limit }: PageRequest): RecordedTag[] =>
      (listLocal.all(repositoryKey(repository), after, limit) as TagRow[]).map(tagOf),
    listTagsTo(
      repository: Repository,
      digest: Digest,
      { after = '', limit }: PageRequest,
    ): RecordedTag[] {
      const place = [digestBytes(digest), repositoryKey(repository), after]
      return (listTo.all(...place, limit) as TagRow[]).map(tagOf)
    },
  }
}

function tagOf(row: TagRow): RecordedTag {
  const { previous, previous_checked_at: checkedAtMs, order_edge: edge, order_number: number } = row
  return {
    tag: row.name,
    digest: digestFromBytes(row.digest),
    checkedAtMs: row.checked_at,
    changedAtMs: row.changed_at,
    local: row.local === 1,
    previous:
      previous === null || checkedAtMs === null
        ? undefined
        : { digest: digestFromBytes(previous), checkedAtMs },
    ...(edge === null || number === null ? {} : { order: { edge, number } }),
  }
}

export function tagWrites(database: Database, ids: Ids, usage: UsageWrites) {
  const sql = prepareTagWrites(database)

  return { recordTag, pushTags, forgetTag, deleteTag, deleteTagsOf, settleTags }

  function recordTag(repository: Repository, tag: Tag, digest: Digest, check: TagCheck): void {
    const { checkedAtMs, previous } = check
    const id = ids.repositoryId(repository)
    const content = ids.contentId(digest)
    moving(id, tag, () =>
      sql.upsert.run(
        id,
        tag,
        content,
        checkedAtMs,
        checkedAtMs,
        previous === undefined ? null : ids.contentId(previous.digest),
        previous?.checkedAtMs ?? null,
      ),
    )
  }

  /** What a tag leaves is colder than all that none has left (docs/adr/0030-eviction.md). */
  function moving(repository: number, tag: Tag, point: () => void): void {
    const before = sql.pointsTo.get(repository, tag) as number | undefined
    point()
    if (before !== undefined && sql.pointsTo.get(repository, tag) !== before)
      usage.cool(repository, before)
  }

  function pushTags(record: RecordPush): void {
    const { repository, manifest, tags } = record
    const id = ids.repositoryId(repository)
    const content = ids.contentId(manifest.digest)
    for (const tag of tags) {
      sql.release.run(id, tag)
      moving(id, tag, () => sql.push.run({ repository: id, tag, content, ...pushedBy(record) }))
    }
  }

  function forgetTag(repository: Repository, tag: Tag): void {
    sql.remove.run(repositoryKey(repository), tag)
  }

  function deleteTag(repository: Repository, tag: Tag): void {
    const id = ids.knownRepository(repository)
    if (id !== undefined) sql.release.run(id, tag)
    forgetTag(repository, tag)
  }

  function deleteTagsOf(repository: number, content: number): void {
    sql.releaseOf.run(content, repository)
    sql.removeOf.run(content, repository)
  }

  function settleTags(delivery: number, settled: SettledTags): void {
    const { repository, digest, tags, atMs } = settled
    const key = repositoryKey(repository)
    for (const tag of tags) sql.settle.run(atMs, key, tag, digestBytes(digest), delivery)
  }
}

/** What PUSH takes of it but for where the tag is and where it points. */
function pushedBy({ hold, delivery, atMs, order }: RecordPush) {
  return {
    atMs,
    local: isLocalBy(hold) ? 1 : 0,
    delivery: delivery?.id ?? null,
    edge: order?.edge ?? null,
    number: order?.number ?? null,
  }
}

export type TagWrites = ReturnType<typeof tagWrites>

const UPSERT = `
INSERT INTO tag (repository, name, content, checked_at, changed_at, previous, previous_checked_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  previous = iif(content = excluded.content, previous, coalesce(excluded.previous, previous)),
  previous_checked_at = iif(
    content = excluded.content, previous_checked_at, coalesce(excluded.previous_checked_at, previous_checked_at)),
  changed_at = iif(content = excluded.content, changed_at, excluded.changed_at),
  order_edge = iif(content = excluded.content, order_edge, NULL),
  order_number = iif(content = excluded.content, order_number, NULL),
  checked_at = excluded.checked_at,
  content = excluded.content`

const PUSH = `
INSERT INTO tag (repository, name, content, checked_at, changed_at, local, delivery, pushed_at, order_edge, order_number)
VALUES (@repository, @tag, @content, @atMs, @atMs, @local, @delivery, @atMs, @edge, @number)
ON CONFLICT DO UPDATE SET
  changed_at = iif(content = excluded.content, changed_at, excluded.changed_at),
  checked_at = excluded.checked_at,
  content = excluded.content,
  local = excluded.local,
  delivery = excluded.delivery,
  pushed_at = max(coalesce(pushed_at, 0), excluded.pushed_at),
  order_edge = iif(content = excluded.content, coalesce(excluded.order_edge, order_edge), excluded.order_edge),
  order_number = iif(content = excluded.content, coalesce(excluded.order_number, order_number), excluded.order_number),
  previous = NULL,
  previous_checked_at = NULL`

// now, repository's key, tag, digest, entry of the outbox. Entries are carried in order, so a later
// push of the tag is still to come.
const SETTLE = `
UPDATE tag SET local = 0, checked_at = ?
WHERE repository = (SELECT id FROM repository WHERE key = ?) AND name = ?
  AND content = (SELECT id FROM content WHERE digest = ?)
  AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = tag.delivery AND o.id > ?)`

function prepareTagWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  return {
    upsert: row(UPSERT),
    push: row(PUSH),
    settle: row(SETTLE),
    pointsTo: row('SELECT content FROM tag WHERE repository = ? AND name = ?').pluck(),
    remove: row(
      'DELETE FROM tag WHERE repository = (SELECT id FROM repository WHERE key = ?) AND name = ?',
    ),
    release: row('UPDATE tag SET local = 0 WHERE repository = ? AND name = ? AND local = 1'),
    releaseOf: row('UPDATE tag SET local = 0 WHERE content = ? AND repository = ? AND local = 1'),
    removeOf: row('DELETE FROM tag WHERE content = ? AND repository = ?'),
  }
}
