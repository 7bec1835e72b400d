// The list of TCP sockets as Linux writes it, line by line
// (Documentation/networking/proc_net_tcp.rst): addresses and ports in hexadecimal, and the user
// that a socket belongs to.
import { endianness } from 'node:os'
import ipaddr from 'ipaddr.js'

export interface End {
  /** IPv4, IPv6, or the one in the clothes of the other. */
  readonly address: string
  readonly port: number
}

/** A socket by its two ends, seen from the program that has it. */
export interface Wanted {
  readonly own: End
  readonly other: End
}

/**
 * ` 12: 0100007F:953E 0100007F:B3EB 01 00000000:00000000 00:00000000 00000000 1000 0 71593 …`
 */
const LINE =
  /^ *\d+: [0-9A-F]{8,32}:[0-9A-F]{4} [0-9A-F]{8,32}:[0-9A-F]{4} [0-9A-F]{2} \S+ \S+ \S+ +(?<uid>\d+) +\d+ (?<inode>\d+) /

/** Is given the text piece by piece, cut anywhere. */
export class SocketTable {
  readonly #wanted: ReadonlyMap<string, Wanted>
  readonly #uids = new Map<Wanted, number>()
  #rest = ''

  constructor(wanted: readonly Wanted[]) {
    this.#wanted = new Map(wanted.flatMap(each => spellings(each).map(text => [text, each])))
  }

  /** Of those that were seen so far. */
  get uids(): ReadonlyMap<Wanted, number> {
    return this.#uids
  }

  get isDone(): boolean {
    return this.#uids.size === new Set(this.#wanted.values()).size
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#read(line)
  }

  /**
   * Most kernels list a socket that no program has any more as root's, without an inode: it says
   * nothing of who had it.
   */
  #read(line: string): void {
    const at = line.indexOf(': ') + 2
    const wanted = this.#wanted.get(line.slice(at, line.indexOf(' ', line.indexOf(' ', at) + 1)))
    // Most lines are nobody's who asks.
    if (wanted === undefined) return
    const { uid, inode } = LINE.exec(line)?.groups ?? {}
    if (uid !== undefined && inode !== '0') this.#uids.set(wanted, Number(uid))
  }
}

/** A program may have made an IPv6 socket for an IPv4 connection. */
function spellings({ own, other }: Wanted): string[] {
  return (['ipv4', 'ipv6'] as const).flatMap(kind => {
    const [from, to] = [spelled(own, kind), spelled(other, kind)]
    return from === undefined || to === undefined ? [] : [`${from} ${to}`]
  })
}

const WORD_BYTES = 4
const IS_LITTLE = endianness() === 'LE'

/** Addresses are written word by word, each as the machine has it in memory; ports as people do. */
function spelled({ address, port }: End, kind: 'ipv4' | 'ipv6'): string | undefined {
  if (!ipaddr.isValid(address)) return undefined
  const plain = ipaddr.process(address)
  if (kind === 'ipv4' && plain.kind() !== 'ipv4') return undefined
  const written =
    kind === 'ipv6' && plain instanceof ipaddr.IPv4 ? plain.toIPv4MappedAddress() : plain
  const bytes = written.toByteArray()
  const words: string[] = []
  for (let at = 0; at < bytes.length; at += WORD_BYTES) {
    const word = bytes.slice(at, at + WORD_BYTES)
    words.push(
      Buffer.from(IS_LITTLE ? word.reverse() : word)
        .toString('hex')
        .toUpperCase(),
    )
  }
  return `${words.join('')}:${port.toString(16).toUpperCase().padStart(4, '0')}`
}
