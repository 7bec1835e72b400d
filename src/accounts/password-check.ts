// Which account a name and a password belong to. A computation of bcrypt is what a login costs, so
// equal ones at one time are one, what was right a moment ago is not computed again, and no more
// wait than can be told soon. Who is not known costs as much as who is.
import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Accounts, Verified } from '../access/accounts.ts'
import { COST_DEFAULT, type Entry } from '../access/htpasswd/parse.ts'
import { Flights } from '../async/flights.ts'
import type { Compare } from './bcrypt.ts'

export interface PasswordCheckDeps {
  readonly compare: Compare
  readonly monotonicMs: () => number
  /** Of KEY_BYTES, new for each process: what is remembered is no use to another one. */
  readonly key: Uint8Array
  /** Of all that were not remembered. */
  readonly tried: (outcome: TriedOutcome) => void
}

/** `failed`: it could not be computed. */
export const TRIED_OUTCOMES = ['right', 'wrong', 'busy', 'failed'] as const
export type TriedOutcome = (typeof TRIED_OUTCOMES)[number]

export const KEY_BYTES = 32
/**
 * Computed or waiting to be, one at a time: the last waits some three seconds at the usual cost,
 * and ten at the highest. More would wait longer than clients do.
 */
export const TRIED_AT_ONCE_MAX = 32
const RETRY_AFTER_SECONDS = 2
/** A day's work of a machine logs in a few times an hour; what has leaked is good no longer. */
export const REMEMBERED_MS = 5 * 60_000
/** More accounts at one time cost a computation each. */
const REMEMBERED_MAX = 4_096
/** It is compared with and matches nothing anybody knows; what counts is its cost. */
const NOBODY = 'KJHG5fdsa3poiuytrewq2.lkjhgfdsa0mnbvcxzQWERTYUIOPasdf'

const REFUSED: Verified = { kind: 'refused' }
const BUSY: Verified = { kind: 'busy', retryAfterSeconds: RETRY_AFTER_SECONDS }

export class PasswordCheck implements Accounts {
  readonly #deps: PasswordCheckDeps
  readonly #flights = new Flights<Verified>()
  /** Right ones, by what `#markOf` makes of them. */
  readonly #remembered: LRUCache<string, true>
  #hashes: ReadonlyMap<string, string> = new Map()
  #nobodys = hashOfNobody(COST_DEFAULT)

  constructor(deps: PasswordCheckDeps) {
    this.#deps = deps
    this.#remembered = new LRUCache({
      max: REMEMBERED_MAX,
      ttl: REMEMBERED_MS,
      ttlResolution: 0,
      perf: { now: deps.monotonicMs },
    })
  }

  /** From now on nobody is anybody else. */
  replace(entries: readonly Entry[]): void {
    this.#hashes = new Map(entries.map(({ name, hash }) => [name, hash]))
    const costs = entries.map(({ cost }) => cost)
    this.#nobodys = hashOfNobody(costs.length === 0 ? COST_DEFAULT : Math.max(...costs))
  }

  verify(name: string, password: string): Promise<Verified> {
    // bcrypt ends there, and clients may not send it: it would be another password than it looks.
    if (password.includes('\0')) return Promise.resolve(REFUSED)
    const known = this.#hashes.get(name)
    const hash = known ?? this.#nobodys
    const mark = this.#markOf(name, password, hash)
    if (this.#remembered.get(mark) === true) return Promise.resolve({ kind: 'account', name })
    const { promise } = this.#flights.run(mark, () => this.#try({ name, password, hash, mark }))
    return promise
  }

  async #try(asked: {
    readonly name: string
    readonly password: string
    readonly hash: string
    readonly mark: string
  }): Promise<Verified> {
    const { compare, tried } = this.#deps
    const { name, password, hash, mark } = asked
    if (this.#flights.size >= TRIED_AT_ONCE_MAX) {
      tried('busy')
      return BUSY
    }
    let isRight: boolean
    try {
      isRight = await compare(password, hash)
    } catch {
      tried('failed')
      return BUSY
    }
    // The file may have changed meanwhile.
    const isOfNow = (this.#hashes.get(name) ?? this.#nobodys) === hash
    if (!isOfNow) return this.verify(name, password)
    const isAccount = isRight && this.#hashes.has(name)
    tried(isAccount ? 'right' : 'wrong')
    if (!isAccount) return REFUSED
    this.#remembered.set(mark, true)
    return { kind: 'account', name }
  }

  /**
   * The hash is a part of it: another password of the account, or none, and what was remembered
   * means nothing any more. None of them can be made again from it.
   */
  #markOf(name: string, password: string, hash: string): string {
    const hmac = createHmac('sha256', this.#deps.key)
    return hmac.update(`${hash}${name}:${password}`).digest('base64')
  }
}

function hashOfNobody(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${NOBODY}`
}
