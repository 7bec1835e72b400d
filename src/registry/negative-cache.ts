// What an upstream said it does not have, remembered briefly (R94): long enough to spare it a herd,
// short enough that a signature pushed a minute after its image is seen (R81). A push through this
// edge is seen at once, also by the questions that were under way (R115).
import { type BoundedCache, boundedCache } from '../async/bounded-cache.ts'
import type { Digest } from '../oci/digest.ts'
import {
  formatReference,
  type Reference,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../oci/reference.ts'
import type { Clock } from './ports/clock.ts'
import { ASKED_ENDPOINTS, type AskedEndpoints, UpstreamError } from './ports/upstream.ts'

/** Absence is kept for seconds (R94): a signature is seen at most this late (R81). */
const TTL_MS = 30_000
/** Enough for the misses of a busy half minute; an entry is a few hundred bytes. */
const MAX_ENTRIES = 10_000

/** One question to an upstream. */
export interface Question {
  /**
   * False once a push made the answer to it old news: it may be given to who asked, and MUST NOT be
   * written down.
   */
  readonly isCurrent: boolean
}

export class NegativeCache {
  readonly #entries: BoundedCache<UpstreamError>
  /** Under way now: no more than there are requests. */
  readonly #asked = new Map<string, Set<{ isCurrent: boolean }>>()

  constructor(clock: Clock) {
    const nowMs = () => clock.monotonicMs()
    this.#entries = boundedCache(MAX_ENTRIES, { ttlMs: TTL_MS, nowMs })
  }

  /**
   * Asks, unless the same endpoints said not-found to the same less than half a minute ago; a plain
   * 404 is remembered, and no other failure.
   * @throws UpstreamError; what else `ask` throws
   */
  async ask<Answer>(
    what: string,
    endpoints: AskedEndpoints | undefined,
    ask: (question: Question) => Promise<Answer>,
  ): Promise<Answer> {
    const key = keyOf(what, endpoints)
    const known = this.#entries.get(key)
    if (known !== undefined) throw known
    const question = this.#begin(key)
    try {
      return await ask(question)
    } catch (error) {
      if (question.isCurrent && error instanceof UpstreamError && error.failure === 'not-found')
        this.#entries.set(key, error)
      throw error
    } finally {
      this.#end(key, question)
    }
  }

  /** It was pushed: whoever was asked for it, what they said is old news. */
  forget(what: string): void {
    for (const endpoints of ASKED_ENDPOINTS) {
      const key = keyOf(what, endpoints)
      this.#entries.delete(key)
      for (const question of this.#asked.get(key) ?? []) question.isCurrent = false
    }
  }

  /** How much is said to lack in these repositories. */
  count(isMeant: (key: RepositoryKey) => boolean): number {
    return [...this.#entries.keys()].filter(isQuestionOf(isMeant)).length
  }

  /** Whatever was said to lack in these repositories; what is asked now is not remembered. */
  forgetAll(isMeant: (key: RepositoryKey) => boolean): void {
    const about = isQuestionOf(isMeant)
    for (const [key, questions] of this.#asked)
      if (about(key)) for (const question of questions) question.isCurrent = false
    const known = [...this.#entries.keys()].filter(about)
    for (const key of known) this.#entries.delete(key)
  }

  #begin(key: string): { isCurrent: boolean } {
    const question = { isCurrent: true }
    const asked = this.#asked.get(key)
    if (asked === undefined) this.#asked.set(key, new Set([question]))
    else asked.add(question)
    return question
  }

  #end(key: string, question: { isCurrent: boolean }): void {
    const asked = this.#asked.get(key)
    asked?.delete(question)
    if (asked?.size === 0) this.#asked.delete(key)
  }
}

function keyOf(what: string, endpoints: AskedEndpoints = 'all'): string {
  return `${endpoints} ${what}`
}

/**
 * Is a question about one of these repositories? By its key: the first word of it with a slash says
 * which, since methods and endpoints have none.
 */
export function isQuestionOf(
  isMeant: (key: RepositoryKey) => boolean,
): (question: string) => boolean {
  return question =>
    isMeant((question.split(' ').find(word => word.includes('/')) ?? '') as RepositoryKey)
}

/** The key under which the misses of a blob are remembered. */
export function blobKey(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)} blob ${digest}`
}

/** The same of a manifest, by tag or digest. */
export function manifestKey(repository: Repository, reference: Reference): string {
  return `${repositoryKey(repository)} ${formatReference(reference)}`
}
