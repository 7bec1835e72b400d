// When nothing is fetched ahead: where the operator says so, and where an upstream or the disk has
// no more to spare than what clients ask for themselves.
import { LRUCache } from 'lru-cache'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Upstream } from '../ports/upstream.ts'

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
const VAIN_MAX = 10_000

/** As the operator sets it, for one upstream. */
export interface PrefetchPolicy {
  /** May blobs be fetched before a client asks for them? */
  readonly prefetch: boolean
}

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
export class VainReaders {
  readonly #vain = new LRUCache<string, true>({ max: VAIN_MAX })

  has(repository: Repository, client: string): boolean {
    return this.#vain.has(clientKey(client)) || this.#vain.has(repositoryKey(repository))
  }

  add(repository: Repository, clients: Iterable<string>): void {
    this.#vain.set(repositoryKey(repository), true)
    for (const client of clients) this.#vain.set(clientKey(client), true)
  }

  delete(repository: Repository, clients: Iterable<string>): void {
    this.#vain.delete(repositoryKey(repository))
    for (const client of clients) this.#vain.delete(clientKey(client))
  }
}

function clientKey(client: string): string {
  return `client ${client}`
}
