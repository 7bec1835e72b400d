// The catalog in memory: the twin that tests use and the model that the SQLite catalog is compared with. It says the same by
// the plainest means, keeps nothing, and is bounded by nothing but the test that uses it.
import type { Digest } from '../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey, type Tag } from '../oci/reference.ts'
import { StoreError } from '../registry/ports/blob-store.ts'
import type {
  Catalog,
  CatalogTotals,
  ContentFact,
  Edge,
  ListFact,
  ManifestFact,
  Page,
  RecordBlob,
  RecordManifest,
  TagCheck,
  TagFact,
} from '../registry/ports/catalog.ts'
import { MAX_REFERRERS } from './bounds.ts'

interface RepositoryState {
  /** Members, and the size that a manifest here gives them. */
  readonly members: Map<Digest, number | undefined>
  readonly tags: Map<Tag, TagFact>
  readonly lists: Map<string, ListFact>
}

export function createMemoryCatalog(): Catalog {
  return new MemoryCatalog()
}

class MemoryCatalog implements Catalog {
  readonly #contents = new Map<Digest, ContentFact>()
  readonly #edges = new Map<Digest, readonly Edge[]>()
  readonly #repositories = new Map<RepositoryKey, RepositoryState>()
  #closed = false

  async findManifest(repository: Repository, digest: Digest): Promise<ManifestFact | undefined> {
    const content = this.#here(repository)?.members.has(digest)
      ? this.#contents.get(digest)
      : undefined
    if (content?.mediaType === undefined) return undefined
    const { mediaType, sizeBytes } = content
    return { digest, mediaType, sizeBytes, edges: this.#edges.get(digest) ?? [] }
  }

  async findContent(digest: Digest): Promise<ContentFact | undefined> {
    this.#assertOpen()
    return this.#contents.get(digest)
  }

  async isMember(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#here(repository)?.members.has(digest) ?? false
  }

  async sizeOf(repository: Repository, digest: Digest): Promise<number | undefined> {
    const members = this.#here(repository)?.members
    if (members === undefined || !members.has(digest)) return undefined
    return members.get(digest) ?? this.#contents.get(digest)?.sizeBytes
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

  async listRepositories({ after = '', limit }: Page): Promise<RepositoryKey[]> {
    return this.#held()
      .filter(key => key > after)
      .sort()
      .slice(0, limit)
  }

  async listReferrers(repository: Repository, digest: Digest): Promise<Digest[]> {
    const members = [...(this.#here(repository)?.members.keys() ?? [])]
    return members
      .filter(member => this.#isManifest(member) && this.#refersTo(member, digest))
      .sort()
      .slice(0, MAX_REFERRERS)
  }

  async findList(repository: Repository, key: string): Promise<ListFact | undefined> {
    return this.#here(repository)?.lists.get(key)
  }

  async listContent(page: { after?: Digest; limit: number }): Promise<ContentFact[]> {
    this.#assertOpen()
    return [...this.#contents.values()]
      .filter(({ digest }) => page.after === undefined || digest > page.after)
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .slice(0, page.limit)
  }

  async totals(): Promise<CatalogTotals> {
    this.#assertOpen()
    const contents = [...this.#contents.values()]
    const manifests = contents.filter(({ mediaType }) => mediaType !== undefined).length
    const states = [...this.#repositories.values()]
    return {
      repositories: this.#held().length,
      tags: states.reduce((sum, { tags }) => sum + tags.size, 0),
      manifests,
      blobs: contents.length - manifests,
      contentBytes: contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }
  }

  async recordManifest(record: RecordManifest): Promise<void> {
    const { manifest, contentClass, atMs } = record
    const { digest, mediaType, sizeBytes } = manifest
    const { members, tags } = this.#open(record.repository)
    this.#setPresent({
      digest,
      mediaType,
      sizeBytes,
      contentClass,
      createdAtMs: atMs,
      lastUsedAtMs: atMs,
    })
    this.#edges.set(digest, manifest.edges)
    if (!members.has(digest)) members.set(digest, undefined)
    for (const holder of this.#repositories.values())
      if (holder.members.has(digest)) this.#addBelow(holder, digest)
    if (record.tag !== undefined)
      pointTag(tags, { ...record, tag: record.tag, digest, checkedAtMs: atMs })
  }

  async recordBlob({
    repository,
    digest,
    sizeBytes,
    contentClass,
    atMs,
  }: RecordBlob): Promise<void> {
    const mediaType = this.#contents.get(digest)?.mediaType
    this.#addMember(this.#open(repository), digest)
    this.#setPresent({
      digest,
      mediaType,
      sizeBytes,
      contentClass,
      createdAtMs: atMs,
      lastUsedAtMs: atMs,
    })
  }

  async recordMember(repository: Repository, digest: Digest): Promise<void> {
    this.#addMember(this.#open(repository), digest)
  }

  async recordTag(
    repository: Repository,
    tag: Tag,
    digest: Digest,
    check: TagCheck,
  ): Promise<void> {
    pointTag(this.#open(repository).tags, { ...check, tag, digest })
  }

  async recordList(repository: Repository, key: string, list: ListFact): Promise<void> {
    this.#open(repository).lists.set(key, list)
  }

  noteUse(digest: Digest, atMs: number): void {
    const content = this.#contents.get(digest)
    if (content !== undefined && content.lastUsedAtMs < atMs)
      this.#contents.set(digest, { ...content, lastUsedAtMs: atMs })
  }

  async forgetTag(repository: Repository, tag: Tag): Promise<void> {
    this.#here(repository)?.tags.delete(tag)
  }

  async forgetContent(digest: Digest): Promise<void> {
    this.#assertOpen()
    this.#contents.delete(digest)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreError('io', 'the catalog is closed')
  }

  #here(repository: Repository): RepositoryState | undefined {
    this.#assertOpen()
    return this.#repositories.get(repositoryKey(repository))
  }

  #open(repository: Repository): RepositoryState {
    const here = this.#here(repository)
    if (here !== undefined) return here
    const made: RepositoryState = { members: new Map(), tags: new Map(), lists: new Map() }
    this.#repositories.set(repositoryKey(repository), made)
    return made
  }

  #setPresent(fact: ContentFact): void {
    const before = this.#contents.get(fact.digest)
    this.#contents.set(fact.digest, {
      ...fact,
      contentClass: before?.contentClass === 'kept' ? 'kept' : fact.contentClass,
      createdAtMs: before?.createdAtMs ?? fact.createdAtMs,
      lastUsedAtMs: Math.max(before?.lastUsedAtMs ?? 0, fact.lastUsedAtMs),
    })
  }

  #addMember(state: RepositoryState, digest: Digest): void {
    if (state.members.has(digest)) return
    state.members.set(digest, undefined)
    this.#addBelow(state, digest)
  }

  /** What a manifest lists, and what that lists in turn, nearest first. */
  #addBelow(state: RepositoryState, digest: Digest): void {
    const queue: Edge[] = [...this.#listed(digest)]
    const seen = new Set<Digest>()
    for (const { child, sizeBytes, distributable } of queue) {
      state.members.set(child, state.members.get(child) ?? (distributable ? sizeBytes : undefined))
      if (seen.has(child)) continue
      seen.add(child)
      queue.push(...this.#listed(child))
    }
  }

  #listed(parent: Digest): readonly Edge[] {
    return (this.#edges.get(parent) ?? []).filter(({ kind }) => kind !== 'subject')
  }

  #isManifest(digest: Digest): boolean {
    return this.#contents.get(digest)?.mediaType !== undefined
  }

  #refersTo(parent: Digest, subject: Digest): boolean {
    const edges = this.#edges.get(parent) ?? []
    return edges.some(({ kind, child }) => kind === 'subject' && child === subject)
  }

  #held(): RepositoryKey[] {
    return [...this.#repositories]
      .filter(
        ([, { members, tags }]) =>
          tags.size > 0 || members.keys().some(member => this.#isManifest(member)),
      )
      .map(([key]) => key)
  }
}

function pointTag(tags: Map<Tag, TagFact>, to: TagCheck & { tag: Tag; digest: Digest }): void {
  const { tag, digest, checkedAtMs } = to
  const before = tags.get(tag)
  const { changedAtMs, previous } =
    before?.digest === digest
      ? before
      : { changedAtMs: checkedAtMs, previous: to.previous ?? before?.previous }
  tags.set(tag, { tag, digest, checkedAtMs, changedAtMs, previous })
}
