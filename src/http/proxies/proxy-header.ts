// The header that a proxy begins a connection with to say for whom it is: the PROXY protocol,
// versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt). Read strictly, from the first
// bytes of a connection; what comes behind the addresses of version 2 is passed over.
import { readAddress } from '../../access/network.ts'
import { UNKNOWN } from './node-name.ts'

/**
 * `more`: it may become one. `none`: it is no such header. `header`: whose connection it is, and
 * how long it was; `address` undefined: the proxy's own, as when it looks whether the edge is
 * there.
 */
export type ProxyHeader =
  | { readonly kind: 'more' }
  | { readonly kind: 'none' }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'header'; readonly address: string | undefined; readonly lengthBytes: number }

/** The longest line of version 1, with its end. */
const LINE_MAX_BYTES = 107
/** As nginx takes: of a version 2 with the certificate of a client in it. */
export const PROXY_HEADER_MAX_BYTES = 4_096

const BEGINNING = Buffer.from('PROXY ')
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const LINE_END = '\r\n'

/** `bytes`: what has come so far. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsWith(bytes, BEGINNING)) return readLine(bytes)
  if (beginsWith(bytes, SIGNATURE)) return readBinary(bytes)
  return { kind: 'none' }
}

/** As far as both go. */
function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length)
  return bytes.subarray(0, length).equals(beginning.subarray(0, length))
}

const MORE: ProxyHeader = { kind: 'more' }
const LINE =
  /^PROXY (?:(?<kind>TCP[46]) (?<from>[0-9A-Fa-f.:]+) (?<to>[0-9A-Fa-f.:]+) (?<ports>(?:0|[1-9]\d{0,4}) (?:0|[1-9]\d{0,4}))|UNKNOWN(?: .*)?)$/
const PORT_MAX = 65_535

function readLine(bytes: Buffer): ProxyHeader {
  const text = bytes.toString('latin1', 0, LINE_MAX_BYTES)
  const end = text.indexOf(LINE_END)
  if (end === -1)
    return bytes.length < LINE_MAX_BYTES ? MORE : broken('its line does not end where it has to')
  const lengthBytes = end + LINE_END.length
  const groups = LINE.exec(text.slice(0, end))?.groups
  if (groups === undefined) return broken('its line is none of version 1')
  const { kind, from = '', to = '', ports = '' } = groups
  // The proxy does not know, or is of no kind that the protocol has a word for.
  if (kind === undefined) return { kind: 'header', address: UNKNOWN, lengthBytes }
  const isSix = kind === 'TCP6'
  const areGood = [from, to].every(
    each => each.includes(':') === isSix && readAddress(each) !== undefined,
  )
  if (!areGood || ports.split(' ').some(port => Number(port) > PORT_MAX))
    return broken('its line has an address or a port that is none')
  return { kind: 'header', address: readAddress(from) ?? UNKNOWN, lengthBytes }
}

const FIXED_BYTES = 16
const AT_COMMAND = 12
const AT_FAMILY = 13
const AT_LENGTH = 14
const VERSION = 2
const LOCAL = 0
const PROXY = 1

/** What addresses take, by family, and those of the source that are read. */
const FAMILIES: readonly { readonly bytes: number; readonly address: number }[] = [
  { bytes: 0, address: 0 },
  { bytes: 12, address: 4 },
  { bytes: 36, address: 16 },
  // Of a Unix socket, whose path is nobody's address.
  { bytes: 216, address: 0 },
]
/** None, stream and datagram. */
const TRANSPORTS = 3

function readBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < FIXED_BYTES) return MORE
  const command = bytes[AT_COMMAND] ?? 0
  const family = bytes[AT_FAMILY] ?? 0
  const restBytes = bytes.readUInt16BE(AT_LENGTH)
  const lengthBytes = FIXED_BYTES + restBytes
  const known = FAMILIES[family >> 4]
  const isLocal = (command & 0x0f) === LOCAL
  if (command >> 4 !== VERSION || (!isLocal && (command & 0x0f) !== PROXY))
    return broken('it is of no version or command that is known')
  if (lengthBytes > PROXY_HEADER_MAX_BYTES)
    return broken(`it is longer than ${PROXY_HEADER_MAX_BYTES} bytes`)
  if (!isLocal && (known === undefined || (family & 0x0f) >= TRANSPORTS))
    return broken('its addresses are of no kind that is known')
  if (!isLocal && restBytes < (known?.bytes ?? 0))
    return broken('it is too short for its addresses')
  if (bytes.length < lengthBytes) return MORE
  if (isLocal) return { kind: 'header', address: undefined, lengthBytes }
  const end = FIXED_BYTES + (known?.address ?? 0)
  return { kind: 'header', address: addressOf(bytes.subarray(FIXED_BYTES, end)), lengthBytes }
}

const FOUR_BYTES = 4
const WORD_BYTES = 2

function addressOf(bytes: Buffer): string {
  if (bytes.length === FOUR_BYTES) return bytes.join('.')
  const words: string[] = []
  for (let at = 0; at < bytes.length; at += WORD_BYTES)
    words.push(bytes.toString('hex', at, at + WORD_BYTES))
  return readAddress(words.join(':')) ?? UNKNOWN
}

function broken(reason: string): ProxyHeader {
  return { kind: 'broken', reason }
}
