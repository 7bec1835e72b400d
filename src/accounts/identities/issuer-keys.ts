// The keys of one issuer, as it gave them lately. They are looked up when a token needs them and at
// no other time, once for all who wait, and not more often than so often, whatever tokens say.
// While the issuer is away those of before stay good for a while.
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { boundedCache } from '../../async/bounded-cache.ts'
import { Flights } from '../../async/flights.ts'

export interface IssuerKeysDeps {
  /** Where they are now. Rejects when the issuer cannot be asked, or gives none. */
  readonly fetch: () => Promise<JSONWebKeySet>
  readonly monotonicMs: () => number
  /** How long they are good for without being looked up again. */
  readonly maxStaleMs: () => number
  readonly asked: (outcome: 'taken' | 'failed', error?: unknown) => void
}

export interface KnownKeys {
  readonly kind: 'known'
  readonly find: JWTVerifyGetKey
}

export type FoundKeys =
  | KnownKeys
  /** It had no key of that name when it was asked for it. */
  | { readonly kind: 'no such key' }
  /** It cannot be asked now, or not about this key. */
  | { readonly kind: 'away'; readonly retryAfterMs: number }

/** Issuers change keys within days, and announce the next; what they take back is good so long. */
export const FRESH_MS = 60 * 60_000
/**
 * Two questions at most come within that time, whoever makes up names of keys: a key that is new
 * right after a question is asked for at once.
 */
export const ASK_WITHIN_MS = 60_000
/** One that does not answer is asked no more often, nor is any about a key that it has not. */
export const ASK_AGAIN_MS = 30_000
/** Names of keys that are remembered because there was none; clients choose them. */
const ABSENT_MAX = 256

interface Taken {
  readonly set: JSONWebKeySet
  readonly find: JWTVerifyGetKey
  readonly takenAtMs: number
}

export class IssuerKeys {
  readonly #deps: IssuerKeysDeps
  readonly #flights = new Flights<void>()
  #taken: Taken | undefined
  /** The last question, and the one before. */
  #askedAtMs = { last: -Infinity, before: -Infinity }
  #isAway = false
  /** How many were begun, and which of them was the last that was answered. */
  #questions = 0
  #answered = 0
  /** Names of keys that were not known, with how many questions had been begun by then. */
  readonly #missed = boundedCache<number>(ABSENT_MAX)

  constructor(deps: IssuerKeysDeps) {
    this.#deps = deps
  }

  /** `keyId` undefined: any. Never rejects. */
  async find(keyId: string | undefined): Promise<FoundKeys> {
    const known = this.#known
    if (known !== undefined && hasKey(known, keyId)) {
      if (this.#ageMs(known) >= FRESH_MS && this.#mayAsk) void this.#ask()
      return { kind: 'known', find: known.find }
    }
    const missedAt = this.#missedAt(keyId)
    const wasMissed = this.#answered > missedAt && !this.#isDue
    if (this.#flights.size > 0 || (this.#mayAsk && !wasMissed)) await this.#ask()
    const now = this.#known
    if (now !== undefined && hasKey(now, keyId)) return { kind: 'known', find: now.find }
    // An answer to a question of before it was missed says nothing of it.
    if (now !== undefined && !this.#isAway && this.#answered > missedAt)
      return { kind: 'no such key' }
    const againMs = this.#mayAskAtMs - this.#deps.monotonicMs()
    return { kind: 'away', retryAfterMs: Math.max(0, againMs) }
  }

  /** How many questions had been begun when it was missed for the first time. */
  #missedAt(keyId = ''): number {
    const found = this.#missed.get(keyId) ?? this.#questions
    this.#missed.set(keyId, found)
    return found
  }

  get #known(): Taken | undefined {
    const taken = this.#taken
    const maxMs = Math.max(FRESH_MS, this.#deps.maxStaleMs())
    return taken !== undefined && this.#ageMs(taken) <= maxMs ? taken : undefined
  }

  get #mayAsk(): boolean {
    return this.#deps.monotonicMs() >= this.#mayAskAtMs
  }

  get #mayAskAtMs(): number {
    const { last, before } = this.#askedAtMs
    return Math.max(before + ASK_WITHIN_MS, this.#isAway ? last + ASK_AGAIN_MS : -Infinity)
  }

  get #isDue(): boolean {
    return this.#deps.monotonicMs() - this.#askedAtMs.last >= ASK_AGAIN_MS
  }

  #ageMs({ takenAtMs }: Taken): number {
    return this.#deps.monotonicMs() - takenAtMs
  }

  /** Never rejects. */
  #ask(): Promise<void> {
    return this.#flights.run('keys', () => this.#take()).promise
  }

  async #take(): Promise<void> {
    const { fetch, monotonicMs, asked } = this.#deps
    this.#askedAtMs = { last: monotonicMs(), before: this.#askedAtMs.last }
    this.#questions += 1
    const question = this.#questions
    try {
      const set = await fetch()
      this.#taken = { set, find: createLocalJWKSet(set), takenAtMs: monotonicMs() }
      this.#isAway = false
      this.#answered = question
      asked('taken')
    } catch (error) {
      this.#isAway = true
      asked('failed', error)
    }
  }
}

function hasKey({ set }: Taken, keyId: string | undefined): boolean {
  return keyId === undefined || set.keys.some(key => key.kid === keyId)
}
