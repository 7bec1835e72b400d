// Reads all that is here once more, the longest unverified first: a disk changes bytes and says
// nothing. What is wrong is brought back from wherever it can be had. What was pushed and is
// nowhere else is named, with the images that it breaks: a push of the same bytes heals it.
import type { Digest } from '../../oci/digest.ts'
import type { JobRun } from '../job.ts'
import type { Reread, Rereader } from '../ports/blob-store-content.ts'
import type { RecordedContent } from '../ports/catalog-content.ts'
import type { UnverifiedPage, Verified } from '../ports/catalog-verified.ts'
import type { Clock } from '../ports/clock.ts'
import type { Healing } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'
import { type Healed, type HealingDeps, Healings, isDisk } from './healing.ts'

/** Rows of one page, and marks of one commit. What a kill loses of them is read once more. */
const PAGE_ROWS = 100
/**
 * So many in a row that could not be read, and it is the disk and not its places: what is behind
 * them waits for another run. Each of them may have been fetched for nothing.
 */
const UNREADABLE_MAX = 16

export interface ScrubDeps extends HealingDeps {
  readonly clock: Pick<Clock, 'nowMs'>
}

export interface ScrubResult extends Healed {
  readonly readBlobs: number
  readonly readBytes: number
}

/** How much one run reads, and how fast. */
export interface ScrubExtent {
  /** Content that was last verified earlier than that, on the wall clock; not later than now. */
  readonly beforeMs: number
  /** Of what is broken, so much as was last found so earlier than that. */
  readonly broken: { readonly beforeMs: number; readonly max: number }
  /** Asked between one blob and the next: the rest is for another run. */
  readonly isOver: () => boolean
  /** Awaited after each piece that was read. May reject once the run's signal is aborted. */
  readonly between: (pieceBytes: number) => Promise<void>
}

/** Of what is asked for by name. */
const AT_ONCE: ScrubExtent = {
  beforeMs: 0,
  broken: { beforeMs: 0, max: 0 },
  isOver: () => false,
  between: async () => {},
}

/** @throws StoreError, also where the disk gives nothing any more */
export async function scrub(
  deps: ScrubDeps,
  run: JobRun,
  extent: ScrubExtent,
): Promise<ScrubResult> {
  const reader = deps.store.openRereader()
  try {
    return await new ScrubRun({ ...deps, reader }, run, extent).all()
  } finally {
    await reader.close()
  }
}

/**
 * Reads these, whenever they were verified, and heals what is wrong with them.
 * @throws StoreError
 */
export async function scrubThese(
  deps: ScrubDeps,
  run: JobRun,
  digests: readonly Digest[],
): Promise<ScrubResult> {
  const reader = deps.store.openRereader()
  try {
    return await new ScrubRun({ ...deps, reader }, run, AT_ONCE).these(digests)
  } finally {
    await reader.close()
  }
}

interface Reading extends ScrubDeps {
  readonly reader: Rereader
}

class ScrubRun {
  readonly #deps: Reading
  readonly #run: JobRun
  readonly #extent: ScrubExtent
  readonly #healings: Healings
  readonly #startMs: number
  #readBlobs = 0
  #readBytes = 0
  /** One behind the other. */
  #unreadable = 0

  constructor(deps: Reading, run: JobRun, extent: ScrubExtent) {
    this.#deps = deps
    this.#run = run
    this.#extent = extent
    this.#healings = new Healings(deps, run)
    this.#startMs = deps.clock.nowMs()
  }

  async all(): Promise<ScrubResult> {
    const startMs = this.#startMs
    const { beforeMs, broken } = this.#extent
    const earlier = (ms: number) => ({ fromMs: 0, beforeMs: Math.min(ms, startMs) })
    // What was verified later than now had that from a clock that was ahead.
    const later = { fromMs: startMs + 1, beforeMs: Number.MAX_SAFE_INTEGER }
    await this.#readRange({ ...later, broken: true }, broken.max)
    await this.#readRange({ ...earlier(broken.beforeMs), broken: true }, broken.max)
    await this.#readRange(later)
    await this.#readRange(earlier(beforeMs))
    if (this.#isFailing) throw diskFails()
    return this.#result()
  }

  async these(digests: readonly Digest[]): Promise<ScrubResult> {
    const { catalog } = this.#deps
    for (let at = 0; at < digests.length && !this.#isOver; at += PAGE_ROWS) {
      const few = digests.slice(at, at + PAGE_ROWS)
      const rows = await Promise.all(few.map(digest => catalog.findContent(digest)))
      await this.#readAndNote(rows.filter(row => row !== undefined))
    }
    return this.#result()
  }

  async #readRange(range: Omit<UnverifiedPage, 'limit'>, max = Infinity): Promise<void> {
    const { catalog } = this.#deps
    let left = max
    const list = (behind: Pick<UnverifiedPage, 'after'>) =>
      this.#isOver
        ? []
        : catalog.listUnverified({ ...range, ...behind, limit: Math.min(PAGE_ROWS, left) })
    let page = await list({})
    for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
      left -= page.length
      await this.#readAndNote(page)
      page = left > 0 ? await list({ after }) : []
    }
  }

  async #readAndNote(page: readonly RecordedContent[]): Promise<void> {
    const looked = await this.#readPage(page)
    // Verified when this run began: whatever the clock does meanwhile, no range has them again.
    if (!this.#run.dryRun && looked.digests.length + looked.broken.length > 0)
      await this.#deps.catalog.noteVerified({ ...looked, atMs: this.#startMs })
  }

  #result(): ScrubResult {
    return { ...this.#healings.result(), readBlobs: this.#readBlobs, readBytes: this.#readBytes }
  }

  get #isOver(): boolean {
    return this.#run.signal.aborted || this.#extent.isOver() || this.#isFailing
  }

  get #isFailing(): boolean {
    return this.#unreadable >= UNREADABLE_MAX
  }

  /** Resolves to what was read whole. */
  async #readPage(page: readonly RecordedContent[]): Promise<Omit<Verified, 'atMs'>> {
    const digests: Digest[] = []
    const broken: Digest[] = []
    const before = { blobs: this.#readBlobs, bytes: this.#readBytes }
    for (const content of page) {
      if (this.#isOver) break
      await this.#run.pause()
      const became = await this.#readOne(content)
      if (became === 'cut off') break
      if (became === 'broken') broken.push(content.digest)
      else if (became !== 'elsewhere') digests.push(content.digest)
    }
    const [blobs, bytes] = [this.#readBlobs - before.blobs, this.#readBytes - before.bytes]
    this.#deps.note({ kind: 'reread', blobs, bytes })
    return { digests, broken }
  }

  /**
   * `elsewhere`: it has left this edge, or come anew, since it was listed. `cut off`: the run was,
   * meanwhile, and the next one reads it from its beginning.
   */
  async #readOne(content: RecordedContent): Promise<Healing | 'right' | 'elsewhere' | 'cut off'> {
    try {
      const reread = await this.#reread(content.digest)
      this.#readBlobs += 1
      // Of what is known to be broken nothing else is to be expected.
      if (content.brokenAtMs === undefined)
        this.#unreadable = reread.found === 'unreadable' ? this.#unreadable + 1 : 0
      if (reread.found !== 'right') return await this.#healings.heal(content, reread)
      if (!reread.isMended) return 'right'
      return this.#healings.mended(content)
    } catch (error) {
      if (this.#run.signal.aborted) return 'cut off'
      throw error
    }
  }

  async #reread(digest: Digest): Promise<Reread> {
    const { dryRun, signal, pause } = this.#run
    const between = async (pieceBytes: number) => {
      this.#readBytes += pieceBytes
      await this.#extent.between(pieceBytes)
      await pause()
      signal.throwIfAborted()
    }
    try {
      return await this.#deps.reader.reread(digest, { dryRun, between })
    } catch (error) {
      if (!isDisk(error)) throw error
      return { found: 'unreadable', isMended: false }
    }
  }
}

function diskFails(): StoreError {
  return new StoreError('io', `${UNREADABLE_MAX} files in a row cannot be read`, {
    hint: 'see the kernel log (dmesg) for the disk of this edge, and who owns its files; what is behind them waits for the next scrub, and nothing of it is forgotten',
  })
}
