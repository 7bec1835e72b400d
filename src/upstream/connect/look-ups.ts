// Who may look up names, and how many at once. The system's look-ups hold a thread each until they
// end, and there are few: half of libuv's pool, eight of sixteen (main.ts). A name server that
// stays silent holds one for ten seconds and more. So each name is looked up once for all who ask,
// and names that clients made up have two threads at most (docs/adr/0029-look-ups.md).
import { Flights } from '../../async/flights.ts'
import { LATE, within, withTimeLimit } from '../../async/within.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Address, LookupAll } from './connector.ts'
import { unlessAborted } from '../../async/aborting.ts'
import { boundedCache } from '../../async/bounded-cache.ts'

/**
 * Before the time limit of a connection, so that its reason is told. Name servers that answer at
 * all need a tenth of it.
 */
const LOOK_UP_MS = 4_000
/** Of the eight; the others are for configured upstreams. */
const NAMED_AT_ONCE = 2
/** Each waits no longer than LOOK_UP_MS; more could only fail. */
const NAMED_WAITING_MAX = 64
/**
 * A name that was looked up before is not waited for longer, when its addresses of then are here.
 */
const KNOWN_MS = 1_000
/** Names of upstreams, realms and storage; an address is some bytes. */
const KNOWN_MAX = 256
/** As old as addresses may be that stand in for an answer: hosts move within hours. */
const KNOWN_FOR_MS = 60 * 60 * 1000

export interface LookUps {
  /** For upstreams that the operator named, and where they lead. */
  readonly configured: LookupAll
  /** For those that clients named (`"*"`). */
  readonly named: LookupAll
}

/** One for the process. `system` MUST end some time. */
export function createLookUps(system: LookupAll, clock: Clock): LookUps {
  return {
    configured: orKnown(inTime(shared(system), clock), clock),
    named: createNamed(system, clock),
  }
}

type Look = (hostname: string, signal: AbortSignal) => Promise<readonly Address[]>

/** One at a time for each name. */
function shared(system: LookupAll): LookupAll {
  const flights = new Flights<readonly Address[]>()
  return hostname => flights.run(hostname, () => system(hostname)).promise
}

function inTime(look: Look, clock: Clock): LookupAll {
  const limit = { ms: LOOK_UP_MS, late: silent }
  return hostname =>
    // The system's look-up ends when it likes, with nobody waiting for it any more.
    withTimeLimit(clock, limit, signal => unlessAborted(look(hostname, signal), signal))
}

/** While the name server is silent, the last addresses are as good as any. */
function orKnown(look: LookupAll, clock: Clock): LookupAll {
  const known = boundedCache<{ addresses: readonly Address[]; atMs: number }>(KNOWN_MAX)
  return async hostname => {
    const looked = look(hostname).then(addresses => {
      known.set(hostname, { addresses, atMs: clock.monotonicMs() })
      return addresses
    })
    const last = known.get(hostname)
    if (last === undefined || clock.monotonicMs() - last.atMs > KNOWN_FOR_MS) return looked
    try {
      const addresses = await within(clock, KNOWN_MS, looked)
      return addresses === LATE ? last.addresses : addresses
    } catch (error) {
      if (isSilence(error)) return last.addresses
      throw error
    }
  }
}

function createNamed(system: LookupAll, clock: Clock): LookupAll {
  const running = new Set<string>()
  const waiting = new Set<() => void>()
  const look = shared(hostname =>
    system(hostname).finally(() => {
      running.delete(hostname)
      // Each looks whether the place is its own.
      for (const wake of waiting) wake()
    }),
  )

  async function take(hostname: string, signal: AbortSignal): Promise<void> {
    if (running.has(hostname) || running.size < NAMED_AT_ONCE) {
      running.add(hostname)
      return
    }
    if (waiting.size >= NAMED_WAITING_MAX) throw silent()
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.add(resolve)
    await unlessAborted(promise, signal).finally(() => waiting.delete(resolve))
    return take(hostname, signal)
  }

  return inTime(async (hostname, signal) => {
    await take(hostname, signal)
    return look(hostname)
  }, clock)
}

/** As the system says it, when it says so at all. */
function silent(): Error {
  return Object.assign(new Error('the name was not looked up in time'), { code: 'EAI_AGAIN' })
}

function isSilence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAI_AGAIN'
}
