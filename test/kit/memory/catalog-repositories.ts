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
import type { Warmth } from '../../../src/catalog/warmth.ts'
import type { PendingBlobs } from './catalog-pending.ts'
import type {
  CatalogTotals,
  RecordedContent,
  Edge,
  EdgeKind,
  RecordedManifest,
} from '../../../src/registry/ports/catalog-content.ts'
import { classOf, type Hold, type SaidHold } from '../../../src/registry/ports/holds.ts'
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
  /** It was given as a manifest by a registry that does not share. */
  readonly apart?: boolean
}

export interface Usage extends Warmth {
  readonly pulls: number
}

export interface PulledTag {
  readonly pushedAtMs?: number
  readonly pulledAtMs?: number
  readonly pulls: number
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
  /** Until when. */
  readonly leases: Map<Digest, number>
  /** Of what was given here as a manifest. */
  readonly usage: Map<Digest, Usage>
  readonly tagUsage: Map<Tag, PulledTag>
  readonly holds: Map<Digest, ReadonlySet<Hold>>
  /** Manifests that follow a deleted one, and since when. */
  readonly follows: Map<Digest, number>
  /** Was a manifest ever pushed to it? */
  pushed: boolean
}

type PresentContent = Pick<RecordedContent, 'digest' | 'sizeBytes' | 'mediaType'> & {
  readonly hold: SaidHold
  readonly createdAtMs?: number
  readonly atMs: number
  readonly verified: 'yes' | 'if new' | 'no'
}

function replace<Key, Value>(map: Map<Key, Value>, by: ReadonlyMap<Key, Value>): void {
  map.clear()
  for (const [key, value] of by) map.set(key, value)
}

const BLOCK_BYTES = 4096

export function blocksOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / BLOCK_BYTES), 0)
}

export class MemoryRepositories {
  readonly contents = new Map<Digest, RecordedContent>()
  readonly edges = new Map<Digest, readonly Edge[]>()
  /** Whatever was ever named. */
  readonly recorded = new Set<Digest>()
  /** What manifests list and do not need: registries that do not share did not deliver it. */
  readonly unneeded = new Map<Digest, ReadonlySet<Digest>>()
  /** What is here and may be of something that is lost. */
  readonly unclear = new Set<Digest>()
  /** These are, once they are here. */
  readonly unclearToCome = new Set<Digest>()
  /** So is what comes. */
  isTakingStock = false
  /** Manifests that were given to a registry that shares, when needs were settled last. */
  #shared: ReadonlySet<Digest> = new Set()
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
      leases: new Map(),
      usage: new Map(),
      tagUsage: new Map(),
      holds: new Map(),
      follows: new Map(),
      pushed: false,
    }
    this.#states.set(repositoryKey(repository), made)
    return made
  }

  /** Returns what brings back how it was. */
  save(): () => void {
    const contents = new Map(this.contents)
    const edges = new Map(this.edges)
    const unneeded = new Map(this.unneeded)
    const shared = this.#shared
    const states = structuredClone([...this.#states])
    return () => {
      replace(this.contents, contents)
      replace(this.edges, edges)
      replace(this.unneeded, unneeded)
      this.#shared = shared
      for (const [key, saved] of states) {
        const state = this.#states.get(key)
        if (state === undefined) continue
        replace(state.members, saved.members)
        replace(state.tags, saved.tags)
        replace(state.carriedBy, saved.carriedBy)
        replace(state.tagUsage, saved.tagUsage)
      }
    }
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
    return this.#naming(repository, digest, kind => kind === 'subject')
  }

  /** In order. */
  listers(repository: Repository, digest: Digest): Digest[] {
    return this.#naming(repository, digest, kind => kind !== 'subject')
  }

  #naming(repository: Repository, digest: Digest, isMeant: (kind: EdgeKind) => boolean): Digest[] {
    const members = this.find(repository)?.members ?? new Map<Digest, Member>()
    const isNaming = (member: Digest) =>
      this.edges.get(member)?.some(({ kind, child }) => isMeant(kind) && child === digest)
    return [...members.keys()]
      .filter(member => members.get(member)?.mediaType !== undefined && this.contents.has(member))
      .filter(isNaming)
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

  totals(): Omit<CatalogTotals, 'leavingBlocks'> {
    const contents = [...this.contents.values()]
    const manifests = contents.filter(({ mediaType }) => mediaType !== undefined).length
    return {
      repositories: this.all().filter(([, state]) => this.#holds(state)).length,
      tags: this.all().reduce((sum, [, { tags }]) => sum + tags.size, 0),
      manifests,
      blobs: contents.length - manifests,
      contentBytes: contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      contentBlocks: blocksOf(contents),
      keptBlocks: blocksOf(contents.filter(({ contentClass }) => contentClass === 'kept')),
    }
  }

  /** By present manifests that list them, as often as they do; and as what they were given. */
  refs(): Map<Digest, number> {
    const refs = new Map<Digest, number>()
    const add = (digest: Digest) => refs.set(digest, (refs.get(digest) ?? 0) + 1)
    for (const parent of this.contents.keys()) this.needs(parent).forEach(add)
    for (const { members } of this.#states.values())
      for (const [digest, { mediaType }] of members) if (mediaType !== undefined) add(digest)
    return refs
  }

  /** What it lists, as often as it does. */
  lists(parent: Digest): Digest[] {
    const edges = this.edges.get(parent) ?? []
    return edges.filter(({ kind }) => kind !== 'subject').map(({ child }) => child)
  }

  needs(parent: Digest): Digest[] {
    const unneeded = this.unneeded.get(parent)
    return this.lists(parent).filter(child => unneeded?.has(child) !== true)
  }

  /**
   * After whatever changes what repositories were given: what a manifest needs that only registries
   * were given which do not share.
   */
  settleNeeds(): void {
    const before = this.#shared
    const [shared, apart] = [new Set<Digest>(), new Set<Digest>()]
    for (const { members } of this.#states.values())
      for (const [digest, { mediaType, apart: isApart }] of members)
        if (mediaType !== undefined) (isApart === true ? apart : shared).add(digest)
    for (const [parent, unneeded] of this.unneeded)
      this.#leaveUnneeded(
        parent,
        shared.has(parent) ? [] : [...unneeded].filter(child => !this.#cameWith(parent, child)),
      )
    for (const parent of apart)
      if (before.has(parent) && !shared.has(parent))
        this.#leaveUnneeded(
          parent,
          this.lists(parent).filter(child => !this.#cameWith(parent, child)),
        )
    this.#shared = shared
  }

  #leaveUnneeded(parent: Digest, children: readonly Digest[]): void {
    if (children.length === 0) this.unneeded.delete(parent)
    else this.unneeded.set(parent, new Set(children))
  }

  /** Did a registry deliver the child that was given the parent? */
  #cameWith(parent: Digest, child: Digest): boolean {
    const registries = (isSo: (state: RepositoryState) => boolean) =>
      this.all()
        .filter(([, state]) => isSo(state))
        .map(([key]) => parseRepositoryKey(key).registry)
    const given = registries(({ members }) => members.get(parent)?.mediaType !== undefined)
    const deliverers = registries(({ members }) => members.get(child)?.delivered === true)
    return given.some(registry => deliverers.includes(registry))
  }

  /** By a manifest that is here. */
  isListedIn({ members }: RepositoryState, digest: Digest): boolean {
    return members
      .entries()
      .filter(([, { lists, mediaType }]) => lists || mediaType !== undefined)
      .some(([parent]) => this.contents.has(parent) && this.lists(parent).includes(digest))
  }

  /** By any member, here or not. */
  isListedByMember(repository: Repository, digest: Digest): boolean {
    const members = [...(this.find(repository)?.members.keys() ?? [])]
    return members.some(parent => this.needs(parent).includes(digest))
  }

  setPresent(content: PresentContent): void {
    const { digest, sizeBytes, atMs } = content
    const before = this.contents.get(digest)
    const isVerified = { yes: true, 'if new': before === undefined, no: false }[content.verified]
    this.recorded.add(digest)
    const isToCome = this.unclearToCome.delete(digest)
    if (this.isTakingStock || isToCome) this.unclear.add(digest)
    this.contents.set(digest, {
      digest,
      sizeBytes,
      mediaType: before?.mediaType ?? content.mediaType,
      contentClass: before?.contentClass === 'kept' ? 'kept' : classOf(content.hold),
      createdAtMs: content.createdAtMs ?? (before?.createdAtMs || atMs),
      lastUsedAtMs: Math.max(before?.lastUsedAtMs ?? 0, atMs),
      verifiedAtMs: isVerified ? atMs : (before?.verifiedAtMs ?? 0),
      brokenAtMs: content.verified === 'no' ? before?.brokenAtMs : undefined,
    })
  }

  noteVerified(
    digest: Digest,
    { verifiedAtMs, brokenAtMs }: Pick<RecordedContent, 'verifiedAtMs'> & { brokenAtMs?: number },
  ): void {
    const content = this.contents.get(digest)
    if (content === undefined) return
    this.contents.set(digest, { ...content, verifiedAtMs, brokenAtMs })
  }

  /** Layers of it are here, and all of those are unclear. */
  liesOnUnclear(digest: Digest): boolean {
    const layers = (this.edges.get(digest) ?? []).filter(({ kind }) => kind === 'layer')
    const here = layers.filter(({ child }) => this.contents.has(child))
    return here.length > 0 && here.every(({ child }) => this.unclear.has(child))
  }

  /** As an upstream says. */
  addManifest(
    state: RepositoryState,
    { digest, mediaType, edges }: RecordedManifest,
    apart = false,
  ): void {
    const isNews = this.#setEdges(digest, edges) || this.#claimed.has(digest)
    this.#claimed.delete(digest)
    const before = state.members.get(digest)
    const isHeld = (state.holds.get(digest)?.size ?? 0) > 0
    const wasShared = before?.mediaType !== undefined && before.apart !== true
    state.members.set(digest, {
      lists: true,
      mediaType: (isHeld ? before?.mediaType : undefined) ?? mediaType,
      delivered: true,
      apart: apart && !wasShared,
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
    const pushed = { mediaType, delivered: true, apart: false }
    state.members.set(digest, { lists: false, ...before, ...pushed })
    for (const each of confirmed) this.addMember(state, each)
  }

  /** By itself, whatever it lists. */
  addMember({ members }: RepositoryState, digest: Digest, delivered = false): void {
    this.recorded.add(digest)
    const before = members.get(digest)
    if (before !== undefined && (before.delivered || !delivered)) return
    members.set(digest, { lists: false, mediaType: undefined, ...before, delivered })
  }

  /** True when they are not what was there. */
  #setEdges(digest: Digest, edges: readonly Edge[]): boolean {
    const isSame = isDeepStrictEqual(this.edges.get(digest) ?? [], edges)
    this.edges.set(digest, edges)
    for (const { child } of edges) this.recorded.add(child)
    // Those who were given it say what of that it needs.
    if (!isSame) this.unneeded.set(digest, new Set(this.lists(digest)))
    return !isSame
  }

  #isManifest(digest: Digest): boolean {
    return this.contents.get(digest)?.mediaType !== undefined
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
      state.members.set(child, { mediaType: undefined, delivered: false, ...known, lists: true })
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
