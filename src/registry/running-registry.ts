// What the registry is given, and what it is for those who run it, beside what clients ask of it.
import type { Digest } from '../oci/digest.ts'
import type { Repository, Tag } from '../oci/reference.ts'
import type { Registry } from './use-cases.ts'
import type { BlobsInUse } from './reading/blobs-in-use.ts'
import type { StoredContent } from './content/content.ts'
import type { Waiting } from './collect/collect.ts'
import type { Grace } from './time/grace.ts'
import type { Haste } from '../async/haste.ts'
import type { Epochs } from './epochs.ts'
import type { JobResult, JobRun } from './job.ts'
import type { Quotas } from './evict/quotas.ts'
import type { Namespaces } from './routing/namespaces.ts'
import type { Pins } from './pins/pins.ts'
import type { Importing } from './push/importing.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import type { NoteEvent } from './ports/events.ts'
import type { FactStore } from './ports/facts.ts'
import type { AdoptedFiles, Adopting } from './rebuild/adopt-files.ts'
import type { ComparedFacts } from './rebuild/compare-facts.ts'
import type { Purged } from './upload/purge-uploads.ts'
import type { ReadCached } from './fill/buffer-pool.ts'
import type { PurgeOptions, PurgeResult } from './purge/purge.ts'
import type { RepositoryPolicies } from './routing/repository-policy.ts'
import type { RetentionRules } from './retain/rules.ts'
import type { Route } from './routing/route.ts'
import type { Selector } from './pins/selectors.ts'
import type { Stock } from './facts/stock.ts'
import type { StorageLimits } from './space/limits.ts'
import type { Turns } from '../async/turns.ts'
import type { Refused } from './space/want-of-space.ts'
import type { Leaving } from './leave/leaving.ts'

/** Those that serve what is here beside this one. */
export interface OtherThreads {
  /** Of what is in use and about to leave: none keeps it open any more for who asks next. */
  closeOpen(digest: Digest): void
  /**
   * Resolves when each has told `noteUses` of all that it has given. MUST NOT reject, nor wait long
   * for one that is gone or hangs.
   */
  tellUses(): Promise<void>
}

export interface RegistryDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  /** Over these two; whatever else writes down content has the same one. */
  readonly content: StoredContent
  readonly clock: Clock
  readonly note: NoteEvent
  readonly namespaces: Namespaces
  readonly route: Route
  readonly facts: FactStore
  /** Absent: facts may tell of what the catalog does not know. */
  readonly stock?: Stock | undefined
  readonly policies: RepositoryPolicies
  /** A new upload id at each call: at least 128 random bits. */
  readonly newUploadId: () => string
  /** As they are now. */
  readonly storageLimits: () => StorageLimits
  /** Default: nothing is pinned. */
  readonly pins?:
    | Pick<Pins, 'find' | 'findWithListed' | 'findContent' | 'digests' | 'changes'>
    | undefined
  /** Is its file still to be read? Then it stays, whatever lets it go. Default: none. */
  readonly isHeld?: (digest: Digest) => boolean
  readonly inUse: BlobsInUse
  /** `storage.gc.delay`, as it is now. Default GRACE_MS. */
  readonly graceMs?: () => number
  /** Told of kept content that nothing needs any more: `graceLeftMs` says more. MUST NOT throw. */
  readonly loosened?: (() => void) | undefined
  /** As they are now: the same ones until a reload makes others of them. Default: none. */
  readonly quotas?: (() => Quotas) | undefined
  /** Told when something found no room: `keepRoom` is of use. MUST NOT throw. */
  readonly roomWanted?: () => void
  /** Bumped by every write to `catalog`. Absent: no blob stays open for who asks next. */
  readonly epochs?: Epochs | undefined
  /** That `catalog` goes by. Default one of its own. */
  readonly haste?: Haste | undefined
  /** Absent: this thread alone serves. */
  readonly elsewhere?: OtherThreads | undefined
  /** For blobs that are sent from here. Absent: every read is the thread pool's. */
  readonly readCached?: ReadCached | undefined
  /** See OvertakeDeliveriesDeps. */
  readonly unsettledMs?: (key: string) => number
  /** Told after each push into a queue, once the catalog has it. */
  readonly queued?: () => void
}

export interface RunningRegistry extends Registry {
  /**
   * A queued push is at its upstream. To be called in the repository's turn, before its entry goes,
   * so that lists have its tags all the time. Throws nothing that disk or catalog brought about.
   */
  delivered(repository: Repository, what: { digest: Digest; tags: readonly Tag[] }): Promise<void>
  /**
   * Those that pushes and deletes take, by the repository's key, for whoever writes down something
   * of the same kind.
   */
  readonly turns: Turns
  /**
   * Resolves when no fill of this blob runs any more; at once when none does. Readers are done
   * before the disk is.
   */
  settled(digest: Digest): Promise<void>
  /**
   * What a selector is about leaves this edge, and what is remembered of it; see purge/purge.ts.
   * @throws StoreError
   */
  purge(selector: Selector, options: PurgeOptions): Promise<PurgeResult>
  /**
   * Removes uploads that nobody has gone on with for so long; with `dryRun` only counts them. Tells
   * of it by one event.
   * @throws StoreError
   */
  purgeUploads(options: { olderThanMs: number; dryRun: boolean }): Promise<Purged>
  /** What operators import. */
  readonly importing: Importing
  /** Resolves when the catalog has what any thread has given until now, or that is lost. */
  flushUses(): Promise<void>
  /** See evict/evict-down.ts. @throws StoreError */
  evict(run: JobRun): Promise<JobResult>
  /** See collect/collect.ts. @throws StoreError */
  collect(run: JobRun): Promise<JobResult>
  /** See time/grace.ts. @throws StoreError */
  graceLeftMs(): Promise<number | undefined>
  /** See collect/collect.ts. @throws StoreError */
  whatWaits(): Promise<Waiting>
  /**
   * Ends what is pending for pushes that never ended, until `signal` is aborted; see
   * upload/expire-pending-blobs.ts.
   * @throws StoreError
   */
  expirePendingBlobs(signal: AbortSignal): Promise<void>
  /** See delete/forget-deletes.ts. @throws StoreError */
  forgetDeletes(signal: AbortSignal): Promise<void>
  /** What is over by now, in time in which this edge ran. @throws StoreError */
  graceNow(): Promise<Grace>
  /** See `write` in time/time-keeper.ts. @throws StoreError */
  noteTime(): Promise<void>
  /** Has the last run of `retain` in this process left it alone, not knowing enough of it? */
  isLeftAlone(repository: Repository): boolean
  /** See retain/retain.ts. @throws StoreError */
  retain(rules: () => RetentionRules, run: JobRun): Promise<JobResult>
  /**
   * Why nothing more is kept now, and what to do about it, for people; undefined while there is
   * room.
   * @throws StoreError io
   */
  fullBecause(): Promise<string | undefined>
  /** By which content leaves the disk: `finish` it once after a start. */
  readonly leaving: Leaving
  /** What found no room since the start. */
  refusedForSpace(): Refused
  /** What all of the data directory takes: looks there. @throws StoreError */
  takenBytes(): Promise<number>
  /**
   * Has content leave that is above its quota; then looks at what the data directory takes, and has
   * content leave where a limit of the storage is passed. MUST NOT overlap.
   * @throws StoreError
   */
  keepRoom(signal: AbortSignal): Promise<void>
  /**
   * See rebuild/compare-facts.ts; to be run once after a start.
   * @throws StoreError; the signal's reason
   */
  compareFacts(signal: AbortSignal): Promise<ComparedFacts>
  /**
   * See rebuild/adopt-files.ts; to be run after that.
   * @throws StoreError; the signal's reason
   */
  adoptFiles(how: Omit<Adopting, 'atMs'>): Promise<AdoptedFiles>
  /**
   * Parks the fills and uploads that run, for the next process to resume. Call it once nobody asks
   * any more.
   */
  stop(): Promise<void>
}
