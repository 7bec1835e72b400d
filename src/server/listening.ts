// Why an address of the configuration cannot be listened on, in words that name its key, and which
// port it came to be. Who listens is compose.ts's.
import { createServer, type Server } from 'node:net'
import { formatAddress, type ListenAddress } from '../config/addresses.ts'

/** Below it, listening is a privilege on most systems. */
const FIRST_FREE_PORT = 1024

export interface Listening {
  /** `http.addr`, `admin.addr`, `admin.socket` */
  readonly key: string
  /** As it is written in the configuration. */
  readonly address: string
  /** Undefined for a path. */
  readonly port?: number
}

/**
 * @throws Error with `hint` for a fault of the machine that the operator can mend; what has a hint
 * already, as it is
 */
export async function listening<T>(wanted: Listening, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen()
  } catch (error) {
    throw explained(wanted, error)
  }
}

/** On a port. @throws as listening */
export function listeningAt<T>(
  key: string,
  addr: ListenAddress,
  listen: () => Promise<T>,
): Promise<T> {
  return listening({ key, address: formatAddress(addr), port: addr.port }, listen)
}

function explained({ key, address, port }: Listening, error: unknown): unknown {
  if (!(error instanceof Error) || 'hint' in error || !('code' in error)) return error
  const code = String(error.code)
  const { reason, hint } = causeOf({ key, port, code }) ?? {
    reason: error.message,
    hint: `set ${key} to another address`,
  }
  return Object.assign(
    new Error(`cannot listen on ${key} ${address}: ${reason} (${code})`, { cause: error }),
    { hint },
  )
}

interface Fault {
  readonly key: string
  readonly port: number | undefined
  readonly code: string
}

function causeOf({ key, port, code }: Fault): { reason: string; hint: string } | undefined {
  const ofThisMachine = `set ${key} to an address of this machine, or to :PORT for all of them`
  switch (code) {
    case 'EADDRINUSE':
      return {
        reason: 'another process listens there',
        hint: `stop that one, or set ${key} to another port`,
      }
    case 'EADDRNOTAVAIL':
      return { reason: 'this machine has no such address', hint: ofThisMachine }
    case 'EAFNOSUPPORT':
      return {
        reason: 'this machine has no IPv6',
        hint: `write an IPv4 address into ${key}: 0.0.0.0:PORT for all of them`,
      }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { reason: 'this name leads to no address', hint: ofThisMachine }
    case 'EACCES':
    case 'EPERM':
      return { reason: 'this user may not', hint: permission(key, port) }
    default:
      return undefined
  }
}

function permission(key: string, port: number | undefined): string {
  if (port === undefined) return `let ${key} be in a directory that the server's user may write to`
  return port < FIRST_FREE_PORT
    ? `set ${key} to a port from ${FIRST_FREE_PORT} on, or give the service the capability CAP_NET_BIND_SERVICE`
    : `set ${key} to another port`
}

/** Nobody else listens there, or would on port 0. @throws EADDRINUSE and its like */
export async function mustBeFree(host: string, port: number): Promise<void> {
  if (port === 0) return
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

/** Undefined of one that does not listen on a port. */
export function portOf(server: Pick<Server, 'address'>): number | undefined {
  const address = server.address()
  return typeof address === 'string' ? undefined : address?.port
}
