// How much may wait in the kernel for a client of which node writes every byte: a reader that
// stands still costs the kernel's own limit otherwise, four megabytes mostly. What native/sender.c
// sends has limits of its own.
import type { Socket } from 'node:net'
import { ADDON_BUILT, descriptorOf, loadAddon } from '../addon.ts'

/**
 * A share of a sum, within bounds: from a mebibyte on, a wake-up takes as much as is read at once;
 * with less than the least, waking up is most of what sending costs. A thousand connections come to
 * some 260 MiB, because the first ones have more.
 */
const UNSENT_SUM_BYTES = 64 * 1024 * 1024
const UNSENT_MOST_BYTES = 1024 * 1024
const UNSENT_LEAST_BYTES = 128 * 1024

/** For a connection that nothing was written to yet. */
export type LimitUnsent = (connection: Socket) => void

export interface UnsentOptions {
  /** Threads that take connections: each knows its own only. */
  readonly threads: number
  /** Another build of the addon. */
  readonly built?: string
}

/** One per thread. Undefined where the addon is not there. */
export function loadLimitUnsent(options: UnsentOptions): LimitUnsent | undefined {
  const { threads, built = ADDON_BUILT } = options
  const addon = loadAddon(built)
  if (addon?.limit === undefined) return undefined
  let open = 0
  return connection => {
    const descriptor = descriptorOf(connection)
    if (descriptor === undefined) return
    open += 1
    connection.once('close', () => {
      open -= 1
    })
    // A kernel that refuses goes by its own limit.
    addon.limit?.(descriptor, unsentBytes(open * threads))
  }
}

/** For one of so many connections. */
export function unsentBytes(connections: number): number {
  const share = Math.floor(UNSENT_SUM_BYTES / connections)
  return Math.min(Math.max(share, UNSENT_LEAST_BYTES), UNSENT_MOST_BYTES)
}
