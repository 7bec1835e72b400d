// Moments of a push into a queue and of its delivery, by name, at which a test kills the process.
// All of them are seen from outside: at the client, in the data directory, on the line to the
// upstream. Which request of a line is which is upstream-line.ts.
import type { ClientStep } from '../clients/push-in-halves.ts'
import type { DirectoryChange } from '../disk/watch-changes.ts'
import type { LinePhase, LineRequest } from '../stubs/upstream-line.ts'

export type CrashPoint =
  | `client: ${ClientStep}`
  | `disk: ${DirectoryChange}`
  | `upstream: ${LineRequest} ${LinePhase}`

/** A tag that arrives is carried out late: after the next process has begun. */
export const LATE_TAG = 'upstream: PUT of a tag arrives' satisfies CrashPoint

export const CRASH_POINTS = [
  'client: a blob half sent',
  'client: a blob sent, not answered',
  'client: a blob answered',
  'client: a manifest half sent',
  'client: a manifest sent, not answered',
  'client: a manifest answered',
  'disk: an upload appears',
  'disk: a temporary file appears',
  'disk: a fact appears',
  'disk: a fact goes',
  'disk: the log of the catalog is written',
  'upstream: HEAD of a blob arrives',
  'upstream: POST of an upload arrives',
  'upstream: POST of an upload taken, not answered',
  'upstream: POST of an upload answered',
  'upstream: PUT of a blob half-way',
  'upstream: PUT of a blob taken, not answered',
  'upstream: PUT of a blob answered',
  'upstream: PUT of a manifest arrives',
  'upstream: PUT of a manifest taken, not answered',
  'upstream: PUT of a manifest answered',
  LATE_TAG,
  'upstream: PUT of a tag taken, not answered',
  'upstream: PUT of a tag answered',
] as const satisfies readonly CrashPoint[]

/** Facts go when what they are about was delivered. */
export function needsUpstream(point: CrashPoint): boolean {
  return point.startsWith('upstream: ') || point === 'disk: a fact goes'
}

export interface Trap {
  /** Waits for the `nth` time that `point` is passed from now on. Resolves once it was sprung. */
  arm(point: CrashPoint, nth: number): Promise<void>
  /** To be called at every moment. True when this is the one. */
  pass(point: CrashPoint): boolean
  readonly isSprung: boolean
}

/** `spring` is called in the middle of the moment. */
export function createTrap(spring: () => void): Trap {
  let armed: { readonly point: CrashPoint; left: number } | undefined
  let sprung = Promise.withResolvers<void>()
  return {
    arm(point, nth) {
      armed = { point, left: nth }
      sprung = Promise.withResolvers()
      return sprung.promise
    },
    pass(point) {
      if (armed?.point !== point) return false
      armed.left -= 1
      if (armed.left > 0) return false
      armed = undefined
      spring()
      sprung.resolve()
      return true
    },
    get isSprung() {
      return armed === undefined
    },
  }
}
