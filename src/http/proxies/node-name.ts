// Who was at the other end, as proxies write it: an address, bare or in brackets, with a port or
// without; or a word in its place (RFC 7239, 6). Ports say nothing of who it is.
import { readAddress } from '../../access/network.ts'

/** Of who has no address that is told and can be read: no rule about a network is about it. */
export const UNKNOWN = 'unknown'

/** The longest address with the longest port, and a zone. */
const NODE_MAX_LENGTH = 128
const PORT = '(?::(?:\\d{1,5}|_[\\w.-]+))?'
const NODE = new RegExp(`^(?:\\[(?<six>[^\\[\\]]*:[^\\[\\]]*)\\]|(?<four>[\\d.]+))${PORT}$`)

/** Those read last: a client that pulls asks many times. */
const READ_MAX = 1_024
const lastRead = new Map<string, string>()

/** The address in its shortest spelling, IPv4 as such; UNKNOWN of all else. */
export function readNode(text: string): string {
  if (text.length > NODE_MAX_LENGTH) return UNKNOWN
  const known = lastRead.get(text)
  if (known !== undefined) return known
  if (lastRead.size >= READ_MAX) lastRead.clear()
  const found = parseNode(text)
  lastRead.set(text, found)
  return found
}

function parseNode(text: string): string {
  const { six, four } = NODE.exec(text)?.groups ?? {}
  return readAddress(six ?? four ?? text) ?? UNKNOWN
}
