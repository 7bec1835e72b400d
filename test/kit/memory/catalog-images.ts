// Images of the catalog in memory: how they are used, and what goes when one is evicted. The port's
// promises are made in catalog.ts.
import { imageHash } from '../../../src/catalog/image-name.ts'
import { COOLED_MS, usedAgain, warmestMs } from '../../../src/catalog/warmth.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  parseRepositoryKey,
  type Repository,
  type Tag,
  repositoryKey,
  type RepositoryKey,
} from '../../../src/oci/reference.ts'
import type {
  ColdImage,
  ColdPage,
  Evicted,
  Eviction,
  Footprint,
  Image,
  ImageReads,
  ImageUsage,
  ReturnedImages,
  RepositoryBytes,
  TagUsage,
} from '../../../src/registry/ports/catalog-images.ts'
import type { Leaves } from '../../../src/registry/ports/catalog-space.ts'
import type { CountedUses } from '../../../src/registry/ports/catalog-uses.ts'
import type { PageRequest } from '../../../src/registry/ports/catalog-tags.ts'
import type { MemoryHolds } from './catalog-holds.ts'
import { blocksOf, type MemoryRepositories, type RepositoryState } from './catalog-repositories.ts'
import type { MemorySpace } from './catalog-space.ts'
import { dropTag } from './catalog-tags.ts'

type How = NonNullable<Parameters<ImageReads['footprint']>[1]>

const BLOCK_BYTES = 4096

export class MemoryImages {
  readonly #all: MemoryRepositories
  readonly #space: MemorySpace
  readonly #holds: MemoryHolds
  readonly #ghosts = new Map<number, { readonly blocks: number; readonly evicted: number }>()
  #evictedBlocks = 0
  returned: ReturnedImages = { images: 0, bytes: 0 }
  /** For who goes on from a footprint. */
  readonly #evicted = new WeakMap<Footprint, readonly (Image | Digest)[]>()
  /** Where tags pointed before the write. */
  #before: readonly (readonly [RepositoryState, Tag, Digest])[] = []

  constructor(all: MemoryRepositories, space: MemorySpace, holds: MemoryHolds) {
    this.#all = all
    this.#space = space
    this.#holds = holds
  }

  before(): void {
    this.#before = this.#all
      .all()
      .flatMap(([, state]) =>
        [...state.tags.values()].map(({ tag, digest }) => [state, tag, digest] as const),
      )
  }

  /** After each write: what was given is used for the first time, and what tags left is colder. */
  settle(): void {
    for (const [, { members, usage }] of this.#all.all()) {
      for (const [digest, { mediaType }] of members) {
        if (mediaType === undefined || usage.has(digest)) continue
        const atMs = this.#all.contents.get(digest)?.lastUsedAtMs ?? 0
        usage.set(digest, { usedAtMs: atMs, countedAtMs: atMs, warmthMs: atMs, pulls: 0 })
      }
      for (const digest of usage.keys()) if (!members.has(digest)) usage.delete(digest)
    }
    const cooled = new Map<RepositoryState, Set<Digest>>()
    for (const [state, tag, digest] of this.#before) {
      const now = state.tags.get(tag)
      if (now === undefined || now.digest === digest) continue
      const colder = cooled.get(state) ?? new Set()
      cooled.set(state, colder)
      for (const image of this.#leftBy(state, digest)) colder.add(image)
    }
    for (const [{ usage }, images] of cooled)
      for (const image of images) {
        const before = usage.get(image)
        if (before === undefined) continue
        usage.set(image, { ...before, warmthMs: before.warmthMs - COOLED_MS, countedAtMs: 0 })
      }
  }

  noteUses(uses: readonly CountedUses[]): void {
    for (const { repository, digest, tag, count, atMs } of uses) {
      const state = this.#all.find(repository)
      if (state === undefined) continue
      this.#touch(state, digest, { count, atMs })
      if (tag === undefined || !state.tags.has(tag)) continue
      const usage = state.tagUsage.get(tag) ?? { pulls: 0 }
      const pulledAtMs = Math.max(usage.pulledAtMs ?? 0, atMs)
      state.tagUsage.set(tag, { ...usage, pulledAtMs, pulls: usage.pulls + count })
    }
    if (uses.length > 0) this.#putRight(Math.max(...uses.map(({ atMs }) => atMs)))
  }

  #putRight(atMs: number): void {
    for (const [, { usage, holds }] of this.#all.all())
      for (const [digest, { pulls, warmthMs }] of usage)
        if (!holds.has(digest) && warmthMs > warmestMs(atMs))
          usage.set(digest, { usedAtMs: atMs, countedAtMs: atMs, warmthMs: atMs, pulls })
  }

  usageOf(repository: Repository, digest: Digest): ImageUsage | undefined {
    const state = this.#all.find(repository)
    return state && this.#usageIn(state, digest)
  }

  /** With that of indexes that list it. */
  #usageIn(state: RepositoryState, digest: Digest): ImageUsage | undefined {
    const own = state.usage.get(digest)
    if (own === undefined) return undefined
    const indexes = [...state.usage].filter(([index]) => this.#listsManifest(index, digest))
    const usedAtMs = Math.max(own.usedAtMs, ...indexes.map(([, usage]) => usage.usedAtMs))
    const unheld = indexes.filter(([index]) => !state.holds.has(index))
    const warmthMs = Math.max(own.warmthMs, ...unheld.map(([, usage]) => usage.warmthMs))
    return { usedAtMs, pulls: own.pulls, warmthMs }
  }

  listTagsOf({ repository, digest }: Image, limit: number): Tag[] {
    const state = this.#all.find(repository)
    if (state === undefined) return []
    const leads = (to: Digest) =>
      to === digest || (state.usage.has(to) && this.#listsManifest(to, digest))
    const tags = [...state.tags.values()].filter(each => leads(each.digest))
    return tags
      .map(({ tag }) => tag)
      .sort()
      .slice(0, limit)
  }

  listTagUsage(repository: Repository, { after = '', limit }: PageRequest): TagUsage[] {
    const { tags, tagUsage } = this.#all.find(repository) ?? {
      tags: new Map(),
      tagUsage: new Map(),
    }
    return [...tags.values()]
      .filter(({ tag }) => tag > after)
      .sort((a, b) => (a.tag < b.tag ? -1 : 1))
      .slice(0, limit)
      .map(({ tag, digest }) => {
        const { pushedAtMs, pulledAtMs, pulls = 0 } = tagUsage.get(tag) ?? {}
        return { tag, digest, pushedAtMs, pulledAtMs, pulls }
      })
  }

  listColdest({ limit, after }: Parameters<ImageReads['listColdest']>[0]): ColdPage {
    const images = this.#all
      .all()
      .flatMap(([key, state]) => [...state.usage.keys()].map(digest => ({ key, state, digest })))
      .filter(({ state, digest }) => this.#isEvictable(state, digest))
      .filter(({ state, digest }) => this.#givenChildren(state, digest).length === 0)
      .flatMap(({ key, state, digest }): ColdImage[] => {
        const usage = this.#usageIn(state, digest)
        const isIndex = (this.#all.edges.get(digest) ?? []).some(({ kind }) => kind === 'manifest')
        const repository = parseRepositoryKey(key)
        return usage === undefined ? [] : [{ repository, digest, ...usage, isIndex, by: undefined }]
      })
      .sort((a, b) => a.warmthMs - b.warmthMs)
    const last = images.findIndex(
      ({ repository, digest }) =>
        digest === after?.digest && repository.name === after?.repository.name,
    )
    const page = images.slice(last + 1, last + 1 + limit)
    return { images: page, next: page.length < limit ? undefined : page.at(-1) }
  }

  evictImage(eviction: Eviction): Evicted {
    const evicted = this.#evict(eviction)
    const blocks = blocksOf(evicted.leaves)
    if (blocks <= 0 || eviction.reason !== 'evicted') return evicted
    this.#evictedBlocks += blocks
    const ghost = { blocks, evicted: this.#evictedBlocks }
    this.#ghosts.set(imageHash(eviction), ghost)
    return evicted
  }

  /** It was recorded again. */
  welcome(image: Image): void {
    const ghost = this.#ghosts.get(imageHash(image))
    if (ghost === undefined) return
    this.#ghosts.delete(imageHash(image))
    const { images, bytes } = this.returned
    this.returned = { images: images + 1, bytes: bytes + ghost.blocks * BLOCK_BYTES }
  }

  trimGhosts(roomBytes: number): void {
    for (const [image, { evicted }] of this.#ghosts)
      if (evicted < this.#evictedBlocks - Math.floor(roomBytes / BLOCK_BYTES))
        this.#ghosts.delete(image)
  }

  #evict({ repository, digest, reason, atMs, spared }: Eviction): Evicted {
    const state = this.#all.find(repository)
    const leaves: Leaves[] = []
    if (state === undefined) return { hasLeft: false, leaves }
    const isForOthers = this.#holds.isKeptForOthers(repository, digest)
    if (reason === 'purged' && isForOthers && this.#isUnheld(state, digest)) {
      this.#takeOut(state, digest, spared)
      return { hasLeft: true, leaves }
    }
    const mayLeave = (image: Digest) =>
      reason === 'purged' ? this.#isPurgeable(state, image) : this.#isEvictable(state, image)
    let hasLeft = false
    const images = [digest]
    for (const image of images) {
      if (!mayLeave(image)) continue
      const indexes = [...state.usage.keys()].filter(index => this.#listsManifest(index, image))
      const needed = this.#all.needs(image)
      this.#takeOut(state, image, spared)
      hasLeft = true
      this.#all.settleNeeds()
      const isFirstLoose = (each: Digest) =>
        (this.#all.refs().get(each) ?? 0) === this.#listers(each)
      const as = { needed, isFirstLoose }
      leaves.push(...this.#space.leave(image, { reason, atMs, spared }, as))
      images.push(...indexes.filter(index => this.#givenChildren(state, index).length === 0))
    }
    return { hasLeft, leaves }
  }

  /** Done, looked at, and taken back. */
  footprint(
    images: readonly (Image | Digest)[],
    { after, spared, reason = 'evicted' }: How = {},
  ): Footprint {
    const before = (after && this.#evicted.get(after)) ?? []
    const restore = this.#all.save()
    const leaving = new Map(this.#space.leaving)
    this.#space.leaving.clear()
    const leave = { reason, atMs: 0, spared }
    const evict = (each: Image | Digest) => {
      if (typeof each === 'string') this.#space.leave(each, leave)
      else this.#evict({ ...each, ...leave })
    }
    for (const image of before) evict(image)
    const gone = new Set(this.#space.leaving.keys())
    const byImage = images.map(image => {
      const count = this.#space.leaving.size
      const bytesBefore = this.#bytesByRepository()
      evict(image)
      const left = [...this.#space.leaving.values()].slice(count)
      const bytes = blocksOf(left) * BLOCK_BYTES
      const own = typeof image === 'string' ? undefined : repositoryKey(image.repository)
      const repositories = this.#lostSince(bytesBefore, own)
      return { digests: left.map(({ digest }) => digest), bytes, repositories }
    })
    const left = [...this.#space.leaving.values()].filter(({ digest }) => !gone.has(digest))
    restore()
    this.#space.leaving.clear()
    for (const [digest, each] of leaving) this.#space.leaving.set(digest, each)
    const digests = left.map(({ digest }) => digest).sort()
    const footprint = { digests, freedBytes: blocksOf(left) * BLOCK_BYTES, byImage }
    this.#evicted.set(footprint, [...before, ...images])
    return footprint
  }

  listRepositoryBytes({ after = '', limit }: PageRequest): RepositoryBytes[] {
    return this.#all
      .all()
      .filter(([key]) => key > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([repository, state]) => ({ repository, bytes: this.#bytesOf(state) }))
      .filter(({ bytes }) => bytes > 0)
      .slice(0, limit)
  }

  #bytesByRepository(): ReadonlyMap<RepositoryKey, number> {
    return new Map(this.#all.all().map(([key, state]) => [key, this.#bytesOf(state)]))
  }

  /** `own` first, whether it lost anything or not. */
  #lostSince(
    before: ReadonlyMap<RepositoryKey, number>,
    own: RepositoryKey | undefined,
  ): readonly RepositoryBytes[] {
    const now = this.#bytesByRepository()
    const lost = [...before].map(([repository, bytes]) => {
      return { repository, bytes: bytes - (now.get(repository) ?? 0) }
    })
    const others = lost.filter(({ repository, bytes }) => repository !== own && bytes > 0)
    others.sort((a, b) => (a.repository < b.repository ? -1 : 1))
    if (own === undefined) return others
    const bytes = lost.find(({ repository }) => repository === own)?.bytes ?? 0
    return [{ repository: own, bytes }, ...others]
  }

  #bytesOf(state: RepositoryState | undefined): number {
    const members = [...(state?.members.keys() ?? [])]
    return blocksOf(members.flatMap(each => this.#all.contents.get(each) ?? [])) * BLOCK_BYTES
  }

  #touch({ usage }: RepositoryState, digest: Digest, use: { count: number; atMs: number }): void {
    const before = usage.get(digest)
    if (before === undefined) return
    usage.set(digest, { ...usedAgain(before, use.atMs), pulls: before.pulls + use.count })
  }

  /** What no tag points to any more, since this one was left. */
  #leftBy(state: RepositoryState, digest: Digest): Digest[] {
    const tagged = new Set([...state.tags.values()].map(each => each.digest))
    const isTagged = (image: Digest) =>
      [...tagged].some(
        each => each === image || (state.usage.has(each) && this.#listsManifest(each, image)),
      )
    return [digest, ...this.#children(state, digest)].filter(image => !isTagged(image))
  }

  #takeOut(state: RepositoryState, image: Digest, spared: Eviction['spared']): void {
    const { members, tags, pending, leases } = state
    for (const [tag, recorded] of tags) {
      if (recorded.digest === image) dropTag(state, tag)
      else if (recorded.previous?.digest === image)
        tags.set(tag, { ...recorded, previous: undefined })
    }
    members.delete(image)
    const gone = [image]
    for (const parent of gone)
      for (const child of this.#all.lists(parent)) {
        const member = members.get(child)
        if (member === undefined || member.mediaType !== undefined) continue
        if (pending.has(child) || leases.has(child) || this.#isListed(state, child)) continue
        if (state.holds.has(child) || spared?.has(child) === true) continue
        members.delete(child)
        if (member.lists) gone.push(child)
      }
  }

  /** By whatever is a member, here or not, but not on its way out. */
  #isListed({ members }: RepositoryState, digest: Digest): boolean {
    return members
      .entries()
      .filter(([, { lists, mediaType }]) => lists || mediaType !== undefined)
      .filter(([parent]) => this.#all.contents.has(parent) || !this.#space.leaving.has(parent))
      .some(([parent]) => this.#all.lists(parent).includes(digest))
  }

  #isEvictable(state: RepositoryState, digest: Digest): boolean {
    if (this.#all.unclear.has(digest) || this.#all.liesOnUnclear(digest)) return false
    return this.#isPurgeable(state, digest)
  }

  #isPurgeable(state: RepositoryState, digest: Digest): boolean {
    if (this.#all.contents.get(digest)?.contentClass !== 'cached') return false
    return this.#isUnheld(state, digest)
  }

  #isUnheld({ members, tags, pending, leases }: RepositoryState, digest: Digest): boolean {
    if (members.get(digest)?.mediaType === undefined) return false
    if (pending.has(digest) || leases.has(digest)) return false
    return !tags.values().some(each => each.digest === digest && each.local)
  }

  /** Manifests that it lists, and that were given to the repository, each once. */
  #children({ members }: RepositoryState, index: Digest): Digest[] {
    const edges = this.#all.edges.get(index) ?? []
    const children = edges.filter(({ kind, child }) => kind === 'manifest' && child !== index)
    return [...new Set(children.map(({ child }) => child))].filter(
      child => members.get(child)?.mediaType !== undefined,
    )
  }

  #givenChildren(state: RepositoryState, index: Digest): Digest[] {
    return this.#children(state, index).filter(
      child => this.#all.contents.get(child)?.contentClass === 'cached',
    )
  }

  #listsManifest(index: Digest, child: Digest): boolean {
    const edges = this.#all.edges.get(index) ?? []
    if (index === child) return false
    return edges.some(each => each.kind === 'manifest' && each.child === child)
  }

  /** Edges of manifests that are here, and do not need what they list. */
  #listers(digest: Digest): number {
    return [...this.#all.contents.keys()]
      .filter(parent => this.#all.unneeded.get(parent)?.has(digest) !== true)
      .flatMap(parent => this.#all.edges.get(parent) ?? [])
      .filter(({ kind, child }) => kind === 'manifest' && child === digest).length
  }
}
