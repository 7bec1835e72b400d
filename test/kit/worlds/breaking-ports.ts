// Ports whose writes break at the k-th call: the disk or the catalog refuses it, or does it and
// cannot say so, or the process ends there. For walking through every point at which something can
// be cut off.
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { FactStore } from '../../../src/registry/ports/facts.ts'
import { everyCall } from '../around.ts'

/**
 * - `refused`: the call has no effect and throws; what comes after goes on
 * - `unheard`: the call takes effect and throws
 * - `ended`: the call has no effect and throws, and so does every later one, as nothing is done any
 *   more by a process that ended
 * - `torn`: as `ended`, but of a call about several facts one has become durable, whichever; each
 *   of them counts as a call
 */
export const BREAKS = ['refused', 'unheard', 'ended', 'torn'] as const
export type Break = (typeof BREAKS)[number]

/** The calls that change something. */
const WRITES: Readonly<Record<'store' | 'catalog' | 'facts', readonly string[]>> = {
  store: ['put', 'keep', 'remove'],
  facts: ['write', 'remove'],
  catalog: [
    'recordPush',
    'recordBlob',
    'removeMember',
    'deleteTag',
    'changeDelivery',
    'letGo',
    'finishLeaving',
  ],
}

export interface Breaking {
  store(store: BlobStore): BlobStore
  catalog(catalog: Catalog): Catalog
  facts(facts: FactStore): FactStore
  /** From the next call on it is counted, and call number `at` breaks, from 0. */
  arm(at: number, how: Break): void
  disarm(): void
  /** Did it come to the call that breaks? */
  readonly isBroken: boolean
}

export function createBreaking(): Breaking {
  let armed: { at: number; how: Break } | undefined
  let calls = 0
  let isBroken = false
  const broken = () => new StoreError('io', 'the disk is broken')

  async function step(
    call: (...args: readonly unknown[]) => Promise<unknown>,
    args: readonly unknown[],
  ): Promise<unknown> {
    if (armed === undefined) return call(...args)
    const { at, how } = armed
    const [several] = args
    const pieces = how === 'torn' && Array.isArray(several) ? several : [several]
    const first = calls
    calls += pieces.length
    if (calls <= at) return call(...args)
    if (first <= at) {
      isBroken = true
      if (how === 'unheard') await call(...args)
      if (how === 'torn' && pieces.length > 1) await call([pieces[at - first]])
      throw broken()
    }
    if (how === 'ended' || how === 'torn') throw broken()
    return call(...args)
  }

  function wrap<Port extends object>(port: Port, names: readonly string[]): Port {
    return everyCall(port, (call, args, name) =>
      names.includes(name)
        ? step(call as (...args: readonly unknown[]) => Promise<unknown>, args)
        : call(...args),
    )
  }

  return {
    store: store => wrap(store, WRITES.store),
    catalog: catalog => wrap(catalog, WRITES.catalog),
    facts: facts => wrap(facts, WRITES.facts),
    arm: (at, how) => {
      armed = { at, how }
      calls = 0
      isBroken = false
    },
    disarm: () => {
      armed = undefined
    },
    get isBroken() {
      return isBroken
    },
  }
}
