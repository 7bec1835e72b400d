// Large blobs that lie here whole stay open for some seconds after somebody asked for one: who asks
// next costs neither the catalog nor the disk a look, nor another thread a question, and all of
// them one descriptor. As what is answered from memory in front of the registry, it is given until
// a write changes anything about the repository (epochs.ts), and for a moment at most: five
// seconds, and as long again in a further thread that asked at the end of them.
import { NOT_NEEDED } from '../../async/aborting.ts'
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { BlobAnswer, Repeatable } from '../answers.ts'
import type { Epochs } from '../epochs.ts'
import type { WholeBlob } from './open-file.ts'
import type { Clock } from '../ports/clock.ts'

/** A crowd that asks for the same blob comes within moments. */
export const OPEN_FOR_MS = 5_000
/**
 * What is smaller may be a manifest, or be kept in memory, and is hashed on its way there: what is
 * found wrong then must not be given from here. A larger one costs what it takes to send it.
 */
export const OPEN_LEAST_BYTES = MANIFEST_LIMIT_BYTES + 1
/** Of each thread, beside what its readers have open. */
export const OPEN_MOST = 64

/** The next one is answered alike, as long as it is open. */
const WHILE_OPEN: Repeatable = {
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}

export interface StayOpenDeps {
  readonly clock: Pick<Clock, 'sleep'>
  /** Bumped by every write that changes an answer. Undefined: none stays open. */
  readonly epochs: Epochs | undefined
  /** What could not be closed once nobody read it any more. */
  readonly failed: (error: unknown) => void
}

/** A blob of a repository, as whatever changes its answer stood before a question about it. */
export interface Stamped {
  readonly of: RepositoryKey
  readonly key: string
  readonly slot: number
  readonly stamp: number
}

interface OpenBlob extends Stamped {
  readonly blob: WholeBlob
  /** Aborts when it stays open no longer. */
  readonly ended: AbortController
}

export class OpenBlobs {
  readonly #deps: StayOpenDeps
  readonly #open = new LRUCache<string, OpenBlob>({
    max: OPEN_MOST,
    dispose: ({ blob, ended }) => {
      ended.abort(NOT_NEEDED)
      blob.close().catch(this.#deps.failed)
    },
  })
  #isOver = false

  constructor(deps: StayOpenDeps) {
    this.#deps = deps
  }

  /** To be taken before anybody else is asked about the blob. Undefined: none stays open. */
  stampOf(repository: Repository, digest: Digest): Stamped | undefined {
    const { epochs } = this.#deps
    if (epochs === undefined) return undefined
    const of = repositoryKey(repository)
    const slot = epochs.slotOf(of)
    return { of, key: `${of} ${digest}`, slot, stamp: epochs.stampOf(slot) }
  }

  /** One more answer of what somebody was answered a moment ago. */
  find(stamped: Stamped | undefined): BlobAnswer | undefined {
    const open = stamped && this.#open.get(stamped.key)
    if (open === undefined) return undefined
    if (open.stamp === stamped?.stamp) return this.#answer(open)
    this.#open.delete(open.key)
    return undefined
  }

  /** What the question brought, for who asked it, and from now on for others. */
  share(stamped: Stamped | undefined, blob: WholeBlob): BlobAnswer {
    const { epochs, failed } = this.#deps
    if (stamped === undefined || this.#isOver) return blob.lastAnswer()
    if (blob.head.sizeBytes < OPEN_LEAST_BYTES) return blob.lastAnswer()
    if (epochs?.stampOf(stamped.slot) !== stamped.stamp) return blob.lastAnswer()
    // Another one asked at the same time.
    const other = this.find(stamped)
    if (other !== undefined) {
      blob.close().catch(failed)
      return other
    }
    const open = { ...stamped, blob, ended: new AbortController() }
    this.#open.set(stamped.key, open)
    void this.#forgetSoon(open)
    return this.#answer(open)
  }

  /** The file is about to be removed; who reads goes on. */
  close(digest: Digest): void {
    const of = [...this.#open.values()].filter(({ blob }) => blob.head.digest === digest)
    for (const { key } of of) this.#open.delete(key)
  }

  /** None stays open any more; who reads goes on. */
  stop(): void {
    this.#isOver = true
    this.#open.clear()
  }

  async #forgetSoon(open: OpenBlob): Promise<void> {
    await this.#deps.clock.sleep(OPEN_FOR_MS, open.ended.signal).catch(() => {})
    if (this.#open.peek(open.key) === open) this.#open.delete(open.key)
  }

  #answer({ blob, of }: OpenBlob): BlobAnswer {
    // In whichever thread it is open, and in all that have it.
    return blob.answer({ repeatable: WHILE_OPEN, spoiled: () => this.#deps.epochs?.bump(of) })
  }
}
