// What leads to this machine and nowhere else: loopback addresses, and the names that mean them.
import ipaddr from 'ipaddr.js'

const HOST = /^(?<name>\[[0-9a-f:.]+\]|[^:[\]]+)(?::[0-9]{1,5})?$/i
const LOCALHOST = /^(?:[a-z0-9_-]+\.)*localhost$/i
/** All four numbers: `127.1` means the same to a resolver, and other things to other parsers. */
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** Those looked at last: every request of a connection has the same one. */
const LOOKED_AT_MAX = 1_024
const lookedAt = new Map<string, boolean>()

export function isLoopback(address: string): boolean {
  const known = lookedAt.get(address)
  if (known !== undefined) return known
  if (lookedAt.size >= LOOKED_AT_MAX) lookedAt.clear()
  // IPv4 in the clothes of IPv6, as a listener for both has it, is taken for what it is.
  const found = ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback'
  lookedAt.set(address, found)
  return found
}

/** `localhost` and names under it, loopback addresses; with or without a port. */
export function isLoopbackName(host: string): boolean {
  const name = HOST.exec(host)?.groups?.['name'] ?? ''
  if (name.startsWith('[')) return isLoopback(name.slice(1, -1))
  return LOCALHOST.test(name) || (IPV4.test(name) && isLoopback(name))
}
