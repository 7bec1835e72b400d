// What every simulated edge is given and tells, whatever it evicts and by which order; and what is
// made of a run.
import type { Pull, Trace } from './trace.ts'
import { bytesOf } from './trace.ts'

export interface Outcome {
  /** From the upstream, for this pull. */
  readonly fetchedBytes: number
  /** The client had to wait for the upstream. */
  readonly missed: boolean
  /** How long, if nothing else used the line. */
  readonly waitedSeconds: number
  /** All of the image was here: a machine that has nothing could run it with the upstream away. */
  readonly whole: boolean
  /** The manifest was here and the image had been whole once, and part of it was gone. */
  readonly half: boolean
  /** The upstream was away, and something that was asked for was not here. */
  readonly failed: boolean
}

export interface Edge {
  pull(pull: Pull): Outcome
}

export interface Figures {
  /** Fetched from upstreams for each byte that clients asked for. */
  readonly byteMiss: number
  /** The share of pulls that waited for an upstream. */
  readonly imageMiss: number
  readonly whole: number
  readonly half: number
  readonly failed: number
  readonly waitedSeconds: number
  readonly fetchedBytes: number
  readonly askedBytes: number
}

/** The outcomes of all pulls, in their order. */
export function replay(trace: Trace, edge: Edge): readonly Outcome[] {
  return trace.pulls.map(pull => edge.pull(pull))
}

/** Of the pulls after the cache was filled; with `counts`, of those for which it is true. */
export function figuresOf(
  trace: Trace,
  outcomes: readonly Outcome[],
  counts: (pull: Pull) => boolean = () => true,
): Figures {
  let pulls = 0
  let [fetchedBytes, askedBytes, waitedSeconds] = [0, 0, 0]
  let [missed, whole, half, failed] = [0, 0, 0, 0]
  for (const [at, pull] of trace.pulls.entries()) {
    const outcome = outcomes[at]
    if (outcome === undefined || pull.atMs < trace.countedFromMs || !counts(pull)) continue
    pulls++
    fetchedBytes += outcome.fetchedBytes
    askedBytes += bytesOf(trace.registry, pull.asked)
    waitedSeconds += outcome.waitedSeconds
    missed += Number(outcome.missed)
    whole += Number(outcome.whole)
    half += Number(outcome.half)
    failed += Number(outcome.failed)
  }
  return {
    byteMiss: fetchedBytes / askedBytes,
    imageMiss: missed / pulls,
    whole: whole / pulls,
    half,
    failed,
    waitedSeconds,
    fetchedBytes,
    askedBytes,
  }
}
