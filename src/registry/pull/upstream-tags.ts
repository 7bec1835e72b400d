// Where does a tag point, says the upstream: one request for all who want to know now of the same
// endpoints, and what was learned is written down, unless a client pushed the tag meanwhile (R115).
// When it is asked at all is decided in resolve-tag.ts.
import type { Digest } from '../../oci/digest.ts'
import type { Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { Repeatable, Source } from '../answers.ts'
import { bestEffort } from '../best-effort.ts'
import { Flights } from '../../async/flights.ts'
import type { ManifestContent, ManifestContents, ReadFrom } from './manifest-content.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import { isQuestionOf, manifestKey, type NegativeCache, type Question } from '../negative-cache.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { ASKED_ENDPOINTS, type AskedEndpoints, UpstreamError } from '../ports/upstream.ts'
import { previousOf } from './previous-image.ts'

interface Pointing {
  readonly digest: Digest
  /** When the upstream last confirmed it. */
  readonly checkedAtMs: number
  readonly source: Source
  readonly warnings: readonly string[]
}

/** Where a tag points, and how that is known. */
export type ResolvedTag =
  /** From the catalog, nobody asked: pushed here, or as the upstream said not long ago. */
  | (Pointing & { readonly kind: 'local' | 'known'; readonly repeatable: Repeatable })
  /** By a HEAD of the upstream, for this answer. */
  | (Pointing & { readonly kind: 'confirmed'; readonly head: ConfirmedHead })
  /** By a GET of the upstream, for this answer. */
  | (Pointing & { readonly kind: 'fetched'; readonly content: ManifestContent })
  /**
   * As the upstream said before it failed, or was configured offline (then there is no failure);
   * `previous`: the image before that, because the newer one is not here whole.
   */
  | (Pointing & {
      readonly kind: 'stale' | 'previous'
      readonly failure: UpstreamError | undefined
    })

interface ConfirmedHead {
  readonly mediaType: string | undefined
  readonly sizeBytes: number | undefined
}

export interface UpstreamTagsDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly note: NoteEvent
  readonly negative: NegativeCache
  readonly contents: ManifestContents
}

interface ConfirmFrom extends ReadFrom {
  readonly known: RecordedTag | undefined
}

export class UpstreamTags {
  readonly #deps: UpstreamTagsDeps
  readonly #flights = new Flights<ResolvedTag>()

  constructor(deps: UpstreamTagsDeps) {
    this.#deps = deps
  }

  /** By HEAD, or by GET where that says nothing. @throws UpstreamError */
  async head(repository: Repository, tag: Tag, from: ConfirmFrom): Promise<ResolvedTag> {
    const flight = this.#flights.run(
      flightOf('HEAD', repository, tag, from.options?.endpoints),
      () => this.#head(repository, tag, from),
    )
    return asJoined(await flight.promise, flight.joined)
  }

  /** By GET, so that the document is here as well. @throws UpstreamError */
  async get(repository: Repository, tag: Tag, from: ReadFrom): Promise<ResolvedTag> {
    const flight = this.#flights.run(
      flightOf('GET', repository, tag, from.options?.endpoints),
      () => this.fetch(repository, tag, from),
    )
    return asJoined(await flight.promise, flight.joined)
  }

  async #head(repository: Repository, tag: Tag, from: ConfirmFrom): Promise<ResolvedTag> {
    const { namespace, options, known } = from
    const reference = { kind: 'tag', tag } as const
    try {
      const what = manifestKey(repository, reference)
      return await this.#deps.negative.ask(what, options?.endpoints, async question => {
        const head = await namespace.upstream.headManifest(repository.name, reference, options)
        const { digest, mediaType, sizeBytes, warnings } = head
        // Without a digest a HEAD says nothing about what changed (R44).
        if (digest === undefined) return this.fetch(repository, tag, from)
        const checkedAtMs = this.#deps.clock.nowMs()
        await this.#record(repository, tag, { known, digest, checkedAtMs, question })
        const source = known?.digest === digest ? 'hit' : 'miss'
        return {
          kind: 'confirmed',
          digest,
          source,
          checkedAtMs,
          head: { mediaType, sizeBytes },
          warnings,
        }
      })
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      if (error.failure === 'unsupported') return this.fetch(repository, tag, from)
      if (error.failure === 'not-found') await this.#forget(repository, tag, from)
      throw error
    }
  }

  async #record(
    repository: Repository,
    tag: Tag,
    said: {
      known: RecordedTag | undefined
      digest: Digest
      checkedAtMs: number
      question: Question
    },
  ): Promise<void> {
    const { catalog, note } = this.#deps
    const { known, digest, checkedAtMs, question } = said
    const from = known?.digest ?? digest
    await bestEffort(note, async () => {
      const previous = from === digest ? undefined : await previousOf(this.#deps, repository, known)
      // A tag that was pushed meanwhile does not go back to what the upstream said before.
      if (question.isCurrent)
        await catalog.recordTag(repository, tag, digest, { checkedAtMs, previous })
    })
    if (from !== digest && question.isCurrent)
      note({ kind: 'tag moved', repository, tag, from, to: digest })
  }

  /**
   * The tag was pushed through this edge: what was asked about it before is old news to whoever
   * asks from now on.
   */
  pushed(repository: Repository, tag: Tag): void {
    const { negative, contents } = this.#deps
    negative.forget(manifestKey(repository, { kind: 'tag', tag }))
    for (const endpoints of ASKED_ENDPOINTS) {
      this.#flights.close(flightOf('HEAD', repository, tag, endpoints))
      this.#flights.close(flightOf('GET', repository, tag, endpoints))
    }
    contents.closeTag(repository, tag)
  }

  /** Nobody joins what is asked now about tags of these repositories. */
  forget(isMeant: (key: RepositoryKey) => boolean): void {
    this.#flights.closeAll(isQuestionOf(isMeant))
  }

  /** By GET, whoever else does so. @throws UpstreamError */
  async fetch(repository: Repository, tag: Tag, from: ReadFrom): Promise<ResolvedTag> {
    try {
      const known = await this.#deps.catalog.findTag(repository, tag)
      const previous = await previousOf(this.#deps, repository, known)
      const tagged = { namespace: from.namespace, options: from.options, previous }
      const { content, source } = await this.#deps.contents.getTagged(repository, tag, tagged)
      return {
        kind: 'fetched',
        digest: content.recorded.digest,
        source,
        checkedAtMs: this.#deps.clock.nowMs(),
        content,
        warnings: content.warnings,
      }
    } catch (error) {
      const gone = error instanceof UpstreamError && error.failure === 'not-found'
      if (gone) await this.#forget(repository, tag, from)
      throw error
    }
  }

  /** What the registry itself lacks its mirrors may have, which pulls ask first. */
  async #forget(repository: Repository, tag: Tag, { namespace, options }: ReadFrom): Promise<void> {
    if (options?.endpoints === 'registry' && namespace.upstream.hasMirrors) return
    await bestEffort(this.#deps.note, () => this.#deps.catalog.forgetTag(repository, tag))
  }
}

function flightOf(
  method: 'GET' | 'HEAD',
  repository: Repository,
  tag: Tag,
  endpoints: AskedEndpoints = 'all',
): string {
  return `${method} ${endpoints} ${manifestKey(repository, { kind: 'tag', tag })}`
}

/** As it is told to whoever shares the request of another one. */
function asJoined(resolved: ResolvedTag, joined: boolean): ResolvedTag {
  return joined && resolved.source === 'miss' ? { ...resolved, source: 'joined' } : resolved
}
