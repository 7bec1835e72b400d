// One attempt to carry one entry: what it puts in doubt is durable before it is sent, and what it throws becomes an outcome.
import { StoreError } from '../registry/ports/blob-store.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Delivery } from '../registry/ports/deliveries.ts'
import type { KeyMemory } from './key-memory.ts'
import type { Attempt, Carry, Outcome } from './outcome.ts'

export interface AttemptParts {
  readonly catalog: Catalog
  readonly memory: KeyMemory
  readonly carry: Carry
}

/** What the attempt carries is not to be delivered any more, or not all of it. */
class Withdrawn extends Error {}

/** Undefined when `signal` ended it, or the entry was withdrawn meanwhile: then nothing is to be recorded. Never rejects. */
export async function attemptOnce(
  parts: AttemptParts,
  entry: Delivery,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  try {
    const outcome = await parts.carry(entry, startAttempt(parts, entry, signal))
    return signal.aborted && outcome.kind === 'retry' ? undefined : outcome
  } catch (error) {
    return signal.aborted || error instanceof Withdrawn ? undefined : unexpected(error)
  }
}

function startAttempt({ catalog, memory }: AttemptParts, entry: Delivery, signal: AbortSignal) {
  let isMarked = entry.inDoubt
  const mark = async (): Promise<void> => {
    if (isMarked) return
    const { id, state, attempts, nextAtMs, reason } = entry
    await catalog.changeDelivery(id, { state, attempts, nextAtMs, reason, inDoubt: true })
    isMarked = true
  }
  /** After the mark: from then on an operator cannot drop it, and whoever did so before is seen here. */
  const requireStill = async (): Promise<void> => {
    const now = await catalog.findDelivery(entry.id)
    if (now?.payload !== entry.payload) throw new Withdrawn('the entry was dropped, or changed')
  }
  const attempt: Attempt = {
    signal,
    send: async (request, isAnswer) => {
      signal.throwIfAborted()
      await mark()
      await requireStill()
      signal.throwIfAborted()
      try {
        return await request()
      } catch (error) {
        if (!isAnswer(error)) memory.addDoubt(entry)
        throw error
      }
    },
  }
  return attempt
}

/** What no carrier foresaw may pass: a disk that fails, most of all. It shows in the queue and in the log. */
function unexpected(error: unknown): Outcome {
  if (error instanceof StoreError)
    return { kind: 'retry', reason: `the disk here failed: ${error.message}`, hint: error.hint }
  return {
    kind: 'retry',
    reason: `the attempt broke off: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'this is a fault of this program; please report it with the lines before this one',
  }
}
