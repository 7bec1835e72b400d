// Facts that were written or removed for something that then did not happen are put back to what
// the catalog says, which is right while it lives; and where it never knew of what is lost, to what
// lay there. Here by whoever failed; what a process that ended could not put back is found by
// compare-facts.ts.
import { parseRepositoryKey } from '../oci/reference.ts'
import { bestEffort } from './best-effort.ts'
import type { Catalog } from './ports/catalog.ts'
import type { NoteEvent } from './ports/events.ts'
import { keptManifestFact } from './kept-manifest.ts'
import type { Fact, FactIdentity, FactStore, ListedFact } from './ports/facts.ts'
import type { Stock } from './stock.ts'

export interface RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly note: NoteEvent
  /** Absent: facts may say more than the catalog. */
  readonly stock?: Pick<Stock, 'isAllFound'> | undefined
}

/** `atMs` is now: when what is not there was last known not to be. */
export interface Restore {
  readonly identities: readonly FactIdentity[]
  readonly atMs: number
  /** Default: the catalog knew of all. */
  readonly unknown?: UnknownFacts
}

/**
 * Facts of what is lost, as they lay there before a change; and their tombstones, undefined where
 * there was none.
 */
export class UnknownFacts {
  readonly #found = new Map<string, ListedFact | 'unreadable' | undefined>()

  /** Before anything changes. @throws StoreError */
  static async of(
    { catalog, facts, stock }: Omit<RestoreDeps, 'note'>,
    identities: readonly FactIdentity[],
  ): Promise<UnknownFacts> {
    const unknown = new UnknownFacts()
    if (stock?.isAllFound === true) return unknown
    for (const identity of identities) {
      const named = identity.kind === 'deleted' ? manifestOf(identity) : identity
      const fact = await facts.find(named)
      // What was told under this catalog it knows, or was cut off.
      if (fact === undefined || (fact !== 'unreadable' && fact.isEarlier !== true)) continue
      if ((await asRecorded(catalog, { identity: named, atMs: 0 })) !== undefined) continue
      const found = named === identity ? fact : await facts.find(identity)
      unknown.#found.set(textOf(identity), found)
    }
    return unknown
  }

  has(identity: FactIdentity): boolean {
    return this.#found.has(textOf(identity))
  }

  find(identity: FactIdentity): ListedFact | 'unreadable' | undefined {
    return this.#found.get(textOf(identity))
  }
}

function manifestOf({ repository, digest }: Extract<FactIdentity, { kind: 'deleted' }>) {
  return { kind: 'manifest', repository, digest } as const
}

function textOf(identity: FactIdentity): string {
  const { kind } = identity
  if (kind === 'delivery') return `${kind} ${identity.id}`
  return `${kind} ${identity.repository} ${kind === 'tag' ? identity.tag : identity.digest}`
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
  const kept = right.filter(fact => fact !== undefined && fact !== 'unreadable')
  const ordered = await Promise.all(kept.map(fact => withOrder(facts, fact)))
  if (ordered.length > 0) await facts.write(ordered)
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
  const recorded = await asRecorded(catalog, { identity, atMs })
  if (unknown?.has(identity) !== true) return recorded
  const isGone = identity.kind === 'deleted' ? recorded !== undefined : recorded === undefined
  return isGone ? unknown.find(identity) : recorded
}

/** Of a delete its fact alone says the order. */
async function withOrder(facts: FactStore, fact: ListedFact): Promise<ListedFact> {
  if (fact.kind !== 'deleted' || fact.order !== undefined) return fact
  const before = await facts.find(fact)
  if (before === undefined || before === 'unreadable' || before.kind !== 'deleted') return fact
  return before.order === undefined ? fact : { ...fact, order: before.order }
}

/**
 * What the fact with this identity has to say; undefined when there is to be none.
 * @throws StoreError
 */
export async function asRecorded(
  catalog: Catalog,
  { identity, atMs }: { identity: FactIdentity; atMs: number },
): Promise<Fact | undefined> {
  switch (identity.kind) {
    case 'manifest':
      return manifestFact(catalog, identity)
    case 'tag': {
      const { kind, repository, tag } = identity
      const known = await catalog.findTag(parseRepositoryKey(repository), tag)
      if (known?.local !== true) return undefined
      const { digest, checkedAtMs, order } = known
      const fact = { kind, repository, tag, digest, atMs: checkedAtMs }
      return order === undefined ? fact : { ...fact, order }
    }
    case 'delivery': {
      const entry = await catalog.findDelivery(identity.id)
      if (entry === undefined) return undefined
      const { id, carrier, key, payload, createdAtMs } = entry
      return { kind: 'delivery', id, carrier, key, payload, createdAtMs }
    }
    case 'deleted': {
      const { kind, repository, digest } = identity
      const member = await catalog.findMember(parseRepositoryKey(repository), digest)
      return member === undefined ? { kind, repository, digest, atMs } : undefined
    }
  }
}

async function manifestFact(
  catalog: Catalog,
  { repository, digest }: Extract<FactIdentity, { kind: 'manifest' }>,
): Promise<Fact | undefined> {
  const content = await catalog.findContent(digest)
  if (content?.contentClass !== 'kept') return undefined
  const owner = parseRepositoryKey(repository)
  const manifest = await catalog.findManifest(owner, digest)
  if (manifest === undefined) return undefined
  return keptManifestFact(catalog, owner, { manifest, atMs: content.createdAtMs })
}
