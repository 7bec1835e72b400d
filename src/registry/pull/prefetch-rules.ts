// What is fetched ahead for whom, and when nothing is: where the operator says so, and where an
// upstream has no more to spare than what clients ask for themselves. What clients chose is
// remembered in memory alone; what is forgotten costs a round trip.
import { boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import type { Upstream } from '../ports/upstream.ts'
import type { PrefetchPolicy } from '../routing/namespaces.ts'

/**
 * An upstream that counts and allows fewer than so many requests: those are for what clients ask
 * for.
 */
const REQUESTS_LEFT_MIN = 10
/**
 * And for what nobody may ever ask for, half of what Docker Hub gives to whoever has no account.
 */
const REQUESTS_LEFT_MIN_HEADED = 50
/** Clients and repositories that are remembered for having been fetched for in vain. */
const MANIFEST_ONLY_MAX = 10_000

interface Source extends PrefetchPolicy {
  readonly policy: { readonly offline: boolean }
  readonly upstream: Pick<Upstream, 'health'>
}

/** May anything be fetched from this upstream that nobody has asked for? */
export function mayPrefetch(source: Source): boolean {
  return hasToSpare(source, REQUESTS_LEFT_MIN)
}

/** And what a client was only told of? */
export function mayFetchHeaded(source: Source): boolean {
  return hasToSpare(source, REQUESTS_LEFT_MIN_HEADED)
}

function hasToSpare({ prefetch, policy, upstream }: Source, requests: number): boolean {
  if (!prefetch || policy.offline) return false
  const { breaker, rateLimitRemaining: left } = upstream.health()
  return breaker === 'closed' && (left === undefined || left >= requests)
}

/**
 * Who reads manifests and takes no blobs, and of which repositories manifests alone are read: for
 * these, fetching begins with the first blob that is asked for. It costs such a client a round trip
 * should it pull after all.
 */
export class ManifestOnlyReaders {
  readonly #keys = boundedCache<true>(MANIFEST_ONLY_MAX)

  has(repository: Repository, client: string): boolean {
    return this.#keys.has(clientKey(client)) || this.#keys.has(repositoryKey(repository))
  }

  add(repository: Repository, clients: Iterable<string>): void {
    this.#keys.set(repositoryKey(repository), true)
    for (const client of clients) this.#keys.set(clientKey(client), true)
  }

  delete(repository: Repository, clients: Iterable<string>): void {
    this.#keys.delete(repositoryKey(repository))
    for (const client of clients) this.#keys.delete(clientKey(client))
  }
}

/** Children of the indexes of some hundred pulls; what is older is asked for no more. */
const CHILDREN_MAX = 4_000
/** Clients and repositories; an entry is some hundred bytes. */
const CHOICES_MAX = 10_000
/**
 * So many clients in a row must have chosen the same before it is expected of one that nobody
 * knows.
 */
const SAME_IN_A_ROW = 3

export interface KnownChild {
  readonly index: Digest
  /** Undefined for what no platform runs: attestations. */
  readonly platform: string | undefined
}

/**
 * Which of an index's children is asked for next? Whoever pulled for a platform pulls for it again:
 * a client always, a repository and an edge mostly.
 */
export class PlatformChoices {
  readonly #children = boundedCache<KnownChild>(CHILDREN_MAX)
  readonly #chosen = boundedCache<string>(CHOICES_MAX)
  #last: { readonly platform: string; readonly times: number } | undefined

  /** An index was given: its children are known by their platforms from now on. */
  indexServed(repository: Repository, { digest, edges }: RecordedManifest): void {
    for (const { kind, child, platform } of edges) {
      if (kind !== 'manifest') continue
      const known = { index: digest, platform: isRunnable(platform) ? platform : undefined }
      this.#children.set(imageKey(repository, child), known)
    }
  }

  /** Undefined for a manifest that no index listed lately. */
  childOf(repository: Repository, digest: Digest): KnownChild | undefined {
    return this.#children.get(imageKey(repository, digest))
  }

  chosen(repository: Repository, client: string, platform: string): void {
    this.#chosen.set(clientKey(client), platform)
    this.#chosen.set(repositoryKey(repository), platform)
    const times = this.#last?.platform === platform ? this.#last.times + 1 : 1
    this.#last = { platform, times }
  }

  /** The child that this client will most likely ask for; undefined when nothing tells. */
  expected(repository: Repository, client: string, { edges }: RecordedManifest): Edge | undefined {
    const platform =
      this.#chosen.get(clientKey(client)) ??
      this.#chosen.get(repositoryKey(repository)) ??
      (this.#last !== undefined && this.#last.times >= SAME_IN_A_ROW
        ? this.#last.platform
        : undefined)
    return platform === undefined ? undefined : childFor(platform, edges)
  }
}

/**
 * Indexes do not agree on whether they write a variant: `linux/arm64` stands for the only one of
 * its kind.
 */
function childFor(platform: string, edges: readonly Edge[]): Edge | undefined {
  const children = edges.filter(edge => edge.kind === 'manifest' && edge.platform !== undefined)
  const exact = children.find(edge => edge.platform === platform)
  if (exact !== undefined) return exact
  const alike = children.filter(edge => withoutVariant(edge.platform) === withoutVariant(platform))
  return alike.length === 1 ? alike[0] : undefined
}

function withoutVariant(platform = ''): string {
  return platform.split('/', 2).join('/')
}

function clientKey(client: string): string {
  return `client ${client}`
}

/** Builders give `unknown/unknown` to what they put beside the images. */
function isRunnable(platform: string | undefined): boolean {
  return platform !== undefined && !platform.startsWith('unknown/')
}

export function imageKey(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)}@${digest}`
}
