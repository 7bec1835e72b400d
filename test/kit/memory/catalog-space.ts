// What is needed, what is loose and what leaves of the catalog in memory: counted anew whenever
// something was written, from what manifests list and repositories were given. The port's promises
// are made in catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import type { Repository, RepositoryKey } from '../../../src/oci/reference.ts'
import type { RecordedContent } from '../../../src/registry/ports/catalog-content.ts'
import type {
  AsOf,
  FoundFile,
  Lease,
  Leaves,
  LeavingContent,
  LetGo,
  LooseContent,
  PutBack,
  SpaceReads,
} from '../../../src/registry/ports/catalog-space.ts'
import { tidyRepository } from './catalog-tidy.ts'
import { type MemoryRepositories, type RepositoryState } from './catalog-repositories.ts'

interface LeavesAs {
  readonly needed?: readonly Digest[]
  readonly isFirstLoose?: (digest: Digest) => boolean
}

/** Not stamped so far. */
const UNKNOWN = 0

export class MemorySpace {
  readonly #all: MemoryRepositories
  readonly #looseAt = new Map<Digest, number>()
  /** Calls of `tidy`, as if each had forgotten something. */
  tidied = 0
  readonly leaving = new Map<Digest, LeavingContent>()
  /** How often each was needed when the last write was over. */
  #refs: ReadonlyMap<Digest, number> = new Map()
  #present: ReadonlySet<Digest> = new Set()
  #promised: ReadonlySet<Digest> = new Set()

  constructor(all: MemoryRepositories) {
    this.#all = all
  }

  /** After each write. */
  settle(): void {
    for (const [, { leases, members }] of this.#all.all())
      for (const digest of leases.keys()) if (!members.has(digest)) leases.delete(digest)
    const refs = this.#all.refs()
    const present = new Set(this.#all.contents.keys())
    const promised = new Set(this.#all.all().flatMap(([, { pending }]) => [...pending.keys()]))
    for (const digest of present) {
      const [before, now] = [this.#refs.get(digest) ?? 0, refs.get(digest) ?? 0]
      const isNew = !this.#present.has(digest)
      if (isNew) this.leaving.delete(digest)
      if (now > 0 || isNew) this.#looseAt.delete(digest)
      else if (before > 0) this.#looseAt.set(digest, UNKNOWN)
      else if (this.#promised.has(digest) && !promised.has(digest) && !this.#looseAt.has(digest))
        this.#looseAt.set(digest, UNKNOWN)
    }
    for (const digest of this.#looseAt.keys())
      if (!present.has(digest)) this.#looseAt.delete(digest)
    for (const digest of this.#all.unclear)
      if (!present.has(digest)) this.#all.unclear.delete(digest)
    this.#refs = refs
    this.#present = present
    this.#promised = promised
  }

  listLoose({ limit, after, ...asOf }: Parameters<SpaceReads['listLoose']>[0]): LooseContent[] {
    const listed = this.#loose(asOf)
      .filter(({ contentClass }) => contentClass === 'cached')
      .sort((a, b) => a.lastUsedAtMs - b.lastUsedAtMs)
    return behind(listed, after).slice(0, limit)
  }

  listLooseSince({
    beforeMs,
    limit,
    after,
    ...asOf
  }: Parameters<SpaceReads['listLooseSince']>[0]): LooseContent[] {
    const listed = this.#loose(asOf)
      .filter(({ looseAtMs }) => looseAtMs !== undefined && looseAtMs < beforeMs)
      .sort((a, b) => (a.looseAtMs ?? 0) - (b.looseAtMs ?? 0))
    return behind(listed, after).slice(0, limit)
  }

  firstLooseAt(fromMs: number): number | undefined {
    const times = this.#loose().map(({ looseAtMs }) => looseAtMs ?? 0)
    const from = times.filter(atMs => atMs > UNKNOWN && atMs >= fromMs)
    return from.length === 0 ? undefined : Math.min(...from)
  }

  listLeaving({ after = '', limit }: { after?: string; limit: number }): LeavingContent[] {
    return [...this.leaving.values()]
      .filter(({ digest }) => digest > after)
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .slice(0, limit)
  }

  listRepositoriesLeft(atMs: number): RepositoryKey[] {
    const left = [...this.leaving.values()].filter(each => each.atMs === atMs)
    return this.#all
      .all()
      .filter(([, { members }]) => left.some(({ digest }) => members.has(digest)))
      .map(([key]) => key)
  }

  letGo({ digests, ...leave }: LetGo): Leaves[][] {
    return digests.map(digest => this.leave(digest, leave))
  }

  /** `needed`: so far by an image, which may stay for others itself. */
  leave(
    first: Digest,
    { reason, atMs, spared }: Omit<LetGo, 'digests'>,
    { needed = [], isFirstLoose = this.#isLoose }: LeavesAs = {},
  ): Leaves[] {
    const leaves: Leaves[] = []
    const listed = (by: Digest) => (digest: Digest) => ({ digest, listedBy: by })
    const queue: { digest: Digest; listedBy?: Digest }[] = [{ digest: first }]
    queue.push(...needed.map(listed(first)))
    for (const [at, { digest, listedBy }] of queue.entries()) {
      const content = this.#all.contents.get(digest)
      const isLoose = at === 0 ? isFirstLoose : this.#isLoose
      if (content === undefined || !isLoose(digest)) continue
      if (reason === 'evicted' && content.contentClass === 'kept') continue
      if (this.isPromised(digest) || spared?.has(digest) === true) continue
      this.#all.contents.delete(digest)
      for (const [, { holds }] of this.#all.all()) holds.delete(digest)
      const { sizeBytes } = content
      this.leaving.set(digest, { digest, sizeBytes, reason, atMs })
      leaves.push({ digest, sizeBytes, listedBy })
      queue.push(...this.#all.needs(digest).map(listed(digest)))
    }
    return leaves
  }

  readonly #isLoose = (digest: Digest) => (this.#all.refs().get(digest) ?? 0) === 0

  stampLoose(atMs: number): void {
    for (const [digest, at] of this.#looseAt)
      if (at === UNKNOWN && !this.#all.unclear.has(digest)) this.#looseAt.set(digest, atMs)
  }

  finishLeaving(digests: readonly Digest[]): void {
    for (const digest of digests) {
      if (!this.leaving.delete(digest)) continue
      const listed = (this.#all.edges.get(digest) ?? []).map(({ child }) => child)
      this.#all.edges.delete(digest)
      this.#all.unneeded.delete(digest)
      for (const [, state] of this.#all.all()) {
        const { members, pending, leases } = state
        if (members.get(digest)?.mediaType !== undefined || state.holds.has(digest)) continue
        if (pending.has(digest) || leases.has(digest)) continue
        if (!this.#all.isListedIn(state, digest)) members.delete(digest)
      }
      for (const each of [digest, ...listed])
        if (!this.#isNamed(each)) this.#all.recorded.delete(each)
    }
  }

  #isNamed(digest: Digest): boolean {
    if (this.#all.contents.has(digest) || this.leaving.has(digest)) return true
    if (this.#all.unclearToCome.has(digest)) return true
    const edges = [...this.#all.edges]
    const isEdge = edges.some(
      ([parent, children]) =>
        children.length > 0 &&
        (parent === digest || children.some(({ child }) => child === digest)),
    )
    return isEdge || this.#all.all().some(([, state]) => isNamedIn(state, digest))
  }

  adopt(files: readonly FoundFile[], atMs: number, isUnclear = false): void {
    for (const { digest, sizeBytes } of files)
      if (!this.#all.contents.has(digest)) {
        if (isUnclear) this.#all.unclear.add(digest)
        this.#all.setPresent({
          digest,
          sizeBytes,
          mediaType: undefined,
          hold: 'nothing',
          createdAtMs: 0,
          atMs,
          verified: 'no',
        })
      }
  }

  /** Some facts could not be recorded. */
  beginStock(): void {
    this.#all.isTakingStock = true
    for (const digest of this.#all.contents.keys()) this.#all.unclear.add(digest)
  }

  noteStock(isAllFound: boolean, butFor: readonly Digest[] = []): boolean {
    const { contents, unclear, unclearToCome, recorded } = this.#all
    this.#all.isTakingStock = false
    for (const digest of butFor) {
      recorded.add(digest)
      if (contents.has(digest)) unclear.add(digest)
      else unclearToCome.add(digest)
    }
    if (!isAllFound) return false
    unclear.clear()
    unclearToCome.clear()
    return false
  }

  /** All at once: in memory there is no telling how far it has come. */
  tidy(beforeMs: number): void {
    this.tidied += 1
    const isAbsent = (digest: Digest) =>
      !this.#all.contents.has(digest) && !this.leaving.has(digest)
    for (const [, state] of this.#all.all())
      tidyRepository(state, { beforeMs, isAbsent, all: this.#all })
    for (const digest of this.#all.edges.keys())
      if (isAbsent(digest) && !this.#all.isHeld(digest)) {
        this.#all.edges.delete(digest)
        this.#all.unneeded.delete(digest)
      }
    for (const digest of this.#all.recorded)
      if (!this.#isNamed(digest)) this.#all.recorded.delete(digest)
  }

  lease({ repository, digests, untilMs }: Lease): void {
    const { leases, members } = this.#all.find(repository) ?? {}
    for (const digest of digests)
      if (members?.has(digest) === true)
        leases?.set(digest, Math.max(untilMs, leases.get(digest) ?? untilMs))
  }

  isUnclear(digest: Digest): boolean {
    const isHere = this.#all.contents.has(digest)
    return isHere && (this.#all.unclear.has(digest) || this.#all.liesOnUnclear(digest))
  }

  leasedUntil(repository: Repository, digest: Digest): number | undefined {
    return this.#all.find(repository)?.leases.get(digest)
  }

  /** What a pushed manifest lists is needed by it, and so it is itself. */
  endLeases(repository: Repository, manifest: Digest): void {
    const { leases } = this.#all.open(repository)
    const edges = this.#all.edges.get(manifest) ?? []
    for (const digest of [manifest, ...edges.map(({ child }) => child)]) leases.delete(digest)
  }

  expireLeases(beforeMs: number): void {
    for (const [, { leases }] of this.#all.all())
      for (const [digest, untilMs] of leases) if (untilMs < beforeMs) leases.delete(digest)
  }

  putBack({ nowMs, longestMs }: PutBack): void {
    for (const [, { leases }] of this.#all.all())
      for (const [digest, untilMs] of leases)
        leases.set(digest, Math.min(untilMs, nowMs + longestMs))
    for (const [digest, at] of this.#looseAt)
      if (at > nowMs && !this.#all.unclear.has(digest)) this.#looseAt.set(digest, nowMs)
    for (const content of this.#all.contents.values()) {
      const isLoose = (this.#refs.get(content.digest) ?? 0) === 0
      if (this.#all.unclear.has(content.digest)) continue
      if (isLoose && content.contentClass === 'cached' && content.lastUsedAtMs > nowMs)
        this.#all.contents.set(content.digest, { ...content, lastUsedAtMs: nowMs })
    }
  }

  #loose(asOf?: AsOf): LooseContent[] {
    return [...this.#all.contents.values()]
      .filter(({ digest }) => (this.#refs.get(digest) ?? 0) === 0 && !this.isPromised(digest, asOf))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .map(content => this.#looseOf(content))
  }

  #looseOf(content: RecordedContent): LooseContent {
    const { digest, sizeBytes, contentClass, lastUsedAtMs } = content
    const looseAtMs = this.#looseAt.get(digest) || undefined
    return { digest, sizeBytes, contentClass, lastUsedAtMs, looseAtMs }
  }

  isPromised(digest: Digest, { leasesOverMs = Number.NEGATIVE_INFINITY }: AsOf = {}): boolean {
    if (this.#all.unclear.has(digest)) return true
    const states = this.#all.all().map(([, state]) => state)
    return states.some(
      ({ pending, leases }) =>
        pending.has(digest) ||
        (leases.has(digest) && (leases.get(digest) as number) >= leasesOverMs),
    )
  }
}

function isNamedIn(state: RepositoryState, digest: Digest): boolean {
  const { members, tags, taken, pending, leases } = state
  if ([members, taken, pending, leases].some(each => each.has(digest))) return true
  return tags
    .values()
    .some(({ digest: at, previous }) => at === digest || previous?.digest === digest)
}

function behind(
  listed: readonly LooseContent[],
  after: { readonly digest: Digest } | undefined,
): readonly LooseContent[] {
  return listed.slice(listed.findIndex(({ digest }) => digest === after?.digest) + 1)
}
