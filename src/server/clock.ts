// The clock of the running process: the machine's wall clock, its monotonic clock, and its timers.
import type { Clock } from '../registry/ports/clock.ts'

/** setTimeout fires at once for more than 2^31-1 ms; longer waits are cut to this, some 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

function createClock(sleepKeepsAlive: boolean): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    // Not by node's promise, whose AbortError and its stack cost more than most waits: nearly all
    // are ended before their time.
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const abort = () => {
          clearTimeout(timer)
          reject(signal?.reason)
        }
        const timer = setTimeout(
          () => {
            signal?.removeEventListener('abort', abort)
            resolve()
          },
          Math.min(ms, LONGEST_TIMER_MS),
        )
        if (!sleepKeepsAlive) timer.unref()
        signal?.addEventListener('abort', abort, { once: true })
      }),
  }
}

/**
 * For the server, which its listeners keep alive: no time limit holds up the end of the process.
 */
export const systemClock = createClock(false)

/** For a command that has nothing but its own waiting to keep it alive. */
export const commandClock = createClock(true)
