// A blob whose push was acknowledged is pending until a manifest comes that lists it (R296): until
// then no delete of somebody else's manifest takes it along. This is the end of those for which
// none came; what a delete would have taken goes then. When it runs is for upkeep/.
import { repositoryKey } from '../../oci/reference.ts'
import type { Grace } from '../time/grace.ts'
import { PUSH_MAX_MS } from '../ports/catalog-pushes.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Turns } from '../../async/turns.ts'

/**
 * The catalog commits them together: a day after a lost catalog was built again all that was kept
 * is due at once. Few, so that neither a stop nor what is acknowledged meanwhile waits for many.
 */
export const EXPIRED_AT_ONCE = 100

export interface PendingBlobsDeps {
  readonly catalog: Catalog
  readonly turns: Turns
  readonly grace: () => Promise<Pick<Grace, 'before'>>
}

/**
 * What was acknowledged in the future, before the clock was put back, is as new as what is now: a
 * collection gives it a time of now, once the clock has gone well for a while (`putBack`). Once
 * `signal` is aborted no more of them begin to expire; the rest is for another time.
 * @throws StoreError
 */
export async function expirePendingBlobs(
  { catalog, turns, grace }: PendingBlobsDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const beforeMs = (await grace()).before(PUSH_MAX_MS)
    const expired = await catalog.listPendingBlobs({ beforeMs, limit: EXPIRED_AT_ONCE })
    const byRepository = Map.groupBy(expired, ({ repository }) => repositoryKey(repository))
    // Whoever pushes a manifest has just looked whether it is there.
    const inTurns = [...byRepository].map(([key, pending]) =>
      turns.take(key, async () => {
        if (!signal.aborted) await Promise.all(pending.map(each => catalog.expirePendingBlob(each)))
      }),
    )
    await Promise.all(inTurns)
    if (expired.length < EXPIRED_AT_ONCE) return
  }
}
