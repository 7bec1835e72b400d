// What a line and the registry at its end do to requests, by the kind of day: for simulations, from
// one seed.
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import type { ManualClock } from '../manual-clock.ts'
import type { Random } from '../seeded.ts'
import type { Fate, ModelCall } from './upstream-model.ts'

/**
 * `clear`; `down`: nothing connects; `flapping`: every third request is cut before or after it was
 * carried out; `failing`: 5xx, some of them from a proxy before a registry that carries it out, and
 * late; `limited`: 429; `denied`: the password ran out; `slow`: requests take up to LATE_MAX_MS,
 * far longer than anybody waits for an answer.
 */
export const WEATHERS = [
  'clear',
  'down',
  'flapping',
  'failing',
  'limited',
  'denied',
  'slow',
] as const
export type Weather = (typeof WEATHERS)[number]

/** After this nobody waits for an answer any more. */
const GIVEN_UP_MS = 25_000
/** Shorter than the time for which deliveries look out for late ones. */
const LATE_MAX_MS = 150_000

export function fateIn(
  weather: Weather,
  call: ModelCall,
  { clock, random }: { clock: ManualClock; random: Random },
): Fate {
  const soon = () => clock.sleep(random.between(5, 400))
  const late = () => clock.sleep(random.between(1_000, LATE_MAX_MS))
  switch (weather) {
    case 'clear':
      return { arrives: soon() }
    case 'down':
      return { arrives: soon(), error: new UpstreamError('unavailable', 'nothing connects') }
    case 'flapping':
      if (!random.oneIn(3)) return { arrives: soon() }
      return random.oneIn(2)
        ? { arrives: soon(), told: 'cut' }
        : { arrives: soon(), error: new UpstreamError('unavailable', 'the connection broke') }
    case 'failing':
      if (random.oneIn(2)) return { arrives: soon(), error: serverError() }
      if (!isWrite(call)) return { arrives: soon() }
      return { arrives: late(), told: soon().then(() => Promise.reject(serverError())) }
    case 'limited':
      return random.oneIn(2) ? { arrives: soon() } : { arrives: soon(), error: rateLimited(random) }
    case 'denied':
      return { arrives: soon(), error: new UpstreamError('denied', 'not you', { status: 401 }) }
    case 'slow': {
      if (!isWrite(call) || !random.oneIn(3)) return { arrives: soon() }
      return { arrives: late(), told: clock.sleep(GIVEN_UP_MS) }
    }
  }
}

function isWrite({ does }: ModelCall): boolean {
  return does.startsWith('put') || does.startsWith('push')
}

function serverError(): UpstreamError {
  return new UpstreamError('unavailable', 'the registry failed', { status: 503 })
}

function rateLimited(random: Random): UpstreamError {
  const retryAfterMs = random.between(1_000, 90_000)
  return new UpstreamError('rate-limited', 'too many', { status: 429, retryAfterMs })
}
