// Networks as rules name them: an address and how many of its bits count, in one spelling each, so
// that they can be compared and sent to other threads.
import ipaddr from 'ipaddr.js'

export interface Network {
  /** The first one in it, in its shortest spelling. */
  readonly address: string
  /** Those that count, from the left. */
  readonly bits: number
}

/** `inside`: an address that is not the first of `network`, and lies in it. */
export type NetworkRead =
  | { readonly kind: 'network' | 'inside'; readonly network: Network }
  | { readonly kind: 'none' }

type Address = ipaddr.IPv4 | ipaddr.IPv6

const CIDR = /^(?<address>[0-9a-f.:]+)(?:\/(?<bits>\d{1,3}))?$/i
const BYTE_BITS = 8
/** Those in front of an IPv4 address in the clothes of IPv6. */
const MAPPED_BITS = 96

/** `10.0.0.0/8`, `2001:db8::/32`; an address alone is a network of one. */
export function readNetwork(text: string): NetworkRead {
  const { address: written = '', bits: count } = CIDR.exec(text)?.groups ?? {}
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(written) || ipaddr.IPv6.isValid(written)
  if (!isAddress) return { kind: 'none' }
  const spelled = ipaddr.parse(written)
  const all = spelled.toByteArray().length * BYTE_BITS
  const said = count === undefined ? all : Number(count)
  if (said > all) return { kind: 'none' }
  // Peers are taken for what they are, too.
  const isMapped =
    spelled instanceof ipaddr.IPv6 && spelled.isIPv4MappedAddress() && said >= MAPPED_BITS
  const address = isMapped ? spelled.toIPv4Address() : spelled
  const bits = isMapped ? said - MAPPED_BITS : said
  const first = firstOf(address, bits)
  const kind = first.toString() === address.toString() ? 'network' : 'inside'
  return { kind, network: { address: first.toString(), bits } }
}

function firstOf(address: Address, bits: number): Address {
  const bytes = address.toByteArray().map((byte, at) => {
    const counted = Math.min(Math.max(bits - at * BYTE_BITS, 0), BYTE_BITS)
    return byte & (0xff << (BYTE_BITS - counted))
  })
  return ipaddr.fromByteArray(bytes)
}

/** The inverse of reading it. */
export function formatNetwork({ address, bits }: Network): string {
  return `${address}/${bits}`
}

/**
 * Which addresses are in it, as sockets have them: IPv4 in the clothes of IPv6 is taken for what it
 * is.
 */
export function createIsIn(network: Network): (address: string) => boolean {
  const first = ipaddr.parse(network.address)
  return text => {
    const address = readPeer(text)
    return address?.kind() === first.kind() && address.match(first, network.bits)
  }
}

/** As sockets have it. Which link it is on, behind a %, is no part of it. */
export function readPeer(text: string): Address | undefined {
  const plain = text.replace(/%.*$/, '')
  return ipaddr.isValid(plain) ? ipaddr.process(plain) : undefined
}

const MAPPED = '::ffff:'

/**
 * IPv4 in the clothes of IPv6, which a socket for both has, as what it is; all else as it was. For
 * each request, so it looks at the text alone.
 */
export function plainPeer<Text extends string | undefined>(text: Text): Text
export function plainPeer(text: string | undefined): string | undefined {
  return text?.startsWith(MAPPED) && text.includes('.') ? text.slice(MAPPED.length) : text
}

/**
 * As people and proxies write one, in its shortest spelling; IPv4 in the clothes of IPv6 is taken
 * for what it is. Undefined: it is none.
 */
export function readAddress(text: string): string | undefined {
  const plain = text.replace(/%.*$/, '')
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(plain) || ipaddr.IPv6.isValid(plain)
  return isAddress ? ipaddr.process(plain).toString() : undefined
}

/** What one site is given of IPv6 at least, and one machine may choose from. */
const SITE_BITS = 64

/**
 * Whose an address is, where numbers of clients count: itself, and of IPv6 the network around it.
 * What is no address is one more.
 */
export function siteOf(address: string | undefined): string {
  const peer = readPeer(address ?? '')
  if (peer === undefined) return 'unknown'
  const bits = peer.kind() === 'ipv6' ? SITE_BITS : peer.toByteArray().length * BYTE_BITS
  return firstOf(peer, bits).toString()
}

/** Is all of `narrow` in `wide`? */
export function isWithin(narrow: Network, wide: Network): boolean {
  return wide.bits <= narrow.bits && createIsIn(wide)(narrow.address)
}

/** Is any address in both? */
export function hasOverlap(one: Network, other: Network): boolean {
  return isWithin(one, other) || isWithin(other, one)
}

const LOOPBACK: readonly Network[] = [
  { address: '127.0.0.0', bits: 8 },
  { address: '::1', bits: 128 },
]

/** Is any address of this machine for itself in it? */
export function hasLoopback(network: Network): boolean {
  return LOOPBACK.some(each => hasOverlap(each, network))
}
