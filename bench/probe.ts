// A probe of health, as an orchestrator has it, only more often.
import { setTimeout as wait } from 'node:timers/promises'

export interface Probed {
  /** How long each of its requests waited. */
  readonly waitsMs: readonly number[]
  /** Answers that were no success, and none at all. */
  readonly failures: number
}

/** Asks for `url` every `everyMs`, one request after the other. The result ends it. */
export function startProbe(url: string, everyMs: number): () => Promise<Probed> {
  const waitsMs: number[] = []
  let failures = 0
  let over = false
  const ask = async () => {
    const startMs = performance.now()
    const response = await fetch(url)
    await response.arrayBuffer()
    waitsMs.push(performance.now() - startMs)
    if (!response.ok) failures += 1
  }
  const running = (async () => {
    while (!over) {
      await ask().catch(() => {
        failures += 1
      })
      await wait(everyMs)
    }
  })()
  return async () => {
    over = true
    await running
    return { waitsMs, failures }
  }
}
