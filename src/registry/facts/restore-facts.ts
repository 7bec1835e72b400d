// Facts that were written or removed for something that then did not happen are put back to what
// the catalog says, which is right while it lives; and where it never knew of what is lost, to what
// lay there. Here by whoever failed; what a process that ended could not put back is found by
// compare-facts.ts.
import { filterFew } from '../../async/few-at-once.ts'
import { bestEffort } from '../best-effort.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { FactIdentity, FactStore, ListedFact } from '../ports/facts.ts'
import { factByCatalog, saysTheSame } from './recorded-facts.ts'
import type { UnknownFacts } from './unknown-facts.ts'

export interface RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly note: NoteEvent
}

/** Looks at the disk at a time. */
const LOOKS_AT_ONCE = 4

/** `atMs` is now: when what is not there was last known not to be. */
export interface Restore {
  readonly identities: readonly FactIdentity[]
  readonly atMs: number
  /** Default: the catalog knew of all. */
  readonly unknown?: UnknownFacts
}

/**
 * MUST run in the repository's turn. Throws nothing that the disk or the catalog brought about,
 * which are what failed.
 */
export async function restoreFacts(deps: RestoreDeps, restore: Restore): Promise<void> {
  await bestEffort(deps.note, () => putBack(deps, restore))
}

/** The same, telling. What is missing is there before anything goes. @throws StoreError */
export async function putBack(
  deps: Pick<RestoreDeps, 'catalog' | 'facts'>,
  { identities, ...restore }: Restore,
): Promise<void> {
  const { facts } = deps
  const right = await Promise.all(identities.map(identity => rightOf(deps, identity, restore)))
  const told = right.filter(fact => fact !== undefined && fact !== 'unreadable')
  // On a full disk each one that is written may take of the room by which it is emptied.
  const kept = await filterFew(told, LOOKS_AT_ONCE, async fact => !(await lies(facts, fact)))
  const ordered = await Promise.all(kept.map(fact => withOrder(facts, fact)))
  // A full disk is often why it failed, and what was told is not to be taken for want of room.
  if (ordered.length > 0) await facts.write(ordered, { takesAway: true })
  const superfluous = identities.filter((_, at) => right[at] === undefined)
  if (superfluous.length > 0) await facts.remove(superfluous)
}

/**
 * What is to lie there; `unreadable`: whatever does. What the catalog did not know of, and does not
 * now, is as it was: nobody gave it up, and nothing else tells of it.
 */
async function rightOf(
  { catalog }: Pick<RestoreDeps, 'catalog'>,
  identity: FactIdentity,
  { atMs, unknown }: Omit<Restore, 'identities'>,
): Promise<ListedFact | 'unreadable' | undefined> {
  const recorded = await factByCatalog(catalog, { identity, atMs })
  if (unknown?.has(identity) !== true) return recorded
  const isGone = identity.kind === 'deleted' ? recorded !== undefined : recorded === undefined
  return isGone ? unknown.find(identity) : recorded
}

/** Untouched, or written already. */
async function lies(facts: FactStore, fact: ListedFact): Promise<boolean> {
  const found = await facts.find(fact)
  if (found === undefined || found === 'unreadable') return false
  return found.isEarlier === fact.isEarlier && saysTheSame(found, fact)
}

/** Of a delete its fact alone says the order. */
async function withOrder(facts: FactStore, fact: ListedFact): Promise<ListedFact> {
  if (fact.kind !== 'deleted' || fact.order !== undefined) return fact
  const before = await facts.find(fact)
  if (before === undefined || before === 'unreadable' || before.kind !== 'deleted') return fact
  return before.order === undefined ? fact : { ...fact, order: before.order }
}
