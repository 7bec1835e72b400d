// An undelivered push, as a catalog begun anew has to know it. A fact may be left of an entry that nobody was told of, that was deleted, or
// that a later push of the same tag has overtaken: carried as it is, it could take a tag back. So of its tags only those are believed
// whose own fact was written by the same push.
import type { Digest } from '../../oci/digest.ts'
import {
  parseRepositoryKey,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { formatDelivery, parseDelivery } from '../deliveries.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NewDelivery } from '../ports/deliveries.ts'
import type { Fact, FactStore } from '../ports/facts.ts'

type DeliveryFact = Extract<Fact, { kind: 'delivery' }>
type TagFact = Extract<Fact, { kind: 'tag' }>
type DeletedFact = Extract<Fact, { kind: 'deleted' }>

/** What the facts say together of undelivered pushes; in memory, as large as the outbox. */
export class Undelivered {
  /** Tags of pushes; true once the tag's own fact was seen. */
  readonly #tags = new Map<string, boolean>()
  /** Manifests; true once a tombstone was seen. */
  readonly #manifests = new Map<string, boolean>()

  add({ key, payload, createdAtMs: atMs }: DeliveryFact): void {
    const delivery = parseDelivery(payload)
    if (delivery === undefined) return
    const { digest } = delivery
    this.#manifests.set(`${key} ${digest}`, false)
    for (const { tag } of delivery.tags) this.#tags.set(pushOf(key, tag, { digest, atMs }), false)
  }

  /** Is an entry to carry what this fact says? Those found are believed from now on. */
  findTag({ repository, tag, digest, atMs }: TagFact): boolean {
    return confirm(this.#tags, pushOf(repository, tag, { digest, atMs }))
  }

  noteDeleted({ repository, digest }: DeletedFact): void {
    confirm(this.#manifests, `${repository} ${digest}`)
  }

  isDeleted(key: string, digest: Digest): boolean {
    return this.#manifests.get(`${key} ${digest}`) === true
  }

  isBelieved(key: string, tag: Tag, push: { digest: Digest; atMs: number }): boolean {
    return this.#tags.get(pushOf(key, tag, push)) === true
  }
}

/** Was it asked about? */
function confirm(seen: Map<string, boolean>, key: string): boolean {
  if (!seen.has(key)) return false
  seen.set(key, true)
  return true
}

function pushOf(key: string, tag: Tag, { digest, atMs }: { digest: Digest; atMs: number }): string {
  return `${key} ${tag} ${digest} ${atMs}`
}

/** False when there is nothing left of it to deliver; then its fact is removed. @throws StoreError */
export async function rebuildDelivery(
  { catalog, facts }: { readonly catalog: Catalog; readonly facts: FactStore },
  fact: DeliveryFact,
  known: Undelivered,
): Promise<boolean> {
  const { kind: _, ...entry } = fact
  const delivery = parseDelivery(entry.payload)
  if (delivery === undefined) {
    // Its carrier parks it, so that an operator sees it.
    await catalog.recordDelivery(entry)
    return true
  }
  const { key, createdAtMs: atMs } = entry
  const { digest } = delivery
  const repository = parseRepositoryKey(key)
  const tags = delivery.tags.filter(({ tag }) => known.isBelieved(key, tag, { digest, atMs }))
  const manifest = await catalog.findManifest(repository, digest)
  // A push by digest has no tag whose fact could tell.
  const isTold = tags.length > 0 || (await isKnown(facts, repository, digest))
  const isLost = manifest === undefined && isTold && !known.isDeleted(key, digest)
  if (manifest === undefined && !isLost) {
    await facts.remove([{ kind: 'delivery', id: entry.id }])
    return false
  }
  const rest: NewDelivery =
    tags.length === delivery.tags.length
      ? entry
      : formatDelivery(repository, { ...delivery, tags }, { id: entry.id, atMs })
  // Whose bytes are lost, an operator sees in the queue.
  if (manifest === undefined) await catalog.recordDelivery(rest)
  else
    await catalog.recordPush({
      repository,
      manifest,
      contentClass: 'kept',
      tags: tags.map(({ tag }) => tag),
      local: true,
      delivery: rest,
      atMs,
    })
  await doubt(catalog, rest)
  return true
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
