// The reads of the port over reads that are synchronous, as every implementation has them.
import type { CatalogReads } from '../registry/ports/catalog.ts'

/** What the port says of each read, at once. */
export type SyncReads = {
  readonly [Name in keyof CatalogReads]: (
    ...args: Parameters<CatalogReads[Name]>
  ) => Awaited<ReturnType<CatalogReads[Name]>>
}

type Read = (...args: readonly unknown[]) => unknown

/** `guard` runs each read: it says when there is none any more, and what a failure means. */
export function readsFrom(reads: SyncReads, guard: (read: () => unknown) => unknown): CatalogReads {
  const methods = Object.entries(reads as Readonly<Record<string, Read>>).map(([name, read]) => [
    name,
    async (...args: readonly unknown[]) => guard(() => read(...args)),
  ])
  return Object.fromEntries(methods) as CatalogReads
}
