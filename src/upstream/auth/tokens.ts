// Bearer tokens of one endpoint: cached by everything that makes them differ (R143), fetched once
// for all who wait, renewed before they end (R142).
import type { Clock } from '../../registry/ports/clock.ts'
import { ANONYMOUS, type Credential } from './credentials.ts'
import { unlessAborted } from '../../async/aborting.ts'
import { Flights } from '../../async/flights.ts'
import { startDeadline } from '../connect/deadline.ts'
import type { Exchange } from '../connect/exchange.ts'
import { boundedCache } from '../../async/bounded-cache.ts'
import { repositoryIn } from './scopes.ts'
import { requestToken } from './token-request.ts'

/** One for each repository in use; a token is some KiB. */
const TOKENS_MAX = 2_000
/** Renewed at this share of its life, so that none ends on the way. */
const RENEW_SHARE = 0.8

export interface TokenWanted {
  readonly realm: URL
  readonly service: string | undefined
  /** Sorted. */
  readonly scopes: readonly string[]
  readonly credential: Credential | undefined
  /** Of the host that the token is for: it is never sent to another. */
  readonly origin: string
}

export interface Tokens {
  /**
   * A token with at least a fifth of its life left. `signal` ends this wait, not the request.
   * @throws UpstreamError
   */
  get(wanted: TokenWanted, signal: AbortSignal): Promise<string>
  /** The registry refused this token. */
  discard(value: string): void
  /** Those for repositories of these names: what comes next is asked for with new ones. */
  forget(isMeant: (name: string) => boolean): void
}

export interface TokensOptions {
  readonly exchange: Exchange
  readonly clock: Clock
  readonly method: 'GET' | 'POST'
  /** For one fetch, whoever waits for it. */
  readonly limitMs: number
}

interface Kept {
  readonly scopes: readonly string[]
  readonly value: string
  readonly renewAtMs: number
}

export function createTokens({ exchange, clock, method, limitMs }: TokensOptions): Tokens {
  const kept = boundedCache<Kept>(TOKENS_MAX)
  const flights = new Flights<string>()

  async function fetchToken(key: string, wanted: TokenWanted): Promise<string> {
    const deadline = startDeadline(clock, limitMs)
    try {
      const { signal } = deadline
      const parts = { exchange, signal, nowMs: clock.nowMs() }
      const { value, lifeMs } = await requestToken({ ...wanted, method }, parts)
      const { scopes } = wanted
      kept.set(key, { scopes, value, renewAtMs: clock.monotonicMs() + lifeMs * RENEW_SHARE })
      return value
    } finally {
      deadline.end()
    }
  }

  return {
    get: (wanted, signal) => {
      const key = tokenKey(wanted)
      const token = kept.get(key)
      if (token !== undefined && clock.monotonicMs() < token.renewAtMs)
        return Promise.resolve(token.value)
      const { promise } = flights.run(key, () => fetchToken(key, wanted))
      return unlessAborted(promise, signal)
    },
    discard: value => {
      const refused = [...kept.entries()].filter(([, token]) => token.value === value)
      for (const [key] of refused) kept.delete(key)
    },
    forget: isMeant => {
      const isOf = (scope: string) => {
        const name = repositoryIn(scope)
        return name !== undefined && isMeant(name)
      }
      const meant = [...kept.entries()].filter(([, { scopes }]) => scopes.some(isOf))
      for (const [key] of meant) kept.delete(key)
    },
  }
}

function tokenKey({ realm, service, scopes, credential, origin }: TokenWanted): string {
  return JSON.stringify([origin, realm.href, service, scopes, credential?.identity ?? ANONYMOUS])
}
