// Where does a tag point? From what is known here while it is fresh, from one shared HEAD at the
// upstream when it is not, and from what was known, with a warning, when the upstream fails
// (R88–R91; docs/configuration.md "Freshness"). For a tag that was pushed here and is not upstream
// yet, nobody is asked.
import { LATE, within } from '../../async/within.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import { type AskedUpstream, type AskTagDeps, TagQuestions } from './ask-tag.ts'
import {
  alwaysFrom,
  compileTtl,
  freshFrom,
  freshnessOf,
  isServableStale,
  whileWholeFrom,
} from './freshness.ts'
import type { Namespace } from '../namespaces.ts'
import type { PreviousDigest, TagFact } from '../ports/catalog-tags.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { findStandIn } from './previous-image.ts'
import { fromKnown, type ResolvedTag } from './resolved-tag.ts'
import { mayServeStale } from '../upstream-failure.ts'

/** A client that could be given an old answer waits no longer than this for a new one. */
const LONGEST_WAIT_MS = 5_000

export class TagResolver {
  readonly #deps: AskTagDeps
  readonly #questions: TagQuestions
  readonly #ttls = new WeakMap<Namespace, ReturnType<typeof compileTtl>>()

  constructor(deps: AskTagDeps) {
    this.#deps = deps
    this.#questions = new TagQuestions(deps)
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
    request: AskedUpstream & { wantsBytes: boolean; mustAsk?: boolean },
  ): Promise<ResolvedTag> {
    const { catalog, clock } = this.#deps
    const { namespace } = request
    const known = await catalog.findTag(repository, tag)
    // Nobody but this edge knows better, whoever could be asked.
    if (known?.local === true) return fromKnown(known, 'local', alwaysFrom())
    if (namespace.policy.offline) {
      if (known === undefined)
        throw new RegistryError(
          'MANIFEST_UNKNOWN',
          `${repository.registry} is configured offline, and the tag is not here`,
        )
      const standIn = await this.#standIn(repository, known, { namespace })
      return standIn ?? fromKnown(known, 'hit', whileWholeFrom(known.checkedAtMs, clock.nowMs()))
    }
    if (known === undefined) {
      return this.#questions.ask(repository, tag, { ...request, known })
    }
    const ttlMs = request.mustAsk ? 0 : this.#ttlMs(namespace, repository, tag)
    const freshness = freshnessOf(known.checkedAtMs, ttlMs, clock.nowMs())
    const repeatable = freshFrom(known.checkedAtMs, ttlMs)
    if (freshness === 'fresh') return fromKnown(known, 'hit', repeatable)
    const servable = isServableStale(known.checkedAtMs, namespace.policy.maxStaleMs, clock.nowMs())
    const { retries } = request.options ?? {}
    const options = { ...request.options, retries: servable ? ('if answered' as const) : retries }
    const asked = this.#questions.ask(repository, tag, { ...request, known, options })
    if (freshness === 'grace') {
      // Nobody waits for it; the next client sees what it brought.
      asked.catch(() => {})
      return fromKnown(known, 'hit', repeatable)
    }
    return this.#orStale(repository, known, { namespace, asked, servable })
  }

  /** Asks the upstream by GET, whatever is known here. @throws UpstreamError */
  fetch(repository: Repository, tag: Tag, asked: AskedUpstream): Promise<ResolvedTag> {
    return this.#questions.fetch(repository, tag, asked)
  }

  /**
   * The tag was pushed through this edge: what was asked about it before is old news to whoever
   * asks from now on.
   */
  pushed(repository: Repository, tag: Tag): void {
    this.#questions.pushed(repository, tag)
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
    options: { namespace: Namespace; asked: Promise<ResolvedTag>; servable: boolean },
  ): Promise<ResolvedTag> {
    const { clock } = this.#deps
    const { servable } = options
    if (!servable) return options.asked
    let failure: UpstreamError
    try {
      const resolved = await within(clock, LONGEST_WAIT_MS, options.asked)
      if (resolved !== LATE) return resolved
      failure = tooSlow(options.namespace)
    } catch (error) {
      if (!(error instanceof UpstreamError) || !mayServeStale(error)) throw error
      failure = error
    }
    const previous = await this.#standIn(repository, known, { ...options, failure })
    return previous ?? this.#stale(repository, known, { failure, also: '' })
  }

  /**
   * What the tag pointed to before, with a warning, when an upstream that failed or may not be
   * asked leaves nothing else to give (R91). For a caller who could not get the document of what
   * was resolved. Undefined: there is nothing better than `error`.
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
}

/** Each try may have been answered, and none well. */
function tooSlow({ upstream }: Namespace): UpstreamError {
  const { lastFinding, lastFailure } = upstream.health()
  const isFailing = lastFinding === 'failed' && lastFailure !== undefined
  const why = isFailing ? `the upstream fails: ${lastFailure}` : 'the upstream is slow to answer'
  return new UpstreamError('unavailable', why)
}
