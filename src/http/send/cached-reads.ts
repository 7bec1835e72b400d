// Reads of files that the system has in memory, without a trip through the thread pool: where node
// writes every byte itself, that trip costs a tenth of the whole, and the bytes have left this
// processor's cache when they come.
import type { ReadCached } from '../../registry/fill/buffer-pool.ts'
import { ADDON_BUILT, loadAddon } from '../addon.ts'

/** Undefined where the addon is not there. `built`: another build of it. */
export function loadReadCached(built = ADDON_BUILT): ReadCached | undefined {
  const read = loadAddon(built)?.read
  if (read === undefined) return undefined
  // Whatever it failed with: the read that is done instead meets it, too, and knows how to tell it.
  return (descriptor, buffer, position) => Math.max(0, read(descriptor, buffer, position))
}
