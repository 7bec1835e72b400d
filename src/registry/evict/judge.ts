// May this leave now, and before what else? By what no row says: pins, what is being read or
// fetched, and how upstreams are. What the catalog holds back, it does not even list.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository } from '../../oci/reference.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { ColdImage } from '../ports/catalog-images.ts'
import type { LooseContent } from '../ports/catalog-space.ts'
import type { Clock } from '../ports/clock.ts'
import type { Candidate, Evictability } from './candidate.ts'

/**
 * A client that was given a manifest asks for its blobs within moments, and other machines of the
 * same roll-out within minutes.
 */
export const RECENT_MS = 10 * 60 * 1000

/** What operators want to stay. */
export interface PinnedImages {
  /** Defined when a pin holds the manifest in this repository. @throws StoreError */
  find(repository: Repository, digest: Digest): Promise<object | undefined>
  /** Defined when a pin is about the content by its digest. */
  findContent(digest: Digest): object | undefined
  /** What pins are about by its digest: it stays, whatever becomes of what lists it. */
  digests(): ReadonlySet<Digest>
  /** Another number whenever there are other pins than before. */
  readonly changes: number
}

export interface JudgeDeps {
  readonly catalog: Pick<Catalog, 'listsAny' | 'listDeliverers'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly namespaces: Pick<Namespaces, 'list'>
  /** Absent: none. */
  readonly pins?: PinnedImages | undefined
  /**
   * What is being fetched and would be given in this registry: who answers to a made-up name can
   * take all day over what others have here.
   */
  readonly filling: (registry: RegistryHost) => readonly Digest[]
  /** Is it being read, or fetched? */
  readonly isInUse: (digest: Digest) => boolean
}

export class Judge {
  readonly #deps: JudgeDeps
  readonly #away: ReadonlySet<RegistryHost>

  /** For one run: how upstreams are is looked at now. */
  constructor(deps: JudgeDeps) {
    this.#deps = deps
    const away = deps.namespaces.list().filter(({ policy, upstream, namedByClient }) => {
      const { breaker, lastFinding } = upstream.health()
      // Who answers to a made-up name could have what he sent stay by not answering.
      if (namedByClient) return false
      return policy.offline || breaker !== 'closed' || lastFinding === 'failed'
    })
    this.#away = new Set(away.map(({ upstream }) => upstream.registry))
  }

  /** @throws StoreError */
  of(candidate: Candidate): Promise<Evictability> {
    return candidate.kind === 'image'
      ? this.#ofImage(candidate.image)
      : this.#ofLoose(candidate.content)
  }

  async #ofImage({ repository, digest, usedAtMs }: ColdImage): Promise<Evictability> {
    const { catalog, pins, filling } = this.#deps
    if ((await pins?.find(repository, digest)) !== undefined) return 'held'
    // What comes would be needed by nothing, and leave first.
    if (await catalog.listsAny(digest, filling(repository.registry))) return 'held'
    if (this.#isRecent(usedAtMs)) return 'recent'
    return this.#away.has(repository.registry) ? 'away' : 'usual'
  }

  async #ofLoose({ digest, lastUsedAtMs }: LooseContent): Promise<Evictability> {
    const { catalog, pins, isInUse } = this.#deps
    if (isInUse(digest) || pins?.findContent(digest) !== undefined) return 'held'
    if (this.#isRecent(lastUsedAtMs)) return 'recent'
    if (this.#away.size === 0) return 'usual'
    const from = await catalog.listDeliverers(digest)
    return from.length > 0 && from.every(host => this.#away.has(host)) ? 'away' : 'usual'
  }

  /** Not what a clock that was wrong has put into the future. */
  #isRecent(usedAtMs: number): boolean {
    const nowMs = this.#deps.clock.nowMs()
    return usedAtMs > nowMs - RECENT_MS && usedAtMs <= nowMs + RECENT_MS
  }
}
