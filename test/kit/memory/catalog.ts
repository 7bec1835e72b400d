// The catalog in memory: the twin that tests use and the model that the SQLite catalog is compared
// with. It says the same by the plainest means, keeps nothing, and is bounded by nothing but the
// test that uses it.
import { randomUUID } from 'node:crypto'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RegistryHost, Repository, RepositoryKey, Tag } from '../../../src/oci/reference.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type {
  CatalogTotals,
  ContentFact,
  ManifestFact,
  Member,
  RecordBlob,
  RecordManifest,
} from '../../../src/registry/ports/catalog-content.ts'
import type {
  DeleteOptions,
  PendingBlob,
  PendingPage,
  RecordPush,
} from '../../../src/registry/ports/catalog-pushes.ts'
import type { ListFact, Page, TagCheck, TagFact } from '../../../src/registry/ports/catalog-tags.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type {
  Carrier,
  Delivery,
  DeliveryChange,
  NewDelivery,
  OutboxTotals,
} from '../../../src/registry/ports/outbox.ts'
import {
  assertBounded,
  boundedRests,
  MAX_DELIVERERS,
  MAX_REFERRERS,
} from '../../../src/catalog/bounds.ts'
import { MemoryOutbox } from './catalog-outbox.ts'
import { addPending, listPendingBlobs, complete } from './catalog-pending.ts'
import { expirePendingBlob, removeMember } from './catalog-removal.ts'
import {
  dropTag,
  MemoryRepositories,
  pointTag,
  pushTag,
  settleTags,
  type RepositoryState,
} from './catalog-repositories.ts'

export function createMemoryCatalog(): Catalog {
  return new MemoryCatalog()
}

class MemoryCatalog implements Catalog {
  readonly identity = randomUUID()
  readonly #repositories = new MemoryRepositories()
  readonly #outbox = new MemoryOutbox()
  #sequence = 0
  #rebuilt = false
  #closed = false

  get rebuilt(): boolean {
    return this.#rebuilt
  }

  async findManifest(repository: Repository, digest: Digest): Promise<ManifestFact | undefined> {
    return this.#open().manifest(repository, digest)
  }

  async findContent(digest: Digest): Promise<ContentFact | undefined> {
    return this.#open().contents.get(digest)
  }

  async findMember(repository: Repository, digest: Digest): Promise<Member | undefined> {
    const member = this.#here(repository)?.members.get(digest)
    if (member === undefined) return undefined
    const { delivered } = member
    return { delivered, mediaType: this.#open().manifest(repository, digest)?.mediaType }
  }

  async wasTaken(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#here(repository)?.taken.has(digest) ?? false
  }

  async listDeliverers(digest: Digest): Promise<RegistryHost[]> {
    return this.#open().deliverers(digest).slice(0, MAX_DELIVERERS)
  }

  async sizeOf(repository: Repository, digest: Digest): Promise<number | undefined> {
    return this.#open().size(repository, digest)
  }

  async findTag(repository: Repository, tag: Tag): Promise<TagFact | undefined> {
    return this.#here(repository)?.tags.get(tag)
  }

  async listTags(repository: Repository, { after = '', limit }: Page): Promise<TagFact[]> {
    const facts = [...(this.#here(repository)?.tags.values() ?? [])]
    return facts
      .filter(fact => fact.tag > after)
      .sort((a, b) => (a.tag < b.tag ? -1 : 1))
      .slice(0, limit)
  }

  async listLocalTags(repository: Repository, { limit, ...page }: Page): Promise<TagFact[]> {
    const all = await this.listTags(repository, { ...page, limit: Number.POSITIVE_INFINITY })
    return all.filter(({ local }) => local).slice(0, limit)
  }

  async listRepositories({ after = '', limit }: Page): Promise<RepositoryKey[]> {
    const listed = this.#open().listed()
    return listed.filter(key => key > after).slice(0, limit)
  }

  async listHolders(digest: Digest, page: { registry: RegistryHost; limit: number }) {
    return this.#open().holders(digest, page.registry).slice(0, page.limit)
  }

  async listRepositoriesOf(digest: Digest, limit: number): Promise<RepositoryKey[]> {
    return this.#open().repositoriesOf(digest).slice(0, limit)
  }

  async listReferrers(repository: Repository, digest: Digest): Promise<Digest[]> {
    return this.#open().referrers(repository, digest).slice(0, MAX_REFERRERS)
  }

  async findList(repository: Repository, key: string): Promise<ListFact | undefined> {
    return this.#here(repository)?.lists.get(key)
  }

  async listContent(page: { after?: Digest; limit: number }): Promise<ContentFact[]> {
    return [...this.#open().contents.values()]
      .filter(({ digest }) => page.after === undefined || digest > page.after)
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .slice(0, page.limit)
  }

  async totals(): Promise<CatalogTotals> {
    return this.#open().totals()
  }

  async recordManifest(record: RecordManifest): Promise<void> {
    const { digest } = record.manifest
    const all = this.#open()
    const state = all.open(record.repository)
    all.setPresent({ ...record.manifest, ...record })
    all.addManifest(state, record.manifest)
    if (record.tag !== undefined)
      pointTag(state, { ...record, tag: record.tag, digest, checkedAtMs: record.atMs })
  }

  async recordPush(record: RecordPush): Promise<void> {
    const { tags, delivery } = record
    if (delivery !== undefined) assertBounded(delivery)
    const { digest } = record.manifest
    const all = this.#open()
    const state = all.open(record.repository)
    all.setPresent({ ...record.manifest, ...record })
    complete(state, record)
    all.addPushed(state, record.manifest, record.elsewhere ?? [])
    for (const tag of tags) pushTag(state, { ...record, tag, digest, delivery: delivery?.id })
    if (delivery !== undefined) this.#outbox.add(delivery)
  }

  async recordBlob(record: RecordBlob): Promise<void> {
    const state = this.#open().open(record.repository)
    this.#repositories.addMember(state, record.digest, true)
    this.#repositories.setPresent({ ...record, mediaType: undefined })
    addPending(state.pending, record)
  }

  async recordMember(repository: Repository, digest: Digest): Promise<void> {
    const all = this.#open()
    all.addMember(all.open(repository), digest)
  }

  async recordTag(
    repository: Repository,
    tag: Tag,
    digest: Digest,
    check: TagCheck,
  ): Promise<void> {
    pointTag(this.#open().open(repository), { ...check, tag, digest })
  }

  async recordList(repository: Repository, key: string, list: ListFact): Promise<void> {
    this.#open().open(repository).lists.set(key, list)
  }

  noteUse(digest: Digest, atMs: number): void {
    const { contents } = this.#repositories
    const content = contents.get(digest)
    if (content !== undefined && content.lastUsedAtMs < atMs)
      contents.set(digest, { ...content, lastUsedAtMs: atMs })
  }

  async forgetTag(repository: Repository, tag: Tag): Promise<void> {
    const state = this.#here(repository)
    if (state?.tags.get(tag)?.local === false) dropTag(state, tag)
  }

  async deleteTag(repository: Repository, tag: Tag, options: DeleteOptions = {}): Promise<void> {
    const bounded = boundedRests(options)
    const state = this.#here(repository)
    if (state !== undefined) dropTag(state, tag)
    this.#outbox.withdraw(bounded)
  }

  async forgetContent(digest: Digest): Promise<void> {
    const all = this.#open()
    const isKept = all.contents.get(digest)?.contentClass === 'kept'
    if (!isKept || !all.isHeld(digest)) all.contents.delete(digest)
  }

  async removeMember(repository: Repository, digest: Digest, options: DeleteOptions = {}) {
    const bounded = boundedRests(options)
    const state = this.#here(repository)
    if (state !== undefined) removeMember(state, digest, this.#repositories.edges)
    this.#outbox.withdraw(bounded)
  }

  async listPendingBlobs(page: PendingPage): Promise<PendingBlob[]> {
    return listPendingBlobs(this.#open().all(), page)
  }

  async expirePendingBlob(pending: PendingBlob): Promise<void> {
    expirePendingBlob(this.#here(pending.repository), pending, this.#repositories.edges)
  }

  sequence(): number {
    this.#open()
    return ++this.#sequence
  }

  async raiseSequence(floor: number): Promise<void> {
    this.#open()
    this.#sequence = Math.max(this.#sequence, floor)
  }

  async recordDelivery(delivery: NewDelivery): Promise<void> {
    this.#open()
    assertBounded(delivery)
    this.#outbox.add(delivery)
  }

  async listDeliveries(page: { after?: number; limit: number }): Promise<Delivery[]> {
    this.#open()
    return this.#outbox.list(page)
  }

  async findDelivery(id: number): Promise<Delivery | undefined> {
    this.#open()
    return this.#outbox.find(id)
  }

  async listDeliveriesOf(key: string): Promise<Delivery[]> {
    this.#open()
    return this.#outbox.listOf(key)
  }

  async listDue(page: { carrier: Carrier; limit: number }): Promise<Delivery[]> {
    this.#open()
    return this.#outbox.listDue(page)
  }

  async changeDelivery(id: number, change: DeliveryChange): Promise<void> {
    this.#open()
    this.#outbox.change(id, change)
  }

  async removeDelivery(
    id: number,
    settled?: { repository: Repository; digest: Digest; tags: readonly Tag[]; atMs: number },
  ): Promise<void> {
    this.#open()
    this.#outbox.remove(id)
    const state = settled === undefined ? undefined : this.#here(settled.repository)
    if (settled === undefined || state === undefined) return
    settleTags(state, settled, last => last > id && this.#outbox.has(last))
  }

  async outboxTotals(): Promise<OutboxTotals[]> {
    this.#open()
    return this.#outbox.totals()
  }

  async markRebuilt(): Promise<void> {
    this.#open()
    this.#rebuilt = true
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #open(): MemoryRepositories {
    if (this.#closed) throw new StoreError('io', 'the catalog is closed')
    return this.#repositories
  }

  #here(repository: Repository): RepositoryState | undefined {
    return this.#open().find(repository)
  }
}
