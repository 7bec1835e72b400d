// What becomes of content that was found wrong: brought back from wherever it can be had,
// forgotten, or told, with the images that it breaks.
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import type { StoredContent } from '../content/content.ts'
import { noteMissing } from '../content/missing-content.ts'
import type { Gone, JobResult, JobRun } from '../job.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Reread } from '../ports/blob-store-content.ts'
import type { RecordedContent } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Healing, NoteEvent } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'
import { brokenImages } from './broken-images.ts'

/** Of what is broken, which an operator reads. */
const BROKEN_TOLD_MAX = 1_000
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

export interface HealingDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly content: StoredContent
  readonly note: NoteEvent
  /** Asked in this order. */
  readonly sources: readonly ContentSource[]
}

export interface Healed extends JobResult {
  /** Of what was found wrong: so many of each. */
  readonly healed: Readonly<Record<Healing, number>>
}

/** Of one run. */
export class Healings {
  readonly #deps: HealingDeps
  readonly #run: JobRun
  readonly #told: Gone[] = []
  readonly #healed = { mended: 0, refetched: 0, forgotten: 0, broken: 0 }

  constructor(deps: HealingDeps, run: JobRun) {
    this.#deps = deps
    this.#run = run
  }

  result(): Healed {
    const count = Object.values(this.#healed).reduce((sum, each) => sum + each)
    return { gone: this.#told, count, freedBytes: 0, healed: { ...this.#healed } }
  }

  mended(content: RecordedContent): Healing {
    return this.#tell('mended', content, 'its mode kept it from being read')
  }

  /**
   * `elsewhere`: it has left this edge, or come anew, since it was listed.
   * @throws StoreError of the catalog; the signal's reason
   */
  async heal(content: RecordedContent, { found }: Reread): Promise<Healing | 'elsewhere'> {
    const { catalog, store } = this.#deps
    const { digest } = content
    const { dryRun } = this.#run
    const what = FOUND[found]
    if ((await catalog.findContent(digest)) === undefined) return 'elsewhere'
    if (dryRun) return this.#tell('broken', content, what)
    // Its row is another one from here on, or none; what it breaks does not depend on that.
    const missing = await this.#noteMissing(content)
    if (found === 'none' && missing === 'here') return 'elsewhere'
    if (await this.#bringBack(digest)) return this.#tell('refetched', content, what)
    const isRecorded = (await catalog.findContent(digest)) !== undefined
    if (!isRecorded) return this.#tell('forgotten', content, what)
    if (found === 'none' && (await store.find(digest)) !== undefined) return 'elsewhere'
    const images = await brokenImages(catalog, digest)
    return this.#tell('broken', content, `${what}; it breaks ${images}`)
  }

  /** Of what is known to be broken, operators were told. */
  async #noteMissing({ digest, brokenAtMs }: RecordedContent): ReturnType<typeof noteMissing> {
    const note = brokenAtMs === undefined ? this.#deps.note : () => {}
    try {
      return await noteMissing({ ...this.#deps, note }, digest)
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

  #tell(healing: Healing, content: RecordedContent, what: string): Healing {
    const { digest, sizeBytes, brokenAtMs } = content
    this.#healed[healing] += 1
    const isNews = healing !== 'broken' || brokenAtMs === undefined
    if (!this.#run.dryRun && isNews)
      this.#deps.note({ kind: 'damaged', digest, became: healing, reason: what })
    const reason = `${what}: ${BECAME[healing]}`
    if (this.#told.length < BROKEN_TOLD_MAX)
      this.#told.push({ what: digest, reason, bytes: sizeBytes })
    this.#run.progress(this.result())
    return healing
  }
}

/** Of one file, as far as anybody can tell. */
export function isDisk(error: unknown): boolean {
  return error instanceof StoreError && error.failure === 'io'
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
