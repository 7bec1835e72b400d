// What the catalog in memory knows: content, what manifests list, and what each repository holds;
// and how membership follows from what is recorded. The port's promises are made in catalog.ts.
import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  parseRepositoryKey,
  type RegistryHost,
  type Repository,
  type RepositoryKey,
  repositoryKey,
  type Tag,
} from '../../../src/oci/reference.ts'
import type { PendingBlobs } from './catalog-pending.ts'
import type {
  CatalogTotals,
  RecordedContent,
  Edge,
  RecordedManifest,
} from '../../../src/registry/ports/catalog-content.ts'
import type {
  RecordedList,
  TagCheck,
  RecordedTag,
} from '../../../src/registry/ports/catalog-tags.ts'

export interface Member {
  /**
   * Recorded as a manifest of the repository's upstream, or listed by one: what it lists is here,
   * too.
   */
  readonly lists: boolean
  /** As which manifest it was given here; undefined when it was not. */
  readonly mediaType: string | undefined
  /** The bytes came under this repository. */
  readonly delivered: boolean
}

export interface RepositoryState {
  readonly members: Map<Digest, Member>
  readonly tags: Map<Tag, RecordedTag>
  /** The outbox entry of the last push of a tag. */
  readonly carriedBy: Map<Tag, number | undefined>
  readonly lists: Map<string, RecordedList>
  /** What deleted manifests took along, and whether its bytes had come under this repository. */
  readonly taken: Map<Digest, boolean>
  readonly pending: PendingBlobs
  /** Was a manifest ever pushed to it? */
  pushed: boolean
}

type PresentContent = Omit<RecordedContent, 'createdAtMs' | 'lastUsedAtMs'> & {
  readonly atMs: number
}

export class MemoryRepositories {
  readonly contents = new Map<Digest, RecordedContent>()
  readonly edges = new Map<Digest, readonly Edge[]>()
  /** Whatever was ever named. */
  readonly recorded = new Set<Digest>()
  /** Manifests of which only a client has said what they list. */
  readonly #claimed = new Set<Digest>()
  readonly #states = new Map<RepositoryKey, RepositoryState>()

  find(repository: Repository): RepositoryState | undefined {
    return this.#states.get(repositoryKey(repository))
  }

  open(repository: Repository): RepositoryState {
    const here = this.find(repository)
    if (here !== undefined) return here
    const made = {
      members: new Map(),
      tags: new Map(),
      carriedBy: new Map(),
      lists: new Map(),
      taken: new Map(),
      pending: new Map(),
      pushed: false,
    }
    this.#states.set(repositoryKey(repository), made)
    return made
  }

  all(): [RepositoryKey, RepositoryState][] {
    return [...this.#states].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Those with a tag or a manifest, and those that had a push. */
  listed(): RepositoryKey[] {
    return this.all()
      .filter(([, state]) => state.pushed || this.#holds(state))
      .map(([key]) => key)
  }

  #holds({ members, tags }: RepositoryState): boolean {
    return tags.size > 0 || members.keys().some(member => this.#isManifest(member))
  }

  isHeld(digest: Digest): boolean {
    return this.#states.values().some(({ members }) => members.has(digest))
  }

  /** In order. */
  holders(digest: Digest, registry: RegistryHost): RepositoryKey[] {
    if (!this.contents.has(digest)) return []
    return this.repositoriesOf(digest).filter(key => key.startsWith(`${registry}/`))
  }

  repositoriesOf(digest: Digest): RepositoryKey[] {
    return this.all()
      .filter(([, { members }]) => members.has(digest))
      .map(([key]) => key)
  }

  manifest(repository: Repository, digest: Digest): RecordedManifest | undefined {
    const mediaType = this.find(repository)?.members.get(digest)?.mediaType
    const content = this.contents.get(digest)
    if (mediaType === undefined || content === undefined) return undefined
    return { digest, mediaType, sizeBytes: content.sizeBytes, edges: this.edges.get(digest) ?? [] }
  }

  size(repository: Repository, digest: Digest): number | undefined {
    const members = this.find(repository)?.members ?? new Map<Digest, Member>()
    const member = members.get(digest)
    if (member === undefined) return undefined
    const known = this.contents.get(digest)?.sizeBytes
    if (member.delivered && known !== undefined) return known
    // What its upstream's manifests say, where they agree; what clients have pushed says nothing
    // here (R253).
    const listers = [...members].filter(([, { lists }]) => lists).map(([lister]) => lister)
    const listed = listers
      .flatMap(each => this.#listed(each))
      .filter(({ child }) => child === digest)
    const sizes = new Set(listed.map(({ sizeBytes }) => sizeBytes))
    return sizes.size > 1 ? undefined : (listed[0]?.sizeBytes ?? known)
  }

  /** In order, each once. */
  deliverers(digest: Digest): RegistryHost[] {
    const keys = this.all()
      .filter(([, { members, taken }]) => members.get(digest)?.delivered || taken.get(digest))
      .map(([key]) => parseRepositoryKey(key).registry)
    return [...new Set(keys)]
  }

  /** In order. */
  referrers(repository: Repository, digest: Digest): Digest[] {
    const members = this.find(repository)?.members ?? new Map<Digest, Member>()
    return [...members.keys()]
      .filter(member => members.get(member)?.mediaType !== undefined && this.contents.has(member))
      .filter(member => this.#refersTo(member, digest))
      .sort()
  }

  recordPrevious({ previous }: Pick<TagCheck, 'previous'>): void {
    if (previous !== undefined) this.recorded.add(previous.digest)
  }

  noteUse(digest: Digest, atMs: number): void {
    const content = this.contents.get(digest)
    if (content !== undefined && content.lastUsedAtMs < atMs)
      this.contents.set(digest, { ...content, lastUsedAtMs: atMs })
  }

  totals(): CatalogTotals {
    const contents = [...this.contents.values()]
    const manifests = contents.filter(({ mediaType }) => mediaType !== undefined).length
    return {
      repositories: this.all().filter(([, state]) => this.#holds(state)).length,
      tags: this.all().reduce((sum, [, { tags }]) => sum + tags.size, 0),
      manifests,
      blobs: contents.length - manifests,
      contentBytes: contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }
  }

  setPresent(content: PresentContent): void {
    const { digest, sizeBytes, atMs } = content
    const before = this.contents.get(digest)
    this.recorded.add(digest)
    this.contents.set(digest, {
      digest,
      sizeBytes,
      mediaType: before?.mediaType ?? content.mediaType,
      contentClass: before?.contentClass === 'kept' ? 'kept' : content.contentClass,
      createdAtMs: before?.createdAtMs ?? atMs,
      lastUsedAtMs: Math.max(before?.lastUsedAtMs ?? 0, atMs),
    })
  }

  /** As an upstream says. */
  addManifest(state: RepositoryState, { digest, mediaType, edges }: RecordedManifest): void {
    const isNews = this.#setEdges(digest, edges) || this.#claimed.has(digest)
    this.#claimed.delete(digest)
    const before = state.members.get(digest)
    state.members.set(digest, {
      lists: true,
      mediaType,
      delivered: true,
    })
    if (before?.lists !== true) this.#addBelow(state, digest)
    // Whoever had it listed before its edges were known has now what it lists.
    if (isNews)
      for (const each of this.#states.values())
        if (each.members.get(digest)?.lists === true) this.#addBelow(each, digest)
  }

  /** As a client says: nothing below it becomes a member, but for what is confirmed. */
  addPushed(
    state: RepositoryState,
    { digest, mediaType, edges }: RecordedManifest,
    confirmed: readonly Digest[],
  ): void {
    if (this.#setEdges(digest, edges)) this.#claimed.add(digest)
    state.pushed = true
    const before = state.members.get(digest)
    const pushed = { mediaType, delivered: true }
    state.members.set(digest, { lists: false, ...before, ...pushed })
    for (const each of confirmed) this.addMember(state, each)
  }

  /** By itself, whatever it lists. */
  addMember({ members }: RepositoryState, digest: Digest, delivered = false): void {
    this.recorded.add(digest)
    const before = members.get(digest)
    if (before !== undefined && (before.delivered || !delivered)) return
    members.set(digest, {
      lists: before?.lists ?? false,
      mediaType: before?.mediaType,
      delivered,
    })
  }

  /** True when they are not what was there. */
  #setEdges(digest: Digest, edges: readonly Edge[]): boolean {
    const isSame = isDeepStrictEqual(this.edges.get(digest) ?? [], edges)
    this.edges.set(digest, edges)
    for (const { child } of edges) this.recorded.add(child)
    return !isSame
  }

  #isManifest(digest: Digest): boolean {
    return this.contents.get(digest)?.mediaType !== undefined
  }

  #refersTo(parent: Digest, subject: Digest): boolean {
    const edges = this.edges.get(parent) ?? []
    return edges.some(({ kind, child }) => kind === 'subject' && child === subject)
  }

  /**
   * What a manifest lists, and what that lists in turn as far as an upstream said so, nearest
   * first.
   */
  #addBelow(state: RepositoryState, digest: Digest): void {
    const queue: Edge[] = [...this.#listed(digest)]
    const seen = new Set<Digest>()
    for (const { child } of queue) {
      const known = state.members.get(child)
      state.members.set(child, {
        lists: true,
        mediaType: known?.mediaType,
        delivered: known?.delivered ?? false,
      })
      if (seen.has(child) || this.#claimed.has(child)) continue
      seen.add(child)
      queue.push(...this.#listed(child))
    }
  }

  #listed(parent: Digest): readonly Edge[] {
    const edges = this.edges.get(parent) ?? []
    return edges.filter(({ kind, distributable }) => kind !== 'subject' && distributable)
  }
}
