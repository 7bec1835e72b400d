// Where does a tag point? From what is known here while it is fresh, from one shared HEAD at the
// upstream when it is not, and from what was known, with a warning, when the upstream fails
// (R88–R91; docs/configuration.md "Freshness"). For a tag that was pushed here and is not upstream
// yet, nobody is asked.
import { LATE, within } from '../../async/within.ts'
import type { Repeatable } from '../answers.ts'
import type { Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import {
  alwaysFrom,
  compileTtl,
  freshFrom,
  freshnessOf,
  isServableStale,
  whileWholeFrom,
} from './freshness.ts'
import { offline, type ReadFrom } from './manifest-content.ts'
import type { Namespace } from '../routing/namespaces.ts'
import type { PreviousDigest, RecordedTag } from '../ports/catalog-tags.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { findStandIn } from './previous-image.ts'
import { type ResolvedTag, UpstreamTags, type UpstreamTagsDeps } from './upstream-tags.ts'
import { mayServeStale } from '../refusals/upstream-failure.ts'

/** A client that could be given an old answer waits no longer than this for a new one. */
const LONGEST_WAIT_MS = 5_000

export class TagResolver {
  readonly #deps: UpstreamTagsDeps
  readonly #upstreamTags: UpstreamTags
  readonly #ttls = new WeakMap<Namespace, ReturnType<typeof compileTtl>>()

  constructor(deps: UpstreamTagsDeps) {
    this.#deps = deps
    this.#upstreamTags = new UpstreamTags(deps)
  }

  /**
   * `wantsBytes`: the document will be asked for next, so that a cold tag costs one GET and no HEAD
   * before it. `mustAsk`: what is known here is not fresh enough, however fresh it is.
   * @throws RegistryError offline; UpstreamError when the upstream says no, or fails and nothing
   * servable is known
   */
  async resolve(
    repository: Repository,
    tag: Tag,
    wanted: ReadFrom & { wantsBytes: boolean; mustAsk?: boolean },
  ): Promise<ResolvedTag> {
    const { catalog, clock } = this.#deps
    const { namespace, wantsBytes, mustAsk = false } = wanted
    const known = await catalog.findTag(repository, tag)
    // Nobody but this edge knows better, whoever could be asked.
    if (known?.local === true) return asKnown(known, 'local', alwaysFrom())
    if (namespace.policy.offline) return this.#offline(repository, known, namespace)
    if (known === undefined) {
      return wantsBytes
        ? this.#upstreamTags.get(repository, tag, wanted)
        : this.#upstreamTags.head(repository, tag, { ...wanted, known })
    }
    const ttlMs = mustAsk ? 0 : this.#ttlMs(namespace, repository, tag)
    const asKnownHere = asKnown(known, 'known', freshFrom(known.checkedAtMs, ttlMs))
    switch (freshnessOf(known.checkedAtMs, ttlMs, clock.nowMs())) {
      case 'fresh':
        return asKnownHere
      case 'grace':
        // Nobody waits for it; the next client sees what it brought.
        this.#confirm(repository, tag, { ...wanted, known }).catch(() => {})
        return asKnownHere
      case 'expired':
        return this.#confirmOrStale(repository, tag, { ...wanted, known })
    }
  }

  /**
   * What else to give when the document of what was resolved could not be had: where the tag points
   * now, if it was only known here and is gone upstream; else what it pointed to before, where the
   * upstream failed and that is whole (R91).
   * @throws `error`, or what asking anew failed with, when there is nothing better
   */
  async insteadOf(
    resolved: ResolvedTag,
    of: ReadFrom & { repository: Repository; tag: Tag; error: unknown },
  ): Promise<ResolvedTag> {
    const { repository, tag, namespace } = of
    if (resolved.kind === 'previous') throw of.error
    let { error } = of
    const isGone = error instanceof UpstreamError && error.failure === 'not-found'
    if (isGone && resolved.kind === 'known') {
      try {
        return await this.#upstreamTags.fetch(repository, tag, of)
      } catch (failure) {
        error = failure
      }
    }
    if (!(error instanceof UpstreamError) || !mayServeStale(error)) throw error
    const known = await this.#deps.catalog.findTag(repository, tag)
    const previous =
      known && (await this.#previous(repository, known, { namespace, failure: error }))
    if (previous === undefined) throw error
    return previous
  }

  /**
   * The tag was pushed through this edge: what was asked about it before is old news to whoever
   * asks from now on.
   */
  pushed(repository: Repository, tag: Tag): void {
    this.#upstreamTags.pushed(repository, tag)
  }

  /** As of `UpstreamTags`. */
  forget(isMeant: (key: RepositoryKey) => boolean): void {
    this.#upstreamTags.forget(isMeant)
  }

  async #offline(
    repository: Repository,
    known: RecordedTag | undefined,
    namespace: Namespace,
  ): Promise<ResolvedTag> {
    if (known === undefined) throw offline(repository, 'the tag is not here')
    const previous = await this.#previous(repository, known, { namespace, failure: undefined })
    if (previous !== undefined) return previous
    return asKnown(known, 'known', whileWholeFrom(known.checkedAtMs, this.#deps.clock.nowMs()))
  }

  /** What the upstream says now; it is tried less where what is known can be given instead. */
  #confirm(
    repository: Repository,
    tag: Tag,
    from: ReadFrom & { known: RecordedTag },
  ): Promise<ResolvedTag> {
    const isServable = this.#isServable(from.known, from.namespace)
    const options = isServable
      ? { ...from.options, retries: 'if responded' as const }
      : from.options
    return this.#upstreamTags.head(repository, tag, { ...from, options })
  }

  /** The new answer, or the old one with a warning when the upstream failed or is slow (R89). */
  async #confirmOrStale(
    repository: Repository,
    tag: Tag,
    from: ReadFrom & { known: RecordedTag },
  ): Promise<ResolvedTag> {
    const { namespace, known } = from
    const isServable = this.#isServable(known, namespace)
    const confirmed = this.#confirm(repository, tag, from)
    if (!isServable) return confirmed
    let failure: UpstreamError
    try {
      const resolved = await within(this.#deps.clock, LONGEST_WAIT_MS, confirmed)
      if (resolved !== LATE) return resolved
      failure = tooSlow(namespace)
    } catch (error) {
      if (!(error instanceof UpstreamError) || !mayServeStale(error)) throw error
      failure = error
    }
    const previous = await this.#previous(repository, known, { namespace, failure })
    return previous ?? this.#stale(repository, known, { kind: 'stale', failure, also: '' })
  }

  /** The image before, when it alone can be delivered; undefined when there is nothing better. */
  async #previous(
    repository: Repository,
    known: RecordedTag,
    { namespace, failure }: { namespace: Namespace; failure: UpstreamError | undefined },
  ): Promise<ResolvedTag | undefined> {
    const { policy } = namespace
    const nowMs = this.#deps.clock.nowMs()
    const previous = await findStandIn(this.#deps, repository, { known, policy, nowMs })
    if (previous === undefined) return undefined
    const also = `, and its newer ${known.digest} is not here whole`
    return this.#stale(repository, previous, { kind: 'previous', failure, also })
  }

  /** An old answer with the warning that says why, and `also` what else is to be known of it. */
  #stale(
    repository: Repository,
    { digest, checkedAtMs }: PreviousDigest,
    {
      kind,
      failure,
      also,
    }: { kind: 'stale' | 'previous'; failure: UpstreamError | undefined; also: string },
  ): ResolvedTag {
    const { clock, note } = this.#deps
    const ageMs = Math.max(0, clock.nowMs() - checkedAtMs)
    if (failure !== undefined)
      note({ kind: 'served stale', repository, ageMs, reason: failure.message })
    const why = failure === undefined ? 'is configured offline' : `failed (${failure.failure})`
    const minutes = Math.round(ageMs / 60_000)
    const warning = `stale: ${repository.registry} ${why}${also}; last confirmed ${minutes} min ago`
    return { kind, digest, checkedAtMs, source: 'stale', failure, warnings: [warning] }
  }

  #isServable({ checkedAtMs }: RecordedTag, { policy }: Namespace): boolean {
    return isServableStale(checkedAtMs, policy.maxStaleMs, this.#deps.clock.nowMs())
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
}

function asKnown(
  { digest, checkedAtMs }: RecordedTag,
  kind: 'local' | 'known',
  repeatable: Repeatable,
): ResolvedTag {
  const source = kind === 'local' ? 'local' : 'hit'
  return { kind, digest, checkedAtMs, source, warnings: [], repeatable }
}

/** Each try may have been answered, and none well. */
function tooSlow({ upstream }: Namespace): UpstreamError {
  const { lastFinding, lastFailure } = upstream.health()
  const isFailing = lastFinding === 'failed' && lastFailure !== undefined
  const why = isFailing ? `the upstream fails: ${lastFailure}` : 'the upstream is slow to answer'
  return new UpstreamError('unavailable', why)
}
