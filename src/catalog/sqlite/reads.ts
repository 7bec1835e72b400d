// The reads of the catalog port, by subject, on the calling thread: one read-only connection,
// statements prepared once, each a few look-ups by key. Synchronous on purpose; the port's promises
// are made in catalog.ts.
import type { Database } from 'better-sqlite3'
import type { SyncReads } from '../reads.ts'
import { contentReads } from './content.ts'
import { listReads } from './lists.ts'
import { manifestReads } from './manifests.ts'
import { memberReads } from './members.ts'
import { outboxReads } from './outbox.ts'
import { pendingReads } from './pending.ts'
import { tagReads } from './tags.ts'

export function prepareReads(database: Database, nowMs: () => number): SyncReads {
  return {
    ...contentReads(database),
    ...manifestReads(database, nowMs),
    ...memberReads(database, nowMs),
    ...tagReads(database),
    ...listReads(database),
    ...pendingReads(database),
    ...outboxReads(database),
  }
}
