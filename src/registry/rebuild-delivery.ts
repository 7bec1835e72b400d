// An undelivered push, as a catalog begun anew has to know it. A fact may be left of an entry that nobody was told of, that was deleted, or
// that a later push of the same tag has overtaken: carried as it is, it could take a tag back. So of its tags only those are believed
// whose own fact was written by the same push.
import { parseRepositoryKey } from '../oci/reference.ts'
import { type DeliveredTag, formatDelivery, parseDelivery } from './deliveries.ts'
import type { Catalog, NewDelivery } from './ports/catalog.ts'
import type { Fact, FactStore } from './ports/facts.ts'

type DeliveryFact = Extract<Fact, { kind: 'delivery' }>
type TagFact = Extract<Fact, { kind: 'tag' }>

/** Which tags undelivered pushes made; as many as the outbox holds. */
export class CarriedTags {
  /** By push; true once the tag's own fact was seen. */
  readonly #tags = new Map<string, boolean>()

  add(fact: DeliveryFact): void {
    const delivery = parseDelivery(fact.payload)
    for (const { tag } of delivery?.tags ?? [])
      this.#tags.set(pushOf(fact.key, tag, { ...delivery, atMs: fact.createdAtMs }), false)
  }

  /** Is an entry to carry what this fact says? Those found are believed from now on. */
  find({ repository, tag, digest, atMs }: TagFact): boolean {
    const push = pushOf(repository, tag, { digest, atMs })
    if (!this.#tags.has(push)) return false
    this.#tags.set(push, true)
    return true
  }

  believed(fact: DeliveryFact): readonly DeliveredTag[] {
    const delivery = parseDelivery(fact.payload)
    return (delivery?.tags ?? []).filter(
      ({ tag }) =>
        this.#tags.get(pushOf(fact.key, tag, { ...delivery, atMs: fact.createdAtMs })) === true,
    )
  }
}

/** False when there is nothing left of it to deliver; then its fact is removed. @throws StoreError */
export async function rebuildDelivery(
  { catalog, facts }: { readonly catalog: Catalog; readonly facts: FactStore },
  fact: DeliveryFact,
  carried: CarriedTags,
): Promise<boolean> {
  const { kind: _, ...entry } = fact
  const delivery = parseDelivery(entry.payload)
  if (delivery === undefined) {
    // Its carrier parks it, so that an operator sees it.
    await catalog.recordDelivery(entry)
    return true
  }
  const repository = parseRepositoryKey(entry.key)
  const tags = carried.believed(fact)
  const manifest = await catalog.findManifest(repository, delivery.digest)
  if (manifest === undefined && tags.length === 0) {
    await facts.remove([{ kind: 'delivery', id: entry.id }])
    return false
  }
  const atMs = entry.createdAtMs
  const rest: NewDelivery =
    tags.length === delivery.tags.length
      ? entry
      : formatDelivery(repository, { ...delivery, tags }, { id: entry.id, atMs })
  if (rest !== entry) await facts.write([{ kind: 'delivery', ...rest }])
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

function pushOf(
  key: string,
  tag: string,
  { digest, atMs }: { digest?: string; atMs: number },
): string {
  return `${key} ${tag} ${digest} ${atMs}`
}
