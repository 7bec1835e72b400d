// What points a tag, settles it or removes it. Tags that are `local` are guarded by triggers of the
// tables: an upstream's word passes them by without effect; what a client says takes `local` from
// them first.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import type { TagCheck } from '../../registry/ports/catalog-tags.ts'
import { digestBytes } from './encoding.ts'
import type { ContentWrites } from './record-content.ts'
import type { WriteStatements } from './write-statements.ts'

/** The tags of a delivery that is at the upstream now. */
export interface SettledTags {
  readonly repository: Repository
  readonly digest: Digest
  readonly tags: readonly Tag[]
  readonly atMs: number
}

export function tagWrites(sql: WriteStatements, { repositoryId, contentId }: ContentWrites) {
  return { recordTag, pushTags, forgetTag, deleteTag, deleteTagsOf, settleTags }

  function recordTag(fact: {
    readonly repository: Repository
    readonly tag: Tag
    readonly digest: Digest
    readonly check: TagCheck
  }): void {
    const { repository, tag, digest } = fact
    const { checkedAtMs, previous } = fact.check
    sql.upsertTag.run(
      repositoryId(repository),
      tag,
      contentId(digest),
      checkedAtMs,
      checkedAtMs,
      previous === undefined ? null : contentId(previous.digest),
      previous?.checkedAtMs ?? null,
    )
  }

  function pushTags({ repository, manifest, tags, local, delivery, atMs }: RecordPush): void {
    const id = repositoryId(repository)
    const content = contentId(manifest.digest)
    for (const tag of tags) {
      sql.releaseTag.run(id, tag)
      sql.pushTag.run(id, tag, content, atMs, atMs, local ? 1 : 0, delivery?.id ?? null)
    }
  }

  function forgetTag(repository: Repository, tag: Tag): void {
    sql.deleteTag.run(repositoryKey(repository), tag)
  }

  function deleteTag(repository: Repository, tag: Tag): void {
    const id = sql.findRepository.get(repositoryKey(repository))
    if (id !== undefined) sql.releaseTag.run(id, tag)
    forgetTag(repository, tag)
  }

  function deleteTagsOf(repository: number, content: number): void {
    sql.releaseTagsOf.run(content, repository)
    sql.deleteTagsOf.run(content, repository)
  }

  function settleTags(delivery: number, settled: SettledTags): void {
    const { repository, digest, tags, atMs } = settled
    const key = repositoryKey(repository)
    for (const tag of tags) sql.settleTag.run(atMs, key, tag, digestBytes(digest), delivery)
  }
}

export type TagWrites = ReturnType<typeof tagWrites>
