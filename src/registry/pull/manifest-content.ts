// A manifest's bytes by digest: from disk, hashed again on every read, or from the upstream,
// verified before anybody sees them, kept, and written down with everything they name.
import { type Digest, digestAlgorithm, digestOf } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { Reference, Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { Source } from '../answers.ts'
import { bestEffort } from '../best-effort.ts'
import { asRecorded } from '../content/edges.ts'
import { Flights } from '../../async/flights.ts'
import type { StoredContent } from '../content/content.ts'
import { noteMissingUnlessBack } from '../content/missing-content.ts'
import type { Namespace } from '../routing/namespaces.ts'
import { isQuestionOf, manifestKey, type NegativeCache, type Question } from '../negative-cache.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { PreviousDigest } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { UpstreamManifest } from '../ports/upstream-content.ts'
import {
  ASKED_ENDPOINTS,
  type AskedEndpoints,
  type ReadOptions,
  UpstreamError,
} from '../ports/upstream.ts'
import type { ManifestRoom } from '../space/manifest-room.ts'
import { manifestNotFound, type NotFound, requireGone, unlessUnread } from './unread.ts'

export interface ManifestContent {
  readonly recorded: RecordedManifest
  readonly bytes: Uint8Array
  readonly warnings: readonly string[]
}

/** Which upstream may be asked, and how each request is put; by default as ever. */
export interface ReadFrom {
  readonly namespace: Namespace
  readonly options?: ReadOptions | undefined
}

export interface ManifestContentDeps {
  readonly content: StoredContent
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly note: NoteEvent
  readonly negative: NegativeCache
  readonly room: Pick<ManifestRoom, 'during'>
}

export class ManifestContents {
  readonly #deps: ManifestContentDeps
  readonly #flights = new Flights<ManifestContent>()

  constructor(deps: ManifestContentDeps) {
    this.#deps = deps
  }

  /** The tag was pushed: who asks for it now does not share the answer to an older question. */
  closeTag(repository: Repository, tag: Tag): void {
    const reference = { kind: 'tag', tag } as const
    for (const endpoints of ASKED_ENDPOINTS)
      this.#flights.close(flightOf(repository, reference, endpoints))
  }

  /** Nobody joins what is asked now about manifests of these repositories. */
  forget(isMeant: (key: RepositoryKey) => boolean): void {
    this.#flights.closeAll(isQuestionOf(isMeant))
  }

  /**
   * What is here and belongs to this repository; undefined when it must be fetched.
   * @throws StoreError
   */
  async here(repository: Repository, digest: Digest): Promise<ManifestContent | undefined> {
    const content = await this.#find(repository, digest)
    if (content === undefined) await requireGone(this.#deps, this.#notFound(repository, digest))
    return content
  }

  /**
   * The bytes of one, where they are here.
   * @throws StoreError of the disk, and not of the catalog
   */
  async read(recorded: RecordedManifest): Promise<ManifestContent | undefined> {
    const { digest } = recorded
    const bytes = await this.#deps.store.readVerified(digest)
    if (bytes !== undefined) return { recorded, bytes, warnings: [] }
    await noteMissingUnlessBack(this.#deps, digest)
    return undefined
  }

  /**
   * The manifest with this digest, fetched when it was not given to this repository, also where its
   * bytes are here through another one: it is small, and only what its upstream delivers says what
   * it is there (R96, R251).
   * @throws UpstreamError; RegistryError where the upstream may not be asked; StoreError
   */
  async get(
    repository: Repository,
    digest: Digest,
    from: ReadFrom,
  ): Promise<{ content: ManifestContent; source: Source }> {
    const here = await this.#find(repository, digest)
    if (here !== undefined) return { content: here, source: 'hit' }
    return unlessUnread(this.#deps, this.#notFound(repository, digest), () => {
      if (from.namespace.policy.offline) throw offline(repository, 'the manifest is not here')
      return this.#shared(repository, { kind: 'digest', digest }, from)
    })
  }

  /**
   * Fetches whatever the tag points to at the upstream now, and points the tag there; `previous` is
   * remembered should that be a move.
   * @throws UpstreamError
   */
  async getTagged(
    repository: Repository,
    tag: Tag,
    from: ReadFrom & { previous: PreviousDigest | undefined },
  ): Promise<{ content: ManifestContent; source: Source }> {
    return this.#shared(repository, { kind: 'tag', tag }, from)
  }

  async #find(repository: Repository, digest: Digest): Promise<ManifestContent | undefined> {
    const recorded = await this.#deps.catalog.findManifest(repository, digest)
    return recorded && this.read(recorded)
  }

  #notFound(repository: Repository, digest: Digest): NotFound {
    return manifestNotFound(this.#deps.catalog, repository, digest)
  }

  /** One request for all who want the same of the same endpoints now. */
  async #shared(
    repository: Repository,
    reference: Reference,
    from: ReadFrom & { previous?: PreviousDigest | undefined },
  ): Promise<{ content: ManifestContent; source: Source }> {
    const flight = flightOf(repository, reference, from.options?.endpoints)
    const { promise, joined } = this.#flights.run(flight, () =>
      this.#fetch(repository, reference, from),
    )
    return { content: await promise, source: joined ? 'joined' : 'miss' }
  }

  async #fetch(
    repository: Repository,
    reference: Reference,
    from: ReadFrom & { previous?: PreviousDigest | undefined },
  ): Promise<ManifestContent> {
    const { namespace, options, previous } = from
    const { upstream } = namespace
    const apart = !namespace.shares
    const endpoints = options?.endpoints
    const wanted = reference.kind === 'digest' ? reference.digest : undefined
    return this.#deps.negative.ask(
      manifestKey(repository, reference),
      endpoints,
      async question => {
        const tagged =
          reference.kind === 'tag' ? { tagged: { previous, tag: reference.tag, question } } : {}
        for (;;) {
          const response = await upstream.getManifest(repository.name, reference, { endpoints })
          try {
            const digest = this.#verified(repository, response, wanted)
            return await this.#keep(repository, { ...response, digest, apart, ...tagged })
          } catch (error) {
            if (!(error instanceof UpstreamError) || error.failure !== 'invalid') throw error
            // Whoever can publish there chooses what is odd; bytes that miss their digest are
            // nobody's but the mirror's.
            const why = error.cause instanceof RegistryError ? 'odd content' : 'other bytes'
            // What a mirror gave is asked for once more, of the registry itself (R260).
            const isOfMirror = endpoints !== 'registry'
            if (!isOfMirror || !upstream.distrust(repository.name, reference, why)) throw error
          }
        }
      },
    )
  }

  /**
   * The digest of what came, when it is the one that was asked for and the one that the upstream
   * claims (R36).
   */
  #verified(
    repository: Repository,
    response: UpstreamManifest,
    wanted: Digest | undefined,
  ): Digest {
    const claimed = wanted ?? response.declaredDigest
    const digest = digestOf(
      response.bytes,
      claimed === undefined ? 'sha256' : digestAlgorithm(claimed),
    )
    const lies = [wanted, wanted === undefined ? response.declaredDigest : undefined].some(
      each => each !== undefined && each !== digest,
    )
    if (!lies) return digest
    this.#lied(
      repository,
      `a manifest of ${repository.name} hashes to ${digest}, not to ${claimed}`,
    )
    throw new UpstreamError(
      'invalid',
      'the upstream sent a manifest that does not hash to its digest',
    )
  }

  /** Stores and records; a disk that is full or fails costs the caching, not the answer. */
  async #keep(
    repository: Repository,
    found: {
      bytes: Uint8Array
      digest: Digest
      mediaType: string
      warnings: readonly string[]
      apart: boolean
      tagged?: { tag: Tag; previous?: PreviousDigest | undefined; question: Question }
    },
  ): Promise<ManifestContent> {
    const { content, clock, note, room } = this.#deps
    const { bytes, digest, apart, tagged } = found
    const recorded = this.#parsed(repository, found)
    const from = apart ? 'apart' : 'upstream'
    const write = () => {
      const record = { repository, manifest: recorded, apart, atMs: clock.nowMs() }
      return content.putManifest(digest, bytes, () =>
        // A tag that was pushed meanwhile does not go back to what the upstream said before.
        tagged?.question.isCurrent
          ? { ...record, tag: tagged.tag, previous: tagged.previous }
          : record,
      )
    }
    await bestEffort(note, () =>
      room.during({ repository, digest, sizeBytes: bytes.length, from }, write),
    )
    return { recorded, bytes, warnings: found.warnings }
  }

  #parsed(
    repository: Repository,
    found: { bytes: Uint8Array; digest: Digest; mediaType: string },
  ): RecordedManifest {
    try {
      return asRecorded(
        parseManifest(found.bytes, found.mediaType),
        found.digest,
        found.bytes.length,
      )
    } catch (error) {
      // Schema 1 is no lie: it is a format that can't be kept (R41), and the client is told so.
      if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_INVALID') throw error
      this.#lied(repository, `a manifest of ${repository.name} is invalid: ${error.message}`)
      throw new UpstreamError('invalid', error.message, { cause: error })
    }
  }

  #lied(repository: Repository, what: string): void {
    this.#deps.note({ kind: 'content lied', registry: repository.registry, what })
  }
}

/** The configuration forbids asking: said as it is, not as if the registry had been asked. */
export function offline({ registry }: Repository, what: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', `${registry} is configured offline, and ${what}`)
}

function flightOf(
  repository: Repository,
  reference: Reference,
  endpoints: AskedEndpoints = 'all',
): string {
  return `${endpoints} ${manifestKey(repository, reference)}`
}
