// Writes down how an attempt ended: the entry goes, waits for its next time, or is parked. An entry
// of which a request may still arrive neither goes nor is parked before it cannot any more, so that
// nothing overtakes it (docs/adr/0012-outbox.md).
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { KeyMemory } from './key-memory.ts'
import type { DeliveryOutcome, Settled } from './carrier.ts'

export interface ConcludeParts {
  readonly catalog: Catalog
  readonly memory: KeyMemory
  readonly clock: Clock
  readonly note: NoteEvent
  /** In [0, 1). */
  readonly random: () => number
  /** Removes an entry that was delivered, with what was kept for it alone. */
  readonly takeOut: (entry: Delivery, settled: Settled | undefined) => Promise<void>
}

/** Longer than a restart behind a load balancer takes; the first failures are mostly that. */
const FIRST_MS = 1_000
/**
 * A link that comes back is used within this, and a thousand repositories that wait ask three times
 * a second.
 */
const LONGEST_MS = 5 * 60_000
/** Doubling further changes nothing any more. */
const DOUBLINGS_MAX = 16
/** Past this the other side's wish counts no more: rate limits are by the minute or the hour. */
export const LONGEST_WAIT_MS = 60 * 60_000

const SETTLING =
  'delivered; the entry stays until an earlier request, whose answer was never seen, can no longer arrive'

/**
 * `entry`: as the attempt began with it.
 * @throws StoreError when the end could not be recorded; then it is as if it had not ended
 */
export async function conclude(
  parts: ConcludeParts,
  entry: Delivery,
  { outcome, durationMs }: { outcome: DeliveryOutcome; durationMs: number },
): Promise<void> {
  const { memory } = parts
  const final = orParked(outcome, memory, entry)
  const doubtLeftMs = memory.doubtLeftMs(entry)
  if (final.kind === 'retry') return retryLater(parts, entry, { outcome: final, durationMs })
  if (doubtLeftMs > 0) {
    const reason = final.kind === 'park' ? final.reason : SETTLING
    return waitFor(parts, entry, { waitMs: doubtLeftMs, reason })
  }
  const attempts = entry.attempts + 1
  if (final.kind === 'delivered') {
    await parts.takeOut(entry, final.settled)
    const told = { reason: undefined, hint: undefined }
    return tell(parts, entry, { outcome: 'delivered', attempts, durationMs, ...told })
  }
  const { reason, hint } = final
  const change = { state: 'parked', attempts, nextAtMs: entry.nextAtMs, reason } as const
  await parts.catalog.changeDelivery(entry.id, { ...change, inDoubt: false })
  tell(parts, entry, { outcome: 'parked', attempts, durationMs, reason, hint })
}

type Retry = Extract<DeliveryOutcome, { kind: 'retry' }>

async function retryLater(
  parts: ConcludeParts,
  entry: Delivery,
  { outcome, durationMs }: { outcome: Retry; durationMs: number },
): Promise<void> {
  const { reason, hint, retryAfterMs } = outcome
  const attempts = entry.attempts + 1
  const waitMs = backOffMs({ attempts, retryAfterMs, random: parts.random() })
  await waitFor(parts, { ...entry, attempts }, { waitMs, reason })
  tell(parts, entry, { outcome: 'retried', attempts, durationMs, reason, hint })
}

interface BackOff {
  /** That failed, this one included; at least 1. */
  readonly attempts: number
  readonly retryAfterMs: number | undefined
  /** In [0, 1). */
  readonly random: number
}

/**
 * Whole milliseconds. What failed together does not come back together: it is the half to the whole
 * of the nominal time.
 */
function backOffMs({ attempts, retryAfterMs = 0, random }: BackOff): number {
  const nominalMs = FIRST_MS * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX)
  const ownMs = Math.min(nominalMs, LONGEST_MS) * (0.5 + random / 2)
  // Not before the time that was asked for, and up to a tenth later.
  const askedMs = retryAfterMs * (1 + random / 10)
  return Math.ceil(Math.min(Math.max(ownMs, askedMs), LONGEST_WAIT_MS))
}

/** Without an attempt: it stays what it is, for `waitMs`. @throws StoreError */
export async function waitFor(
  { catalog, clock, memory }: Pick<ConcludeParts, 'catalog' | 'clock' | 'memory'>,
  entry: Delivery,
  { waitMs, reason }: { waitMs: number; reason: string },
): Promise<void> {
  await catalog.changeDelivery(entry.id, {
    state: 'waiting',
    attempts: entry.attempts,
    nextAtMs: Math.ceil(clock.nowMs() + waitMs),
    reason,
    inDoubt: memory.doubtLeftMs(entry) > 0,
  })
}

/** What is refused may be an outage in disguise, or a password that ran out; but not for ever. */
function orParked(outcome: DeliveryOutcome, memory: KeyMemory, entry: Delivery): DeliveryOutcome {
  if (outcome.kind !== 'retry' || outcome.patienceMs === undefined) {
    memory.notRefused(entry.key)
    return outcome
  }
  if (memory.refusedForMs(entry) < outcome.patienceMs) return outcome
  return { kind: 'park', reason: outcome.reason, hint: outcome.hint }
}

function tell(
  { note }: ConcludeParts,
  { carrier, id, key }: Delivery,
  end: {
    readonly outcome: 'delivered' | 'retried' | 'parked'
    readonly attempts: number
    readonly durationMs: number
    readonly reason: string | undefined
    readonly hint: string | undefined
  },
): void {
  note({ kind: 'delivery', carrier, id, key, ...end })
}
