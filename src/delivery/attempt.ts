// One attempt to carry one entry: what it puts in doubt is durable before it is sent, and what it
// throws becomes an outcome.
import { StoreError } from '../registry/ports/store-error.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import type { KeyMemory } from './key-memory.ts'
import type { Attempt, Carry, DeliveryOutcome } from './carrier.ts'

export interface AttemptParts {
  readonly catalog: Catalog
  readonly memory: KeyMemory
  readonly carry: Carry
  /** In the turn of the entry's key: no push that goes past the outbox is under way then. */
  readonly inTurn: <Value>(key: string, step: () => Promise<Value>) => Promise<Value>
}

/** What the attempt carries is not to be delivered any more, or not all of it. */
class Withdrawn extends Error {}

/**
 * Undefined when `signal` ended it, or the entry was withdrawn meanwhile: then nothing is to be
 * recorded. Never rejects.
 */
export async function attemptOnce(
  parts: AttemptParts,
  entry: Delivery,
  signal: AbortSignal,
): Promise<DeliveryOutcome | undefined> {
  try {
    const outcome = await parts.carry(entry, startAttempt(parts, entry, signal))
    return signal.aborted && outcome.kind === 'retry' ? undefined : outcome
  } catch (error) {
    return signal.aborted || error instanceof Withdrawn ? undefined : unexpected(error)
  }
}

function startAttempt(
  { catalog, memory, inTurn }: AttemptParts,
  entry: Delivery,
  signal: AbortSignal,
) {
  let isMarked = entry.inDoubt
  const mark = async (): Promise<void> => {
    if (isMarked) return
    await catalog.changeDelivery(entry.id, { inDoubt: true })
    isMarked = true
  }
  /**
   * In the turn of its key: who drops or changes an entry has that as well, and none does so once
   * it is marked.
   */
  const requireStill = async (): Promise<void> => {
    const now = await catalog.findDelivery(entry.id)
    if (now?.payload !== entry.payload) throw new Withdrawn('the entry was dropped, or changed')
  }
  const attempt: Attempt = {
    signal,
    send: async (request, isFinalFailure) => {
      signal.throwIfAborted()
      // A push that is sent meanwhile has changed the entry when it ends, unless it moved nothing.
      await inTurn(entry.key, async () => {
        signal.throwIfAborted()
        await requireStill()
        await mark()
      })
      signal.throwIfAborted()
      try {
        return await request()
      } catch (error) {
        if (!isFinalFailure(error)) memory.addDoubt(entry)
        throw error
      }
    },
  }
  return attempt
}

/**
 * What no carrier foresaw may pass: a disk that fails, most of all. It shows in the queue and in
 * the log.
 */
function unexpected(error: unknown): DeliveryOutcome {
  if (error instanceof StoreError) {
    const { message, hint } = error
    // What cannot be read is mended so as well; it may also be read again by itself.
    const also = hint === undefined ? undefined : `${hint}, or push the image again`
    return { kind: 'retry', reason: `the disk here failed: ${message}`, hint: also }
  }
  return {
    kind: 'retry',
    reason: `the attempt broke off: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'this is a fault of this program; please report it with the lines before this one',
  }
}
