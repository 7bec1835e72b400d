// Where does a tag point? From what is known here while it is fresh, from one shared HEAD at the upstream when it is not,
// and from what was known, with a warning, when the upstream fails (R88–R91; docs/configuration.md "Freshness").
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import type { Source } from './answers.ts'
import { bestEffort } from './best-effort.ts'
import { Flights } from './flights.ts'
import { compileTtl, freshnessOf, isServableStale } from './freshness.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'
import type { Namespace } from './namespaces.ts'
import type { NegativeCache } from './negative-cache.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog, PreviousDigest, TagFact } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import type { NoteEvent } from './ports/events.ts'
import { UpstreamError } from './ports/upstream.ts'
import { findStandIn, previousOf } from './previous-image.ts'
import { mayServeStale } from './upstream-failure.ts'

/** A client that could be given an old answer waits no longer than this for a new one. */
const LONGEST_WAIT_MS = 5_000

export interface ResolvedTag {
  readonly digest: Digest
  readonly source: Source
  /** When the upstream last confirmed it. */
  readonly checkedAtMs: number
  /** What a HEAD of the upstream told, when it was asked for this answer. */
  readonly head: { mediaType: string | undefined; sizeBytes: number | undefined } | undefined
  /** The document, when it had to be fetched to find out. */
  readonly content: ManifestContent | undefined
  /** Set when the answer is stale: why the upstream could not be asked. */
  readonly failure: UpstreamError | undefined
  readonly warnings: readonly string[]
}

/** Was the upstream left out of it, not asked and not failing? */
export function isOnlyKnown({ head, content, failure }: ResolvedTag): boolean {
  return head === undefined && content === undefined && failure === undefined
}

export interface ResolveTagDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly note: NoteEvent
  readonly negative: NegativeCache
  readonly contents: ManifestContents
}

export class TagResolver {
  readonly #deps: ResolveTagDeps
  readonly #flights = new Flights<ResolvedTag>()
  readonly #ttls = new WeakMap<Namespace, ReturnType<typeof compileTtl>>()

  constructor(deps: ResolveTagDeps) {
    this.#deps = deps
  }

  /**
   * `wantsBytes`: the document will be asked for next, so that a cold tag costs one GET and no HEAD before it.
   * @throws RegistryError offline; UpstreamError when the upstream says no, or fails and nothing servable is known
   */
  async resolve(
    repository: Repository,
    tag: Tag,
    options: { namespace: Namespace; wantsBytes: boolean },
  ): Promise<ResolvedTag> {
    const { catalog, clock } = this.#deps
    const { namespace } = options
    const known = await catalog.findTag(repository, tag)
    if (namespace.policy.offline) {
      if (known === undefined)
        throw new RegistryError(
          'MANIFEST_UNKNOWN',
          `${repository.registry} is configured offline, and the tag is not here`,
        )
      return (await this.#standIn(repository, known, { namespace })) ?? fromKnown(known, 'hit')
    }
    if (known === undefined) return this.#ask(repository, tag, { ...options, known })
    const freshness = freshnessOf(
      known.checkedAtMs,
      this.#ttlMs(namespace, repository, tag),
      clock.nowMs(),
    )
    if (freshness === 'fresh') return fromKnown(known, 'hit')
    const asked = this.#ask(repository, tag, { ...options, known })
    if (freshness === 'grace') {
      // Nobody waits for it; the next client sees what it brought.
      asked.catch(() => {})
      return fromKnown(known, 'hit')
    }
    return this.#orStale(repository, known, { namespace, asked })
  }

  /** Patterns are compiled once for each namespace. */
  #ttlMs(namespace: Namespace, repository: Repository, tag: Tag): number {
    let ttl = this.#ttls.get(namespace)
    if (ttl === undefined) {
      ttl = compileTtl(namespace.policy)
      this.#ttls.set(namespace, ttl)
    }
    return ttl(repository, tag)
  }

  /** The new answer, or the old one with a warning when the upstream failed or is slow (R89). */
  async #orStale(
    repository: Repository,
    known: TagFact,
    options: { namespace: Namespace; asked: Promise<ResolvedTag> },
  ): Promise<ResolvedTag> {
    const { clock } = this.#deps
    const nowMs = clock.nowMs()
    const servable = isServableStale(known.checkedAtMs, options.namespace.policy.maxStaleMs, nowMs)
    const limit = new AbortController()
    const slow = clock.sleep(LONGEST_WAIT_MS, limit.signal).then(
      () => 'slow' as const,
      () => new Promise<never>(() => {}),
    )
    let failure: UpstreamError
    try {
      const first = await (servable ? Promise.race([options.asked, slow]) : options.asked)
      if (first !== 'slow') return first
      options.asked.catch(() => {})
      failure = new UpstreamError('unavailable', 'the upstream is slow to answer')
    } catch (error) {
      if (!servable || !(error instanceof UpstreamError) || !mayServeStale(error)) throw error
      failure = error
    } finally {
      limit.abort()
    }
    const previous = await this.#standIn(repository, known, { ...options, failure })
    return previous ?? this.#stale(repository, known, { failure, also: '' })
  }

  /**
   * What the tag pointed to before, with a warning, when an upstream that failed or may not be asked leaves nothing else to give (R91).
   * For a caller who could not get the document of what was resolved. Undefined: there is nothing better than `error`.
   */
  async standIn(
    repository: Repository,
    tag: Tag,
    options: { namespace: Namespace; error: unknown },
  ): Promise<ResolvedTag | undefined> {
    const { namespace, error } = options
    if (!(error instanceof UpstreamError) || !mayServeStale(error)) return undefined
    const known = await this.#deps.catalog.findTag(repository, tag)
    if (known === undefined) return undefined
    return this.#standIn(repository, known, { namespace, failure: error })
  }

  async #standIn(
    repository: Repository,
    known: TagFact,
    { namespace, failure }: { namespace: Namespace; failure?: UpstreamError },
  ): Promise<ResolvedTag | undefined> {
    const { policy } = namespace
    const nowMs = this.#deps.clock.nowMs()
    const previous = await findStandIn(this.#deps, repository, { known, policy, nowMs })
    if (previous === undefined) return undefined
    const also = `, and its newer ${known.digest} is not here whole`
    return this.#stale(repository, previous, { failure, also })
  }

  /** An old answer with the warning that says why, and `also` what else is to be known of it. */
  #stale(
    repository: Repository,
    known: PreviousDigest,
    { failure, also }: { failure: UpstreamError | undefined; also: string },
  ): ResolvedTag {
    const { clock, note } = this.#deps
    const ageMs = Math.max(0, clock.nowMs() - known.checkedAtMs)
    if (failure !== undefined)
      note({ kind: 'served stale', repository, ageMs, reason: failure.message })
    const why = failure === undefined ? 'is configured offline' : `failed (${failure.failure})`
    const minutes = Math.round(ageMs / 60_000)
    return {
      ...fromKnown(known, 'stale'),
      failure,
      warnings: [`stale: ${repository.registry} ${why}${also}; last confirmed ${minutes} min ago`],
    }
  }

  /** One question for all who ask now. */
  async #ask(
    repository: Repository,
    tag: Tag,
    options: { namespace: Namespace; wantsBytes: boolean; known: TagFact | undefined },
  ): Promise<ResolvedTag> {
    const cold = options.known === undefined && options.wantsBytes
    const key = `${cold ? 'GET' : 'HEAD'} ${repositoryKey(repository)}:${tag}`
    const { promise, joined } = this.#flights.run(key, () =>
      cold ? this.fetch(repository, tag, options.namespace) : this.#head(repository, tag, options),
    )
    const resolved = await promise
    return joined && resolved.source === 'miss' ? { ...resolved, source: 'joined' } : resolved
  }

  async #head(
    repository: Repository,
    tag: Tag,
    options: { namespace: Namespace; known: TagFact | undefined },
  ): Promise<ResolvedTag> {
    const { catalog, clock, negative, note } = this.#deps
    const { namespace } = options
    const key = `${repositoryKey(repository)} ${tag}`
    negative.check(key)
    try {
      const head = await namespace.upstream.headManifest(repository.name, { kind: 'tag', tag })
      // Without a digest a HEAD says nothing about what changed (R44).
      if (head.digest === undefined) return await this.fetch(repository, tag, namespace)
      const checkedAtMs = clock.nowMs()
      const { digest } = head
      const from = options.known?.digest ?? digest
      await bestEffort(note, async () => {
        const previous =
          from === digest ? undefined : await previousOf(this.#deps, repository, options.known)
        await catalog.recordTag(repository, tag, digest, { checkedAtMs, previous })
      })
      if (from !== digest) note({ kind: 'tag moved', repository, tag, from, to: digest })
      const { mediaType, sizeBytes, warnings } = head
      return {
        digest,
        source: options.known?.digest === digest ? 'hit' : 'miss',
        checkedAtMs,
        head: { mediaType, sizeBytes },
        content: undefined,
        failure: undefined,
        warnings,
      }
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      if (error.failure === 'unsupported') return this.fetch(repository, tag, namespace)
      negative.note(key, error)
      if (error.failure === 'not-found') await this.#forget(repository, tag)
      throw error
    }
  }

  /** Asks the upstream by GET, whatever is known here. @throws UpstreamError */
  async fetch(repository: Repository, tag: Tag, namespace: Namespace): Promise<ResolvedTag> {
    try {
      const known = await this.#deps.catalog.findTag(repository, tag)
      const previous = await previousOf(this.#deps, repository, known)
      const { content, source } = await this.#deps.contents.getTagged(repository, tag, {
        namespace,
        previous,
      })
      return {
        digest: content.fact.digest,
        source,
        checkedAtMs: this.#deps.clock.nowMs(),
        head: undefined,
        content,
        failure: undefined,
        warnings: content.warnings,
      }
    } catch (error) {
      const gone = error instanceof UpstreamError && error.failure === 'not-found'
      if (gone) await this.#forget(repository, tag)
      throw error
    }
  }

  async #forget(repository: Repository, tag: Tag): Promise<void> {
    await bestEffort(this.#deps.note, () => this.#deps.catalog.forgetTag(repository, tag))
  }
}

function fromKnown(known: PreviousDigest, source: Source): ResolvedTag {
  const { digest, checkedAtMs } = known
  return {
    digest,
    source,
    checkedAtMs,
    head: undefined,
    content: undefined,
    failure: undefined,
    warnings: [],
  }
}
