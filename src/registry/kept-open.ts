// Large blobs that lie here whole stay open for some seconds after somebody asked for one: who asks next costs neither the catalog nor the
// disk a look, nor another thread a question, and all of them together one descriptor. What is answered from here can have been true for
// no longer than what the memory in front of the registry answers, which has the smaller ones: until anything changes in the repository
// (epochs.ts), and for a moment at most.
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey } from '../oci/reference.ts'
import type { BlobAnswer, BlobFile } from './answers.ts'
import type { Epochs } from './epochs.ts'
import type { Clock } from './ports/clock.ts'

/** A crowd that asks for the same blob comes within moments; a file that was removed takes its space for so long. */
export const KEPT_OPEN_MS = 5_000
/** What is smaller is hashed on its way into memory: what is found wrong there must not be given from here. */
export const KEPT_OPEN_LEAST_BYTES = 1024 * 1024
/** Descriptors, beside those of readers. */
export const KEPT_OPEN_MOST = 64

export interface KeptOpenDeps {
  readonly clock: Pick<Clock, 'sleep'>
  /** Bumped by every write that changes an answer. Undefined: nothing is kept. */
  readonly epochs: Epochs | undefined
  /** What could not be closed once nobody read it any more. */
  readonly failed: (error: unknown) => void
}

/** What was the case before a question. */
export interface Asked {
  readonly key: string
  readonly slot: number
  readonly stamp: number
}

export class KeptOpen {
  readonly #deps: KeptOpenDeps
  readonly #kept = new LRUCache<string, Kept>({
    max: KEPT_OPEN_MOST,
    dispose: kept => void kept.leave().catch(this.#deps.failed),
  })
  readonly #stopping = new AbortController()

  constructor(deps: KeptOpenDeps) {
    this.#deps = deps
  }

  /** Before anybody else is asked about this blob. */
  ask(repository: Repository, digest: Digest): Asked | undefined {
    const { epochs } = this.#deps
    if (epochs === undefined) return undefined
    const of = repositoryKey(repository)
    const slot = epochs.slotOf(of)
    return { key: `${of} ${digest}`, slot, stamp: epochs.stampOf(slot) }
  }

  /** One more view of what somebody was answered a moment ago. */
  find(asked: Asked | undefined): BlobAnswer | undefined {
    const kept = asked && this.#kept.get(asked.key)
    if (kept === undefined) return undefined
    if (kept.stamp === asked?.stamp) return kept.view()
    this.#kept.delete(kept.key)
    return undefined
  }

  /** What the question brought, for who asked it, and from now on for others. */
  share(asked: Asked | undefined, blob: BlobAnswer): BlobAnswer {
    if (asked === undefined || blob.isShareable !== true || blob.sizeBytes < KEPT_OPEN_LEAST_BYTES)
      return blob
    if (this.#deps.epochs?.stampOf(asked.slot) !== asked.stamp) return blob
    if (this.#stopping.signal.aborted) return blob
    const kept = new Kept(asked, blob)
    this.#kept.set(asked.key, kept)
    void this.#forgetSoon(kept)
    return kept.view()
  }

  /** Nothing is kept any more; who reads goes on. */
  stop(): void {
    this.#stopping.abort(new Error('this edge is stopping'))
    this.#kept.clear()
  }

  async #forgetSoon(kept: Kept): Promise<void> {
    await this.#deps.clock.sleep(KEPT_OPEN_MS, this.#stopping.signal).catch(() => {})
    if (this.#kept.peek(kept.key) === kept) this.#kept.delete(kept.key)
  }
}

class Kept implements Asked {
  readonly key: string
  readonly slot: number
  readonly stamp: number
  readonly #blob: BlobAnswer
  /** Who keeps it is one of them. */
  #holders = 1
  #isProven = false

  constructor({ key, slot, stamp }: Asked, blob: BlobAnswer) {
    this.key = key
    this.slot = slot
    this.stamp = stamp
    this.#blob = blob
  }

  view(): BlobAnswer {
    this.#holders += 1
    const { file, ...blob } = this.#blob
    return { ...blob, file: file && this.#noting(file), close: () => this.leave() }
  }

  async leave(): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#blob.close()
  }

  /** Who has read it spares the others the trial. */
  #noting(file: BlobFile): BlobFile {
    return {
      ...file,
      isProven: this.#isProven || file.isProven === true,
      read: async (buffer, position) => {
        const filled = await file.read(buffer, position)
        this.#isProven = true
        return filled
      },
    }
  }
}
