// Time as a parameter, so that no test sleeps.

/**
 * Before there was any version of this program: nothing that it keeps was dated then, but by a
 * clock that nobody had set. So such a time, also a file's, is no time and no age.
 */
export const EARLIEST_MS = Date.UTC(2025, 11, 1)

export interface Clock {
  /**
   * Wall clock, milliseconds since 1970; may jump. For what is written down: when a tag was
   * checked.
   */
  nowMs(): number
  /**
   * Milliseconds from an arbitrary start; MUST never go back. For durations, deadlines, breakers.
   */
  monotonicMs(): number
  /**
   * Resolves after `ms`, or rejects with the signal's reason as soon as `signal` aborts; MUST NOT
   * keep the process alive.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}
