// Which connection it is, for what is known of a socket and asked of the one that TLS made of it.
// Says nothing of whose it is: that is proxies/callers.ts's.
import type { Socket } from 'node:net'

/** The same of a connection and of what speaks TLS over it. */
export function endsOf({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`
}
