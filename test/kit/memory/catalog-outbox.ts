// The outbox of the catalog in memory: entries by id. What their payloads say, and which tags
// depend on them, is not known here.
import {
  CARRIERS,
  type Carrier,
  type Delivery,
  type DeliveryChange,
  type NewDelivery,
  type OutboxTotals,
} from '../../../src/registry/ports/outbox.ts'
import type { DeleteOptions } from '../../../src/registry/ports/catalog-pushes.ts'
import {
  byTime,
  MAX_DELIVERIES_OF_KEY,
  MAX_REASON_LENGTH,
  shareOf,
} from '../../../src/catalog/bounds.ts'

export class MemoryOutbox {
  readonly #entries = new Map<number, Delivery>()

  /** An entry that is there already stays as it is. */
  add({ id, carrier, key, payload, createdAtMs }: NewDelivery): void {
    if (this.#entries.has(id)) return
    this.#entries.set(id, {
      id,
      carrier,
      key,
      payload,
      createdAtMs,
      state: 'waiting',
      attempts: 0,
      nextAtMs: createdAtMs,
      inDoubt: false,
      reason: undefined,
    })
  }

  has(id: number): boolean {
    return this.#entries.has(id)
  }

  find(id: number): Delivery | undefined {
    return this.#entries.get(id)
  }

  list({ after = 0, limit }: { after?: number; limit: number }): Delivery[] {
    return this.#inOrder()
      .filter(({ id }) => id > after)
      .slice(0, limit)
  }

  listOf(key: string): Delivery[] {
    return this.#inOrder()
      .filter(entry => entry.key === key)
      .slice(0, MAX_DELIVERIES_OF_KEY)
  }

  listDue({ carrier, limit }: { carrier: Carrier; limit: number }): Delivery[] {
    const firsts = new Map<string, Delivery>()
    for (const entry of this.#inOrder())
      if (entry.carrier === carrier && entry.state === 'waiting' && !firsts.has(entry.key))
        firsts.set(entry.key, entry)
    const destinations = Map.groupBy([...firsts.values()].sort(byTime), ({ key }) =>
      destinationOf(key),
    )
    const share = shareOf(limit, destinations.size)
    // In the order of what is due first in each.
    const chosen = [...destinations.values()].slice(0, limit)
    return chosen.flatMap(entries => entries.slice(0, share)).sort(byTime)
  }

  change(id: number, change: DeliveryChange): void {
    const { alsoReason, ...given } = change
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    const before = entry.reason === undefined ? '' : `${entry.reason}; `
    const reason =
      alsoReason === undefined ? entry.reason : `${before}${alsoReason}`.slice(0, MAX_REASON_LENGTH)
    this.#entries.set(id, { ...entry, reason, ...given })
  }

  remove(id: number): void {
    this.#entries.delete(id)
  }

  /** What a delete does to entries. */
  withdraw({ dropDeliveries = [], changeDeliveries = [] }: DeleteOptions = {}): void {
    for (const id of dropDeliveries) this.#entries.delete(id)
    for (const { id, payload } of changeDeliveries) this.#changePayload(id, payload)
  }

  totals(): OutboxTotals[] {
    return CARRIERS.map(carrier => {
      const entries = [...this.#entries.values()].filter(entry => entry.carrier === carrier)
      const waiting = entries.filter(({ state }) => state === 'waiting')
      return {
        carrier,
        waiting: waiting.length,
        parked: entries.length - waiting.length,
        oldestAtMs: waiting
          .map(({ createdAtMs }) => createdAtMs)
          .sort((a, b) => a - b)
          .at(0),
      }
    })
  }

  #changePayload(id: number, payload: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.#entries.set(id, { ...entry, payload })
  }

  #inOrder(): Delivery[] {
    return [...this.#entries.values()].sort((a, b) => a.id - b.id)
  }
}

function destinationOf(key: string): string {
  return key.slice(0, key.indexOf('/') + 1)
}
