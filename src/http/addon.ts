// The native addon, native/sender.c, as one JavaScript environment sees it. Where it was not built
// there is none, which costs speed and nothing else.
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'

/** What native/sender.c exports, where each is described. */
export interface Addon {
  start(done: (id: number, errorNumber: number) => void): void
  open(socket: number, file: number): number
  send(id: number, position: number, lengthBytes: number): void
  sent(id: number): number
  close(id: number): void
  /** Absent from a build of an older source, where that could not be compiled again. */
  readonly limit?: (socket: number, bytes: number) => number
  readonly read?: (file: number, buffer: Buffer, position: number) => number
}

/** Two levels up from src/http and from dist/parts alike. */
export const ADDON_BUILT = '../../native/sender.node'
/** The same, for a thread that loads it by itself. */
export const ADDON_FILE = fileURLToPath(new URL(ADDON_BUILT, import.meta.url))

/** Undefined where it was not built or cannot be loaded. `built`: another build of it. */
export function loadAddon(built = ADDON_BUILT): Addon | undefined {
  try {
    return createRequire(import.meta.url)(built) as Addon
  } catch {
    return undefined
  }
}

/**
 * Node tells the descriptor of a socket by no name of its own. A socket over TLS, or of a test
 * without a network, has none.
 */
export function descriptorOf(socket: Socket): number | undefined {
  if (socket.destroyed || 'encrypted' in socket) return undefined
  const handle = (socket as { _handle?: { fd?: unknown } | null })._handle
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}

/**
 * Reads of files that the system has in memory, without a trip through the thread pool: where node
 * writes every byte itself, that trip costs a tenth of the whole, and the bytes have left this
 * processor's cache when they come. Undefined where the addon is not there; `built`: another build.
 */
export function loadReadCached(built = ADDON_BUILT): ReadCached | undefined {
  const read = loadAddon(built)?.read
  if (read === undefined) return undefined
  // Whatever it failed with: the read that is done instead meets it, too, and knows how to tell it.
  return (descriptor, buffer, position) => Math.max(0, read(descriptor, buffer, position))
}
