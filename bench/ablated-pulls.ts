// What no server has seen, pulled through each of them in each round: through Entrepot with all
// that is there to make it faster, and then without one thing, which is held against that.
import { setTimeout as wait } from 'node:timers/promises'
import { type Cold, coldPull } from './cold-pull.ts'
import type { Sample } from './figures.ts'
import { pullImage, TAG } from './image-pull.ts'
import { collectSamples, inRounds, type RowContext, type Started } from './row.ts'

/** What a client of an image takes at a time. */
export const AT_ONCE = 3

interface Blobs extends Omit<Cold, 'seed'> {
  readonly line: string
}

export async function measureBlobs(
  context: RowContext,
  running: readonly Started[],
  { line, ...blob }: Blobs,
): Promise<readonly Sample[]> {
  return againstAll(context, running, { line }, async (started, seed) => {
    const seen = await coldPull(context, started, { ...blob, seed })
    return {
      seconds: seen.seconds,
      firstByteMs: Math.min(...seen.clients.map(({ firstByteMs }) => firstByteMs)),
      cpuSeconds: seen.cpuSeconds,
      requests: seen.counts.requests,
      failures: seen.failures,
    }
  })
}

interface Images extends Case {
  /** One blob for each. */
  readonly layerBytes: readonly number[]
}

/** The first image of a process is not counted: it is that of a compiler. */
export async function measureImages(
  context: RowContext,
  running: readonly Started[],
  { layerBytes, ...images }: Images,
): Promise<readonly Sample[]> {
  const pull = (started: Started, seed: string) =>
    pullImage(context, started, { seed, tags: [TAG], atOnce: AT_ONCE, layerBytes })
  for (const started of running) await pull(started, `${images.line}/warm/${started.kind.name}`)
  return againstAll(context, running, images, pull)
}

interface Case {
  readonly line: string
  /** Nobody asks for anything for so long before each round. Default 0. */
  readonly pauseMs?: number
}

/** Every server in each round, held against the first of them, which is that with all. */
async function againstAll(
  context: RowContext,
  running: readonly Started[],
  { line, pauseMs = 0 }: Case,
  measure: (
    started: Started,
    seed: string,
  ) => Promise<{ readonly seconds: number } & Sample['measures']>,
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (const { round } of inRounds(context, [{ line }])) {
    let all: number | undefined
    await wait(pauseMs)
    for (const started of running) {
      const server = started.kind.name
      const seen = await measure(started, `${line}/${round}/${server}`)
      all ??= seen.seconds
      const measures = { ...seen, toAll: seen.seconds / all }
      add({ table: 'ablations', line, server, round, measures })
    }
  }
  return samples
}
