// A clock that moves only when a test says so. Not a mock of anything: it is the Clock port, with
// time as data.
import type { Clock } from '../../src/registry/ports/clock.ts'

export interface ManualClock extends Clock {
  /**
   * Moves both times on by `ms` and wakes whoever is due, in the order of their times; between two
   * wake-ups everything that is ready in the event loop runs, so a sleeper that sleeps again is
   * woken again when that is due as well.
   */
  advance(ms: number): Promise<void>
  /**
   * Resolves as soon as somebody sleeps who is due within `ms`; at once when somebody does already.
   */
  untilSleeping(ms: number): Promise<void>
  /**
   * The same for who is due in exactly `ms`: where others sleep for less, as what looks at the disk
   * again and again does.
   */
  untilSleepingFor(ms: number): Promise<void>
  /** Moves the wall clock alone, as an operator or NTP does. */
  jump(ms: number): void
  /** How many sleep now. */
  readonly sleepers: number
}

interface Sleeper {
  readonly dueMs: number
  readonly wake: () => void
}

/**
 * `startMs` is the wall clock's start, default 2026-01-01T00:00:00Z; the monotonic time starts at
 * 0.
 */
export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let elapsedMs = 0
  let wallOffsetMs = startMs
  const sleepers = new Set<Sleeper>()
  const watchers = new Set<{ isWanted(dueInMs: number): boolean; readonly tell: () => void }>()

  function tellWatchers(): void {
    for (const watcher of watchers) {
      if (![...sleepers].some(({ dueMs }) => watcher.isWanted(dueMs - elapsedMs))) continue
      watchers.delete(watcher)
      watcher.tell()
    }
  }

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper: Sleeper = {
        dueMs: elapsedMs + Math.max(0, ms),
        wake: () => {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      sleepers.add(sleeper)
      tellWatchers()
    })
  }

  async function advance(ms: number): Promise<void> {
    const targetMs = elapsedMs + ms
    await turn()
    for (;;) {
      const next = [...sleepers]
        .filter(sleeper => sleeper.dueMs <= targetMs)
        .sort((a, b) => a.dueMs - b.dueMs)[0]
      if (next === undefined) break
      elapsedMs = Math.max(elapsedMs, next.dueMs)
      next.wake()
      await turn()
    }
    elapsedMs = targetMs
    tellWatchers()
  }

  function until(isWanted: (dueInMs: number) => boolean): Promise<void> {
    return new Promise(tell => {
      watchers.add({ isWanted, tell })
      tellWatchers()
    })
  }

  return {
    nowMs: () => wallOffsetMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    sleep,
    advance,
    untilSleeping: ms => until(dueInMs => dueInMs <= ms),
    untilSleepingFor: ms => until(dueInMs => dueInMs === ms),
    jump: ms => {
      wallOffsetMs += ms
    },
    get sleepers() {
      return sleepers.size
    },
  }
}

/** Lets everything run that is ready now. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
