// The port to facts about bytes: which repository holds what, which manifest names what, where a
// tag points and when that was checked, what is still to be delivered. Content is truth for bytes;
// the catalog is truth for names. Values in, values out, always asynchronous. Each subject is in a
// file of its own; here is what holds for all of them.
import type { RepositoryKey } from '../../oci/reference.ts'
import type { ContentReads, ContentWrites } from './catalog-content.ts'
import type { FollowerReads, FollowerWrites } from './catalog-followers.ts'
import type { HoldingReads } from './catalog-holdings.ts'
import type { ImageReads, ImageWrites } from './catalog-images.ts'
import type { JobReads, JobWrites } from './catalog-job-notes.ts'
import type { PushReads, PushWrites } from './catalog-pushes.ts'
import type { PinReads, PinWrites } from './catalog-pins.ts'
import type { SpaceReads, SpaceWrites } from './catalog-space.ts'
import type { TagReads, TagWrites } from './catalog-tags.ts'
import type { UseWrites } from './catalog-uses.ts'
import type { VerifiedReads, VerifiedWrites } from './catalog-verified.ts'
import type { OutboxReads, OutboxWrites } from './outbox.ts'

/** A read sees every write that was acknowledged before it is begun. */
export interface CatalogReads
  extends ContentReads,
    TagReads,
    PushReads,
    OutboxReads,
    SpaceReads,
    FollowerReads,
    PinReads,
    JobReads,
    HoldingReads,
    ImageReads,
    VerifiedReads {}

/**
 * Each resolves once it is durable. They are applied in the order of the calls.
 * @throws StoreError full, io, busy
 */
export interface CatalogWrites
  extends ContentWrites,
    TagWrites,
    PushWrites,
    OutboxWrites,
    SpaceWrites,
    FollowerWrites,
    UseWrites,
    PinWrites,
    JobWrites,
    ImageWrites,
    VerifiedWrites {}

/** Who remembers answers that are made of what is in the catalog; registry/epochs.ts. */
export interface ChangedAnswers {
  /**
   * What was answered about this repository may be wrong now. MUST be called after the change can
   * be read, and before anybody is told that it was made.
   */
  bump(key: RepositoryKey): void
  /** The same for every repository. */
  bumpAll(): void
}

export interface Catalog extends CatalogReads, CatalogWrites {
  /**
   * A positive integer larger than any that this catalog gave before, in this process or an earlier
   * one, whatever the clock does. Synchronous: a range is reserved at open.
   * @throws StoreError full, io when none could be reserved
   */
  sequence(): number
  /**
   * After this `sequence()` gives only larger numbers than `floor`. For a rebuild from what lies on
   * disk.
   */
  raiseSequence(floor: number): Promise<void>
  /**
   * Of this file, for as long as it lives; one that is begun anew has another. Facts say under
   * which catalog they were told.
   */
  readonly identity: string
  /**
   * False until markRebuilt was called: the file was begun anew, or by an older version. `facts/`
   * are to be recorded before anybody asks.
   */
  readonly rebuilt: boolean
  /**
   * Not `isAllFound`: facts say more than could be recorded. What is here by now, and what comes
   * until `noteStock`, may be of that, and MUST NOT leave: it is unclear.
   */
  markRebuilt(isAllFound: boolean): Promise<void>
  /** Waits for what was asked before, then closes. Later calls reject. */
  close(): Promise<void>
}
