// Which account a name and a password belong to. A computation of bcrypt is what a login costs, so
// there is one at a time, equal ones are one, what was found out a moment ago is not computed
// again, and no more wait than can be told soon. Who is not known costs as much as who is, and
// who has failed too often has none computed for a while.
import { createHmac } from 'node:crypto'
import { type LoginAttempt, REFUSED, type Verified } from '../access/accounts.ts'
import { COST_DEFAULT, type Entry } from '../access/htpasswd/parse.ts'
import { siteOf } from '../access/network.ts'
import { type BoundedCache, boundedCache } from '../async/bounded-cache.ts'
import type { Compare } from './bcrypt.ts'
import { FailedLogins, type TooMany, type Whose } from './failed-logins.ts'
import { LoginLine } from './login-line.ts'

export interface PasswordCheckDeps {
  readonly compare: Compare
  readonly monotonicMs: () => number
  /** Of KEY_BYTES, new for each process: what is remembered is no use to another one. */
  readonly key: Uint8Array
  /** Of all that were not remembered. */
  readonly tried: (outcome: TriedOutcome) => void
  readonly limited: (refused: RefusedByLimit) => void
}

export interface RefusedByLimit extends Pick<TooMany, 'limit'> {
  /** Or the network around it. */
  readonly address: string
  /** Undefined where there is no such account: what stands in its place may be a password. */
  readonly name: string | undefined
}

/** `failed`: it could not be computed. `limited`: it was not, after too many wrong ones. */
export type TriedOutcome = 'right' | 'wrong' | 'busy' | 'failed' | 'limited'

export const KEY_BYTES = 32
/**
 * They are computed one at a time: the last waits some three seconds at the usual cost, and ten at
 * the highest. More would wait longer than clients do.
 */
export const WAITING_MAX = 32
const RETRY_AFTER_SECONDS = 2
/** A day's work of a machine logs in a few times an hour; what has leaked is good no longer. */
export const REMEMBERED_MS = 5 * 60_000
/** More at one time cost a computation each. */
const REMEMBERED_MAX = 4_096
/** It is compared with and matches nothing anybody knows; what counts is its cost. */
const NOBODY = 'KJHG5fdsa3poiuytrewq2.lkjhgfdsa0mnbvcxzQWERTYUIOPasdf'

const BUSY: Verified = { kind: 'busy', retryAfterSeconds: RETRY_AFTER_SECONDS }

/** One computation, and all who wait for what comes of it. */
interface Attempt extends Pick<LoginAttempt, 'name' | 'password'> {
  readonly hash: string
  readonly mark: string
  /** By source: they show the same. */
  readonly all: Map<string, Whose>
  whose: Whose
  readonly found: PromiseWithResolvers<Verified>
}

export class PasswordCheck {
  readonly #deps: PasswordCheckDeps
  readonly #failed: FailedLogins
  readonly #line: LoginLine<Attempt>
  /** Computed or waiting to be, by mark. */
  readonly #underWay = new Map<string, Attempt>()
  #isComputing = false
  /** What came of it, by what `#markOf` makes of it. */
  readonly #right: BoundedCache<true>
  /** A client that has a wrong one sends it over and over: that is no guess. */
  readonly #wrong: BoundedCache<true>
  #hashes: ReadonlyMap<string, string> = new Map()
  #nobodys = hashOfNobody(COST_DEFAULT)

  constructor(deps: PasswordCheckDeps) {
    this.#deps = deps
    this.#failed = new FailedLogins(deps.monotonicMs)
    this.#line = new LoginLine(WAITING_MAX, this.#failed)
    const remembered = () =>
      boundedCache<true>(REMEMBERED_MAX, { ttlMs: REMEMBERED_MS, nowMs: deps.monotonicMs })
    this.#right = remembered()
    this.#wrong = remembered()
  }

  /** From now on nobody is anybody else. */
  replace(entries: readonly Entry[]): void {
    this.#hashes = new Map(entries.map(({ name, hash }) => [name, hash]))
    const costs = entries.map(({ cost }) => cost)
    this.#nobodys = hashOfNobody(costs.length === 0 ? COST_DEFAULT : Math.max(...costs))
  }

  /** Of the account's password; undefined: there is no such account. */
  hashOf(name: string): string | undefined {
    return this.#hashes.get(name)
  }

  async verify({ name, password, address }: LoginAttempt): Promise<Verified> {
    // bcrypt ends there, and clients may not send it: it would be another password than it looks.
    if (password.includes('\0')) return REFUSED
    const hash = this.#hashOf(name)
    const mark = this.#markOf(name, password, hash)
    if (this.#wrong.has(mark)) return REFUSED
    const guessed = this.#hmacOf(hash)
    const whose = { account: this.#hmacOf(name), source: siteOf(address), guessed }
    if (this.#right.has(mark)) {
      // It is known here as well from now on, wherever it was computed for.
      this.#failed.succeeded([whose], mark)
      return { kind: 'account', name }
    }
    const tooMany = this.#failed.tooMany(whose)
    if (tooMany !== undefined) {
      if (this.#failed.isKnownThere(whose, mark)) return { kind: 'account', name }
      return this.#limit(tooMany, { name, whose })
    }
    const attempt = this.#underWay.get(mark) ?? this.#begin({ name, password, hash, mark, whose })
    attempt.all.set(whose.source, whose)
    if (this.#failed.rank(whose) < this.#failed.rank(attempt.whose)) attempt.whose = whose
    return attempt.found.promise
  }

  #begin(asked: Omit<Attempt, 'all' | 'found'>): Attempt {
    const attempt = { ...asked, all: new Map(), found: Promise.withResolvers<Verified>() }
    this.#underWay.set(attempt.mark, attempt)
    const left = this.#line.join(attempt)
    if (left !== undefined) this.#settle(left, this.#count('busy', BUSY))
    // Whoever asks the same in this turn joins it first.
    queueMicrotask(() => this.#computeNext())
    return attempt
  }

  #computeNext(): void {
    const attempt = this.#isComputing ? undefined : this.#line.next()
    if (attempt === undefined) return
    this.#isComputing = true
    void this.#try(attempt).then(found => {
      this.#isComputing = false
      this.#settle(attempt, found)
      this.#computeNext()
    })
  }

  #settle(attempt: Attempt, found: Verified | 'to be tried anew'): void {
    const { name, password, mark, whose } = attempt
    this.#underWay.delete(mark)
    const isAnew = found === 'to be tried anew'
    const address = whose.source
    attempt.found.resolve(isAnew ? this.verify({ name, password, address }) : found)
  }

  /** Never rejects. */
  async #try(attempt: Attempt): Promise<Verified | 'to be tried anew'> {
    const { name, password, hash, mark } = attempt
    // Others of theirs may have been wrong since they came.
    const tooMany = this.#failed.tooMany(attempt.whose)
    if (tooMany !== undefined) return this.#limit(tooMany, attempt)
    let isRight: boolean
    try {
      isRight = await this.#deps.compare(password, hash)
    } catch {
      return this.#count('failed', BUSY)
    }
    // The file may have changed meanwhile.
    if (this.#hashOf(name) !== hash) return 'to be tried anew'
    const all = [...attempt.all.values()]
    if (isRight && this.#hashes.has(name)) {
      this.#right.set(mark, true)
      this.#failed.succeeded(all, mark)
      return this.#count('right', { kind: 'account', name })
    }
    this.#wrong.set(mark, true)
    this.#failed.failed(all)
    return this.#count('wrong', REFUSED)
  }

  #limit(
    { limit, waitMs }: TooMany,
    { name, whose }: { readonly name: string; readonly whose: Whose },
  ): Verified {
    const known = this.#hashes.has(name) ? name : undefined
    this.#deps.limited({ limit, address: whose.source, name: known })
    return this.#count('limited', { kind: 'limited', retryAfterSeconds: Math.ceil(waitMs / 1_000) })
  }

  #count(outcome: TriedOutcome, found: Verified): Verified {
    this.#deps.tried(outcome)
    return found
  }

  #hashOf(name: string): string {
    return this.#hashes.get(name) ?? this.#nobodys
  }

  /**
   * The hash is a part of it: another password of the account, or none, and what was remembered
   * means nothing any more. None of them can be made again from it.
   */
  #markOf(name: string, password: string, hash: string): string {
    return this.#hmacOf(`${hash}${name}:${password}`)
  }

  #hmacOf(text: string): string {
    return createHmac('sha256', this.#deps.key).update(text).digest('base64')
  }
}

function hashOfNobody(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${NOBODY}`
}
