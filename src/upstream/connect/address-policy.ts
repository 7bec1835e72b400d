// Which addresses may be connected to (R188). What a registry's responses name — realms, redirects,
// next pages — must not lead into the network that this edge stands in, unless the operator named
// that host.
import ipaddr from 'ipaddr.js'
import { UpstreamError } from '../../registry/ports/upstream.ts'

/**
 * How far a host is trusted. `endpoint`: configured as url or mirror, any address, gets the client
 * certificate. `listed`: named under realms, any address. `untrusted`: named by somebody else's
 * answer, public addresses only.
 */
export type HostTrust = 'endpoint' | 'listed' | 'untrusted'

export interface AddressPolicy {
  trustOf(url: URL): HostTrust
  /**
   * What can be said before any look-up: addresses written as such, in whatever form, and names
   * that never are public.
   * @throws UpstreamError refused
   */
  checkHost(url: URL): void
  /**
   * All addresses that an untrusted host resolved to, as one: a single private one spoils the name.
   * @throws UpstreamError refused
   */
  checkAddresses(hostname: string, addresses: readonly string[]): void
}

/** As the operator sets it. */
export interface HostSettings {
  /**
   * Hosts, with or without a port, that may see credentials as token servers, and may have private
   * addresses.
   */
  readonly realms: readonly string[]
  /**
   * Redirects and realms may lead to private addresses of any host. Never needed for the endpoints
   * themselves.
   */
  readonly privateAddresses: boolean
}

export interface AddressPolicyOptions extends HostSettings {
  readonly endpoints: readonly URL[]
  /** What to do where such a host is the right one. Default: for an upstream. */
  readonly hintFor?: (hostname: string) => string
}

function listIt(hostname: string): string {
  return `if ${hostname} is right, list it under realms of this upstream`
}

/**
 * Names that are private by convention, for the case that a proxy resolves them where we cannot
 * look.
 */
const PRIVATE_NAME =
  /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa|metadata)\.?$/

export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  const endpoints = new Set(options.endpoints.map(hostAndPort))
  const listed = new Set(options.realms.map(host => host.toLowerCase()))
  const { hintFor = listIt } = options

  function trustOf(url: URL): HostTrust {
    if (endpoints.has(hostAndPort(url))) return 'endpoint'
    const isListed =
      listed.has(url.host) || listed.has(url.hostname) || listed.has(hostAndPort(url))
    return isListed ? 'listed' : 'untrusted'
  }

  function checkAddresses(hostname: string, addresses: readonly string[]): void {
    if (options.privateAddresses) return
    const hidden = addresses
      .map(address => nonPublicRange(address))
      .find(range => range !== undefined)
    if (hidden !== undefined) throw refused(hostname, hidden)
    if (addresses.length === 0) throw new UpstreamError('unavailable', `${hostname} has no address`)
  }

  function checkHost(url: URL): void {
    if (options.privateAddresses || trustOf(url) !== 'untrusted') return
    const hostname = unbracketed(url.hostname)
    if (ipaddr.isValid(hostname)) checkAddresses(hostname, [hostname])
    else if (PRIVATE_NAME.test(hostname) || !hostname.includes('.')) {
      throw refused(hostname, 'a local name')
    }
  }

  function refused(hostname: string, what: string): UpstreamError {
    const message = `${hostname} leads to ${what}, which this edge does not connect to`
    return new UpstreamError('refused', message, { hint: hintFor(hostname) })
  }

  return { trustOf, checkHost, checkAddresses }
}

/**
 * What makes an address one that the public internet does not route, or undefined for a public one.
 * Addresses that carry another inside (mapped, 6to4, NAT64) are judged by it; every range that is
 * not plain unicast is refused.
 */
export function nonPublicRange(address: string): string | undefined {
  if (!ipaddr.isValid(address)) return 'no address'
  const parsed = ipaddr.process(address)
  const embedded = parsed instanceof ipaddr.IPv6 ? embeddedIPv4(parsed) : undefined
  if (embedded !== undefined) return nonPublicRange(embedded)
  const range = parsed.range()
  if (range !== 'unicast') return `a ${range} address`
  // ::/96, the IPv4-compatible form, is plain unicast to ipaddr.js.
  if (parsed instanceof ipaddr.IPv6 && parsed.parts.slice(0, 6).every(part => part === 0)) {
    return 'an IPv4-compatible address'
  }
  // Azure's platform address, inside a public block.
  return parsed.toString() === '168.63.129.16' ? 'a cloud metadata address' : undefined
}

function embeddedIPv4(address: ipaddr.IPv6): string | undefined {
  const bytes = address.toByteArray()
  switch (address.range()) {
    case '6to4':
      return bytes.slice(2, 6).join('.')
    case 'rfc6052':
    case 'rfc6145':
      // 64:ff9b:1::/48 has its own layouts; it is for use inside a network only, so it is refused
      // as a range.
      return address.parts[2] === 1 ? undefined : bytes.slice(12).join('.')
    default:
      return undefined
  }
}

/** The port is always written out. */
export function hostAndPort(url: URL): string {
  return `${url.hostname}:${url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port}`
}

/** `URL` keeps the brackets of an IPv6 address; nothing else wants them. */
export function unbracketed(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
