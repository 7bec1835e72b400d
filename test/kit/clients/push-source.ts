// What tests push, as the upstream port takes it, and the time that it takes.
import type { BlobSource } from '../../../src/registry/ports/upstream-content.ts'
import type { Content } from '../content.ts'
import type { ManualClock } from '../manual-clock.ts'

/** As it lies on a disk: read from the start as often as wanted. */
export function sourceOf(content: Content): BlobSource {
  const { digest, sizeBytes } = content
  return { digest, sizeBytes, read: () => piecesOf(content, 100_000) }
}

/** As it comes from a client, in pieces of so many bytes. */
export async function* piecesOf(content: Content, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < content.sizeBytes; offset += pieceBytes) {
    yield content.read(offset, Math.min(pieceBytes, content.sizeBytes - offset))
  }
}

/** Less than any wait of the product. */
const STEP_MS = 250
/** Sockets need turns of the event loop between two steps of the clock. */
const TURNS = 20

/**
 * Moves the clock on until `work` has settled, at most `limitMs` of its time: for pushes that are
 * tried again or wait in vain.
 */
export async function settled<T>(
  clock: ManualClock,
  work: Promise<T>,
  limitMs = 600_000,
): Promise<T> {
  let isSettled = false
  const note = (): void => {
    isSettled = true
  }
  work.then(note, note)
  for (let passedMs = 0; !isSettled && passedMs < limitMs; passedMs += STEP_MS) {
    for (let turn = 0; turn < TURNS && !isSettled; turn += 1) await new Promise(setImmediate)
    if (!isSettled) await clock.advance(STEP_MS)
  }
  return work
}
