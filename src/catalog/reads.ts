// The reads of the port over reads that are synchronous, as every implementation has them.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CatalogReads } from '../registry/ports/catalog.ts'

/** What the port says of each read, at once; or in steps, between which others have their turn. */
export type SyncReads = {
  readonly [Name in keyof CatalogReads]: (
    ...args: Parameters<CatalogReads[Name]>
  ) =>
    | Awaited<ReturnType<CatalogReads[Name]>>
    | Generator<void, Awaited<ReturnType<CatalogReads[Name]>>>
}

type Guard = (read: () => unknown) => unknown
type Read = (...args: readonly unknown[]) => unknown

/** `guard` runs each read: it says when there is none any more, and what a failure means. */
export function readsFrom(reads: SyncReads, guard: Guard): CatalogReads {
  const methods = Object.entries(reads as Readonly<Record<string, Read>>).map(([name, read]) => [
    name,
    async (...args: readonly unknown[]) => {
      const found = guard(() => read(...args))
      return found instanceof Iterator ? inSteps(found, guard) : found
    },
  ])
  return Object.fromEntries(methods) as CatalogReads
}

async function inSteps(steps: Iterator<unknown>, guard: Guard): Promise<unknown> {
  for (;;) {
    const { done, value } = guard(() => steps.next()) as IteratorResult<unknown>
    if (done === true) return value
    await nextTurn()
  }
}
