// Takes files away whose content was let go (docs/storage-format.md, "Leaving"): in the turn of its
// digest, if nobody has brought it back, a file is removed, and then the intent that said so. What
// leaves, and why, is decided by others; here it is carried out, also what an earlier process had
// begun. What cannot be removed stays an intent, and counts as taken.
import { allOf } from '../../async/all-of.ts'
import { eachFew } from '../../async/few-at-once.ts'
import { Gate } from '../../async/gate.ts'
import type { Haste } from '../../async/haste.ts'
import { NOT_NEEDED } from '../../async/aborting.ts'
import type { Digest } from '../../oci/digest.ts'
import { noteStorage } from '../best-effort.ts'
import type { StoredContent } from '../content/content.ts'
import type { Eviction, Image } from '../ports/catalog-images.ts'
import type { LeaveReason, LeavingContent } from '../ports/catalog-space.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'
import { pagesOf } from '../pacing/pages.ts'
import { type Departed, type Departure, type LetGoHow, withStuck } from './departures.ts'
import { type Left, NONE_LEFT, Pass } from './pass.ts'
import { inPortions, rowsAtOnce } from './portions.ts'

export interface LeavingDeps {
  readonly content: StoredContent
  readonly catalog: Pick<Catalog, 'listLeaving' | 'whichLeave' | 'letGo' | 'evictImage'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly note: NoteEvent
  /** While nobody waits, it goes bit by bit. */
  readonly haste: Haste
  /** Nobody keeps the file open for who asks next: else its blocks stay taken. */
  readonly closeOpen: (digest: Digest) => void
  /** Not to be removed now: `finish` again when that is over. Default: none. */
  readonly isHeld?: ((digest: Digest) => boolean) | undefined
}

/** What goes for this is waited for; else only by those who need room, who say so by themselves. */
const WAITED_FOR: ReadonlySet<LeaveReason> = new Set(['purged', 'deleted'])
/**
 * Of the files of a commit. Half of the threads for the disk, which clients wait for as well. Each
 * is done in microseconds, as a rule, and is then idle until the event loop comes round.
 */
const REMOVED_AT_ONCE = 8
/** After so many a disk that removes nothing is left alone until the next time. */
const FAILED_MAX = 16
/**
 * Of what could not be removed, told about once, and tried again behind all else: more than one
 * broken directory of 256 holds.
 */
const STUCK_MAX = 10_000

export class Leaving {
  readonly #deps: LeavingDeps
  readonly #removing = new Gate(REMOVED_AT_ONCE)
  readonly #stopping = new AbortController()
  /** Times of batches that are being let go: their answers may not be forgotten yet. */
  readonly #unannounced = new Set<number>()
  #lastAtMs = 0
  readonly #stuck = new Set<Digest>()
  /** The last pass could not remove all that it should have. */
  #isBehind = false
  #removed = 0
  #running: Promise<Left> | undefined
  #next: Promise<Left> | undefined

  constructor(deps: LeavingDeps) {
    this.#deps = deps
  }

  /**
   * Lets go what nothing needs, but for what is `spared`. Resolves to what left when the files are
   * gone, but for those that cannot go. @throws StoreError, once what was let go before has gone
   */
  letGo(
    digests: readonly Digest[],
    reason: LeaveReason,
    how: LetGoHow<Digest> = {},
  ): Promise<Departed<Digest>> {
    const { spared } = how
    return this.#untilGone(reason, how, (left, passes) =>
      this.#write(digests, passes, async (some, atMs) => {
        const byEach = await this.#deps.catalog.letGo({ digests: some, reason, atMs, spared })
        for (const [at, what] of some.entries()) {
          const leaves = byEach[at] ?? []
          if (leaves.length > 0) left.push({ what, leaves, stuck: [] })
        }
      }),
    )
  }

  /** The same for images, with all that leaves by it. @throws StoreError, as `letGo` */
  evict(
    images: readonly Image[],
    reason: Eviction['reason'],
    how: LetGoHow<Image> = {},
  ): Promise<Departed<Image>> {
    const { catalog } = this.#deps
    const { spared } = how
    return this.#untilGone(reason, how, async (left, passes) => {
      for (const some of inPortions(images, 'images', this.#deps.haste)) {
        // In one commit: all are begun before any is waited for.
        await this.#write(some, passes, (few, atMs) =>
          allOf(
            few.map(async each => {
              const { repository, digest } = each
              const image = { repository, digest, reason, atMs, spared }
              const { hasLeft, leaves } = await catalog.evictImage(image)
              if (hasLeft) left.push({ what: each, leaves, stuck: [] })
            }),
          ),
        )
        // Their files go while the next ones are written down.
        passes.add(this.finish())
      }
    })
  }

  /** What `write` has let go before it failed leaves as well, and is told of. */
  #untilGone<Each>(
    reason: LeaveReason,
    how: LetGoHow<Each>,
    write: (left: Departure<Each>[], passes: Set<Promise<Left>>) => Promise<void>,
  ): Promise<Departed<Each>> {
    const work = () => this.#letGoAll(how, write)
    return WAITED_FOR.has(reason) ? this.#deps.haste.of(work) : work()
  }

  async #letGoAll<Each>(
    { written, departed }: LetGoHow<Each>,
    write: (left: Departure<Each>[], passes: Set<Promise<Left>>) => Promise<void>,
  ): Promise<Departed<Each>> {
    const left: Departure<Each>[] = []
    const begun = new Set<Promise<Left>>()
    const [ended] = await Promise.allSettled([write(left, begun)])
    begun.add(this.finish())
    if (ended.status === 'fulfilled') written?.()
    const passes = await Promise.all(begun)
    const all = { left: await this.#withStuck(left), passes }
    departed?.(all)
    if (ended.status === 'rejected') throw ended.reason
    return all
  }

  /** A disk that removes nothing has given nothing back. */
  async #withStuck<Each>(left: readonly Departure<Each>[]): Promise<readonly Departure<Each>[]> {
    const { catalog, note } = this.#deps
    if (this.#stuck.size === 0 && !this.#stopping.signal.aborted) return left
    try {
      return await withStuck(catalog, left)
    } catch (error) {
      noteStorage(note, error)
      return left
    }
  }

  /**
   * In one commit. On a full disk by halves, each with its files: what the catalog has to spare is
   * enough for few. `passes`: is given what goes meanwhile.
   */
  async #write<Each>(
    all: readonly Each[],
    passes: Set<Promise<Left>>,
    write: (some: readonly Each[], atMs: number) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#writeAtOnce(atMs => write(all, atMs))
    } catch (error) {
      const isFull = error instanceof StoreError && error.failure === 'full'
      if (!isFull || all.length < 2) throw error
      const half = Math.ceil(all.length / 2)
      await this.#write(all.slice(0, half), passes, write)
      const gone = this.finish()
      passes.add(gone)
      await gone
      await this.#write(all.slice(half), passes, write)
    }
  }

  async #writeAtOnce(write: (atMs: number) => Promise<void>): Promise<void> {
    // A batch is known by its time: files of one before it need not wait for it.
    const atMs = Math.max(this.#deps.clock.nowMs(), this.#lastAtMs + 1)
    this.#lastAtMs = atMs
    this.#unannounced.add(atMs)
    try {
      await write(atMs)
    } finally {
      this.#unannounced.delete(atMs)
    }
  }

  /**
   * Carries out all that was let go before the call, by whichever process. All who ask during a
   * pass share the next one. Throws nothing that disk or catalog brought about.
   */
  finish(): Promise<Left> {
    this.#next ??= this.#after(this.#running)
    return this.#next
  }

  /** Files, in all. */
  get removed(): number {
    return this.#removed
  }

  /** `finish`, where the last pass had to leave something: a disk may fail for a moment. */
  retry(): Promise<Left> {
    return this.#isBehind ? this.finish() : Promise.resolve(NONE_LEFT)
  }

  /** Resolves when nothing is done any more; what is left, the next process finishes. */
  async stop(): Promise<void> {
    this.#stopping.abort(NOT_NEEDED)
    await this.#next
    await this.#running
  }

  async #after(running: Promise<Left> | undefined): Promise<Left> {
    await running
    // Whoever let content go a moment ago and asks now is in it.
    const pass = this.#pass()
    this.#running = pass
    this.#next = undefined
    const left = await pass
    if (this.#running === pass) this.#running = undefined
    return left
  }

  async #pass(): Promise<Left> {
    const { note } = this.#deps
    const pass = new Pass()
    const stuck = new Set(this.#stuck)
    try {
      for (const isStuck of stuck.size === 0 ? [false] : [false, true])
        for await (const page of this.#pages()) {
          const ready = page.filter(
            ({ atMs, digest }) => !this.#unannounced.has(atMs) && stuck.has(digest) === isStuck,
          )
          // One waits for its commit while the other waits for its files.
          await eachFew(inPortions(ready, 'files', this.#deps.haste), 2, each =>
            this.#carryOut(each, pass),
          )
          if (this.#isOver(pass)) break
        }
      this.#isBehind = pass.failed > 0
    } catch (error) {
      this.#isBehind = true
      noteStorage(note, error)
    }
    return pass.end(note)
  }

  #pages(): AsyncGenerator<readonly LeavingContent[]> {
    return pagesOf<LeavingContent, Digest>(
      page => this.#deps.catalog.listLeaving(page),
      ({ digest }) => digest,
      () => rowsAtOnce(this.#deps.haste),
    )
  }

  /** What was brought back since, or taken away, is passed over. @throws StoreError */
  async #carryOut(batch: readonly LeavingContent[], pass: Pass): Promise<void> {
    const digests = batch.map(({ digest }) => digest)
    const gone = new Set(
      await this.#deps.content.takeAway(digests, (digest, remove) =>
        this.#removing.pass(() => this.#remove(digest, { remove, pass })),
      ),
    )
    for (const each of batch) if (gone.has(each.digest)) pass.add(each)
  }

  async #remove(
    digest: Digest,
    { remove, pass }: { remove: () => Promise<void>; pass: Pass },
  ): Promise<boolean> {
    if (this.#isOver(pass)) return false
    const { closeOpen, note, isHeld } = this.#deps
    if (isHeld?.(digest) === true) {
      if (this.#stuck.size < STUCK_MAX) this.#stuck.add(digest)
      return false
    }
    closeOpen(digest)
    try {
      await remove()
      this.#stuck.delete(digest)
      this.#removed += 1
      return true
    } catch (error) {
      pass.failed += 1
      if (!this.#stuck.has(digest)) noteStorage(note, error)
      if (this.#stuck.size < STUCK_MAX) this.#stuck.add(digest)
      return false
    }
  }

  #isOver({ failed }: Pass): boolean {
    return failed >= FAILED_MAX || this.#stopping.signal.aborted
  }
}
