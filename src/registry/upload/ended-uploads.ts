// Uploads that an outage ended, of this edge's disk or of the upstream: clients that repeat their
// last request are told the same again, and not that there never was such an upload. For as long as
// they repeat it: whoever comes later is to begin a new one.
import { boundedCache } from '../../async/bounded-cache.ts'
import type { RegistryError } from '../../oci/errors.ts'
import type { RepositoryKey } from '../../oci/reference.ts'
import type { StoreError } from '../ports/store-error.ts'
import type { Clock } from '../ports/clock.ts'
import { outageOf } from './upload-refusal.ts'

/** Far more than push at once. */
const ENDED_MAX = 1_000
/** Clients repeat a request for a few minutes, at most a minute apart (R124). */
export const ENDED_FOR_MS = 10 * 60 * 1000

interface Ended {
  readonly repository: RepositoryKey
  readonly error: RegistryError | StoreError
  readonly atMs: number
}

export class EndedUploads {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #ended = boundedCache<Ended>(ENDED_MAX)

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** No effect unless `error` is an outage. */
  remember(id: string, repository: RepositoryKey, error: unknown): void {
    const outage = outageOf(error)
    if (outage !== undefined)
      this.#ended.set(id, { repository, error: outage, atMs: this.#clock.monotonicMs() })
  }

  /** What ended it, of this repository and lately; undefined when nothing did that passes. */
  find(id: string, repository: RepositoryKey): RegistryError | StoreError | undefined {
    const ended = this.#ended.get(id)
    if (ended?.repository !== repository) return undefined
    return this.#clock.monotonicMs() - ended.atMs < ENDED_FOR_MS ? ended.error : undefined
  }
}
