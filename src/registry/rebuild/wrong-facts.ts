// Where facts and the catalog disagree: looked for by the comparison after a start, which puts it
// right (compare-facts.ts), and by who only tells of it (fsck/). Changes nothing.
import { parseRepositoryKey, repositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import { factByCatalog, saysTheSame } from '../facts/recorded-facts.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Fact, FactIdentity, FactStore, ListedFact } from '../ports/facts.ts'
import type { Delivery } from '../ports/outbox.ts'
import { type EarlierFact, howKnown, isEarlierFact } from './record-earlier-fact.ts'

export interface WrongFactsDeps {
  readonly catalog: Catalog
  readonly store: Pick<BlobStore, 'find'>
  readonly facts: Pick<FactStore, 'has' | 'find'>
}

/** What is to be put back together, in which turn. */
export interface Wrong {
  readonly turn: string
  readonly identities: readonly FactIdentity[]
  /** To be learned from, and not only put right. */
  readonly earlier?: EarlierFact
  /**
   * Right, and told under a catalog that is lost: told anew it need not be looked through at each
   * start.
   */
  readonly isOld?: true
}

/** Of what only rows tell: the tag, and the manifest to which it is to lead once they are lost. */
export async function missingTag(
  { facts }: Pick<WrongFactsDeps, 'facts'>,
  repository: RepositoryKey,
  { tag, digest }: RecordedTag,
): Promise<Wrong | undefined> {
  const identity = { kind: 'tag', repository, tag } as const
  const manifest = { kind: 'manifest', repository, digest } as const
  if ((await facts.has(identity)) && (await facts.has(manifest))) return undefined
  return { turn: repository, identities: [manifest, identity] }
}

export async function missingEntry(
  { facts }: Pick<WrongFactsDeps, 'facts'>,
  { id, key, payload }: Delivery,
): Promise<Wrong | undefined> {
  const identity = { kind: 'delivery', id } as const
  if (await facts.has(identity)) return undefined
  const digest = parseDelivery(payload)?.digest
  if (digest === undefined) return { turn: key, identities: [identity] }
  const repository = repositoryKey(parseRepositoryKey(key))
  return { turn: key, identities: [{ kind: 'manifest', repository, digest }, identity] }
}

/** Undefined when nothing is. */
export async function wrongBy(deps: WrongFactsDeps, fact: ListedFact): Promise<Wrong | undefined> {
  const right = await factByCatalog(deps.catalog, { identity: fact, atMs: 0 })
  const wrong = concernedBy(fact)
  if (isEarlierFact(fact)) {
    if (right === undefined) return { ...wrong, earlier: fact }
    const known = fact.kind === 'manifest' ? await howKnown(deps, fact) : 'all'
    if (known === 'in part') return { ...wrong, earlier: fact }
    const isToBeTold = fact.kind === 'manifest' || fact.kind === 'deleted'
    if (isToBeTold && known === 'all' && saysTheSame(fact, right)) return { ...wrong, isOld: true }
  }
  return saysTheSame(fact, right) ? undefined : wrong
}

/** Where one of a manifest's fact and its tombstone is wrong, so may be the other. */
function concernedBy(fact: Fact): Wrong {
  if (fact.kind === 'delivery') return { turn: fact.key, identities: [fact] }
  const { kind, repository } = fact
  if (kind === 'tag') return { turn: repository, identities: [fact] }
  const { digest } = fact
  const manifest = { kind: 'manifest', repository, digest } as const
  return { turn: repository, identities: [manifest, { kind: 'deleted', repository, digest }] }
}

export function repositoriesOf(catalog: Catalog): AsyncGenerator<RepositoryKey> {
  return rowsOf<RepositoryKey, string>(
    page => catalog.listRepositories(page),
    key => key,
  )
}

export function localTagsOf(catalog: Catalog, key: RepositoryKey): AsyncGenerator<RecordedTag> {
  const repository = parseRepositoryKey(key)
  return rowsOf<RecordedTag, string>(
    page => catalog.listLocalTags(repository, page),
    ({ tag }) => tag,
  )
}

export function entriesOf(catalog: Catalog): AsyncGenerator<Delivery> {
  return rowsOf<Delivery, number>(
    page => catalog.listDeliveries(page),
    ({ id }) => id,
  )
}
