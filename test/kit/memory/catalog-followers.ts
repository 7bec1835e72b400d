// What follows deleted manifests, of the catalog in memory. The port's promises are made in
// catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import { type Repository, parseRepositoryKey, repositoryKey } from '../../../src/oci/reference.ts'
import type { Follower, FollowerReads } from '../../../src/registry/ports/catalog-followers.ts'
import type { Image } from '../../../src/registry/ports/catalog-images.ts'
import type { MemoryRepositories, RepositoryState } from './catalog-repositories.ts'

/** Not stamped so far. */
const UNKNOWN = 0

export class MemoryFollowers {
  readonly #all: MemoryRepositories
  /** Of each repository, where its tags pointed before the write. */
  #tags: readonly (readonly [RepositoryState, readonly (readonly [string, Digest])[]])[] = []

  readonly #deletedAt = new Map<Digest, number>()

  constructor(all: MemoryRepositories) {
    this.#all = all
  }

  /** Before each write. */
  before(): void {
    this.#tags = this.#all
      .all()
      .map(([, state]) => [state, [...state.tags].map(([tag, { digest }]) => [tag, digest])])
  }

  /** After each write: of what lost a tag the grace begins anew; what is no member is forgotten. */
  settle(): void {
    for (const [state, before] of this.#tags)
      for (const [tag, digest] of before) {
        const { follows } = state
        const isGone = state.tags.values().every(each => each.tag !== tag || each.digest !== digest)
        if (isGone && follows.has(digest)) follows.set(digest, UNKNOWN)
      }
    for (const [, { follows, members }] of this.#all.all())
      for (const digest of follows.keys()) if (!members.has(digest)) follows.delete(digest)
  }

  /** Once it is removed. */
  follow(
    state: RepositoryState,
    removed: Digest,
    { sinceMs, follows: mayFollow }: { sinceMs: number; follows: (each: Digest) => boolean },
  ): void {
    const { members, tags, follows } = state
    const from = removed.replace(':', '-')
    const about = tags
      .values()
      .filter(({ tag }) => tag >= from && tag < `${from}/`)
      .map(({ digest }) => digest)
    const referrers = members
      .keys()
      .filter(each =>
        this.#edges(each).some(({ kind, child }) => kind === 'subject' && child === removed),
      )
    const listed = this.#edges(removed).filter(({ kind }) => kind !== 'subject')
    for (const each of [...listed.map(({ child }) => child), ...referrers, ...about]) {
      if (each === removed || members.get(each)?.mediaType === undefined) continue
      if (!mayFollow(each)) continue
      if (follows.get(each) !== UNKNOWN)
        follows.set(each, Math.max(follows.get(each) ?? UNKNOWN, sinceMs))
    }
  }

  #edges(parent: Digest) {
    return this.#all.edges.get(parent) ?? []
  }

  /** A client has pushed it. */
  endBy(repository: Repository, manifest: Digest): void {
    const listed = this.#edges(manifest).filter(({ kind }) => kind !== 'subject')
    for (const digest of [manifest, ...listed.map(({ child }) => child)])
      this.end({ repository, digest })
  }

  end({ repository, digest }: Image): void {
    this.#all.find(repository)?.follows.delete(digest)
  }

  stamp(atMs: number): void {
    for (const [, { follows }] of this.#all.all())
      for (const [digest, since] of follows) if (since === UNKNOWN) follows.set(digest, atMs)
  }

  putBack(atMs: number): void {
    for (const [, { follows }] of this.#all.all())
      for (const [digest, since] of follows) if (since > atMs) follows.set(digest, atMs)
  }

  list({ beforeMs, limit, after }: Parameters<FollowerReads['listFollowers']>[0]): Follower[] {
    const listed = this.#stamped()
      .filter(({ sinceMs }) => sinceMs < beforeMs)
      .sort((a, b) => a.sinceMs - b.sinceMs || (keyOf(a) < keyOf(b) ? -1 : 1))
    const from = listed.findIndex(each => after !== undefined && keyOf(each) === keyOf(after)) + 1
    return listed.slice(from, from + limit)
  }

  first(fromMs: number): number | undefined {
    const times = this.#stamped().map(({ sinceMs }) => sinceMs)
    const from = times.filter(sinceMs => sinceMs >= fromMs)
    return from.length === 0 ? undefined : Math.min(...from)
  }

  since(repository: Repository, digest: Digest): number | undefined {
    return this.#all.find(repository)?.follows.get(digest)
  }

  noteDeleted(digest: Digest, atMs: number): void {
    this.#deletedAt.set(digest, Math.max(this.#deletedAt.get(digest) ?? 0, atMs))
  }

  deletedAt(digest: Digest): number | undefined {
    return this.#deletedAt.get(digest)
  }

  #stamped(): Follower[] {
    return this.#all
      .all()
      .flatMap(([key, { follows }]) =>
        [...follows]
          .filter(([, since]) => since !== UNKNOWN)
          .map(([digest, sinceMs]) => ({ repository: parseRepositoryKey(key), digest, sinceMs })),
      )
  }
}

function keyOf({ repository, digest }: Image): string {
  return `${repositoryKey(repository)} ${digest}`
}
