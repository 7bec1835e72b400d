// How much of the room an upstream, or repositories that a pattern matches, may have
// (docs/adr/0034-quotas.md).
import type { Amount } from './limits.ts'

/** Shares are of what the data directory may take. */
export interface Quota {
  /** What is above it leaves first. Default none. */
  readonly ceiling?: Amount | undefined
  /** What would go below it is passed over when others need room. Default nothing. */
  readonly floor?: Amount | undefined
}
