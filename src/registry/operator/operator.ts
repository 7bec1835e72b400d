// What an operator asks of the running registry: what is here, where it came from, what would
// happen now, and to warm the cache. Values as they are shown and sent as JSON; people's text is
// made by the command line.
import { inspectImage, type InspectedImage } from './inspect-image.ts'
import { listImages, type ListedImages, listOrderFrom } from './list-images.ts'
import type { JobControl, JobEvent } from '../job.ts'
import {
  dropQueued,
  type ListedQueue,
  listQueue,
  type QueuedPush,
  type RetriedQueue,
  retryAllQueued,
  retryQueued,
} from './queue.ts'
import { readTypedSelector } from './read-typed-selector.ts'
import { createPinControl, type PinControl } from './pins.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { describeStatus, type Status } from './status.ts'
import { type WarmEvent, warmImage, type WarmRequest } from './warm-image.ts'
import { explainImage, type Explanation } from './why-image.ts'

/** Every method throws RegistryError for what is wrong with its arguments. */
export interface Operator {
  status(): Promise<Status>
  /**
   * `pattern`: glob over `repository:tag`; undefined for everything. As many rows as a person
   * reads, the first by `sort`, a ListOrder; undefined: by name.
   */
  list(pattern: string | undefined, sort: string | undefined): Promise<ListedImages>
  /** @throws RegistryError MANIFEST_UNKNOWN when the image is not here; asks no upstream */
  inspect(image: string): Promise<InspectedImage>
  /** Never asks an upstream. */
  why(image: string): Promise<Explanation>
  /** What waits to be delivered. */
  queue(): Promise<ListedQueue>
  /** Tries one entry, or `all` of them, now. @throws RegistryError when there is no such entry */
  retryQueued(id: number | 'all'): Promise<RetriedQueue>
  /** Gives one entry up, for good. @throws RegistryError when there is no such entry */
  dropQueued(id: number): Promise<QueuedPush>
  /** What is done again and again, or when an operator asks. */
  readonly jobs: JobControl
  /** What stays under any pressure. */
  readonly pins: PinControl
  /**
   * A run of the job `purge`: takes what a pattern matches out of this edge. Its result is a
   * PurgeResult.
   * @throws RegistryError for what is no pattern
   */
  purge(
    pattern: string,
    options: { readonly kept: boolean; readonly dryRun: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<JobEvent>
  /** Pulls the image through, telling of its progress; ends after `done`. */
  warm(request: WarmRequest, signal: AbortSignal): AsyncIterable<WarmEvent>
}

export function createOperator(deps: OperatorDeps): Operator {
  return {
    status: () => describeStatus(deps),
    list: (pattern, sort) =>
      afterUses(deps, () => listImages(deps, { pattern, by: listOrderFrom(sort) })),
    inspect: image => inspectImage(deps, image),
    why: image => afterUses(deps, () => explainImage(deps, image)),
    queue: () => listQueue(deps),
    retryQueued: id => (id === 'all' ? retryAllQueued(deps) : retryQueued(deps, id)),
    dropQueued: id => dropQueued(deps, id),
    jobs: deps.jobs,
    purge: (pattern, { kept, ...how }) =>
      deps.jobs.run('purge', {
        ...how,
        args: { selector: readTypedSelector(deps, pattern), kept },
      }),
    pins: createPinControl(deps),
    warm: (request, signal) => warmImage(deps, request, signal),
  }
}

/** Who looks right after a pull is told of it. */
async function afterUses<T>({ registry }: OperatorDeps, look: () => Promise<T>): Promise<T> {
  await registry.flushUses()
  return look()
}
