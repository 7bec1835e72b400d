// The reads of the catalog port, by subject, on the calling thread: one read-only connection,
// statements prepared once, each a few look-ups by key. Synchronous on purpose; the port's promises
// are made in catalog.ts.
import type { Database } from 'better-sqlite3'
import type { SyncReads } from '../reads.ts'
import { contentReads } from './content.ts'
import { followerReads } from './followers.ts'
import { ghostReads } from './images/ghosts.ts'
import { holdReads } from './holds.ts'
import { holdingReads } from './holdings.ts'
import { coldReads } from './images/coldest.ts'
import { imageReads } from './images/evict-image.ts'
import { footprintReads } from './images/footprint.ts'
import { leavingReads } from './leaving.ts'
import { listReads } from './lists.ts'
import { looseReads } from './loose.ts'
import { manifestReads } from './manifests.ts'
import { memberListing, memberReads } from './members.ts'
import { outboxReads } from './outbox.ts'
import { pendingReads } from './pending.ts'
import { pinReads } from './pins.ts'
import { jobNoteReads } from './job-notes.ts'
import { recountReads } from './recount.ts'
import { tagReads } from './tags.ts'
import { tidyReads } from './tidy.ts'
import { usageReads } from './images/uses-of-images.ts'

export function prepareReads(database: Database, nowMs: () => number): SyncReads {
  return {
    ...contentReads(database),
    ...manifestReads(database, nowMs),
    ...memberReads(database, nowMs),
    ...memberListing(database, nowMs),
    ...tagReads(database),
    ...listReads(database),
    ...pendingReads(database),
    ...outboxReads(database),
    ...looseReads(database),
    ...leavingReads(database),
    ...followerReads(database),
    ...pinReads(database),
    ...jobNoteReads(database),
    ...tidyReads(database),
    ...recountReads(database),
    ...ghostReads(database),
    ...holdingReads(database, nowMs),
    ...holdReads(database),
    ...usageReads(database),
    ...coldReads(database),
    ...imageReads(database),
    ...footprintReads(database),
  }
}
