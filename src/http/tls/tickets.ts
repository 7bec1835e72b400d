// The keys that session tickets are sealed with: who holds them can read what was sent under a
// resumed session, so they are random, in memory only, and replaced. All threads have the same
// ones.
import type { Clock } from '../../registry/ports/clock.ts'

/** What OpenSSL takes: a name, a key for the digest and one for the cipher, sixteen bytes each. */
export const TICKET_KEYS_BYTES = 48
/** How long a client may go on with a session: pulls of one rollout come within it. */
export const TICKET_LIFETIME_SECONDS = 3_600
/** Long enough that few sessions meet a change, which costs them one whole handshake. */
export const TICKET_KEYS_MAX_AGE_MS = 12 * 3_600_000

export interface TicketRotation {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Buffer
  /** Gets new keys now and then. */
  readonly use: (keys: Buffer) => void
  readonly signal: AbortSignal
}

/** Resolves when `signal` aborts. */
export async function rotateTicketKeys(rotation: TicketRotation): Promise<void> {
  const { clock, randomBytes, use, signal } = rotation
  while (!signal.aborted) {
    await clock.sleep(TICKET_KEYS_MAX_AGE_MS, signal).catch(() => {})
    if (!signal.aborted) use(randomBytes(TICKET_KEYS_BYTES))
  }
}
