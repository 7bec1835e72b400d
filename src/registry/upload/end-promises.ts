// A blob whose push was acknowledged is promised to the manifest that is to come for it (R296): until then no delete of somebody else's manifest
// takes it along. This is the end of the promises for which none came; what a delete would have taken goes then. When it runs is for upkeep/.
import { repositoryKey } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { Turns } from '../turns.ts'

/**
 * The longest time between the first blob of a push and its manifest: half a terabyte at 50 Mbit/s. It costs nothing where pushes end in order,
 * since their manifests redeem what was promised to them.
 */
export const PUSH_MAX_MS = 24 * 60 * 60 * 1000
/** Ended in one go, so that what is acknowledged meanwhile has not to wait for all of them. */
const PAGE = 1_000

export interface PromisesDeps {
  readonly catalog: Catalog
  readonly clock: Clock
  readonly turns: Turns
}

/** Also of what was acknowledged in the future: the clock was set back since. @throws StoreError */
export async function endPromises({ catalog, clock, turns }: PromisesDeps): Promise<void> {
  const nowMs = clock.nowMs()
  const over = { beforeMs: nowMs - PUSH_MAX_MS, afterMs: nowMs, limit: PAGE }
  for (;;) {
    const ended = await catalog.listPromises(over)
    // Whoever pushes a manifest has just looked whether it is there.
    for (const promised of ended)
      await turns.take(repositoryKey(promised.repository), () => catalog.endPromise(promised))
    if (ended.length < PAGE) return
  }
}
