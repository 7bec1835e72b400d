// The writes of the catalog port as plain values, and what each does to the tables. Runs on the
// writer thread, inside a transaction that someone else begins and commits; nothing is remembered
// between operations, so a rollback is complete.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { RecordBlob, RecordManifest } from '../../registry/ports/catalog-content.ts'
import type { DeleteOptions, PendingBlob, RecordPush } from '../../registry/ports/catalog-pushes.ts'
import type { ListFact, TagCheck } from '../../registry/ports/catalog-tags.ts'
import type { DeliveryChange, NewDelivery } from '../../registry/ports/outbox.ts'
import { digestBytes } from './encoding.ts'
import { prepareOutboxWrites } from './outbox-statements.ts'
import { contentWrites } from './record-content.ts'
import { memberRemoval } from './remove-member.ts'
import { type SettledTags, tagWrites } from './record-tags.ts'
import { prepareWrites } from './write-statements.ts'

/** A write on its way to the writer thread. */
export type Operation =
  | { readonly kind: 'record manifest'; readonly record: RecordManifest }
  | { readonly kind: 'record blob'; readonly record: RecordBlob }
  | {
      readonly kind: 'record member'
      readonly repository: Repository
      readonly digest: Digest
      readonly atMs: number
    }
  | {
      readonly kind: 'record tag'
      readonly repository: Repository
      readonly tag: Tag
      readonly digest: Digest
      readonly check: TagCheck
    }
  | {
      readonly kind: 'record list'
      readonly repository: Repository
      readonly key: string
      readonly list: ListFact
    }
  | { readonly kind: 'record push'; readonly record: RecordPush }
  | { readonly kind: 'note uses'; readonly uses: readonly (readonly [Digest, number])[] }
  | { readonly kind: 'forget tag'; readonly repository: Repository; readonly tag: Tag }
  | { readonly kind: 'forget content'; readonly digest: Digest }
  | {
      readonly kind: 'delete tag'
      readonly repository: Repository
      readonly tag: Tag
      readonly options: DeleteOptions
    }
  | {
      readonly kind: 'remove member'
      readonly repository: Repository
      readonly digest: Digest
      readonly options: DeleteOptions
    }
  | { readonly kind: 'expire pending blob'; readonly pending: PendingBlob }
  | { readonly kind: 'record delivery'; readonly delivery: NewDelivery }
  | { readonly kind: 'change delivery'; readonly id: number; readonly change: DeliveryChange }
  | {
      readonly kind: 'remove delivery'
      readonly id: number
      readonly settled: SettledTags | undefined
    }
  | { readonly kind: 'reserve sequence'; readonly end: number }
  | { readonly kind: 'mark rebuilt' }
  | { readonly kind: 'mark compared'; readonly end: number }
  | { readonly kind: 'mark recovered' }

/** Prepares every statement once; the function it returns carries out one operation. */
export function prepareOperations(database: Database): (operation: Operation) => void {
  const sql = prepareWrites(database)
  const content = contentWrites(sql)
  const tags = tagWrites(sql, content)
  const { removeMember, expirePendingBlob } = memberRemoval(sql, tags)
  const outbox = prepareOutboxWrites(database)

  return operation => {
    switch (operation.kind) {
      case 'record manifest':
        return recordManifest(operation.record)
      case 'record blob':
        return content.recordBlob(operation.record)
      case 'record member': {
        const { repository, digest } = operation
        const id = content.contentId(digest)
        return content.confirmMember(content.repositoryId(repository), id)
      }
      case 'record tag':
        return tags.recordTag(operation)
      case 'record list': {
        const { repository, key, list } = operation
        sql.upsertList.run(content.repositoryId(repository), key, list.body, list.checkedAtMs)
        return
      }
      case 'record push':
        return recordPush(operation.record)
      case 'note uses':
        for (const [digest, atMs] of operation.uses)
          sql.noteUse.run(atMs, digestBytes(digest), atMs)
        return
      case 'forget tag':
        return tags.forgetTag(operation.repository, operation.tag)
      case 'forget content':
        sql.forgetContent.run(digestBytes(operation.digest))
        return
      case 'delete tag':
        tags.deleteTag(operation.repository, operation.tag)
        return outbox.withdraw(operation.options)
      case 'remove member':
        removeMember(operation.repository, operation.digest)
        return outbox.withdraw(operation.options)
      case 'expire pending blob':
        return expirePendingBlob(operation.pending)
      case 'record delivery':
        return outbox.add(operation.delivery)
      case 'change delivery':
        return outbox.change(operation.id, operation.change)
      case 'remove delivery': {
        const { id, settled } = operation
        outbox.remove(id)
        if (settled !== undefined) tags.settleTags(id, settled)
        return
      }
      case 'reserve sequence':
        sql.reserveSequence.run(operation.end)
        return
      case 'mark rebuilt':
        sql.markRebuilt.run()
        return
      case 'mark compared':
        sql.giveBackSequence.run(operation.end)
        sql.markCompared.run()
        return
      case 'mark recovered':
        sql.markRecovered.run()
        return
    }
  }

  function recordManifest(record: RecordManifest): void {
    content.recordManifest(record)
    const { repository, tag, previous, atMs } = record
    const { digest } = record.manifest
    if (tag !== undefined)
      tags.recordTag({ repository, tag, digest, check: { checkedAtMs: atMs, previous } })
  }

  function recordPush(record: RecordPush): void {
    content.recordPushed(record)
    tags.pushTags(record)
    if (record.delivery !== undefined) outbox.add(record.delivery)
  }
}
