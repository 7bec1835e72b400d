// `queue`: what waits to be delivered, trying it now, and giving it up. Carrying entries away is delivery/'s.
import { RegistryError } from '../../oci/errors.ts'
import { parseRepositoryKey } from '../../oci/reference.ts'
import { parseDelivery } from '../deliveries.ts'
import type { Catalog, Delivery } from '../ports/catalog.ts'
import type { OperatorDeps } from './operator.ts'

/** More rows than a person reads, and as many as one repository can be asked for. */
const LISTED_MAX = 10_000
const PAGE = 500

export type QueueDeps = Pick<OperatorDeps, 'catalog' | 'facts' | 'clock' | 'nudgeDeliveries'>

export interface QueuedPush {
  readonly id: number
  readonly state: Delivery['state']
  /** `registry.example.com/team/app` */
  readonly repository: string
  /** Undefined when the entry can't be read any more; `reason` says so then. */
  readonly digest: string | undefined
  /** Empty for a push by digest alone. */
  readonly tags: readonly string[]
  readonly createdAtMs: number
  /** That failed. */
  readonly attempts: number
  /** Not tried before. */
  readonly nextAtMs: number
  /** Why the last attempt failed. */
  readonly reason: string | undefined
}

export interface ListedQueue {
  readonly entries: readonly QueuedPush[]
  /** There are more than are listed. */
  readonly truncated: boolean
  /** The server's clock, for ages. */
  readonly nowMs: number
}

export interface RetriedQueue {
  readonly retried: number
}

/** In the order in which they were pushed. */
export async function listQueue({ catalog, clock }: QueueDeps): Promise<ListedQueue> {
  const nowMs = clock.nowMs()
  const entries: QueuedPush[] = []
  for await (const delivery of allDeliveries(catalog)) {
    if (entries.length === LISTED_MAX) return { entries, truncated: true, nowMs }
    entries.push(describe(delivery))
  }
  return { entries, truncated: false, nowMs }
}

/** Parked or not, it is tried as soon as what stands before it is done. @throws RegistryError when there is no such entry */
export async function retryQueued(deps: QueueDeps, id: number): Promise<RetriedQueue> {
  await wakeEntry(deps, await requireEntry(deps, id))
  deps.nudgeDeliveries()
  return { retried: 1 }
}

export async function retryAllQueued(deps: QueueDeps): Promise<RetriedQueue> {
  let retried = 0
  for await (const delivery of allDeliveries(deps.catalog)) {
    await wakeEntry(deps, delivery)
    retried += 1
  }
  deps.nudgeDeliveries()
  return { retried }
}

/**
 * The entry is never delivered. What was pushed stays here, but the upstream has the word on its tags again: one that the upstream
 * does not have is gone at the next look. @returns what was given up. @throws RegistryError when there is no such entry, or it may be
 * on its way to the upstream
 */
export async function dropQueued(deps: QueueDeps, id: number): Promise<QueuedPush> {
  const entry = await requireEntry(deps, id)
  // What comes after it waits until it can no longer arrive; that is known as long as it is in the queue.
  if (entry.inDoubt) throw stillUnderWay(entry)
  // The fact first: after a crash in between the entry is still there, and never comes back once it is gone.
  await deps.facts.remove([{ kind: 'delivery', id }])
  const delivery = parseDelivery(entry.payload)
  // Checked at no time: whoever asks for the tag next makes the edge ask the upstream.
  const settled =
    delivery === undefined
      ? undefined
      : {
          repository: parseRepositoryKey(entry.key),
          digest: delivery.digest,
          tags: delivery.tags.map(({ tag }) => tag),
          atMs: 0,
        }
  await deps.catalog.removeDelivery(id, settled)
  // What stood behind it need not wait any longer.
  deps.nudgeDeliveries()
  return describe(entry)
}

async function requireEntry({ catalog }: QueueDeps, id: number): Promise<Delivery> {
  const entry = await catalog.findDelivery(id)
  if (entry !== undefined) return entry
  throw new RegistryError(
    'MANIFEST_UNKNOWN',
    `the queue has no entry ${id}: it was delivered or dropped; "entrepot queue ls" lists what waits`,
  )
}

function stillUnderWay({ id, key }: Delivery): RegistryError {
  return new RegistryError(
    'UNAVAILABLE',
    `entry ${id} was sent to ${key.slice(0, key.indexOf('/'))} and its answer was not seen yet, so it may still arrive: drop it in a few minutes`,
  )
}

async function wakeEntry({ catalog, clock }: QueueDeps, entry: Delivery): Promise<void> {
  const { id, reason } = entry
  const nextAtMs = clock.nowMs()
  await catalog.changeDelivery(id, { state: 'waiting', attempts: 0, nextAtMs, reason })
}

function describe(entry: Delivery): QueuedPush {
  const { id, state, key, createdAtMs, attempts, nextAtMs, reason } = entry
  const delivery = parseDelivery(entry.payload)
  return {
    id,
    state,
    repository: key,
    digest: delivery?.digest,
    tags: delivery?.tags.map(({ tag }) => tag) ?? [],
    createdAtMs,
    attempts,
    nextAtMs,
    reason,
  }
}

async function* allDeliveries(catalog: Catalog): AsyncGenerator<Delivery> {
  let after: number | undefined
  for (;;) {
    const page = await catalog.listDeliveries({
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    })
    yield* page
    after = page.at(-1)?.id
    if (after === undefined || page.length < PAGE) return
  }
}
