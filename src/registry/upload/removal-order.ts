// Which of the uploads that may go are tried when room or a place is needed, so that neither one
// bad directory nor a disk that removes nothing for a moment costs whoever waits for it much.
import type { Clock } from '../ports/clock.ts'
import type { Upload } from './upload.ts'

type Monotonic = Pick<Clock, 'monotonicMs'>

/**
 * As in leave/leaving.ts: a disk that removed none of so many may remove nothing now, and whoever
 * needs room waits for each try.
 */
const FAILED_MAX = 16

/** As given, without those that are stuck. Those that were once come behind all others. */
export function removalOrder(uploads: readonly Upload[], clock: Monotonic): Upload[] {
  const nowMs = clock.monotonicMs()
  const free = uploads.filter(upload => !upload.isStuck(nowMs))
  return [...free.filter(({ wasStuck }) => !wasStuck), ...free.filter(({ wasStuck }) => wasStuck)]
}

/**
 * Each is to be removed before the next is asked for. After too many that are stuck by then, each
 * more of them has half of those behind it passed over: the last are reached in some ten tries, so
 * that many which lie in one bad directory hide none that can go. What was passed over comes to its
 * turn in the next step.
 */
export function* untilFailing(order: readonly Upload[], clock: Monotonic): Generator<Upload> {
  let failed = 0
  let passOver = 0
  for (const [at, upload] of order.entries()) {
    if (passOver > 0) {
      passOver -= 1
      continue
    }
    // Another step may have tried it meanwhile.
    if (upload.isStuck(clock.monotonicMs())) continue
    yield upload
    if (!upload.isStuck(clock.monotonicMs())) continue
    failed += 1
    if (failed >= FAILED_MAX) passOver = Math.floor((order.length - 1 - at) / 2)
  }
}
