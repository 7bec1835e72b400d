// Which of an index's children is asked for next? Whoever pulled for a platform pulls for it again:
// a client always, a repository and an edge mostly. In memory alone; what is forgotten costs a
// round trip.
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Edge, ManifestFact } from '../ports/catalog-content.ts'
import { imageKey } from './prefetch-image.ts'

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

export class PlatformChoices {
  readonly #children = new LRUCache<string, KnownChild>({ max: CHILDREN_MAX })
  readonly #chosen = new LRUCache<string, string>({ max: CHOICES_MAX })
  #last: { readonly platform: string; readonly times: number } | undefined

  /** An index was given: its children are known by their platforms from now on. */
  indexServed(repository: Repository, { digest, edges }: ManifestFact): void {
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
  expected(repository: Repository, client: string, { edges }: ManifestFact): Edge | undefined {
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
