// Rows as the reads give them, and what of the port they stand for.
import { parseRepositoryKey, type Tag } from '../../oci/reference.ts'
import type { ContentFact, Edge } from '../../registry/ports/catalog-content.ts'
import type { PendingBlob } from '../../registry/ports/catalog-pushes.ts'
import type { TagFact } from '../../registry/ports/catalog-tags.ts'
import { contentClass, digestFromBytes, edgeKind } from './encoding.ts'
import type { EdgeRow } from './write-statements.ts'

export interface ContentRow {
  readonly id: number
  readonly digest: Buffer
  readonly size: number
  readonly media_type: string | null
  readonly class: number
  readonly created_at: number
  readonly last_used_at: number
}

export interface TagRow {
  readonly name: Tag
  readonly digest: Buffer
  readonly checked_at: number
  readonly changed_at: number
  readonly previous: Buffer | null
  readonly previous_checked_at: number | null
  readonly local: number
}

export interface PendingRow {
  readonly key: string
  readonly digest: Buffer
  readonly at: number
}

export function pendingOf({ key, digest, at }: PendingRow): PendingBlob {
  return {
    repository: parseRepositoryKey(key),
    digest: digestFromBytes(digest),
    acknowledgedAtMs: at,
  }
}

export function contentOf(row: ContentRow): ContentFact {
  return {
    digest: digestFromBytes(row.digest),
    sizeBytes: row.size,
    mediaType: row.media_type ?? undefined,
    contentClass: contentClass(row.class),
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at,
  }
}

export function edgeOf(row: EdgeRow): Edge {
  return {
    child: digestFromBytes(row.digest),
    kind: edgeKind(row.kind),
    sizeBytes: row.size,
    mediaType: row.media_type,
    platform: row.platform ?? undefined,
    distributable: row.distributable === 1,
  }
}

export function tagOf(row: TagRow): TagFact {
  const { previous, previous_checked_at: checkedAtMs } = row
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
  }
}
