// Limits of time: of a wait, which gives what comes in time or the word that it did not, and of
// work, which is told to end.
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

/**
 * What `work` gives. Its signal aborts after `ms`, with what `late` makes: for work that ends by
 * itself then, as questions to an upstream do. No timer is left behind.
 */
export async function withTimeLimit<Value>(
  clock: Sleeper,
  { ms, late }: { readonly ms: number; readonly late: () => Error },
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const limit = new AbortController()
  const timer = new AbortController()
  clock.sleep(ms, timer.signal).then(
    () => limit.abort(late()),
    // Only when the work has settled.
    () => {},
  )
  try {
    return await work(limit.signal)
  } finally {
    timer.abort(NOT_NEEDED)
  }
}
