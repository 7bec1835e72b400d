// What has no file: the end of a fill that found no room on the disk. That is no failure: the
// blob's length is found out, and each reader goes to the upstream by itself (pass-on.ts).
import { FillProgress, type Followed } from './fill-progress.ts'
import type { FillTask } from './fill-task.ts'
import type { StoreError } from '../ports/store-error.ts'

export interface UncachedContext {
  readonly task: FillTask
  readonly progress: FillProgress
  readonly sized: Pick<PromiseWithResolvers<number>, 'resolve' | 'reject'>
  readonly signal: AbortSignal
}

/**
 * Asks the upstream only for a length that nobody has told yet. Never throws: what went wrong is
 * told to the readers.
 */
export async function leaveUncached(
  full: StoreError,
  { task, progress, sized, signal }: UncachedContext,
): Promise<'uncached' | 'failed'> {
  const { namespace, repository, digest, declaredBytes } = task
  try {
    const sizeBytes =
      progress.sizeBytes ??
      declaredBytes ??
      (await namespace.upstream.headBlob(repository.name, digest, { signal })).sizeBytes
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

/**
 * In place of a fill that this repository may not join, and that has the blob's one file: its
 * reader goes to the upstream by itself.
 */
export function withoutFile(task: FillTask, sizeBytes: number): Followed {
  const progress = new FillProgress()
  progress.sized(sizeBytes)
  progress.end('uncached')
  return { task, progress, bytesPerMs: 0 }
}
