// The clock of the running process: the machine's wall clock, its monotonic clock, and its timers.
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from './registry/ports/clock.ts'

/** setTimeout fires at once for more than 2^31-1 ms; longer waits are cut to this, some 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

function createClock(sleepKeepsAlive: boolean): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: async (ms, signal) => {
      try {
        await pause(Math.min(ms, LONGEST_TIMER_MS), undefined, {
          ref: sleepKeepsAlive,
          ...(signal === undefined ? {} : { signal }),
        })
      } catch (error) {
        throw signal?.reason ?? error
      }
    },
  }
}

/** For the server, which its listeners keep alive: no time limit holds up the end of the process. */
export const systemClock = createClock(false)

/** For a command that has nothing but its own waiting to keep it alive. */
export const commandClock = createClock(true)
