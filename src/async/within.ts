// A wait with a limit: what comes in time, or the word that it did not.
import { NOT_NEEDED } from './aborting.ts'

export const LATE: unique symbol = Symbol('late')

/** As Clock.sleep: rejects as soon as the signal aborts. */
interface Sleeper {
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/**
 * What `promise` settles with, or LATE after `ms`; no timer is left behind. Whatever a promise does
 * that is late is nobody's: it goes on, and its failure is not told.
 */
export async function within<Value>(
  clock: Sleeper,
  ms: number,
  promise: Promise<Value>,
): Promise<Value | typeof LATE> {
  const timer = new AbortController()
  const late = clock.sleep(ms, timer.signal).then(
    (): typeof LATE => LATE,
    // Only when the promise has settled.
    () => promise,
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort(NOT_NEEDED)
  }
}
