// Whom the program at the other end of a connection belongs to, when that program is on this
// machine: as Linux lists its sockets (/proc/net/tcp and tcp6; proc_pid_net(5)). Read only when
// somebody has to know, once for each connection, and once for all who wait. A program in another
// network namespace, such as a container's, is not in this list.
import { open } from 'node:fs/promises'
import { endianness } from 'node:os'
import ipaddr from 'ipaddr.js'
import type { Owner } from '../access/access.ts'

/**
 * The four that tell a connection from all others, as node's sockets have them; undefined when it
 * is gone.
 */
export interface Connection {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

export interface ConnectionOwners {
  /** As it was found for this connection before. */
  known(connection: Connection): Owner | undefined
  /** Never rejects. What could not be found is looked for again when it is asked for again. */
  find(connection: Connection): Promise<Owner>
}

/**
 * Programs of this machine that hold more connections than fit in here leave no room for a push.
 */
const TABLE_MAX_BYTES = 32 * 1024 * 1024
const PIECE_BYTES = 64 * 1024
/** A line that moves while the list is read may be missed. */
const LOOKS = 2

/** By this way they are there under ProcSubset=pid of systemd, too. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const

const GONE: Owner = { kind: 'unknown', reason: 'the connection is gone' }
const NOT_LISTED: Owner = {
  kind: 'unknown',
  reason: 'it is not in /proc/net/tcp, as programs in other network namespaces are not',
}

interface Waiting {
  readonly wanted: Wanted
  readonly found: (owner: Owner) => void
}

/** @param tables those of another system, for tests */
export function createConnectionOwners(tables: readonly string[] = TABLES): ConnectionOwners {
  const known = new WeakMap<Connection, Owner>()
  let waiting: Waiting[] = []
  let isReading = false

  async function readForAll(): Promise<void> {
    if (isReading) return
    isReading = true
    while (waiting.length > 0) {
      // Who asks from here on may have connected after this reading began.
      const askers = waiting
      waiting = []
      const owners = await lookUp(
        tables,
        askers.map(({ wanted }) => wanted),
      )
      for (const { wanted, found } of askers) found(owners.get(wanted) ?? NOT_LISTED)
    }
    isReading = false
  }

  return {
    known: connection => known.get(connection),
    async find(connection) {
      const before = known.get(connection)
      if (before !== undefined) return before
      const wanted = wantedOf(connection)
      if (wanted === undefined) return GONE
      const owner = await new Promise<Owner>(resolve => {
        waiting.push({ wanted, found: resolve })
        void readForAll()
      })
      if (owner.kind === 'user') known.set(connection, owner)
      return owner
    },
  }
}

/** The other program's own end of this connection. */
function wantedOf(connection: Connection): Wanted | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = connection
  if (localAddress === undefined || localPort === undefined) return undefined
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return {
    own: { address: remoteAddress, port: remotePort },
    other: { address: localAddress, port: localPort },
  }
}

async function lookUp(
  tables: readonly string[],
  wanted: readonly Wanted[],
): Promise<Map<Wanted, Owner>> {
  const owners = new Map<Wanted, Owner>()
  let left = wanted
  for (let look = 0; look < LOOKS && left.length > 0; look += 1) {
    for (const table of tables) {
      const uids = await readTable(table, left)
      if ('kind' in uids) {
        // Where there is no IPv6 there is only the first.
        if (table === tables[0]) return new Map(wanted.map(each => [each, uids]))
        continue
      }
      for (const [each, uid] of uids) owners.set(each, { kind: 'user', uid })
    }
    left = wanted.filter(each => !owners.has(each))
  }
  return owners
}

/** Piece by piece, and no longer than until everybody's line was seen. */
async function readTable(
  path: string,
  wanted: readonly Wanted[],
): Promise<ReadonlyMap<Wanted, number> | Owner> {
  try {
    await using file = await open(path)
    const table = new SocketTable(wanted)
    const piece = Buffer.allocUnsafe(PIECE_BYTES)
    for (let sum = 0; sum < TABLE_MAX_BYTES && !table.isDone; ) {
      const { bytesRead } = await file.read(piece, 0, piece.length)
      if (bytesRead === 0) break
      sum += bytesRead
      table.push(piece.toString('latin1', 0, bytesRead))
    }
    return table.uids
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer'
    return { kind: 'unknown', reason: `${path} cannot be read: ${code}` }
  }
}

interface End {
  /** IPv4, IPv6, or the one in the clothes of the other. */
  readonly address: string
  readonly port: number
}

/** A socket by its two ends, seen from the program that has it. */
interface Wanted {
  readonly own: End
  readonly other: End
}

/**
 * ` 12: 0100007F:953E 0100007F:B3EB 01 00000000:00000000 00:00000000 00000000 1000 0 71593 …`
 */
const LINE =
  /^ *\d+: [0-9A-F]{8,32}:[0-9A-F]{4} [0-9A-F]{8,32}:[0-9A-F]{4} [0-9A-F]{2} \S+ \S+ \S+ +(?<uid>\d+) +\d+ (?<inode>\d+) /

/**
 * The list as Linux writes it, line by line (Documentation/networking/proc_net_tcp.rst): addresses
 * and ports in hexadecimal, and the user that a socket belongs to. Is given the text piece by
 * piece, cut anywhere.
 */
class SocketTable {
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
