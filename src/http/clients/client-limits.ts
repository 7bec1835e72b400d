// What one client may have under way at once, where the operator says so: requests, and among them
// blobs that are sent and uploads that come in; by address, and by account. Refused with 429 before
// anything is looked up. What the whole edge bears is bounded elsewhere (limits.ts, places/).
import type { IncomingMessage, ServerResponse } from 'node:http'
import { siteOf } from '../../access/network.ts'
import type { Logger } from '../../observe/log.ts'
import type { Metrics } from '../../observe/metrics.ts'
import { createOnceAMinute, type OnceAMinute } from '../../observe/once-a-minute.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Exchange } from '../exchange.ts'
import type { KeyedCount } from '../limits.ts'
import type { Caller, Callers } from '../proxies/callers.ts'
import { UNKNOWN } from '../proxies/node-name.ts'

const LIMITED = ['requests', 'streams', 'uploads'] as const
type Limited = (typeof LIMITED)[number]
type Of = 'address' | 'account'

/** Undefined: as many as the edge bears. */
export type LimitsOfOne = Readonly<Partial<Record<Limited, number | undefined>>>
export type ClientLimitSettings = Readonly<Record<Of, LimitsOfOne>>

/** Something of the same client is done by then, or it has too much under way for long. */
const RETRY_AFTER_SECONDS = 5

const WORDS: Readonly<Record<Limited, string>> = {
  requests: 'requests',
  streams: 'blobs at once',
  uploads: 'uploads at once',
}
const HINT =
  'it is told to come back. Where many clients have one address, list their proxy in http.trustedproxies, or raise the limit'

export interface ClientLimitsDeps {
  /** Undefined: none. Asked for at each question: a reload changes them. */
  readonly settings: () => ClientLimitSettings | undefined
  readonly counts: KeyedCount
  readonly callers: Pick<Callers, 'isTrusted'>
  readonly logger: Pick<Logger, 'warn'>
  readonly metrics: Metrics
  readonly clock: Pick<Clock, 'monotonicMs'>
}

export class ClientLimits {
  readonly #deps: ClientLimitsDeps
  readonly #due: OnceAMinute
  /** Whose account has been asked about. */
  readonly #met = new WeakSet<Exchange>()

  constructor(deps: ClientLimitsDeps) {
    this.#deps = deps
    this.#due = createOnceAMinute(() => deps.clock.monotonicMs())
  }

  get limitsStreams(): boolean {
    const settings = this.#deps.settings()
    return settings?.address.streams !== undefined || settings?.account.streams !== undefined
  }

  /**
   * May it be answered from memory, where nobody asks whose account it is? What is refused, or has
   * to be counted for an account, goes the usual way.
   */
  mayAnswerNow(request: IncomingMessage, caller: Caller): boolean {
    const settings = this.#deps.settings()
    if (settings === undefined) return true
    if (request.headers.authorization !== undefined && hasAny(settings.account)) return false
    const { address } = settings
    const who = hasAny(address) ? this.#addressOf(caller) : undefined
    if (who === undefined) return true
    return fromMemory(request).every(limited => {
      const most = address[limited]
      return most === undefined || this.#deps.counts.add(keyOf('address', limited, who), 0) < most
    })
  }

  /** It is answered from memory: counted until that is over. */
  answersNow(request: IncomingMessage, response: ServerResponse, caller: Caller): void {
    const limits = this.#deps.settings()?.address
    const who = limits !== undefined && hasAny(limits) ? this.#addressOf(caller) : undefined
    if (who === undefined) return
    for (const limited of fromMemory(request))
      if (limits?.[limited] !== undefined)
        this.#count(response, keyOf('address', limited, who), Infinity)
  }

  /** @throws RegistryError TOOMANYREQUESTS */
  admitAddress(exchange: Exchange): void {
    const limits = this.#deps.settings()?.address
    if (limits === undefined || !hasAny(limits)) return
    const who = this.#addressOf(exchange.caller)
    if (who !== undefined) this.#admit(exchange, { of: 'address', who, limits })
  }

  /**
   * To be told when it is known whose the request is; the first time counts.
   * @throws RegistryError TOOMANYREQUESTS
   */
  admitAccount(exchange: Exchange): void {
    const limits = this.#deps.settings()?.account
    if (limits === undefined || !hasAny(limits)) return
    const { login } = exchange.principal
    if (login?.kind !== 'account' || this.#met.has(exchange)) return
    this.#met.add(exchange)
    this.#admit(exchange, { of: 'account', who: login.name, limits })
  }

  #admit(
    exchange: Exchange,
    { of, who, limits }: { of: Of; who: string; limits: LimitsOfOne },
  ): void {
    // Its `close` has been: what is counted now would stay.
    if (exchange.response.destroyed) return
    for (const limited of LIMITED) {
      const most = limits[limited]
      if (most === undefined || !isOne(limited, exchange)) continue
      if (this.#count(exchange.response, keyOf(of, limited, who), most)) continue
      throw this.#refusal(exchange, { of, limited, who, most })
    }
  }

  /** False, and not counted, where `most` are under way. */
  #count(response: ServerResponse, key: string, most: number): boolean {
    const { counts } = this.#deps
    if (counts.add(key, 1) > most) {
      counts.add(key, -1)
      return false
    }
    response.once('close', () => counts.add(key, -1))
    return true
  }

  /**
   * Undefined of whom nobody can tell from others: where a proxy that is listed asks for itself, or
   * does not say for whom.
   */
  #addressOf({ address }: Caller): string | undefined {
    if (address === undefined || address === UNKNOWN) return undefined
    return this.#deps.callers.isTrusted(address) ? undefined : siteOf(address)
  }

  #refusal(
    { caller }: Exchange,
    { of, limited, who, most }: { of: Of; limited: Limited; who: string; most: number },
  ): RegistryError {
    const { metrics, logger } = this.#deps
    const limit = `http.limits.${of}.${limited}`
    metrics.count('clientsLimited', { of, limited })
    const held = this.#due(limit)
    if (held !== undefined) {
      const account = of === 'account' ? { account: who } : {}
      const fields = { limit, most, client: caller.address, ...account, held, hint: HINT }
      logger.warn(fields, 'a client has as much under way as one may')
    }
    return new RegistryError(
      'TOOMANYREQUESTS',
      `this registry takes ${most} ${WORDS[limited]} of one ${of} (${limit}), and so many are under way: try again in a moment`,
      { retryAfterSeconds: RETRY_AFTER_SECONDS },
    )
  }
}

function keyOf(of: Of, limited: Limited, who: string): string {
  return `${of} ${limited} ${who}`
}

const OF_BLOB = ['requests', 'streams'] as const
const OF_OTHERS = ['requests'] as const

/** What a request counts as that memory may answer; it is read no further by then. */
function fromMemory({ method, url = '' }: IncomingMessage): readonly Limited[] {
  return method === 'GET' && url.includes('/blobs/') ? OF_BLOB : OF_OTHERS
}

function hasAny(limits: LimitsOfOne): boolean {
  return LIMITED.some(limited => limits[limited] !== undefined)
}

function isOne(limited: Limited, { request: { method }, record: { endpoint } }: Exchange): boolean {
  if (limited === 'requests') return true
  if (limited === 'streams') return endpoint === 'blob' && method === 'GET'
  return (
    (endpoint === 'uploads' || endpoint === 'upload') && method !== 'GET' && method !== 'DELETE'
  )
}
