// What each write does to the tables, by subject. Runs on the writer thread, inside a transaction
// that someone else begins and commits; nothing is remembered between operations, so a rollback is
// complete.
import type { Database } from 'better-sqlite3'
import type { RecordManifest } from '../../registry/ports/catalog-content.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import type * as Port from '../writes.ts'
import { contentWrites } from './content.ts'
import { idsIn } from './ids.ts'
import { listWrites } from './lists.ts'
import { manifestWrites } from './manifests.ts'
import { memberWrites } from './members.ts'
import { metaWrites } from './meta.ts'
import { outboxWrites } from './outbox.ts'
import { pendingWrites } from './pending.ts'
import { memberRemoval } from './remove-member.ts'
import { tagWrites } from './tags.ts'

type PortWrites = {
  readonly [Name in Port.WriteName]: (...args: Port.WriteArgs<Name>) => void
}
/** Of the file itself and of uses: no answer that a client was given is made of them. */
type FileWrites = ReturnType<typeof metaWrites> & Pick<ReturnType<typeof contentWrites>, 'noteUses'>

/** A write of this file that is none of the port's. */
export type FileOperation = {
  [Name in keyof FileWrites]: { readonly name: Name; readonly args: Parameters<FileWrites[Name]> }
}[keyof FileWrites]

/** A write on its way to the writer thread, as a plain value. */
export type Operation = Port.Operation | FileOperation

/** Prepares every statement once; the function it returns carries out one operation. */
export function prepareOperations(database: Database): (operation: Operation) => void {
  const writes = prepareWrites(database)
  return ({ name, args }) => {
    const write = writes[name] as (...args: readonly unknown[]) => void
    write(...args)
  }
}

function prepareWrites(database: Database): PortWrites & FileWrites {
  const ids = idsIn(database)
  const pending = pendingWrites(database)
  const content = contentWrites(database)
  const members = memberWrites(database, { ids, content, pending })
  const manifests = manifestWrites(database, { ids, content, members, pending })
  const tags = tagWrites(database, ids)
  const removal = memberRemoval(database, { ids, tags, pending })
  const outbox = outboxWrites(database)
  return {
    ...content,
    ...members,
    ...listWrites(database, ids),
    ...tags,
    ...removal,
    ...outbox,
    ...metaWrites(database),
    // What is about several subjects.
    recordManifest(record: RecordManifest): void {
      manifests.recordManifest(record)
      const { repository, tag, previous, atMs, manifest } = record
      if (tag !== undefined)
        tags.recordTag(repository, tag, manifest.digest, { checkedAtMs: atMs, previous })
    },
    recordPush(record: RecordPush): void {
      manifests.recordPushed(record)
      tags.pushTags(record)
      if (record.delivery !== undefined) outbox.recordDelivery(record.delivery)
    },
    deleteTag(repository, tag, options): void {
      tags.deleteTag(repository, tag)
      outbox.withdraw(options)
    },
    removeMember(repository, digest, options): void {
      removal.removeMember(repository, digest)
      outbox.withdraw(options)
    },
    removeDelivery(id, settled): void {
      outbox.remove(id)
      if (settled !== undefined) tags.settleTags(id, settled)
    },
  }
}
