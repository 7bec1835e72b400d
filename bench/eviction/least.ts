// The least that any order could fetch, known only afterwards: each byte leaves by itself, those
// first whose next use is the farthest away, and what is never used again is not kept. Whole blobs
// or images can only do worse, so the distance to it is what a better order could still gain, and
// more.
import type { Figures } from './edge.ts'
import { type Pull, type Trace, bytesOf } from './trace.ts'
import { ScoreQueue } from './policies/score-queue.ts'

const NEVER = Number.POSITIVE_INFINITY

export interface LeastOptions {
  readonly limitBytes: number
  /** All blobs of an image are needed when one is asked for. */
  readonly prefetch: boolean
}

/** The bytes fetched for each byte asked for. */
export function leastByteMiss(trace: Trace, options: LeastOptions): Figures['byteMiss'] {
  const { registry, pulls, countedFromMs } = trace
  const needs = (pull: Pull) =>
    options.prefetch && pull.asked.length > 0
      ? (registry.images[pull.image]?.blobs ?? [])
      : pull.asked
  const nextUses = nextUsesOf(pulls.map(needs))
  const hereBytes = new Map<number, number>()
  // The farthest first.
  const queue = new ScoreQueue()
  let [used, fetched, asked] = [0, 0, 0]
  for (const [at, pull] of pulls.entries()) {
    const uses = nextUses[at] ?? []
    for (const [place, blob] of needs(pull).entries()) {
      const here = hereBytes.get(blob) ?? 0
      const size = registry.sizes[blob] ?? 0
      if (pull.atMs >= countedFromMs) fetched += size - here
      used += size - here
      hereBytes.set(blob, size)
      queue.set(blob, -(uses[place] ?? NEVER))
    }
    if (pull.atMs >= countedFromMs) asked += bytesOf(registry, pull.asked)
    used -= evict({ queue, hereBytes }, used - options.limitBytes)
  }
  return fetched / asked
}

/** Takes so many bytes away; all of a blob only where as much is too much. Returns how many. */
function evict(
  { queue, hereBytes }: { queue: ScoreQueue; hereBytes: Map<number, number> },
  bytes: number,
): number {
  let gone = 0
  while (gone < bytes) {
    const blob = queue.first(() => true)
    if (blob === undefined) return gone
    const here = hereBytes.get(blob) ?? 0
    const part = Math.min(here, bytes - gone)
    gone += part
    if (part < here) hereBytes.set(blob, here - part)
    else {
      hereBytes.delete(blob)
      queue.delete(blob)
    }
  }
  return gone
}

/** For each blob of each pull, which pull needs it next. */
function nextUsesOf(needed: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const next = new Map<number, number>()
  const uses: number[][] = []
  for (let at = needed.length - 1; at >= 0; at--) {
    const blobs = needed[at] ?? []
    uses[at] = blobs.map(blob => next.get(blob) ?? NEVER)
    for (const blob of blobs) next.set(blob, at)
  }
  return uses
}
