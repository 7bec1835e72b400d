// What the headers of a request say of the way that it came by, read as somebody has to who
// believes some proxies and nobody else: from the right, where the nearest one has written, up to
// the first that is none of them. What stands left of it anybody may have written.
import { isHostHeader } from '../host-header.ts'
import { type ForwardedElement, parseForwarded } from './forwarded.ts'
import { readNode, UNKNOWN } from './node-name.ts'

/** What is said of who asks. `host`, `scheme`: undefined where nobody says. */
export interface Forwarding {
  readonly kind: 'said'
  /** In its shortest spelling, or UNKNOWN. */
  readonly address: string
  readonly host: string | undefined
  readonly scheme: Scheme | undefined
}

export type Scheme = 'http' | 'https'

/** `reason`: for whoever asks, why nobody can say. */
export interface Unclear {
  readonly kind: 'unclear'
  readonly reason: string
}

/** Is it one of the proxies that are believed? */
export type IsTrusted = (address: string) => boolean

/** More proxies behind each other than that are a loop: who asks is not known then. */
export const HOPS_MAX = 16

type Said = {
  readonly [Key in keyof Forwarding as Exclude<Key, 'kind'>]: Forwarding[Key] | undefined
}
type Field = 'forwarded' | 'for' | 'proto' | 'host' | 'real'
type Lines = Readonly<Record<Field, readonly string[]>>

const FIELDS: ReadonlyMap<string, Field> = new Map([
  ['forwarded', 'forwarded'],
  ['x-forwarded-for', 'for'],
  ['x-forwarded-proto', 'proto'],
  ['x-forwarded-host', 'host'],
  ['x-real-ip', 'real'],
])
const LENGTHS: ReadonlySet<number> = new Set([...FIELDS.keys()].map(({ length }) => length))

/** Undefined: nothing is said. */
export function readForwarding(
  rawHeaders: readonly string[],
  isTrusted: IsTrusted,
): Forwarding | Unclear | undefined {
  const lines = linesOf(rawHeaders)
  if (lines === undefined) return undefined
  const one = saidByForwarded(lines.forwarded, isTrusted)
  if ('kind' in one) return one
  const other = saidByMarks(lines, isTrusted)
  if ('kind' in other) return other
  return agreed(one, other)
}

/** Does anything say that somebody passed it on, and for whom? */
export function saysForWhom(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = fieldOf(rawHeaders[at] ?? '')
    if (field === 'forwarded' || field === 'for' || field === 'real') return true
  }
  return false
}

function fieldOf(name: string): Field | undefined {
  return LENGTHS.has(name.length) ? FIELDS.get(name.toLowerCase()) : undefined
}

function linesOf(rawHeaders: readonly string[]): Lines | undefined {
  let lines: Record<Field, string[]> | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = fieldOf(rawHeaders[at] ?? '')
    if (field === undefined) continue
    lines ??= { forwarded: [], for: [], proto: [], host: [], real: [] }
    lines[field].push(rawHeaders[at + 1] ?? '')
  }
  return lines
}

/**
 * Proxies write one kind and hand on the other as a client wrote it: where there are both, neither
 * may say anything else than the other.
 */
function agreed(one: Said, other: Said): Forwarding | Unclear {
  for (const key of ['address', 'scheme', 'host'] as const) {
    const [a, b] = [one[key], other[key]]
    if (a !== undefined && b !== undefined && a.toLowerCase() !== b.toLowerCase())
      return unclear('Forwarded and X-Forwarded-* of this request contradict each other')
  }
  return {
    kind: 'said',
    // Somebody was asked by somebody, and does not say by whom.
    address: one.address ?? other.address ?? UNKNOWN,
    scheme: one.scheme ?? other.scheme,
    host: one.host ?? other.host,
  }
}

function saidByForwarded(lines: readonly string[], isTrusted: IsTrusted): Said | Unclear {
  const elements: ForwardedElement[] = []
  for (const line of lines) {
    const parsed = parseForwarded(line)
    if (parsed === undefined)
      return unclear('the Forwarded header of this request is malformed or too long')
    elements.push(...parsed)
  }
  const fromRight = elements.toReversed()
  const nodes = fromRight.map(element => element.for ?? UNKNOWN)
  const client = findClient(nodes, isTrusted)
  const element = client && fromRight[client.at]
  return readSaid(client?.address, element?.proto, element?.host)
}

/** Those that begin with X-, which have no standard but what everybody does. */
function saidByMarks(lines: Lines, isTrusted: IsTrusted): Said | Unclear {
  const client = findClient(itemsFromRight(lines.for), isTrusted)
  const real = addressOf(lines.real)
  if (client !== undefined && real !== undefined && real !== client.address) {
    // Or it is one of the proxies on the way. Another one means that proxies write X-Real-IP alone,
    // and that X-Forwarded-For is a client's.
    const onTheWay = itemsFromRight(lines.for).take(client.at).map(readNode)
    if (!onTheWay.some(address => address === real))
      return unclear('X-Forwarded-For and X-Real-IP of this request contradict each other')
  }
  const at = client?.at ?? 0
  return readSaid(client?.address ?? real, itemAt(lines.proto, at), itemAt(lines.host, at))
}

function addressOf(lines: readonly string[]): string | undefined {
  const text = lines.join(',').trim()
  return text === '' ? undefined : readNode(text)
}

function readSaid(
  address: string | undefined,
  proto: string | undefined,
  host: string | undefined,
): Said | Unclear {
  const scheme = proto?.toLowerCase()
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https')
    return unclear('a proxy says by which scheme it was asked, and that is neither http nor https')
  if (host !== undefined && !isHostHeader(host))
    return unclear('a proxy says by which host it was asked, and that is no host name')
  return { address, scheme, host }
}

function unclear(reason: string): Unclear {
  return { kind: 'unclear', reason }
}

/**
 * The first that is no proxy of those believed, and where it stands; the last where all are. From
 * the nearest on.
 */
function findClient(
  nodes: Iterable<string>,
  isTrusted: IsTrusted,
): { readonly address: string; readonly at: number } | undefined {
  let found: { readonly address: string; readonly at: number } | undefined
  let at = 0
  for (const node of nodes) {
    if (at === HOPS_MAX) return { address: UNKNOWN, at: HOPS_MAX - 1 }
    const address = readNode(node)
    found = { address, at }
    if (address === UNKNOWN || !isTrusted(address)) return found
    at += 1
  }
  return found
}

/** Of lists over several lines; empty ones are none (RFC 9110, 5.6.1). */
function* itemsFromRight(lines: readonly string[]): Generator<string> {
  for (const line of lines.toReversed()) {
    for (let end = line.length; end >= 0; ) {
      const comma = end === 0 ? -1 : line.lastIndexOf(',', end - 1)
      const item = line.slice(comma + 1, end).trim()
      if (item !== '') yield item
      end = comma
    }
  }
}

/** Some proxies replace the whole: where there are fewer than proxies the first one is meant. */
function itemAt(lines: readonly string[], at: number): string | undefined {
  let found: string | undefined
  let passed = 0
  for (const item of itemsFromRight(lines)) {
    found = item
    if (passed === at) return found
    passed += 1
  }
  return found
}
