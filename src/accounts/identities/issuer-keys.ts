// The keys of one issuer, as it gave them lately. They are looked up when a token needs them and at
// no other time, once for all who wait, and not more often than so often, whatever tokens say.
// While the issuer is away those of before stay good for a while.
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
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
  /** It has no key of that name, as far as it said lately. */
  | { readonly kind: 'no such key' }
  /** It cannot be asked now. */
  | { readonly kind: 'away'; readonly retryAfterMs: number }

/** Issuers change keys within days, and announce the next; what they take back is good so long. */
export const FRESH_MS = 60 * 60_000
/** Whoever makes up names of keys, or an issuer that is away, costs one question in that time. */
export const ASK_AGAIN_MS = 30_000

interface Taken {
  readonly set: JSONWebKeySet
  readonly find: JWTVerifyGetKey
  readonly takenAtMs: number
}

export class IssuerKeys {
  readonly #deps: IssuerKeysDeps
  readonly #flights = new Flights<void>()
  #taken: Taken | undefined
  #askedAtMs = -Infinity
  #isAway = false

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
    if (this.#flights.size > 0 || this.#mayAsk) await this.#ask()
    const now = this.#known
    if (now !== undefined && hasKey(now, keyId)) return { kind: 'known', find: now.find }
    if (now !== undefined && !this.#isAway) return { kind: 'no such key' }
    const againMs = this.#askedAtMs + ASK_AGAIN_MS - this.#deps.monotonicMs()
    return { kind: 'away', retryAfterMs: Math.max(0, againMs) }
  }

  get #known(): Taken | undefined {
    const taken = this.#taken
    const maxMs = Math.max(FRESH_MS, this.#deps.maxStaleMs())
    return taken !== undefined && this.#ageMs(taken) <= maxMs ? taken : undefined
  }

  get #mayAsk(): boolean {
    return this.#deps.monotonicMs() - this.#askedAtMs >= ASK_AGAIN_MS
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
    this.#askedAtMs = monotonicMs()
    try {
      const set = await fetch()
      this.#taken = { set, find: createLocalJWKSet(set), takenAtMs: monotonicMs() }
      this.#isAway = false
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
