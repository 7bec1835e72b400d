// Answers that were given before and are still right, in memory, with the head made and the body
// beside it. In front of the registry: who is answered from here costs no look at disk or catalog.
// Nothing in here asks anybody.
//
// Right means: the same request in every part that answers depend on (hot-request.ts), while the
// stamp that was read before the registry was called is the repository's still
// (registry/epochs.ts), and while time leaves the answer as it is. Who asks is no part of it:
// whoever gives an answer away asks first whether it may (serve-hot.ts).
import { LRUCache } from 'lru-cache'
import { type BoundedCache, boundedCache } from '../../async/bounded-cache.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Digest } from '../../oci/digest.ts'
import type { NoteHit } from '../../observe/note-hit.ts'
import type { Repeatable } from '../../registry/answers.ts'
import type { Epochs } from '../../registry/epochs.ts'
import type { NoteUse } from '../../registry/reading/uses.ts'
import { HOT_BODY_MAX_BYTES, HOT_REVALIDATE_EVERY_MS, HOT_MISSES_MAX } from '../limits.ts'

/** What goes out again; everything that differs from request to request is left open. */
export interface HotContent {
  readonly status: number
  /**
   * As writeHead takes it. Whoever sends it sets the id, and the age where there is one, in place.
   */
  readonly head: string[]
  /** Where in `head` the values of X-Request-Id and Age stand; -1 for an answer without age. */
  readonly idAt: number
  readonly ageAt: number
  /** Undefined for HEAD and 304. MUST NOT be changed by anybody. */
  readonly body: Uint8Array | undefined
  /**
   * Of a large blob, whose bytes are no memory's: which one. It is sent as long as it is open
   * (serve-hot.ts).
   */
  readonly blob: HotBlob | undefined
  readonly digest: Digest
  readonly repeatable: Repeatable
  /** Of a manifest that begins a pull: where its client will ask for what it lists. */
  readonly pulledFrom: Repository | undefined
  readonly note: NoteHit
  /** Absent for what is no use of anything. */
  readonly noteUse: NoteUse | undefined
}

export interface HotBlob {
  readonly repository: Repository
  readonly digest: Digest
  readonly sizeBytes: number
}

export interface HotAnswer extends HotContent {
  readonly kind: 'hit'
  /** What it is of. */
  readonly repository: Repository
  readonly slot: number
  readonly stamp: number
  /** Somebody asks the registry again, for all. */
  isRevalidating: boolean
  /** Wall clock: in its grace nobody asks before. */
  readonly quietUntilMs: number
  /** Wall clock: when somebody was last said to be pulling by it, or reading it. */
  pulledAtMs: number
}

/** A request that memory had no answer for. MUST be ended by `end`, whatever comes of it. */
export interface HotMiss {
  readonly kind: 'miss'
  readonly key: string
  /** It came before: what is answered now is to be kept. */
  readonly isWanted: boolean
  /** Its answer is known to fit in here: of a blob whole bytes are wanted. */
  readonly isSmall: boolean
  /** To be told before the registry is asked, and after its route. Without, nothing is kept. */
  about(repository: Repository): void
  /** To be told of a body that is not in memory, which is never kept. */
  noteLength(bodyBytes: number): void
  /** Remembers the answer, if its request came before and nothing has changed since `about`. */
  keep(content: HotContent): void
  end(): void
}

export interface HotAnswers {
  find(key: string, nowMs: number): HotAnswer | HotMiss
}

export interface HotAnswersOptions {
  /**
   * What answers may take in all, bodies, heads and keys; at least 1. What does not fit is not
   * kept.
   */
  readonly maxBytes: number
  readonly epochs: Epochs
}

/** What an entry costs beside its texts: objects, the cache's own tables. */
const ENTRY_BYTES = 1_024
/**
 * Strings of one byte for each character, as those of headers are, and two for those that were put
 * together.
 */
const CHARACTER_BYTES = 2

export function createHotAnswers({ maxBytes, epochs }: HotAnswersOptions): HotAnswers {
  const answers = new LRUCache<string, HotAnswer>({ maxSize: maxBytes, sizeCalculation })
  const missed = boundedCache<Missed>(HOT_MISSES_MAX)

  return {
    find(key, nowMs) {
      const known = answers.get(key)
      if (known === undefined) {
        const before = missed.get(key)
        if (before === undefined) missed.set(key, 'once')
        return new Miss(key, before, { answers, missed, epochs, known, nowMs })
      }
      const { repeatable } = known
      if (known.stamp !== epochs.stampOf(known.slot)) {
        answers.delete(key)
        const before = known.blob === undefined ? 'small' : 'once'
        return new Miss(key, before, { answers, missed, epochs, known: undefined, nowMs })
      }
      if (nowMs >= repeatable.sinceMs) {
        if (nowMs < repeatable.untilMs) return known
        const isQuiet = known.isRevalidating || nowMs < known.quietUntilMs
        if (nowMs < repeatable.graceUntilMs && isQuiet) return known
      }
      known.isRevalidating = true
      return new Miss(key, 'small', { answers, missed, epochs, known, nowMs })
    },
  }
}

/** A request that was missed before; `small`: it is answered by what fits in here. */
type Missed = 'once' | 'small'

interface Memory {
  readonly answers: LRUCache<string, HotAnswer>
  readonly missed: BoundedCache<Missed>
  readonly epochs: Epochs
  /** What is revalidated. */
  readonly known: HotAnswer | undefined
  /** Wall clock, when the request came. */
  readonly nowMs: number
}

class Miss implements HotMiss {
  readonly kind = 'miss'
  readonly key: string
  readonly isWanted: boolean
  readonly isSmall: boolean
  readonly #memory: Memory
  #of:
    | { readonly repository: Repository; readonly slot: number; readonly stamp: number }
    | undefined

  constructor(key: string, before: Missed | undefined, memory: Memory) {
    this.key = key
    this.isWanted = before !== undefined
    this.isSmall = before === 'small'
    this.#memory = memory
  }

  about(repository: Repository): void {
    const { epochs } = this.#memory
    const slot = epochs.slotOf(repositoryKey(repository))
    this.#of = { repository, slot, stamp: epochs.stampOf(slot) }
  }

  noteLength(bodyBytes: number): void {
    if (bodyBytes <= HOT_BODY_MAX_BYTES) this.#memory.missed.set(this.key, 'small')
  }

  keep(content: HotContent): void {
    const { answers, epochs, nowMs } = this.#memory
    const of = this.#of
    if (!this.isWanted || of === undefined) return
    if ((content.body?.length ?? 0) > HOT_BODY_MAX_BYTES) return
    if (epochs.stampOf(of.slot) !== of.stamp) return
    // In its grace already: the upstream was asked, because of this request at the latest, and has
    // not answered yet.
    const isAwaited = nowMs >= content.repeatable.untilMs
    const quietUntilMs = isAwaited ? nowMs + HOT_REVALIDATE_EVERY_MS : 0
    const state = { isRevalidating: false, quietUntilMs, pulledAtMs: 0 }
    answers.set(this.key, { ...content, kind: 'hit', ...of, ...state })
  }

  end(): void {
    const { known } = this.#memory
    if (known !== undefined) known.isRevalidating = false
  }
}

function sizeCalculation({ head, body }: HotAnswer, key: string): number {
  const characters = head.reduce((sum, line) => sum + line.length, key.length)
  return ENTRY_BYTES + characters * CHARACTER_BYTES + (body?.length ?? 0)
}
