// An undelivered push, as a catalog begun anew has to know it. A fact may be left of an entry that
// nobody was told of, that was deleted, or that a later push of the same tag has overtaken: carried
// as it is, it could take a tag back. So of its tags only those are believed whose own fact was
// written by the same push; and while one of those cannot be read, nobody can tell, and the entry
// stays a fact.
import type { Digest } from '../../oci/digest.ts'
import {
  parseRepositoryKey,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { type DeliveredTag, formatDelivery, parseDelivery } from '../deliveries/delivery-payload.ts'
import type { StoredContent } from '../content/content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NewDelivery } from '../ports/outbox.ts'
import type { Fact, FactStore } from '../ports/facts.ts'

export type DeliveryFact = Extract<Fact, { kind: 'delivery' }>
type TagFact = Extract<Fact, { kind: 'tag' }>

/**
 * Which pushes of tags the facts of undelivered entries name; in memory, as large as the outbox.
 */
export class Undelivered {
  readonly #pushes = new Set<string>()

  add({ key, payload, createdAtMs: atMs }: DeliveryFact): void {
    const delivery = parseDelivery(payload)
    if (delivery === undefined) return
    const { digest } = delivery
    for (const { tag } of delivery.tags) this.#pushes.add(pushOf(key, tag, { digest, atMs }))
  }

  /** Is an entry to carry what this fact says? */
  carries({ repository, tag, digest, atMs }: TagFact): boolean {
    return this.#pushes.has(pushOf(repository, tag, { digest, atMs }))
  }
}

function pushOf(key: string, tag: Tag, { digest, atMs }: { digest: Digest; atMs: number }): string {
  return `${key} ${tag} ${digest} ${atMs}`
}

interface Parts {
  readonly catalog: Catalog
  readonly content: StoredContent
  readonly facts: FactStore
}

/**
 * - `recorded`: the catalog has it now
 * - `dropped`: there is nothing left of it to deliver
 * - `unclear`: a tag's fact cannot be read; nothing was changed
 *
 * MUST run when nothing of its repository is being pushed.
 * @throws StoreError
 */
export async function rebuildDelivery(
  { catalog, content, facts }: Parts,
  fact: DeliveryFact,
): Promise<'recorded' | 'dropped' | 'unclear'> {
  const { kind: _, ...entry } = fact
  const delivery = parseDelivery(entry.payload)
  if (delivery === undefined) {
    // Its carrier parks it, so that an operator sees it.
    await catalog.recordDelivery(entry)
    return 'recorded'
  }
  const { key, createdAtMs: atMs } = entry
  const { digest } = delivery
  const repository = parseRepositoryKey(key)
  const tags = await believedOf(facts, repository, { tags: delivery.tags, digest, atMs })
  if (tags === 'unclear') return 'unclear'
  const manifest = await catalog.findManifest(repository, digest)
  // A push by digest has no tag whose fact could tell.
  const hasFact = tags.length > 0 || (await isKnown(facts, repository, digest))
  const isLost = manifest === undefined && hasFact && !(await isDeleted(facts, repository, digest))
  if (manifest === undefined && !isLost) return 'dropped'
  const rest: NewDelivery =
    tags.length === delivery.tags.length
      ? entry
      : formatDelivery(repository, { ...delivery, tags }, { id: entry.id, atMs })
  // Whose bytes are lost, an operator sees in the queue.
  const hold = 'undelivered'
  const more = { tags: tags.map(({ tag }) => tag), hold, delivery: rest, atMs } as const
  if ((await content.pushKnown(repository, digest, more)) === undefined)
    await catalog.recordDelivery(rest)
  await doubt(catalog, rest)
  return 'recorded'
}

/** The tags that this push gave, and no later one. */
async function believedOf(
  facts: FactStore,
  repository: Repository,
  push: { readonly tags: readonly DeliveredTag[]; readonly digest: Digest; readonly atMs: number },
): Promise<readonly DeliveredTag[] | 'unclear'> {
  const believed: DeliveredTag[] = []
  for (const each of push.tags) {
    const { tag } = each
    const found = await facts.find({ kind: 'tag', repository: repositoryKey(repository), tag })
    if (found === 'unreadable') return 'unclear'
    if (found?.kind !== 'tag') continue
    if (found.digest === push.digest && found.atMs === push.atMs) believed.push(each)
  }
  return believed
}

function isDeleted(facts: FactStore, repository: Repository, digest: Digest): Promise<boolean> {
  return facts.has({ kind: 'deleted', repository: repositoryKey(repository), digest })
}

function isKnown(facts: FactStore, repository: Repository, digest: Digest): Promise<boolean> {
  return facts.has({ kind: 'manifest', repository: repositoryKey(repository), digest })
}

/** Whether an attempt had begun is lost with the old catalog; a request of it may still arrive. */
async function doubt(catalog: Catalog, { id, createdAtMs }: NewDelivery): Promise<void> {
  const change = {
    state: 'waiting',
    attempts: 0,
    nextAtMs: createdAtMs,
    reason: undefined,
  } as const
  await catalog.changeDelivery(id, { ...change, inDoubt: true })
}
