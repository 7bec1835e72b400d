// An operator wants something out of this edge: its rows, its bytes, and what is remembered of it,
// so that the next who asks has the upstream asked. What was pushed, and is at no upstream or not
// yet, goes only when that is said, by the way that a client's delete goes. What was pushed to
// another repository leaves the one it is meant in, and stays for the other.
import type { Digest } from '../../oci/digest.ts'
import {
  formatImage,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../../oci/reference.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import { removeManifest, removeTag } from '../delete/delete-manifest.ts'
import type { LostDeps } from '../delete/lost-manifest.ts'
import { alsoNoted, type Gone, type JobResult, type JobRun, Tally } from '../job.ts'
import type { Leaving } from '../leave/leaving.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Footprint, Freed, Image } from '../ports/catalog-images.ts'
import type { RemoveOptions } from '../ports/catalog-pushes.ts'
import type { Leaves } from '../ports/catalog-space.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import { freedBytes, Loosened } from '../leave/loosened.ts'
import { compileSelector, type Matcher, type Selector } from '../pins/selectors.ts'
import { type KeptFor, type Named, nameOf, type Plan, planPurge } from './plan.ts'
import { takeLists, type TakeLists } from './take-lists.ts'
import { findMeant, NOT_ALL_READ, takeLost } from './take-lost.ts'

export interface PurgeDeps extends LostDeps, TakeLists {
  readonly presence: BlobPresence
  /** Resolves when what clients have whole of this blob is written down. */
  readonly published: (digest: Digest) => Promise<void>
  readonly leaving: Pick<Leaving, 'evict' | 'letGo'>
  /** Forgets what is remembered of these repositories, and what upstreams are asked now. */
  readonly forget: (isMeant: (key: RepositoryKey) => boolean) => void
  /** How many negative answers of upstreams that would be. */
  readonly countMissing: (isMeant: (key: RepositoryKey) => boolean) => number
}

export interface PurgeOptions extends JobRun {
  /** Also what was pushed here. */
  readonly kept: boolean
}

export interface PurgeResult extends JobResult {
  /** What stayed, and why: the first of it, at most HELD_TOLD_MAX. */
  readonly held: readonly Gone[]
  readonly heldCount: number
  /** Answers "the upstream does not have it" that were, or would be, forgotten. */
  readonly forgotten: number
}

/** A person reads fewer. */
const HELD_TOLD_MAX = 1_000
/** Some milliseconds; then others have their turn. */
const LOOKED_AT_ONCE = 50

const PURGED = 'purged'
const GIVEN_UP = 'lost, and given up'
const HELD = 'it was pushed here: --kept takes it as well'
const PROMISED = 'a push under way was told that it is here'

/** @throws StoreError; what went by then stays gone */
export async function purge(
  deps: PurgeDeps,
  selector: Selector,
  options: PurgeOptions,
): Promise<PurgeResult> {
  const matcher = compileSelector(selector)
  const plan = await planPurge(deps, matcher)
  // Of one digest, in the repositories where it was.
  const isMeant = (key: RepositoryKey) =>
    selector.kind === 'content' ? plan.repositories.has(key) : matcher.isAbout(key)
  const forgotten = deps.countMissing(isMeant)
  const forget = () => (options.dryRun ? undefined : deps.forget(isMeant))
  // Who names the very content means it, whatever somebody was told of it.
  const isForced = options.kept && 'digest' in selector
  const purging = new Purging(deps, { ...options, isForced })
  // What upstreams were asked before is not written down behind what goes; and nothing is known any
  // more to be here that has gone.
  forget()
  await purging.run(plan)
  const isAllRead = await purging.takeLost(matcher)
  forget()
  if (!options.dryRun) await takeLists(deps, plan, options)
  const noted = alsoNoted(purging.result(), isAllRead ? undefined : NOT_ALL_READ)
  return { ...noted, forgotten }
}

interface PurgingOptions extends PurgeOptions {
  /** Also what a push under way was told is here, of what was pushed. */
  readonly isForced: boolean
}

class Purging {
  readonly #deps: PurgeDeps
  readonly #options: PurgingOptions
  readonly #tally: Tally
  readonly #held: Gone[] = []
  readonly #loosened: Loosened
  #heldCount = 0

  constructor(deps: PurgeDeps, options: PurgingOptions) {
    this.#deps = deps
    this.#options = options
    this.#tally = new Tally(options)
    this.#loosened = new Loosened(deps.catalog)
  }

  result(): Omit<PurgeResult, 'forgotten'> {
    return { ...this.#tally.result(), held: this.#held, heldCount: this.#heldCount }
  }

  async run({ free, held, bareTags, blobs }: Plan): Promise<void> {
    await this.#takeFree(free)
    for (const named of held) await this.#unlessAborted(() => this.#takeHeld(named))
    for (const tag of bareTags) await this.#unlessAborted(() => this.#takeTag(tag))
    for (const blob of blobs) await this.#unlessAborted(() => this.#takeBlob(blob))
  }

  /** False where facts cannot be read that may tell of more. */
  async takeLost(matcher: Matcher): Promise<boolean> {
    const { lost, hasUnreadable } = await findMeant(this.#deps, matcher, this.#options)
    for await (const { what, stays } of takeLost(this.#deps, lost, this.#options))
      if (stays === undefined) this.#tally.add({ what, reason: GIVEN_UP, bytes: 0 })
      else this.#hold(what, stays)
    return !hasUnreadable
  }

  async #unlessAborted(step: () => Promise<void>): Promise<void> {
    await this.#options.pause()
    if (!this.#options.signal.aborted) await step()
  }

  /** In their order: what several of them share is freed with the last of these. */
  async #takeFree(images: readonly Named[]): Promise<void> {
    const { dryRun, kept, signal } = this.#options
    let after: Footprint | undefined
    for (let at = 0; at < images.length && !signal.aborted; at += LOOKED_AT_ONCE) {
      await this.#options.pause()
      const some = images.slice(at, at + LOOKED_AT_ONCE)
      // Nothing of those before has gone.
      if (dryRun) after = await this.#deps.catalog.footprint(some, { after, reason: 'purged' })
      for (const [index, image] of some.entries()) {
        if (signal.aborted) return
        const bytes = await (dryRun
          ? this.#foretell(image, after?.byImage[index])
          : this.#evict(image))
        if (bytes === undefined) {
          await this.#holdMeanwhile(image, nameOf(image))
          continue
        }
        this.#add(nameOf(image), bytes)
        // For what was pushed, and goes after it.
        if (dryRun && kept) await this.#loosened.leaveRepository(image)
      }
    }
  }

  /** How much the disk would have back; undefined when it would stay. */
  async #foretell(image: Image, freed: Freed | undefined): Promise<number | undefined> {
    return (await this.#isPromised(image)) ? undefined : (freed?.bytes ?? 0)
  }

  /** How much the disk has back by it; undefined when it stays. */
  async #evict(image: Image): Promise<number | undefined> {
    const { catalog, leaving } = this.#deps
    const [gone] = (await leaving.evict([image], 'purged')).left
    if (gone !== undefined) return freedBytes(gone.leaves)
    // An index that is not here any more has gone with the last manifest that it listed.
    const stays = (await catalog.findManifest(image.repository, image.digest)) !== undefined
    return stays ? undefined : 0
  }

  /** Since this was planned a client was told that it is here, or has pushed it. */
  async #holdMeanwhile(image: Image, what: string): Promise<void> {
    this.#hold(what, (await this.#isPromised(image)) ? PROMISED : HELD)
  }

  /** To a push that has yet to end. */
  async #isPromised({ repository, digest }: Image): Promise<boolean> {
    const { catalog } = this.#deps
    const leasedMs = await catalog.leasedUntil(repository, digest)
    return leasedMs !== undefined || (await catalog.isPending(repository, digest))
  }

  async #takeHeld(image: Named): Promise<void> {
    const { repository, digest } = image
    const what = nameOf(image)
    if (!this.#options.kept) return this.#hold(what, HELD)
    if (this.#options.dryRun) {
      if (await this.#isToldOf(image)) return this.#hold(what, PROMISED)
      return this.#add(what, freedBytes(await this.#loosened.leaveRepository(image)))
    }
    // Whoever purges wants the bytes gone, and brings nothing back.
    const how = {
      followedSinceMs: this.#deps.clock.nowMs(),
      deletedAtMs: 'at once',
      ...this.#unlessTold,
    } as const
    let isStaying = false
    // Of what has gone the catalog tells itself.
    const leaves = await new Loosened(this.#deps.catalog).leaveRepository(image)
    // Also where the manifest itself stays for others.
    const digests = [digest, ...leaves.map(each => each.digest)]
    const left = await this.#leave(digests, repository, async () => {
      isStaying = !(await removeManifest(this.#deps, repository, digest, how))
    })
    if (isStaying) this.#hold(what, PROMISED)
    else this.#add(what, freedBytes(left))
  }

  /** Of what was pushed: would it stay by `#unlessTold`? */
  async #isToldOf(image: Image): Promise<boolean> {
    return !this.#options.isForced && (await this.#isPromised(image))
  }

  /** In the transaction, which knows what was told until then. */
  get #unlessTold(): Pick<RemoveOptions, 'unlessLeased'> {
    return this.#options.isForced ? {} : { unlessLeased: {} }
  }

  /** It leads to nothing that is here; what is asked next asks the upstream. */
  async #takeTag({ repository, tag }: { repository: Repository; tag: RecordedTag }): Promise<void> {
    const { catalog, turns } = this.#deps
    const what = formatImage(repository, { kind: 'tag', tag: tag.tag })
    if (tag.local && !this.#options.kept) return this.#hold(what, HELD)
    if (!this.#options.dryRun && tag.local)
      await turns.take(repositoryKey(repository), () => removeTag(this.#deps, repository, tag.tag))
    else if (!this.#options.dryRun) await catalog.forgetTag(repository, tag.tag)
    this.#add(what)
  }

  async #takeBlob(blob: Image & { keptFor: KeptFor }): Promise<void> {
    const { repository, digest, keptFor } = blob
    const { catalog, presence } = this.#deps
    const what = formatImage(repository, { kind: 'digest', digest })
    // What went with an image is not here any more.
    if (!this.#options.dryRun && (await catalog.findMember(repository, digest)) === undefined)
      return
    if (keptFor === 'here' && !this.#options.kept) return this.#hold(what, HELD)
    // What others keep stays, whether something needs it or not.
    const isKept = keptFor === 'others'
    if (this.#options.dryRun) {
      const stays = keptFor === 'here' ? this.#isToldOf(blob) : this.#isPromised(blob)
      if (await stays) return this.#hold(what, PROMISED)
      return this.#add(what, isKept ? 0 : await this.#looseBytes(digest))
    }
    let isStaying = false
    // Of what was not pushed no fact tells.
    const remove = async () => {
      isStaying = !(await (keptFor === 'here'
        ? presence.remove(repository, digest, this.#unlessTold)
        : presence.alone(repository, digest, () =>
            catalog.removeMember(repository, digest, { unlessPromised: true }),
          )))
    }
    const left = await this.#leave(isKept ? [] : [digest], repository, remove)
    if (isStaying) return this.#holdMeanwhile(blob, what)
    this.#add(what, freedBytes(left))
  }

  /** That the disk would have back by it, which no repository needs. */
  async #looseBytes(digest: Digest): Promise<number> {
    const need = await this.#deps.catalog.findNeed(digest)
    return need?.times === 0 && !need.isPromised ? onDiskBytes(need.sizeBytes) : 0
  }

  #add(what: string, bytes = 0): void {
    this.#tally.add({ what, reason: PURGED, bytes })
  }

  #hold(what: string, reason: string): void {
    this.#heldCount += 1
    if (this.#held.length < HELD_TOLD_MAX) this.#held.push({ what, reason, bytes: 0 })
  }

  /** Resolves to what left once `remove` was run, when the files are gone. */
  async #leave(
    digests: readonly Digest[],
    repository: Repository,
    remove: () => Promise<void>,
  ): Promise<readonly Leaves[]> {
    const { turns, leaving } = this.#deps
    await turns.take(repositoryKey(repository), remove)
    if (digests.length === 0) return []
    const { left } = await leaving.letGo(digests, 'purged')
    return left.flatMap(({ leaves }) => leaves)
  }
}
