// Takes out of their repositories the manifests that follow a deleted one, once their grace is over
// and if nothing else reaches them: as clients delete, one at a time in the repository's turn. What
// follows those in turn goes at once, since it has waited as long. A part of the job `gc`.
import { type Digest } from '../../oci/digest.ts'
import { formatImage, type Repository, repositoryKey } from '../../oci/reference.ts'
import { noteStorage } from '../best-effort.ts'
import type { Taking } from '../collect/collect.ts'
import { type DeleteManifestDeps, removeManifest } from '../delete/delete-manifest.ts'
import type { Leaving } from '../leave/leaving.ts'
import { Loosened } from '../leave/loosened.ts'
import { pagesOf } from '../pacing/pages.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Follower } from '../ports/catalog-followers.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { Leaves } from '../ports/catalog-space.ts'
import { StoreError } from '../ports/store-error.ts'
import { isAmong, type KnownUnclear, type Unclear } from '../facts/unclear-repositories.ts'
import { followersOf, type ReachDeps, reachOf, tagsTo } from './reach.ts'

export interface TakeFollowersDeps extends DeleteManifestDeps, Pick<ReachDeps, 'pins'> {
  readonly leaving: Pick<Leaving, 'letGo'>
  /** Where something is lost: that may list what follows, or be what it is about. */
  readonly unclear: Pick<KnownUnclear, 'find'>
}

interface Taken {
  /** In a run, what may leave by it now: others can need it by then. */
  readonly leaves: readonly Leaves[]
  /** That led to it. */
  readonly tags: readonly string[]
  /** What follows it. */
  readonly below: readonly Follower[]
  /** Somebody has deleted it elsewhere since: its bytes stay for as long as after any delete. */
  readonly staysForItsGrace: boolean
}

const PAGE_ROWS = 200

const REASON = 'what listed it, or what it is about, was deleted'

/**
 * One that cannot be taken is left to the next pass, and those behind it go.
 * @throws StoreError `full`, or where the catalog cannot list them; what went by then stays gone
 */
export async function takeFollowers(deps: TakeFollowersDeps, taking: Taking): Promise<void> {
  await new Followers(deps, taking).takeAll()
}

class Followers {
  readonly #deps: TakeFollowersDeps
  readonly #taking: Taking
  /** In a dry run, what would have gone. */
  readonly #gone = new Set<string>()
  #unclear: Unclear | undefined

  constructor(deps: TakeFollowersDeps, taking: Taking) {
    this.#deps = deps
    this.#taking = taking
  }

  async takeAll(): Promise<void> {
    const beforeMs = this.#taking.grace.takenBeforeMs
    const due = pagesOf<Follower, Follower>(
      page => this.#deps.catalog.listFollowers({ beforeMs, ...page }),
      last => last,
      () => PAGE_ROWS,
    )
    for await (const page of due) for (const each of page) await this.#takeWithAll(each)
  }

  /** It and what follows it: what is left when it ends early, the next run finds by itself. */
  async #takeWithAll(first: Follower): Promise<void> {
    const { run } = this.#taking
    const waiting = [first]
    for (const each of waiting) {
      if (run.signal.aborted) return
      for (const next of await this.#takeOrLeave(each)) waiting.push(next)
      await run.pause()
    }
  }

  /** The oldest come first in each pass: a failure that ended it would hold up all others. */
  async #takeOrLeave(follower: Follower): Promise<readonly Follower[]> {
    try {
      return await this.#take(follower)
    } catch (error) {
      // Without room none of them can go.
      if (!(error instanceof StoreError) || error.failure === 'full') throw error
      noteStorage(this.#deps.note, error)
      this.#taking.couldNotTake()
      return []
    }
  }

  /** Returns what follows it, if it went. */
  async #take(follower: Follower): Promise<readonly Follower[]> {
    const { repository, digest } = follower
    const { turns, leaving } = this.#deps
    const { dryRun, signal } = this.#taking.run
    // Not in the turn, which facts are looked at in.
    this.#unclear ??= await this.#deps.unclear.find(signal)
    const takeNow = () => this.#takeNow(follower)
    const taken = await (dryRun ? takeNow() : turns.take(repositoryKey(repository), takeNow))
    if (taken === undefined) return []
    const tell = (leaves: readonly Leaves[]) => this.#tell(follower, { ...taken, leaves })
    if (dryRun || taken.staysForItsGrace) tell(taken.leaves)
    // What it listed as well: it may stay for others itself.
    else
      await leaving.letGo([digest, ...taken.leaves.map(each => each.digest)], 'collected', {
        spared: this.#deps.pins?.digests(),
        departed: ({ left }) =>
          tell(left.flatMap(({ leaves }) => leaves.map(toldBy(taken.leaves)))),
      })
    if (!dryRun && taken.staysForItsGrace)
      await this.#deps.catalog.stampLoose(this.#taking.grace.nowMs)
    return taken.below
  }

  /** In the repository's turn: who pushes it again has done so, or finds it gone. */
  async #takeNow(follower: Follower): Promise<Taken | undefined> {
    const { run, loosened, grace } = this.#taking
    const { catalog } = this.#deps
    const { repository, digest } = follower
    const sinceMs = await this.#dueSince(follower)
    if (sinceMs === undefined) return undefined
    const reached = await reachOf(this.#reach(follower), digest)
    if (reached === 'for good' && !run.dryRun) await catalog.endFollowing({ repository, digest })
    if (reached !== undefined || this.#isUnclear(repository)) return undefined
    const deletedAtMs = (await catalog.deletedAt(digest)) ?? 0
    const staysForItsGrace = deletedAtMs > sinceMs && !grace.isOver(deletedAtMs)
    // Of what has gone in a run before the catalog tells itself.
    const leaves = staysForItsGrace
      ? []
      : await (run.dryRun ? loosened : new Loosened(catalog)).leaveRepository(follower)
    const followers = await followersOf(this.#reach(follower), digest)
    const tags: string[] = []
    for await (const { tag } of tagsTo(this.#reach(follower), digest))
      tags.push(formatImage(repository, { kind: 'tag', tag }))
    // It has waited with what it follows.
    const unlessLeased = { leasesOverMs: grace.leasesOverMs }
    const how = { followedSinceMs: sinceMs, deletedAtMs: sinceMs, unlessLeased }
    if (run.dryRun) this.#gone.add(keyOf(follower))
    else if (!(await removeManifest(this.#deps, repository, digest, how))) return undefined
    const below = followers.map(each => ({ repository, digest: each, sinceMs }))
    return { leaves, tags, below, staysForItsGrace }
  }

  /** Undefined when it follows nothing any more, or its grace is not over. */
  async #dueSince(follower: Follower): Promise<number | undefined> {
    const { run, grace } = this.#taking
    const { repository, digest } = follower
    if (this.#isGone(follower)) return undefined
    const sinceMs = await this.#deps.catalog.followsSince(repository, digest)
    // In a dry run nobody has written down that it follows what would have gone.
    const last = run.dryRun ? latest(sinceMs, follower.sinceMs) : (sinceMs ?? 0)
    return last > 0 && grace.isOver(last) ? last : undefined
  }

  /** To be looked at again, once what is lost is found. */
  #isUnclear(repository: Repository): boolean {
    const unclear = this.#unclear
    // Aborted.
    if (unclear === undefined) return true
    if (!isAmong(unclear, repository)) return false
    this.#taking.leftAlone(repository)
    return true
  }

  #isGone(image: Image): boolean {
    return this.#gone.has(keyOf(image))
  }

  #reach({ repository }: Image): ReachDeps {
    const { leasesOverMs } = this.#taking.grace
    const isGone = (digest: Digest) => this.#isGone({ repository, digest })
    return { ...this.#deps, repository, leasesOverMs, isGone }
  }

  #tell({ repository, digest }: Image, { tags, leaves }: Pick<Taken, 'tags' | 'leaves'>): void {
    const { tally } = this.#taking
    for (const tag of tags) tally.add({ what: tag, reason: REASON, bytes: 0 })
    const own = leaves.find(each => each.digest === digest)
    tally.add({
      what: formatImage(repository, { kind: 'digest', digest }),
      reason: REASON,
      bytes: own === undefined ? 0 : onDiskBytes(own.sizeBytes),
    })
    for (const each of leaves)
      if (each !== own)
        tally.add({
          what: each.digest,
          reason: `only ${each.listedBy ?? digest} listed it`,
          bytes: onDiskBytes(each.sizeBytes),
        })
  }
}

/** Those that were listed are let go by name, so the write does not know what listed them. */
function toldBy(foretold: readonly Leaves[]): (left: Leaves) => Leaves {
  const listers = new Map(foretold.map(({ digest, listedBy }) => [digest, listedBy]))
  return left => ({ ...left, listedBy: left.listedBy ?? listers.get(left.digest) })
}

/** As the catalog writes it down: 0, once its grace has begun anew. */
function latest(known: number | undefined, sinceMs: number): number {
  return known === 0 ? 0 : Math.max(known ?? 0, sinceMs)
}

function keyOf({ repository, digest }: Image): string {
  return `${repositoryKey(repository)} ${digest}`
}
