// Collection: what nothing needs any more leaves after a grace, and what never was needed once
// nobody has asked for it in a week. There is nothing to mark: the catalog counts who needs what
// (docs/storage-format.md, "Leaving"). Whether content may go is asked once more as it is let go;
// here is what is looked at, page by page, and what is told of it.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import { alsoNoted, type JobResult, type JobRun, Tally } from '../job.ts'
import type { Pins } from '../pins/pins.ts'
import type { Leaving } from '../leave/leaving.ts'
import { Grace, type Graces } from '../time/grace.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { AsOf, Leaves, LooseContent } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import { Loosened } from '../leave/loosened.ts'
import { Pieces } from '../pacing/pieces.ts'
import { TimeRun } from '../time/time-run.ts'

export interface CollectDeps {
  readonly catalog: Pick<
    Catalog,
    | 'expireLeases'
    | 'putBack'
    | 'stampLoose'
    | 'listLooseSince'
    | 'listLoose'
    | 'findNeed'
    | 'listUnneededWithout'
  >
  readonly leaving: Pick<Leaving, 'letGo'>
  readonly clock: Pick<Clock, 'nowMs'>
  /** Default: nothing is pinned. */
  readonly pins?: Pick<Pins, 'findContent' | 'digests'> | undefined
  readonly graces: Pick<Graces, 'asOfNow' | 'forPass' | 'putBack'>
  /**
   * Takes what follows deleted manifests, and tells of it; in a dry run only tells.
   * @throws StoreError
   */
  readonly takeFollowers: (taking: Taking) => Promise<void>
}

/** What is under way. */
export interface Taking {
  readonly run: JobRun
  readonly tally: Tally
  /** In a dry run: has left so far, and leaves by this. */
  readonly loosened: Loosened
  readonly grace: Grace
  /** To be told of each that had to go and stays, because the disk failed. */
  readonly couldNotTake: () => void
  /** To be told of each that had to go and stays, since something of its repository is lost. */
  readonly leftAlone: (repository: Repository) => void
}

/** `storage.gc.delay` where nobody says another one. */
export const GRACE_MS = 60 * 60 * 1000
/**
 * Files that were found without a row, and blobs that nobody had a manifest for: a week, as for
 * parts of downloads. Where there is no room they go before.
 */
export const UNUSED_MS = 7 * 24 * 60 * 60 * 1000
const PAGE_ROWS = 200
/** With what they list: some milliseconds of work. Then others have their turn. */
const LOOKED_AT_ONCE = 64
/** Leave in one commit, with what they list: some 50 ms of the thread that writes the catalog. */
const TAKEN_AT_ONCE = 256

/** Some tenths of a second of work for somebody who only looks. */
const WAITING_ADDED_MAX = 10_000

const NEEDED_NO_MORE = 'nothing needs it any more'
const NEVER_NEEDED = 'nothing needs it, and nobody has asked for it in a week'

/**
 * In a dry run only tells: the same that a run at this moment would do.
 * @throws StoreError
 */
export async function collect(deps: CollectDeps, run: JobRun): Promise<JobResult> {
  const { catalog } = deps
  const grace = await (run.dryRun ? deps.graces.asOfNow() : deps.graces.forPass())
  const unusedBeforeMs = grace.before(UNUSED_MS)
  // A lease is over when it is over, also where that is not to be written down.
  const asOf = run.dryRun ? { leasesOverMs: grace.leasesOverMs } : {}
  const collecting = new Collecting(deps, run, asOf)
  if (!run.dryRun) await unlessFull(writeTimes(deps, grace))
  await collecting.takeDeleted(grace)
  await collecting.takeAll(
    NEVER_NEEDED,
    async last => {
      const after = last === undefined ? {} : { after: last }
      const page = await catalog.listLoose({ limit: PAGE_ROWS, ...asOf, ...after })
      // The longest unused come first.
      return page.filter(({ lastUsedAtMs }) => lastUsedAtMs < unusedBeforeMs)
    },
    ({ looseAtMs }) => looseAtMs === undefined,
  )
  return collecting.result()
}

/** What was deleted and still takes room. */
export interface Waiting {
  readonly bytes: number
  /** There is more than was added up. */
  readonly isMore: boolean
}

/**
 * Of what waits for its grace, with what goes along: as a run would take that has none.
 * @throws StoreError
 */
export async function whatWaits(deps: CollectDeps): Promise<Waiting> {
  const { nowMs, leasesOverMs } = await deps.graces.asOfNow()
  const pieces = new Pieces()
  const enough = new AbortController()
  const run: JobRun = {
    dryRun: true,
    signal: enough.signal,
    progress: ({ count }) => {
      if (count >= WAITING_ADDED_MAX) enough.abort()
    },
    pause: () => pieces.done(LOOKED_AT_ONCE),
  }
  const collecting = new Collecting(deps, run, { leasesOverMs })
  const none = [{ fromMs: 0, graceMs: 0 }]
  await collecting.takeDeleted(new Grace(none, { nowMs: nowMs + 1, timeRun: new TimeRun(0, []) }))
  return { bytes: collecting.result().freedBytes, isMore: enough.signal.aborted }
}

/** On a full disk none of it is written down, and what is due goes. */
async function writeTimes({ catalog, graces }: CollectDeps, grace: Grace): Promise<void> {
  const { nowMs, longestMs } = grace
  await catalog.expireLeases(grace.leasesOverMs)
  if (grace.mayPutBack) {
    await catalog.putBack({ nowMs, longestMs })
    await graces.putBack(nowMs)
  }
  await catalog.stampLoose(nowMs)
}

async function unlessFull(written: Promise<void>): Promise<void> {
  await written.catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.failure !== 'full') throw error
  })
}

function afterLoose(last: LooseContent | undefined) {
  const { digest, looseAtMs } = last ?? {}
  return digest === undefined || looseAtMs === undefined ? {} : { after: { digest, looseAtMs } }
}

type NextPage = (last: LooseContent | undefined) => Promise<readonly LooseContent[]>

class Collecting {
  readonly #deps: CollectDeps
  readonly #run: JobRun
  readonly #asOf: AsOf
  readonly #tally: Tally
  /** In a dry run, of all pages: nothing of those before has left. */
  #loosened: Loosened
  #notTaken = 0
  readonly #unclear = new Set<RepositoryKey>()
  /** Files that the disk could not remove. */
  #stuck = 0

  constructor(deps: CollectDeps, run: JobRun, asOf: AsOf) {
    this.#deps = deps
    this.#run = run
    this.#asOf = asOf
    this.#tally = new Tally(run)
    this.#loosened = new Loosened(deps.catalog, asOf)
  }

  async takeAll(
    reason: string,
    next: NextPage,
    isMeant: (content: LooseContent) => boolean,
  ): Promise<void> {
    let page = await next(undefined)
    for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
      if (this.#run.signal.aborted) return
      await this.#take(page.filter(isMeant), reason)
      await this.#run.pause()
      page = await next(last)
    }
  }

  /** Whose grace is over. What follows it comes behind it. */
  async takeDeleted(grace: Grace): Promise<void> {
    const { catalog } = this.#deps
    const page = { beforeMs: grace.takenBeforeMs, limit: PAGE_ROWS, ...this.#asOf }
    await this.takeAll(
      NEEDED_NO_MORE,
      last => catalog.listLooseSince({ ...page, ...afterLoose(last) }),
      ({ looseAtMs }) => looseAtMs !== undefined && grace.isOver(looseAtMs),
    )
    await this.#takeFollowers(grace)
  }

  async #takeFollowers(grace: Grace): Promise<void> {
    const [run, tally, loosened] = [this.#run, this.#tally, this.#loosened]
    const couldNotTake = () => (this.#notTaken += 1)
    const leftAlone = (of: Repository) => this.#unclear.add(repositoryKey(of))
    const taking = { grace, run, tally, loosened, couldNotTake, leftAlone }
    // On a full disk no fact can say that they are deleted: once there is room.
    await unlessFull(this.#deps.takeFollowers(taking))
    if (!run.dryRun) this.#loosened = new Loosened(this.#deps.catalog, this.#asOf)
  }

  result(): JobResult {
    return [whyNotAll(this.#notTaken), whyLeft(this.#unclear), whyStuck(this.#stuck)].reduce(
      alsoNoted,
      this.#tally.result(),
    )
  }

  #isPinned(digest: Digest): boolean {
    return this.#deps.pins?.findContent(digest) !== undefined
  }

  async #take(page: readonly LooseContent[], reason: string): Promise<void> {
    let digests: Digest[] = []
    let [looked, taken] = [0, 0]
    for (const root of page) {
      // Nor may what would take along what is pinned.
      const left = await this.#loosened.leave(root.digest, digest => this.#isPinned(digest))
      looked += Math.max(1, left.length)
      if (looked >= LOOKED_AT_ONCE) {
        await this.#run.pause()
        looked = 0
      }
      if (this.#run.signal.aborted) break
      if (left.length > 0) digests.push(root.digest)
      if (this.#run.dryRun) this.#tell(left, reason)
      taken += left.length
      if (taken < TAKEN_AT_ONCE) continue
      await this.#letGo(digests, reason)
      digests = []
      taken = 0
    }
    await this.#letGo(digests, reason)
  }

  /** What somebody pinned, pulled or was promised since it was looked at stays, and is not told. */
  async #letGo(digests: readonly Digest[], reason: string): Promise<void> {
    if (this.#run.dryRun || digests.length === 0) return
    await this.#deps.leaving.letGo(digests, 'collected', {
      spared: this.#deps.pins?.digests(),
      departed: ({ left }) =>
        left.forEach(({ leaves, stuck }) => {
          this.#tell(leaves, reason)
          this.#stuck += stuck.length
        }),
    })
    this.#loosened = new Loosened(this.#deps.catalog, this.#asOf)
  }

  #tell(leaves: readonly Leaves[], reason: string): void {
    const listedOnly = onePerManifest()
    for (const { digest, sizeBytes, listedBy } of leaves)
      this.#tally.add({
        what: digest,
        reason: listedBy === undefined ? reason : listedOnly(listedBy),
        bytes: onDiskBytes(sizeBytes),
      })
  }
}

/** One text for all that a manifest listed: they are told of behind each other, and are kept. */
function onePerManifest(): (manifest: Digest) => string {
  let of: Digest | undefined
  let reason = ''
  return manifest => {
    if (manifest !== of) reason = `only ${manifest} listed it`
    of = manifest
    return reason
  }
}

function whyStuck(files: number): string | undefined {
  if (files === 0) return undefined
  const what = files === 1 ? 'one file' : `${files} files`
  return `${what} could not be removed and take room until the disk lets go: the log says why`
}

function whyNotAll(notTaken: number): string | undefined {
  if (notTaken === 0) return undefined
  const what = notTaken === 1 ? 'one manifest' : `${notTaken} manifests`
  return `${what} could not be taken: the log says why, and the next pass tries again`
}

function whyLeft(unclear: ReadonlySet<RepositoryKey>): string | undefined {
  const [first] = unclear
  if (first === undefined) return undefined
  const where = unclear.size === 1 ? first : `${unclear.size} repositories, ${first} for one,`
  return `what followed deleted manifests of ${where} stays, since something is lost or cannot be read: the log says what`
}
