// Stopping without cutting anybody short (R236): no new connections, answers under way get their
// time, idle connections end.
import { LATE, within } from '../async/within.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { DataApp } from './app.ts'

export interface DrainOptions {
  /** How long answers under way may still take. */
  readonly timeoutMs: number
  readonly clock: Clock
}

/**
 * @returns `finished` when every answer ended by itself, `cut` when the rest was cut at the limit.
 * Not to be called twice.
 */
export async function drain(
  app: DataApp,
  { timeoutMs, clock }: DrainOptions,
): Promise<'finished' | 'cut'> {
  const closed = app.close()
  const isLate = (await within(clock, timeoutMs, closed)) === LATE
  // Node's own list lacks connections that it has handed over, to a tunnel or to TLS.
  if (isLate) app.cut()
  await closed
  return isLate ? 'cut' : 'finished'
}
