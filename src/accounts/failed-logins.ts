// How many wrong logins there were lately, and who may therefore try no other one for a while. They
// count for an account at an address, which is what a guess is; for an address, where somebody
// tries one account after the other; and for an account, where many addresses try it. Who knows the
// password is not locked out by others: an account stays open to addresses that have not failed at
// it, and an address to accounts that have logged in from there. Where one has, failures are at the
// password that it has now: another one begins anew.
import { boundedCache } from '../async/bounded-cache.ts'
import { KnownPlaces } from './known-places.ts'

/** Who tries to log in, as far as failures count. */
export interface Whose {
  /** Stands for the name, whoever has it or nobody; short. */
  readonly account: string
  /** The address, or the network that one site has (access/network.ts). */
  readonly source: string
  /** Stands for the password that the account has now, or nobody's; short. */
  readonly guessed: string
}

/** `limit`: which of the three. */
export interface TooMany {
  readonly limit: 'account and address' | 'address' | 'account'
  /** When another one may be tried. */
  readonly waitMs: number
}

interface Allowance {
  readonly atOnce: number
  /** Then one more each time so much has passed. */
  readonly eachMs: number
}

const MINUTE_MS = 60_000
/** As many as a person mistypes who is sure that it was one of these; a guesser has 1,440 a day. */
export const OF_ACCOUNT_AND_ADDRESS: Allowance = { atOnce: 10, eachMs: MINUTE_MS }
/** An office or a proxy is one address, and has some people who mistype. */
export const OF_ADDRESS: Allowance = { atOnce: 60, eachMs: 10_000 }
/** Beyond, each address has one guess a minute, however many addresses there are. */
export const OF_ACCOUNT: Allowance = { atOnce: 60, eachMs: 10_000 }
/**
 * Of each kind, some hundred bytes each: each costs a computation, so that nobody drives out what
 * counts in less than minutes.
 */
const KEPT_MAX = 8_192

export class FailedLogins {
  readonly #ofBoth: Failures
  readonly #ofAddress: Failures
  readonly #ofAccount: Failures
  readonly #places: KnownPlaces

  constructor(monotonicMs: () => number) {
    this.#ofBoth = new Failures(OF_ACCOUNT_AND_ADDRESS, monotonicMs)
    this.#ofAddress = new Failures(OF_ADDRESS, monotonicMs)
    this.#ofAccount = new Failures(OF_ACCOUNT, monotonicMs)
    this.#places = new KnownPlaces(monotonicMs)
  }

  /** Undefined: it may be tried. */
  tooMany(whose: Whose): TooMany | undefined {
    const { account, source } = whose
    const guesses = this.#guessesBy(whose)
    const bothMs = this.#ofBoth.waitMs(guesses)
    if (bothMs > 0) return { limit: 'account and address', waitMs: bothMs }
    if (this.#isKnown(whose)) return undefined
    const addressMs = this.#ofAddress.waitMs(source)
    if (addressMs > 0) return { limit: 'address', waitMs: addressMs }
    const accountMs = this.#ofAccount.waitMs(account)
    const owedMs = this.#ofBoth.owedMs(guesses)
    if (accountMs === 0 || owedMs === 0) return undefined
    return { limit: 'account', waitMs: Math.min(accountMs, owedMs) }
  }

  /** How far behind others it is to wait that have failed less. */
  rank(whose: Whose): number {
    const own = this.#ofBoth.count(this.#guessesBy(whose))
    return this.#isKnown(whose) ? own : own + this.#ofAddress.count(whose.source)
  }

  /** One password was wrong, which was tried from each of these at once. */
  failed(all: readonly Whose[]): void {
    for (const account of new Set(all.map(whose => whose.account))) this.#ofAccount.add(account)
    for (const whose of all) {
      this.#ofBoth.add(this.#guessesBy(whose))
      this.#ofAddress.add(whose.source)
    }
  }

  /** `mark`: of the password, by which it is known again. */
  succeeded(all: readonly Whose[], mark: string): void {
    for (const { account, source } of all) this.#places.add(account, source, mark)
  }

  /** Was this the password by which the account last logged in from there? */
  isKnownThere({ account, source }: Whose, mark: string): boolean {
    return this.#places.markAt(account, source) === mark
  }

  #isKnown({ account, source }: Whose): boolean {
    return this.#places.markAt(account, source) !== undefined
  }

  /**
   * At a known place those at the password of now: who knows a new one is not kept out by what was
   * guessed before. Elsewhere nothing tells that there is a new one, or an account.
   */
  #guessesBy(whose: Whose): string {
    const both = bothOf(whose)
    return this.#isKnown(whose) ? `${both} ${whose.guessed}` : both
  }
}

/** By key: each owes some time for what it did, and pays it by letting time pass. */
class Failures {
  readonly #allowance: Allowance
  readonly #monotonicMs: () => number
  /** When all is paid. */
  readonly #paidAtMs = boundedCache<number>(KEPT_MAX)

  constructor(allowance: Allowance, monotonicMs: () => number) {
    this.#allowance = allowance
    this.#monotonicMs = monotonicMs
  }

  owedMs(key: string): number {
    return Math.max(0, (this.#paidAtMs.get(key) ?? 0) - this.#monotonicMs())
  }

  count(key: string): number {
    return Math.ceil(this.owedMs(key) / this.#allowance.eachMs)
  }

  /** Until one more is allowed; 0: it is. */
  waitMs(key: string): number {
    const { atOnce, eachMs } = this.#allowance
    return Math.max(0, this.owedMs(key) - (atOnce - 1) * eachMs)
  }

  add(key: string): void {
    this.#paidAtMs.set(key, this.#monotonicMs() + this.owedMs(key) + this.#allowance.eachMs)
  }
}

function bothOf({ account, source }: Whose): string {
  return `${account} ${source}`
}
