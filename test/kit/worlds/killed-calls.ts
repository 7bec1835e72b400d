// Before which calls of a run a process is killed. Each of them takes a second and a start: so a
// share of them, another one each day, and of each kind one at least.

const DAY_MS = 86_400_000
/** `EVERY=1` for all of them. */
const EVERY_DEFAULT = 4

export interface KilledCalls {
  /** From 1. */
  readonly calls: readonly number[]
  /** For whoever wants the same once more. */
  readonly how: string
}

/** `kinds`: a letter for each call. `EVERY` and `OFFSET` of the environment say which share. */
export function killedCalls(
  kinds: string,
  environment: Readonly<Record<string, string | undefined>>,
  nowMs: number = Date.now(),
): KilledCalls {
  const every = Number(environment['EVERY'] ?? EVERY_DEFAULT)
  const offset = Number(environment['OFFSET'] ?? Math.floor(nowMs / DAY_MS)) % every
  const calls = new Set<number>()
  for (let at = offset; at < kinds.length; at += every) calls.add(at + 1)
  const byKind = Map.groupBy(kinds.split('').keys(), at => kinds[at])
  for (const places of byKind.values()) {
    const one = places[offset % places.length]
    if (one !== undefined && !places.some(at => calls.has(at + 1))) calls.add(one + 1)
  }
  const sorted = [...calls].sort((a, b) => a - b)
  const how = `EVERY=${every} OFFSET=${offset}: ${sorted.length} of ${kinds.length} calls (${kinds})`
  return { calls: sorted, how }
}
