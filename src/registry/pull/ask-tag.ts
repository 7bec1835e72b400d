// Where does a tag point, says the upstream: one question for all who ask now, and what was learned
// is written down, unless a client pushed the tag meanwhile (R115). When it is asked at all is
// decided in resolve-tag.ts.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { bestEffort } from '../best-effort.ts'
import { Flights } from '../../async/flights.ts'
import type { ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from '../namespaces.ts'
import { manifestKey, type NegativeCache, type Question } from '../negative-cache.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { TagFact } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type ReadOptions, UpstreamError } from '../ports/upstream.ts'
import { previousOf } from './previous-image.ts'
import type { ResolvedTag } from './resolved-tag.ts'

export interface AskTagDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly note: NoteEvent
  readonly negative: NegativeCache
  readonly contents: ManifestContents
}

/** Of whom, and how. */
export interface AskedUpstream {
  readonly namespace: Namespace
  readonly options?: ReadOptions | undefined
}

interface TagQuestion extends AskedUpstream {
  readonly known: TagFact | undefined
}

export class TagQuestions {
  readonly #deps: AskTagDeps
  readonly #flights = new Flights<ResolvedTag>()

  constructor(deps: AskTagDeps) {
    this.#deps = deps
  }

  /**
   * By HEAD, or by GET when nothing is known and the document is wanted as well.
   * @throws UpstreamError
   */
  async ask(
    repository: Repository,
    tag: Tag,
    question: TagQuestion & { wantsBytes: boolean },
  ): Promise<ResolvedTag> {
    const cold = question.known === undefined && question.wantsBytes
    const key = flightOf(cold ? 'GET' : 'HEAD', repository, tag)
    const { promise, joined } = this.#flights.run(key, () =>
      cold ? this.fetch(repository, tag, question) : this.#head(repository, tag, question),
    )
    const resolved = await promise
    return joined && resolved.source === 'miss' ? { ...resolved, source: 'joined' } : resolved
  }

  async #head(repository: Repository, tag: Tag, asked: TagQuestion): Promise<ResolvedTag> {
    const { clock, negative } = this.#deps
    const { namespace, options, known } = asked
    const reference = { kind: 'tag', tag } as const
    try {
      return await negative.ask(manifestKey(repository, reference), async question => {
        const head = await namespace.upstream.headManifest(repository.name, reference, options)
        // Without a digest a HEAD says nothing about what changed (R44).
        if (head.digest === undefined) return this.fetch(repository, tag, asked)
        const checkedAtMs = clock.nowMs()
        const { digest, mediaType, sizeBytes, warnings } = head
        await this.#confirmed(repository, tag, { known, digest, checkedAtMs, question })
        return {
          digest,
          source: known?.digest === digest ? 'hit' : 'miss',
          checkedAtMs,
          head: { mediaType, sizeBytes },
          content: undefined,
          failure: undefined,
          warnings,
        }
      })
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      if (error.failure === 'unsupported') return this.fetch(repository, tag, asked)
      if (error.failure === 'not-found') await this.#forget(repository, tag)
      throw error
    }
  }

  async #confirmed(
    repository: Repository,
    tag: Tag,
    said: { known: TagFact | undefined; digest: Digest; checkedAtMs: number; question: Question },
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
    this.#flights.close(flightOf('HEAD', repository, tag))
    this.#flights.close(flightOf('GET', repository, tag))
    contents.closeTag(repository, tag)
  }

  /** Asks the upstream by GET, whatever is known here. @throws UpstreamError */
  async fetch(repository: Repository, tag: Tag, asked: AskedUpstream): Promise<ResolvedTag> {
    try {
      const known = await this.#deps.catalog.findTag(repository, tag)
      const previous = await previousOf(this.#deps, repository, known)
      const { content, source } = await this.#deps.contents.getTagged(repository, tag, {
        namespace: asked.namespace,
        options: asked.options,
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

function flightOf(method: 'GET' | 'HEAD', repository: Repository, tag: Tag): string {
  return `${method} ${repositoryKey(repository)}:${tag}`
}
