// Proxies that are believed, where the list lets in more than is meant or changes nothing.
import { formatNetwork, hasOverlap, type Network } from '../../access/network.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'

const AT: Path = ['http', 'trustedproxies']
/** Fewer bits name more than any site has: a sixteenth of all addresses, or of those given out. */
const FEWEST_BITS = { ipv4: 8, ipv6: 16 } as const

/** Notes warnings: nothing of it keeps an edge from serving. */
export function judgeProxies(judge: Judge, { http, access }: Settings): void {
  const { trustedproxies: trusted, proxyprotocol } = http
  if (trusted.length === 0 && proxyprotocol !== 'none') {
    const message = 'changes nothing: no proxy is listed in http.trustedproxies'
    judge.note(['http', 'proxyprotocol'], { severity: 'warning', message })
  }
  for (const [index, network] of trusted.entries()) {
    const path = [...AT, index]
    if (isWide(network)) {
      const message = `believes whoever it may be: clients in ${formatNetwork(network)} can say that they call from anywhere; list the proxies alone`
      judge.note(path, { severity: 'warning', message })
      continue
    }
    const rule = access.findIndex(
      ({ who }) => who.kind === 'network' && hasMore(network) && hasOverlap(who.network, network),
    )
    if (rule === -1) {
      noteWhole(judge, path, network)
      continue
    }
    const at = judge.indexAsWritten(['access'], rule)
    const message = `has clients in it that access[${at}] is about: each of them can say that it calls from anywhere; list the proxies alone`
    judge.note(path, { severity: 'warning', message })
  }
}

/** What sites give to their machines, clients among them (RFC 1918, RFC 6598). */
const PRIVATE: readonly Network[] = [
  { address: '10.0.0.0', bits: 8 },
  { address: '172.16.0.0', bits: 12 },
  { address: '192.168.0.0', bits: 16 },
  { address: '100.64.0.0', bits: 10 },
]

function noteWhole(judge: Judge, path: Path, network: Network): void {
  if (!PRIVATE.some(each => holds(network, each))) return
  const message = `is a whole private network: whoever calls from ${formatNetwork(network)} can say that it calls from anywhere; list the proxies alone`
  judge.note(path, { severity: 'warning', message })
}

function holds(network: Network, inner: Network): boolean {
  return network.bits <= inner.bits && hasOverlap(network, inner)
}

function isWide({ address, bits }: Network): boolean {
  return bits < FEWEST_BITS[address.includes(':') ? 'ipv6' : 'ipv4']
}

/** More than one address: that of a proxy alone may well be in a network of clients. */
function hasMore({ address, bits }: Network): boolean {
  return bits < (address.includes(':') ? 128 : 32)
}
