// Opens the connection of one request to an address that was checked before (R188). Name and
// address cannot come apart: the addresses that were checked are the ones that are connected to, so
// a name that changes its mind in between gains nothing.
import { lookup as systemLookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { buildConnector } from 'undici'
import { type AddressPolicy, type HostTrust, unbracketed } from './address-policy.ts'

export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/**
 * All addresses of a name, in the order in which they are to be tried. Rejects as `dns.lookup`
 * does.
 */
export type LookupAll = (hostname: string) => Promise<readonly Address[]>

export const lookupAll: LookupAll = async hostname => {
  const addresses = await systemLookup(hostname, { all: true })
  return addresses.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

/** The head start of one address before the next is tried at the same time (RFC 8305; R153). */
const NEXT_ADDRESS_MS = 250
/**
 * Resumed TLS sessions, for each trust class; one is enough for each host that an upstream leads
 * to.
 */
const TLS_SESSIONS = 32

/** As the operator sets it. */
export interface TlsSettings {
  /** Trusted besides the system's authorities. */
  readonly caPem?: string | undefined
  /** Shown to the upstream's own endpoints only. */
  readonly client?: { readonly certificatePem: string; readonly keyPem: string } | undefined
}

export interface ConnectorOptions {
  readonly policy: AddressPolicy
  readonly trust: HostTrust
  readonly tls: TlsSettings
  readonly lookup: LookupAll
  readonly connectMs: number
}

/**
 * Speaks HTTP/1.1 only: one connection for each blob, so that one slow download cannot hold up the
 * others.
 */
export function createConnector(options: ConnectorOptions): buildConnector.connector {
  const { policy, trust } = options
  const connect = buildConnector({
    ...tlsOptions(options.tls, trust),
    allowH2: false,
    maxCachedSessions: TLS_SESSIONS,
    timeout: options.connectMs,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    lookup: checkedLookup(options),
  } as buildConnector.BuildOptions)
  return (target, callback) => {
    try {
      const url = new URL(`${target.protocol}//${target.host ?? target.hostname}`)
      if (trust === 'untrusted') policy.checkHost(url)
    } catch (error) {
      callback(error as Error, null)
      return
    }
    connect({ ...target, hostname: unbracketed(target.hostname) }, callback)
  }
}

/** What `tls.connect` needs for this class of hosts; also used towards targets behind a proxy. */
export function tlsOptions(tls: TlsSettings, trust: HostTrust): Record<string, unknown> {
  return {
    minVersion: 'TLSv1.2',
    ...(tls.caPem === undefined ? {} : { ca: [...getCACertificates('default'), tls.caPem] }),
    ...(tls.client === undefined || trust !== 'endpoint'
      ? {}
      : { cert: tls.client.certificatePem, key: tls.client.keyPem }),
  }
}

function checkedLookup({ policy, trust, lookup }: ConnectorOptions): LookupFunction {
  return (hostname, request, callback) => {
    lookup(hostname)
      .then(addresses => {
        if (trust === 'untrusted') {
          policy.checkAddresses(
            hostname,
            addresses.map(({ address }) => address),
          )
        }
        return addresses
      })
      .then(
        addresses => {
          const [first] = addresses
          if (request.all === true) callback(null, [...addresses])
          else callback(null, first?.address ?? '', first?.family)
        },
        (error: unknown) => callback(error as NodeJS.ErrnoException, []),
      )
  }
}
