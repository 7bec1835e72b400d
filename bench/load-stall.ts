// Readers that ask for something large, take its beginning, and read no more: laptops that were
// closed, links that broke. Part of the load process, so that they stay while another call
// measures.
import { type Connection, connect, type Target } from './load-connection.ts'

export type HoldCall =
  | { readonly call: 'hold'; readonly target: Target; readonly clients: number }
  | { readonly call: 'release' }

export interface Held {
  /** Readers that have the beginning of their answer. */
  readonly begun: number
  /** Readers that were refused, or whose connection ended. */
  readonly refused: number
}

/** As many addresses as a few buildings have machines: a server may give each client its share. */
const ADDRESSES = 100
/** Set off one after the other, so that no listen queue overflows. */
const AT_ONCE = 50
/** A server that has not begun by then makes them wait. */
const BEGIN_MS = 5_000

/** A head and a little of the body. */
const READ_BYTES = 4096

const held = new Set<Connection>()

/**
 * Resolves when all have begun or were refused, or after five seconds. They are held until
 * released.
 */
export async function holdReaders({
  target,
  clients,
}: Extract<HoldCall, { call: 'hold' }>): Promise<Held> {
  let begun = 0
  let refused = 0
  const path = target.paths.at(-1) ?? '/'
  const holdOne = (index: number) =>
    new Promise<void>(resolve => {
      const localAddress = `127.0.1.${1 + (index % ADDRESSES)}`
      const connection = connect({ ...target, localAddress, silenceMs: 0, readBytes: READ_BYTES })
      held.add(connection)
      const late = setTimeout(resolve, BEGIN_MS)
      const settle = () => {
        clearTimeout(late)
        resolve()
      }
      const ended = connection.get(path, () => {
        begun += 1
        settle()
        return false
      })
      void ended.then(() => {
        if (held.has(connection)) refused += 1
        settle()
      })
    })
  for (let first = 0; first < clients; first += AT_ONCE) {
    const batch = Math.min(AT_ONCE, clients - first)
    await Promise.all(Array.from({ length: batch }, (_, index) => holdOne(first + index)))
  }
  return { begun, refused }
}

export function releaseReaders(): void {
  const all = [...held]
  held.clear()
  for (const connection of all) connection.close()
}
