// Time as a parameter, so that no test sleeps.

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

/**
 * Reason for ending what nobody waits for any more. One for all: the error that an abort makes by
 * itself, with its stack, costs more.
 */
export const NOT_NEEDED = new Error('it is not needed any more')
