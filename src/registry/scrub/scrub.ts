// Reads all that is here once more, the longest unverified first: a disk changes bytes and says
// nothing. What is wrong is brought back from wherever it can be had. What was pushed and is
// nowhere else is named, with the images that it breaks: a push of the same bytes heals it.
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import type { StoredContent } from '../content/content.ts'
import { noteMissing } from '../content/missing-content.ts'
import type { Gone, JobResult, JobRun } from '../job.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Reread, Rereader } from '../ports/blob-store-content.ts'
import type { RecordedContent } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { Healing, NoteEvent } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Broken } from './broken.ts'
import { brokenImages } from './broken-images.ts'

/** Rows of one page, and marks of one commit. What a kill loses of them is read once more. */
const PAGE_ROWS = 100
/** Of what is broken, which an operator reads. */
const BROKEN_TOLD_MAX = 1_000
/**
 * So many in a row that could not be read, and it is the disk and not its places: what is behind
 * them waits for another run. Each of them may have been fetched for nothing.
 */
const UNREADABLE_MAX = 16
/** Repositories that are asked for content; a layer of a base image belongs to very many. */
const REPOSITORIES_ASKED = 8

/**
 * A place from which content comes back. What it brings is verified and published as any other.
 */
export interface ContentSource {
  /**
   * Resolves when it is here, or cannot be had from there. MUST NOT reject for what is elsewhere.
   * @throws StoreError; the signal's reason
   */
  bring(repository: Repository, digest: Digest, signal: AbortSignal): Promise<void>
}

export interface ScrubDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly content: StoredContent
  readonly clock: Pick<Clock, 'nowMs'>
  readonly note: NoteEvent
  readonly broken: Pick<Broken, 'add'>
  /** Asked in this order. */
  readonly sources: readonly ContentSource[]
}

export interface ScrubResult extends JobResult {
  readonly readBlobs: number
  readonly readBytes: number
  /** Of what was found wrong: so many of each. */
  readonly healed: Readonly<Record<Healing, number>>
}

/** How much one run reads, and how fast. */
export interface ScrubExtent {
  /** Content that was last verified earlier than that, on the wall clock; not later than now. */
  readonly beforeMs: number
  /** Asked between one blob and the next: the rest is for another run. */
  readonly isOver: () => boolean
  /** Awaited after each piece that was read. May reject once the run's signal is aborted. */
  readonly between: (pieceBytes: number) => Promise<void>
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

interface Reading extends ScrubDeps {
  readonly reader: Rereader
}

class ScrubRun {
  readonly #deps: Reading
  readonly #run: JobRun
  readonly #extent: ScrubExtent
  readonly #told: Gone[] = []
  readonly #healed = { mended: 0, refetched: 0, forgotten: 0, broken: 0 }
  readonly #startMs: number
  #readBlobs = 0
  #readBytes = 0
  /** One behind the other. */
  #unreadable = 0

  constructor(deps: Reading, run: JobRun, extent: ScrubExtent) {
    this.#deps = deps
    this.#run = run
    this.#extent = extent
    this.#startMs = deps.clock.nowMs()
  }

  async all(): Promise<ScrubResult> {
    const startMs = this.#startMs
    // What was verified later than now had that from a clock that was ahead.
    await this.#readRange({ fromMs: startMs + 1, beforeMs: Number.MAX_SAFE_INTEGER })
    await this.#readRange({ fromMs: 0, beforeMs: Math.min(this.#extent.beforeMs, startMs) })
    if (this.#isFailing) throw diskFails()
    return this.#result()
  }

  async #readRange(range: { readonly fromMs: number; readonly beforeMs: number }): Promise<void> {
    const { catalog } = this.#deps
    let page = this.#isOver ? [] : await catalog.listUnverified({ ...range, limit: PAGE_ROWS })
    for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
      const digests = await this.#readPage(page)
      // Verified when this run began: whatever the clock does meanwhile, no range has them again.
      if (!this.#run.dryRun && digests.length > 0)
        await catalog.noteVerified({ digests, atMs: this.#startMs })
      if (this.#isOver) break
      page = await catalog.listUnverified({ ...range, after, limit: PAGE_ROWS })
    }
  }

  get #isOver(): boolean {
    return this.#run.signal.aborted || this.#extent.isOver() || this.#isFailing
  }

  get #isFailing(): boolean {
    return this.#unreadable >= UNREADABLE_MAX
  }

  /** Resolves to what was read whole. */
  async #readPage(page: readonly RecordedContent[]): Promise<readonly Digest[]> {
    const looked: Digest[] = []
    const before = { blobs: this.#readBlobs, bytes: this.#readBytes }
    for (const content of page) {
      if (this.#isOver) break
      await this.#run.pause()
      if (!(await this.#readOne(content))) break
      looked.push(content.digest)
    }
    const [blobs, bytes] = [this.#readBlobs - before.blobs, this.#readBytes - before.bytes]
    this.#deps.note({ kind: 'reread', blobs, bytes })
    return looked
  }

  /** False where the run was cut off meanwhile: the next one reads it from its beginning. */
  async #readOne(content: RecordedContent): Promise<boolean> {
    try {
      const reread = await this.#reread(content.digest)
      this.#readBlobs += 1
      this.#unreadable = reread.found === 'unreadable' ? this.#unreadable + 1 : 0
      if (reread.found !== 'right') await this.#heal(content, reread)
      else if (reread.isMended) this.#tell('mended', content, 'its mode kept it from being read')
      return true
    } catch (error) {
      if (this.#run.signal.aborted) return false
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

  async #heal(content: RecordedContent, { found }: Reread): Promise<void> {
    const { catalog, store } = this.#deps
    const { digest } = content
    const { dryRun } = this.#run
    const what = FOUND[found]
    // It may have left this edge, or come anew, since it was listed.
    if ((await catalog.findContent(digest)) === undefined) return
    if (dryRun) return this.#tell('broken', content, what)
    // Its row is another one from here on, or none; what it breaks does not depend on that.
    const missing = await this.#noteMissing(digest)
    if (found === 'none' && missing === 'here') return
    if (await this.#bringBack(digest)) return this.#tell('refetched', content, what)
    const isRecorded = (await catalog.findContent(digest)) !== undefined
    if (!isRecorded) return this.#tell('forgotten', content, what)
    if (found === 'none' && (await store.find(digest)) !== undefined) return
    const images = await brokenImages(catalog, digest)
    this.#deps.broken.add(digest)
    this.#tell('broken', content, `${what}; it breaks ${images}`)
  }

  async #noteMissing(digest: Digest): ReturnType<typeof noteMissing> {
    try {
      return await noteMissing(this.#deps, digest)
    } catch (error) {
      if (!isDisk(error)) throw error
      return 'unknown'
    }
  }

  async #bringBack(digest: Digest): Promise<boolean> {
    const { catalog, store, sources } = this.#deps
    const keys = await catalog.listRepositoriesOf(digest, REPOSITORIES_ASKED)
    for (const source of sources)
      for (const key of keys) {
        if (this.#run.signal.aborted) return false
        try {
          await source.bring(parseRepositoryKey(key), digest, this.#run.signal)
          if ((await store.find(digest)) !== undefined) return true
        } catch (error) {
          // It stays broken, and the rest is read all the same.
          if (!(error instanceof StoreError)) throw error
        }
      }
    return false
  }

  #tell(healing: Healing, { digest, sizeBytes }: RecordedContent, what: string): void {
    this.#healed[healing] += 1
    if (!this.#run.dryRun)
      this.#deps.note({ kind: 'damaged', digest, became: healing, reason: what })
    const reason = `${what}: ${BECAME[healing]}`
    if (this.#told.length < BROKEN_TOLD_MAX)
      this.#told.push({ what: digest, reason, bytes: sizeBytes })
    const count = Object.values(this.#healed).reduce((sum, each) => sum + each)
    this.#run.progress({ count, freedBytes: 0 })
  }

  #result(): ScrubResult {
    const count = Object.values(this.#healed).reduce((sum, each) => sum + each)
    return {
      gone: this.#told,
      count,
      freedBytes: 0,
      readBlobs: this.#readBlobs,
      readBytes: this.#readBytes,
      healed: { ...this.#healed },
    }
  }
}

/** Of one file, as far as anybody can tell. */
function isDisk(error: unknown): boolean {
  return error instanceof StoreError && error.failure === 'io'
}

function diskFails(): StoreError {
  return new StoreError('io', `${UNREADABLE_MAX} files in a row cannot be read`, {
    hint: 'see the kernel log (dmesg) for the disk of this edge, and who owns its files; what is behind them waits for the next scrub, and nothing of it is forgotten',
  })
}

const FOUND: Readonly<Record<Reread['found'], string>> = {
  right: 'it is in order',
  wrong: 'its bytes were others',
  unreadable: 'the disk cannot read it',
  none: 'its file is gone',
}

const BECAME: Readonly<Record<Healing, string>> = {
  mended: 'put right',
  refetched: 'fetched again',
  forgotten: 'forgotten, and fetched when it is next asked for',
  broken: 'broken until its bytes are back',
}
