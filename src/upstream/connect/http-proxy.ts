// Does a request go through the HTTP proxy? The grammar of NO_PROXY as curl and Go read it (R152).
// A proxy resolves names itself, so behind one only literal addresses and lists of names can be
// checked.
import ipaddr from 'ipaddr.js'
import { hostAndPort, nonPublicRange, unbracketed } from './address-policy.ts'

export interface ProxyOptions {
  /** `http://[user:password@]host:port`; undefined or empty means none. */
  readonly url?: string
  /**
   * Names (with their sub-domains), `.sub-domains`, `host:port`, addresses, CIDR blocks, `*`;
   * commas or spaces between.
   */
  readonly noProxy?: string
}

/**
 * The proxy for `url`, or undefined for a direct connection. Loopback is always direct, as with
 * Go's clients.
 */
export function proxyFor(url: URL, options: ProxyOptions | undefined): string | undefined {
  if (options?.url === undefined || options.url === '') return undefined
  const hostname = unbracketed(url.hostname)
  if (hostname === 'localhost' || nonPublicRange(hostname) === 'a loopback address')
    return undefined
  const rules = (options.noProxy ?? '').split(/[\s,]+/).filter(rule => rule !== '')
  return rules.some(rule => excepts(rule.toLowerCase(), url)) ? undefined : options.url
}

function excepts(rule: string, url: URL): boolean {
  const hostname = unbracketed(url.hostname)
  if (rule === '*' || rule === hostname || rule === hostAndPort(url)) return true
  if (ipaddr.isValid(hostname)) return ipaddr.isValidCIDR(rule) && inBlock(hostname, rule)
  const port = /:([0-9]+)$/.exec(rule)
  if (port !== null && !hostAndPort(url).endsWith(port[0])) return false
  const name = rule.slice(0, port?.index).replace(/^\*?\./, '')
  return hostname.endsWith(`.${name}`) || (!rule.startsWith('.') && hostname === name)
}

function inBlock(address: string, block: string): boolean {
  const parsed = ipaddr.process(address)
  const [network, bits] = ipaddr.parseCIDR(block)
  return parsed.kind() === network.kind() && parsed.match(network, bits)
}
