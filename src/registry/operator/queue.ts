// `queue`: what waits to be delivered, trying it now, and giving it up. Carrying entries away is
// delivery/'s.
import { RegistryError } from '../../oci/errors.ts'
import {
  hostFrom,
  parseRepositoryKey,
  registryOf,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { allCarriedBy, parseDelivery } from '../deliveries/delivery-payload.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Delivery } from '../ports/outbox.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { rowsOf } from '../pacing/pages.ts'

/** More rows than a person reads, and as many as one repository can be asked for. */
const LISTED_MAX = 10_000

/** First ones of repositories: those behind wait for them. Those that are due next, of more. */
const LOOKED_AT = 100

export interface QueueDeps
  extends Pick<
    OperatorDeps,
    'catalog' | 'facts' | 'clock' | 'policies' | 'namespaces' | 'nudgeDeliveries'
  > {
  readonly registry: Pick<OperatorDeps['registry'], 'turns'>
}

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

/**
 * Parked or not, it is tried as soon as what stands before it is done.
 * @throws RegistryError when there is no such entry
 */
export async function retryQueued(deps: QueueDeps, id: number): Promise<RetriedQueue> {
  const entry = await requireEntry(deps, id)
  await wakeEntry(deps, entry)
  letNextThrough(deps, [entry.key])
  return { retried: 1 }
}

export async function retryAllQueued(deps: QueueDeps): Promise<RetriedQueue> {
  let retried = 0
  const keys = new Set<string>()
  for await (const delivery of allDeliveries(deps.catalog)) {
    await wakeEntry(deps, delivery)
    keys.add(delivery.key)
    retried += 1
  }
  letNextThrough(deps, [...keys])
  return { retried }
}

/**
 * Who tries again by hand knows that the upstream is well, or is about to find out: no breaker is
 * to tell instead of it.
 */
function letNextThrough({ namespaces, nudgeDeliveries }: QueueDeps, keys: readonly string[]): void {
  const registries = new Set(keys.map(key => hostFrom(registryOf(key))))
  for (const registry of registries) {
    const namespace = registry === undefined ? undefined : namespaces.find(registry)
    namespace?.upstream.letNextThrough()
  }
  nudgeDeliveries()
}

/**
 * The entry is never delivered. What was pushed stays here, but the upstream has the word on its
 * tags again: one that the upstream does not have is gone at the next look.
 * @returns what was given up.
 * @throws RegistryError when there is no such entry, or it may be on its way to the upstream
 */
export async function dropQueued(deps: QueueDeps, id: number): Promise<QueuedPush> {
  const { key } = await requireEntry(deps, id)
  // No push of the repository is in the middle of what this reads and removes.
  const dropped = await deps.registry.turns.take(key, () => dropInTurn(deps, id))
  // What stood behind it need not wait any longer.
  deps.nudgeDeliveries()
  return describe(dropped)
}

async function dropInTurn(deps: QueueDeps, id: number): Promise<Delivery> {
  const { catalog, facts } = deps
  const entry = await requireEntry(deps, id)
  // What comes after it waits until it can no longer arrive; that is known as long as it is in the
  // queue.
  if (entry.inDoubt) throw stillUnderWay(entry)
  const freed = await freedTags(deps, entry)
  const identities = freed?.tags.map(tag => ({ kind: 'tag', repository: freed.key, tag }) as const)
  // The facts first: after a crash in between the entry is still there, and never comes back once
  // it is gone.
  await facts.remove([{ kind: 'delivery', id }, ...(identities ?? [])])
  // Checked at no time: whoever asks for the tag next makes the edge ask the upstream. The content
  // is at no upstream, so this edge is its home.
  await catalog.removeDelivery(id, freed && { ...freed, atMs: 0, isKept: true })
  return entry
}

/** Tags that this entry alone keeps from the upstream; undefined when there can be none. */
async function freedTags({ catalog, policies }: QueueDeps, { id, key, payload }: Delivery) {
  const delivery = parseDelivery(payload)
  if (delivery === undefined) return undefined
  const repository = parseRepositoryKey(key)
  // The repository may have been told to keep what is pushed since: then its tags are this edge's.
  if (policies.find(repository).push === 'store') return undefined
  const entries = await catalog.listDeliveriesOf(key)
  const later = allCarriedBy(entries.filter(entry => entry.id > id))
  const tags: Tag[] = []
  for (const { tag } of delivery.tags) {
    const known = await catalog.findTag(repository, tag)
    // Not local: its fact is of this entry, and waits for bytes that were gone when the catalog was
    // built.
    if (!later.tags.has(tag) && (known?.local !== true || known.digest === delivery.digest))
      tags.push(tag)
  }
  return { repository, key: repositoryKey(repository), digest: delivery.digest, tags }
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
    `entry ${id} was sent to ${registryOf(key)} and its answer was not seen yet, so it may still arrive: drop it in a few minutes`,
  )
}

async function wakeEntry({ catalog, clock }: QueueDeps, { id }: Delivery): Promise<void> {
  await catalog.changeDelivery(id, { state: 'waiting', attempts: 0, nextAtMs: clock.nowMs() })
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

function allDeliveries(catalog: Catalog): AsyncGenerator<Delivery> {
  return rowsOf<Delivery, number>(
    page => catalog.listDeliveries(page),
    ({ id }) => id,
  )
}

/** Of the first push that was tried and is to be tried again. */
export async function whyWaiting(catalog: Pick<Catalog, 'listDue'>): Promise<string | undefined> {
  const first = await catalog.listDue({ carrier: 'queue', limit: LOOKED_AT })
  const failed = first.filter(({ reason }) => reason !== undefined)
  return failed.sort((a, b) => a.id - b.id)[0]?.reason
}
