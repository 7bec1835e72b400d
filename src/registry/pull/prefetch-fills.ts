// The fills of what is fetched ahead: begun where there are places that nobody needs and room to
// spare, in the order of the table, and given up with their image. Which images these are is
// decided in prefetch.ts.
import type { Digest } from '../../oci/digest.ts'
import { repositoryKey } from '../../oci/reference.ts'
import { noteStorage } from '../best-effort.ts'
import { filterFew } from '../../async/few-at-once.ts'
import type { Fill } from '../fill/fill.ts'
import type { Fills } from '../fill/fills.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Edge } from '../ports/catalog-content.ts'
import type { EngineEvent, NoteEvent } from '../ports/events.ts'
import type { ImagePrefetch, PrefetchTable } from './prefetch-images.ts'
import { mayPrefetch } from './prefetch-rules.ts'
import { mayGive, type SharingDeps } from '../routing/sharing.ts'
import type { SpaceLedger } from '../space/ledger.ts'

/** Each is a look at the disk, which answers them beside each other. */
const LOOKED_AT_ONCE = 16

export interface PrefetchFillsDeps extends SharingDeps {
  readonly store: BlobStore
  readonly note: NoteEvent
  readonly fills: Fills
  readonly space: SpaceLedger
  readonly table: PrefetchTable
  /** Everything of this image is here, or nothing of it can be begun. */
  readonly nothingToDo: (image: ImagePrefetch) => void
}

type Step = Extract<EngineEvent, { kind: 'prefetch' }>['step']

export class PrefetchFills {
  readonly #deps: PrefetchFillsDeps
  /** What somebody came for. */
  readonly #used = new WeakSet<Fill>()
  /** What nobody had come for when its last image was left: told once. */
  readonly #left = new WeakSet<Fill>()
  #isBeginning = false
  #mustBeginAgain = false
  #isStopped = false

  constructor(deps: PrefetchFillsDeps) {
    this.#deps = deps
    deps.fills.whenPlace(() => this.begin())
  }

  /** Begins what there are places for, after this turn. Never throws. */
  begin(): void {
    this.#mustBeginAgain = true
    if (!this.#isBeginning) void this.#beginAll()
  }

  /**
   * Somebody asks for this blob. Returns whether it was fetched ahead and nobody had asked before.
   */
  use(image: ImagePrefetch, digest: Digest): boolean {
    const fill = image.begun.get(digest)
    if (fill === undefined || this.#used.has(fill)) return false
    this.#used.add(fill)
    this.#note(image, 'used', fill)
    return true
  }

  /** Gives up what nobody has come for; `image` is out of the table. */
  giveUp(image: ImagePrefetch): void {
    for (const [digest, fill] of image.begun) {
      // Somebody came for it, by way of another repository even; or another image counts on it.
      if (this.#used.has(fill) || this.#left.has(fill) || fill.speculation === undefined) continue
      const heir = this.#deps.table.wanting(digest)
      if (heir !== undefined) {
        this.#countOn(heir, digest, fill)
        continue
      }
      this.#left.add(fill)
      const isRunning = fill.progress.state === 'running'
      const isCut = isRunning && fill.speculation.giveUp(new Error('nobody has asked for it'))
      this.#note(image, isCut ? 'cancelled' : 'unused', fill)
    }
  }

  /** Begins nothing any more. */
  stop(): void {
    this.#isStopped = true
  }

  /** One run at a time, so that two do not begin the same. */
  async #beginAll(): Promise<void> {
    this.#isBeginning = true
    try {
      while (this.#mustBeginAgain) {
        this.#mustBeginAgain = false
        for (const image of this.#deps.table.inOrder()) await this.#beginImage(image)
      }
    } catch (error) {
      // Who asks for the blobs is told what is the matter with the disk.
      if (error instanceof StoreError) noteStorage(this.#deps.note, error)
    } finally {
      this.#isBeginning = false
    }
  }

  async #beginImage(image: ImagePrefetch): Promise<void> {
    const { fills } = this.#deps
    // A place that comes back begins this anew; until then a look at the disk would be in the way
    // of who reads from it.
    if (!fills.hasPlace(image.namespace)) return
    const lookedAt = fills.moment
    await this.#look(image)
    for (let edge = image.pending[0]; edge !== undefined; edge = image.pending[0]) {
      if (this.#isStopped || !mayPrefetch(image.namespace)) {
        image.pending = []
        return
      }
      const running = fills.find(edge.child)
      // It comes again once this one is over.
      if (running?.isGivenUp) return
      if (running?.speculation !== undefined) this.#countOn(image, edge.child, running)
      // It may be here by now: the end of a fill begins this anew.
      if (running === undefined && fills.hasEndedSince(edge.child, lookedAt)) return
      if (running === undefined) {
        const { repository, namespace } = image
        const fill = fills.startSpeculative({
          repository,
          namespace,
          digest: edge.child,
          declaredBytes: edge.sizeBytes,
        })
        if (fill === undefined) return
        this.#countOn(image, edge.child, fill)
        this.#note(image, 'started', fill)
      }
      image.drop(edge.child)
    }
    if (image.begun.size === 0) this.#deps.nothingToDo(image)
  }

  /**
   * Leaves of what is pending only what is of this repository and not here, and as much of that as
   * there is room to spare. What only a client's push lists is no member by that, and is not asked
   * for in its name.
   * @throws StoreError
   */
  async #look(image: ImagePrefetch): Promise<void> {
    const { catalog, store, space } = this.#deps
    const { repository } = image
    const isMissing = async ({ child }: Edge) =>
      (await catalog.findMember(repository, child)) !== undefined &&
      ((await store.find(child)) === undefined ||
        !(await mayGive(this.#deps, repository, { digest: child })))
    const looked = image.pending
    const [missing, spareBytes] = await Promise.all([
      filterFew(looked, LOOKED_AT_ONCE, isMissing),
      space.spareBytes(),
    ])
    let leftBytes = spareBytes
    for (const edge of image.pending) {
      // Put back meanwhile: nobody has looked for it.
      if (!looked.includes(edge)) continue
      // What is asked for meanwhile is not pending any more.
      if (missing.includes(edge) && edge.sizeBytes <= leftBytes) leftBytes -= edge.sizeBytes
      else image.drop(edge.child)
    }
  }

  /** The image counts on this fill, which it or another one has begun. */
  #countOn(image: ImagePrefetch, digest: Digest, fill: Fill): void {
    if (image.begun.get(digest) === fill) return
    image.begun.set(digest, fill)
    image.drop(digest)
    void fill.over.then(() => {
      if (image.isEnded || fill.progress.state !== 'failed') return
      // The next would fail as well, and whoever asks is told why; unless its place was needed, or
      // it is only elsewhere that it is not given.
      const isOwn = repositoryKey(fill.task.repository) === repositoryKey(image.repository)
      if (isOwn && !fill.isGivenUp) {
        image.pending = []
        return
      }
      image.putBack(digest)
      // Its end was told before this image had anything to begin.
      this.begin()
    })
  }

  #note({ repository }: ImagePrefetch, step: Step, { task, progress }: Fill): void {
    const bytes = progress.contiguousBytes
    this.#deps.note({ kind: 'prefetch', repository, digest: task.digest, step, bytes })
  }
}
