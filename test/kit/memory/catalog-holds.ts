// Why content stays in repositories of the catalog in memory. The port's promises are made in
// catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import {
  LOCALHOST,
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
  repositoryKey,
} from '../../../src/oci/reference.ts'
import type { RecordPush } from '../../../src/registry/ports/catalog-pushes.ts'
import { type Hold, HOLDS } from '../../../src/registry/ports/holds.ts'
import type { SettledTags } from '../../../src/registry/ports/outbox.ts'
import type { MemoryOutbox } from './catalog-outbox.ts'
import type { MemoryRepositories, RepositoryState } from './catalog-repositories.ts'

interface Carried {
  readonly id: number
  readonly key: RepositoryKey
  readonly digest: Digest
}

export class MemoryHolds {
  readonly #all: MemoryRepositories
  readonly #outbox: MemoryOutbox
  #carried: readonly Carried[] = []

  constructor(all: MemoryRepositories, outbox: MemoryOutbox) {
    this.#all = all
    this.#outbox = outbox
  }

  of(state: RepositoryState | undefined, digest: Digest): Hold[] {
    return HOLDS.filter(hold => state?.holds.get(digest)?.has(hold))
  }

  isKeptForOthers(repository: Repository, digest: Digest): boolean {
    const state = this.#all.find(repository)
    if (state?.members.has(digest) !== true || this.of(state, digest).length > 0) return false
    if (this.#all.contents.get(digest)?.contentClass !== 'kept') return false
    if (repository.registry === LOCALHOST || this.#isUnknown(repositoryKey(repository)))
      return false
    return this.#all.all().some(([, other]) => this.of(other, digest).length > 0)
  }

  /** After each write: what is a member no more, and what nobody carries. */
  settle(): void {
    for (const [, { members, holds }] of this.#all.all())
      for (const digest of holds.keys())
        if (!members.has(digest) || holds.get(digest)?.size === 0) holds.delete(digest)
    this.#carried = this.#carried.filter(({ id }) => this.#outbox.has(id))
  }

  /** By a push, whose entry of the outbox is recorded already. */
  push(record: RecordPush): void {
    const { repository, manifest, hold, delivery, durable = [] } = record
    const key = repositoryKey(repository)
    const { digest } = manifest
    if (delivery !== undefined) this.#carried = [...this.#carried, { id: delivery.id, key, digest }]
    if (hold === 'awaited' || hold === 'nothing') return
    const state = this.#all.open(repository)
    for (const each of durable) {
      const content = this.#all.contents.get(each)
      if (content !== undefined && state.members.has(each))
        this.#all.contents.set(each, { ...content, contentClass: 'kept' })
    }
    this.#hold(state, digest, hold)
  }

  removeDelivery(id: number, settled: SettledTags | undefined): void {
    const carried = this.#carried.filter(each => each.id === id)
    this.#outbox.remove(id)
    this.settle()
    if (settled === undefined) return
    const { repository, isKept = false } = settled
    for (const { key, digest } of carried) this.#releaseFrom(key, [digest], isKept)
    if (carried.length > 0) return
    const state = this.#all.find(repository)
    const held = [...(state?.holds.keys() ?? [])]
    this.#releaseFrom(repositoryKey(repository), held, isKept)
  }

  /** What is no member any more, or was pending; `ended`: what was, and is pending no more. */
  removed(key: RepositoryKey, digests: readonly Digest[], ended?: Digest): void {
    const state = this.#all.find(parseRepositoryKey(key))
    const lost = digests.filter(each => each === ended || this.of(state, each).length > 0)
    this.settle()
    if (state === undefined) return
    for (const digest of lost) this.demote(digest)
    for (const parent of digests)
      for (const child of new Set(this.#all.lists(parent))) {
        const held = this.of(state, child)
        const isBlob = state.members.get(child)?.mediaType === undefined
        if (isBlob && held.length > 0) {
          const left = held.filter(hold => this.#isListed(state, child, hold))
          state.holds.set(child, new Set(left))
          if (left.length < held.length) this.demote(child)
        }
        this.#releaseFrom(key, [child], false)
      }
  }

  demote(digest: Digest): void {
    const content = this.#all.contents.get(digest)
    if (content === undefined) return
    const states = this.#all.all().map(([, state]) => state)
    if (states.some(state => this.of(state, digest).length > 0 || state.pending.has(digest))) return
    const isOfThisEdge = this.#all
      .all()
      .some(
        ([key, { members }]) =>
          key.startsWith('localhost/') && members.get(digest)?.mediaType !== undefined,
      )
    if (isOfThisEdge) return
    const isListed = this.#all.contents
      .values()
      .filter(parent => parent.contentClass === 'kept' && parent.digest !== digest)
      .some(parent => this.#all.lists(parent.digest).includes(digest))
    if (!isListed) this.#all.contents.set(digest, { ...content, contentClass: 'cached' })
  }

  #hold(state: RepositoryState, manifest: Digest, hold: Hold): void {
    const below = [manifest]
    for (const [at, digest] of below.entries()) {
      if (below.indexOf(digest) < at) continue
      const isHere = this.#all.contents.get(digest)?.contentClass === 'kept'
      if (at > 0 && (!state.members.has(digest) || !isHere)) continue
      state.holds.set(digest, new Set([...this.of(state, digest), hold]))
      if (state.members.get(digest)?.mediaType !== undefined) below.push(...this.#all.lists(digest))
    }
  }

  #releaseFrom(key: RepositoryKey, digests: Digest[], isKept: boolean): void {
    const state = this.#all.find(parseRepositoryKey(key))
    if (state === undefined || this.#isUnknown(key)) return
    for (const digest of digests) {
      const held = this.of(state, digest)
      if (!held.includes('undelivered')) continue
      if (this.#carried.some(each => each.key === key && each.digest === digest)) continue
      if (this.#isListed(state, digest, 'undelivered')) continue
      const left = held.filter(hold => hold !== 'undelivered')
      state.holds.set(digest, new Set(isKept ? [...left, 'pushed'] : left))
      this.demote(digest)
      digests.push(...this.#all.lists(digest))
    }
  }

  /** An entry is there of which nobody knows what it carries. */
  #isUnknown(key: RepositoryKey): boolean {
    return this.#outbox.listOf(key).some(entry => !this.#carried.some(({ id }) => id === entry.id))
  }

  /** By a manifest there with this hold. */
  #isListed(state: RepositoryState, digest: Digest, hold: Hold): boolean {
    return [...state.members].some(
      ([parent, { mediaType }]) =>
        parent !== digest &&
        mediaType !== undefined &&
        state.holds.get(parent)?.has(hold) === true &&
        this.#all.lists(parent).includes(digest),
    )
  }
}
