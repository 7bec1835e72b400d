// Small documents from hosts that the operator named, and from where those lead: what an identity
// provider says of itself, and its keys. Nothing is sent that is secret. Connections are made as to
// registries: a host that somebody else's answer names has to be a public one.
import type { Clock } from '../registry/ports/clock.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'
import { LOCALHOST } from '../oci/reference.ts'
import { createAddressPolicy } from './connect/address-policy.ts'
import type { LookupAll, TlsSettings } from './connect/connector.ts'
import { startDeadline } from './connect/deadline.ts'
import { createDispatchers, type PoolSettings, TIME_LIMITS } from './connect/dispatcher.ts'
import { createExchange } from './connect/exchange.ts'
import { redactUrl, redirectTarget } from './connect/redirect.ts'

export interface DocumentsOptions extends TlsSettings, Pick<PoolSettings, 'proxy'> {
  /** That the operator named: they may have any address. */
  readonly named: readonly URL[]
  readonly userAgent: string
  /** What to do where they lead to an address inside, and that is right. */
  readonly hintFor: (hostname: string) => string
  /** What to do where one is given only to who logs in. */
  readonly shutHint: string
}

export interface DocumentsDeps {
  readonly clock: Clock
  readonly lookup: LookupAll
}

/** Keys of an issuer are some KiB each. */
const DOCUMENT_MAX_BYTES = 256 * 1024
/** For one document, redirects included: somebody waits with a login. */
export const DOCUMENT_LIMIT_MS = 8_000
const REDIRECTS_MAX = 3
/** One document at a time, and another one that leads there. */
const CONNECTIONS = 2
/** Kubernetes gives its keys as the second alone (RFC 7517): who takes the first gets a 406. */
const ACCEPT = 'application/json, application/jwk-set+json'
const SHUT: ReadonlySet<number> = new Set([401, 403])
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** One answer's text. Connects to nothing before it is asked. @throws UpstreamError */
export type ReadDocument = (url: URL) => Promise<string>

export function openDocuments(
  { named, userAgent, hintFor, shutHint, proxy, ...tls }: DocumentsOptions,
  { clock, lookup }: DocumentsDeps,
): { readonly read: ReadDocument; close(): Promise<void> } {
  const trust = { endpoints: named, realms: [], privateAddresses: false, hintFor }
  const policy = createAddressPolicy(trust)
  const limits = TIME_LIMITS
  const pool = { connections: CONNECTIONS, proxy }
  const dispatchers = createDispatchers({ ...pool, policy, tls, limits, lookup })
  const exchange = createExchange({
    // It is no registry, and counted elsewhere.
    registry: LOCALHOST,
    dispatchers,
    clock,
    note: () => {},
    userAgent,
    bodyIdleMs: DOCUMENT_LIMIT_MS,
    onHead: () => {},
  })

  async function read(from: URL): Promise<string> {
    const deadline = startDeadline(clock, DOCUMENT_LIMIT_MS)
    try {
      let url = from
      for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
        checkScheme(url)
        const { signal } = deadline
        const headers = { accept: ACCEPT }
        const request = { call: 'token', lane: 'api', method: 'GET', url, headers, signal } as const
        const response = await exchange(request)
        const { status } = response
        const target = redirectTarget(response)
        if (target === undefined && status === 200)
          return Buffer.from(await response.body.readAll(DOCUMENT_MAX_BYTES)).toString()
        await response.body.drain()
        if (target === undefined)
          throw new UpstreamError('invalid', `${redactUrl(url)} answered ${status}`, {
            ...(SHUT.has(status) && { hint: shutHint }),
          })
        url = target
      }
      throw new UpstreamError('invalid', `${redactUrl(from)} redirects without an end`)
    } finally {
      deadline.end()
    }
  }

  return { read, close: () => dispatchers.close() }
}

/** @throws UpstreamError refused */
function checkScheme(url: URL): void {
  if (url.protocol === 'https:') return
  if (url.protocol === 'http:' && LOOPBACK.test(url.hostname)) return
  throw new UpstreamError('refused', `${redactUrl(url)} is neither https nor on this machine`)
}
