// What each write does to the tables, by subject. Runs on the writer thread, inside a transaction
// that someone else begins and commits; nothing is remembered between operations, so a rollback is
// complete.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { RecordManifest } from '../../registry/ports/catalog-content.ts'
import type {
  DeleteOptions,
  RecordPush,
  RemoveOptions,
} from '../../registry/ports/catalog-pushes.ts'
import type { SettledTags } from '../../registry/ports/outbox.ts'
import type * as Port from '../writes.ts'
import { contentWrites } from './content.ts'
import { imageEviction } from './images/evict-image.ts'
import { followerWrites } from './followers.ts'
import { ghostWrites } from './images/ghosts.ts'
import { type HoldWrites, holdWrites } from './holds.ts'
import { type Ids, idsIn } from './ids.ts'
import { leavingWrites } from './leaving.ts'
import { listWrites } from './lists.ts'
import { looseWrites } from './loose.ts'
import { manifestWrites } from './manifests.ts'
import { memberWrites } from './members.ts'
import { metaWrites } from './meta.ts'
import { outboxWrites } from './outbox.ts'
import { pendingWrites } from './pending.ts'
import { pinWrites } from './pins.ts'
import { recountWrites } from './recount.ts'
import { memberRemoval } from './remove-member.ts'
import { jobNoteWrites } from './job-notes.ts'
import { type TagWrites, tagWrites } from './tags.ts'
import { tidyWrites } from './tidy.ts'
import { usageWrites } from './images/uses-of-images.ts'

type PortWrites = {
  readonly [Name in Port.WriteName]: (...args: Port.WriteArgs<Name>) => Port.WriteResult<Name>
}
/** Of the file itself: no answer that a client was given is made of them. */
type FileWrites = ReturnType<typeof metaWrites>

/** A write of this file that is none of the port's. */
export type FileOperation = {
  [Name in keyof FileWrites]: { readonly name: Name; readonly args: Parameters<FileWrites[Name]> }
}[keyof FileWrites]

/** A write on its way to the writer thread, as a plain value. */
export type Operation = Port.Operation | FileOperation

/**
 * Prepares every statement once; the function it returns carries out one operation, and returns
 * its result. `between` is called between steps of what takes content away.
 */
export function prepareOperations(
  database: Database,
  between: () => void = () => {},
): (operation: Operation) => unknown {
  const writes = prepareWrites(database, between)
  return ({ name, args }) => {
    const write = writes[name] as (...args: readonly unknown[]) => unknown
    return write(...args)
  }
}

function prepareWrites(database: Database, between: () => void): PortWrites & FileWrites {
  const ids = idsIn(database)
  const pending = pendingWrites(database)
  const content = contentWrites(database)
  const members = memberWrites(database, { ids, content, pending })
  const manifests = manifestWrites(database, { ids, content, members, pending })
  const usage = usageWrites(database, ids)
  const tags = tagWrites(database, ids, usage)
  const holds = holdWrites(database, ids)
  const followers = followerWrites(database, ids)
  const removal = memberRemoval(database, { ids, tags, pending, holds, followers })
  const outbox = outboxWrites(database)
  const loose = looseWrites(database, { ids, content })
  const leaving = leavingWrites(database, ids, between)
  const ghosts = ghostWrites(database)
  return {
    ...content,
    ...members,
    ...listWrites(database, ids),
    ...tags,
    ...removal,
    ...outbox,
    ...loose,
    ...followers,
    ...leaving,
    ...imageEviction(database, { ids, leaving, ghosts }),
    ...ghosts,
    ...pinWrites(database),
    ...jobNoteWrites(database),
    ...tidyWrites(database),
    ...recountWrites(database),
    ...metaWrites(database),
    // What is about several subjects.
    recordManifest(record: RecordManifest): void {
      manifests.recordManifest(record)
      const { repository, tag, previous, atMs, manifest } = record
      ghosts.welcome({ repository, digest: manifest.digest })
      if (tag !== undefined)
        tags.recordTag(repository, tag, manifest.digest, { checkedAtMs: atMs, previous })
    },
    recordPush(record: RecordPush): void {
      manifests.recordPushed(record)
      tags.pushTags(record)
      loose.endLeases(record.repository, record.manifest.digest)
      followers.endFollowingBy(record.repository, record.manifest.digest)
      if (record.delivery !== undefined) outbox.recordDelivery(record.delivery)
      holds.holdPushed(record)
    },
    noteUses(uses): void {
      content.noteUses(uses)
      usage.noteUsesOfImages(uses)
    },
    stampLoose(atMs: number): void {
      loose.stampLoose(atMs)
      followers.stampFollowers(atMs)
    },
    putBack(times): void {
      loose.putLooseBack(times)
      pending.putPendingBack(times)
      followers.putFollowersBack(times.nowMs)
    },
    ...outboxEnds({ ids, tags, removal, outbox, holds }),
  }
}

interface EndParts {
  readonly ids: Ids
  readonly tags: TagWrites
  readonly removal: ReturnType<typeof memberRemoval>
  readonly outbox: ReturnType<typeof outboxWrites>
  readonly holds: HoldWrites
}

/** What takes entries out of the outbox, for whose sake something may have been held. */
function outboxEnds({ ids, tags, removal, outbox, holds }: EndParts) {
  return {
    deleteTag(repository: Repository, tag: Tag, options?: DeleteOptions): void {
      tags.deleteTag(repository, tag)
      outbox.withdraw(options)
    },
    removeMember(repository: Repository, digest: Digest, options?: RemoveOptions): boolean {
      const isRemoved = removal.removeMember(repository, digest, options)
      if (isRemoved) outbox.withdraw(options)
      return isRemoved
    },
    removeDelivery(id: number, settled?: SettledTags): void {
      const carried = holds.carriedBy(id)
      outbox.remove(id)
      if (settled === undefined) return
      tags.settleTags(id, settled)
      const { repository, isKept = false } = settled
      for (const each of carried) holds.release(each, isKept)
      const where = ids.knownRepository(repository)
      if (carried.length === 0 && where !== undefined) holds.releaseAll(where, isKept)
    },
  }
}
