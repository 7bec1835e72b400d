// Is this a program on this machine? A loopback address alone says little: behind a reverse proxy everybody has one, and a web page
// can aim a browser at it, also under a name of its own (DNS rebinding). So four signs must agree, and a refusal names the one
// that did not.
import ipaddr from 'ipaddr.js'
import type { Principal } from './access.ts'

const HOST = /^(?<name>\[[0-9a-f:.]+\]|[^:[\]]+)(?::[0-9]{1,5})?$/i
const LOCALHOST = /^(?:[a-z0-9_-]+\.)*localhost$/i
/** All four numbers: `127.1` means the same to a resolver, and other things to other parsers. */
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** Undefined when all signs agree; else what spoke against it, and what to do, for the client to read. */
export function whyNoLocalProgram(principal: Principal): string | undefined {
  const { address, host, forwardedBy, fromWebPage } = principal
  if (address === undefined || !isLoopback(address)) {
    return 'this request comes from another address; run the client on that machine, with localhost as the registry'
  }
  if (forwardedBy !== undefined) {
    return `this request was passed on by a proxy (${forwardedBy} says so); call the registry itself, on localhost and its own port`
  }
  if (fromWebPage) {
    return 'this request was made by a web page (Origin or Sec-Fetch-Site say so); use a registry client'
  }
  if (host === undefined || !isLoopbackName(host)) {
    return 'this request calls the registry by a name that is not of this machine alone; use localhost or 127.0.0.1 as the registry'
  }
  return undefined
}

/** Those looked at last: every request of a connection has the same one. */
const LOOKED_AT_MAX = 1_024
const lookedAt = new Map<string, boolean>()

function isLoopback(address: string): boolean {
  const known = lookedAt.get(address)
  if (known !== undefined) return known
  if (lookedAt.size >= LOOKED_AT_MAX) lookedAt.clear()
  // IPv4 in the clothes of IPv6, as a listener for both has it, is taken for what it is.
  const found = ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback'
  lookedAt.set(address, found)
  return found
}

/** `localhost` and names under it, loopback addresses; with or without a port. */
function isLoopbackName(host: string): boolean {
  const name = HOST.exec(host)?.groups?.['name'] ?? ''
  if (name.startsWith('[')) return isLoopback(name.slice(1, -1))
  return LOCALHOST.test(name) || (IPV4.test(name) && isLoopback(name))
}
