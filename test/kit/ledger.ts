// The ledger of room alone: over no rows, unless a test says how much there is.
import { BLOCK_BYTES, type Space } from '../../src/registry/ports/blob-store.ts'
import { SpaceLedger, type SpaceDeps } from '../../src/registry/space/ledger.ts'
import { createManualClock } from './manual-clock.ts'
import { limitsOf } from './storage-limits.ts'

/** What is not given: nothing is here, and the disk alone limits. */
export function ledgerOver(
  store: SpaceDeps['store'],
  given: Partial<Omit<SpaceDeps, 'store'>> = {},
): SpaceLedger {
  return new SpaceLedger({
    store,
    clock: createManualClock(),
    limits: () => limitsOf(),
    usedBytes: async () => 0,
    isRecorded: async () => false,
    bytesEach: async () => BLOCK_BYTES,
    isShared: () => true,
    ...given,
  })
}

/** A store of which a ledger is told the disk, and which has no parts. */
export function diskOf(space: () => Space): SpaceDeps['store'] {
  return {
    space: async () => space(),
    partsBytes: 0,
    quarantineBytes: 0,
    otherBytes: 0,
    describeParts: async () => [],
    removePart: async () => false,
  }
}
