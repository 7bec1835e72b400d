// What a client that may push was told is here stays for its push, as long as the grace of the
// collection: a lease is durable before the answer goes out, and ends with the manifest that lists
// it. Without one "exists" could become MANIFEST_BLOB_UNKNOWN, which no client recovers from.
import { filterFew } from '../../async/few-at-once.ts'
import { bestEffort } from '../best-effort.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'

/** Of its time: what has so much left is not written again for each who asks. */
const FRESH_SHARE = 0.75
/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

export interface LeasesDeps {
  readonly catalog: Pick<Catalog, 'lease' | 'leasedUntil' | 'isPending'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly note: NoteEvent
  readonly graceMs: () => number
}

export class Leases {
  readonly #deps: LeasesDeps

  constructor(deps: LeasesDeps) {
    this.#deps = deps
  }

  /**
   * For whoever only asks. On a disk that takes nothing there is no lease, and an event says so: a
   * push could not end there either, and a pull by the same client can.
   */
  async offer(repository: Repository, digest: Digest): Promise<void> {
    await bestEffort(this.#deps.note, () => this.take(repository, [digest]))
  }

  /**
   * Durable when it resolves: from then on what is here of `digests` does not leave. Whether it is,
   * MUST be looked at afterwards. `inTurn`: the push itself has the repository's turn, and what is
   * pending there stays that until its end; for a later one it may be another's manifest that ends
   * it.
   * @throws StoreError
   */
  async take(
    repository: Repository,
    digests: readonly Digest[],
    { inTurn = false } = {},
  ): Promise<void> {
    const { catalog, clock, graceMs } = this.#deps
    const nowMs = clock.nowMs()
    const untilMs = nowMs + graceMs()
    const freshMs = nowMs + graceMs() * FRESH_SHARE
    const due = await filterFew([...new Set(digests)], LOOKS_AT_ONCE, async digest => {
      const leasedMs = await catalog.leasedUntil(repository, digest)
      if ((leasedMs ?? 0) >= freshMs) return false
      return !inTurn || !(await catalog.isPending(repository, digest))
    })
    if (due.length > 0) await catalog.lease({ repository, digests: due, untilMs })
  }
}
