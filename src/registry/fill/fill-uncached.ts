// The end of a fill that found no room on the disk. That is no failure: the blob's length is found out, and each reader goes to
// the upstream by itself (pass-on.ts).
import type { FillProgress } from './fill-progress.ts'
import type { FillTask } from './fill.ts'
import type { StoreError } from '../ports/blob-store.ts'

export interface UncachedContext {
  readonly task: FillTask
  readonly progress: FillProgress
  readonly sized: Pick<PromiseWithResolvers<number>, 'resolve' | 'reject'>
  readonly signal: AbortSignal
}

/** Asks the upstream only for a length that nobody has told yet. Never throws: what went wrong is told to the readers. */
export async function leaveUncached(
  full: StoreError,
  { task, progress, sized, signal }: UncachedContext,
): Promise<'uncached' | 'failed'> {
  const { namespace, repository, digest, declaredBytes } = task
  try {
    const sizeBytes =
      progress.sizeBytes ??
      declaredBytes ??
      (await namespace.upstream.headBlob(repository.name, digest, signal)).sizeBytes
    if (sizeBytes === undefined) throw full
    progress.sized(sizeBytes)
    progress.end('uncached')
    sized.resolve(sizeBytes)
    return 'uncached'
  } catch (error) {
    progress.end('failed', error)
    sized.reject(error)
    return 'failed'
  }
}
